//! Everything about the platform that is unknown or that a test may want to change.

use serde::{Deserialize, Serialize};

/// What direct connections carry.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum DirectFrames {
    /// Envelopes of the detail events of all conversations.
    #[default]
    DetailEvents,
    /// Envelopes of the snapshots on queue and user topics.
    Snapshots,
    /// Detail events without an envelope.
    Bare,
    /// The same in an array.
    List,
}

/// Behaviour of the simulated platform. A default marked *assumed* is not documented anywhere.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// OAuth clients that exist: id and secret.
    pub clients: Vec<(String, String)>,
    /// Life of a token in milliseconds (documented: 5 minutes to 48 hours, default 24 hours).
    pub token_life_ms: u64,
    /// `token_type` in the answer (assumed: `bearer`).
    pub token_type: String,
    /// Scopes named in token answers and by `tokens/me` (assumed: none).
    pub scopes: Vec<String>,
    /// Whether a new token ends the client's earlier ones (assumed: no).
    pub new_token_ends_earlier: bool,
    /// Life of a channel in milliseconds (documented: 24 hours).
    pub channel_life_ms: u64,
    /// Channels per OAuth client; one more evicts (documented: 20).
    pub channels_per_client: usize,
    /// Topics per channel, combined ones count once (documented: 1,000).
    pub topics_per_channel: usize,
    /// Whether setting topics moves the end of a channel's life (assumed: yes).
    pub subscribe_extends_life: bool,
    /// Whether adding topics with POST does so too (assumed: yes).
    pub post_extends_life: bool,
    /// Between a subscribe answer and the first event, and likewise the last (assumed: 0).
    pub subscribe_delay_ms: u64,
    /// Topics, by their beginning, that are left out of subscribe answers and not subscribed.
    pub omitted_topics: Vec<String>,
    /// With `ignoreErrors`, a combined topic with a refused part is permitted for the rest.
    pub combined_partly: bool,
    /// Transports of topics, by the beginning of their template; every other one has `All` (assumed).
    pub transports: Vec<(String, Vec<String>)>,
    /// Status of a DELETE of a channel, which does not exist (assumed: 405).
    pub delete_channel_status: u16,
    /// Requests per token and minute (documented: 300).
    pub requests_per_minute: u32,
    /// Sliding instead of fixed windows (assumed: fixed).
    pub sliding_window: bool,
    /// Whether refused requests count (assumed: no).
    pub refused_count: bool,
    /// Whether a 429 names the limit in its body (assumed: yes).
    pub limit_in_429: bool,
    /// Token requests per minute and client; 0 is unlimited (assumed).
    pub token_requests_per_minute: u32,
    /// Sockets opened per minute and client before 429; 0 is unlimited (assumed).
    pub connects_per_minute: u32,
    /// Between two heartbeats (seen in the field: 30 s).
    pub heartbeat_ms: u64,
    /// Close with 1001 after this long without a client frame; 0 is never (assumed).
    pub idle_close_ms: u64,
    /// The same whether or not the client sends anything (seen in the field).
    pub idle_close_always: bool,
    /// A maintenance close follows its announcement after this long (documented: a minute).
    pub closing_notice_ms: u64,
    /// Close code for eviction, expiry, kick and revocation (assumed: 1000).
    pub end_code: u16,
    /// Status of an upgrade for a channel that does not exist (seen in the field: 401).
    pub unknown_channel_status: u16,
    /// Bytes a slow reader may leave unread before its socket is cut (assumed).
    pub unread_cap_bytes: usize,
    /// Drop a slow reader's events instead of cutting its socket (assumed: no).
    pub slow_reader_drops: bool,
    /// Longer frames are not sent; 0 is no limit (assumed).
    pub frame_cap_bytes: usize,
    /// One correlation id per event instead of one per delivery (assumed: no).
    pub same_correlation_id: bool,
    /// Share of deliveries whose `metadata` has more keys than the correlation id.
    pub metadata_extras_share: f64,
    /// Share of deliveries that change places with the next one on their socket (assumed: none).
    pub reorder_share: f64,
    /// Share of deliveries that happen twice (assumed: none).
    pub duplicate_share: f64,
    /// Whether a client frame may subscribe (seen in the field: yes).
    pub socket_subscribe: bool,
    /// Announce a kick with `no_longer_subscribed` (assumed: no).
    pub announce_kick: bool,
    /// Whether a token's end closes its channels' sockets (assumed: no).
    pub token_end_closes: bool,
    /// Between an event and its showing in the details query (assumed: 5 s).
    pub query_lag_ms: u64,
    /// Rows per page of the details query at most (assumed: 100).
    pub query_page_max: u64,
    /// Rows of a details query at most (reported: 100,000).
    pub query_cap: u64,
    /// `totalHits` is off by so many at most while data arrives (assumed).
    pub total_hits_off: u64,
    /// Share of conversations that the query never shows.
    pub query_missing_share: f64,
    /// Share of conversations that jobs never show.
    pub jobs_missing_share: f64,
    /// The horizon of jobs is this far behind (documented: up to 24 hours; assumed: 6).
    pub availability_lag_ms: u64,
    /// The horizon of jobs moves in steps of this length (assumed).
    pub availability_step_ms: u64,
    /// A job takes this long (seen in the field: 3 s at best).
    pub job_takes_ms: u64,
    /// Results of a job are kept this long (assumed: 24 hours).
    pub job_life_ms: u64,
    /// Jobs of a client that are not done, at most (documented: 10).
    pub jobs_at_once: usize,
    /// So many jobs fail, the first ones.
    pub jobs_fail: u32,
    /// Rows change so long after their last event, or up to half as long again (documented: 48 to
    /// 72 hours).
    pub rewrite_after_ms: u64,
    /// Share of conversations that do (assumed: 0.1 %).
    pub rewrite_share: f64,
    /// A conversation can be read this long after its end (assumed: 24 hours).
    pub conversation_life_ms: u64,
    /// Conversations that history remembers; the oldest are forgotten.
    pub history_conversations: usize,
    /// Permissions nobody has: topics that need them are rejected.
    pub missing_permissions: Vec<String>,
    /// Direct mode: path of the upgrade, with the token as `access_token`.
    pub direct_path: String,
    /// Direct mode: a connection is closed after about this long (reported: 60 s).
    pub direct_life_ms: u64,
    /// Direct mode: code of that close (assumed: 1001).
    pub direct_close_code: u16,
    /// Direct mode: dials per minute and client before 429 (assumed).
    pub direct_dials_per_minute: u32,
    /// Direct mode: simultaneous connections per client (assumed).
    pub direct_connections: usize,
    /// Direct mode: what is sent (assumed: envelopes of detail events).
    pub direct_frames: DirectFrames,
    /// Direct mode: whether a 429 carries `Retry-After` (assumed: yes).
    pub direct_retry_after: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clients: vec![("sim-client".to_owned(), "sim-secret".to_owned())],
            token_life_ms: 86_400_000,
            token_type: "bearer".to_owned(),
            scopes: Vec::new(),
            new_token_ends_earlier: false,
            channel_life_ms: 86_400_000,
            channels_per_client: 20,
            topics_per_channel: 1_000,
            subscribe_extends_life: true,
            post_extends_life: true,
            subscribe_delay_ms: 0,
            omitted_topics: Vec::new(),
            combined_partly: false,
            transports: Vec::new(),
            delete_channel_status: 405,
            requests_per_minute: 300,
            sliding_window: false,
            refused_count: false,
            limit_in_429: true,
            token_requests_per_minute: 0,
            connects_per_minute: 0,
            heartbeat_ms: 30_000,
            idle_close_ms: 0,
            idle_close_always: false,
            closing_notice_ms: 60_000,
            end_code: 1000,
            unknown_channel_status: 401,
            unread_cap_bytes: 8 << 20,
            slow_reader_drops: false,
            frame_cap_bytes: 0,
            same_correlation_id: false,
            metadata_extras_share: 0.01,
            reorder_share: 0.0,
            duplicate_share: 0.0,
            socket_subscribe: true,
            announce_kick: false,
            token_end_closes: false,
            query_lag_ms: 5_000,
            query_page_max: 100,
            query_cap: 100_000,
            total_hits_off: 3,
            query_missing_share: 0.0,
            jobs_missing_share: 0.0,
            availability_lag_ms: 6 * 3_600_000,
            availability_step_ms: 600_000,
            job_takes_ms: 3_000,
            job_life_ms: 86_400_000,
            jobs_at_once: 10,
            jobs_fail: 0,
            rewrite_after_ms: 48 * 3_600_000,
            rewrite_share: 0.001,
            conversation_life_ms: 86_400_000,
            history_conversations: 200_000,
            missing_permissions: Vec::new(),
            direct_path: "/api/v2/analytics/conversations/events".to_owned(),
            direct_life_ms: 60_000,
            direct_close_code: 1001,
            direct_dials_per_minute: 10,
            direct_connections: 2,
            direct_frames: DirectFrames::DetailEvents,
            direct_retry_after: true,
        }
    }
}

impl Settings {
    /// Lives of tokens and channels, the closing notice and the times of history run `scale` times
    /// as fast; a day stays a day.
    #[must_use]
    pub fn scaled(mut self, scale: u32) -> Self {
        let scale = u64::from(scale.max(1));
        self.token_life_ms /= scale;
        self.channel_life_ms /= scale;
        self.closing_notice_ms /= scale;
        for time in [
            &mut self.query_lag_ms,
            &mut self.availability_lag_ms,
            &mut self.availability_step_ms,
            &mut self.job_life_ms,
            &mut self.rewrite_after_ms,
            &mut self.conversation_life_ms,
        ] {
            *time /= scale;
        }
        self.job_takes_ms = (self.job_takes_ms / scale).max(200);
        self.job_life_ms = self.job_life_ms.max(30_000);
        self
    }

    /// These settings with some of them changed, as a JSON object names them.
    ///
    /// # Errors
    /// Says which key or value is wrong; nothing is changed then.
    pub fn patched(&self, changes: &serde_json::Value) -> Result<Self, String> {
        let changes = changes.as_object().ok_or("settings are a JSON object")?;
        let mut all = serde_json::to_value(self).map_err(|error| error.to_string())?;
        for (key, value) in changes {
            all[key] = value.clone();
        }
        serde_json::from_value(all).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_changed_by_name_and_a_wrong_name_changes_nothing() {
        let settings = Settings::default();
        let changed = settings.patched(&json!({"idle_close_ms": 9, "end_code": 1012})).unwrap();
        let expected = Settings { idle_close_ms: 9, end_code: 1012, ..Settings::default() };
        assert_eq!(changed, expected);
        assert!(settings.patched(&json!({"idle_close": 9})).unwrap_err().contains("idle_close_ms"));
        assert!(settings.patched(&json!({"end_code": "x"})).is_err());
    }
}
