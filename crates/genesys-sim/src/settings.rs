//! Everything about the platform that is unknown or that a test may want to change.

/// Behaviour of the simulated platform. A default marked *assumed* is not documented anywhere.
#[derive(Clone, Debug)]
pub struct Settings {
    /// OAuth clients that exist: id and secret.
    pub clients: Vec<(String, String)>,
    /// Life of a token in milliseconds (documented: 5 minutes to 48 hours, default 24 hours).
    pub token_life_ms: u64,
    /// Life of a channel in milliseconds (documented: 24 hours).
    pub channel_life_ms: u64,
    /// Channels per OAuth client; one more evicts (documented: 20).
    pub channels_per_client: usize,
    /// Topics per channel, combined ones count once (documented: 1,000).
    pub topics_per_channel: usize,
    /// Whether setting topics moves the end of a channel's life (assumed: yes).
    pub subscribe_extends_life: bool,
    /// Requests per token and minute (documented: 300).
    pub requests_per_minute: u32,
    /// Sliding instead of fixed windows (assumed: fixed).
    pub sliding_window: bool,
    /// Whether refused requests count (assumed: no).
    pub refused_count: bool,
    /// Token requests per minute and client; 0 is unlimited (assumed).
    pub token_requests_per_minute: u32,
    /// Between two heartbeats (seen in the field: 30 s).
    pub heartbeat_ms: u64,
    /// Close with 1001 after this long without a client frame; 0 is never (assumed).
    pub idle_close_ms: u64,
    /// A maintenance close follows its announcement after this long (documented: a minute).
    pub closing_notice_ms: u64,
    /// Close code for eviction, expiry, kick and revocation (assumed: 1000).
    pub end_code: u16,
    /// Status of an upgrade for a channel that does not exist (seen in the field: 401).
    pub unknown_channel_status: u16,
    /// Bytes a slow reader may leave unread before its socket is cut (assumed).
    pub unread_cap_bytes: usize,
    /// Whether a client frame may subscribe (seen in the field: yes).
    pub socket_subscribe: bool,
    /// Announce a kick with `no_longer_subscribed` (assumed: no).
    pub announce_kick: bool,
    /// Whether a token's end closes its channels' sockets (assumed: no).
    pub token_end_closes: bool,
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clients: vec![("sim-client".to_owned(), "sim-secret".to_owned())],
            token_life_ms: 86_400_000,
            channel_life_ms: 86_400_000,
            channels_per_client: 20,
            topics_per_channel: 1_000,
            subscribe_extends_life: true,
            requests_per_minute: 300,
            sliding_window: false,
            refused_count: false,
            token_requests_per_minute: 0,
            heartbeat_ms: 30_000,
            idle_close_ms: 0,
            closing_notice_ms: 60_000,
            end_code: 1000,
            unknown_channel_status: 401,
            unread_cap_bytes: 8 << 20,
            socket_subscribe: true,
            announce_kick: false,
            token_end_closes: false,
            missing_permissions: Vec::new(),
            direct_path: "/api/v2/analytics/conversations/events".to_owned(),
            direct_life_ms: 60_000,
            direct_close_code: 1001,
            direct_dials_per_minute: 10,
            direct_connections: 2,
        }
    }
}

impl Settings {
    /// Lives of tokens and channels and the closing notice run `scale` times as fast.
    #[must_use]
    pub fn scaled(mut self, scale: u32) -> Self {
        let scale = u64::from(scale.max(1));
        self.token_life_ms /= scale;
        self.channel_life_ms /= scale;
        self.closing_notice_ms /= scale;
        self
    }
}
