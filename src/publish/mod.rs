//! 5 HAND OVER: records to Kafka, acknowledgements back.

pub mod quarantine;
pub mod router;
mod stage;

use trunkline_protocol::domain::{Disposition, Mono, Now, RejectReason};

use crate::kafka::Headers;
use crate::observe::flow::InFlight;
use router::FreeHeaders;

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
pub struct Record {
    /// Which topic.
    pub destination: Destination,
    /// Its number in the journal; parts of a message before the last have none.
    pub number: Option<u64>,
    /// When its last byte was read.
    pub received: Now,
    /// The event's own time, milliseconds since 1970, where it has one.
    pub event_time: Option<i64>,
    /// Its ticket; parts of a message before the last have none.
    pub ticket: Option<InFlight>,
}

/// What the broker gets of it. Between hand-over and acknowledgement the client library holds the
/// only copy; it comes back with a failure.
#[derive(Clone, Copy)]
pub struct Parcel<'a> {
    /// Key.
    pub key: &'a [u8],
    /// Value.
    pub value: &'a [u8],
    /// Headers.
    pub headers: &'a dyn Headers,
}

/// A parcel that has to be handed over again.
#[derive(Debug)]
struct Returned {
    key: Vec<u8>,
    value: Vec<u8>,
    headers: FreeHeaders,
}

impl Returned {
    fn of(parcel: Parcel<'_>) -> Self {
        let headers = FreeHeaders::of(parcel.headers);
        Self { key: parcel.key.to_vec(), value: parcel.value.to_vec(), headers }
    }

    fn parcel(&self) -> Parcel<'_> {
        Parcel { key: &self.key, value: &self.value, headers: &self.headers }
    }
}

/// A record that waits for its acknowledgement.
#[derive(Debug)]
struct Waiting {
    record: Record,
    /// Of the value.
    bytes: usize,
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
    /// A dead producer did not give back what it held.
    #[error("a dead producer kept {kept} records back")]
    KeptBack {
        /// How many.
        kept: usize,
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
            Self::KeptBack { .. } => Disposition::Escalate, // only a new process can ask again
            Self::Producer(error) => error.disposition(),
        }
    }
}
