//! Life of a gap: when history is read, and when what was read closes it.
//!
//! ```text
//! Growing ── coverage resumes ──► Open ── query reads after 5 min, 30 min, 2 h ──► two equal: provisional
//!                                  └── jobs once history is complete ──► Stable(1) ── an hour later, equal ──► Closed
//! Closed ── jobs after 50 h and 72 h ──► Closed, and what they add is written
//! ```
//! A step follows from the facts alone, so a new process goes on where the old one ended. A gap is
//! never closed on a reading that history itself does not call complete (I7): the first empty answer
//! is how most repairs lose events.

use crate::domain::{GapCause, Outcome, TopicClass, Wall};
use crate::ledger::{Gap, Reading, Source};
use crate::seeded::{Bug, planted};
use crate::timings::Timings;
use crate::topic::DIRECT;

/// What to do about a gap now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this.
    Wait(Wall),
    /// Nothing until coverage resumes.
    Growing,
    /// Read history over the gap and the margin around it, write what is new, record the reading.
    Read(Source),
    /// Record that it is closed.
    Close(Outcome),
    /// Nothing is left to do.
    Done,
}

/// Readings that still differ after so many are taken for a history that will not settle.
const READS_AT_MOST: usize = 4;

/// The next step of a gap. `available` is the instant before which history calls itself complete.
#[must_use]
pub fn step(gap: &Gap, available: Option<Wall>, now: Wall, timings: &Timings) -> Step {
    let Some(end) = gap.to else { return Step::Growing };
    if gap.cause == GapCause::BeforeActivation {
        return Step::Done; // whoever asked for it reads it: see `history::past`
    }
    if gap.repair.outcome.is_some() {
        return read_again(gap, end, now, timings);
    }
    let unreachable = gap.from < now.minus(timings.history_reach) && gap.repair.reads.is_empty();
    if unreachable || !has_history(&gap.class) {
        return Step::Close(Outcome::LostDeclared);
    }
    let complete = end.plus(timings.margin);
    if let Some(outcome) = verdict(gap, complete, timings) {
        return Step::Close(outcome);
    }
    if let Some(due) = query_due(gap, end, timings)
        && due <= now
    {
        return Step::Read(Source::Query);
    }
    let last = authoritative(gap, complete).map(|reading| reading.at).max();
    let jobs_at = match (last, available) {
        (Some(last), _) => last.plus(timings.read_spacing),
        (None, Some(available)) if available >= complete => now,
        (None, _) => last_jobs(gap).map_or(end.plus(timings.jobs_after), |tried| {
            end.plus(timings.jobs_after).max(tried.plus(timings.read_spacing))
        }),
    };
    if jobs_at <= now {
        return Step::Read(Source::Jobs);
    }
    let query_at = query_due(gap, end, timings);
    Step::Wait(query_at.map_or(jobs_at, |at| at.min(jobs_at)))
}

/// Whether the platform's history knows the facts of a topic class.
#[must_use]
pub fn has_history(class: &str) -> bool {
    class == DIRECT || TopicClass::of(class) != TopicClass::Other
}

/// Whether two readings agree although history does not call itself complete yet: probably repaired.
#[must_use]
pub fn is_provisional(gap: &Gap) -> bool {
    let queries: Vec<&Reading> =
        gap.repair.reads.iter().filter(|reading| reading.source == Source::Query).collect();
    matches!(queries.as_slice(), [.., a, b] if a.digest == b.digest && b.missing == 0)
}

/// When a gap will be closed, if history behaves as it usually does.
#[must_use]
pub fn expected_close(gap: &Gap, timings: &Timings) -> Option<Wall> {
    let usual = gap.to?.plus(timings.jobs_after);
    if gap.cause != GapCause::BeforeActivation {
        return Some(usual.plus(timings.read_spacing));
    }
    // long over when it is read first
    let read = gap.repair.reads.iter().map(|reading| reading.at).max();
    Some(usual.max(read.unwrap_or(gap.recorded_at)).plus(timings.read_spacing))
}

/// Readings of a history that called itself complete beyond the gap's end and the margin.
fn authoritative(gap: &Gap, complete: Wall) -> impl Iterator<Item = &Reading> {
    let beyond = move |reading: &&Reading| {
        reading.source == Source::Jobs && reading.complete_to.is_some_and(|to| to >= complete)
    };
    gap.repair.reads.iter().filter(beyond)
}

/// What the readings so far make of it, if they suffice.
pub(crate) fn verdict(gap: &Gap, complete: Wall, timings: &Timings) -> Option<Outcome> {
    let reads: Vec<&Reading> = authoritative(gap, complete).collect();
    let last = reads.last()?;
    if planted(Bug::CloseEarly) {
        return Some(Outcome::Reconciled);
    }
    let apart = |earlier: &&&Reading| earlier.at.plus(timings.read_spacing) <= last.at;
    let agrees = reads.iter().rev().skip(1).find(apart).is_some_and(|r| r.digest == last.digest);
    match (agrees, last.missing) {
        (true, 0) => Some(Outcome::Reconciled),
        (true, _) => Some(Outcome::Partial),
        (false, _) if reads.len() >= READS_AT_MOST => Some(Outcome::Partial),
        (false, _) => None,
    }
}

/// When the next query is due: the newest of its times that passed since the last one, or the next.
fn query_due(gap: &Gap, end: Wall, timings: &Timings) -> Option<Wall> {
    let queries = gap.repair.reads.iter().filter(|reading| reading.source == Source::Query);
    let last = queries.map(|reading| reading.at).max();
    timings
        .query_reads
        .iter()
        .map(|after| end.plus(*after))
        .find(|due| last.is_none_or(|l| l < *due))
}

fn last_jobs(gap: &Gap) -> Option<Wall> {
    let jobs = gap.repair.reads.iter().filter(|reading| reading.source == Source::Jobs);
    jobs.map(|reading| reading.at).max()
}

fn read_again(gap: &Gap, end: Wall, now: Wall, timings: &Timings) -> Step {
    match gap.repair.outcome {
        Some(Outcome::Covered | Outcome::LostDeclared) | None => return Step::Done,
        Some(Outcome::Reconciled | Outcome::Partial) => {}
    }
    let last = last_jobs(gap);
    let due = timings.late_reads.map(|after| end.plus(after));
    match due.into_iter().find(|due| last.is_none_or(|last| last < *due)) {
        Some(due) if due <= now => Step::Read(Source::Jobs),
        Some(due) => Step::Wait(due),
        None => Step::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GapId;
    use crate::ledger::Repair;

    const MIN: i64 = 60_000;
    const HOUR: i64 = 60 * MIN;
    const END: i64 = 1_000 * HOUR;

    fn gap() -> Gap {
        Gap {
            gap: GapId([1; 16]),
            class: "v2.routing.queues.{id}.conversations".to_owned(),
            topics: Vec::new(),
            from: Wall(END - MIN),
            to: Some(Wall(END)),
            cause: GapCause::Close,
            recorded_at: Wall(END),
            repair: Repair::default(),
        }
    }

    fn read(gap: &mut Gap, source: Source, at: i64, digest: &str, complete_to: Option<i64>) {
        gap.repair.reads.push(Reading {
            source,
            at: Wall(at),
            digest: digest.to_owned(),
            rows: 3,
            written: 0,
            complete_to: complete_to.map(Wall),
            missing: 0,
        });
    }

    fn next(gap: &Gap, available: Option<i64>, now: i64) -> Step {
        step(gap, available.map(Wall), Wall(now), &Timings::default())
    }

    #[test]
    fn a_gap_that_grows_is_not_read() {
        assert_eq!(next(&Gap { to: None, ..gap() }, None, END + HOUR), Step::Growing);
    }

    #[test]
    fn queries_come_after_five_minutes_half_an_hour_and_two_hours_and_close_nothing() {
        let mut gap = gap();
        assert_eq!(next(&gap, None, END), Step::Wait(Wall(END + 5 * MIN)));
        for (due, wait) in [(5 * MIN, 30 * MIN), (30 * MIN, 2 * HOUR), (2 * HOUR, 26 * HOUR)] {
            assert_eq!(next(&gap, None, END + due), Step::Read(Source::Query));
            read(&mut gap, Source::Query, END + due + 1, "same", None);
            assert_eq!(next(&gap, None, END + due + 1), Step::Wait(Wall(END + wait)));
        }
        assert!(is_provisional(&gap));
        assert_eq!(expected_close(&gap, &Timings::default()), Some(Wall(END + 27 * HOUR)));
    }

    #[test]
    fn whoever_comes_late_queries_once_and_not_three_times() {
        let mut gap = gap();
        assert_eq!(next(&gap, None, END + 3 * HOUR), Step::Read(Source::Query));
        read(&mut gap, Source::Query, END + 3 * HOUR, "x", None);
        assert_eq!(next(&gap, None, END + 3 * HOUR), Step::Wait(Wall(END + 26 * HOUR)));
    }

    #[test]
    fn two_equal_readings_of_complete_history_an_hour_apart_close_it_and_nothing_else_does() {
        let mut gap = gap();
        let late = END + 7 * HOUR;
        read(&mut gap, Source::Query, END + 3 * HOUR, "a", None);
        // history is available up to the gap's end, but not beyond the margin
        assert_eq!(next(&gap, Some(END + MIN), late), Step::Wait(Wall(END + 26 * HOUR)));
        assert_eq!(next(&gap, Some(END + 5 * MIN), late), Step::Read(Source::Jobs));
        read(&mut gap, Source::Jobs, late, "a", Some(END + MIN)); // it says so itself
        assert_eq!(next(&gap, Some(END + 5 * MIN), late + 1), Step::Read(Source::Jobs));
        read(&mut gap, Source::Jobs, late + 2, "a", Some(END + 5 * MIN));
        assert_eq!(next(&gap, Some(END + HOUR), late + 3), Step::Wait(Wall(late + 2 + HOUR)));
        assert_eq!(next(&gap, Some(END + HOUR), late + 2 + HOUR), Step::Read(Source::Jobs));
        read(&mut gap, Source::Jobs, late + 2 + HOUR, "b", Some(END + HOUR));
        assert_eq!(next(&gap, None, late + 2 + 2 * HOUR), Step::Read(Source::Jobs), "they differ");
        read(&mut gap, Source::Jobs, late + 2 + 2 * HOUR, "b", Some(END + HOUR));
        assert_eq!(next(&gap, None, late + 3 * HOUR), Step::Close(Outcome::Reconciled));
    }

    #[test]
    fn history_that_does_not_settle_or_does_not_show_what_is_known_makes_it_partial() {
        let mut restless = gap();
        for (n, digest) in ["a", "b", "c", "d"].iter().enumerate() {
            let at = END + (26 + i64::try_from(n).unwrap()) * HOUR;
            read(&mut restless, Source::Jobs, at, digest, Some(END + HOUR));
        }
        assert_eq!(next(&restless, None, END + 40 * HOUR), Step::Close(Outcome::Partial));
        let mut incomplete = gap();
        for at in [26, 27] {
            read(&mut incomplete, Source::Jobs, END + at * HOUR, "a", Some(END + HOUR));
        }
        incomplete.repair.reads[1].missing = 1;
        assert_eq!(next(&incomplete, None, END + 28 * HOUR), Step::Close(Outcome::Partial));
    }

    #[test]
    fn what_has_no_history_or_lies_beyond_it_is_declared_lost() {
        let presence = Gap { class: "v2.users.{id}.presence".to_owned(), ..gap() };
        assert_eq!(next(&presence, None, END), Step::Close(Outcome::LostDeclared));
        assert_eq!(next(&gap(), None, END + 31 * 24 * HOUR), Step::Close(Outcome::LostDeclared));
    }

    #[test]
    fn a_closed_gap_is_read_again_after_fifty_and_seventy_two_hours() {
        let mut gap = gap();
        gap.repair.outcome = Some(Outcome::Reconciled);
        read(&mut gap, Source::Jobs, END + 27 * HOUR, "a", Some(END + HOUR));
        assert_eq!(next(&gap, None, END + 30 * HOUR), Step::Wait(Wall(END + 50 * HOUR)));
        assert_eq!(next(&gap, None, END + 50 * HOUR), Step::Read(Source::Jobs));
        read(&mut gap, Source::Jobs, END + 50 * HOUR, "a", Some(END + HOUR));
        assert_eq!(next(&gap, None, END + 72 * HOUR), Step::Read(Source::Jobs));
        read(&mut gap, Source::Jobs, END + 72 * HOUR, "a", Some(END + HOUR));
        assert_eq!(next(&gap, None, END + 73 * HOUR), Step::Done);
    }
}
