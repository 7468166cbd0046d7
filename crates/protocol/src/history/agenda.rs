//! What to do about gaps next: one thing at a time, the most urgent first.
//!
//! ```text
//! close what the rules close ─► ask how far history is complete ─► read queries ─► read jobs ─► wait
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Recent, Scope, Wish, window};
use crate::domain::{GapId, Outcome, Wall};
use crate::gaps::{self, Step};
use crate::ledger::{self, Known, Source};
use crate::timings::Timings;

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Record that a gap is closed.
    Close(u16, GapId, Outcome),
    /// Ask history up to when it is complete.
    AskAvailability,
    /// Read history for these gaps.
    Read(Source, Vec<Wish>),
    /// Nothing before this; `None`: nothing until something is heard.
    Wait(Option<Wall>),
}

/// Knows what was done already, since the ledger hears of it later.
#[derive(Clone, Debug)]
pub struct Agenda {
    timings: Timings,
    available: Option<Wall>,
    asked_at: Option<Wall>,
    closed: BTreeMap<GapId, Outcome>,
    read_at: BTreeMap<GapId, Wall>,
    /// Conversations that history has to show, by gap; taken when the gap is first seen.
    expected: BTreeMap<GapId, Vec<String>>,
    failures: u32,
    again_at: Option<Wall>,
}

/// The ledger's answer is awaited at least so long.
const MOMENT: Duration = Duration::from_millis(500);
const AGAIN_CAP: u32 = 5;

impl Agenda {
    /// Nothing was done yet.
    #[must_use]
    pub fn new(timings: Timings) -> Self {
        Self {
            timings,
            available: None,
            asked_at: None,
            closed: BTreeMap::new(),
            read_at: BTreeMap::new(),
            expected: BTreeMap::new(),
            failures: 0,
            again_at: None,
        }
    }

    /// What to do now. `known` are the gaps that are not done, `error` that of the clock.
    pub fn next(&mut self, known: &[Known], recent: &Recent, error: Duration, now: Wall) -> Task {
        self.forget(known);
        self.expect(known, recent);
        let mut wait: Option<Wall> = None;
        let mut sooner = |at: Wall| wait = Some(wait.map_or(at, |known| known.min(at)));
        let mut reads: BTreeMap<Source, Vec<Wish>> = BTreeMap::new();
        let mut wants_word = false;
        for Known { shard, gap, topics } in known {
            if self.is_untold(gap) {
                sooner(now.plus(MOMENT));
                continue;
            }
            match gaps::step(gap, self.available, now, &self.timings) {
                Step::Close(outcome) => {
                    self.closed.insert(gap.gap, outcome);
                    return Task::Close(*shard, gap.gap, outcome);
                }
                Step::Read(source) => {
                    let Some(window) = window(gap, error, &self.timings) else { continue };
                    let expected = self.expected.get(&gap.gap).cloned().unwrap_or_default();
                    let scope = Scope::of(topics.iter().map(String::as_str));
                    let wish = Wish { shard: *shard, gap: gap.gap, window, scope, known: expected };
                    reads.entry(source).or_default().push(wish);
                }
                Step::Wait(at) => {
                    sooner(at);
                    wants_word |= self.waits_for_history(gap, now);
                }
                Step::Growing | Step::Done => {}
            }
        }
        if wants_word {
            let due = self.asked_at.map_or(now, |at| at.plus(self.timings.availability_look));
            if due <= now {
                self.asked_at = Some(now);
                return Task::AskAvailability;
            }
            sooner(due);
        }
        if let Some((source, wishes)) = reads.pop_first() {
            match self.again_at.filter(|at| *at > now) {
                None => return Task::Read(source, wishes),
                Some(at) => sooner(at),
            }
        }
        Task::Wait(wait)
    }

    /// History is complete up to here.
    pub fn available(&mut self, to: Option<Wall>) {
        self.available = self.available.max(to);
    }

    /// These gaps were read.
    pub fn read(&mut self, readings: &[(u16, GapId, ledger::Reading)]) {
        (self.failures, self.again_at) = (0, None);
        for (_, gap, reading) in readings {
            self.read_at.insert(*gap, reading.at);
            self.available(reading.complete_to);
        }
    }

    /// A reading failed; says when it is tried again.
    pub fn failed(&mut self, now: Wall) -> Wall {
        let wait = self.timings.read_again * 2_u32.pow(self.failures.min(AGAIN_CAP));
        self.failures += 1;
        let at = now.plus(wait);
        self.again_at = Some(at);
        at
    }

    /// The ledger does not show yet what was done about a gap.
    fn is_untold(&self, gap: &ledger::Gap) -> bool {
        let closed = self.closed.contains_key(&gap.gap) && gap.repair.outcome.is_none();
        let newest = gap.repair.reads.iter().map(|reading| reading.at).max();
        closed || self.read_at.get(&gap.gap).is_some_and(|at| newest < Some(*at))
    }

    /// Only history's word can move the gap on: its first authoritative reading is still to come.
    fn waits_for_history(&self, gap: &ledger::Gap, now: Wall) -> bool {
        let Some(end) = gap.to.filter(|_| gap.repair.outcome.is_none()) else { return false };
        let complete = end.plus(self.timings.margin);
        complete <= now && self.available.is_none_or(|available| available < complete)
    }

    /// Remembers what was heard shortly before a new gap. An event comes after it happened, so only
    /// what was heard within half the margin certainly happened within the whole.
    fn expect(&mut self, known: &[Known], recent: &Recent) {
        for Known { shard, gap, .. } in known {
            // part of a class: whose conversations were on these topics is not known
            if gap.topics.is_empty() && !self.expected.contains_key(&gap.gap) {
                let within = self.timings.margin / 2;
                let all = recent.around(*shard, &gap.class, gap.from, within);
                self.expected.insert(gap.gap, all);
            }
        }
    }

    fn forget(&mut self, known: &[Known]) {
        let open = |id: &GapId| known.iter().any(|known| known.gap.gap == *id);
        self.closed.retain(|id, _| open(id));
        self.read_at.retain(|id, _| open(id));
        self.expected.retain(|id, _| open(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GapCause;
    use crate::ledger::{Gap, Reading, Repair};

    const MIN: i64 = 60_000;
    const HOUR: i64 = 60 * MIN;
    const END: i64 = 1_000 * HOUR;

    fn known(id: u8) -> Known {
        let gap = Gap {
            gap: GapId([id; 16]),
            class: "v2.routing.queues.{id}.conversations".to_owned(),
            topics: Vec::new(),
            from: Wall(END - MIN),
            to: Some(Wall(END)),
            cause: GapCause::Close,
            recorded_at: Wall(END),
            repair: Repair::default(),
        };
        Known { shard: 0, gap, topics: vec!["v2.routing.queues.q.conversations".to_owned()] }
    }

    fn read(source: Source, at: i64, complete_to: Option<i64>) -> Reading {
        let complete_to = complete_to.map(Wall);
        let digest = "d".to_owned();
        Reading { source, at: Wall(at), digest, rows: 1, written: 1, complete_to, missing: 0 }
    }

    fn next(agenda: &mut Agenda, known: &[Known], now: i64) -> Task {
        agenda.next(known, &Recent::new(Duration::ZERO, 0), Duration::ZERO, Wall(now))
    }

    #[test]
    fn a_gap_is_read_and_closed_once_each_although_the_ledger_is_slow() {
        let mut agenda = Agenda::new(Timings::default());
        let mut all = [known(1), known(2)];
        let late = END + 30 * HOUR;
        assert_eq!(next(&mut agenda, &all, late), {
            Task::Read(Source::Query, reads(&mut agenda, &all, late))
        });
        let readings: Vec<_> =
            all.iter().map(|k| (0, k.gap.gap, read(Source::Query, late, None))).collect();
        agenda.read(&readings);
        assert!(matches!(next(&mut agenda, &all, late + 1), Task::Wait(Some(_))));
        for known in &mut all {
            known.gap.repair.reads.push(read(Source::Query, late, None));
        }
        assert!(matches!(next(&mut agenda, &all, late + 2), Task::Read(Source::Jobs, _)));
        for known in &mut all {
            for at in [late + 3, late + 2 * HOUR] {
                known.gap.repair.reads.push(read(Source::Jobs, at, Some(END + HOUR)));
            }
        }
        let now = late + 2 * HOUR + 1;
        let closed: Vec<Task> = (0..2).map(|_| next(&mut agenda, &all, now)).collect();
        let closes = |id: u8| Task::Close(0, GapId([id; 16]), Outcome::Reconciled);
        assert_eq!(closed, [closes(1), closes(2)]);
        assert!(matches!(next(&mut agenda, &all, now), Task::Wait(Some(_))));
    }

    fn reads(agenda: &mut Agenda, known: &[Known], now: i64) -> Vec<Wish> {
        match next(agenda, known, now) {
            Task::Read(_, wishes) => wishes,
            Task::Close(..) | Task::AskAvailability | Task::Wait(_) => panic!("nothing to read"),
        }
    }

    #[test]
    fn history_is_asked_how_far_it_is_now_and_then_while_a_gap_waits_for_it() {
        let mut agenda = Agenda::new(Timings::default());
        let mut one = known(1);
        one.gap.repair.reads.push(read(Source::Query, END + 5 * MIN, None));
        let all = [one];
        assert_eq!(next(&mut agenda, &all, END + 6 * MIN), Task::AskAvailability);
        let again = Wall(END + 21 * MIN);
        assert_eq!(next(&mut agenda, &all, END + 6 * MIN), Task::Wait(Some(again)));
        agenda.available(Some(Wall(END + 6 * MIN)));
        assert!(matches!(next(&mut agenda, &all, again.0), Task::Read(Source::Jobs, _)));
    }

    #[test]
    fn what_fails_is_tried_again_later_and_later() {
        let mut agenda = Agenda::new(Timings::default());
        let all = [known(1)];
        let mut now = END + 5 * MIN;
        let mut waits = Vec::new();
        for _ in 0..7 {
            assert!(matches!(next(&mut agenda, &all, now), Task::Read(..)));
            let at = agenda.failed(Wall(now));
            assert!(!matches!(next(&mut agenda, &all, at.0 - 1), Task::Read(..)));
            waits.push((at.0 - now) / MIN);
            now = at.0;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 32]);
    }
}
