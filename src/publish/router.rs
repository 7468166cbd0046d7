//! Which key, which headers.

use std::borrow::Cow;

use bytes::Bytes;
use trunkline_protocol::domain::facts::Facts;
use trunkline_protocol::domain::ids::HexId;
use trunkline_protocol::domain::{Event, Origin};

use crate::kafka::Headers;

/// Chooses key and headers of event records.
#[derive(Clone, Debug)]
pub struct Router {
    source: String,
    /// The last kind of event and its `ce_type`: one event is mostly like the one before.
    kind: (String, String),
}

impl Router {
    /// Records of this organisation.
    #[must_use]
    pub fn new(org_id: &str) -> Self {
        Self { source: format!("/genesys/{org_id}"), kind: Default::default() }
    }

    /// The conversation, so that its events stay in order; the topic where there is none.
    #[must_use]
    pub fn key<'a>(&self, event: &'a Event, facts: &'a Facts<'_>) -> &'a [u8] {
        facts.conversation_id.as_deref().unwrap_or_else(|| event.topic()).as_bytes()
    }

    /// `CloudEvents` attributes in binary mode, and ours.
    #[must_use]
    pub fn headers(&mut self, event: &Event, facts: &Facts<'_>) -> EventHeaders<'_> {
        if self.kind.0 != *facts.event_type {
            let kind = format!("genesys.{}", facts.event_type);
            self.kind = (facts.event_type.clone().into_owned(), kind);
        }
        let id = event.id.to_hex();
        EventHeaders { id, source: &self.source, kind: &self.kind.1, origin: event.origin }
    }
}

/// The headers of a conversation event.
#[derive(Clone, Copy)]
pub struct EventHeaders<'a> {
    id: HexId,
    source: &'a str,
    kind: &'a str,
    origin: Origin,
}

impl Headers for EventHeaders<'_> {
    fn count(&self) -> usize {
        7
    }

    fn each(&self, show: &mut dyn FnMut(&str, &[u8])) {
        let id = self.id.as_str().as_bytes();
        show("ce_specversion", b"1.0");
        show("ce_id", id);
        show("ce_source", self.source.as_bytes());
        show("ce_type", self.kind.as_bytes());
        show("content-type", b"application/avro");
        show("event_id", id);
        show("trunkline-origin", self.origin.as_str().as_bytes());
    }
}

/// Headers that somebody owns.
#[derive(Clone, Debug, Default)]
pub struct FreeHeaders(Vec<(Cow<'static, str>, Bytes)>);

impl FreeHeaders {
    /// Puts one more behind the others.
    pub fn add(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) {
        self.0.push((key.into(), value.into()));
    }

    /// A copy of any headers.
    #[must_use]
    pub fn of(headers: &dyn Headers) -> Self {
        let mut all = Self(Vec::with_capacity(headers.count() + 1));
        headers.each(&mut |key, value| all.add(key.to_owned(), value.to_vec()));
        all
    }
}

impl Headers for FreeHeaders {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn each(&self, show: &mut dyn FnMut(&str, &[u8])) {
        self.0.iter().for_each(|(key, value)| show(key, value));
    }
}
