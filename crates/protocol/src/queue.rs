//! What is held of a queue that gives a message back until it is deleted: how many are asked for, when
//! one is kept hidden for longer, and when it may be deleted.
//!
//! ```text
//! ask ─► received ─► waits for Kafka ── durable ──► deletable ── deleted ──► forgotten
//!            ▲            │  └─ half its time is over ─► extended                │ refused: tried again
//!            └── again ◄──┴─ its time is over all the same: one number, the newer handle ◄──┘
//! ```
//! A message is deleted after Kafka acknowledged it, or the message whose copy it is, and never before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::{Mono, Wall};

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages that are held and asked for.
    pub in_flight: usize,
    /// Requests for messages side by side.
    pub receivers: usize,
    /// How long a message stays hidden from others once it was given or extended.
    pub visibility: Duration,
}

/// A message as the queue gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its name in the queue, the same each time it is given.
    pub message: String,
    /// What deletes it; another one each time it is given.
    pub handle: String,
    /// When it was put into the queue.
    pub sent: Wall,
}

/// A message in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number it is held under.
    pub number: u64,
    /// What names it to the queue.
    pub handle: String,
}

/// What to ask of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// So many messages at most.
    Receive(usize),
    /// These are durable.
    Delete(Vec<Entry>),
    /// These need more time.
    Extend(Vec<Entry>),
}

/// Why the queue did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// May succeed later.
    Passing,
    /// The handle counts no more: the message comes again, or is gone.
    Stale,
}

/// What one request takes.
pub const BATCH: usize = 10;
/// A deletion waits so long for company.
const LINGER: Duration = Duration::from_millis(200);
/// What was refused is tried again after this long.
const AGAIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Held {
    message: String,
    handle: String,
    sent: Wall,
    durable: bool,
    /// Further messages that say the same; they wait for this one.
    copies: Vec<u64>,
}

/// Messages that were received and are not deleted.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    next: u64,
    held: BTreeMap<u64, Held>,
    by_message: BTreeMap<String, u64>,
    by_sent: BTreeSet<(Wall, u64)>,
    undurable: BTreeSet<u64>,
    /// Those to be deleted, and when at the latest.
    deletable: BTreeSet<(Mono, u64)>,
    /// Those to be extended, and when.
    extendable: BTreeSet<(Mono, u64)>,
    /// Requests for messages under way, and what they asked for.
    asking: usize,
    asked: usize,
    /// No more messages are asked for before.
    rests_until: Mono,
    stopped: bool,
}

impl Queue {
    /// Holds nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            next: 1,
            held: BTreeMap::new(),
            by_message: BTreeMap::new(),
            by_sent: BTreeSet::new(),
            undurable: BTreeSet::new(),
            deletable: BTreeSet::new(),
            extendable: BTreeSet::new(),
            asking: 0,
            asked: 0,
            rests_until: Mono(0),
            stopped: false,
        }
    }

    /// A message was given, to a request that was sent then. Its number; nothing when it is held already and
    /// only its handle is new.
    pub fn received(&mut self, received: Received, asked: Mono) -> Option<u64> {
        let Received { message, handle, sent } = received;
        let extend_at = asked + self.limits.visibility / 2;
        if let Some(&number) = self.by_message.get(&message) {
            if let Some(held) = self.held.get_mut(&number) {
                held.handle = handle;
            }
            self.extendable.retain(|(_, other)| *other != number);
            self.extendable.insert((extend_at, number));
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.by_message.insert(message.clone(), number);
        self.by_sent.insert((sent, number));
        self.undurable.insert(number);
        self.extendable.insert((extend_at, number));
        let held = Held { message, handle, sent, durable: false, copies: Vec::new() };
        self.held.insert(number, held);
        Some(number)
    }

    /// A request that asked for so many was answered, well or not.
    pub fn answered(&mut self, asked: usize, well: bool, now: Mono) {
        self.asking = self.asking.saturating_sub(1);
        self.asked = self.asked.saturating_sub(asked);
        if !well {
            self.rests_until = now + AGAIN;
        }
    }

    /// What was kept under this number is durable: it may be deleted, and so may its copies.
    pub fn durable(&mut self, number: u64, now: Mono) {
        let mut all = vec![number];
        while let Some(number) = all.pop() {
            let Some(held) = self.held.get_mut(&number) else { continue };
            if !std::mem::replace(&mut held.durable, true) {
                self.undurable.remove(&number);
                self.deletable.insert((now + LINGER, number));
                all.append(&mut held.copies);
            }
        }
    }

    /// A message says what another one says, which was kept under that number: it is durable when that one is.
    pub fn copy(&mut self, number: u64, kept: u64, now: Mono) {
        match self.held.get_mut(&kept).filter(|held| !held.durable && number != kept) {
            Some(held) => held.copies.push(number),
            None => self.durable(number, now),
        }
    }

    /// What to ask of the queue now.
    pub fn poll(&mut self, now: Mono) -> Option<Action> {
        let due = take(&mut self.deletable, now, LINGER, true);
        if !due.is_empty() {
            return Some(Action::Delete(self.entries(&due)));
        }
        let due = take(&mut self.extendable, now, self.limits.visibility / 8, false);
        if !due.is_empty() {
            return Some(Action::Extend(self.entries(&due)));
        }
        let room = self.limits.in_flight.saturating_sub(self.held.len() + self.asked).min(BATCH);
        if room == 0
            || self.stopped
            || self.asking >= self.limits.receivers
            || now < self.rests_until
        {
            return None;
        }
        self.asking += 1;
        self.asked += room;
        Some(Action::Receive(room))
    }

    fn entries(&self, numbers: &[u64]) -> Vec<Entry> {
        let entry = |number: &u64| {
            let handle = self.held.get(number)?.handle.clone();
            Some(Entry { number: *number, handle })
        };
        numbers.iter().filter_map(entry).collect()
    }

    /// When [`Self::poll`] has something to say that it has not said yet.
    #[must_use]
    pub fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        let first = |set: &BTreeSet<(Mono, u64)>| set.first().map(|(due, _)| *due);
        let rests = Some(self.rests_until).filter(|at| *at > now && !self.stopped);
        [first(&self.deletable), first(&self.extendable), rests].into_iter().flatten().min()
    }

    /// The queue deleted it.
    pub fn deleted(&mut self, number: u64) {
        let Some(held) = self.held.remove(&number) else { return };
        self.by_message.remove(&held.message);
        self.by_sent.remove(&(held.sent, number));
        self.undurable.remove(&number);
        self.deletable.retain(|(_, other)| *other != number);
        self.extendable.retain(|(_, other)| *other != number);
    }

    /// The queue did not delete it. One that comes again is known for a copy by what it says.
    pub fn not_deleted(&mut self, number: u64, refusal: Refusal, now: Mono) {
        match refusal {
            Refusal::Stale => self.deleted(number),
            Refusal::Passing if self.held.contains_key(&number) => {
                self.deletable.insert((now + AGAIN, number));
            }
            Refusal::Passing => {}
        }
    }

    /// The queue gave it more time, as it was asked then.
    pub fn extended(&mut self, number: u64, asked: Mono) {
        self.extend_at(number, asked + self.limits.visibility / 2);
    }

    /// The queue did not. Should it be given to somebody meanwhile, it is a record twice, under one id.
    pub fn not_extended(&mut self, number: u64, now: Mono) {
        self.extend_at(number, now + AGAIN);
    }

    fn extend_at(&mut self, number: u64, at: Mono) {
        if self.held.contains_key(&number) {
            self.extendable.insert((at, number));
        }
    }

    /// Nothing more is asked for.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Those that nobody has durable, so that others may have them at once.
    #[must_use]
    pub fn unwritten(&self) -> Vec<Entry> {
        let numbers: Vec<u64> = self.undurable.iter().copied().collect();
        self.entries(&numbers)
    }

    /// All below this number are durable.
    #[must_use]
    pub fn durable_below(&self) -> u64 {
        self.undurable.first().copied().unwrap_or(self.next)
    }

    /// Messages that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// When the oldest of them was put into the queue.
    #[must_use]
    pub fn oldest(&self) -> Option<Wall> {
        self.by_sent.first().map(|(sent, _)| *sent)
    }
}

/// Takes a request full of what is due, and of what is due so soon that it may go along. Where `full` says so, a
/// full request need not wait.
fn take(set: &mut BTreeSet<(Mono, u64)>, now: Mono, soon: Duration, full: bool) -> Vec<u64> {
    let near: Vec<(Mono, u64)> =
        set.iter().take_while(|(due, _)| *due <= now + soon).take(BATCH).copied().collect();
    let is_due = near.first().is_some_and(|(due, _)| *due <= now);
    let goes = is_due || full && near.len() == BATCH;
    if !goes {
        return Vec::new();
    }
    near.iter().for_each(|entry| _ = set.remove(entry));
    near.into_iter().map(|(_, number)| number).collect()
}

#[cfg(test)]
mod tests;
