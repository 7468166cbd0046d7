//! A message of a socket: an event, a word about the channel, or in quarantine with a reason, and never
//! anything else.

use serde_json::Value;
use serde_json::value::RawValue;
use trunkline::decode::body;
use trunkline::decode::open::Opener;
use trunkline::publish::quarantine::of_event;
use trunkline_protocol::domain::{
    EpochId, Event, Frame, Leg, Mono, Now, Quarantined, RejectReason, TopicClass, Wall,
};
use trunkline_protocol::envelope::{self, Envelope, Sniff};
use trunkline_protocol::identity::{Canonical, canonical_body, identify, identify_raw};

pub(super) const ORG: &str = "org-1";

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return binary(bytes) };
    match envelope::sniff(text) {
        Sniff::Event(class) => event(text, Some(class)),
        Sniff::Unreadable => event(text, None),
        Sniff::Pong | Sniff::Heartbeat => {
            about_the_channel(text, |topic| topic == "channel.metadata")
        }
        Sniff::System(_) => about_the_channel(text, |topic| topic.starts_with("v2.system.")),
        Sniff::SocketReply => assert!(!is_plain_event(text), "an event was taken for an answer"),
    }
}

pub(super) fn frame(text: &str) -> Frame {
    Frame {
        text: text.to_owned(),
        received: Now { mono: Mono(1), wall: Wall(1_767_225_600_123) },
        epoch: EpochId([7; 16]),
        leg: Leg { shard: 0, ordinal: 1 },
    }
}

fn opener() -> Opener {
    Opener::new(ORG.to_owned(), Canonical::AsReceived)
}

/// Nothing that belongs into Kafka may pass for a word about the channel.
fn about_the_channel(text: &str, is_one: impl Fn(&str) -> bool) {
    let read = envelope::read(text);
    let topic = read.ok().and_then(|read| text.get(read.topic));
    assert!(topic.is_none_or(is_one), "{topic:?} was taken for a word about the channel");
    assert!(text.trim_start().starts_with('{'), "no object");
}

fn binary(bytes: &[u8]) {
    let quarantined = opener().binary(bytes.to_vec(), Now::default(), EpochId([7; 16]));
    assert_eq!(quarantined.reason, RejectReason::Binary);
    is_as_it_came(&quarantined, bytes);
}

fn is_as_it_came(quarantined: &Quarantined, bytes: &[u8]) {
    assert_eq!(quarantined.raw, bytes);
    assert_eq!(quarantined.id, identify_raw(ORG, bytes));
    assert!(!quarantined.detail.is_empty(), "quarantined without a word");
}

fn event(text: &str, sniffed: Option<TopicClass>) {
    match opener().open(frame(text)) {
        Err(quarantined) => {
            let reasons = [RejectReason::Malformed, RejectReason::NoEnvelope];
            assert!(reasons.contains(&quarantined.reason), "{:?}", quarantined.reason);
            is_as_it_came(&quarantined, text.as_bytes());
            assert!(!is_plain_event(text), "an event went to quarantine: {}", quarantined.detail);
        }
        Ok(event) => {
            assert!(sniffed.is_none_or(|class| class == event.class), "another class");
            understood(&event, text);
        }
    }
}

fn understood(event: &Event, text: &str) {
    let (topic, body) = (event.topic(), event.body());
    assert!(!topic.is_empty() && event.class == TopicClass::of(topic));
    assert_eq!((event.id, event.digest), identify(Canonical::AsReceived, ORG, topic, body));
    let read = envelope::read(text).expect("an event has an envelope");
    if read.compact {
        assert_eq!(canonical_body(Canonical::AsReceived, body), body);
    }
    if serde_json::from_str::<&RawValue>(text).is_ok() {
        assert_eq!(parts(read), slowly(text), "both ways read the same");
    }
    facts(event);
}

type Parts = (std::ops::Range<usize>, std::ops::Range<usize>, Option<std::ops::Range<usize>>);

fn parts(read: Envelope) -> Parts {
    (read.topic, read.body, read.correlation_id)
}

/// Whitespace in front of it keeps the quick way from being taken.
fn slowly(text: &str) -> Parts {
    let (topic, body, id) = parts(envelope::read(&[" ", text].concat()).expect("an envelope"));
    let back = |range: std::ops::Range<usize>| range.start - 1..range.end - 1;
    (back(topic), back(body), id.map(back))
}

/// A body that is JSON becomes facts, unless a field has a type it cannot have; all others do not.
pub(super) fn facts(event: &Event) {
    let text = event.body();
    match body::read(event) {
        Ok(_) => {
            let read: Result<&RawValue, _> = serde_json::from_str(text);
            assert!(read.is_ok_and(|read| read.get() == text), "facts of what is no JSON");
        }
        Err(error) => {
            assert!(!error.field.is_empty());
            let is_json = serde_json::from_str::<Value>(text).is_ok();
            assert!(!is_json || error.problem != "is not JSON", "{error}");
            let put_aside = of_event(event, ORG, RejectReason::BadBody, error.to_string());
            assert_eq!(put_aside.raw, event.frame.text.as_bytes());
            assert_eq!(put_aside.id, event.id);
        }
    }
}

/// Beyond doubt an event: JSON without escapes, with each key of an envelope once, and both of those it
/// needs.
fn is_plain_event(text: &str) -> bool {
    let once = |key: &str| text.matches(key).count() <= 1;
    let keys = ["\"topicName\"", "\"eventBody\"", "\"metadata\""];
    if text.contains('\\') || !keys.into_iter().all(once) {
        return false;
    }
    let Ok(Value::Object(outer)) = serde_json::from_str(text) else { return false };
    let topic = outer.get("topicName").and_then(Value::as_str);
    topic.is_some_and(|topic| !topic.is_empty())
        && outer.get("eventBody").is_some_and(|body| !body.is_null())
}
