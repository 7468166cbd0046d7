//! Which key, which headers.

use bytes::Bytes;
use trunkline_protocol::domain::Event;
use trunkline_protocol::domain::facts::Facts;

/// Chooses key and headers of event records.
#[derive(Clone, Debug)]
pub struct Router {
    source: Bytes,
}

impl Router {
    /// Records of this organisation.
    #[must_use]
    pub fn new(org_id: &str) -> Self {
        Self { source: Bytes::from(format!("/genesys/{org_id}")) }
    }

    /// The conversation, so that its events stay in order; the topic where there is none.
    #[must_use]
    pub fn key(&self, event: &Event, facts: &Facts<'_>) -> Vec<u8> {
        let key = facts.conversation_id.as_deref().unwrap_or_else(|| event.topic());
        key.as_bytes().to_vec()
    }

    /// `CloudEvents` attributes in binary mode, and ours.
    #[must_use]
    pub fn headers(&self, event: &Event, facts: &Facts<'_>) -> Vec<(&'static str, Bytes)> {
        let id = Bytes::copy_from_slice(event.id.to_hex().as_str().as_bytes());
        vec![
            ("ce_specversion", Bytes::from_static(b"1.0")),
            ("ce_id", id.clone()),
            ("ce_source", self.source.clone()),
            ("ce_type", Bytes::from([b"genesys.", facts.event_type.as_bytes()].concat())),
            ("content-type", Bytes::from_static(b"application/avro")),
            ("event_id", id),
            ("trunkline-origin", Bytes::from_static(event.origin.as_str().as_bytes())),
        ]
    }
}
