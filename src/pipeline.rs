//! The journey on one screen: stages, and the bounded channels between tasks.
//!
//! Stages do not know each other; this file alone knows their order. Dropping the sender that
//! [`join`] returns ends the first stage, whose end ends the next: data drains itself in order.

use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use trunkline_protocol::domain::{Event, EventId, Frame, Quarantined, RejectReason};

use crate::decode::{body, open::Opener};
use crate::encode::Encoder;
use crate::observe::flow::InFlight;
use crate::publish::{self, Destination, Outgoing, quarantine, router::Router};
use crate::sequence::{self, Kept, Understood};
use crate::session::Heard;
use crate::supervisor::Supervisor;

/// The stages, ready to run.
pub struct Stages {
    /// Understands envelopes.
    pub opener: Opener,
    /// Keeps every event once.
    pub sequence: sequence::Stage,
    /// Writes Avro.
    pub encoder: Encoder,
    /// Chooses key and headers.
    pub router: Router,
    /// Larger records are quarantined in parts.
    pub max_record_bytes: usize,
    /// Hands records over and waits for their acknowledgement.
    pub publish: publish::Stage,
}

/// How many parcels the middle takes from its input at once.
const BATCH: usize = 64;
/// How many records are handed on at once.
const HAND: usize = 64;

/// Starts every stage and returns the mouth of the pipeline. `capacity` bounds the parcels between
/// two tasks.
pub fn join(stages: Stages, capacity: usize, supervisor: &mut Supervisor) -> Sender<Heard> {
    let (heard_in, heard) = mpsc::channel(capacity);
    let (outgoing_in, outgoing) = mpsc::channel(capacity);
    let (settled_in, settled) = mpsc::channel::<Vec<EventId>>(capacity);
    let middle = Middle {
        opener: stages.opener,
        sequence: stages.sequence,
        pen: Pen {
            encoder: stages.encoder,
            router: stages.router,
            max_record_bytes: stages.max_record_bytes,
            scratch: Vec::new(),
        },
    };
    supervisor.spawn_infallible("middle", middle.run(heard, outgoing_in, settled));
    supervisor.spawn("publish", stages.publish.run(outgoing, settled_in));
    heard_in
}

/// Understands, keeps once and writes down. One task: handing an event to another one costs as
/// much as keeping it once.
struct Middle {
    opener: Opener,
    sequence: sequence::Stage,
    pen: Pen,
}

impl Middle {
    async fn run(
        mut self,
        mut input: Receiver<Heard>,
        output: Sender<Outgoing>,
        mut settled: Receiver<Vec<EventId>>,
    ) {
        let (mut heard, mut kept) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let clock = self.sequence.clock();
        let mut open = true;
        while open {
            let due = self.sequence.poll_timeout();
            tokio::select! {
                biased;
                Some(ids) = settled.recv() => self.sequence.settled(&ids),
                count = input.recv_many(&mut heard, BATCH) => {
                    open = count > 0;
                    self.understand(heard.drain(..), &mut kept);
                }
                () = clock.sleep_until(due) => self.sequence.handle_timeout(&mut kept),
            }
            if !open {
                self.sequence.finish(&mut kept);
            }
            self.sequence.look();
            if self.write_down(&mut kept, &output).await.is_err() {
                return;
            }
        }
    }

    /// 2 UNDERSTAND and 3 KEEP ONCE, in the order of arrival; messages that follow each other are
    /// opened together.
    fn understand(&mut self, heard: impl Iterator<Item = Heard>, kept: &mut Vec<Kept>) {
        let (mut frames, mut tickets) = (Vec::new(), Vec::new());
        for heard in heard {
            let other = match heard {
                Heard::Frame(frame, ticket) => {
                    frames.push(frame);
                    tickets.push(ticket);
                    continue;
                }
                Heard::Opened { epoch, leg, joining } => Understood::Opened { epoch, leg, joining },
                Heard::Ended { epoch, leg, reason } => Understood::Ended { epoch, leg, reason },
                Heard::Binary { raw, received, epoch, ticket } => {
                    Understood::Rejected(self.opener.binary(raw, received, epoch), ticket)
                }
            };
            self.open(&mut frames, &mut tickets, kept);
            self.sequence.take(other, kept);
        }
        self.open(&mut frames, &mut tickets, kept);
    }

    fn open(&mut self, frames: &mut Vec<Frame>, tickets: &mut Vec<InFlight>, kept: &mut Vec<Kept>) {
        for (opened, ticket) in self.opener.open_all(frames).into_iter().zip(tickets.drain(..)) {
            let understood = match opened {
                Ok(event) => Understood::Event(event, ticket),
                Err(rejected) => Understood::Rejected(rejected, ticket),
            };
            self.sequence.take(understood, kept);
        }
    }

    /// 4 WRITE DOWN: events become Avro records, or go to quarantine with their raw bytes.
    async fn write_down(
        &mut self,
        kept: &mut Vec<Kept>,
        output: &Sender<Outgoing>,
    ) -> Result<(), SendError<()>> {
        let mut records = Vec::with_capacity(HAND);
        let mut rest = kept.drain(..).peekable();
        while rest.peek().is_some() {
            for kept in rest.by_ref().take(HAND) {
                match kept {
                    Kept::Event(event, ticket) => self.pen.record(event, ticket, &mut records),
                    Kept::Rejected(rejected, ticket) => {
                        records.extend(self.pen.reject(rejected, ticket));
                    }
                }
            }
            while !records.is_empty() {
                let count = records.len().min(HAND).min(output.max_capacity());
                for (room, record) in output.reserve_many(count).await?.zip(records.drain(..count))
                {
                    room.send(record);
                }
            }
        }
        Ok(())
    }
}

struct Pen {
    encoder: Encoder,
    router: Router,
    max_record_bytes: usize,
    scratch: Vec<u8>,
}

impl Pen {
    fn record(&mut self, event: Event, ticket: InFlight, records: &mut Vec<Outgoing>) {
        let facts = match body::read(&event) {
            Ok(facts) => facts,
            Err(error) => {
                let reason = RejectReason::BadBody;
                let rejected = quarantine::of_event(&event, reason, error.to_string());
                records.extend(self.reject(rejected, ticket));
                return;
            }
        };
        self.scratch.clear();
        self.encoder.encode(&event, &facts, body::topic_class, &mut self.scratch);
        let value = &self.scratch;
        if value.len() > self.max_record_bytes {
            let detail = format!("the record has {} bytes", value.len());
            let reason = RejectReason::TooLarge;
            records.extend(self.reject(quarantine::of_event(&event, reason, detail), ticket));
            return;
        }
        records.push(Outgoing {
            destination: Destination::Events,
            key: self.router.key(&event, &facts),
            headers: self.router.headers(&event, &facts),
            // what waits for its acknowledgement takes no more than it needs
            value: value.clone(),
            id: event.id,
            received: event.frame.received,
            event_time: facts.event_time.or(facts.version),
            ticket: Some(ticket),
        });
    }

    fn reject(&self, rejected: Quarantined, ticket: InFlight) -> Vec<Outgoing> {
        quarantine::outgoing(rejected, ticket, self.max_record_bytes)
    }
}
