//! What may be said of a past interval of a topic class, and what backs it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::{EpochId, GapId, Interval, IntervalSet, Outcome, SetDigest, Timeline, Wall};
use crate::gaps;
use crate::ledger::{Gap, ShardLedger, Source};
use crate::timings::Timings;

/// What a certificate says, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// Two sockets at once proved every instant.
    LiveDual,
    /// One socket proved every instant.
    LiveSingle,
    /// What was not proven live was read twice, alike, from complete history.
    Reconciled,
    /// What was not proven live was read twice, alike, from history that may still change.
    RepairedProvisional,
    /// History was read and is known to be incomplete.
    Partial,
    /// There is no history to read.
    LostDeclared,
    /// Nothing better can be said yet.
    Open,
}

impl Level {
    /// Every level, from the best to the worst.
    pub const ALL: [Self; 7] = [
        Self::LiveDual,
        Self::LiveSingle,
        Self::Reconciled,
        Self::RepairedProvisional,
        Self::Partial,
        Self::LostDeclared,
        Self::Open,
    ];

    /// The word used in records, pages and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LiveDual => "LIVE_DUAL",
            Self::LiveSingle => "LIVE_SINGLE",
            Self::Reconciled => "RECONCILED",
            Self::RepairedProvisional => "REPAIRED_PROVISIONAL",
            Self::Partial => "PARTIAL",
            Self::LostDeclared => "LOST_DECLARED",
            Self::Open => "OPEN",
        }
    }

    /// Whether sockets alone prove it.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::LiveDual | Self::LiveSingle)
    }
}

/// The judgement over one interval, derived from facts alone: whoever has the same facts comes to
/// the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What may be said.
    pub level: Level,
    /// Epochs whose claims prove a part of it, sorted.
    pub epochs: Vec<EpochId>,
    /// The sets of topics they cover, sorted.
    pub sets: Vec<SetDigest>,
    /// Gaps that reach into it, sorted.
    pub gaps: Vec<GapId>,
    /// History was complete up to here when the last of its gaps was closed.
    pub history_watermark: Option<Wall>,
    /// When the last of its gaps was closed.
    pub closed_at: Option<Wall>,
    /// When its gaps are expected to be closed.
    pub expected_close_at: Option<Wall>,
}

/// What is known of one topic class of a shard, ready to be asked about intervals.
#[derive(Debug)]
pub struct Judge<'a> {
    once: IntervalSet,
    twice: IntervalSet,
    /// Proven, or part of a recorded gap.
    accounted: IntervalSet,
    gaps: Timeline<&'a Gap>,
    proofs: Timeline<(EpochId, SetDigest)>,
}

impl<'a> Judge<'a> {
    /// Looks at the facts once.
    #[must_use]
    pub fn new(ledger: &'a ShardLedger, class: &str) -> Self {
        let (once, twice) = ledger.class_coverage(class);
        // nobody is held back where nothing is wanted, and nothing is proven there
        let wanted: IntervalSet = ledger.class_wanted(class).into_iter().collect();
        let (once, twice) = (once.intersect(&wanted), twice.intersect(&wanted));
        let gaps = ledger.gaps().values().filter(|gap| gap.class == class);
        let recorded: IntervalSet = gaps.clone().map(gap_interval).collect();
        let gaps = gaps.map(|gap| (gap_interval(gap), gap)).collect();
        Self { accounted: once.union(&recorded), once, twice, gaps, proofs: proofs(ledger, class) }
    }

    /// Whether every instant is either proven or part of a recorded gap: before that nothing is said.
    #[must_use]
    pub fn is_accounted_for(&self, interval: Interval) -> bool {
        self.accounted.covers(interval)
    }

    /// Up to where every instant of it is proven or part of a recorded gap; its start when not even that is.
    #[must_use]
    pub fn accounted_to(&self, interval: Interval) -> Wall {
        let rest = self.accounted.complement_within(interval);
        rest.intervals().first().map_or(interval.to, |hole| hole.from)
    }

    /// What may be said. `missed` holds the instants of which an audit found a miss.
    #[must_use]
    pub fn judge(&self, interval: Interval, missed: &IntervalSet, timings: &Timings) -> Judgement {
        let rest = self.once.complement_within(interval);
        let reaches = |gap: &&Gap| !rest.within(gap_interval(gap)).is_empty();
        let mut concerned: Vec<&Gap> =
            self.gaps.touching(interval).copied().filter(reaches).collect();
        concerned.sort_unstable_by_key(|gap| gap.gap);
        let mut level = match rest.is_empty() {
            true if self.twice.covers(interval) => Level::LiveDual,
            true => Level::LiveSingle,
            false => repaired(&concerned, &rest),
        };
        if !missed.within(interval).is_empty() {
            level = level.max(Level::Partial);
        }
        let (epochs, sets): (BTreeSet<_>, BTreeSet<_>) =
            self.proofs.touching(interval).copied().unzip();
        let open = concerned.iter().filter(|gap| gap.repair.outcome.is_none());
        Judgement {
            level,
            epochs: epochs.into_iter().collect(),
            sets: sets.into_iter().collect(),
            gaps: concerned.iter().map(|gap| gap.gap).collect(),
            history_watermark: concerned.iter().filter_map(|gap| complete_to(gap)).min(),
            closed_at: concerned.iter().filter_map(|gap| gap.repair.closed_at).max(),
            expected_close_at: open.filter_map(|gap| gaps::expected_close(gap, timings)).max(),
        }
    }
}

/// What gaps make of the instants that no claim proves.
fn repaired(gaps: &[&Gap], rest: &IntervalSet) -> Level {
    let settled = |wanted: &dyn Fn(&Gap) -> bool| -> IntervalSet {
        let chosen = gaps.iter().filter(|gap| wanted(gap));
        chosen.map(|gap| gap_interval(gap)).collect()
    };
    let closed = settled(&|gap| gap.repair.outcome.is_some());
    let still = rest.subtract(&closed);
    if !still.is_empty() {
        let provisional = settled(&gaps::is_provisional);
        return match still.subtract(&provisional).is_empty() {
            true => Level::RepairedProvisional,
            false => Level::Open,
        };
    }
    let worst = gaps.iter().filter_map(|gap| gap.repair.outcome).max();
    match worst {
        Some(Outcome::LostDeclared) => Level::LostDeclared,
        Some(Outcome::Partial) => Level::Partial,
        Some(Outcome::Reconciled) => Level::Reconciled,
        // late acknowledgements proved it, yet the claims do not show it
        Some(Outcome::Covered) | None => Level::Open,
    }
}

fn gap_interval(gap: &Gap) -> Interval {
    Interval::new(gap.from, gap.to.unwrap_or(Wall(i64::MAX)))
}

fn complete_to(gap: &Gap) -> Option<Wall> {
    let jobs = gap.repair.reads.iter().filter(|reading| reading.source == Source::Jobs);
    jobs.filter_map(|reading| reading.complete_to).max()
}

fn proofs(ledger: &ShardLedger, class: &str) -> Timeline<(EpochId, SetDigest)> {
    let of_class = |topic: &String| crate::topic::class_of(topic) == class;
    let sets = ledger.sets().filter(|(_, topics)| topics.iter().any(of_class));
    let sets: BTreeSet<SetDigest> = sets.map(|(set, _)| *set).collect();
    let started = ledger.epochs().iter().filter_map(|(id, epoch)| {
        let set = epoch.start?.set;
        sets.contains(&set).then(|| (*id, set, epoch.proven()))
    });
    let pieces = started.flat_map(|(id, set, proven)| {
        Vec::from(proven).into_iter().map(move |piece| (piece, (id, set)))
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GapCause, WriterId};
    use crate::ledger::{Fact, Reading, Repair, Want};

    const CLASS: &str = "v2.routing.queues.{id}.conversations";
    const TOPIC: &str = "v2.routing.queues.q.conversations";

    fn at(from: i64, to: i64) -> Interval {
        Interval::new(Wall(from), Wall(to))
    }

    /// Claims of sockets 1, 2, … over these intervals.
    fn book(claims: &[(i64, i64)]) -> ShardLedger {
        let mut book = ShardLedger::new();
        let want = Want { from: Wall(0), to: None };
        let topics = [(TOPIC.to_owned(), want)].into();
        let mut add = |fact| book.add(WriterId([1; 16]), &fact).unwrap();
        add(Fact::Wanted { as_of: Wall(0), topics });
        add(Fact::Set { set: SetDigest([1; 16]), topics: vec![TOPIC.to_owned()] });
        for (n, &(from, to)) in (1..).zip(claims) {
            let epoch = EpochId([n; 16]);
            let set = SetDigest([1; 16]);
            add(Fact::Epoch { epoch, set, leg: n, from: Wall(from), rides: None });
            add(Fact::Claim { epoch, interval: at(from, to) });
        }
        book
    }

    fn gap(from: i64, to: i64, outcome: Option<Outcome>) -> Fact {
        Fact::Gap(Gap {
            gap: GapId([from as u8; 16]),
            class: CLASS.to_owned(),
            topics: Vec::new(),
            from: Wall(from),
            to: Some(Wall(to)),
            cause: GapCause::Close,
            recorded_at: Wall(to),
            repair: Repair { outcome, closed_at: outcome.map(|_| Wall(500)), reads: Vec::new() },
        })
    }

    fn judged(book: &ShardLedger, interval: Interval) -> Judgement {
        Judge::new(book, CLASS).judge(interval, &IntervalSet::new(), &Timings::default())
    }

    fn level(book: &ShardLedger, from: i64, to: i64) -> Level {
        judged(book, at(from, to)).level
    }

    #[test]
    fn sockets_prove_an_interval_alone_or_in_pairs() {
        let book = book(&[(0, 100), (50, 200)]);
        assert_eq!(level(&book, 50, 100), Level::LiveDual);
        assert_eq!(level(&book, 0, 100), Level::LiveSingle);
        assert_eq!(level(&book, 150, 201), Level::Open, "a hole that nobody recorded yet");
        let judged = judged(&book, at(0, 40));
        assert_eq!(judged.epochs, [EpochId([1; 16])]);
    }

    #[test]
    fn the_worst_gap_decides_what_is_said() {
        use Outcome::{LostDeclared, Partial, Reconciled};
        let mut book = book(&[(0, 10), (20, 30), (40, 100)]);
        let mut add = |fact| book.add(WriterId([1; 16]), &fact).unwrap();
        add(gap(10, 20, Some(Reconciled)));
        add(gap(30, 40, None));
        assert_eq!(level(&book, 0, 25), Level::Reconciled);
        assert_eq!(level(&book, 0, 50), Level::Open);
        assert_eq!(level(&book, 50, 100), Level::LiveSingle);
        for (outcome, said) in [(Partial, Level::Partial), (LostDeclared, Level::LostDeclared)] {
            let mut book = book.clone();
            book.add(WriterId([1; 16]), &gap(30, 40, Some(outcome))).unwrap();
            assert_eq!(level(&book, 0, 50), said);
        }
    }

    #[test]
    fn two_equal_queries_make_it_provisional() {
        let mut book = book(&[(0, 10), (20, 100)]);
        let Fact::Gap(mut hole) = gap(10, 20, None) else { unreachable!() };
        for at in [1, 2] {
            hole.repair.reads.push(Reading {
                source: Source::Query,
                at: Wall(at),
                digest: "d".to_owned(),
                rows: 1,
                written: 1,
                complete_to: None,
                missing: 0,
            });
        }
        book.add(WriterId([1; 16]), &Fact::Gap(hole)).unwrap();
        let judged = judged(&book, at(0, 50));
        assert_eq!(judged.level, Level::RepairedProvisional);
        assert!(judged.expected_close_at.is_some());
    }

    #[test]
    fn a_miss_takes_live_back() {
        let book = book(&[(0, 100)]);
        let missed = at(40, 41).into();
        let judged = Judge::new(&book, CLASS).judge(at(0, 50), &missed, &Timings::default());
        assert_eq!(judged.level, Level::Partial);
        assert_eq!(level(&book, 50, 100), Level::LiveSingle);
    }
}
