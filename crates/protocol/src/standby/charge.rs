//! For which shards this replica speaks: those that are its turn, once it has read what others said before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::Mono;

/// A barrier that has not come back by then is written again: it may have been compacted away.
const AGAIN: Duration = Duration::from_secs(30);

/// Takes shards over behind a barrier. A replica whose reader lags believes others dead, and knows less than
/// they said; it would record gaps as open that they have closed.
#[derive(Debug, Default)]
pub struct Charge {
    held: BTreeSet<u16>,
    /// Shards whose turn it is, by the barrier that is waited for.
    asked: BTreeMap<u16, (u64, Mono)>,
    barriers: u64,
}

impl Charge {
    /// Everything was just read: these are held at once.
    #[must_use]
    pub fn after_reading(turns: BTreeSet<u16>) -> Self {
        Self { held: turns, ..Self::default() }
    }

    /// It is the turn of these shards now. Returns the barriers to write: shard and number, which is never
    /// 0 and never used twice.
    pub fn turns(&mut self, turns: &BTreeSet<u16>, now: Mono) -> Vec<(u16, u64)> {
        self.held.retain(|shard| turns.contains(shard));
        self.asked.retain(|shard, _| turns.contains(shard));
        let mut barriers = Vec::new();
        for shard in turns.difference(&self.held) {
            if self.asked.get(shard).is_some_and(|(_, at)| now.since(*at) < AGAIN) {
                continue;
            }
            self.barriers += 1;
            self.asked.insert(*shard, (self.barriers, now));
            barriers.push((*shard, self.barriers));
        }
        barriers
    }

    /// A barrier came back. Whether a shard is held by that.
    pub fn read(&mut self, barrier: u64) -> bool {
        let shard = self.asked.iter().find(|(_, (number, _))| *number == barrier);
        let Some(shard) = shard.map(|(shard, _)| *shard) else { return false };
        self.asked.remove(&shard);
        self.held.insert(shard)
    }

    /// Whether this replica speaks for the shard.
    #[must_use]
    pub fn holds(&self, shard: u16) -> bool {
        self.held.contains(&shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono(5_000);

    #[test]
    fn a_shard_is_taken_over_once_its_barrier_is_read_and_never_by_an_older_one() {
        let set = |shards: &[u16]| shards.iter().copied().collect::<BTreeSet<u16>>();
        let mut charge = Charge::after_reading(set(&[1]));
        assert!(charge.holds(1));
        assert_eq!(charge.turns(&set(&[1, 2]), NOW), [(2, 1)]);
        assert!(!charge.holds(2));
        assert_eq!(charge.turns(&set(&[1, 2]), NOW), [], "one barrier at a time");
        assert_eq!(charge.turns(&set(&[1]), NOW), [], "the other one lives after all");
        assert_eq!(charge.turns(&set(&[1, 2]), NOW), [(2, 2)]);
        assert!(!charge.read(1), "others may have spoken behind it");
        assert!(!charge.holds(2));
        assert!(charge.read(2) && charge.holds(2));
        assert!(!charge.read(2), "once");
        assert_eq!(charge.turns(&set(&[2]), NOW), []);
        assert!(!charge.holds(1), "another one's turn");
    }

    #[test]
    fn a_barrier_that_does_not_come_back_is_written_again() {
        let turns = BTreeSet::from([7]);
        let mut charge = Charge::default();
        assert_eq!(charge.turns(&turns, NOW), [(7, 1)]);
        assert_eq!(charge.turns(&turns, NOW + AGAIN / 2), []);
        assert_eq!(charge.turns(&turns, NOW + AGAIN), [(7, 2)]);
        assert!(charge.read(2) && charge.holds(7));
    }
}
