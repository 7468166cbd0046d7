use apache_avro::Schema;
use apache_avro::types::Value;
use trunkline_protocol::domain::facts::{MediaLeg, Participant};
use trunkline_protocol::domain::{EpochId, Frame, Leg, Mono, Now, Wall};
use trunkline_protocol::identity::Canonical;

use super::*;
use crate::decode::open::Opener;

fn event() -> Event {
    let text = r#"{"topicName":"v2.users.u.conversations","eventBody":{"id":"c","x":"é"},"metadata":{"CorrelationId":"k"}}"#;
    let frame = Frame {
        text: text.to_owned(),
        received: Now { mono: Mono(1), wall: Wall(1_767_225_600_123) },
        epoch: EpochId([7; 16]),
        leg: Leg { shard: 0, ordinal: 1 },
    };
    Opener::new("org-1".to_owned(), Canonical::AsReceived).open(frame).expect("an envelope")
}

fn full() -> Facts<'static> {
    let leg = MediaLeg {
        leg_id: Some("l".into()),
        media_type: "voice".into(),
        state: Some("connected".into()),
        held: Some(true),
        connected_time: Some(-1),
        ..MediaLeg::default()
    };
    let participant = Participant {
        participant_id: Some("p".into()),
        attributes: Some(vec![("ключ".into(), "💥".into()), ("".into(), "".into())]),
        end_time: Some(i64::MAX),
        wrapup_notes: Some("n".repeat(70_000).into()),
        legs: vec![leg, MediaLeg { media_type: "chat".into(), ..MediaLeg::default() }],
        ..Participant::default()
    };
    Facts {
        event_type: "conversation.snapshot".into(),
        conversation_id: Some("c".into()),
        division_ids: vec!["d1".into(), "d2".into()],
        version: Some(64),
        participants: vec![participant, Participant::default()],
        ..Facts::default()
    }
}

fn read_back(facts: &Facts<'_>, keep_payload: bool) -> (u32, Vec<(String, Value)>) {
    let provenance = Provenance { org_id: "org-1".into(), writer_id: WriterId([9; 16]) };
    let mut encoder = Encoder::new(258, provenance, keep_payload);
    let out = encoder.encode(&event(), facts, |_| "v2.users.{id}.conversations".to_owned());
    let schema = Schema::parse_str(schemas::CONVERSATION_EVENT).expect("a schema");
    assert_eq!(out[0], 0);
    let id = u32::from_be_bytes(out[1..5].try_into().expect("four bytes"));
    let mut rest = &out[5..];
    let reader =
        apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().expect("a reader");
    let value = reader.read_value(&mut rest).expect("a datum");
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    let Value::Record(fields) = value else { panic!("no record: {value:?}") };
    (id, fields)
}

fn field<'a>(fields: &'a [(String, Value)], name: &str) -> &'a Value {
    let value = &fields.iter().find(|(field, _)| field == name).expect(name).1;
    if let Value::Union(_, inner) = value { inner } else { value }
}

#[test]
fn the_library_reads_back_what_was_written() {
    let (id, fields) = read_back(&full(), true);
    assert_eq!(id, 258);
    let text = |name| {
        let Value::String(text) = field(&fields, name) else { panic!("{name} is no text") };
        text.clone()
    };
    assert_eq!(text("org_id"), "org-1");
    assert_eq!(text("correlation_id"), "k");
    assert_eq!(text("payload"), r#"{"id":"c","x":"é"}"#);
    assert_eq!(text("event_time_source"), "derived");
    assert_eq!(text("epoch_id"), "07".repeat(16));
    assert_eq!(*field(&fields, "event_time"), Value::TimestampMillis(64));
    assert_eq!(*field(&fields, "received_at"), Value::TimestampMillis(1_767_225_600_123));
    let Value::Array(people) = field(&fields, "participants") else { panic!("no array") };
    let Value::Record(first) = &people[0] else { panic!("no record") };
    assert_eq!(*field(first, "end_time"), Value::TimestampMillis(i64::MAX));
    let Value::Map(attributes) = field(first, "attributes") else { panic!("no map") };
    assert_eq!(attributes["ключ"], Value::String("💥".into()));
    let Value::Array(legs) = field(first, "legs") else { panic!("no array") };
    let Value::Record(leg) = &legs[0] else { panic!("no record") };
    assert_eq!(*field(leg, "held"), Value::Boolean(true));
    assert_eq!(*field(leg, "connected_time"), Value::TimestampMillis(-1));
}

#[test]
fn a_payload_that_is_switched_off_is_null() {
    let (_, fields) = read_back(&Facts::default(), false);
    assert_eq!(*field(&fields, "payload"), Value::Null);
    assert_eq!(*field(&fields, "event_time_source"), Value::String("received".into()));
}
