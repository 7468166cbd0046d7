//! Waits for one's turn: the shell around `trunkline_protocol::gate`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot, watch};
use trunkline_protocol::domain::Mono;
use trunkline_protocol::gate::{Endpoint, Gate as Rules, Outcome, Priority, Ticket};

use super::headers::Window;
use crate::clock::Clock;

/// The waiting room of one OAuth client. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    room: Mutex<Room>,
    changed: Notify,
    held: watch::Sender<Mono>,
}

struct Room {
    rules: Rules,
    waiting: BTreeMap<Ticket, oneshot::Sender<()>>,
}

/// A turn. Whoever has one sends one request and reports how it went; dropping it counts as a
/// failure.
pub struct Turn {
    gate: Gate,
    ticket: Ticket,
    reported: bool,
}

impl Gate {
    /// Opens a waiting room; [`Self::run`] must be driven.
    #[must_use]
    pub fn new(rules: Rules, clock: Clock) -> Self {
        let held = watch::Sender::new(rules.held_until());
        let room = Mutex::new(Room { rules, waiting: BTreeMap::new() });
        Self { shared: Arc::new(Shared { clock, room, changed: Notify::new(), held }) }
    }

    /// Calls one after the other, as the rules allow. Never ends.
    pub async fn run(self) {
        loop {
            let due = {
                let mut room = self.room();
                let now = self.now();
                while let Some(ticket) = room.rules.poll(now) {
                    let called = room.waiting.remove(&ticket).map(|waiting| waiting.send(()));
                    if !matches!(called, Some(Ok(()))) {
                        room.rules.forget(ticket, now); // gave up waiting
                    }
                }
                room.rules.poll_timeout()
            };
            tokio::select! {
                biased;
                () = self.shared.changed.notified() => {}
                () = self.shared.clock.sleep_until(due) => {}
            }
        }
    }

    /// Waits for a turn.
    pub async fn turn(&self, endpoint: Endpoint, priority: Priority) -> Turn {
        let (called, wait) = oneshot::channel();
        let ticket = {
            let mut room = self.room();
            let ticket = room.rules.ask(endpoint, priority);
            room.waiting.insert(ticket, called);
            ticket
        };
        let turn = Turn { gate: self.clone(), ticket, reported: false };
        self.shared.changed.notify_one();
        if wait.await.is_err() {
            std::future::pending::<()>().await; // the process is stopping
        }
        turn
    }

    /// From here on another limit, or another number of processes, holds.
    pub fn renew(&self, limit: u32, processes: u32) {
        let now = self.now();
        self.room().rules.renew(limit, processes, now);
        self.shared.changed.notify_one();
    }

    /// Nothing is sent before `until`: an earlier process was told so.
    pub fn hold(&self, until: Mono) {
        self.room().rules.hold(until);
        self.shared.changed.notify_one();
    }

    /// Until when nothing is sent, as the platform asks.
    #[must_use]
    pub fn held(&self) -> watch::Receiver<Mono> {
        self.shared.held.subscribe()
    }

    /// Reading history leaves so many requests to reconnects.
    pub fn reserve(&self, requests: u32) {
        self.room().rules.reserve(requests);
    }

    /// Requests that could go at once.
    #[must_use]
    pub fn remaining(&self) -> f64 {
        self.room().rules.remaining()
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.shared.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Mono {
        self.shared.clock.mono()
    }
}

impl Turn {
    /// The request was answered, or not.
    pub fn report(mut self, outcome: Outcome, window: Option<Window>) {
        self.reported = true;
        let now = self.gate.now();
        let mut room = self.gate.room();
        room.rules.report(self.ticket, outcome, now);
        if let Some(window) = window {
            room.rules.observe(window.count, window.allowed, now);
        }
        let held = room.rules.held_until();
        drop(room);
        self.gate.shared.held.send_if_modified(|until| std::mem::replace(until, held) != held);
        self.gate.shared.changed.notify_one();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.reported {
            let now = self.gate.now();
            let mut room = self.gate.room();
            room.waiting.remove(&self.ticket);
            room.rules.forget(self.ticket, now);
            drop(room);
            self.gate.shared.changed.notify_one();
        }
    }
}
