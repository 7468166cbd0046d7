//! When events were heard, coarsely: what the oldest open one is asked for once a second.

use std::collections::VecDeque;

use crate::domain::Wall;

/// Marks along the log, at most [`MOST`]. Events between two marks count as old as the first.
#[derive(Clone, Debug)]
pub(super) struct Ages {
    marks: VecDeque<(u64, Wall)>,
    /// Milliseconds between two marks; doubled when there are too many.
    step: i64,
}

const STEP_MS: i64 = 1_000;
/// An answer is early by less than a second, or a five-hundredth of the longest backlog.
const MOST: usize = 1_024;

impl Default for Ages {
    fn default() -> Self {
        Self { marks: VecDeque::new(), step: STEP_MS }
    }
}

impl Ages {
    /// The event with this index was heard then; indices only ever go up.
    pub(super) fn heard(&mut self, index: u64, at: Wall) {
        if self.marks.back().is_some_and(|(_, last)| (at.0 - last.0).abs() < self.step) {
            return;
        }
        if self.marks.len() >= MOST {
            self.step *= 2;
            let mut nth = 0_usize;
            self.marks.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
        }
        self.marks.push_back((index, at));
    }

    /// Nothing before this index is asked for again.
    pub(super) fn settled(&mut self, below: u64) {
        while self.marks.get(1).is_some_and(|(index, _)| *index <= below) {
            self.marks.pop_front();
        }
        if self.marks.len() < MOST / 4 {
            self.step = STEP_MS;
        }
    }

    /// Since when the oldest one that may be asked for waits.
    pub(super) fn oldest(&self) -> Option<Wall> {
        self.marks.front().map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_events_takes_bounded_room_and_is_told_to_a_five_hundredth() {
        let mut ages = Ages::default();
        let day = 86_400_000;
        (0..day / 100).for_each(|n| ages.heard(n, Wall(n.cast_signed() * 100)));
        assert!(ages.marks.len() <= MOST && ages.marks.capacity() <= 2 * MOST);
        for below in [0, 1, 400_000, 863_999] {
            ages.settled(below);
            let behind = below.cast_signed() * 100 - ages.oldest().expect("events wait").0;
            assert!((0..day.cast_signed() / 500).contains(&behind), "{below}: {behind} ms");
        }
    }

    #[test]
    fn after_a_backlog_it_is_told_to_a_second_again() {
        let mut ages = Ages::default();
        (0..5_000).for_each(|n| ages.heard(n, Wall(n.cast_signed() * 1_000)));
        assert!(ages.step > STEP_MS);
        ages.settled(5_000);
        ages.heard(5_000, Wall(5_000_000));
        ages.settled(5_000);
        assert_eq!(ages.oldest(), Some(Wall(5_000_000)));
        assert_eq!(ages.step, STEP_MS);
    }
}
