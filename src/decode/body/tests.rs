use trunkline_protocol::domain::{EpochId, Frame, Leg as Place, Now};
use trunkline_protocol::identity::Canonical;

use super::*;
use crate::decode::open::Opener;

fn event(topic: &str, body: &str) -> Event {
    let text = format!("{{\"topicName\":\"{topic}\",\"version\":\"2\",\"eventBody\":{body}}}");
    let frame = Frame {
        text,
        received: Now::default(),
        epoch: EpochId([0; 16]),
        leg: Place { shard: 0, ordinal: 0 },
    };
    Opener::new("org".to_owned(), Canonical::AsReceived).open(frame).expect("an envelope")
}

const QUEUE: &str = "v2.routing.queues.q-1.conversations";

#[test]
fn a_generic_snapshot_becomes_facts_whatever_the_medium() {
    for (list, media) in [
        ("calls", "voice"),
        ("callbacks", "callback"),
        ("chats", "chat"),
        ("emails", "email"),
        ("messages", "message"),
    ] {
        let body = format!(
            r#"{{"id":"c-1","externalTag":"t","unheard":{{}},"divisions":[{{"division":{{"id":"d"}}}},{{}}],
                "participants":[{{"id":"p","purpose":"customer","userId":"","connectedTime":"2026-01-01T00:00:00.000Z",
                "attributes":{{"a":"1","b":7}},"{list}":[{{"id":"l","state":"connected","direction":"inbound",
                "connectedTime":"2026-01-01T00:00:01.000Z","held":false,"disconnectReasons":[]}}]}}]}}"#
        );
        let event = event(QUEUE, &body);
        let facts = read(&event).expect(&body);
        assert_eq!(facts.conversation_id.as_deref(), Some("c-1"));
        assert_eq!(
            (facts.queue_id.as_deref(), facts.media_type.as_deref()),
            (Some("q-1"), Some(media))
        );
        assert_eq!(facts.version, Some(1_767_225_601_000));
        assert_eq!(facts.division_ids, ["d"]);
        let participant = &facts.participants[0];
        assert_eq!(participant.user_id, None, "an empty id is none");
        assert_eq!(participant.attributes.as_ref().map(|a| a[1].1.as_ref()), Some("7"));
        assert_eq!(facts.conversation_state.as_deref(), Some("connected"));
    }
}

#[test]
fn a_media_specific_snapshot_says_the_same_at_the_participant() {
    let body = r#"{"id":"c-1","participants":[{"id":"p","startTime":"2026-01-01T00:00:00.000Z","state":"alerting",
        "direction":"inbound","ani":"tel:+1","dnis":"tel:+2","user":{"id":"u"},"queue":{},"held":true}]}"#;
    let event = event("v2.users.u-9.conversations.calls", body);
    let facts = read(&event).expect("facts");
    let participant = &facts.participants[0];
    assert_eq!(
        (participant.user_id.as_deref(), participant.queue_id.as_deref()),
        (Some("u"), None)
    );
    assert_eq!(participant.legs[0].media_type, "voice");
    assert_eq!((facts.ani.as_deref(), facts.user_id.as_deref()), (Some("tel:+1"), Some("u-9")));
}

#[test]
fn detail_events_and_metric_records_are_read() {
    let body = r#"{"eventTime":1649237504949,"conversationId":"c-2","mediaType":"CHAT","direction":"INBOUND",
        "queueId":"q","userId":"u","disconnectType":"CLIENT"}"#;
    let detail = event("v2.detail.events.conversation.c-2.user.end", body);
    let facts = read(&detail).expect("facts");
    assert_eq!((&*facts.event_type, facts.event_time), ("user.end", Some(1_649_237_504_949)));
    assert_eq!(
        (facts.media_type.as_deref(), facts.direction.as_deref()),
        (Some("chat"), Some("inbound"))
    );
    let metric =
        event("v2.analytics.conversation.c-3.metrics", r#"{"recordId":"r","metric":"tHandle"}"#);
    let facts = read(&metric).expect("facts");
    assert_eq!((&*facts.event_type, facts.conversation_id.as_deref()), ("metric", Some("c-3")));
}

#[test]
fn a_wrong_type_names_its_field_and_not_its_value() {
    let body = r#"{"id":"c","participants":[{"calls":[{"held":"SECRET"}]}]}"#;
    let error = read(&event(QUEUE, body)).expect_err("held is a boolean");
    assert_eq!(error.field, "participants[0].calls[0].held");
    assert!(!error.to_string().contains("SECRET"));
    assert_eq!(read(&event(QUEUE, "[1]")).expect_err("an array").field, ".");
}

#[test]
fn nulls_are_absent_and_absent_participants_no_error() {
    let body = r#"{"id":"c","participants":null,"externalTag":null,"eventTime":null}"#;
    let event = event(QUEUE, body);
    let facts = read(&event).expect("facts");
    assert_eq!((facts.participants.len(), facts.event_time), (0, None));
}

#[test]
fn a_body_of_an_unknown_family_is_a_record_all_the_same() {
    let topic = "v2.conversations.chats.aa06a6fc-1fdf-4e59-b8a1-df3ca44f523e.members";
    let body = r#"{"conversation":{"id":"aa06a6fc"},"member":{"id":"m"},"timestamp":"2019-06-18T16:59:09.689Z"}"#;
    let event = event(topic, body);
    let facts = read(&event).expect("facts");
    assert_eq!(facts.event_type, "conversations.chats.{id}.members");
    assert_eq!(facts.event_time, Some(1_560_877_149_689));
}
