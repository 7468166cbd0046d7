//! A range of time read from history on request: what of it can be read, in which parts, at what
//! price, and what a row of it means.
//!
//! ```text
//! range   from ├──── jobs: a slice a day ────┤ complete up to here ├─ queries: a day each ─┤ to
//! queries go by the day on which conversations started, so they begin a look-back earlier
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reading::{DAY_MS, PAGE, RESULTS, days, slices};
use super::{Have, Row};
use crate::budget::Budget;
use crate::domain::{Interval, IntervalSet, Mono, Wall};
use crate::ledger::Source;
use crate::timings::Timings;

/// Why a range cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It ends later than now.
    Future,
    /// It begins before this, and history does not reach back further.
    TooOld(Wall),
    /// It begins after this, and what is newer still changes.
    TooFresh(Wall),
}

/// What of a range can be read: its end moves back to where history no longer shifts.
///
/// # Errors
/// When it begins or ends where history has nothing to say.
pub fn readable(range: Interval, now: Wall, timings: &Timings) -> Result<Interval, Unreadable> {
    let oldest = now.minus(timings.history_reach);
    let newest = now.minus(timings.query_settle);
    if range.to > now {
        return Err(Unreadable::Future);
    }
    if range.from < oldest {
        return Err(Unreadable::TooOld(oldest));
    }
    let range = Interval::new(range.from, range.to.min(newest));
    if range.is_empty() { Err(Unreadable::TooFresh(newest)) } else { Ok(range) }
}

/// What is read at once, and not again once it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// From which interface.
    pub source: Source,
    /// What is asked.
    pub window: Interval,
    /// What is wanted of the answer: conversations with activity here.
    pub about: Interval,
}

/// The parts of a range. `available` is up to when jobs are complete; parts that can only show what
/// is `proven` are left out.
#[must_use]
pub fn parts(
    range: Interval,
    available: Option<Wall>,
    proven: &IntervalSet,
    timings: &Timings,
) -> Vec<Part> {
    let border = available.map_or(range.from, |at| at.max(range.from).min(range.to));
    let is_new = |window: &Interval| {
        !proven.covers(Interval::new(window.from, window.to.plus(timings.margin)))
    };
    let old = slices(Interval::new(range.from, border));
    let jobs = old.into_iter().filter(is_new);
    let fresh = Interval::new(border, range.to);
    let queries = match fresh.is_empty() || !is_new(&fresh) {
        true => Vec::new(),
        false => days(Interval::new(fresh.from.minus(timings.query_lookback), fresh.to)),
    };
    let jobs = jobs.map(|window| Part { source: Source::Jobs, window, about: window });
    let queries = queries.into_iter().map(|day| {
        // a query shows every day that it touches, and midnight is the next one's
        let midnight = day.to.0.rem_euclid(DAY_MS) == 0;
        let to = if midnight { day.to.minus(Duration::from_millis(1)) } else { day.to };
        Part { source: Source::Query, window: Interval::new(day.from, to), about: fresh }
    });
    jobs.chain(queries).collect()
}

/// What reading costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Requests.
    pub requests: u64,
    /// How long they take within the budget.
    pub time: Duration,
}

/// A job is submitted, and looked at so often until it is done (assumed: some take a minute).
const LOOKS: u64 = 5;

/// What reading parts costs when they hold so many conversations in all, under a limit of requests
/// per minute. More conversations need more pages.
#[must_use]
pub fn estimate(parts: &[Part], conversations: u64, limit: u32) -> Estimate {
    let each = conversations.div_ceil(parts.len().max(1) as u64);
    let cost = |part: &Part| match part.source {
        Source::Jobs => 1 + LOOKS + each.div_ceil(RESULTS as u64).max(1),
        Source::Query => each.div_ceil(PAGE as u64).max(1),
    };
    let requests = parts.iter().map(cost).sum();
    let mut budget = Budget::new(limit, 1, Mono(0));
    let mut now = Mono(0);
    for _ in 0..requests {
        if !budget.take(0.0, now) {
            now = budget.next_at(0.0);
            budget.take(0.0, now);
        }
    }
    Estimate { requests, time: now.since(Mono(0)) }
}

/// What a row means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing of it happened in the time that is asked about.
    Outside,
    /// All of it was heard: sockets prove the time from its start to its end.
    Proven,
    /// Whoever asks has it.
    Present,
    /// Whoever asks lacks it.
    Missing,
}

/// Tells what rows mean.
#[derive(Clone, Debug)]
pub struct Judge {
    /// What is proven; only conversations within it are left out.
    pub proven: IntervalSet,
    /// What whoever asks has.
    pub have: Have,
    /// Longest delay between an occurrence and its notification.
    pub margin: Duration,
}

impl Judge {
    /// What a row means of which activity within `about` is asked.
    #[must_use]
    pub fn judge(&self, row: &Row<'_>, about: Interval) -> Verdict {
        let start = row.start.or_else(|| row.marks.iter().filter_map(|mark| mark.from).min());
        let heard = |(start, end): (Wall, Wall)| {
            self.proven.covers(Interval::new(start, end.plus(self.margin)))
        };
        match () {
            () if !row.is_active(about) => Verdict::Outside,
            () if self.have.contains(&row.conversation) => Verdict::Present,
            () if start.zip(row.end).is_some_and(heard) => Verdict::Proven,
            () => Verdict::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    const NOW: i64 = 100 * DAY;

    fn at(from: i64, to: i64) -> Interval {
        Interval::new(Wall(from), Wall(to))
    }

    #[test]
    fn a_range_is_read_as_far_as_history_stands_still() {
        let read = |from, to| readable(at(from, to), Wall(NOW), &Timings::default());
        assert_eq!(read(NOW - DAY, NOW - HOUR), Ok(at(NOW - DAY, NOW - HOUR)));
        assert_eq!(read(NOW - DAY, NOW), Ok(at(NOW - DAY, NOW - 60_000)));
        assert_eq!(read(NOW - DAY, NOW + 1), Err(Unreadable::Future));
        let oldest = Wall(NOW - 30 * DAY);
        assert_eq!(read(oldest.0, NOW), Ok(at(oldest.0, NOW - 60_000)));
        assert_eq!(read(oldest.0 - 1, NOW), Err(Unreadable::TooOld(oldest)));
        assert_eq!(read(NOW - 1_000, NOW), Err(Unreadable::TooFresh(Wall(NOW - 60_000))));
    }

    fn cut(
        range: Interval,
        available: Option<i64>,
        proven: &[Interval],
    ) -> Vec<(Source, i64, i64)> {
        let proven = proven.iter().copied().collect();
        let parts = parts(range, available.map(Wall), &proven, &Timings::default());
        let end = |part: &Part| part.window.to.plus(Duration::from_millis(1)).0 / HOUR;
        let shown = |part: &Part| (part.source, part.window.from.0 / HOUR, end(part));
        parts.iter().map(shown).collect()
    }

    #[test]
    fn what_jobs_hold_is_read_by_jobs_and_the_rest_by_queries_with_a_day_before_it() {
        let range = at(6 * HOUR, 60 * HOUR);
        let (jobs, query) = (Source::Jobs, Source::Query);
        assert_eq!(
            cut(range, Some(40 * HOUR), &[]),
            [(jobs, 6, 30), (jobs, 30, 40), (query, 0, 24), (query, 24, 48), (query, 48, 60)]
        );
        assert_eq!(
            cut(range, Some(99 * HOUR), &[]),
            [(jobs, 6, 30), (jobs, 30, 54), (jobs, 54, 60)]
        );
        assert_eq!(cut(at(25 * HOUR, 26 * HOUR), None, &[]), [(query, 0, 24), (query, 24, 26)]);
        assert_eq!(cut(at(25 * HOUR, 26 * HOUR), Some(0), &[]), [(query, 0, 24), (query, 24, 26)]);
    }

    #[test]
    fn a_query_touches_no_day_but_its_own_and_is_about_what_jobs_do_not_hold() {
        let (range, none) = (at(6 * HOUR, 48 * HOUR), IntervalSet::new());
        let all = parts(range, Some(Wall(40 * HOUR)), &none, &Timings::default());
        let queries: Vec<&Part> = all.iter().filter(|part| part.source == Source::Query).collect();
        let windows: Vec<Interval> = queries.iter().map(|part| part.window).collect();
        assert_eq!(windows, [at(0, DAY - 1), at(DAY, 2 * DAY - 1)]);
        assert!(queries.iter().all(|part| part.about == at(40 * HOUR, 48 * HOUR)));
        let jobs = all.iter().filter(|part| part.source == Source::Jobs);
        assert!(jobs.clone().count() == 2 && jobs.clone().all(|part| part.about == part.window));
    }

    #[test]
    fn parts_that_show_only_what_was_heard_are_not_read() {
        let range = at(0, 60 * HOUR);
        let all_but_the_first = [at(24 * HOUR, 61 * HOUR)];
        assert_eq!(cut(range, Some(40 * HOUR), &all_but_the_first), [(Source::Jobs, 0, 24)]);
        // a notification may come five minutes later, when nobody could hear it
        let short = [at(0, 60 * HOUR)];
        assert_eq!(cut(range, Some(99 * HOUR), &short), [(Source::Jobs, 48, 60)]);
        assert_eq!(cut(range, None, &[at(-HOUR, 70 * HOUR)]), []);
    }

    #[test]
    fn a_price_counts_pages_and_what_the_budget_lets_through() {
        let parts = parts(
            at(0, 60 * HOUR),
            Some(Wall(48 * HOUR)),
            &IntervalSet::new(),
            &Timings::default(),
        );
        assert_eq!(parts.len(), 2 + 2, "two days of jobs, two of queries");
        let none = estimate(&parts, 0, 300);
        assert_eq!((none.requests, none.time), (2 * 7 + 2, Duration::ZERO), "fits into one burst");
        let many = estimate(&parts, 50_000, 300);
        assert_eq!(many.requests, 2 * (1 + 5 + 25) + 2 * 125);
        // ninety at once, three a second from there on
        assert_eq!(many.time.as_secs(), (312 - 90) / 3);
    }

    #[test]
    fn a_row_is_left_out_only_when_all_of_it_was_heard_or_is_there() {
        const ID: &str = "00000000-0000-0000-0000-00000000000a";
        let mut have = Have::default();
        have.add(ID).expect("an id");
        let proven = IntervalSet::from(at(100, 900));
        let margin = Duration::from_millis(100);
        let judge = Judge { proven, have, margin };
        let verdict = |conversation: &'static str, start, end: Option<i64>| {
            let (start, end) = (Some(Wall(start)), end.map(Wall));
            let row = Row { conversation: conversation.into(), start, end, marks: Vec::new() };
            judge.judge(&row, at(0, 1_000))
        };
        assert_eq!(verdict("c", 100, Some(800)), Verdict::Proven);
        assert_eq!(verdict("c", 99, Some(800)), Verdict::Missing);
        assert_eq!(verdict("c", 100, Some(801)), Verdict::Missing, "its end may have come late");
        assert_eq!(verdict("c", 100, None), Verdict::Missing);
        assert_eq!(verdict(ID, 0, None), Verdict::Present);
        assert_eq!(verdict(ID, 1_001, None), Verdict::Outside);
    }
}
