//! The schemas that this version writes.

/// Text of the schema of conversation events.
pub const CONVERSATION_EVENT: &str = include_str!("../../schemas/conversation_event.avsc");

/// Text of the schema of gap records.
pub const GAP_RECORD: &str = include_str!("../../schemas/gap_record.avsc");

/// Text of the schema of coverage certificates.
pub const COVERAGE_CERTIFICATE: &str = include_str!("../../schemas/coverage_certificate.avsc");

/// A schema and the topic whose values it describes.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Name of its file, without the ending.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// What the topic is for.
    pub topic: Topic,
}

/// The topics that carry Avro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Conversation events.
    Events,
    /// Gap records.
    Gaps,
    /// Coverage certificates.
    Certificates,
}

/// Every schema.
pub const SUBJECTS: [Subject; 3] = [
    Subject { name: "conversation_event", text: CONVERSATION_EVENT, topic: Topic::Events },
    Subject { name: "gap_record", text: GAP_RECORD, topic: Topic::Gaps },
    Subject {
        name: "coverage_certificate",
        text: COVERAGE_CERTIFICATE,
        topic: Topic::Certificates,
    },
];

/// Subject of a topic's values under the registry's usual strategy.
#[must_use]
pub fn subject_of(topic: &str) -> String {
    format!("{topic}-value")
}
