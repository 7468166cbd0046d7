//! When a Kafka producer is past help, and what is sent again by its successor.
//!
//! ```text
//! Running ── fatal, 3 × out of order, stalled ──► Rebuilding ── new one made ──► Running
//! ```
//! Everything that is not acknowledged is sent again, in order, under the same ids: a failed
//! delivery may have been persisted all the same.

use std::time::Duration;

use crate::domain::Mono;
use crate::seeded::{Bug, planted};

/// What became of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged by all in-sync replicas.
    Delivered,
    /// The broker refuses this record for good.
    Refused,
    /// May succeed later: authorisation, topic missing, purged, timed out.
    Retriable,
    /// The broker saw a gap in the producer's sequence.
    OutOfOrder,
    /// The producer is past help.
    Fatal,
}

/// Why a producer is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RebuildCause {
    /// The client library says so.
    Fatal,
    /// Three out-of-order answers in a row.
    OutOfOrder,
    /// Nothing is acknowledged although the brokers answer.
    Stalled,
}

impl RebuildCause {
    /// Every cause, in the order they are shown.
    pub const ALL: [Self; 3] = [Self::Fatal, Self::OutOfOrder, Self::Stalled];

    /// The word used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::OutOfOrder => "out_of_order",
            Self::Stalled => "stalled",
        }
    }
}

/// Watches one producer.
#[derive(Clone, Debug)]
pub struct ProducerWatch {
    stall: Duration,
    out_of_order: u32,
    /// Since when brokers answer while the oldest record waits and nothing is acknowledged.
    answered_since: Option<Mono>,
    rebuild: Option<RebuildCause>,
}

/// The oldest record may wait this long while brokers answer.
pub const STALL: Duration = Duration::from_secs(120);
/// So long brokers have to have answered by then: after an outage, however long, the client library
/// waits up to 10 s before it connects again.
pub const ANSWERING: Duration = Duration::from_secs(30);
const OUT_OF_ORDER_LIMIT: u32 = 3;

impl ProducerWatch {
    /// A new producer, whose oldest record may wait for `stall` while brokers answer: [`STALL`].
    #[must_use]
    pub fn new(stall: Duration) -> Self {
        Self { stall, out_of_order: 0, answered_since: None, rebuild: None }
    }

    /// A delivery came to its end.
    pub fn handle(&mut self, fate: Fate) {
        match fate {
            Fate::Delivered => (self.out_of_order, self.answered_since) = (0, None),
            Fate::Refused | Fate::Retriable => {}
            Fate::OutOfOrder => {
                self.out_of_order += 1;
                if self.out_of_order >= OUT_OF_ORDER_LIMIT {
                    self.rebuild.get_or_insert(RebuildCause::OutOfOrder);
                }
            }
            Fate::Fatal => {
                self.rebuild.get_or_insert(RebuildCause::Fatal);
            }
        }
    }

    /// Whether the oldest record without an acknowledgement, sent then, waits for too long.
    #[must_use]
    pub fn is_overdue(&self, oldest: Option<Mono>, now: Mono) -> bool {
        oldest.is_some_and(|sent| now.since(sent) >= self.stall)
    }

    /// Looks at the oldest record without an acknowledgement; `reachable` says whether metadata
    /// requests to brokers succeed.
    pub fn look(&mut self, oldest: Option<Mono>, reachable: bool, now: Mono) {
        if !reachable || !self.is_overdue(oldest, now) {
            self.answered_since = None;
        } else if now.since(*self.answered_since.get_or_insert(now)) >= ANSWERING {
            self.rebuild.get_or_insert(RebuildCause::Stalled);
        }
    }

    /// Whether the producer must be replaced now.
    #[must_use]
    pub fn poll(&self) -> Option<RebuildCause> {
        self.rebuild.filter(|_| !planted(Bug::NoRebuild))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_out_of_order_answers_in_a_row_end_a_producer_and_two_do_not() {
        let mut watch = ProducerWatch::new(STALL);
        for fate in [Fate::OutOfOrder, Fate::OutOfOrder, Fate::Delivered, Fate::OutOfOrder] {
            watch.handle(fate);
        }
        assert_eq!(watch.poll(), None);
        watch.handle(Fate::OutOfOrder);
        watch.handle(Fate::OutOfOrder);
        assert_eq!(watch.poll(), Some(RebuildCause::OutOfOrder));
    }

    #[test]
    fn an_outage_is_no_stall() {
        let mut watch = ProducerWatch::new(STALL);
        let now = Mono(0) + Duration::from_secs(1_200);
        watch.look(Some(Mono(0)), false, now);
        assert_eq!(watch.poll(), None);
        watch.look(Some(Mono(0)), true, now);
        assert_eq!(watch.poll(), None, "its end is none either");
        watch.handle(Fate::Delivered);
        watch.look(Some(Mono(0)), true, now + ANSWERING);
        assert_eq!(watch.poll(), None, "records go again");
    }

    #[test]
    fn a_record_that_waits_while_brokers_answer_ends_a_producer() {
        let mut watch = ProducerWatch::new(STALL);
        let young = Mono(0) + Duration::from_secs(100);
        watch.look(Some(Mono(0)), true, young);
        watch.look(Some(Mono(0)), true, Mono(0) + STALL);
        assert_eq!(watch.poll(), None, "since then only");
        watch.look(Some(Mono(0)), false, Mono(0) + STALL + ANSWERING / 2);
        watch.look(Some(Mono(0)), true, Mono(0) + STALL + ANSWERING);
        assert_eq!(watch.poll(), None, "in between they did not");
        watch.look(Some(Mono(0)), true, Mono(0) + STALL + 2 * ANSWERING);
        assert_eq!(watch.poll(), Some(RebuildCause::Stalled));
    }
}
