//! 3 KEEP ONCE: duplicates and splice.

use std::collections::{BTreeMap, VecDeque};

use trunkline_protocol::dedupe::{Dedupe, Verdict, Window};
use trunkline_protocol::domain::{
    EndReason, EpochId, Event, EventId, Leg, Mono, Quarantined, Wall,
};
use trunkline_protocol::journal::Journal;
use trunkline_protocol::ledger::News;
use trunkline_protocol::splice::Splice;
use trunkline_protocol::watermark::Watermark;

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
    /// A barrier of a socket.
    Pong {
        /// Its coverage.
        epoch: EpochId,
        /// When the ping was sent, by the platform's clock.
        sent: Wall,
    },
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

/// What is kept, every event once, under the number it has in the journal.
#[derive(Debug)]
pub enum Kept {
    /// An event nobody else carries.
    Event(Event, InFlight, u64),
    /// A message that is none, once.
    Rejected(Quarantined, InFlight, u64),
}

/// Drives dedupe, splice, journal and watermarks.
pub struct Stage {
    clock: Clock,
    dedupe: Dedupe,
    splice: Splice<Parcel>,
    journal: Journal,
    marks: BTreeMap<EpochId, Mark>,
    news: VecDeque<News>,
    metrics: SequenceMetrics,
}

#[derive(Debug, Default)]
struct Mark {
    watermark: Watermark,
    ended: bool,
}

enum Parcel {
    Event(Event, InFlight),
    Rejected(Quarantined, InFlight),
    Pong(EpochId, Wall),
}

impl Parcel {
    fn epoch(&self) -> EpochId {
        match self {
            Self::Event(event, _) => event.frame.epoch,
            Self::Rejected(rejected, _) => rejected.epoch,
            Self::Pong(epoch, _) => *epoch,
        }
    }

    /// A barrier has no identity.
    fn id(&self) -> Option<EventId> {
        match self {
            Self::Event(event, _) => Some(event.id),
            Self::Rejected(rejected, _) => Some(rejected.id),
            Self::Pong(..) => None,
        }
    }
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
        Self {
            clock,
            dedupe: Dedupe::new(window),
            splice: Splice::new(hold, HELD_CAP),
            journal: Journal::new(),
            marks: BTreeMap::new(),
            news: VecDeque::new(),
            metrics,
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.splice.poll_timeout()
    }

    /// What was kept under these numbers became durable.
    pub fn durable(&mut self, numbers: impl Iterator<Item = u64>) {
        let before = self.journal.durable_below();
        numbers.for_each(|number| self.journal.durable(number));
        if self.journal.durable_below() > before {
            self.prove();
        }
    }

    /// What became proven since the last call, in order.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
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
                self.marks.entry(epoch).or_default();
                if joining {
                    self.splice.joins(epoch, self.clock.mono());
                }
            }
            Understood::Ended { epoch, leg: _, reason } => {
                let released = self.splice.release(epoch).into_vec();
                released.into_iter().for_each(|parcel| self.keep(parcel, ready));
                if let Some(mark) = self.marks.get_mut(&epoch) {
                    mark.ended = true;
                    self.news.push_back(News::Ended { epoch, reason });
                }
                self.prove();
            }
            Understood::Event(event, ticket) => self.arrive(Parcel::Event(event, ticket), ready),
            Understood::Rejected(rejected, ticket) => {
                self.arrive(Parcel::Rejected(rejected, ticket), ready);
            }
            Understood::Pong { epoch, sent } => self.arrive(Parcel::Pong(epoch, sent), ready),
        }
    }

    fn arrive(&mut self, parcel: Parcel, ready: &mut VecDeque<Kept>) {
        if self.splice.is_idle() {
            self.keep(parcel, ready);
            return;
        }
        let (id, epoch) = (parcel.id(), parcel.epoch());
        let seen = id.is_some_and(|id| self.dedupe.contains(id));
        let released = self.splice.arrive(epoch, id, parcel, seen).into_vec();
        let went_on = !released.is_empty();
        released.into_iter().for_each(|parcel| self.keep(parcel, ready));
        if let Some(id) = id.filter(|_| went_on) {
            let others = self.splice.established(id).into_vec();
            others.into_iter().for_each(|parcel| self.keep(parcel, ready));
        }
    }

    fn keep(&mut self, parcel: Parcel, ready: &mut VecDeque<Kept>) {
        let epoch = parcel.epoch();
        let Some(id) = parcel.id() else {
            if let (Parcel::Pong(_, sent), Some(mark)) = (parcel, self.marks.get_mut(&epoch)) {
                mark.watermark.pong(sent);
                self.prove();
            }
            return;
        };
        let before = self.dedupe.evicted_early();
        let number = self.journal.next();
        let durable_below = self.journal.durable_below();
        let kept = match self.dedupe.offer(id, number, durable_below, self.clock.mono()) {
            Verdict::First => {
                self.journal.keep();
                ready.extend(match parcel {
                    Parcel::Event(event, ticket) => Some(Kept::Event(event, ticket, number)),
                    Parcel::Rejected(raw, ticket) => Some(Kept::Rejected(raw, ticket, number)),
                    Parcel::Pong(..) => None,
                });
                number
            }
            Verdict::Seen(kept) => {
                match parcel {
                    Parcel::Event(_, ticket) | Parcel::Rejected(_, ticket) => ticket.deduplicated(),
                    Parcel::Pong(..) => {}
                }
                kept
            }
        };
        if let Some(mark) = self.marks.get_mut(&epoch) {
            mark.watermark.heard(kept); // a duplicate waits for the copy that was kept (I5)
        }
        if self.dedupe.evicted_early() > before {
            self.metrics.evicted_generation();
        }
    }

    fn prove(&mut self) {
        let below = self.journal.durable_below();
        let news = &mut self.news;
        self.marks.retain(|&epoch, mark| {
            if let Some(to) = mark.watermark.durable_below(below) {
                news.push_back(News::Moved { epoch, to });
            }
            let settled = mark.ended && mark.watermark.is_settled();
            if settled {
                news.push_back(News::Settled { epoch });
            }
            !settled
        });
    }
}
