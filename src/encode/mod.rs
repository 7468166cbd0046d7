//! 4 WRITE DOWN: events to Avro under a registered schema.

pub mod proof;
pub mod read;
mod record;
pub mod registry;
pub mod schemas;
mod writer;

use trunkline_protocol::domain::facts::Facts;
use trunkline_protocol::domain::{Event, WriterId};

use record::Row;

/// What every record of this process says about where it comes from.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// Organisation.
    pub org_id: String,
    /// This process.
    pub writer_id: WriterId,
}

/// Writes records in Confluent framing: a zero byte, the schema's id, the Avro datum.
#[derive(Clone, Debug)]
pub struct Encoder {
    frame: [u8; 5],
    provenance: Provenance,
    writer_hex: String,
    keep_payload: bool,
    topic_class: (String, String),
    /// The record at hand.
    scratch: Vec<u8>,
}

impl Encoder {
    /// Writes under the schema with this id.
    #[must_use]
    pub fn new(schema_id: u32, provenance: Provenance, keep_payload: bool) -> Self {
        let [a, b, c, d] = schema_id.to_be_bytes();
        let writer_hex = provenance.writer_id.to_string();
        let topic_class = Default::default();
        let scratch = Vec::new();
        Self { frame: [0, a, b, c, d], provenance, writer_hex, keep_payload, topic_class, scratch }
    }

    /// Writes one record. `topic_class` tells the class of a topic and is asked only when the topic
    /// changes.
    pub fn encode(
        &mut self,
        event: &Event,
        facts: &Facts<'_>,
        topic_class: impl FnOnce(&str) -> String,
    ) -> &[u8] {
        if self.topic_class.0 != event.topic() {
            self.topic_class = (event.topic().to_owned(), topic_class(event.topic()));
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.frame);
        let row = Row {
            event,
            facts,
            org_id: &self.provenance.org_id,
            writer_id: &self.writer_hex,
            topic_class: &self.topic_class.1,
            keep_payload: self.keep_payload,
        };
        row.write(&mut self.scratch);
        &self.scratch
    }
}

#[cfg(test)]
mod tests;
