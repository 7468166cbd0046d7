//! The past cut into equal pieces, each with the worst that may be said of any class of topics in it:
//! what a bar shows.

use std::time::Duration;

use serde::Serialize;

use crate::certificate::{Judge, Level};
use crate::domain::{Interval, Wall};
use crate::ledger::ShardLedger;
use crate::timings::Timings;

/// What may be said of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Where it begins; milliseconds since 1970.
    pub from: Wall,
    /// The worst of its classes; nothing while nothing was wanted, or nothing is known of it yet.
    pub level: Option<Level>,
    /// Gaps that reach into it.
    pub gaps: usize,
}

/// The `count` pieces of a shard up to `now`, oldest first, each of `step` on the round of the clock. What
/// follows the last known instant of the newest ones is not judged: claims come a little later.
#[must_use]
pub fn cells(
    ledger: &ShardLedger,
    now: Wall,
    step: Duration,
    count: u32,
    timings: &Timings,
) -> Vec<Cell> {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let newest = now.0.div_euclid(step) * step;
    let starts = (0..i64::from(count)).rev().map(|back| Wall(newest - back * step));
    let mut cells: Vec<Cell> = starts.map(|from| Cell { from, level: None, gaps: 0 }).collect();
    for class in ledger.classes() {
        let Some(wanted) = ledger.class_wanted(&class) else { continue };
        let (judge, missed) = (Judge::new(ledger, &class), ledger.missed(&class));
        for cell in &mut cells {
            let whole = Interval::new(cell.from, Wall((cell.from.0 + step).min(now.0)));
            let mut part = whole.intersect(wanted);
            for past in ledger.past(&class).map(|past| past.intersect(whole)) {
                if !past.is_empty() {
                    let judged = judge.judge(past, &missed, timings);
                    cell.level = cell.level.max(Some(judged.level));
                    cell.gaps += judged.gaps.len();
                }
            }
            let known = judge.accounted_to(part);
            if now.0 - known.0 < SETTLING_MS {
                part = part.intersect(Interval::new(part.from, known));
            }
            if part.is_empty() {
                continue;
            }
            let judged = judge.judge(part, &missed, timings);
            cell.level = cell.level.max(Some(judged.level));
            cell.gaps += judged.gaps.len();
        }
    }
    cells
}

/// What is younger is not called open before somebody has said so.
const SETTLING_MS: i64 = 90_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EpochId, GapCause, GapId, Outcome, SetDigest, WriterId};
    use crate::ledger::{Fact, Gap, Repair, Want};

    const HOUR: i64 = 3_600_000;
    const TOPIC: &str = "v2.routing.queues.q.conversations";

    /// Two sockets that heard from `from` on up to `to` of the hours.
    fn heard(claims: &[(i64, i64)]) -> ShardLedger {
        let mut book = ShardLedger::new();
        let topics = [(TOPIC.to_owned(), Want { from: Wall(claims[0].0), to: None })].into();
        let set = SetDigest([1; 16]);
        add(&mut book, Fact::Wanted { as_of: Wall(0), topics });
        add(&mut book, Fact::Set { set, topics: vec![TOPIC.to_owned()] });
        for (n, &(from, to)) in (1..).zip(claims) {
            for leg in 0..2 {
                let epoch = EpochId([n * 2 + leg; 16]);
                let interval = Interval::new(Wall(from), Wall(to));
                add(&mut book, Fact::Epoch { epoch, set, leg, from: Wall(from), rides: None });
                add(&mut book, Fact::Claim { epoch, interval });
            }
        }
        book
    }

    fn add(book: &mut ShardLedger, fact: Fact) {
        book.add(WriterId([1; 16]), &fact).expect("no contradiction");
    }

    fn gap(from: i64, to: Option<i64>, outcome: Option<Outcome>) -> Fact {
        Fact::Gap(Gap {
            gap: GapId([9; 16]),
            class: "v2.routing.queues.{id}.conversations".to_owned(),
            topics: Vec::new(),
            from: Wall(from),
            to: to.map(Wall),
            cause: GapCause::Close,
            recorded_at: Wall(from),
            repair: Repair { outcome, closed_at: outcome.map(|_| Wall(from)), reads: Vec::new() },
        })
    }

    fn levels(book: &ShardLedger, now: i64, count: u32) -> Vec<Option<Level>> {
        let hour = Duration::from_secs(3600);
        let cells = cells(book, Wall(now), hour, count, &Timings::default());
        cells.into_iter().map(|cell| cell.level).collect()
    }

    #[test]
    fn hours_before_anything_was_wanted_say_nothing_and_the_present_one_is_judged_as_far_as_known()
    {
        let book = heard(&[(2 * HOUR + 5, 3 * HOUR + 1000)]);
        let dual = Some(Level::LiveDual);
        assert_eq!(levels(&book, 3 * HOUR + 20_000, 4), [None, None, dual, dual]);
    }

    #[test]
    fn a_hole_that_nobody_recorded_is_open_once_it_is_old_and_not_before() {
        let book = heard(&[(0, HOUR + 1000)]);
        let dual = Some(Level::LiveDual);
        assert_eq!(levels(&book, HOUR + 60_000, 2), [dual, dual]);
        let open = Some(Level::Open);
        assert_eq!(levels(&book, 4 * HOUR, 5), [dual, open, open, open, None]);
    }

    #[test]
    fn a_gap_colours_its_hour_and_its_repair_does_so_too() {
        let mut book = heard(&[(0, HOUR + 100), (HOUR + 900, 2 * HOUR + 5)]);
        let dual = Some(Level::LiveDual);
        let now = 2 * HOUR + 6;
        add(&mut book, gap(HOUR + 100, Some(HOUR + 900), None));
        assert_eq!(levels(&book, now, 3), [dual, Some(Level::Open), dual]);
        add(&mut book, gap(HOUR + 100, Some(HOUR + 900), Some(Outcome::Reconciled)));
        assert_eq!(levels(&book, now, 3), [dual, Some(Level::Reconciled), dual]);
    }

    #[test]
    fn an_outage_under_way_is_open_at_once() {
        let mut book = heard(&[(0, HOUR + 100)]);
        add(&mut book, gap(HOUR + 100, None, None));
        assert_eq!(levels(&book, HOUR + 5_000, 1), [Some(Level::Open)]);
    }
}
