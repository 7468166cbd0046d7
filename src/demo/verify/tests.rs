use trunkline_protocol::domain::{EpochId, Frame, Leg, Now, WriterId};
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::topic::class_of;

use super::records::header;
use super::*;
use crate::decode::{body, open::Opener};
use crate::encode::{Encoder, Provenance, schemas};
use crate::kafka::Headers as _;
use crate::publish::router::Router;

const TOPIC: &str = "v2.routing.queues.q.conversations";

fn body_of(n: u64) -> String {
    format!("{{\"id\":\"c-{}\",\"participants\":[], \"n\":{n}}}", n % 3)
}

/// A world in which everything went well: every event of the ledger is a record.
fn good() -> Evidence {
    let mut opener = Opener::new("org".to_owned(), Canonical::AsReceived);
    let provenance = Provenance { org_id: "org".to_owned(), writer_id: WriterId([1; 16]) };
    let mut encoder = Encoder::new(1, provenance, true);
    let mut router = Router::new("org");
    let mut evidence = Evidence {
        org_id: "org".to_owned(),
        events: ReadTopic { partitions: 1, ..ReadTopic::default() },
        quarantine: ReadTopic::default(),
        proof: Vec::new(),
        schemas: BTreeMap::from([(1, schemas::CONVERSATION_EVENT.to_owned())]),
        ledger: Vec::new(),
        origin_ms: 0,
        read_spacing_ms: 0,
        kills: 0,
        from_spool: 0,
        faults: BTreeMap::from([("reset".to_owned(), 1)]),
        reconnects: BTreeMap::new(),
        http_429: 0,
        seconds: 1.0,
    };
    for n in 0..30 {
        let body = body_of(n);
        evidence.ledger.push(
            serde_json::json!({"seq": n + 1, "at_ms": n, "topic": TOPIC, "conversation_id": null,
                "covered": true, "body": body, "delivered": [1], "dropped": []})
            .to_string(),
        );
        let frame = Frame {
            text: format!("{{\"topicName\":\"{TOPIC}\",\"eventBody\":{body}}}"),
            received: Now::default(),
            epoch: EpochId([2; 16]),
            leg: Leg { shard: 0, ordinal: 0 },
        };
        let event = opener.open(frame).expect("an envelope");
        let facts = body::read(&event).expect("a body");
        let value = encoder.encode(&event, &facts, class_of).to_vec();
        let mut headers = Vec::new();
        router
            .headers(&event, &facts)
            .each(&mut |key, value| headers.push((key.to_owned(), value.to_vec())));
        evidence.events.records.push(ReadBack {
            partition: 0,
            offset: i64::try_from(n).expect("small"),
            key: Some(router.key(&event, &facts).to_vec()),
            value,
            headers,
            timestamp_ms: 0,
        });
    }
    evidence
}

fn reasons(evidence: &Evidence) -> String {
    let verdict = reckon(evidence);
    assert_eq!(verdict.verdict, "fail");
    verdict.reasons.join("; ")
}

#[test]
fn a_world_in_which_everything_went_well_passes() {
    let verdict = reckon(&good());
    assert_eq!((verdict.verdict, verdict.reasons.len()), ("pass", 0), "{:?}", verdict.reasons);
    assert_eq!((verdict.events_generated, verdict.events_durable, verdict.lost), (30, 30, 0));
}

#[test]
fn a_removed_record_is_a_lost_event() {
    let mut evidence = good();
    evidence.events.records.remove(7);
    assert!(reasons(&evidence).contains("1 events were heard and are nowhere"));
}

#[test]
fn an_event_under_a_second_id_is_a_duplicate() {
    let mut evidence = good();
    let mut copy = evidence.events.records[4].clone();
    let id = header(&copy, "event_id").expect("an id");
    let other = "f".repeat(32);
    let at = copy.value.windows(32).position(|w| w == id.as_bytes()).expect("the id");
    copy.value[at..at + 32].copy_from_slice(other.as_bytes());
    copy.headers.iter_mut().filter(|h| h.0 == "event_id").for_each(|h| h.1 = other.clone().into());
    copy.offset = 99;
    evidence.events.records.push(copy);
    let verdict = reckon(&evidence);
    assert_eq!((verdict.duplicates, verdict.verdict), (1, "fail"));
}

#[test]
fn a_swapped_pair_of_one_conversation_is_an_inversion() {
    let mut evidence = good();
    evidence.events.records.swap(3, 6); // both of conversation c-0
    assert_eq!(reckon(&evidence).order_inversions, 1);
    let mut evidence = good();
    evidence.events.records.swap(3, 4); // two conversations may overtake each other
    assert_eq!(reckon(&evidence).order_inversions, 0);
}

#[test]
fn a_fault_that_never_happened_fails_the_demo() {
    let mut evidence = good();
    evidence.faults.insert("half_open".to_owned(), 0);
    assert!(reasons(&evidence).contains("fault half_open never happened"));
}

#[test]
fn an_altered_body_does_not_fit_its_id() {
    let mut evidence = good();
    let value = &mut evidence.events.records[2].value;
    let at = value.windows(4).position(|w| w == b"\"n\":").expect("the payload");
    value[at + 4] = b'9';
    assert!(reasons(&evidence).contains("does not follow from its body"));
}

#[test]
fn a_repeat_is_counted_and_allowed() {
    let mut evidence = good();
    let copy = evidence.events.records[5].clone();
    evidence.events.records.push(copy);
    let verdict = reckon(&evidence);
    assert_eq!((verdict.repeats, verdict.verdict), (1, "pass"));
}

#[test]
fn records_that_retention_took_make_the_verdict_invalid() {
    let mut evidence = good();
    evidence.events.missing_at_start = 3;
    assert_eq!(reckon(&evidence).verdict, "invalid");
}
