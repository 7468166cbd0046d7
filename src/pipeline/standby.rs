//! What another replica writes at once, and what is seen of it in the output topic.

use std::collections::{BTreeSet, HashMap};

use tokio::sync::watch;
use trunkline_protocol::domain::{EventId, Mono, Wall};
use trunkline_protocol::standby::{Deferral, DeferralTimings, Roster};
use trunkline_protocol::subscriptions;

use crate::kafka::tail::Tail;
use crate::observe::metrics::StandbyMetrics;
use crate::sequence::Kept;
use crate::spool::{ReadBack, Spool};

/// A replica among others.
pub struct Standby {
    pub(super) roster: Roster,
    pub(super) deferral: Deferral,
    /// Records of the output topic.
    pub(super) tail: Tail<Passed>,
    shards: Shards,
    pub(super) metrics: StandbyMetrics,
    /// Events of an earlier process before this number were looked at.
    earlier: u64,
}

/// What a record of the output topic says of an event that somebody heard.
#[derive(Debug)]
pub struct Passed {
    /// Which event.
    pub id: EventId,
    /// On which topic.
    pub topic: Box<str>,
    /// When, in the platform's time.
    pub received: Wall,
}

/// The topics of each shard, combined as they are subscribed.
pub type Plan = Vec<BTreeSet<String>>;

/// Which shard each topic belongs to.
#[derive(Debug)]
struct Shards {
    plan: watch::Receiver<Plan>,
    by_topic: HashMap<String, u16>,
}

impl Shards {
    fn new(mut plan: watch::Receiver<Plan>) -> Self {
        plan.mark_changed();
        Self { plan, by_topic: HashMap::new() }
    }

    fn of(&mut self, topic: &str) -> Option<u16> {
        if self.plan.has_changed().unwrap_or(false) {
            let plan = self.plan.borrow_and_update();
            let each = (0..).zip(plan.iter().map(combined));
            self.by_topic =
                each.flat_map(|(shard, topics)| topics.map(move |t| (t, shard))).collect();
        }
        self.by_topic.get(topic).copied()
    }
}

fn combined(topics: &BTreeSet<String>) -> impl Iterator<Item = String> {
    topics.iter().flat_map(|topic| subscriptions::expand(topic))
}

impl Standby {
    /// `tail` gives what passes in the output topic, what did in the last minutes first.
    #[must_use]
    pub fn new(
        roster: Roster,
        tail: Tail<Passed>,
        plan: watch::Receiver<Plan>,
        spool: &Spool,
        metrics: StandbyMetrics,
        now: Mono,
    ) -> Self {
        let deferral = Deferral::new(DeferralTimings::default(), spool.first(), now);
        let shards = Shards::new(plan);
        Self { roster, deferral, tail, shards, metrics, earlier: spool.earliest() }
    }

    /// The shard that hears this topic here as well.
    pub(super) fn shard_of(&mut self, topic: &str) -> Option<u16> {
        self.shards.of(topic)
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
