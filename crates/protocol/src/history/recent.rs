//! Conversations heard a short while ago: what history has to show of the time around a gap.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::Wall;

/// When a conversation was heard on topics of one class of one shard.
#[derive(Clone, Copy, Debug)]
struct Heard {
    first: Wall,
    last: Wall,
}

/// Remembers conversations for a while, a bounded number of them: it helps to find out that history
/// is incomplete, and nothing is lost when it forgets.
#[derive(Debug)]
pub struct Recent {
    keep: Duration,
    cap: usize,
    heard: BTreeMap<(u16, String), HashMap<Box<str>, Heard>>,
    count: usize,
    newest: Wall,
    pruned_at: Wall,
}

impl Recent {
    /// Remembers for so long, at most `cap` conversations.
    #[must_use]
    pub fn new(keep: Duration, cap: usize) -> Self {
        let never = Wall(i64::MIN);
        Self { keep, cap, heard: BTreeMap::new(), count: 0, newest: never, pruned_at: never }
    }

    /// A record of a conversation was read.
    pub fn heard(&mut self, shard: u16, class: &str, conversation: &str, at: Wall) {
        self.newest = self.newest.max(at);
        if at < self.newest.minus(self.keep) {
            return;
        }
        if self.count >= self.cap || self.pruned_at < self.newest.minus(self.keep / 4) {
            self.prune();
        }
        let there = self.heard.entry((shard, class.to_owned())).or_default();
        match there.get_mut(conversation) {
            Some(heard) => {
                heard.first = heard.first.min(at);
                heard.last = heard.last.max(at);
            }
            None if self.count < self.cap => {
                there.insert(conversation.into(), Heard { first: at, last: at });
                self.count += 1;
            }
            None => {}
        }
    }

    /// Conversations that were heard up to `at`, and still in the time `within` before it or later.
    #[must_use]
    pub fn around(&self, shard: u16, class: &str, at: Wall, within: Duration) -> Vec<String> {
        let since = at.minus(within);
        let there = self.heard.get(&(shard, class.to_owned())).into_iter().flatten();
        let known = there.filter(|(_, heard)| heard.first < at && heard.last >= since);
        let mut known: Vec<String> = known.map(|(id, _)| id.to_string()).collect();
        known.sort();
        known
    }

    fn prune(&mut self) {
        self.pruned_at = self.newest;
        let oldest = self.newest.minus(self.keep);
        for there in self.heard.values_mut() {
            there.retain(|_, heard| heard.last >= oldest);
        }
        self.count = self.heard.values().map(HashMap::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    fn recent(cap: usize) -> Recent {
        let mut recent = Recent::new(100 * SEC, cap);
        for (id, at) in [("early", 1), ("through", 2), ("through", 90), ("late", 60)] {
            recent.heard(0, "c", id, Wall(at * 1000));
        }
        recent
    }

    #[test]
    fn what_was_heard_shortly_before_a_gap_is_known() {
        let recent = recent(10);
        assert_eq!(recent.around(0, "c", Wall(50_000), 10 * SEC), ["through"]);
        assert_eq!(recent.around(0, "c", Wall(61_000), 60 * SEC), ["early", "late", "through"]);
        assert!(recent.around(1, "c", Wall(50_000), 50 * SEC).is_empty());
        assert!(recent.around(0, "d", Wall(50_000), 50 * SEC).is_empty());
    }

    #[test]
    fn it_forgets_after_a_while_and_holds_no_more_than_it_may() {
        let mut old = recent(10);
        old.heard(0, "c", "new", Wall(170_000));
        assert_eq!(old.around(0, "c", Wall(180_000), 180 * SEC), ["new", "through"]);
        let full = recent(2);
        assert_eq!(full.around(0, "c", Wall(61_000), 60 * SEC), ["early", "through"]);
    }
}
