//! A body under one of the families of topics, as facts, as a record, and back.

use trunkline::decode::body;
use trunkline::decode::open::Opener;
use trunkline_protocol::domain::facts::Facts;
use trunkline_protocol::identity::Canonical;

use super::envelope::{ORG, facts, frame};
use super::record::round_trip;

const TOPICS: [&str; 8] = [
    "v2.routing.queues.q-1.conversations",
    "v2.routing.queues.q-1.conversations.calls",
    "v2.users.u-1.conversations",
    "v2.users.u-1.conversations.chats",
    "v2.detail.events.conversation.c-1.user.end",
    "v2.analytics.conversation.c-1.metrics",
    "v2.conversations.chats.aa06a6fc-1fdf-4e59-b8a1-df3ca44f523e.members",
    "v2.users.u-1.presence",
];

/// The first byte chooses the topic, the rest is the body.
pub fn run(bytes: &[u8]) {
    let Some((which, body)) = bytes.split_first() else { return };
    let Ok(body) = std::str::from_utf8(body) else { return };
    let topic = TOPICS[usize::from(*which) % TOPICS.len()];
    let id = r#""metadata":{"CorrelationId":"k-1"}"#;
    let text = format!(r#"{{"topicName":"{topic}","version":"2","eventBody":{body},{id}}}"#);
    let mut opener = Opener::new(ORG.to_owned(), Canonical::AsReceived);
    let Ok(event) = opener.open(frame(&text)) else { return };
    facts(&event);
    let Ok(understood) = body::read(&event) else { return };
    times(&understood, event.body());
    round_trip(&event, &understood);
}

/// Our own way to read the platform's times agrees with the calendar of the library.
fn times(understood: &Facts<'_>, body: &str) {
    let Ok(body) = serde_json::from_str::<serde_json::Value>(body) else { return };
    let Some(text) = body.get("eventTime").and_then(serde_json::Value::as_str) else { return };
    let at = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    if at.is_some() {
        assert_eq!(understood.event_time, at, "{text}");
    }
}
