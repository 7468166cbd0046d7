//! 5 HAND OVER: records to Kafka, acknowledgements back.

pub mod quarantine;
pub mod router;
mod stage;

use bytes::Bytes;
use trunkline_protocol::domain::{Disposition, EventId, Mono, Now, RejectReason};

use crate::observe::flow::InFlight;

pub use stage::{Stage, StageSettings};

/// Which topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Conversation events.
    Events,
    /// What could not become a record.
    Quarantine(RejectReason),
}

/// A record on its way.
#[derive(Debug)]
pub struct Outgoing {
    /// Which topic.
    pub destination: Destination,
    /// Key.
    pub key: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
    /// Headers.
    pub headers: Vec<(&'static str, Bytes)>,
    /// Identity of the event.
    pub id: EventId,
    /// When its last byte was read.
    pub received: Now,
    /// The event's own time, milliseconds since 1970, where it has one.
    pub event_time: Option<i64>,
    /// Its ticket; parts of a message before the last have none.
    pub ticket: Option<InFlight>,
}

/// A record that waits for its acknowledgement.
#[derive(Debug)]
struct Waiting {
    outgoing: Outgoing,
    sent: Mono,
}

/// Why handing over ended before everything was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The grace period at stop was too short.
    #[error("{unacked} records were not acknowledged within {seconds} s of stopping")]
    Unacked {
        /// How many.
        unacked: usize,
        /// The grace period.
        seconds: u64,
    },
    /// No producer can be made.
    #[error("no producer can be made")]
    Producer(#[source] crate::kafka::KafkaError),
}

impl PublishError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Unacked { .. } => Disposition::Escalate, // the process is ending without them
            Self::Producer(error) => error.disposition(),
        }
    }
}
