//! Which request comes next in a reading of history, and when it has shown everything.
//!
//! ```text
//! query   day ─ page 1, 2, … until one is not full ─► fewer than announced: the day again ─► next day
//! jobs    slice ─ submit ─ state … fulfilled ─ results by cursor, to the last page ─► next slice
//! ```
//! Pages shift while data arrives, so rows are told apart by conversation within a part; a part that
//! shows less than it announced is read again, and never taken for the whole.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::{Interval, Wall};
use crate::identity::first_half;
use crate::ledger::Source;
use crate::timings::Timings;

/// The next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A page of the details query, from 1.
    Query {
        /// Conversations that started on a day it touches.
        interval: Interval,
        /// Which page.
        page: u32,
    },
    /// Start a details job.
    Submit {
        /// Conversations that were active in it.
        interval: Interval,
    },
    /// How far the job is, after waiting.
    State {
        /// Which.
        job: String,
        /// Wait so long before.
        after: Duration,
    },
    /// A page of a job's results.
    Results {
        /// Which.
        job: String,
        /// Where; `None` for the first page.
        cursor: Option<String>,
    },
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits or works.
    Running,
    /// Its results can be fetched.
    Fulfilled,
    /// It will have none: failed, cancelled, expired, or a word nobody knows.
    Over,
}

/// How a reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Everything that history showed was read. Jobs say up to when they are complete.
    Whole {
        /// The earliest such instant that any page named.
        complete_to: Option<Wall>,
    },
    /// History did not show what it announced, or a job failed; try again later.
    Cut(&'static str),
}

/// Rows per page of a query: what is in use everywhere.
pub const PAGE: usize = 100;
/// Rows per page of a job's results: few enough to be held at once.
pub const RESULTS: usize = 500;
/// A query shows no more than that.
const QUERY_CAP: u64 = 100_000;
/// So often a part that shows less than it announced is read in all.
const TRIES: u32 = 3;
/// A job that is not done after this many looks is given up.
const LOOKS: u32 = 400;
const LOOK_CAP: Duration = Duration::from_secs(30);
pub(super) const DAY_MS: i64 = 86_400_000;

/// Reads history over a window.
#[derive(Clone, Debug)]
pub struct Reading {
    source: Source,
    parts: Vec<Interval>,
    /// Conversations of the part at hand.
    shown: BTreeSet<[u8; 16]>,
    next: Option<Ask>,
    tries: u32,
    looks: u32,
    first_look: Duration,
    complete_to: Option<Wall>,
    finished: Option<Finished>,
    done_parts: usize,
}

impl Reading {
    /// Will read the window; a query begins a look-back earlier, since it goes by the day on which
    /// conversations started.
    #[must_use]
    pub fn new(source: Source, window: Interval, timings: &Timings) -> Self {
        let mut parts = match source {
            Source::Query => {
                days(Interval::new(window.from.minus(timings.query_lookback), window.to))
            }
            Source::Jobs => slices(window),
        };
        parts.reverse();
        let mut reading = Self {
            source,
            parts,
            shown: BTreeSet::new(),
            next: None,
            tries: 0,
            looks: 0,
            first_look: timings.job_look,
            complete_to: None,
            finished: None,
            done_parts: 0,
        };
        reading.begin();
        reading
    }

    /// The next request; `None` when it is finished.
    #[must_use]
    pub fn poll(&self) -> Option<&Ask> {
        self.next.as_ref()
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn finished(&self) -> Option<Finished> {
        self.finished
    }

    /// Parts read, and all of them: for showing progress.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.done_parts, self.done_parts + self.parts.len())
    }

    /// Whether a row is shown for the first time in the part at hand.
    pub fn is_new(&mut self, conversation: &str) -> bool {
        self.shown.insert(first_half(&blake3::hash(conversation.as_bytes())))
    }

    /// A page of a query was read: `rows` on it, `total` announced.
    pub fn page(&mut self, rows: usize, total: Option<u64>) {
        let Some(Ask::Query { interval, page }) = self.next.clone() else { return };
        if total.is_some_and(|total| total > QUERY_CAP) {
            return self.finish(Finished::Cut("a day holds more than a query shows"));
        }
        let full = rows >= PAGE && u64::from(page) * (PAGE as u64) < QUERY_CAP;
        if full {
            self.next = Some(Ask::Query { interval, page: page + 1 });
            return;
        }
        let shown = self.shown.len() as u64;
        // the announced number is approximate while data arrives
        let enough = total.is_none_or(|total| shown + 10 + total / 100 >= total);
        self.tries += 1;
        match (enough, self.tries < TRIES) {
            (true, _) => self.part_done(),
            (false, true) => self.next = Some(Ask::Query { interval, page: 1 }),
            (false, false) => self.finish(Finished::Cut("a query showed less than it announced")),
        }
    }

    /// A job was accepted.
    pub fn submitted(&mut self, job: String) {
        self.looks = 0;
        self.next = Some(Ask::State { job, after: self.first_look });
    }

    /// A job's state was read.
    pub fn state(&mut self, state: JobState) {
        let Some(Ask::State { job, .. }) = self.next.take() else { return };
        self.looks += 1;
        match state {
            JobState::Fulfilled => self.next = Some(Ask::Results { job, cursor: None }),
            JobState::Running if self.looks < LOOKS => {
                let after = self.first_look.saturating_mul(1 << self.looks.min(10));
                self.next = Some(Ask::State { job, after: after.min(LOOK_CAP) });
            }
            JobState::Running => self.finish(Finished::Cut("a job did not end")),
            JobState::Over => self.finish(Finished::Cut("a job ended without results")),
        }
    }

    /// A page of results was read. Without a cursor it was the last.
    pub fn results(&mut self, cursor: Option<String>, complete_to: Option<Wall>) {
        let Some(Ask::Results { job, cursor: at }) = self.next.take() else { return };
        self.complete_to = match (self.complete_to, complete_to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match cursor {
            Some(cursor) if Some(&cursor) == at.as_ref() => {
                self.finish(Finished::Cut("a job's pages do not advance"));
            }
            Some(cursor) => self.next = Some(Ask::Results { job, cursor: Some(cursor) }),
            None => self.part_done(),
        }
    }

    fn part_done(&mut self) {
        self.parts.pop();
        self.done_parts += 1;
        self.begin();
    }

    fn begin(&mut self) {
        self.shown.clear();
        self.tries = 0;
        match (self.parts.last().copied(), self.source) {
            (Some(interval), Source::Query) => self.next = Some(Ask::Query { interval, page: 1 }),
            (Some(interval), Source::Jobs) => self.next = Some(Ask::Submit { interval }),
            (None, _) => self.finish(Finished::Whole { complete_to: self.complete_to }),
        }
    }

    fn finish(&mut self, how: Finished) {
        self.next = None;
        self.finished = Some(how);
    }
}

/// The days (UTC) that a window touches.
pub(super) fn days(window: Interval) -> Vec<Interval> {
    let first = window.from.0 - window.from.0.rem_euclid(DAY_MS);
    cut(Wall(first), window.to)
}

/// Parts of at most a day, so that what has to be told apart stays bounded.
pub(super) fn slices(window: Interval) -> Vec<Interval> {
    cut(window.from, window.to)
}

fn cut(from: Wall, to: Wall) -> Vec<Interval> {
    let starts = (0..).map(|n| Wall(from.0 + n * DAY_MS)).take_while(|start| *start < to);
    starts.map(|start| Interval::new(start, Wall(start.0 + DAY_MS).min(to))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn reading(source: Source, from: i64, to: i64) -> Reading {
        let window = Interval::new(Wall(from), Wall(to));
        Reading::new(source, window, &Timings::default())
    }

    fn show(reading: &mut Reading, names: std::ops::Range<usize>) {
        names.for_each(|n| _ = reading.is_new(&n.to_string()));
    }

    #[test]
    fn a_query_reads_the_day_before_too_page_by_page() {
        let mut reading = reading(Source::Query, 10 * 24 * HOUR + HOUR, 10 * 24 * HOUR + 2 * HOUR);
        let Some(Ask::Query { interval, page: 1 }) = reading.poll().cloned() else { panic!() };
        assert_eq!(interval.from, Wall(9 * 24 * HOUR));
        show(&mut reading, 0..100);
        reading.page(100, Some(130));
        assert!(matches!(reading.poll(), Some(Ask::Query { page: 2, .. })));
        show(&mut reading, 100..130);
        reading.page(30, Some(130));
        let Some(Ask::Query { interval, page: 1 }) = reading.poll().cloned() else { panic!() };
        assert_eq!(interval.to, Wall(10 * 24 * HOUR + 2 * HOUR));
        reading.page(0, None);
        assert_eq!(reading.finished(), Some(Finished::Whole { complete_to: None }));
        assert_eq!(reading.progress(), (2, 2));
    }

    #[test]
    fn what_is_shown_short_of_what_was_announced_is_read_again_and_then_not_believed() {
        let mut reading = reading(Source::Query, 25 * HOUR, 26 * HOUR);
        for _ in 0..2 {
            show(&mut reading, 0..50);
            reading.page(50, Some(90));
            assert!(matches!(reading.poll(), Some(Ask::Query { page: 1, .. })));
        }
        reading.page(50, Some(90));
        assert!(matches!(reading.finished(), Some(Finished::Cut(_))));
    }

    #[test]
    fn a_job_is_waited_for_longer_and_longer_and_read_to_its_last_page() {
        let mut reading = reading(Source::Jobs, 0, HOUR);
        assert!(matches!(reading.poll(), Some(Ask::Submit { .. })));
        reading.submitted("j".to_owned());
        let mut waits = Vec::new();
        for _ in 0..7 {
            let Some(Ask::State { after, .. }) = reading.poll() else { panic!() };
            waits.push(after.as_secs());
            reading.state(JobState::Running);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        reading.state(JobState::Fulfilled);
        assert!(reading.is_new("c") && !reading.is_new("c"));
        reading.results(Some("next".to_owned()), Some(Wall(9)));
        assert!(matches!(reading.poll(), Some(Ask::Results { cursor: Some(_), .. })));
        reading.results(None, Some(Wall(8)));
        assert_eq!(reading.finished(), Some(Finished::Whole { complete_to: Some(Wall(8)) }));
    }

    #[test]
    fn jobs_that_end_without_results_or_turn_in_circles_cut_the_reading() {
        let mut over = reading(Source::Jobs, 0, HOUR);
        over.submitted("j".to_owned());
        over.state(JobState::Over);
        assert!(matches!(over.finished(), Some(Finished::Cut(_))));
        let mut circle = reading(Source::Jobs, 0, HOUR);
        circle.submitted("j".to_owned());
        circle.state(JobState::Fulfilled);
        circle.results(Some("a".to_owned()), None);
        circle.results(Some("a".to_owned()), None);
        assert!(matches!(circle.finished(), Some(Finished::Cut(_))));
    }

    #[test]
    fn long_windows_are_read_in_parts_of_a_day() {
        let mut reading = reading(Source::Jobs, 0, 50 * HOUR);
        let mut parts = Vec::new();
        while let Some(Ask::Submit { interval }) = reading.poll().cloned() {
            parts.push((interval.from.0 / HOUR, interval.to.0 / HOUR));
            reading.submitted("j".to_owned());
            reading.state(JobState::Fulfilled);
            reading.results(None, None);
        }
        assert_eq!(parts, [(0, 24), (24, 48), (48, 50)]);
    }
}
