//! An event as understood from its envelope; its body is still text.

use std::ops::Range;

use serde::Serialize;

use super::{BodyDigest, EventId, Frame, GapId};
use crate::cursor::Quotes;

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Heard on a socket and written at once.
    Live,
    /// Heard on a socket and written because the primary did not.
    Standby,
    /// Fetched from history to fill a gap.
    Backfill,
    /// Fetched from history by an audit.
    Reconcile,
    /// Written again from the quarantine.
    Replay,
    /// Taken from a queue that the platform's EventBridge integration feeds.
    EventBridge,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 6] = [
        Self::Live,
        Self::Standby,
        Self::Backfill,
        Self::Reconcile,
        Self::Replay,
        Self::EventBridge,
    ];

    /// The word used in records, headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Standby => "standby",
            Self::Backfill => "backfill",
            Self::Reconcile => "reconcile",
            Self::Replay => "replay",
            Self::EventBridge => "eventbridge",
        }
    }
}

/// Family of a topic: a metric label, so a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicClass {
    /// `v2.routing.queues.{id}.conversations` and its media-specific suffixes.
    Queue,
    /// `v2.users.{id}.conversations` and its media-specific suffixes.
    User,
    /// `v2.detail.events.conversation.{id}.*`.
    Detail,
    /// `v2.analytics.conversation.{id}.metrics`.
    Metrics,
    /// Anything else that is an event.
    Other,
    /// Not a topic: what the analytics interfaces say of the past.
    History,
}

impl TopicClass {
    /// Every class, in the order they are shown.
    pub const ALL: [Self; 6] =
        [Self::Queue, Self::User, Self::Detail, Self::Metrics, Self::Other, Self::History];

    /// The word used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::User => "user",
            Self::Detail => "detail",
            Self::Metrics => "metrics",
            Self::Other => "other",
            Self::History => "history",
        }
    }

    /// Position in [`Self::ALL`], for tables of counters.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Tells the family from a topic name.
    #[must_use]
    pub fn of(topic: &str) -> Self {
        if topic.starts_with("v2.routing.queues.") && topic.contains(".conversations") {
            Self::Queue
        } else if topic.starts_with("v2.users.") && topic.contains(".conversations") {
            Self::User
        } else if topic.starts_with("v2.detail.events.conversation.") {
            Self::Detail
        } else if topic.starts_with("v2.analytics.conversation.") && topic.ends_with(".metrics") {
            Self::Metrics
        } else {
            Self::Other
        }
    }
}

/// A frame whose envelope has been read: `topic`, `body` and `correlation_id` are byte ranges of
/// `frame.text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The message it was read from.
    pub frame: Frame,
    /// Identity over org, topic and canonical body.
    pub id: EventId,
    /// Digest over the canonical body alone.
    pub digest: BodyDigest,
    /// Family of the topic.
    pub class: TopicClass,
    /// Range of the topic name, without quotes.
    pub topic: Range<usize>,
    /// Range of the raw `eventBody`.
    pub body: Range<usize>,
    /// Where the strings of the body are, if that is known already.
    pub quotes: Option<Quotes>,
    /// Range of `metadata.CorrelationId`, without quotes, where there is one.
    pub correlation_id: Option<Range<usize>>,
    /// Number within this process, from 1, in the order of arrival.
    pub sequence: u64,
    /// Where it comes from.
    pub origin: Origin,
    /// The gap it fills, for what history gave.
    pub gap: Option<GapId>,
    /// A take-over from another writer may have reordered it.
    pub takeover: bool,
    /// The privacy policy changed the body: identity and digest are of what was heard.
    pub altered: bool,
}

impl Event {
    /// The topic name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.frame.text.get(self.topic.clone()).unwrap_or_default()
    }

    /// The raw JSON of `eventBody`.
    #[must_use]
    pub fn body(&self) -> &str {
        self.frame.text.get(self.body.clone()).unwrap_or_default()
    }

    /// `metadata.CorrelationId`, if the envelope has one.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.clone().and_then(|range| self.frame.text.get(range))
    }
}

/// Why something could not become a record: a metric label, so a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// Not JSON, or cut off.
    Malformed,
    /// JSON, but not an envelope: no `topicName` or no `eventBody`.
    NoEnvelope,
    /// The body is not an object, or a field has a type it cannot have.
    BadBody,
    /// A binary message where only text is expected.
    Binary,
    /// The broker refuses a record of this size.
    TooLarge,
    /// The record could not be written as Avro.
    Unencodable,
    /// The broker refuses the record for good.
    Refused,
}

impl RejectReason {
    /// Every reason, in the order they are shown.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::NoEnvelope,
        Self::BadBody,
        Self::Binary,
        Self::TooLarge,
        Self::Unencodable,
        Self::Refused,
    ];

    /// The word used in headers, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoEnvelope => "no_envelope",
            Self::BadBody => "bad_body",
            Self::Binary => "binary",
            Self::TooLarge => "too_large",
            Self::Unencodable => "unencodable",
            Self::Refused => "refused",
        }
    }
}

/// What goes to the quarantine topic: raw bytes and the reason. Never logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The bytes as they came.
    pub raw: Vec<u8>,
    /// Why they could not become a record.
    pub reason: RejectReason,
    /// What the parser said; names positions and types, never content.
    pub detail: String,
    /// Topic name, where the envelope could be read.
    pub topic: Option<String>,
    /// Identity; over the raw bytes where there is no envelope.
    pub id: EventId,
    /// Where and when it was heard.
    pub received: super::Now,
    /// The coverage it was heard in.
    pub epoch: super::EpochId,
    /// In place of the bytes stand their length and digest.
    pub withheld: bool,
    /// Where the privacy policy changed the body: whose it is and its digest, which can no longer be
    /// told from the bytes.
    pub altered: Option<Altered>,
}

/// What can no longer be told from bytes that the privacy policy changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Altered {
    /// Organisation.
    pub org_id: String,
    /// Of the body as it was heard.
    pub digest: BodyDigest,
}
