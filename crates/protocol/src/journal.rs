//! The order in which events are kept, and how much of it is durable from the beginning on.
//!
//! Whatever is kept gets the next number. Acknowledgements come in any order; what a claim may rest
//! on is the prefix without a hole. A duplicate rests on the number of the copy that was kept, so it
//! keeps its obligation at no cost (I5): it is durable when that copy is.

use std::collections::VecDeque;

/// Numbers what is kept, from 0.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// Everything below is durable.
    durable_below: u64,
    /// From there on: what is durable out of order.
    done: VecDeque<bool>,
}

/// The first number that is given away; smaller ones are of what was durable before anything was kept.
pub const FIRST: u64 = 1;

impl Journal {
    /// Nothing is kept yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on after the numbers of an earlier process.
    #[must_use]
    pub fn starting_at(number: u64) -> Self {
        Self { durable_below: number, done: VecDeque::new() }
    }

    /// The number of what is kept next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.durable_below + self.done.len() as u64
    }

    /// Keeps something; returns its number.
    pub fn keep(&mut self) -> u64 {
        let number = self.next();
        self.done.push_back(false);
        number
    }

    /// What was kept under this number is durable. Saying so twice is harmless.
    pub fn durable(&mut self, number: u64) {
        let Some(index) = number.checked_sub(self.durable_below) else {
            return;
        };
        if let Some(done) = usize::try_from(index).ok().and_then(|index| self.done.get_mut(index)) {
            *done = true;
        }
        while self.done.front() == Some(&true) {
            self.done.pop_front();
            self.durable_below += 1;
        }
    }

    /// Everything kept under a smaller number is durable.
    #[must_use]
    pub fn durable_below(&self) -> u64 {
        self.durable_below
    }

    /// Whether this very number is durable.
    #[must_use]
    pub fn is_durable(&self, number: u64) -> bool {
        match number.checked_sub(self.durable_below) {
            None => true,
            Some(index) => {
                usize::try_from(index).ok().and_then(|index| self.done.get(index)) == Some(&true)
            }
        }
    }

    /// How many are kept and not durable, or durable behind one that is not.
    #[must_use]
    pub fn open(&self) -> usize {
        self.done.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_ends_before_the_first_hole() {
        let mut journal = Journal::starting_at(10);
        let numbers: Vec<u64> = (0..4).map(|_| journal.keep()).collect();
        assert_eq!(numbers, [10, 11, 12, 13]);
        for number in [13, 11, 11, 99, 3] {
            journal.durable(number);
        }
        assert_eq!(journal.durable_below(), 10);
        assert!(journal.is_durable(11) && !journal.is_durable(12) && journal.is_durable(9));
        journal.durable(10);
        assert_eq!((journal.durable_below(), journal.open()), (12, 2));
        journal.durable(12);
        assert_eq!((journal.durable_below(), journal.open(), journal.next()), (14, 0, 14));
    }
}
