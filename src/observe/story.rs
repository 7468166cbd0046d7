//! What the status page draws of the past: how channels went, and what may be said of each piece of time.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use trunkline_protocol::domain::{EndReason, EpochId, Wall};
use trunkline_protocol::strip::Cell;

/// From here on a channel was so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Whether it was live.
    pub live: bool,
    /// The coverage in force then.
    pub epoch: Option<EpochId>,
    /// Why the last socket before had ended.
    pub reason: Option<EndReason>,
}

/// The newest turns of a channel, oldest first.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Story(VecDeque<Turn>);

/// Turns that are remembered of each channel.
const TURNS: usize = 64;

impl Story {
    /// The channel is so now; what is no news is passed over.
    pub(super) fn goes_on(&mut self, turn: Turn) {
        let last = self.0.back();
        if last.is_some_and(|last| (last.live, last.epoch) == (turn.live, turn.epoch)) {
            return;
        }
        // attempts on the way to the next live socket are one stretch
        if !turn.live && last.is_some_and(|last| !last.live) {
            return;
        }
        if self.0.len() == TURNS {
            self.0.pop_front();
        }
        self.0.push_back(turn);
    }

    /// Its turns, oldest first.
    pub fn turns(&self) -> impl DoubleEndedIterator<Item = &Turn> {
        self.0.iter()
    }
}

/// What may be said of the last hours and minutes, by shard.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Past {
    /// When it was looked at; milliseconds since 1970.
    pub at: Wall,
    /// Hours, oldest first.
    pub hours: BTreeMap<u16, Vec<Cell>>,
    /// Minutes, oldest first.
    pub minutes: BTreeMap<u16, Vec<Cell>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(at_ms: i64, live: bool, epoch: u8) -> Turn {
        Turn { at_ms, live, epoch: Some(EpochId([epoch; 16])), reason: None }
    }

    #[test]
    fn attempts_are_one_stretch_and_another_epoch_is_news() {
        let mut story = Story::default();
        for next in [turn(1, false, 0), turn(2, false, 1), turn(3, true, 1), turn(4, true, 1)] {
            story.goes_on(next);
        }
        story.goes_on(turn(5, true, 2));
        let at: Vec<i64> = story.turns().map(|turn| turn.at_ms).collect();
        assert_eq!(at, [1, 3, 5]);
    }

    #[test]
    fn only_the_newest_are_remembered() {
        let mut story = Story::default();
        (0..200).for_each(|n| story.goes_on(turn(n, n % 2 == 0, 0)));
        assert_eq!(story.turns().count(), TURNS);
        assert_eq!(story.turns().next_back().map(|turn| turn.at_ms), Some(199));
    }
}
