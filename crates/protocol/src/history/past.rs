//! The time before topics were covered first: asked for, cut into days, each a gap of its own that two
//! readings close. Nobody else reads it, and certificates follow from it like from every gap.
//!
//! ```text
//! asked     ├───────────────────────────────────────────┤
//! covered                                     ├───────────────► since the activation of the class
//! pieces    ├────────┼─ known ──┼─────────────┤   by day (UTC); a known one stays as it is
//! ```

use std::collections::BTreeMap;

use super::reading::DAY_MS;
use crate::domain::{GapCause, Interval, IntervalSet, Wall};
use crate::gaps::{Step, has_history, verdict};
use crate::ledger::{Gap, Known, Repair, ShardLedger, Source, gap_id};
use crate::timings::Timings;
use crate::topic::DIRECT;

/// What of a range lies before each class of topics with a history was covered first, by shard. What was
/// asked for earlier is among it with what is known of it; the rest is new as of `now`.
#[must_use]
pub fn pieces(shards: &BTreeMap<u16, ShardLedger>, range: Interval, now: Wall) -> Vec<Known> {
    let mut all = Vec::new();
    for (shard, ledger) in shards {
        for class in ledger.classes() {
            let Some(activation) = ledger.activation(&class) else { continue };
            let before = range.intersect(Interval::new(Wall(i64::MIN), activation));
            if before.is_empty() || class == DIRECT || !has_history(&class) {
                continue;
            }
            let known = ledger.gaps().values().filter(|gap| {
                let inside = gap.from < before.to && gap.to.is_some_and(|to| before.from < to);
                gap.cause == GapCause::BeforeActivation && gap.class == class && inside
            });
            let mut gaps: Vec<Gap> = known.cloned().collect();
            let taken: IntervalSet = ledger.past(&class).collect();
            let rest = IntervalSet::from(before).subtract(&taken);
            let days = rest.intervals().iter().flat_map(|part| days(*part));
            gaps.extend(days.map(|day| piece(*shard, &class, day, now)));
            let known = |gap: Gap| {
                let topics = ledger.topics_of(&gap);
                Known { shard: *shard, gap, topics }
            };
            all.extend(gaps.into_iter().map(known));
        }
    }
    all.sort_by_key(|known| (known.gap.from, known.shard, known.gap.gap));
    all
}

/// Where the last class of any shard was covered first: what lies behind it is no past.
#[must_use]
pub fn activated(shards: &BTreeMap<u16, ShardLedger>) -> Option<Wall> {
    let of = |ledger: &ShardLedger| {
        let classes = ledger.classes().into_iter();
        let classes = classes.filter(|class| class != DIRECT && has_history(class));
        classes.filter_map(|class| ledger.activation(&class)).max()
    };
    shards.values().filter_map(of).max()
}

fn piece(shard: u16, class: &str, day: Interval, now: Wall) -> Gap {
    Gap {
        gap: gap_id(shard, class, day.from),
        class: class.to_owned(),
        topics: Vec::new(),
        from: day.from,
        to: Some(day.to),
        cause: GapCause::BeforeActivation,
        recorded_at: now,
        repair: Repair::default(),
    }
}

fn days(part: Interval) -> Vec<Interval> {
    let (mut days, mut from) = (Vec::new(), part.from);
    while from < part.to {
        let to = Wall((from.0.div_euclid(DAY_MS) + 1) * DAY_MS).min(part.to);
        days.push(Interval::new(from, to));
        from = to;
    }
    days
}

/// The next step of a piece. `available` is the instant before which history calls itself complete: up
/// to there jobs are read, and queries beyond, which close nothing.
#[must_use]
pub fn step(gap: &Gap, available: Option<Wall>, now: Wall, timings: &Timings) -> Step {
    let Some(end) = gap.to.filter(|_| gap.repair.outcome.is_none()) else { return Step::Done };
    let complete = end.plus(timings.margin);
    if let Some(outcome) = verdict(gap, complete, timings) {
        return Step::Close(outcome);
    }
    let is_complete = available.is_some_and(|available| available >= complete);
    let source = if is_complete { Source::Jobs } else { Source::Query };
    let alike = gap.repair.reads.iter().filter(|reading| reading.source == source);
    match alike.map(|reading| reading.at.plus(timings.read_spacing)).max() {
        Some(at) if at > now => Step::Wait(at),
        Some(_) | None => Step::Read(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EpochId, Outcome, SetDigest, WriterId};
    use crate::ledger::{Fact, Reading, Want};

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    const QUEUES: &str = "v2.routing.queues.{id}.conversations";
    const TOPIC: &str = "v2.routing.queues.q.conversations";
    const NOW: Wall = Wall(20 * DAY);

    fn add(ledger: &mut ShardLedger, fact: Fact) {
        ledger.add(WriterId([1; 16]), &fact).expect("no contradiction");
    }

    /// A queue is wanted, and a presence that no history knows.
    fn shards(from: i64) -> BTreeMap<u16, ShardLedger> {
        let mut ledger = ShardLedger::new();
        let want = Want { from: Wall(from), to: None };
        let topics = [TOPIC, "v2.users.u.presence"].map(|topic| (topic.to_owned(), want)).into();
        add(&mut ledger, Fact::Wanted { as_of: Wall(from), topics });
        [(0, ledger)].into()
    }

    fn spans(pieces: &[Known]) -> Vec<(i64, i64)> {
        pieces.iter().map(|p| (p.gap.from.0 / HOUR, p.gap.to.unwrap().0 / HOUR)).collect()
    }

    fn asked(from: i64, to: i64) -> Interval {
        Interval::new(Wall(from * HOUR), Wall(to * HOUR))
    }

    #[test]
    fn what_lies_before_a_class_was_covered_is_cut_by_day_and_ends_there() {
        let shards = shards(50 * HOUR);
        let pieces = pieces(&shards, asked(20, 90), NOW);
        assert_eq!(spans(&pieces), [(20, 24), (24, 48), (48, 50)]);
        assert!(pieces.iter().all(|p| p.gap.class == QUEUES && p.topics == [TOPIC]));
        assert_eq!(pieces[0].gap.gap, gap_id(0, QUEUES, Wall(20 * HOUR)));
        assert_eq!(spans(&super::pieces(&shards, asked(50, 90), NOW)), []);
        assert_eq!(activated(&shards), Some(Wall(50 * HOUR)));
        assert_eq!(activated(&BTreeMap::new()), None);
    }

    #[test]
    fn a_piece_that_is_known_stays_as_it_is_whatever_is_asked_for() {
        let mut shards = shards(50 * HOUR);
        let first = pieces(&shards, asked(26, 40), NOW);
        let gap = first[0].gap.clone();
        add(shards.get_mut(&0).unwrap(), Fact::Gap(gap.clone()));
        let later = pieces(&shards, asked(20, 60), Wall(NOW.0 + 1));
        assert_eq!(spans(&later), [(20, 24), (24, 26), (26, 40), (40, 48), (48, 50)]);
        assert_eq!(later[2].gap, gap);
        assert_eq!(spans(&pieces(&shards, asked(30, 35), NOW)), [(26, 40)]);
    }

    #[test]
    fn what_a_socket_covered_once_is_no_past_though_its_topic_came_again() {
        let mut shards = shards(50 * HOUR);
        let (ledger, set) = (shards.get_mut(&0).unwrap(), SetDigest([1; 16]));
        let (epoch, from) = (EpochId([1; 16]), Wall(30 * HOUR));
        add(ledger, Fact::Set { set, topics: vec![TOPIC.to_owned()] });
        add(ledger, Fact::Epoch { epoch, set, leg: 0, from, rides: None });
        assert_eq!(spans(&pieces(&shards, asked(20, 90), NOW)), [(20, 24), (24, 30)]);
    }

    #[test]
    fn two_equal_jobs_an_hour_apart_close_a_piece_and_queries_never_do() {
        let timings = Timings::default();
        let (end, margin) = (50 * HOUR, 300_000);
        let mut gap = piece(0, QUEUES, asked(48, 50), NOW);
        let next = |gap: &Gap, available: Option<i64>, now: i64| {
            step(gap, available.map(Wall), Wall(now), &timings)
        };
        let read = |gap: &mut Gap, source, at, digest: &str, complete_to: Option<i64>| {
            let (digest, complete_to) = (digest.to_owned(), complete_to.map(Wall));
            let (rows, written, missing) = (1, 1, 0);
            let at = Wall(at);
            let reading = Reading { at, source, digest, rows, written, complete_to, missing };
            gap.repair.reads.push(reading);
        };
        let now = NOW.0;
        assert_eq!(next(&gap, None, now), Step::Read(Source::Query));
        assert_eq!(next(&gap, Some(end + margin - 1), now), Step::Read(Source::Query));
        read(&mut gap, Source::Query, now, "a", None);
        assert_eq!(next(&gap, None, now + 1), Step::Wait(Wall(now + HOUR)));
        read(&mut gap, Source::Query, now + HOUR, "a", None);
        assert!(crate::gaps::is_provisional(&gap));
        assert_eq!(next(&gap, None, now + 2 * HOUR), Step::Read(Source::Query));
        let complete = Some(end + margin);
        assert_eq!(next(&gap, complete, now + HOUR), Step::Read(Source::Jobs));
        read(&mut gap, Source::Jobs, now + 2 * HOUR, "b", complete);
        assert_eq!(next(&gap, complete, now + 3 * HOUR - 1), Step::Wait(Wall(now + 3 * HOUR)));
        let expected = crate::gaps::expected_close(&gap, &timings);
        assert_eq!(expected, Some(Wall(now + 3 * HOUR)));
        read(&mut gap, Source::Jobs, now + 3 * HOUR, "b", complete);
        assert_eq!(next(&gap, complete, now + 3 * HOUR), Step::Close(Outcome::Reconciled));
        gap.repair.outcome = Some(Outcome::Reconciled);
        assert_eq!(next(&gap, complete, now + 9 * HOUR), Step::Done);
        assert_eq!(
            crate::gaps::step(&gap, None, NOW, &timings),
            Step::Done,
            "it is not the service's"
        );
    }
}
