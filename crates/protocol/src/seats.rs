//! Which leg has a channel under which OAuth client, where there may be fewer channels than legs.
//!
//! A client has twenty channels (documented): sixteen are given away, the rest is room for successors.
//! The first leg of every shard comes first, and may take some of that room; others get what is left.
//! A leg that has a place keeps it, unless the first leg of a new shard needs one.

use std::collections::{BTreeMap, BTreeSet};

use crate::channel::{CHANNELS_AT_MOST, CHANNELS_PER_CLIENT};
use crate::domain::Leg;

/// Places of legs under clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    per_shard: u8,
    clients: usize,
    /// Channels of a client that this process gives to any leg, and to first legs at most.
    room: (usize, usize),
    shards: u16,
    given: BTreeMap<Leg, usize>,
}

/// What does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Lacking {
    /// Legs without a channel.
    pub channels: usize,
    /// Shards that nobody hears in this process, among them.
    pub shards: usize,
    /// Clients that would have to be added.
    pub clients: usize,
}

impl Seats {
    /// No shard yet. `processes` share each client.
    #[must_use]
    pub fn new(per_shard: u8, clients: usize, processes: u32) -> Self {
        let share =
            |channels: u32| usize::try_from((channels / processes.max(1)).max(1)).unwrap_or(1);
        let room = (share(CHANNELS_PER_CLIENT), share(CHANNELS_AT_MOST - 1));
        Self { per_shard: per_shard.max(1), clients, room, shards: 0, given: BTreeMap::new() }
    }

    /// There are so many shards now, no fewer than before. Legs that lost their place come back.
    pub fn grow(&mut self, shards: u16) -> BTreeSet<Leg> {
        let mut lost = BTreeSet::new();
        for shard in self.shards..shards {
            let leg = Leg { shard, ordinal: 0 };
            let seat = self.seat(leg, self.room.0).or_else(|| self.take(&mut lost));
            let seat = seat.or_else(|| self.seat(leg, self.room.1));
            self.given.extend(seat.map(|client| (leg, client)));
        }
        self.shards = self.shards.max(shards);
        for leg in self.all().filter(|leg| leg.ordinal > 0) {
            if !self.given.contains_key(&leg) {
                let seat = self.seat(leg, self.room.0);
                self.given.extend(seat.map(|client| (leg, client)));
            }
        }
        lost.retain(|leg| !self.given.contains_key(leg));
        lost
    }

    /// The client under which a leg has its channel.
    #[must_use]
    pub fn client(&self, leg: Leg) -> Option<usize> {
        self.given.get(&leg).copied()
    }

    /// Channels that are given away under each client.
    #[must_use]
    pub fn each(&self) -> Vec<usize> {
        (0..self.clients).map(|client| self.used(client)).collect()
    }

    /// Legs that have a place.
    #[must_use]
    pub fn legs(&self) -> BTreeSet<Leg> {
        self.given.keys().copied().collect()
    }

    /// What does not fit; nothing where all does.
    #[must_use]
    pub fn lacking(&self) -> Lacking {
        let without: Vec<Leg> = self.all().filter(|leg| !self.given.contains_key(leg)).collect();
        if without.is_empty() {
            return Lacking::default();
        }
        let legs = usize::from(self.shards) * usize::from(self.per_shard);
        Lacking {
            channels: without.len(),
            shards: without.iter().filter(|leg| leg.ordinal == 0).count(),
            clients: legs.div_ceil(self.room.0).saturating_sub(self.clients),
        }
    }

    /// By ordinal, so that every shard is heard once before any is heard twice.
    fn all(&self) -> impl Iterator<Item = Leg> + use<> {
        let shards = self.shards;
        (0..self.per_shard)
            .flat_map(move |ordinal| (0..shards).map(move |shard| Leg { shard, ordinal }))
    }

    /// A client with room, apart from the other legs of the shard where that is possible.
    fn seat(&self, leg: Leg, room: usize) -> Option<usize> {
        let first = usize::from(leg.shard) + usize::from(leg.ordinal);
        let free = (0..self.clients).map(|n| (first + n) % self.clients);
        let free: Vec<usize> = free.filter(|client| self.used(*client) < room).collect();
        let has_sibling = |client: &usize| {
            self.given.iter().any(|(other, at)| other.shard == leg.shard && at == client)
        };
        free.iter().find(|client| !has_sibling(client)).or(free.first()).copied()
    }

    /// The place of the last leg that is not the first of its shard.
    fn take(&mut self, lost: &mut BTreeSet<Leg>) -> Option<usize> {
        let leg = self
            .given
            .keys()
            .filter(|leg| leg.ordinal > 0)
            .max_by_key(|leg| (leg.ordinal, leg.shard));
        let leg = leg.copied()?;
        lost.insert(leg);
        self.given.remove(&leg)
    }

    fn used(&self, client: usize) -> usize {
        self.given.values().filter(|at| **at == client).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leg(shard: u16, ordinal: u8) -> Leg {
        Leg { shard, ordinal }
    }

    #[test]
    fn legs_of_a_shard_are_apart_and_all_sit_while_there_is_room() {
        let mut seats = Seats::new(2, 2, 1);
        assert_eq!(seats.grow(16), BTreeSet::new());
        assert_eq!(seats.lacking(), Lacking::default());
        for shard in 0..16 {
            assert_ne!(seats.client(leg(shard, 0)), seats.client(leg(shard, 1)));
        }
    }

    #[test]
    fn twelve_shards_under_one_client_are_all_heard_and_four_of_them_twice() {
        let mut seats = Seats::new(2, 1, 1);
        seats.grow(12);
        assert_eq!(seats.lacking(), Lacking { channels: 8, shards: 0, clients: 1 });
        let twice: Vec<u16> = (0..12).filter(|n| seats.client(leg(*n, 1)).is_some()).collect();
        assert_eq!(twice, [0, 1, 2, 3]);
    }

    #[test]
    fn a_new_shard_takes_a_second_place_before_it_takes_room_for_successors() {
        let mut seats = Seats::new(2, 1, 1);
        seats.grow(8);
        assert_eq!(seats.legs().len(), 16);
        assert_eq!(seats.grow(9), BTreeSet::from([leg(7, 1)]));
        assert_eq!(seats.client(leg(8, 0)), Some(0));
        seats.grow(19);
        assert_eq!(seats.lacking(), Lacking { channels: 19, shards: 0, clients: 2 });
        seats.grow(20);
        assert_eq!(seats.lacking(), Lacking { channels: 21, shards: 1, clients: 2 });
    }

    #[test]
    fn processes_that_share_a_client_share_its_channels() {
        let mut seats = Seats::new(1, 1, 2);
        seats.grow(10);
        assert_eq!(seats.legs().len(), 9);
        assert_eq!(seats.lacking(), Lacking { channels: 1, shards: 1, clients: 1 });
    }

    proptest! {
        #[test]
        fn no_client_has_more_than_its_quota_and_with_the_clients_asked_for_all_fits(
            per_shard in 1_u8..=4, clients in 1_usize..6, steps in prop::collection::vec(0_u16..12, 1..6)
        ) {
            let mut seats = Seats::new(per_shard, clients, 1);
            let mut shards = 0;
            for step in steps {
                shards += step;
                let before = seats.clone();
                let lost = seats.grow(shards);
                for (leg, client) in &before.given {
                    prop_assert!(lost.contains(leg) || seats.client(*leg) == Some(*client), "{leg:?} moved");
                }
                for client in 0..clients {
                    prop_assert!(seats.used(client) <= 19);
                }
                let lacking = seats.lacking();
                let mut enough = Seats::new(per_shard, clients + lacking.clients, 1);
                enough.grow(shards);
                prop_assert_eq!(enough.lacking().clients, 0);
                prop_assert_eq!(enough.lacking().channels, 0);
            }
        }
    }
}
