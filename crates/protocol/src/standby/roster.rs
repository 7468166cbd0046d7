//! The configured replicas, and who comes first for what.

use std::collections::BTreeSet;

/// Names of the replicas of an installation, and which one this process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    me: String,
    all: BTreeSet<String>,
}

impl Roster {
    /// This process is `me`; it is one of `all` whether they say so or not.
    #[must_use]
    pub fn new(me: &str, all: impl IntoIterator<Item = String>) -> Self {
        let mut all: BTreeSet<String> = all.into_iter().collect();
        all.insert(me.to_owned());
        Self { me: me.to_owned(), all }
    }

    /// This process.
    #[must_use]
    pub fn me(&self) -> &str {
        &self.me
    }

    /// Whether there is nobody else.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.all.len() == 1
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Never: this process is one of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Whether this process writes the events of the shard at once.
    #[must_use]
    pub fn is_primary(&self, shard: u16) -> bool {
        self.place(shard) == 0
    }

    /// How many replicas come before this one for the shard.
    #[must_use]
    pub fn place(&self, shard: u16) -> usize {
        let mine = weight(&self.me, shard);
        self.all.iter().filter(|name| weight(name, shard) > mine).count()
    }

    /// Whether nobody who comes before this process is among `living`: then it does what one of them
    /// has to do. A wrong belief costs work that is done twice.
    #[must_use]
    pub fn is_in_charge(&self, shard: u16, living: &BTreeSet<String>) -> bool {
        let mine = weight(&self.me, shard);
        let before = |name: &&String| **name != self.me && weight(name, shard) > mine;
        !self.all.iter().filter(before).any(|name| living.contains(name))
    }
}

/// Rendezvous hashing: every name gets a weight for the shard, the heaviest comes first; a name that
/// is added or removed moves only the shards that it wins or held.
fn weight(name: &str, shard: u16) -> ([u8; 16], &str) {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&shard.to_be_bytes()).update(name.as_bytes());
    let mut weight = [0; 16];
    weight.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    (weight, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(me: &str) -> Roster {
        Roster::new(me, ["a", "b", "c"].map(str::to_owned))
    }

    #[test]
    fn every_shard_has_one_primary_and_everybody_agrees_on_the_order() {
        for shard in 0..200 {
            let mut places: Vec<usize> =
                ["a", "b", "c"].iter().map(|me| roster(me).place(shard)).collect();
            places.sort_unstable();
            assert_eq!(places, [0, 1, 2]);
        }
        let mine = (0..300).filter(|shard| roster("a").is_primary(*shard)).count();
        assert!((60..140).contains(&mine), "{mine} of 300 shards");
    }

    #[test]
    fn a_replica_that_is_gone_moves_its_own_shards_only() {
        for shard in 0..200 {
            let two = Roster::new("a", ["b".to_owned()]);
            if roster("c").place(shard) != 0 {
                assert_eq!(two.is_primary(shard), roster("a").is_primary(shard), "{shard}");
            }
        }
    }

    #[test]
    fn who_is_in_charge_is_the_first_of_those_that_live() {
        let living = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        for shard in 0..50 {
            let order =
                |n: usize| *["a", "b", "c"].iter().find(|me| roster(me).place(shard) == n).unwrap();
            assert!(roster(order(0)).is_in_charge(shard, &living(&["a", "b", "c"])));
            assert!(!roster(order(1)).is_in_charge(shard, &living(&["a", "b", "c"])));
            assert!(roster(order(1)).is_in_charge(shard, &living(&[order(1), order(2)])));
            assert!(!roster(order(2)).is_in_charge(shard, &living(&[order(1)])));
            assert!(roster(order(2)).is_in_charge(shard, &living(&[])), "nobody else is seen");
        }
        assert!(Roster::new("x", []).is_alone() && Roster::new("x", []).is_primary(7));
    }
}
