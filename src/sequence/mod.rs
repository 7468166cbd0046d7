//! 3 KEEP ONCE: what was understood, given to the rules, and what they say of it, shown.

use std::collections::VecDeque;

use tokio::sync::watch;
use trunkline_protocol::audit::Suspect;
use trunkline_protocol::dedupe::Window;
use trunkline_protocol::domain::{
    EndReason, EpochId, Event, EventId, Leg, Mono, Quarantined, Wall,
};
use trunkline_protocol::journal::Journal;
use trunkline_protocol::ledger::News;
use trunkline_protocol::sequence::{self, Logged, Sequence};
use trunkline_protocol::timings::Timings;

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

/// Drives [`Sequence`].
pub struct Stage {
    clock: Clock,
    rules: Sequence<Parcel>,
    metrics: SequenceMetrics,
    /// Where the coverage of a suspected socket is told.
    suspects: watch::Sender<Option<EpochId>>,
}

enum Parcel {
    Event(Event, InFlight),
    Rejected(Quarantined, InFlight),
}

impl sequence::Parcel for Parcel {
    fn epoch(&self) -> EpochId {
        match self {
            Self::Event(event, _) => event.frame.epoch,
            Self::Rejected(rejected, _) => rejected.epoch,
        }
    }

    fn id(&self) -> EventId {
        match self {
            Self::Event(event, _) => event.id,
            Self::Rejected(rejected, _) => rejected.id,
        }
    }

    fn again(self) {
        match self {
            Self::Event(_, ticket) | Self::Rejected(_, ticket) => ticket.deduplicated(),
        }
    }
}

/// Puts what is kept behind what waits.
fn behind(ready: &mut VecDeque<Kept>) -> impl FnMut(Parcel, u64) {
    |parcel, number| {
        ready.push_back(match parcel {
            Parcel::Event(event, ticket) => Kept::Event(event, ticket, number),
            Parcel::Rejected(raw, ticket) => Kept::Rejected(raw, ticket, number),
        });
    }
}

impl Stage {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(clock: Clock, window: Window, timings: &Timings, metrics: SequenceMetrics) -> Self {
        let rules = Sequence::new(window, timings);
        Self { clock, rules, metrics, suspects: watch::Sender::default() }
    }

    /// Coverages of sockets that did not hear what their siblings heard, the newest.
    #[must_use]
    pub fn suspects(&self) -> watch::Receiver<Option<EpochId>> {
        self.suspects.subscribe()
    }

    /// As [`Sequence::resuming`].
    #[must_use]
    pub fn resuming(mut self, journal: Journal) -> Self {
        self.rules = self.rules.resuming(journal);
        self
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.rules.poll_timeout()
    }

    /// What was kept under these numbers became durable.
    pub fn durable(&mut self, numbers: impl Iterator<Item = u64>) {
        self.rules.durable(numbers);
    }

    /// As [`Sequence::logged`].
    pub fn logged(&mut self, id: EventId) -> Logged {
        self.rules.logged(id, self.clock.mono())
    }

    /// As [`Sequence::elsewhere`].
    pub fn elsewhere(&mut self, shard: u16, id: EventId, received: Wall) {
        self.rules.elsewhere(shard, id, received, self.clock.now());
    }

    /// As [`Sequence::must_replay`].
    pub fn must_replay(&mut self, id: EventId, number: u64) -> bool {
        self.rules.must_replay(id, number, self.clock.mono())
    }

    /// What became proven since the last call, in order.
    pub fn poll_news(&mut self) -> Option<News> {
        self.rules.poll_news()
    }

    /// Lets go of what waited long enough for its splice.
    pub fn handle_timeout(&mut self, ready: &mut VecDeque<Kept>) {
        for suspect in self.rules.handle_timeout(self.clock.mono(), &mut behind(ready)) {
            self.tell(suspect);
        }
    }

    /// The input is not taken for now: silence says nothing about a socket.
    pub fn pause(&mut self) {
        self.rules.pause(self.clock.mono());
    }

    fn tell(&self, suspect: Suspect) {
        self.suspects.send_replace(Some(suspect.epoch));
        self.metrics.doubted(suspect.check.as_str());
        tracing::warn!(
            code = "channel_suspected",
            shard = suspect.leg.shard,
            leg = suspect.leg.ordinal,
            since_ms = suspect.since.0,
            check = suspect.check.as_str(),
            "a channel does not hear what its sibling, or another replica, hears, or nothing for longer than the canary allows; its coverage is doubted and it is replaced"
        );
    }

    /// The sockets are gone: nothing is left to wait for.
    pub fn finish(&mut self, ready: &mut VecDeque<Kept>) {
        self.rules.finish(self.clock.mono(), &mut behind(ready));
    }

    /// Shows what is held and remembered.
    pub fn look(&self) {
        self.metrics.held(self.rules.held());
        self.metrics.window_events(self.rules.remembered());
    }

    /// Takes one parcel; what is kept goes behind `ready`.
    pub fn take(&mut self, understood: Understood, ready: &mut VecDeque<Kept>) {
        let (now, before) = (self.clock.mono(), self.rules.evicted_early());
        let kept = &mut behind(ready);
        match understood {
            Understood::Opened { epoch, leg, joining } => {
                self.rules.opened(epoch, leg, joining, self.clock.now());
            }
            Understood::Ended { epoch, leg: _, reason } => {
                self.rules.ended(epoch, reason, self.clock.now(), kept);
            }
            Understood::Event(event, ticket) => {
                self.rules.heard(event.frame.epoch, event.id, event.frame.received.mono);
                self.rules.arrive(Parcel::Event(event, ticket), now, kept);
            }
            Understood::Rejected(rejected, ticket) => {
                self.rules.arrive(Parcel::Rejected(rejected, ticket), now, kept);
            }
            Understood::Pong { epoch, sent } => {
                self.rules.pong(epoch, sent, self.clock.now(), kept);
            }
        }
        if self.rules.evicted_early() > before {
            self.metrics.evicted_generation();
        }
    }
}
