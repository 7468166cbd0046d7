//! Holds a joining channel until the first event seen on both.
//!
//! Merging two copies by first arrival keeps the order of each key only if both channels carried
//! it from the start. A channel that has just joined may deliver version 3 while its slower
//! sibling still holds 1 and 2: so its events wait until one of them was seen on the sibling, or
//! [`T_SPLICE`](crate::timings::Timings::splice) has passed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::domain::{EpochId, EventId, Mono};

/// Holds items of type `T` per joining epoch.
#[derive(Debug)]
pub struct Splice<T> {
    hold: Duration,
    cap: usize,
    joining: BTreeMap<EpochId, Joining<T>>,
}

#[derive(Debug)]
struct Joining<T> {
    until: Mono,
    /// A barrier has no id and waits like an event.
    held: VecDeque<(Option<EventId>, T)>,
}

impl<T> Splice<T> {
    /// Holds each joining epoch for `hold` at most, and `cap` items of it.
    #[must_use]
    pub fn new(hold: Duration, cap: usize) -> Self {
        Self { hold, cap, joining: BTreeMap::new() }
    }

    /// An epoch opened beside a living one.
    pub fn joins(&mut self, epoch: EpochId, now: Mono) {
        let joining = Joining { until: now + self.hold, held: VecDeque::new() };
        self.joining.insert(epoch, joining);
    }

    /// Takes an item in the order of arrival. Returns what may go on now, in order: nothing while
    /// it is held; everything held when the splice point is found.
    ///
    /// `seen` says whether another channel delivered the event already. A barrier has no id: it may
    /// not overtake the events before it, or it would prove what is still held.
    pub fn arrive(
        &mut self,
        epoch: EpochId,
        id: Option<EventId>,
        item: T,
        seen: bool,
    ) -> Released<T> {
        let Some(joining) = self.joining.get_mut(&epoch) else {
            return Released::One(item);
        };
        joining.held.push_back((id, item));
        if seen || joining.held.len() >= self.cap {
            return self.release(epoch);
        }
        Released::None
    }

    /// An established channel delivered `id`: whoever holds a copy of it has found its splice
    /// point. Call it after the established copy went on.
    pub fn established(&mut self, id: EventId) -> Released<T> {
        let found = self
            .joining
            .iter()
            .find(|(_, joining)| joining.held.iter().any(|(held, _)| *held == Some(id)))
            .map(|(epoch, _)| *epoch);
        found.map_or(Released::None, |epoch| self.release(epoch))
    }

    /// The joining epoch ended, or its siblings did: nothing is left to wait for.
    pub fn release(&mut self, epoch: EpochId) -> Released<T> {
        match self.joining.remove(&epoch) {
            None => Released::None,
            Some(joining) => {
                Released::Many(joining.held.into_iter().map(|(_, item)| item).collect())
            }
        }
    }

    /// Whether any epoch is being held; the common answer is no.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.joining.is_empty()
    }

    /// How many items are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.joining.values().map(|joining| joining.held.len()).sum()
    }

    /// When the first hold ends.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.joining.values().map(|joining| joining.until).min()
    }

    /// Releases every epoch whose hold has ended.
    pub fn handle_timeout(&mut self, now: Mono) -> Vec<T> {
        let due: Vec<EpochId> = self
            .joining
            .iter()
            .filter(|(_, joining)| joining.until <= now)
            .map(|(epoch, _)| *epoch)
            .collect();
        due.into_iter().flat_map(|epoch| self.release(epoch).into_vec()).collect()
    }
}

/// What may go on.
#[derive(Debug, PartialEq, Eq)]
pub enum Released<T> {
    /// Nothing: the item is held.
    None,
    /// The item itself.
    One(T),
    /// Everything that was held, in order of arrival.
    Many(Vec<T>),
}

impl<T> Released<T> {
    /// The items in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::None => Vec::new(),
            Self::One(item) => vec![item],
            Self::Many(items) => items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: EpochId = EpochId([1; 16]);
    const NEW: EpochId = EpochId([2; 16]);

    fn id(n: u8) -> EventId {
        EventId([n; 16])
    }

    fn splice() -> Splice<u8> {
        let mut splice = Splice::new(Duration::from_secs(2), 100);
        splice.joins(NEW, Mono(0));
        splice
    }

    #[test]
    fn a_joining_channel_waits_for_its_slower_sibling() {
        let mut splice = splice();
        assert_eq!(splice.arrive(NEW, Some(id(3)), 3, false), Released::None);
        assert_eq!(splice.arrive(OLD, Some(id(1)), 1, false), Released::One(1));
        assert_eq!(splice.established(id(1)), Released::None);
        assert_eq!(splice.arrive(OLD, Some(id(3)), 30, true), Released::One(30));
        assert_eq!(splice.established(id(3)), Released::Many(vec![3]));
        assert!(splice.is_idle());
    }

    #[test]
    fn a_joining_channel_that_is_behind_is_spliced_at_its_first_copy() {
        let mut splice = splice();
        assert_eq!(splice.arrive(NEW, Some(id(1)), 1, true), Released::Many(vec![1]));
        assert_eq!(splice.arrive(NEW, Some(id(2)), 2, false), Released::One(2));
    }

    #[test]
    fn a_barrier_does_not_overtake_what_is_held() {
        let mut splice = splice();
        splice.arrive(NEW, Some(id(1)), 1, false);
        assert_eq!(splice.arrive(NEW, None, 100, false), Released::None);
        assert_eq!(splice.arrive(OLD, None, 200, false), Released::One(200));
        assert_eq!(splice.release(NEW), Released::Many(vec![1, 100]));
    }

    #[test]
    fn a_quiet_sibling_delays_no_longer_than_the_hold() {
        let mut splice = splice();
        splice.arrive(NEW, Some(id(1)), 1, false);
        assert_eq!(splice.poll_timeout(), Some(Mono(0) + Duration::from_secs(2)));
        assert_eq!(splice.handle_timeout(Mono(1_999_999_999)), Vec::<u8>::new());
        assert_eq!(splice.handle_timeout(Mono(2_000_000_000)), vec![1]);
    }
}
