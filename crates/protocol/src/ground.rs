//! What topics stand on: a cluster, and so many partitions each. Whoever deletes a topic, gives it more
//! partitions or puts another cluster in the place of this one asks nobody here; so it is looked at.
//!
//! ```text
//! there ── missing twice ──► gone
//!   │ └─── missing ── there ─► back: perhaps the same, perhaps filled again meanwhile
//!   └───── an end lies before where it was ──► anew: what it held is not there any more
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// As it was seen last. Topics go by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// The cluster's own id, where it says one.
    pub cluster: Option<String>,
    /// How many partitions each topic has.
    pub partitions: BTreeMap<String, usize>,
}

/// A topic at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It exists.
    There {
        /// How many partitions it has.
        partitions: usize,
        /// The offset behind the last record of each, where that is asked for.
        ends: BTreeMap<i32, i64>,
    },
    /// Brokers know no such topic.
    Missing,
}

/// One look; what nobody answered for is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The cluster's id.
    pub cluster: Option<String>,
    /// Topics by what they are for.
    pub topics: BTreeMap<String, Sight>,
}

/// What is otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another cluster: offsets of before mean nothing here.
    Cluster {
        /// Its id before.
        from: String,
        /// Its id now.
        to: String,
    },
    /// Keys go to other partitions from here on.
    Partitions {
        /// Which topic.
        topic: String,
        /// How many it had.
        from: usize,
        /// How many it has.
        to: usize,
    },
    /// The topic does not exist any more.
    Gone {
        /// Which.
        topic: String,
    },
    /// It was not seen for a while, and reaches as far as before at least.
    Back {
        /// Which.
        topic: String,
    },
    /// It does not hold any more what it held.
    Anew {
        /// Which.
        topic: String,
    },
}

/// Compares looks.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    known: Ground,
    ends: BTreeMap<String, BTreeMap<i32, i64>>,
    /// Not seen once: a broker that has just started may not know it yet.
    doubtful: BTreeSet<String>,
    gone: BTreeSet<String>,
}

impl Watch {
    /// Goes on from what an earlier process saw.
    #[must_use]
    pub fn new(earlier: Ground) -> Self {
        Self { known: earlier, ..Self::default() }
    }

    /// Takes a look, and says what is otherwise.
    pub fn look(&mut self, look: Look) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(to) = look.cluster {
            let before = self.known.cluster.replace(to.clone());
            if let Some(from) = before.filter(|from| *from != to) {
                changes.push(Change::Cluster { from, to });
            }
        }
        for (topic, sight) in look.topics {
            match sight {
                Sight::Missing => self.missing(topic, &mut changes),
                Sight::There { partitions, ends } => {
                    self.there(topic, partitions, ends, &mut changes);
                }
            }
        }
        changes
    }

    fn missing(&mut self, topic: String, changes: &mut Vec<Change>) {
        if !self.doubtful.insert(topic.clone()) && self.gone.insert(topic.clone()) {
            changes.push(Change::Gone { topic });
        }
    }

    fn there(
        &mut self,
        topic: String,
        partitions: usize,
        ends: BTreeMap<i32, i64>,
        changes: &mut Vec<Change>,
    ) {
        let was_missing = self.doubtful.remove(&topic);
        self.gone.remove(&topic);
        let before = self.ends.insert(topic.clone(), ends.clone()).unwrap_or_default();
        // an end never moves back while the topic lives, whatever is compacted or expires
        let fell = |(id, before): (&i32, &i64)| ends.get(id).is_none_or(|end| end < before);
        if before.iter().any(fell) {
            changes.push(Change::Anew { topic: topic.clone() });
        } else if was_missing {
            changes.push(Change::Back { topic: topic.clone() });
        }
        let from = self.known.partitions.insert(topic.clone(), partitions);
        if let Some(from) = from.filter(|from| *from != partitions) {
            changes.push(Change::Partitions { topic, from, to: partitions });
        }
    }

    /// As it was seen last.
    #[must_use]
    pub fn ground(&self) -> &Ground {
        &self.known
    }

    /// Topics that do not exist.
    #[must_use]
    pub fn gone(&self) -> &BTreeSet<String> {
        &self.gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(ends: &[i64]) -> Sight {
        let ends: BTreeMap<i32, i64> = (0..).zip(ends.iter().copied()).collect();
        Sight::There { partitions: ends.len(), ends }
    }

    fn seen(sight: Sight) -> Look {
        let cluster = Some("one".to_owned());
        Look { cluster, topics: BTreeMap::from([("gaps".to_owned(), sight)]) }
    }

    fn after(looks: Vec<Sight>) -> Vec<Change> {
        let mut watch = Watch::default();
        looks.into_iter().flat_map(|sight| watch.look(seen(sight))).collect()
    }

    fn topic() -> String {
        "gaps".to_owned()
    }

    #[test]
    fn a_topic_that_grows_by_records_is_the_same() {
        assert_eq!(after(vec![there(&[0, 0]), there(&[5, 7]), there(&[5, 8])]), []);
    }

    #[test]
    fn a_topic_is_gone_at_the_second_look_and_anew_when_it_holds_less_than_before() {
        let missing = || Sight::Missing;
        let looks = vec![there(&[5]), missing(), missing(), missing(), there(&[0])];
        let (gone, anew) = (Change::Gone { topic: topic() }, Change::Anew { topic: topic() });
        assert_eq!(after(looks), [gone, anew.clone()]);
        assert_eq!(after(vec![there(&[5]), there(&[4])]), [anew], "between two looks as well");
    }

    #[test]
    fn a_topic_that_was_not_seen_for_a_while_is_back_though_it_reaches_as_far() {
        let (gone, back) = (Change::Gone { topic: topic() }, Change::Back { topic: topic() });
        let once = vec![there(&[5]), Sight::Missing, there(&[6])];
        assert_eq!(after(once), vec![back.clone()], "one look says nothing yet");
        let twice = vec![there(&[5]), Sight::Missing, Sight::Missing, there(&[6])];
        assert_eq!(after(twice), [gone, back]);
    }

    #[test]
    fn more_partitions_and_another_cluster_are_told_across_a_restart_too() {
        let grown = Change::Partitions { topic: topic(), from: 1, to: 3 };
        let looks = vec![there(&[5]), there(&[6, 0, 0])];
        assert_eq!(after(looks), vec![grown.clone()]);
        let mut watch = Watch::default();
        watch.look(seen(there(&[5])));
        let mut next = Watch::new(watch.ground().clone());
        let elsewhere = Look { cluster: Some("two".to_owned()), ..seen(there(&[0, 0, 0])) };
        let moved = Change::Cluster { from: "one".to_owned(), to: "two".to_owned() };
        assert_eq!(next.look(elsewhere), [moved, grown], "ends of before are not known");
    }

    #[test]
    fn what_nobody_answers_for_changes_nothing() {
        let mut watch = Watch::default();
        watch.look(seen(there(&[5])));
        assert_eq!(watch.look(Look::default()), []);
        assert_eq!(watch.look(seen(there(&[5]))), []);
    }
}
