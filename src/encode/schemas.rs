//! The schemas that this version writes.

/// Text of the schema of conversation events.
pub const CONVERSATION_EVENT: &str = include_str!("../../schemas/conversation_event.avsc");

/// Subject of a topic's values under the registry's usual strategy.
#[must_use]
pub fn subject_of(topic: &str) -> String {
    format!("{topic}-value")
}
