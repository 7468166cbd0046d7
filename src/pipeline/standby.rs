//! What another replica writes at once, and what is seen of it in the output topic.

use trunkline_protocol::domain::{EventId, Mono};
use trunkline_protocol::standby::{Deferral, DeferralTimings, Roster};

use crate::kafka::tail::Tail;
use crate::observe::metrics::StandbyMetrics;
use crate::sequence::Kept;
use crate::spool::{ReadBack, Spool};

/// A replica among others.
pub struct Standby {
    pub(super) roster: Roster,
    pub(super) deferral: Deferral,
    /// Ids of the records of the output topic.
    pub(super) tail: Tail<EventId>,
    pub(super) metrics: StandbyMetrics,
    /// Events of an earlier process before this number were looked at.
    earlier: u64,
}

impl Standby {
    /// `tail` gives the ids of the output topic, those of the last minutes first.
    #[must_use]
    pub fn new(
        roster: Roster,
        tail: Tail<EventId>,
        spool: &Spool,
        metrics: StandbyMetrics,
        now: Mono,
    ) -> Self {
        let deferral = Deferral::new(DeferralTimings::default(), spool.first(), now);
        Self { roster, deferral, tail, metrics, earlier: spool.earliest() }
    }

    /// Whether another replica writes this at once.
    pub(super) fn defers(&self, kept: &Kept) -> bool {
        match kept {
            Kept::Event(event, ..) => !self.roster.is_primary(event.frame.leg.shard),
            Kept::Rejected(..) => false,
        }
    }

    /// The next event that the others had their time for.
    pub(super) fn next(&mut self, spool: &mut Spool, now: Mono) -> Option<ReadBack> {
        let below = self.deferral.writable_below(now);
        loop {
            let pending = (self.earlier < spool.first()).then_some(self.earlier);
            let oldest = pending.or_else(|| self.deferral.oldest()).unwrap_or(u64::MAX);
            let back = spool.next_deferred(oldest, below);
            self.earlier = self.earlier.max(spool.deferred_below().min(spool.first()));
            let back = back?;
            if spool.is_open(back.number) && (back.earlier || self.deferral.is_held(back.number)) {
                self.deferral.written(back.number);
                return Some(back);
            }
        }
    }

    /// Whether everything was seen or written.
    pub(super) fn is_done(&self, spool: &Spool) -> bool {
        self.deferral.count() == 0 && self.earlier >= spool.first()
    }
}
