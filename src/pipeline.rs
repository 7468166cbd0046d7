//! The journey on one screen: sockets feed one bounded channel; behind it one task understands,
//! keeps once, writes down, hands over and learns what became of it.
//!
//! Stages do not know each other; this file alone knows their order. One task: handing an event to
//! another one costs as much as keeping it once. Dropping the sender that [`join`] returns ends
//! the input; the task ends when everything is acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use trunkline_protocol::domain::{Event, Frame, Mono, Quarantined, RejectReason};
use trunkline_protocol::ledger::News;
use trunkline_protocol::topic::class_of;

use crate::clock::Clock;
use crate::decode::{body, open::Opener};
use crate::encode::Encoder;
use crate::observe::flow::InFlight;
use crate::publish::{self, Destination, Parcel, PublishError, Record, quarantine, router::Router};
use crate::sequence::{self, Kept, Understood};
use crate::session::Heard;
use crate::supervisor::Supervisor;

/// The stages, ready to run.
pub struct Stages {
    /// Time.
    pub clock: Clock,
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
    /// How long acknowledgements may take after the input ended.
    pub flush_deadline: Duration,
    /// Where news about coverage go.
    pub news: Sender<News>,
}

/// How many parcels are taken from the input at once.
const BATCH: usize = 64;

/// Starts the pipeline and returns its mouth. `capacity` bounds what waits before it.
pub fn join(stages: Stages, capacity: usize, supervisor: &mut Supervisor) -> Sender<Heard> {
    let (heard_in, heard) = mpsc::channel(capacity);
    supervisor.spawn("pipeline", Pipeline { stages, kept: VecDeque::new() }.run(heard));
    heard_in
}

struct Pipeline {
    stages: Stages,
    /// Kept, and waits for room among what is in flight.
    kept: VecDeque<Kept>,
}

enum Wake {
    Attended,
    Heard(usize),
    Due,
}

impl Pipeline {
    async fn run(mut self, mut input: Receiver<Heard>) -> Result<(), PublishError> {
        let mut heard = Vec::with_capacity(BATCH);
        let mut deadline = None;
        loop {
            self.hand_over()?;
            let Stages { publish, sequence, .. } = &mut self.stages;
            sequence.durable(publish.durable());
            sequence.look();
            self.tell_news();
            let Stages { clock, publish, sequence, .. } = &mut self.stages;
            if deadline.is_some() && publish.unacked() == 0 && self.kept.is_empty() {
                return Ok(());
            }
            let open = deadline.is_none() && self.kept.is_empty() && publish.has_room();
            let due: Option<Mono> = sequence.poll_timeout().into_iter().chain(deadline).min();
            let wake = tokio::select! {
                biased;
                attended = publish.attend() => { attended?; Wake::Attended }
                count = input.recv_many(&mut heard, BATCH), if open => Wake::Heard(count),
                () = clock.sleep_until(due) => Wake::Due,
            };
            match wake {
                Wake::Attended => {}
                Wake::Heard(0) => {
                    deadline = Some(self.stages.clock.mono() + self.stages.flush_deadline);
                    self.stages.sequence.finish(&mut self.kept);
                }
                Wake::Heard(_) => self.understand(heard.drain(..)),
                Wake::Due => {
                    self.stages.sequence.handle_timeout(&mut self.kept);
                    self.give_up_at(deadline)?;
                }
            }
        }
    }

    /// Tells what became proven; what the ledger has no room for waits here.
    fn tell_news(&mut self) {
        let Stages { sequence, news, .. } = &mut self.stages;
        loop {
            let room = match news.try_reserve() {
                Ok(room) => Some(room),
                Err(TrySendError::Full(())) => return,
                Err(TrySendError::Closed(())) => None, // nobody asks for proof
            };
            let Some(told) = sequence.poll_news() else { return };
            room.into_iter().for_each(|room| room.send(told.clone()));
        }
    }

    fn give_up_at(&self, deadline: Option<Mono>) -> Result<(), PublishError> {
        match deadline {
            Some(at) if at <= self.stages.clock.mono() => Err(PublishError::Unacked {
                unacked: self.stages.publish.unacked() + self.kept.len(),
                seconds: self.stages.flush_deadline.as_secs(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// 2 UNDERSTAND and 3 KEEP ONCE, in the order of arrival; messages that follow each other are
    /// opened together.
    fn understand(&mut self, heard: impl Iterator<Item = Heard>) {
        let (mut frames, mut tickets) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        for heard in heard {
            let other = match heard {
                Heard::Frame(frame, ticket) => {
                    frames.push(frame);
                    tickets.push(ticket);
                    continue;
                }
                Heard::Opened { epoch, leg, joining } => Understood::Opened { epoch, leg, joining },
                Heard::Pong { epoch, sent } => Understood::Pong { epoch, sent },
                Heard::Ended { epoch, leg, reason } => Understood::Ended { epoch, leg, reason },
                Heard::Binary { raw, received, epoch, ticket } => {
                    Understood::Rejected(self.stages.opener.binary(raw, received, epoch), ticket)
                }
            };
            self.open(&mut frames, &mut tickets);
            self.stages.sequence.take(other, &mut self.kept);
        }
        self.open(&mut frames, &mut tickets);
    }

    fn open(&mut self, frames: &mut Vec<Frame>, tickets: &mut Vec<InFlight>) {
        let opened = self.stages.opener.open_all(frames);
        for (opened, ticket) in opened.into_iter().zip(tickets.drain(..)) {
            let understood = match opened {
                Ok(event) => Understood::Event(event, ticket),
                Err(rejected) => Understood::Rejected(rejected, ticket),
            };
            self.stages.sequence.take(understood, &mut self.kept);
        }
    }

    /// 4 WRITE DOWN and 5 HAND OVER, as far as there is room.
    fn hand_over(&mut self) -> Result<(), PublishError> {
        self.stages.publish.advance()?;
        while self.stages.publish.has_room()
            && let Some(kept) = self.kept.pop_front()
        {
            match kept {
                Kept::Event(event, ticket, number) => self.record(&event, ticket, number),
                Kept::Rejected(rejected, ticket, number) => {
                    self.reject(&rejected, ticket, number);
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, event: &Event, ticket: InFlight, number: u64) {
        let Stages { encoder, router, publish, max_record_bytes, .. } = &mut self.stages;
        let facts = match body::read(event) {
            Ok(facts) => facts,
            Err(error) => {
                let reason = RejectReason::BadBody;
                self.reject(
                    &quarantine::of_event(event, reason, error.to_string()),
                    ticket,
                    number,
                );
                return;
            }
        };
        let value = encoder.encode(event, &facts, class_of);
        if value.len() > *max_record_bytes {
            let detail = format!("the record has {} bytes", value.len());
            let reason = RejectReason::TooLarge;
            self.reject(&quarantine::of_event(event, reason, detail), ticket, number);
            return;
        }
        let record = Record {
            destination: Destination::Events,
            number: Some(number),
            received: event.frame.received,
            event_time: facts.event_time.or(facts.version),
            ticket: Some(ticket),
        };
        let key = router.key(event, &facts);
        let headers = router.headers(event, &facts);
        publish.take(record, Parcel { key, value, headers: &headers });
    }

    fn reject(&mut self, rejected: &Quarantined, ticket: InFlight, number: u64) {
        let max_bytes = self.stages.max_record_bytes;
        quarantine::parts(rejected, number, ticket, max_bytes, |record, parcel| {
            self.stages.publish.take(record, parcel);
        });
    }
}
