//! The client library's own lines, at level debug: what matters of them comes as an error or as the
//! fate of a record.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError as RdError;

/// A client whose calls say what failed.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        line(facility, text);
    }

    fn error(&self, error: RdError, reason: &str) {
        line(&error.to_string(), reason);
    }
}

impl ConsumerContext for Quiet {}

pub(super) fn line(facility: &str, text: &str) {
    tracing::debug!(facility, text, "librdkafka");
}
