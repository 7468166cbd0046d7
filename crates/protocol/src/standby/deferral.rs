//! What is held for a primary, and up to where it may be written by somebody else.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::Mono;

/// Durations of a deferral.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeferralTimings {
    /// T_defer: so long the primary may take.
    pub patience: Duration,
    /// At most so long after an outage the primary is left to work off what it holds.
    pub cap: Duration,
    /// How often is asked whether the topic is read to its end.
    pub ask_every: Duration,
}

impl Default for DeferralTimings {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(2),
            cap: Duration::from_secs(30),
            ask_every: Duration::from_millis(500),
        }
    }
}

/// Times of numbers, so far apart.
const MARK_EVERY: Duration = Duration::from_millis(100);
/// Answers that stay away so much longer than they are asked for are an outage.
const HOLE: u32 = 6;

/// The held events of a process, by their numbers in the journal.
#[derive(Clone, Debug)]
pub struct Deferral {
    timings: DeferralTimings,
    /// Numbers before this one are an earlier process's, held since the start.
    first: u64,
    started: Mono,
    /// Whether each number from `base` on is held.
    base: u64,
    held: VecDeque<bool>,
    count: usize,
    /// Smaller numbers were held before the time.
    marks: VecDeque<(Mono, u64)>,
    asked: Option<(u64, Mono)>,
    questions: u64,
    next_question: Mono,
    /// Everything that was in the topic then was read.
    horizon: Option<Mono>,
    /// Since when answers come without a hole.
    flowing: Option<(Mono, Since)>,
    /// When something was settled last that had waited longer than the patience.
    settled_late: Option<Mono>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Start,
    Outage,
}

impl Deferral {
    /// Nothing is held; numbers from `first` on will be.
    #[must_use]
    pub fn new(timings: DeferralTimings, first: u64, now: Mono) -> Self {
        Self {
            timings,
            first,
            started: now,
            base: first,
            held: VecDeque::new(),
            count: 0,
            marks: VecDeque::from([(now, first)]),
            asked: None,
            questions: 0,
            next_question: now,
            horizon: None,
            flowing: None,
            settled_late: None,
        }
    }

    /// The event with this number, the next one, was kept; whether it is held.
    pub fn kept(&mut self, number: u64, held: bool, now: Mono) {
        while self.base + (self.held.len() as u64) < number {
            self.held.push_back(false);
        }
        self.held.push_back(held);
        self.count += usize::from(held);
        if held && self.marks.back().is_none_or(|(at, _)| *at + MARK_EVERY <= now) {
            self.marks.push_back((now, number));
        }
        self.shrink();
    }

    /// Whether the event with this number is held.
    #[must_use]
    pub fn is_held(&self, number: u64) -> bool {
        let index = number.checked_sub(self.base).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.held.get(index)) == Some(&true)
    }

    /// How many are held.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The oldest one that is held.
    #[must_use]
    pub fn oldest(&self) -> Option<u64> {
        let index = self.held.iter().position(|held| *held)?;
        Some(self.base + index as u64)
    }

    /// It was seen in the topic: it is held no more.
    pub fn seen(&mut self, number: u64, now: Mono) {
        if self.let_go(number) {
            let late = self.marks.iter().find(|(_, from)| *from > number);
            if late.is_some_and(|(at, _)| *at + self.timings.patience < now) {
                self.settled_late = Some(now);
            }
            self.shrink();
        }
    }

    /// This process writes it: it is held no more.
    pub fn written(&mut self, number: u64) {
        self.let_go(number);
        self.shrink();
    }

    fn let_go(&mut self, number: u64) -> bool {
        if !self.is_held(number) {
            return false;
        }
        let index = (number - self.base) as usize;
        if let Some(held) = self.held.get_mut(index) {
            *held = false;
        }
        self.count -= 1;
        true
    }

    fn shrink(&mut self) {
        while self.held.front() == Some(&false) {
            self.held.pop_front();
            self.base += 1;
        }
        // one mark at or below the base is needed to know the age of what follows it
        while self.marks.get(1).is_some_and(|(_, from)| *from <= self.base) {
            self.marks.pop_front();
        }
    }

    /// When [`Self::question`] has something to ask.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.asked.is_none().then_some(self.next_question)
    }

    /// The number of a question to ask of the topic: "tell me when what is in you now was read".
    pub fn question(&mut self, now: Mono) -> Option<u64> {
        if self.asked.is_some() || now < self.next_question {
            return None;
        }
        self.questions += 1;
        let next = self.base + self.held.len() as u64;
        if self.marks.back().is_none_or(|(_, from)| *from < next) {
            self.marks.push_back((now, next)); // nothing newer need come to tell their age
        }
        self.asked = Some((self.questions, now));
        Some(self.questions)
    }

    /// Everything that was in the topic when this was asked has been read.
    pub fn answered(&mut self, question: u64, now: Mono) {
        let Some((_, asked)) = self.asked.take_if(|(number, _)| *number == question) else {
            return;
        };
        self.next_question = (asked + self.timings.ask_every).max(now);
        let hole = asked + self.timings.ask_every * HOLE <= now;
        self.flowing = match (self.flowing, hole) {
            (None, _) => Some((now, Since::Start)),
            (Some(_), true) => Some((now, Since::Outage)),
            (flowing @ Some(_), false) => flowing,
        };
        self.horizon = Some(asked);
    }

    /// Held events with smaller numbers may be written now: the topic was read to its end after
    /// their time was over, and the primary is not about to catch up.
    #[must_use]
    pub fn writable_below(&self, now: Mono) -> u64 {
        let (Some(horizon), Some((since, why))) = (self.horizon, self.flowing) else { return 0 };
        let DeferralTimings { patience, cap, .. } = self.timings;
        let catching_up = match why {
            Since::Start => false,
            Since::Outage => now < since + patience,
        } || self.settled_late.is_some_and(|at| now < at + patience);
        if catching_up && now < since + cap {
            return 0;
        }
        let over = self.marks.iter().rev().find(|(at, _)| *at + patience <= horizon);
        // marks move on with what is seen, however long an earlier process's have waited
        let earlier = (self.started + patience <= horizon).then_some(self.first);
        over.map(|(_, from)| *from).max(earlier).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
