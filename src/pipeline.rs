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

/// How many parcels each channel between two stages holds at most.
#[derive(Clone, Copy, Debug)]
pub struct Capacities {
    /// Messages heard and not yet understood.
    pub heard: usize,
    /// Events understood and not yet kept once.
    pub understood: usize,
    /// Events kept and not yet written down.
    pub kept: usize,
    /// Records not yet handed to the broker.
    pub outgoing: usize,
}

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
    /// Hands records over and waits for their acknowledgement.
    pub publish: publish::Stage,
}

/// How many parcels a task takes from its input at once.
const BATCH: usize = 256;

/// Starts every stage and returns the mouth of the pipeline.
pub fn join(stages: Stages, capacities: Capacities, supervisor: &mut Supervisor) -> Sender<Heard> {
    let (heard_in, heard) = mpsc::channel(capacities.heard);
    let (understood_in, understood) = mpsc::channel(capacities.understood);
    let (kept_in, kept) = mpsc::channel(capacities.kept);
    let (outgoing_in, outgoing) = mpsc::channel(capacities.outgoing);
    let (settled_in, settled) = mpsc::channel::<Vec<EventId>>(capacities.outgoing);
    supervisor.spawn_infallible("understand", understand(stages.opener, heard, understood_in));
    supervisor.spawn_infallible("sequence", stages.sequence.run(understood, kept_in, settled));
    let pen = Pen { encoder: stages.encoder, router: stages.router };
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
                Heard::Opened { epoch, leg, joining } => {
                    Understood::Opened { epoch, leg, joining }
                }
                Heard::Frame { frame, ticket } => match opener.open(frame) {
                    Ok(event) => Understood::Event(event, ticket),
                    Err(rejected) => Understood::Rejected(rejected, ticket),
                },
                Heard::Binary { raw, received, epoch, leg: _, ticket } => {
                    Understood::Rejected(opener.binary(raw, received, epoch), ticket)
                }
                Heard::Live { .. } => continue, // the status board knows; nothing to keep
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
                Kept::Rejected(rejected, ticket) => quarantine::outgoing(rejected, ticket),
            };
            if output.send(outgoing).await.is_err() {
                return;
            }
        }
    }
}

struct Pen {
    encoder: Encoder,
    router: Router,
}

impl Pen {
    fn record(&mut self, event: Event, ticket: InFlight) -> Outgoing {
        let facts = match body::read(&event) {
            Ok(facts) => facts,
            Err(error) => {
                let detail = error.to_string();
                return quarantine::outgoing(
                    rejected(&event, RejectReason::BadBody, detail),
                    ticket,
                );
            }
        };
        let mut value = Vec::new();
        if let Err(error) = self.encoder.encode(&event, &facts, &mut value) {
            let detail = error.to_string();
            return quarantine::outgoing(
                rejected(&event, RejectReason::Unencodable, detail),
                ticket,
            );
        }
        Outgoing {
            destination: Destination::Events,
            key: self.router.key(&event, &facts),
            headers: self.router.headers(&event, &facts),
            value,
            id: event.id,
            received: event.frame.received,
            quarantine_reason: None,
            ticket,
        }
    }
}

fn rejected(event: &Event, reason: RejectReason, detail: String) -> Quarantined {
    Quarantined {
        raw: event.frame.text.clone().into_bytes(),
        reason,
        detail,
        topic: Some(event.topic().to_owned()),
        id: event.id,
        received: event.frame.received,
        epoch: event.frame.epoch,
    }
}
