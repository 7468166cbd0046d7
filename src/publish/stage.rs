//! In flight until acknowledged: nothing is dropped, a dead producer is replaced.
//!
//! ```text
//! Sending ── a delivery fails ──► Settling ── nothing outstanding ──► rests, then Sending
//!    └──── producer past help ──► Settling(rebuild) ── the same ──► new producer, Sending
//! ```
//! What failed comes back from the client library and is handed over again in its old order,
//! before anything newer.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use trunkline_protocol::domain::{Mono, Now, RejectReason, Wall};
use trunkline_protocol::producer::{Fate, ProducerWatch, RebuildCause};
use trunkline_protocol::seeded::{Bug, planted};

use super::router::FreeHeaders;
use super::{Destination, Parcel, PublishError, Record, Returned, Waiting};
use crate::clock::Clock;
use crate::failpoint;
use crate::kafka::Handover;
use crate::kafka::producer::{Failure, Producer, Report, Taken};
use crate::kafka::settings::KafkaSettings;
use crate::observe::flow::InFlight;
use crate::observe::metrics::{Acks, PublishMetrics};

/// What the stage needs to know.
#[derive(Clone, Debug)]
pub struct StageSettings {
    /// Brokers and bounds.
    pub kafka: KafkaSettings,
    /// Topic of conversation events.
    pub events_topic: String,
    /// Topic of what could not become a record.
    pub quarantine_topic: String,
    /// The oldest record may wait this long while brokers answer.
    pub stall: Duration,
}

/// Hands records over and waits for their acknowledgement.
pub struct Stage {
    settings: StageSettings,
    clock: Clock,
    metrics: PublishMetrics,
    producer: Producer,
    reports: UnboundedReceiver<Report>,
    watch: ProducerWatch,
    /// Finds out whether brokers answer.
    probe: Option<JoinHandle<bool>>,
    state: State,
    /// Records without an acknowledgement, in the order of their tokens.
    waiting: VecDeque<Option<Waiting>>,
    waiting_bytes: usize,
    waiting_count: usize,
    first_token: usize,
    /// Of those, what the client library holds.
    outstanding: usize,
    /// The rest: to be handed over, oldest first.
    pending: BTreeMap<usize, Returned>,
    /// Room for what is reported at once.
    arrived: Vec<Report>,
    look_at: Mono,
    durable: Vec<u64>,
    /// Acknowledged in this round.
    published: Vec<InFlight>,
    acks: Acks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Hands over, from `after` on.
    Sending { after: Mono },
    /// Waits until the client library has told the fate of all it holds.
    Settling { rebuild: Option<RebuildCause>, until: Mono },
}

/// A record that failed for a reason that may pass is sent again after this long.
const AGAIN: Duration = Duration::from_millis(500);
/// A full queue is tried again after this long.
const FULL: Duration = Duration::from_millis(5);
/// What the quarantine topic refuses is tried again after this long, until an operator widens it.
const REFUSED: Duration = Duration::from_secs(30);
/// A purged producer reports on everything at once; one that does not by then never will.
const PURGE_PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_secs(1);
const REPORTS: usize = 1024;

impl Stage {
    /// Makes the first producer.
    ///
    /// # Errors
    /// When the client library refuses the settings.
    pub fn new(
        settings: StageSettings,
        clock: Clock,
        metrics: PublishMetrics,
    ) -> Result<Self, PublishError> {
        let look_at = clock.mono() + LOOK;
        let (producer, reports) = Producer::new(&settings.kafka).map_err(PublishError::Producer)?;
        Ok(Self {
            clock,
            acks: metrics.acks(),
            metrics,
            producer,
            reports,
            watch: ProducerWatch::new(settings.stall),
            probe: None,
            state: State::Sending { after: Mono(0) },
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_count: 0,
            first_token: 0,
            outstanding: 0,
            pending: BTreeMap::new(),
            arrived: Vec::with_capacity(REPORTS),
            look_at,
            durable: Vec::new(),
            published: Vec::new(),
            settings,
        })
    }

    /// Whether another record may be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let kafka = &self.settings.kafka;
        self.waiting_count < kafka.in_flight_records
            && self.waiting_bytes < kafka.in_flight_bytes
            && self.pending.is_empty()
            && matches!(self.state, State::Sending { .. })
    }

    /// Records without an acknowledgement.
    #[must_use]
    pub fn unacked(&self) -> usize {
        self.waiting_count
    }

    /// Shows when the oldest un-acked event was heard; `elsewhere` says it of those that are not in
    /// flight.
    pub fn show_oldest(&self, elsewhere: Option<Wall>) {
        let in_flight = self.oldest().map(|waiting| waiting.record.received.wall);
        self.metrics.oldest_unacked([in_flight, elsewhere].into_iter().flatten().min());
    }

    /// Numbers acknowledged since the last call.
    pub fn durable(&mut self) -> std::vec::Drain<'_, u64> {
        self.durable.drain(..)
    }

    /// Waits until something is known or due, and takes care of it. May be dropped at any time.
    ///
    /// # Errors
    /// [`PublishError::KeptBack`] when a dead producer does not say what became of its records.
    pub async fn attend(&mut self) -> Result<(), PublishError> {
        let due = [Some(self.look_at), self.poll_timeout()].into_iter().flatten().min();
        tokio::select! {
            biased;
            count = self.reports.recv_many(&mut self.arrived, REPORTS) => {
                debug_assert!(count > 0, "the producer holds the sending end");
                let now = self.clock.now();
                let mut arrived = std::mem::take(&mut self.arrived);
                arrived.drain(..).for_each(|report| self.report(report, now));
                self.arrived = arrived;
                InFlight::published(&mut self.published);
                self.acks.flush();
            }
            reachable = answered(&mut self.probe) => {
                self.probe = None;
                self.watch.look(self.oldest_sent(), reachable, self.clock.mono());
            }
            () = self.clock.sleep_until(due) => {
                let now = self.clock.mono();
                if self.look_at <= now {
                    self.look_at = now + LOOK;
                    self.look(now);
                }
            }
        }
        self.advance()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        match self.state {
            State::Sending { after } if !self.pending.is_empty() => Some(after),
            State::Sending { .. } => None,
            State::Settling { until, .. } => Some(until),
        }
    }

    /// Moves on as far as nothing has to be waited for.
    ///
    /// # Errors
    /// As [`Self::attend`].
    pub fn advance(&mut self) -> Result<(), PublishError> {
        if let Some(cause) = self.watch.poll()
            && !matches!(self.state, State::Settling { rebuild: Some(_), .. })
        {
            self.give_up_on_producer(cause);
        }
        let now = self.clock.mono();
        match self.state {
            State::Settling { rebuild, .. } if self.outstanding == 0 => {
                if rebuild.is_some() {
                    self.rebuild()?;
                }
                let rest = if rebuild.is_some() { Duration::ZERO } else { AGAIN };
                self.state = State::Sending { after: now + rest };
            }
            State::Settling { rebuild: Some(_), until } if until <= now => {
                return Err(PublishError::KeptBack { kept: self.outstanding });
            }
            State::Settling { rebuild, until } if until <= now => {
                self.state = State::Settling { rebuild, until: now + LOOK }; // an outage takes long
            }
            State::Settling { .. } | State::Sending { .. } => {}
        }
        while let State::Sending { after } = self.state
            && after <= now
            && let Some((token, returned)) = self.pending.pop_first()
        {
            if let Some(again) = self.hand_over(token, returned.parcel()) {
                self.pending.insert(token, again);
            }
        }
        Ok(())
    }

    /// Takes a record; call it only while [`Self::has_room`], the parts of one message excepted.
    pub fn take(&mut self, record: Record, parcel: Parcel<'_>) {
        let token = self.first_token + self.waiting.len();
        let bytes = parcel.value.len();
        self.waiting_bytes += bytes;
        self.waiting_count += 1;
        self.waiting.push_back(Some(Waiting { record, bytes, sent: self.clock.mono() }));
        match self.state {
            State::Sending { .. } if self.pending.is_empty() => {
                if let Some(returned) = self.hand_over(token, parcel) {
                    self.pending.insert(token, returned);
                }
            }
            State::Sending { .. } | State::Settling { .. } => {
                self.pending.insert(token, Returned::of(parcel));
            }
        }
    }

    fn slot(&mut self, token: usize) -> Option<&mut Option<Waiting>> {
        self.waiting.get_mut(token.checked_sub(self.first_token)?)
    }

    /// Hands over; returns what has to wait for another time.
    fn hand_over(&mut self, token: usize, parcel: Parcel<'_>) -> Option<Returned> {
        let waiting = self.waiting.get(token.checked_sub(self.first_token)?)?.as_ref()?;
        let topic = match waiting.record.destination {
            Destination::Events => &self.settings.events_topic,
            Destination::Quarantine(_) => &self.settings.quarantine_topic,
        };
        let Parcel { key, value, headers } = parcel;
        let at_ms = self.clock.now().wall.0;
        let partition = None;
        let handed = Handover { topic, partition, key, value, headers, at_ms, token };
        match self.producer.enqueue(handed) {
            Taken::Yes => {
                failpoint::pass("prod.taken");
                self.outstanding += 1;
                None
            }
            Taken::Full if planted(Bug::DropOnFull) => {
                self.delivered(token, self.clock.now());
                None
            }
            Taken::Full => {
                self.state = State::Sending { after: self.clock.mono() + FULL };
                Some(Returned::of(parcel))
            }
            Taken::Never { fate, too_large } => {
                self.watch.handle(fate);
                self.failed(token, fate, too_large, Returned::of(parcel));
                None
            }
        }
    }

    fn report(&mut self, report: Report, now: Now) {
        self.outstanding -= 1;
        let Report { token, fate, failure } = report;
        match failure {
            None => self.delivered(token, now),
            Some(failure) => {
                self.watch.handle(fate);
                let Failure { too_large, key, value, headers } = *failure;
                let mut free = FreeHeaders::default();
                headers.into_iter().for_each(|(key, value)| free.add(key, value));
                self.failed(token, fate, too_large, Returned { key, value, headers: free });
            }
        }
    }

    fn delivered(&mut self, token: usize, now: Now) {
        self.watch.handle(Fate::Delivered);
        failpoint::pass("prod.delivered");
        let Some(waiting) = self.slot(token).and_then(Option::take) else {
            return;
        };
        self.waiting_count -= 1;
        self.waiting_bytes -= waiting.bytes;
        let Record { destination, number, received, event_time, ticket } = waiting.record;
        let lag =
            event_time.map(|at| Duration::from_millis(u64::try_from(now.wall.0 - at).unwrap_or(0)));
        self.acks.observe(now.mono.since(received.mono), lag);
        self.durable.extend(number);
        match (ticket, destination) {
            (None, _) => {}
            (Some(ticket), Destination::Events) => self.published.push(ticket),
            (Some(ticket), Destination::Quarantine(reason)) => ticket.quarantined(reason),
        }
        while self.waiting.front().is_some_and(Option::is_none) {
            self.waiting.pop_front();
            self.first_token += 1;
        }
    }

    fn failed(&mut self, token: usize, fate: Fate, too_large: bool, parcel: Returned) {
        match fate {
            Fate::Refused => {
                self.metrics.produce_error("refused");
                self.refused(token, too_large, parcel);
                return;
            }
            Fate::Retriable | Fate::OutOfOrder => self.metrics.produce_error("retriable"),
            Fate::Fatal => self.metrics.produce_error("fatal"),
            Fate::Delivered => {} // comes without a failure
        }
        self.pending.insert(token, parcel);
        if matches!(self.state, State::Sending { .. }) {
            // later records of the same key may still be under way: nothing goes before they came back
            self.state = State::Settling { rebuild: None, until: self.clock.mono() + LOOK };
        }
    }

    /// The broker will never take this record: its bytes go to quarantine instead, and what
    /// quarantine refuses is tried again until an operator widens it.
    fn refused(&mut self, token: usize, too_large: bool, mut parcel: Returned) {
        let Some(Some(waiting)) = self.slot(token) else {
            return;
        };
        let reason = if too_large { RejectReason::TooLarge } else { RejectReason::Refused };
        match waiting.record.destination {
            Destination::Events => {
                waiting.record.destination = Destination::Quarantine(reason);
                parcel.headers.add("trunkline-reason", reason.as_str());
                self.pending.insert(token, parcel);
            }
            Destination::Quarantine(_) => {
                tracing::error!(
                    code = "quarantine_refused",
                    "the quarantine topic refuses a record"
                );
                self.pending.insert(token, parcel);
                if matches!(self.state, State::Sending { .. }) {
                    self.state = State::Sending { after: self.clock.mono() + REFUSED };
                }
            }
        }
    }

    fn look(&mut self, now: Mono) {
        if self.producer.is_fatal() {
            self.watch.handle(Fate::Fatal);
        }
        // it takes up to a second, in which events go on being heard and spooled
        if self.probe.is_none() && self.watch.is_overdue(self.oldest_sent(), now) {
            self.probe = Some(tokio::task::spawn_blocking(self.producer.probe()));
        }
    }

    fn oldest_sent(&self) -> Option<Mono> {
        self.oldest().map(|waiting| waiting.sent)
    }

    fn oldest(&self) -> Option<&Waiting> {
        self.waiting.front().and_then(Option::as_ref)
    }

    /// Takes back everything the producer holds; its successor is made when all of it is here.
    fn give_up_on_producer(&mut self, cause: RebuildCause) {
        tracing::warn!(
            code = "producer_rebuilt",
            cause = cause.as_str(),
            unacked = self.waiting_count,
            "the producer is replaced; everything un-acked is sent again under the same ids"
        );
        self.metrics.rebuilt(cause.as_str());
        self.producer.purge();
        let until = self.clock.mono() + PURGE_PATIENCE;
        self.state = State::Settling { rebuild: Some(cause), until };
    }

    fn rebuild(&mut self) -> Result<(), PublishError> {
        let made = Producer::new(&self.settings.kafka).map_err(PublishError::Producer)?;
        (self.producer, self.reports) = made;
        (self.watch, self.probe) = (ProducerWatch::new(self.settings.stall), None);
        let now = self.clock.mono();
        self.waiting.iter_mut().flatten().for_each(|waiting| waiting.sent = now);
        Ok(())
    }
}

/// Whether brokers answered, once that is known.
async fn answered(probe: &mut Option<JoinHandle<bool>>) -> bool {
    match probe {
        Some(probe) => probe.await.unwrap_or(false),
        None => std::future::pending().await,
    }
}
