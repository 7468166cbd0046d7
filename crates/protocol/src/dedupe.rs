//! Two generations of what was seen; a duplicate keeps its obligation.
//!
//! Exact on the full 128 bits (I6). A copy of an event that is not durable yet is *owed*: its own
//! epoch may not count it as durable until the kept copy is, and it is handed out again if the
//! kept copy fails (I5).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use crate::domain::{EpochId, EventId, Mono};

/// What to do with an event that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Never seen within the window: keep it.
    First,
    /// Seen; the kept copy is durable.
    Durable,
    /// Seen; the kept copy is not durable yet, so this copy's epoch waits for it.
    Owed,
}

/// Bounds of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// An id is remembered for at least this long while the cap allows it.
    pub span: Duration,
    /// At most this many ids are remembered.
    pub cap: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { span: Duration::from_secs(15 * 60), cap: 4_000_000 }
    }
}

/// Remembers ids in two generations; the older one is forgotten as a whole.
#[derive(Debug)]
pub struct Dedupe {
    window: Window,
    young: Generation,
    old: Generation,
    young_since: Option<Mono>,
    evicted_early: u64,
}

type Generation = HashMap<EventId, Copies, BuildHasherDefault<IdHasher>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copies {
    Durable,
    /// Kept, not durable; the epoch of one copy that waits, if any does.
    Pending(Option<EpochId>),
}

/// Ids are hashes already: their first eight bytes are as good as any.
#[derive(Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.0 ^= u64::from_le_bytes(word);
    }

    fn write_usize(&mut self, _length: usize) {} // the length prefix of a fixed-size array
}

impl Dedupe {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Self {
            window,
            young: Generation::default(),
            old: Generation::default(),
            young_since: None,
            evicted_early: 0,
        }
    }

    /// Tells whether `id` was seen, and remembers it.
    pub fn offer(&mut self, id: EventId, epoch: EpochId, now: Mono) -> Verdict {
        self.turn(now);
        match self.find(id) {
            Some(Copies::Durable) => Verdict::Durable,
            Some(pending @ Copies::Pending(_)) => {
                *pending = Copies::Pending(Some(epoch));
                Verdict::Owed
            }
            None => {
                self.young.insert(id, Copies::Pending(None));
                Verdict::First
            }
        }
    }

    /// Whether `id` was seen within the window.
    #[must_use]
    pub fn contains(&self, id: EventId) -> bool {
        self.young.contains_key(&id) || self.old.contains_key(&id)
    }

    /// The kept copy of `id` is durable; whoever waited for it is free.
    pub fn settled(&mut self, id: EventId) {
        if let Some(copies) = self.find(id) {
            *copies = Copies::Durable;
        }
    }

    /// The kept copy of `id` failed for good. Returns the epoch of a copy that was owed and must
    /// be handed on now; the id counts as not seen again when there was none.
    pub fn failed(&mut self, id: EventId) -> Option<EpochId> {
        let owed = match self.find(id) {
            Some(Copies::Pending(owed)) => owed.take(),
            Some(Copies::Durable) | None => return None,
        };
        if owed.is_none() {
            self.young.remove(&id);
            self.old.remove(&id);
        }
        owed
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether no id is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a generation was forgotten before its time because the cap was reached: possible
    /// repeats, never loss.
    #[must_use]
    pub fn evicted_early(&self) -> u64 {
        self.evicted_early
    }

    fn find(&mut self, id: EventId) -> Option<&mut Copies> {
        match self.young.get_mut(&id) {
            Some(copies) => Some(copies),
            None => self.old.get_mut(&id),
        }
    }

    fn turn(&mut self, now: Mono) {
        let since = *self.young_since.get_or_insert(now);
        let aged = now.since(since) >= self.window.span;
        let full = self.young.len() >= self.window.cap / 2;
        if !aged && !full {
            return;
        }
        if full && !aged && !self.old.is_empty() {
            self.evicted_early += 1;
        }
        // what is still pending keeps its obligation across the turn
        let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        self.young.extend(forgotten.into_iter().filter(|(_, c)| *c != Copies::Durable));
        self.young_since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: EpochId = EpochId([1; 16]);
    const OTHER: EpochId = EpochId([2; 16]);

    fn id(n: u64) -> EventId {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        EventId(bytes)
    }

    fn at(secs: u64) -> Mono {
        Mono(0) + Duration::from_secs(secs)
    }

    #[test]
    fn a_copy_is_owed_until_the_kept_one_is_durable() {
        let mut seen = Dedupe::new(Window::default());
        assert_eq!(seen.offer(id(1), EPOCH, at(0)), Verdict::First);
        assert_eq!(seen.offer(id(1), OTHER, at(0)), Verdict::Owed);
        seen.settled(id(1));
        assert_eq!(seen.offer(id(1), OTHER, at(1)), Verdict::Durable);
    }

    #[test]
    fn a_failed_copy_hands_the_obligation_to_the_one_that_waited() {
        let mut seen = Dedupe::new(Window::default());
        seen.offer(id(1), EPOCH, at(0));
        seen.offer(id(1), OTHER, at(0));
        assert_eq!(seen.failed(id(1)), Some(OTHER));
        assert_eq!(seen.failed(id(1)), None, "nobody else waits");
        assert_eq!(seen.offer(id(1), EPOCH, at(1)), Verdict::First, "so the next one is kept");
    }

    #[test]
    fn a_thousand_events_of_one_millisecond_are_a_thousand_events() {
        let mut seen = Dedupe::new(Window::default());
        assert!((0..1000).all(|n| seen.offer(id(n), EPOCH, at(0)) == Verdict::First));
        assert!((0..1000).all(|n| seen.offer(id(n), OTHER, at(0)) == Verdict::Owed));
    }

    #[test]
    fn an_id_is_remembered_for_the_whole_window_and_forgotten_after_two() {
        let mut seen = Dedupe::new(Window { span: Duration::from_secs(10), cap: 1000 });
        seen.offer(id(1), EPOCH, at(0));
        seen.settled(id(1));
        assert_eq!(seen.offer(id(1), EPOCH, at(10)), Verdict::Durable);
        seen.offer(id(2), EPOCH, at(20));
        seen.offer(id(3), EPOCH, at(30));
        assert_eq!(seen.offer(id(1), EPOCH, at(30)), Verdict::First);
    }

    #[test]
    fn at_the_cap_whole_generations_go_and_pending_ids_stay() {
        let mut seen = Dedupe::new(Window { span: Duration::from_secs(900), cap: 100 });
        seen.offer(id(0), EPOCH, at(0));
        for n in 1..1000 {
            seen.offer(id(n), EPOCH, at(1));
            seen.settled(id(n));
        }
        assert!(seen.len() <= 101, "{}", seen.len());
        assert!(seen.evicted_early() > 0);
        assert_eq!(seen.offer(id(0), OTHER, at(2)), Verdict::Owed);
    }
}
