use trunkline_protocol::domain::{Altered, EpochId, Wall, WriterId};
use trunkline_protocol::identity::{identify, identify_raw};

use super::*;
use crate::encode::Provenance;

const ORG: &str = "org";
const QUEUE: &str = "v2.routing.queues.q.conversations";
const QUERY: &str = "analytics.conversations.details.query";

fn replay(max_record_bytes: usize) -> Replay {
    let provenance = Provenance { org_id: ORG.to_owned(), writer_id: WriterId([0; 16]) };
    Replay {
        clock: Clock::start(),
        org_id: ORG.to_owned(),
        form: Canonical::AsReceived,
        policy: Policy::default(),
        encoder: Encoder::new(1, provenance, true),
        router: Router::new(ORG),
        max_record_bytes,
        publish: None,
        flow: Flow::new(),
    }
}

fn message(id: EventId, reason: RejectReason, topic: Option<&str>, text: &str) -> Piece {
    Piece {
        id,
        part: None,
        reason,
        topic: topic.map(str::to_owned),
        received: Wall(1_000),
        epoch: EpochId([7; 16]),
        at: Wall(2_000),
        bytes: text.as_bytes().to_vec(),
        withheld: false,
        altered: None,
    }
}

fn enveloped(org: &str, reason: RejectReason, topic: &str, body: &str) -> Piece {
    let text = format!(r#"{{"topicName":"{topic}","eventBody":{body}}}"#);
    message(identify(Canonical::AsReceived, org, topic, body).0, reason, Some(topic), &text)
}

#[tokio::test]
async fn what_is_understood_counts_and_the_rest_is_left_with_its_reason() {
    let good = r#"{"id":"c","participants":[]}"#;
    let row = r#"{"conversationId":"c"}"#;
    let known =
        enveloped(ORG, RejectReason::TooLarge, QUEUE, r#"{"id":"known","participants":[]}"#);
    let there = BTreeSet::from([known.id]);
    let all = vec![
        enveloped(ORG, RejectReason::TooLarge, QUEUE, good),
        // a row of history is quarantined bare when it cannot be read, enveloped when it is too large
        message(
            identify(Canonical::AsReceived, ORG, QUERY, row).0,
            RejectReason::BadBody,
            Some(QUERY),
            row,
        ),
        enveloped(ORG, RejectReason::TooLarge, QUERY, row),
        known,
        enveloped(ORG, RejectReason::BadBody, QUEUE, r#"{"id":7}"#),
        enveloped(ORG, RejectReason::BadBody, QUERY, r#"{"conversationId":7}"#),
        enveloped("another", RejectReason::TooLarge, QUEUE, good),
        message(identify_raw(ORG, b"{"), RejectReason::Malformed, None, "{"),
        message(identify_raw("another", b"{"), RejectReason::Malformed, None, "{"),
        message(identify_raw(ORG, b"x"), RejectReason::Binary, None, "x"),
    ];
    let tally = replay(1_000).run(all.clone(), &there).await.expect("nothing is handed over");
    assert_eq!((tally.understood, tally.already_there, tally.of_another_organisation), (3, 1, 2));
    assert_eq!(tally.left, BTreeMap::from([("bad_body", 2), ("binary", 1), ("malformed", 1)]));
    let tally = replay(100).run(all, &there).await.expect("nothing is handed over");
    assert_eq!((tally.understood, tally.left["too_large"]), (0, 3));
}

#[tokio::test]
async fn an_event_keeps_id_time_and_epoch_and_says_where_it_comes_from() {
    let replay = replay(1_000);
    let mut opener = Opener::new(ORG.to_owned(), Canonical::AsReceived);
    let heard = enveloped(ORG, RejectReason::TooLarge, QUEUE, r#"{"id":"c","participants":[]}"#);
    let event = replay.open(&mut opener, heard.clone()).expect("an event");
    let received = (event.id, event.frame.received.wall, event.frame.epoch);
    assert_eq!(received, (heard.id, heard.received, heard.epoch));
    assert_eq!((event.origin, event.class), (Origin::Replay, TopicClass::Queue));
    let row = enveloped(ORG, RejectReason::TooLarge, QUERY, r#"{"conversationId":"c"}"#);
    let event = replay.open(&mut opener, row).expect("an event");
    assert_eq!((event.origin, event.class), (Origin::Backfill, TopicClass::History));
}

#[tokio::test]
async fn what_a_policy_changed_is_told_by_what_was_noted_of_it_and_what_it_withheld_stays() {
    let altered = |org: &str| {
        let digest = trunkline_protocol::domain::BodyDigest([9; 16]);
        let body = r#"{"id":"c","participants":[],"ani":"***"}"#;
        let message = enveloped("nobody", RejectReason::TooLarge, QUEUE, body);
        Piece { altered: Some(Altered { org_id: org.to_owned(), digest }), ..message }
    };
    let note = r#"{"reason":"malformed","detail":"","length":1,"digest":""}"#;
    let withheld = Piece {
        withheld: true,
        ..message(identify_raw("nobody", b"{"), RejectReason::Malformed, None, note)
    };
    let all = vec![altered(ORG), altered("another"), withheld];
    let tally = replay(1_000).run(all, &BTreeSet::new()).await.expect("nothing is handed over");
    assert_eq!((tally.understood, tally.of_another_organisation), (1, 1));
    assert_eq!(tally.left, BTreeMap::from([("malformed", 1)]));
}
