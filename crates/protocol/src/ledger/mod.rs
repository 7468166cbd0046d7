//! Claims in, coverage out. Facts only grow, so two writers, a zombie or a replay can add nothing
//! but truth: merging is idempotent and knows no order (I3). A gap is the complement.
//!
//! ```text
//! wanted      ├──────────────────────────────────────────────►
//! claims      ├──── e1 ────┤      ├───── e2 ─────┤
//! doubts                              ├──┤
//! living                                         ├── e2, not yet claimed ─►
//! gap                      ├──────┤   ├──┤
//! ```

mod coverage;
mod facts;
mod keeper;
mod owner;

use std::collections::{BTreeMap, BTreeSet};

pub use coverage::{Hole, Living};
pub use facts::{Audit, Fact, Gap, Known, Reading, Repair, Source, Stamped, VERSION, Want};
pub use keeper::{Action, Keeper, News, digest, gap_id};
pub use owner::{Owner, Ownership, Word};

use crate::domain::{
    EpochId, EventId, GapCause, GapId, Interval, IntervalSet, SetDigest, Wall, WriterId,
};

/// All that is known of one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardLedger {
    sets: BTreeMap<SetDigest, BTreeSet<String>>,
    epochs: BTreeMap<EpochId, Epoch>,
    wanted: Option<(Wall, BTreeMap<String, Want>)>,
    gaps: BTreeMap<GapId, Gap>,
    written: BTreeMap<GapId, BTreeSet<EventId>>,
    /// Where sockets were read late.
    late: IntervalSet,
    /// By start of their span.
    audits: BTreeMap<Wall, Audit>,
}

/// All that is known of one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Whose it is; the start is known once this is.
    pub start: Option<Start>,
    /// `[start, durable watermark)`, the widest that was claimed.
    pub claim: Option<Interval>,
    /// Where claims do not count.
    pub doubts: IntervalSet,
    /// When and why it ended.
    pub end: Option<(Wall, GapCause)>,
}

/// How an epoch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The process that runs it.
    pub writer: WriterId,
    /// The topics it covers.
    pub set: SetDigest,
    /// Ordinal of the hot channel.
    pub leg: u8,
    /// Where coverage begins.
    pub from: Wall,
    /// The epoch of the same socket whose watermark it shares.
    pub rides: Option<EpochId>,
}

impl Epoch {
    /// What its claims prove.
    #[must_use]
    pub fn proven(&self) -> IntervalSet {
        let claim: IntervalSet = self.claim.into_iter().collect();
        claim.subtract(&self.doubts)
    }
}

/// A fact that contradicts what is known: an id was used twice (I3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction(pub EpochId);

impl ShardLedger {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fact. Saying it twice, or facts in another order, makes no difference.
    ///
    /// # Errors
    /// [`Contradiction`] when the fact gives an epoch a second beginning; nothing is changed then.
    pub fn add(&mut self, writer: WriterId, fact: &Fact) -> Result<(), Contradiction> {
        match fact {
            Fact::Replica { .. } => {} // says nothing about coverage
            Fact::Set { set, topics } => {
                self.sets.entry(*set).or_insert_with(|| topics.iter().cloned().collect());
            }
            Fact::Epoch { epoch, set, leg, from, rides } => {
                let start = Start { writer, set: *set, leg: *leg, from: *from, rides: *rides };
                let known = self.epochs.entry(*epoch).or_default();
                if known.start.is_some_and(|known| known != start) {
                    return Err(Contradiction(*epoch));
                }
                known.start = Some(start);
            }
            Fact::Claim { epoch, interval } => {
                let known = self.epochs.entry(*epoch).or_default();
                if known.claim.is_some_and(|claim| claim.from != interval.from) {
                    return Err(Contradiction(*epoch));
                }
                known.claim = Some(match known.claim {
                    Some(claim) => Interval::new(claim.from, claim.to.max(interval.to)),
                    None => *interval,
                });
            }
            Fact::End { epoch, at, cause } => {
                let known = self.epochs.entry(*epoch).or_default();
                known.end = min_some(known.end, Some((*at, *cause)));
            }
            Fact::Doubt { epoch, interval } => {
                self.epochs.entry(*epoch).or_default().doubts.insert(*interval);
            }
            Fact::Late { interval } => self.late.insert(*interval),
            Fact::Wanted { as_of, topics } => {
                if self.wanted.as_ref().is_none_or(|(known, _)| known <= as_of) {
                    self.wanted = Some((*as_of, topics.clone()));
                }
            }
            Fact::Gap(gap) => self.add_gap(gap),
            Fact::Written { gap, ids, .. } => self.written.entry(*gap).or_default().extend(ids),
            Fact::Audit(audit) => self.add_audit(audit),
        }
        Ok(())
    }

    /// Two writers may have looked at one span: what either missed was missed.
    fn add_audit(&mut self, audit: &Audit) {
        let known = self.audits.entry(audit.span.from).or_insert_with(|| audit.clone());
        for (class, instants) in &audit.instants {
            let known = known.instants.entry(class.clone()).or_default();
            *known = known.union(instants);
        }
        known.at = known.at.min(audit.at);
        known.complete_to = known.complete_to.min(audit.complete_to);
        known.rows = known.rows.max(audit.rows);
        known.missed = known.missed.max(audit.missed);
        known.uncovered = known.uncovered.max(audit.uncovered);
        known.rewritten = known.rewritten.max(audit.rewritten);
    }

    /// Two writers may know different things of one gap: what is known of it only grows.
    fn add_gap(&mut self, gap: &Gap) {
        let Some(known) = self.gaps.get_mut(&gap.gap) else {
            let mut gap = gap.clone();
            gap.repair.reads.sort_unstable();
            gap.repair.reads.dedup();
            self.gaps.insert(gap.gap, gap);
            return;
        };
        match (known.repair.outcome, gap.repair.outcome) {
            // what was read speaks of the bounds it was closed with, whatever another writer knew
            (None, Some(_)) => (known.from, known.to) = (gap.from, gap.to),
            (Some(_), None) => {}
            (Some(_), Some(_)) => {
                known.from = known.from.max(gap.from);
                known.to = known.to.min(gap.to);
            }
            (None, None) => {
                known.from = known.from.max(gap.from); // late acknowledgements narrow it
                known.to = match (known.to, gap.to) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        known.recorded_at = known.recorded_at.min(gap.recorded_at);
        for reading in &gap.repair.reads {
            if !known.repair.reads.contains(reading) {
                known.repair.reads.push(reading.clone());
            }
        }
        known.repair.reads.sort_unstable(); // by all they say: two may have begun at one moment
        known.repair.outcome = min_some(known.repair.outcome, gap.repair.outcome);
        known.repair.closed_at = min_some(known.repair.closed_at, gap.repair.closed_at);
    }

    /// The epochs, by id.
    #[must_use]
    pub fn epochs(&self) -> &BTreeMap<EpochId, Epoch> {
        &self.epochs
    }

    /// The gaps, by id.
    #[must_use]
    pub fn gaps(&self) -> &BTreeMap<GapId, Gap> {
        &self.gaps
    }

    /// Ids of the records that history gave for a gap.
    #[must_use]
    pub fn written(&self, gap: GapId) -> Option<&BTreeSet<EventId>> {
        self.written.get(&gap)
    }

    /// Closed spans that were held against history, by their start.
    #[must_use]
    pub fn audits(&self) -> &BTreeMap<Wall, Audit> {
        &self.audits
    }

    /// Where sockets were not read for long: what was fanned out there may have been read as late as
    /// the end of its interval.
    #[must_use]
    pub fn late(&self) -> &IntervalSet {
        &self.late
    }

    /// When something happened on topics of a class that nobody heard although sockets proved it.
    #[must_use]
    pub fn missed(&self, class: &str) -> IntervalSet {
        let of_class = self.audits.values().filter_map(|audit| audit.instants.get(class));
        of_class.flat_map(|instants| Vec::from(instants.clone())).collect()
    }

    /// Single topics that a gap concerns.
    #[must_use]
    pub fn topics_of(&self, gap: &Gap) -> Vec<String> {
        if !gap.topics.is_empty() {
            return gap.topics.clone();
        }
        let of_class = |(topic, want): &(&String, &Want)| {
            let wanted_then = want.to.is_none_or(|to| to > gap.from);
            wanted_then && crate::topic::class_of(topic) == gap.class
        };
        let topics = self.wanted().into_iter().flatten().filter(of_class);
        topics.map(|(topic, _)| topic.clone()).collect()
    }

    /// Intervals before topics of a class were wanted that somebody asked history about.
    pub fn past<'a>(&'a self, class: &'a str) -> impl Iterator<Item = Interval> + 'a {
        let asked = move |gap: &&Gap| gap.cause == GapCause::BeforeActivation && gap.class == class;
        let bounds = |gap: &Gap| Some(Interval::new(gap.from, gap.to?));
        self.gaps.values().filter(asked).filter_map(bounds)
    }

    /// Since when topics of a class are covered at the earliest: before that nobody was to hear any.
    #[must_use]
    pub fn activation(&self, class: &str) -> Option<Wall> {
        let of_class = |set: &SetDigest| {
            let topics = self.sets.get(set);
            topics.is_some_and(|all| all.iter().any(|topic| crate::topic::class_of(topic) == class))
        };
        let started = self.epochs.values().filter_map(|epoch| epoch.start);
        // a topic that came again is wanted from then on, and was heard before
        let heard = started.filter(|start| of_class(&start.set)).map(|start| start.from).min();
        min_some(self.class_wanted(class).map(|wanted| wanted.from), heard)
    }

    /// Every set of topics.
    pub fn sets(&self) -> impl Iterator<Item = (&SetDigest, &BTreeSet<String>)> {
        self.sets.iter()
    }

    /// The topics of a set.
    #[must_use]
    pub fn set(&self, set: SetDigest) -> Option<&BTreeSet<String>> {
        self.sets.get(&set)
    }

    /// When the newest word about wanted topics was written.
    #[must_use]
    pub fn wanted_as_of(&self) -> Option<Wall> {
        self.wanted.as_ref().map(|(as_of, _)| *as_of)
    }

    /// Which topics have to be covered, and when.
    #[must_use]
    pub fn wanted(&self) -> Option<&BTreeMap<String, Want>> {
        self.wanted.as_ref().map(|(_, topics)| topics)
    }
}

/// The smaller of two things that may be there.
fn min_some<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
