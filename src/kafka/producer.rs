//! The producer: a full queue is back-pressure, the callback only reports.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use trunkline_protocol::producer::Fate;

use super::quiet;
use super::settings::KafkaSettings;
use super::{Handover, KafkaError};

/// What became of the record with this token.
#[derive(Debug)]
pub struct Report {
    /// As given at the hand-over.
    pub token: usize,
    /// Its fate.
    pub fate: Fate,
    /// What failed, with the record given back.
    pub failure: Option<Box<Failure>>,
}

/// A record given back.
#[derive(Debug)]
pub struct Failure {
    /// It was refused for its size.
    pub too_large: bool,
    /// Key.
    pub key: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
    /// Headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Whether a record was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Its fate will be reported.
    Yes,
    /// The queue is full: try again when something was reported.
    Full,
    /// It will never be taken.
    Never {
        /// Its fate.
        fate: Fate,
        /// It was refused for its size.
        too_large: bool,
    },
}

/// One producer of the client library. The number of reports under way is bounded by its queue.
pub struct Producer {
    inner: Arc<ThreadedProducer<Reporter>>,
}

struct Reporter {
    reports: UnboundedSender<Report>,
}

impl ClientContext for Reporter {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        quiet::line(facility, text);
    }

    fn error(&self, error: RdError, reason: &str) {
        tracing::warn!(code = "kafka_client_error", error = %error, reason, "kafka client");
    }
}

impl ProducerContext for Reporter {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let report = match result {
            Ok(_) => Report { token, fate: Fate::Delivered, failure: None },
            Err((error, message)) => {
                let failure = Failure {
                    too_large: error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge),
                    key: message.key().unwrap_or_default().to_vec(),
                    value: message.payload().unwrap_or_default().to_vec(),
                    headers: headers_of(message),
                };
                Report { token, fate: fate_of(error), failure: Some(Box::new(failure)) }
            }
        };
        self.reports.send(report).ok(); // a stage that is gone needs none
    }
}

fn fate_of(error: &RdError) -> Fate {
    match error.rdkafka_error_code() {
        Some(Code::Fatal | Code::Inconsistent | Code::UnknownProducerId) => Fate::Fatal,
        Some(Code::OutOfOrderSequenceNumber) => Fate::OutOfOrder,
        Some(
            Code::MessageSizeTooLarge
            | Code::InvalidRecord
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::MessageBatchTooLarge
            | Code::InvalidTimestamp
            | Code::PolicyViolation,
        ) => Fate::Refused,
        Some(_) | None => Fate::Retriable,
    }
}

impl Producer {
    /// Makes a producer; it connects when it has something to send.
    ///
    /// # Errors
    /// When the client library refuses the settings.
    pub fn new(settings: &KafkaSettings) -> Result<(Self, UnboundedReceiver<Report>), KafkaError> {
        let (reports, receiver) = unbounded_channel();
        let inner = settings
            .producer()
            .create_with_context(Reporter { reports })
            .map_err(KafkaError::Settings)?;
        Ok((Self { inner: Arc::new(inner) }, receiver))
    }

    /// Hands a record over; never waits.
    pub fn enqueue(&self, handover: Handover<'_>) -> Taken {
        let mut headers = Some(OwnedHeaders::new_with_capacity(handover.headers.count()));
        handover.headers.each(&mut |key, value| {
            headers = headers.take().map(|h| h.insert(Header { key, value: Some(value) }));
        });
        let mut record = BaseRecord::with_opaque_to(handover.topic, handover.token)
            .key(handover.key)
            .payload(handover.value)
            .headers(headers.unwrap_or_default())
            .timestamp(handover.at_ms);
        record.partition = handover.partition;
        match self.inner.send(record) {
            Ok(()) => Taken::Yes,
            Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) => Taken::Full,
            Err((error, _)) => Taken::Never {
                fate: fate_of(&error),
                too_large: error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge),
            },
        }
    }

    /// Says whether any broker answers a metadata request; blocks its thread for up to a second.
    pub fn probe(&self) -> impl FnOnce() -> bool + Send + 'static {
        let inner = Arc::clone(&self.inner);
        move || inner.client().fetch_metadata(None, Duration::from_secs(1)).is_ok()
    }

    /// Whether the client library declared itself past help.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.inner.client().fatal_error().is_some()
    }

    /// Forgets what it holds; the owner sends it again elsewhere.
    pub fn purge(&self) {
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }
}

/// Topic, key and the like of a message; kept here so that one file knows the library's types.
pub(crate) fn headers_of(message: &impl rdkafka::Message) -> Vec<(String, Vec<u8>)> {
    use rdkafka::message::Headers as _;
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect()
}
