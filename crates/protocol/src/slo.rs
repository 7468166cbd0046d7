//! What service levels are held against: time of a shard that became certain since the last look.
//!
//! ```text
//!            counted before ──►│◄── counted now ──►│ not certain yet
//! claims     ├─────────────────────┤      ├────────────┤
//! gaps                             ├──────┤
//! live       ═══════════════════╪══        ══════╪
//! ```
//! Nothing is counted twice, and rather too little than twice:
//!
//! - **Over a restart** a process begins where claims and recorded gaps end as it reads them. Its predecessor
//!   counted only what was [`settled`](Levels::look) for a while, and the facts about that were
//!   acknowledged by then, so it never was further. Time between the two, some half a minute at most, is counted by
//!   nobody; a gap that the death of the predecessor left is counted, since no fact spoke of it.
//! - **With several replicas** the one in charge of the shard counts. Whoever takes over looks once without
//!   counting: what its predecessor counted lies before that, once the predecessor has heard of it. One that is
//!   cut off from Kafka claims nothing, so to it nothing becomes certain; only when it has lost its sockets as
//!   well, it may count as bare what another replica proves.
//!
//! What is taken back later, by an audit or a doubt that comes late, stays counted as live: counters only grow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::{GapCause, GapId, Interval, IntervalSet, Outcome, Wall};
use crate::ledger::ShardLedger;
use crate::timings::Timings;

/// What became certain between two looks, in time of the shard: an instant counts once, however many topics
/// are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Certain {
    /// Something was wanted.
    pub wanted: Duration,
    /// Of that: sockets prove everything that was wanted.
    pub live: Duration,
    /// Length of the gaps that were closed, whatever became of them; gaps of two classes are two.
    pub closed: Duration,
    /// Of that: history gave it back, or acknowledgements that came late proved it.
    pub repaired: Duration,
}

/// Looks at the facts of one shard again and again.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    reached: Option<Wall>,
    /// Gaps that are closed and were counted, or that nobody counts.
    closed: BTreeSet<GapId>,
    was_in_charge: bool,
}

impl Levels {
    /// Counts what became certain since the last look: what is proven or part of a recorded gap, without a
    /// hole before it, and settled, for late acknowledgements move the bounds of younger gaps. Nothing at
    /// the first look, nor at the first one since the replica is in charge.
    pub fn look(
        &mut self,
        ledger: &ShardLedger,
        now: Wall,
        is_in_charge: bool,
        timings: &Timings,
    ) -> Certain {
        let settled = now.minus(timings.gap_patience + timings.claim_cadence);
        let known = Known::of(ledger);
        let counts = self.was_in_charge && is_in_charge;
        self.was_in_charge = is_in_charge;
        let (closed, repaired) = self.closed(ledger);
        let Some(from) = self.reached else {
            self.reached = known.end(settled);
            return Certain::default();
        };
        let window = Interval::new(from, known.certain_to(from, settled));
        self.reached = Some(window.to.max(from));
        if !counts {
            return Certain::default();
        }
        let wanted = known.wanted.within(window);
        let bare = known.bare(window);
        let span = |set: &IntervalSet| millis(set.millis());
        Certain { wanted: span(&wanted), live: span(&wanted.subtract(&bare)), closed, repaired }
    }

    /// Lengths of the gaps that were closed since the last look, and of those that lack nothing.
    fn closed(&mut self, ledger: &ShardLedger) -> (Duration, Duration) {
        let (mut closed, mut repaired) = (Duration::ZERO, Duration::ZERO);
        self.closed.retain(|gap| ledger.gaps().contains_key(gap));
        for gap in ledger.gaps().values() {
            let (Some(outcome), Some(to)) = (gap.repair.outcome, gap.to) else { continue };
            if gap.cause == GapCause::BeforeActivation || !self.closed.insert(gap.gap) {
                continue;
            }
            let length = millis(to.0 - gap.from.0);
            closed += length;
            match outcome {
                Outcome::Covered | Outcome::Reconciled => repaired += length,
                Outcome::Partial | Outcome::LostDeclared => {}
            }
        }
        (closed, repaired)
    }
}

/// Facts as they are asked here.
struct Known {
    /// Where topics of any class are wanted.
    wanted: IntervalSet,
    /// By class: where all of it is proven or nothing of it wanted, and its recorded gaps.
    classes: BTreeMap<String, (IntervalSet, IntervalSet)>,
}

impl Known {
    fn of(ledger: &ShardLedger) -> Self {
        let classes = ledger.classes();
        let wanted = classes.iter().filter_map(|class| ledger.class_wanted(class)).collect();
        let of = |class: String| {
            let gaps = ledger.gaps().values().filter(|gap| gap.class == class);
            let span = |gap: &crate::ledger::Gap| {
                Interval::new(gap.from, gap.to.unwrap_or(Wall(i64::MAX)))
            };
            let gaps = gaps.map(span).collect();
            let (proven, _) = ledger.class_coverage(&class);
            (class, (proven, gaps))
        };
        Self { wanted, classes: classes.into_iter().map(of).collect() }
    }

    /// Up to where every class is proven or in a recorded gap, from `from` on and at most to `settled`.
    fn certain_to(&self, from: Wall, settled: Wall) -> Wall {
        let window = Interval::new(from, settled);
        let first = |(proven, gaps): &(IntervalSet, IntervalSet)| {
            let open = proven.union(gaps).complement_within(window);
            open.intervals().first().map(|open| open.from)
        };
        self.classes.values().filter_map(first).min().unwrap_or(settled)
    }

    /// The last instant that is certain for every class; `None` while nothing is wanted.
    fn end(&self, settled: Wall) -> Option<Wall> {
        let before = Interval::new(Wall(i64::MIN), settled);
        let last = |(proven, gaps): &(IntervalSet, IntervalSet)| {
            proven.union(gaps).within(before).end().unwrap_or(settled)
        };
        self.classes.values().map(last).min()
    }

    /// Where something that is wanted is not proven.
    fn bare(&self, window: Interval) -> IntervalSet {
        let of = |(proven, _): &(IntervalSet, IntervalSet)| proven.complement_within(window);
        self.classes.values().map(of).fold(IntervalSet::new(), |all, one| all.union(&one))
    }
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests;
