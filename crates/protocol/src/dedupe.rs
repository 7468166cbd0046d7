//! Two generations of what was seen; a duplicate keeps its obligation.
//!
//! Exact on the full 128 bits (I6). Every id is remembered with the number its kept copy has in the
//! [`Journal`](crate::journal::Journal): a further copy is durable when that number is, and until
//! then its own epoch waits for it (I5).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use crate::domain::{EventId, Mono};
use crate::seeded::{Bug, planted};

/// What to do with an event that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Never seen within the window: keep it.
    First,
    /// Seen: its copy was kept under this number.
    Seen(u64),
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

/// Id to the number of its kept copy.
type Generation = HashMap<EventId, u64, BuildHasherDefault<IdHasher>>;

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

    /// Tells whether `id` was seen; remembers it under `number`, which its copy will have, when it
    /// was not. `durable_below` is the journal's: ids of copies that are not durable are never
    /// forgotten.
    pub fn offer(&mut self, id: EventId, number: u64, durable_below: u64, now: Mono) -> Verdict {
        let id = if planted(Bug::ApproximateDedupe) { approximate(id) } else { id };
        self.turn(durable_below, now);
        match self.number(id) {
            Some(_) if planted(Bug::DuplicateIsDurable) => Verdict::Seen(0),
            Some(kept) => Verdict::Seen(kept),
            None => {
                self.young.insert(id, number);
                Verdict::First
            }
        }
    }

    /// The number under which a copy of `id` was kept within the window.
    #[must_use]
    pub fn number(&self, id: EventId) -> Option<u64> {
        self.young.get(&id).or_else(|| self.old.get(&id)).copied()
    }

    /// Whether `id` was seen within the window.
    #[must_use]
    pub fn contains(&self, id: EventId) -> bool {
        self.number(id).is_some()
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

    fn turn(&mut self, durable_below: u64, now: Mono) {
        let since = *self.young_since.get_or_insert(now);
        let aged = now.since(since) >= self.window.span;
        let full = self.young.len() >= self.window.cap / 2;
        if !aged && !full {
            return;
        }
        if full && !aged && !self.old.is_empty() {
            self.evicted_early += 1;
        }
        // what is not durable keeps its obligation across the turn
        let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        self.young.extend(forgotten.into_iter().filter(|(_, number)| *number >= durable_below));
        self.young_since = Some(now);
    }
}

/// What a filter with one false answer in a million would compare.
fn approximate(id: EventId) -> EventId {
    let mut bytes = [0; 16];
    bytes[..5].copy_from_slice(&id.0[..5]);
    EventId(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> EventId {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        EventId(bytes)
    }

    fn at(secs: u64) -> Mono {
        Mono(0) + Duration::from_secs(secs)
    }

    #[test]
    fn a_copy_is_told_the_number_of_the_kept_one() {
        let mut seen = Dedupe::new(Window::default());
        assert_eq!(seen.offer(id(1), 70, 0, at(0)), Verdict::First);
        assert_eq!(seen.offer(id(1), 71, 0, at(0)), Verdict::Seen(70));
        assert_eq!(seen.offer(id(1), 72, 71, at(1)), Verdict::Seen(70), "durable or not");
    }

    #[test]
    fn a_thousand_events_of_one_millisecond_are_a_thousand_events() {
        let mut seen = Dedupe::new(Window::default());
        assert!((0..1000).all(|n| seen.offer(id(n), n, 0, at(0)) == Verdict::First));
        assert!((0..1000).all(|n| seen.offer(id(n), 0, 0, at(0)) == Verdict::Seen(n)));
    }

    /// Four million ids, none of which was seen: the reference is that they are all different.
    #[test]
    fn no_event_is_ever_taken_for_another_one() {
        let mut seen = Dedupe::new(Window { cap: 10_000_000, ..Window::default() });
        let different = (0..4_000_000_u64).all(|n| {
            let hash = blake3::hash(&n.to_le_bytes());
            let id = EventId(hash.as_bytes()[..16].try_into().expect("sixteen bytes"));
            seen.offer(id, n, 0, at(0)) == Verdict::First
        });
        assert!(different, "a false duplicate is a lost event");
    }

    #[test]
    fn an_id_is_remembered_for_the_whole_window_and_forgotten_after_two() {
        let mut seen = Dedupe::new(Window { span: Duration::from_secs(10), cap: 1000 });
        seen.offer(id(1), 1, 9, at(0));
        assert_eq!(seen.offer(id(1), 9, 9, at(10)), Verdict::Seen(1));
        seen.offer(id(2), 2, 9, at(20));
        seen.offer(id(3), 3, 9, at(30));
        assert_eq!(seen.offer(id(1), 9, 9, at(30)), Verdict::First);
    }

    #[test]
    fn at_the_cap_whole_generations_go_and_ids_of_what_is_not_durable_stay() {
        let mut seen = Dedupe::new(Window { span: Duration::from_secs(900), cap: 100 });
        seen.offer(id(0), 5_000, 0, at(0));
        for n in 1..1000 {
            seen.offer(id(n), n, 5_000, at(1));
        }
        assert!(seen.len() <= 101, "{}", seen.len());
        assert!(seen.evicted_early() > 0);
        assert_eq!(seen.offer(id(0), 9_999, 5_000, at(2)), Verdict::Seen(5_000));
    }
}
