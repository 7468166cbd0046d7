//! 3 KEEP ONCE: duplicates and splice.

use std::collections::VecDeque;

use trunkline_protocol::dedupe::{Dedupe, Verdict, Window};
use trunkline_protocol::domain::{EndReason, EpochId, Event, EventId, Leg, Mono, Quarantined};
use trunkline_protocol::splice::Splice;

use crate::clock::Clock;
use crate::observe::flow::InFlight;
use crate::observe::metrics::SequenceMetrics;

/// What was understood, in the order of each socket.
#[derive(Debug)]
pub enum Understood {
    /// A socket opened.
    Opened {
        /// Its coverage.
        epoch: EpochId,
        /// Where.
        leg: Leg,
        /// Its events wait for the splice.
        joining: bool,
    },
    /// An event.
    Event(Event, InFlight),
    /// A message that is none.
    Rejected(Quarantined, InFlight),
    /// A socket ended.
    Ended {
        /// Its coverage.
        epoch: EpochId,
        /// Where.
        leg: Leg,
        /// Why.
        reason: EndReason,
    },
}

/// What is kept: every event once.
#[derive(Debug)]
pub enum Kept {
    /// An event nobody else carries.
    Event(Event, InFlight),
    /// A message that is none, once.
    Rejected(Quarantined, InFlight),
}

/// Drives dedupe and splice.
pub struct Stage {
    clock: Clock,
    dedupe: Dedupe,
    splice: Splice<Parcel>,
    metrics: SequenceMetrics,
}

struct Parcel {
    id: EventId,
    epoch: EpochId,
    kept: Kept,
}

/// Events of one joining channel that may wait; beyond it the splice is taken for found.
const HELD_CAP: usize = 10_000;

impl Stage {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(
        clock: Clock,
        window: Window,
        hold: std::time::Duration,
        metrics: SequenceMetrics,
    ) -> Self {
        let splice = Splice::new(hold, HELD_CAP);
        Self { clock, dedupe: Dedupe::new(window), splice, metrics }
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.splice.poll_timeout()
    }

    /// These ids became durable.
    pub fn settled(&mut self, ids: impl Iterator<Item = EventId>) {
        ids.for_each(|id| self.dedupe.settled(id));
    }

    /// Lets go of what waited long enough for its splice.
    pub fn handle_timeout(&mut self, ready: &mut VecDeque<Kept>) {
        let released = self.splice.handle_timeout(self.clock.mono());
        released.into_iter().for_each(|parcel| self.keep(parcel, ready));
    }

    /// The sockets are gone: nothing is left to wait for.
    pub fn finish(&mut self, ready: &mut VecDeque<Kept>) {
        let released = self.splice.handle_timeout(Mono(u64::MAX));
        released.into_iter().for_each(|parcel| self.keep(parcel, ready));
    }

    /// Shows what is held and remembered.
    pub fn look(&self) {
        self.metrics.held(self.splice.held());
        self.metrics.window_events(self.dedupe.len());
    }

    /// Takes one parcel; what is kept goes behind `ready`.
    pub fn take(&mut self, understood: Understood, ready: &mut VecDeque<Kept>) {
        match understood {
            Understood::Opened { epoch, leg: _, joining } => {
                if joining {
                    self.splice.joins(epoch, self.clock.mono());
                }
            }
            Understood::Ended { epoch, .. } => {
                let released = self.splice.release(epoch).into_vec();
                released.into_iter().for_each(|parcel| self.keep(parcel, ready));
            }
            Understood::Event(event, ticket) => {
                let (id, epoch) = (event.id, event.frame.epoch);
                self.arrive(Parcel { id, epoch, kept: Kept::Event(event, ticket) }, ready);
            }
            Understood::Rejected(rejected, ticket) => {
                let (id, epoch) = (rejected.id, rejected.epoch);
                self.arrive(Parcel { id, epoch, kept: Kept::Rejected(rejected, ticket) }, ready);
            }
        }
    }

    fn arrive(&mut self, parcel: Parcel, ready: &mut VecDeque<Kept>) {
        if self.splice.is_idle() {
            self.keep(parcel, ready);
            return;
        }
        let (id, epoch) = (parcel.id, parcel.epoch);
        let seen = self.dedupe.contains(id);
        let released = self.splice.arrive(epoch, id, parcel, seen).into_vec();
        let went_on = !released.is_empty();
        released.into_iter().for_each(|parcel| self.keep(parcel, ready));
        if went_on {
            let others = self.splice.established(id).into_vec();
            others.into_iter().for_each(|parcel| self.keep(parcel, ready));
        }
    }

    fn keep(&mut self, parcel: Parcel, ready: &mut VecDeque<Kept>) {
        let before = self.dedupe.evicted_early();
        match self.dedupe.offer(parcel.id, parcel.epoch, self.clock.mono()) {
            Verdict::First => ready.push_back(parcel.kept),
            // publish never gives a kept copy up, so an owed one is settled when that one is
            Verdict::Durable | Verdict::Owed => match parcel.kept {
                Kept::Event(_, ticket) | Kept::Rejected(_, ticket) => ticket.deduplicated(),
            },
        }
        if self.dedupe.evicted_early() > before {
            self.metrics.evicted_generation();
        }
    }
}
