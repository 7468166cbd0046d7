//! Every metric: name, kind, help, labels. Nothing else may spell one; `docs/metrics.md` lists the
//! same, and a test compares both.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Distribution over the buckets of [`SECONDS`].
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// Labels, in order.
    pub labels: &'static [&'static str],
}

/// Buckets of every histogram, in seconds.
pub const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*],
            };
        )*
        /// All of them, in the order of the document.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    EVENTS_RECEIVED = Counter "trunkline_events_received_total" ["class"] "Events heard on a socket or taken from the queue, unreadable ones included.";
    EVENTS_PUBLISHED = Counter "trunkline_events_published_total" ["class"] "Event records that Kafka acknowledged.";
    EVENTS_DEDUPLICATED = Counter "trunkline_events_deduplicated_total" [] "Copies of events that were kept once already.";
    EVENTS_QUARANTINED = Counter "trunkline_events_quarantined_total" ["reason"] "Messages acknowledged on the quarantine topic.";
    EVENTS_IN_FLIGHT = Gauge "trunkline_events_in_flight" [] "Events between socket or queue and acknowledgement.";
    WS_CONNECTS = Counter "trunkline_ws_connects_total" [] "Sockets opened.";
    WS_DISCONNECTS = Counter "trunkline_ws_disconnects_total" ["reason"] "Sockets ended, by reason.";
    WS_REFUSED = Counter "trunkline_ws_refused_total" ["status"] "Dials that ended without a socket, by HTTP status class.";
    WS_LAST_FRAME = Gauge "trunkline_ws_last_frame_timestamp_seconds" ["shard", "leg"] "When the last event was heard, seconds since 1970.";
    WS_LAST_PONG = Gauge "trunkline_ws_last_pong_timestamp_seconds" ["shard", "leg"] "When the last pong was heard, seconds since 1970.";
    WS_PING_RTT = Histogram "trunkline_ws_ping_rtt_seconds" [] "From ping to pong.";
    WS_RECONNECT = Histogram "trunkline_ws_reconnect_duration_seconds" [] "From the end of a leg's socket to the proof of life of the next.";
    EPOCH_START = Gauge "trunkline_epoch_start_timestamp_seconds" ["shard", "leg"] "When the leg's coverage began, seconds since 1970; 0 while it has none.";
    SHARD_LIVE = Gauge "trunkline_shard_live_channels" ["shard"] "Channels of the shard that are live.";
    CHANNELS_LACKING = Gauge "trunkline_channels_lacking" [] "Channels that are wanted and that the OAuth clients have no room for.";
    SUBSCRIPTIONS = Gauge "trunkline_subscriptions" ["state"] "Topics wanted, permitted and refused.";
    API_REQUESTS = Counter "trunkline_api_requests_total" ["endpoint", "code"] "Requests to the platform, by endpoint and answer.";
    API_RATE_LIMITED = Counter "trunkline_api_rate_limited_total" ["endpoint"] "429 answers.";
    API_BUDGET = Gauge "trunkline_api_budget_remaining" ["client"] "Requests that could be sent at once.";
    OAUTH_RENEWALS = Counter "trunkline_oauth_renewals_total" ["outcome"] "Requests for a token.";
    OAUTH_EXPIRY = Gauge "trunkline_oauth_token_expiry_timestamp_seconds" ["client"] "When the token ends, seconds since 1970.";
    DEDUPE_WINDOW = Gauge "trunkline_dedupe_window_events" [] "Ids remembered.";
    DEDUPE_EVICTED = Counter "trunkline_dedupe_evicted_generations_total" [] "Generations of ids forgotten before their time.";
    DOUBTS = Counter "trunkline_doubts_total" ["check"] "Coverages that were taken back, by the check that did.";
    SPLICE_HELD = Gauge "trunkline_splice_held_events" [] "Events of joining channels that wait for the splice.";
    PUBLISH_LATENCY = Histogram "trunkline_publish_latency_seconds" [] "From the last byte read to the acknowledgement.";
    EVENT_LAG = Histogram "trunkline_event_lag_seconds" [] "From the event's own time to the acknowledgement.";
    PRODUCE_ERRORS = Counter "trunkline_kafka_produce_errors_total" ["class"] "Failed deliveries; every one is sent again or quarantined.";
    PRODUCER_REBUILDS = Counter "trunkline_kafka_producer_rebuilds_total" ["cause"] "Producers replaced.";
    OLDEST_UNACKED = Gauge "trunkline_kafka_oldest_unacked_timestamp_seconds" [] "When the oldest un-acked event was heard, seconds since 1970; 0 when none waits.";
    DURABILITY_DEGRADED = Gauge "trunkline_durability_degraded" [] "1 while a topic is weaker than promised.";
    TOPIC_MISSING = Gauge "trunkline_topic_missing" ["topic"] "1 while the topic does not exist, by what it is for.";
    GROUND_CHANGES = Counter "trunkline_ground_changes_total" ["change"] "What was found otherwise under the topics: another cluster, other partitions, a topic gone, back, or without what it held.";
    SPOOL_BYTES = Gauge "trunkline_spool_bytes" [] "Bytes of the spool, on the disk and on their way there.";
    SPOOL_CAPACITY = Gauge "trunkline_spool_capacity_bytes" [] "At so many bytes of the spool nothing more is read from the sockets; 0 without a spool.";
    SPOOL_OLDEST = Gauge "trunkline_spool_oldest_record_timestamp_seconds" [] "When the oldest event on the disk was heard, acknowledged or not, seconds since 1970; 0 when there is none.";
    SPOOL_SYNC = Histogram "trunkline_spool_sync_duration_seconds" [] "To write a group of events and to sync it.";
    SPOOL_FAILED = Gauge "trunkline_spool_failed" [] "1 since the disk refused a write: what is heard lies in memory and Kafka only.";
    SPOOL_WAITING = Gauge "trunkline_spool_waiting_events" [] "Events in the spool from the oldest one on that Kafka has not acknowledged.";
    SPOOL_REPLAYED = Counter "trunkline_spool_replayed_events_total" [] "Events of an earlier process that had no acknowledgement when this one started.";
    SPOOL_READ_BACK = Counter "trunkline_spool_read_back_events_total" [] "Events that went to Kafka by way of the disk, of earlier processes or because memory had no room for them.";
    SPOOL_DAMAGED = Counter "trunkline_spool_damaged_total" [] "Stretches of the spool that could not be read at the start.";
    STANDBY_HELD = Gauge "trunkline_standby_held_events" [] "Events of other replicas' shards that were not seen in the output topic yet.";
    STANDBY_SEEN = Counter "trunkline_standby_seen_events_total" [] "Held events that another replica wrote.";
    STANDBY_WRITTEN = Counter "trunkline_standby_written_events_total" [] "Held events that this replica wrote, since no other one did in time.";
    STAGING_UP = Gauge "trunkline_staging_connector_up" ["connector"] "1 while Kafka Connect says that the connector and all its tasks are RUNNING; says nothing of whether records arrive.";
    STAGING_CHECKED = Gauge "trunkline_staging_checked_timestamp_seconds" ["connector"] "When it was last known how far the connector is, or the process's start, seconds since 1970.";
    STAGING_LAG_RECORDS = Gauge "trunkline_staging_lag_records" ["connector", "topic"] "Records that the staging connector has not committed, when it was last known.";
    STAGING_LAG_SECONDS = Gauge "trunkline_staging_lag_seconds" ["connector", "topic"] "How long the oldest of them has waited; 0 when there is none.";
    STAGING_HEADROOM = Gauge "trunkline_staging_retention_headroom_seconds" ["connector", "topic"] "Until retention may delete the first record that the connector has not committed; absent where no time deletes it.";
    STAGING_LOST = Gauge "trunkline_staging_lost_records" ["connector", "topic"] "Records that retention deleted before the connector read them, as far as its offsets still show.";
    STAGING_LETTERS = Gauge "trunkline_staging_dead_letters" ["connector"] "Records ever written to the connector's dead-letter topic.";
    QUEUE_RECEIVED = Counter "trunkline_queue_received_total" [] "Messages that the queue of EventBridge gave.";
    QUEUE_REDELIVERED = Counter "trunkline_queue_redelivered_total" [] "Of those, messages that it had given before.";
    QUEUE_IN_FLIGHT = Gauge "trunkline_queue_in_flight" [] "Messages that were given and are not deleted.";
    QUEUE_OLDEST = Gauge "trunkline_queue_oldest_timestamp_seconds" [] "When the oldest of them was put into the queue, seconds since 1970; 0 when there is none.";
    QUEUE_DELETES = Counter "trunkline_queue_deletes_total" ["outcome"] "Messages deleted after Kafka's acknowledgement: done, or failed and tried again or given again.";
    COVERAGE_WATERMARK = Gauge "trunkline_coverage_watermark_timestamp_seconds" ["shard"] "Everything wanted is proven up to here, from the last hole on; seconds since 1970.";
    GAPS_OPEN = Gauge "trunkline_gaps_open" ["shard"] "Gaps that are not closed.";
    GAPS = Counter "trunkline_gaps_total" ["cause", "outcome"] "Gaps recorded (outcome opened) and closed, by cause.";
    GAP_OLDEST = Gauge "trunkline_gap_oldest_open_timestamp_seconds" [] "Start of the oldest gap that is not closed, seconds since 1970; 0 when there is none.";
    GAP_RECOVERED = Counter "trunkline_gap_events_recovered_total" [] "Records that history gave for gaps.";
    HISTORY_READS = Counter "trunkline_history_reads_total" ["source", "outcome"] "Readings of history for a gap, by interface; whole, or failed and tried again.";
    AUDITS = Counter "trunkline_audits_total" ["outcome"] "Closed spans held against history: done, failed and tried again, or impossible.";
    AUDIT_ROWS = Counter "trunkline_audit_conversations_total" ["finding"] "Conversations of history that were held against records, by what was found; missed must be 0.";
    AUDITED_TO = Gauge "trunkline_audited_timestamp_seconds" [] "End of the newest span that was held against history, seconds since 1970; 0 before the first.";
    CONFLICT = Gauge "trunkline_conflict" ["kind"] "1 while another process has what is this one's alone: its replica, its OAuth client, its state topic.";
    CONFIG_STALE = Gauge "trunkline_config_stale" ["why"] "1 while the configuration on disk is not what runs: it is refused, or waits for a restart.";
    ADMIN_ACTIONS = Counter "trunkline_admin_actions_total" ["action", "outcome"] "Actions asked of the admin server: ordered, or refused.";
    SLO_EVENTS = Counter "trunkline_slo_events_total" ["slo"] "What a service level is about: freshness, records acknowledged; coverage, seconds of shards in which topics were wanted, as they become certain; gap_closed, seconds of gaps that were closed.";
    SLO_GOOD = Counter "trunkline_slo_good_events_total" ["slo"] "Of those: acknowledged within 10 s of their own time; proven live, all topics at once; given back by history.";
    CLOCK_ERROR = Gauge "trunkline_clock_error_seconds" [] "How far the platform's clock may be from where it is believed to be.";
    CLOCK_AHEAD = Gauge "trunkline_clock_ahead_seconds" [] "How far the local clock is ahead of the platform's.";
    CERTIFICATES = Counter "trunkline_certificates_total" ["level", "revision"] "Certificates published, by what they say; first words and later ones.";
    CERTIFIED_AT = Gauge "trunkline_certificates_timestamp_seconds" [] "Certificates say all that was known by then, seconds since 1970.";
    INVARIANT_VIOLATIONS = Counter "trunkline_invariant_violations_total" ["invariant"] "Rules of delivery that were found broken; must be 0.";
    BUILD_INFO = Gauge "trunkline_build_info" ["version"] "Always 1.";
    READY = Gauge "trunkline_ready" ["check"] "1 while the check passes.";
}
