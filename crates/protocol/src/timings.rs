//! Every duration of the protocol in one place.

use std::time::Duration;

/// Durations the machines go by. The defaults are the values of `docs/delivery.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Between two application-level pings.
    pub ping_interval: Duration,
    /// A pong later than this means half-open.
    pub ping_timeout: Duration,
    /// A dial that has not become a socket by then has failed.
    pub connect_timeout: Duration,
    /// A request without an answer by then has failed.
    pub request_timeout: Duration,
    /// A joining channel's events wait this long at most.
    pub splice: Duration,
    /// The old channel stays this long after its successor is live.
    pub overlap: Duration,
    /// A connection that was live this long resets the back-off.
    pub useful: Duration,
    /// A channel's life as the platform grants it.
    pub channel_life: Duration,
    /// A planned rotation happens between `rotation_lead.0` and `.1` before the end of life.
    pub rotation_lead: (Duration, Duration),
    /// The platform closes a socket this long after it announced it.
    pub closing_notice: Duration,
    /// A token is renewed between `.0` and `.1` before it expires; a third of a short life at most.
    pub token_lead: (Duration, Duration),
    /// After two creations of a leg within `creation_window`, one per this spacing.
    pub creation_spacing: Duration,
    /// See `creation_spacing`.
    pub creation_window: Duration,
    /// Longest delay of a back-off.
    pub backoff_cap: Duration,
    /// Longest delay between two probes of a breaker.
    pub probe_cap: Duration,
    /// Added at random to a `Retry-After`.
    pub retry_after_jitter: Duration,
    /// Ids are remembered this long.
    pub dedupe_window: Duration,
    /// Coverage begins this long after a verified subscription on an open socket: when the platform
    /// begins to fan out is not documented.
    pub join_margin: Duration,
    /// The durable watermark is claimed this long after it moved, at most.
    pub claim_cadence: Duration,
    /// A hole is recorded as a gap when late acknowledgements have not closed it by then.
    pub gap_patience: Duration,
    /// An epoch of another process counts as living this long after its newest claim.
    pub claim_fresh: Duration,
    /// A socket that did not hear what its sibling heard is suspected after this long.
    pub silence_patience: Duration,
    /// The longest time in which no event of a shard comes, where the operator knows one: a socket that
    /// hears nothing for longer is suspected.
    pub canary: Option<Duration>,
    /// Time between an occurrence and its notification, at most: the margin by which gaps are read.
    pub margin: Duration,
    /// History is queried this long after the end of a gap, three times.
    pub query_reads: [Duration; 3],
    /// A query begins this long before the gap: it goes by the day on which conversations started.
    pub query_lookback: Duration,
    /// A reading on request ends this long before now: what is newer still shifts.
    pub query_settle: Duration,
    /// Between submitting a job and the first look at it; later looks are further apart.
    pub job_look: Duration,
    /// History is asked this often up to when it calls itself complete, while a gap waits for it.
    pub availability_look: Duration,
    /// A reading that failed is tried again after this long.
    pub read_again: Duration,
    /// History's jobs are asked without a word about their availability after this long.
    pub jobs_after: Duration,
    /// Between two authoritative readings.
    pub read_spacing: Duration,
    /// Closed gaps are read again this long after their end: history is rewritten at night.
    pub late_reads: [Duration; 2],
    /// History reaches back this far.
    pub history_reach: Duration,
    /// Length of the spans that are held against history once they are closed.
    pub audit_interval: Duration,
    /// Spans further back are not held against it any more.
    pub audit_reach: Duration,
    /// Whether a span is due is asked this often.
    pub audit_look: Duration,
    /// Another process that has our name, or our client, for this long is no predecessor that ends.
    pub twin_patience: Duration,
    /// The channels of a client are counted this often.
    pub crowd_look: Duration,
    /// Length of the intervals that certificates speak of.
    pub certificate_interval: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            ping_interval: secs(10),
            ping_timeout: secs(10),
            connect_timeout: secs(15),
            request_timeout: secs(15),
            splice: secs(2),
            overlap: secs(60),
            useful: secs(60),
            channel_life: secs(24 * 3600),
            rotation_lead: (secs(3600), secs(3 * 3600)),
            closing_notice: secs(60),
            token_lead: (secs(600), secs(1800)),
            creation_spacing: secs(60),
            creation_window: secs(600),
            backoff_cap: secs(30),
            probe_cap: secs(14),
            retry_after_jitter: secs(5),
            dedupe_window: secs(900),
            join_margin: secs(5),
            claim_cadence: secs(5),
            gap_patience: secs(20),
            claim_fresh: secs(30),
            silence_patience: secs(30),
            canary: None,
            margin: secs(300),
            query_reads: [secs(300), secs(1800), secs(2 * 3600)],
            query_lookback: secs(86_400),
            query_settle: secs(60),
            job_look: secs(1),
            availability_look: secs(900),
            read_again: secs(60),
            jobs_after: secs(26 * 3600),
            read_spacing: secs(3600),
            late_reads: [secs(50 * 3600), secs(72 * 3600)],
            history_reach: secs(30 * 86_400),
            audit_interval: secs(6 * 3600),
            audit_reach: secs(4 * 86_400),
            audit_look: secs(900),
            twin_patience: secs(120),
            crowd_look: secs(60),
            certificate_interval: secs(3600),
        }
    }
}

impl Timings {
    /// What is read this long after it was fanned out is late: no longer than audits allow for anyway.
    #[must_use]
    pub fn late_after(&self) -> Duration {
        (self.audit_interval / 12).max(self.ping_interval * 3)
    }

    /// Lives of channels and tokens, overlap and creation spacing run `scale` times as fast; ping,
    /// time-outs and everything a broker sees stay real.
    #[must_use]
    pub fn demo(scale: u32) -> Self {
        let real = Self::default();
        let fast = |duration: Duration| duration / scale.max(1);
        Self {
            // never shorter than the splice, or the old channel could go before the new one joined
            overlap: fast(real.overlap).max(real.splice + Duration::from_secs(1)),
            useful: fast(real.useful).max(Duration::from_secs(1)),
            channel_life: fast(real.channel_life),
            rotation_lead: (fast(real.rotation_lead.0), fast(real.rotation_lead.1)),
            closing_notice: fast(real.closing_notice),
            token_lead: (fast(real.token_lead.0), fast(real.token_lead.1)),
            creation_spacing: fast(real.creation_spacing),
            creation_window: fast(real.creation_window),
            retry_after_jitter: Duration::from_secs(1),
            // notifications keep their real delay
            margin: fast(real.margin).max(Duration::from_secs(6)),
            job_look: Duration::from_millis(100),
            availability_look: fast(real.availability_look),
            read_again: Duration::from_millis(500),
            query_reads: real.query_reads.map(fast),
            query_settle: fast(real.query_settle),
            jobs_after: fast(real.jobs_after),
            read_spacing: fast(real.read_spacing),
            audit_interval: fast(real.audit_interval),
            audit_look: Duration::from_millis(500),
            twin_patience: fast(real.twin_patience).max(Duration::from_secs(6)),
            crowd_look: fast(real.crowd_look).max(Duration::from_secs(1)),
            certificate_interval: fast(real.certificate_interval),
            gap_patience: Duration::from_secs(2),
            silence_patience: Duration::from_secs(4),
            canary: None,
            ..real
        }
    }

    /// Names every value that is weaker than the default: `(field, value, bound)`. The service
    /// refuses to run with any of them.
    #[must_use]
    pub fn weaker_than_default(&self) -> Vec<(&'static str, Duration, Duration)> {
        let real = Self::default();
        let mut weak = Vec::new();
        let mut at_most = |name, value: Duration, bound: Duration| {
            if value > bound {
                weak.push((name, value, bound));
            }
        };
        at_most("ping_interval", self.ping_interval, real.ping_interval);
        at_most("ping_timeout", self.ping_timeout, real.ping_timeout);
        at_most("splice", self.splice, real.splice);
        at_most("claim_cadence", self.claim_cadence, real.claim_cadence);
        at_most("silence_patience", self.silence_patience, real.silence_patience);
        at_most("gap_patience", self.gap_patience, real.gap_patience);
        let mut at_least = |name, value: Duration, bound: Duration| {
            if value < bound {
                weak.push((name, value, bound));
            }
        };
        at_least("overlap", self.overlap, real.overlap);
        at_least("useful", self.useful, real.useful);
        at_least("dedupe_window", self.dedupe_window, real.dedupe_window);
        at_least("creation_spacing", self.creation_spacing, real.creation_spacing);
        at_least("join_margin", self.join_margin, real.join_margin);
        at_least("margin", self.margin, real.margin);
        at_least("read_spacing", self.read_spacing, real.read_spacing);
        weak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_weaker_than_the_default_is_named() {
        assert!(Timings::default().weaker_than_default().is_empty());
        let slow = Timings { ping_timeout: Duration::from_secs(11), ..Timings::default() };
        assert_eq!(slow.weaker_than_default()[0].0, "ping_timeout");
        assert_eq!(Timings::demo(60).weaker_than_default()[0].0, "overlap");
    }
}
