//! In flight until acknowledged: nothing is dropped, a dead producer is replaced.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver};
use trunkline_protocol::domain::{EventId, Mono, Now, RejectReason};
use trunkline_protocol::producer::{Fate, ProducerWatch, RebuildCause};

use super::{Destination, Outgoing, PublishError, Waiting};
use crate::clock::Clock;
use crate::kafka::Handover;
use crate::kafka::producer::{Producer, Report, Taken};
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
    /// How long acknowledgements may take after the input ended.
    pub flush_deadline: Duration,
}

/// Hands records over and waits for their acknowledgement.
pub struct Stage {
    settings: StageSettings,
    clock: Clock,
    metrics: PublishMetrics,
    producer: Producer,
    reports: UnboundedReceiver<Report>,
    watch: ProducerWatch,
    /// Records without an acknowledgement, in the order of their tokens.
    waiting: VecDeque<Option<Waiting>>,
    waiting_bytes: usize,
    waiting_count: usize,
    first_token: usize,
    /// To be handed over (again), oldest first, not before the time.
    again: VecDeque<(Mono, usize)>,
    settled: Vec<EventId>,
    /// Acknowledged in this round.
    published: Vec<InFlight>,
    acks: Acks,
}

/// A record that failed for a reason that may pass is sent again after this long.
const AGAIN: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_secs(1);
/// How many records are taken from the input at once.
const ARRIVE: usize = 64;

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
        let (producer, reports) = Producer::new(&settings.kafka).map_err(PublishError::Producer)?;
        Ok(Self {
            settings,
            clock,
            acks: metrics.acks(),
            metrics,
            producer,
            reports,
            watch: ProducerWatch::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_count: 0,
            first_token: 0,
            again: VecDeque::new(),
            settled: Vec::new(),
            published: Vec::new(),
        })
    }

    /// Runs until the input has ended and everything is acknowledged.
    ///
    /// # Errors
    /// [`PublishError::Unacked`] when that takes longer than the deadline.
    pub async fn run(
        mut self,
        mut input: Receiver<Outgoing>,
        settled: Sender<Vec<EventId>>,
    ) -> Result<(), PublishError> {
        let mut deadline = None;
        let mut look = self.clock.mono() + LOOK;
        let mut reports = Vec::with_capacity(1024);
        let mut arrived = Vec::with_capacity(ARRIVE);
        let mut next = VecDeque::with_capacity(ARRIVE);
        loop {
            if let Some(cause) = self.watch.poll() {
                self.rebuild(cause)?;
            }
            self.hand_over_again();
            while self.has_room()
                && let Some(outgoing) = next.pop_front()
            {
                self.take(outgoing);
            }
            self.flush_settled(&settled);
            if deadline.is_some() && self.waiting_count == 0 && next.is_empty() {
                return Ok(());
            }
            let open = deadline.is_none() && next.is_empty() && self.has_room();
            let due = [Some(look), deadline, self.again.front().map(|(at, _)| *at)];
            let due = due.into_iter().flatten().min();
            tokio::select! {
                biased;
                count = self.reports.recv_many(&mut reports, 1024) => {
                    debug_assert!(count > 0, "the producer holds the sending end");
                    let now = self.clock.now();
                    for report in reports.drain(..) {
                        self.report(report, now);
                    }
                    InFlight::published(&mut self.published);
                    self.acks.flush();
                }
                count = input.recv_many(&mut arrived, ARRIVE), if open => {
                    next.extend(arrived.drain(..));
                    if count == 0 {
                        deadline = Some(self.clock.mono() + self.settings.flush_deadline);
                    }
                }
                () = self.clock.sleep_until(due) => {
                    let now = self.clock.mono();
                    if look <= now {
                        look = now + LOOK;
                        self.look(now);
                    }
                    if deadline.is_some_and(|at| at <= now) {
                        let seconds = self.settings.flush_deadline.as_secs();
                        return Err(PublishError::Unacked { unacked: self.waiting_count, seconds });
                    }
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        let kafka = &self.settings.kafka;
        self.waiting_count < kafka.in_flight_records
            && self.waiting_bytes < kafka.in_flight_bytes
            && self.again.is_empty()
    }

    fn take(&mut self, outgoing: Outgoing) {
        let token = self.first_token + self.waiting.len();
        self.waiting_bytes += outgoing.value.len();
        self.waiting_count += 1;
        self.waiting.push_back(Some(Waiting { outgoing, sent: self.clock.mono() }));
        self.hand_over(token);
    }

    fn slot(&mut self, token: usize) -> Option<&mut Option<Waiting>> {
        self.waiting.get_mut(token.checked_sub(self.first_token)?)
    }

    fn hand_over(&mut self, token: usize) {
        let index = token.wrapping_sub(self.first_token);
        let Some(Some(waiting)) = self.waiting.get(index) else {
            return;
        };
        let outgoing = &waiting.outgoing;
        let topic = match outgoing.destination {
            Destination::Events => &self.settings.events_topic,
            Destination::Quarantine(_) => &self.settings.quarantine_topic,
        };
        let taken = self.producer.enqueue(Handover {
            topic,
            key: &outgoing.key,
            value: &outgoing.value,
            headers: &outgoing.headers,
            token,
        });
        match taken {
            Taken::Yes => {}
            Taken::Full => {
                self.again.push_front((self.clock.mono() + Duration::from_millis(5), token))
            }
            Taken::Never { fate, too_large } => {
                self.report(Report { token, fate, too_large }, self.clock.now())
            }
        }
    }

    fn hand_over_again(&mut self) {
        if self.again.is_empty() {
            return;
        }
        let now = self.clock.mono();
        for _ in 0..self.again.len() {
            match self.again.front() {
                Some((at, _)) if *at <= now => {}
                Some(_) | None => return,
            }
            if let Some((_, token)) = self.again.pop_front() {
                self.hand_over(token);
            }
        }
    }

    fn report(&mut self, report: Report, now: Now) {
        self.watch.handle(report.fate);
        let Some(slot) = self.slot(report.token) else {
            return;
        };
        match report.fate {
            Fate::Delivered => {
                let Some(Waiting { outgoing, .. }) = slot.take() else {
                    return;
                };
                self.waiting_count -= 1;
                self.waiting_bytes -= outgoing.value.len();
                let lag = outgoing
                    .event_time
                    .map(|at| Duration::from_millis(u64::try_from(now.wall.0 - at).unwrap_or(0)));
                self.acks.observe(now.mono.since(outgoing.received.mono), lag);
                self.settled.push(outgoing.id);
                match (outgoing.ticket, outgoing.destination) {
                    (None, _) => {}
                    (Some(ticket), Destination::Events) => self.published.push(ticket),
                    (Some(ticket), Destination::Quarantine(reason)) => ticket.quarantined(reason),
                }
                while self.waiting.front().is_some_and(Option::is_none) {
                    self.waiting.pop_front();
                    self.first_token += 1;
                }
            }
            Fate::Refused => self.refused(report, now.mono),
            Fate::Retriable | Fate::OutOfOrder => {
                self.metrics.produce_error("retriable");
                self.again.push_back((now.mono + AGAIN, report.token));
            }
            Fate::Fatal => self.metrics.produce_error("fatal"), // the rebuild sends it again
        }
    }

    /// The broker will never take this record: its raw bytes go to quarantine instead, and what
    /// quarantine refuses is tried again until an operator widens it.
    fn refused(&mut self, report: Report, now: Mono) {
        self.metrics.produce_error("refused");
        let Some(Some(waiting)) = self.slot(report.token) else {
            return;
        };
        match waiting.outgoing.destination {
            Destination::Events => {
                let reason =
                    if report.too_large { RejectReason::TooLarge } else { RejectReason::Refused };
                let outgoing = &mut waiting.outgoing;
                outgoing.destination = Destination::Quarantine(reason);
                outgoing
                    .headers
                    .push(("trunkline-reason", Bytes::from_static(reason.as_str().as_bytes())));
                self.hand_over(report.token);
            }
            Destination::Quarantine(_) => {
                tracing::error!(
                    code = "quarantine_refused",
                    "the quarantine topic refuses a record"
                );
                self.again.push_back((now + Duration::from_secs(30), report.token));
            }
        }
    }

    fn look(&mut self, now: Mono) {
        let oldest = self.waiting.iter().flatten().next();
        self.metrics.oldest_unacked(oldest.map(|waiting| waiting.outgoing.received.wall));
        let sent = oldest.map(|waiting| waiting.sent);
        if self.producer.is_fatal() {
            self.watch.handle(Fate::Fatal);
        }
        let stalled =
            sent.is_some_and(|sent| now.since(sent) >= trunkline_protocol::producer::STALL);
        if stalled {
            let reachable = tokio::task::block_in_place(|| self.producer.is_reachable());
            self.watch.look(sent, reachable, now);
        }
    }

    fn rebuild(&mut self, cause: RebuildCause) -> Result<(), PublishError> {
        tracing::warn!(
            code = "producer_rebuilt",
            cause = cause.as_str(),
            unacked = self.waiting_count,
            "the producer is replaced; everything un-acked is sent again under the same ids"
        );
        self.metrics.rebuilt(cause.as_str());
        self.producer.purge();
        let (producer, reports) =
            Producer::new(&self.settings.kafka).map_err(PublishError::Producer)?;
        self.producer = producer;
        self.reports = reports; // what the old one still reports concerns nobody
        self.watch = ProducerWatch::new();
        let now = self.clock.mono();
        self.again = self
            .waiting
            .iter_mut()
            .enumerate()
            .filter_map(|(index, slot)| {
                slot.as_mut()?.sent = now;
                Some((now, self.first_token + index))
            })
            .collect();
        Ok(())
    }

    /// Never waits: the stage that listens may itself be waiting for us.
    fn flush_settled(&mut self, settled: &Sender<Vec<EventId>>) {
        if !self.settled.is_empty()
            && let Ok(room) = settled.try_reserve()
        {
            room.send(std::mem::take(&mut self.settled));
        }
    }
}
