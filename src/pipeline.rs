//! The journey on one screen: stages joined by bounded channels.
//!
//! Stages do not know each other; this file alone knows their order. Dropping the sender that
//! [`join`] returns ends the first stage, whose end ends the next: data drains itself in order.

use tokio::sync::mpsc::{self, Receiver, Sender};
use trunkline_protocol::domain::{Event, EventId, Quarantined, RejectReason};

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

/// How many parcels a task takes from its input at once.
const BATCH: usize = 256;

/// Starts every stage and returns the mouth of the pipeline. `capacity` bounds the parcels between
/// two stages.
pub fn join(stages: Stages, capacity: usize, supervisor: &mut Supervisor) -> Sender<Heard> {
    let (heard_in, heard) = mpsc::channel(capacity);
    let (understood_in, understood) = mpsc::channel(capacity);
    let (kept_in, kept) = mpsc::channel(capacity);
    let (outgoing_in, outgoing) = mpsc::channel(capacity);
    let (settled_in, settled) = mpsc::channel::<Vec<EventId>>(capacity);
    supervisor.spawn_infallible("understand", understand(stages.opener, heard, understood_in));
    supervisor.spawn_infallible("sequence", stages.sequence.run(understood, kept_in, settled));
    let pen = Pen {
        encoder: stages.encoder,
        router: stages.router,
        max_record_bytes: stages.max_record_bytes,
    };
    supervisor.spawn_infallible("write", write(pen, kept, outgoing_in));
    supervisor.spawn("publish", stages.publish.run(outgoing, settled_in));
    heard_in
}

/// 2 UNDERSTAND: what was heard becomes events, or a reason why not.
async fn understand(mut opener: Opener, mut input: Receiver<Heard>, output: Sender<Understood>) {
    let mut batch = Vec::with_capacity(BATCH);
    while input.recv_many(&mut batch, BATCH).await > 0 {
        for heard in batch.drain(..) {
            let understood = match heard {
                Heard::Opened { epoch, leg, joining } => Understood::Opened { epoch, leg, joining },
                Heard::Frame(frame, ticket) => match opener.open(frame) {
                    Ok(event) => Understood::Event(event, ticket),
                    Err(rejected) => Understood::Rejected(rejected, ticket),
                },
                Heard::Binary { raw, received, epoch, ticket } => {
                    Understood::Rejected(opener.binary(raw, received, epoch), ticket)
                }
                Heard::Ended { epoch, leg, reason } => Understood::Ended { epoch, leg, reason },
            };
            if output.send(understood).await.is_err() {
                return;
            }
        }
    }
}

/// 4 WRITE DOWN: events become Avro records, or go to quarantine with their raw bytes.
async fn write(mut pen: Pen, mut input: Receiver<Kept>, output: Sender<Outgoing>) {
    let mut batch = Vec::with_capacity(BATCH);
    while input.recv_many(&mut batch, BATCH).await > 0 {
        for kept in batch.drain(..) {
            let outgoing = match kept {
                Kept::Event(event, ticket) => pen.record(event, ticket),
                Kept::Rejected(rejected, ticket) => pen.reject(rejected, ticket),
            };
            for record in outgoing {
                if output.send(record).await.is_err() {
                    return;
                }
            }
        }
    }
}

struct Pen {
    encoder: Encoder,
    router: Router,
    max_record_bytes: usize,
}

impl Pen {
    fn record(&mut self, event: Event, ticket: InFlight) -> Vec<Outgoing> {
        let facts = match body::read(&event) {
            Ok(facts) => facts,
            Err(error) => {
                let reason = RejectReason::BadBody;
                return self
                    .reject(quarantine::of_event(&event, reason, error.to_string()), ticket);
            }
        };
        let mut value = Vec::new();
        self.encoder.encode(&event, &facts, body::topic_class, &mut value);
        if value.len() > self.max_record_bytes {
            let detail = format!("the record has {} bytes", value.len());
            let reason = RejectReason::TooLarge;
            return self.reject(quarantine::of_event(&event, reason, detail), ticket);
        }
        vec![Outgoing {
            destination: Destination::Events,
            key: self.router.key(&event, &facts),
            headers: self.router.headers(&event, &facts),
            value,
            id: event.id,
            received: event.frame.received,
            event_time: facts.event_time.or(facts.version),
            ticket: Some(ticket),
        }]
    }

    fn reject(&self, rejected: Quarantined, ticket: InFlight) -> Vec<Outgoing> {
        quarantine::outgoing(rejected, ticket, self.max_record_bytes)
    }
}
