//! Which numbers still have to be sent.

use super::ages::Ages;
use crate::domain::Wall;
use crate::journal::Journal;

/// Numbers in their order, which may run past the last one to 0.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    base: u64,
    /// Counts from `base`.
    journal: Journal,
    ages: Ages,
}

/// Numbers that may be missing between two events; more is no number of this log.
const LEAP: u64 = 1 << 26;

impl Settled {
    /// `next` is the number of the next event.
    pub(super) fn starting_at(next: u64) -> Self {
        Self { base: next, journal: Journal::new(), ages: Ages::default() }
    }

    /// An event heard then is in the log. What is missing before it is nobody's to send. Says
    /// whether the number can follow those before it.
    pub(super) fn event(&mut self, number: u64, heard: Wall) -> bool {
        let missing = number.wrapping_sub(self.next());
        if missing > LEAP {
            return false;
        }
        for _ in 0..missing {
            let skipped = self.journal.keep();
            self.journal.durable(skipped);
        }
        let index = self.journal.keep();
        self.ages.heard(index, heard);
        true
    }

    /// Kafka acknowledged it; a number that is unknown changes nothing.
    pub(super) fn acked(&mut self, number: u64) {
        self.journal.durable(number.wrapping_sub(self.base));
        self.ages.settled(self.journal.durable_below());
    }

    /// Whether it still has to be sent.
    pub(super) fn is_open(&self, number: u64) -> bool {
        let index = number.wrapping_sub(self.base);
        index < self.journal.next() && !self.journal.is_durable(index)
    }

    /// Whether it is one of the log's; a file from elsewhere may hold others.
    pub(super) fn contains(&self, number: u64) -> bool {
        number.wrapping_sub(self.base) < self.journal.next()
    }

    /// The number of the next event.
    pub(super) fn next(&self) -> u64 {
        self.base.wrapping_add(self.journal.next())
    }

    /// Everything before it is settled.
    pub(super) fn below(&self) -> u64 {
        self.base.wrapping_add(self.journal.durable_below())
    }

    /// Whether `number` was settled below `below`, which is no newer than [`Self::next`].
    pub(super) fn is_before(&self, number: u64, below: u64) -> bool {
        number.wrapping_sub(self.base) < below.wrapping_sub(self.base)
    }

    /// When the oldest one that still has to be sent was heard, or a little before.
    pub(super) fn oldest_open(&self) -> Option<Wall> {
        self.ages.oldest().filter(|_| self.journal.open() > 0)
    }

    /// How many still have to be sent, or are settled behind one that has.
    pub(super) fn open(&self) -> usize {
        self.journal.open()
    }

    /// How many still have to be sent.
    pub(super) fn count_open(&self) -> usize {
        let open = self.journal.durable_below()..self.journal.next();
        open.filter(|&index| !self.journal.is_durable(index)).count()
    }
}
