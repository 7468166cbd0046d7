//! An event as a record: what is written is read back by the common library and by our own reader, and
//! says what the facts say.

use std::collections::HashMap;
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use trunkline::encode::{Encoder, Provenance, read, schemas};
use trunkline_protocol::domain::facts::{Facts, MediaLeg, Participant};
use trunkline_protocol::domain::{Event, WriterId};
use trunkline_protocol::topic::class_of;

use super::envelope::ORG;

static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse_str(schemas::CONVERSATION_EVENT).expect("a schema"));
const WRITER: WriterId = WriterId([9; 16]);

/// Writes, reads back, compares.
pub(super) fn round_trip(event: &Event, facts: &Facts<'_>) {
    let provenance = Provenance { org_id: ORG.to_owned(), writer_id: WRITER };
    let mut encoder = Encoder::new(258, provenance, true);
    let out = encoder.encode(event, facts, class_of).to_vec();
    let (frame, mut rest) = out.split_at(5);
    assert_eq!(frame, [0, 0, 0, 1, 2]);
    let reader = GenericDatumReader::builder(&SCHEMA).build().expect("a reader");
    let found = reader.read_value(&mut rest).expect("what was written is a record");
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    assert_eq!(found, record(event, facts));
    by_ours(event, facts, &out);
}

fn by_ours(event: &Event, facts: &Facts<'_>, out: &[u8]) {
    let row = read::event(3, 4, out).expect("our own record");
    assert_eq!(row.event_id, event.id.to_string());
    assert_eq!(row.event_type, facts.event_type);
    assert_eq!((row.version_ms, row.event_time_ms), (facts.version, time_of(event, facts).0));
    assert_eq!(row.origin, event.origin.as_str());
    let seen = read::seen(3, 4, out).expect("our own record");
    assert_eq!(
        (seen.id, seen.class, seen.origin),
        (event.id, class_of(event.topic()), event.origin)
    );
    assert_eq!(read::heard(out), Some((event.topic(), event.frame.received.wall)));
}

fn time_of(event: &Event, facts: &Facts<'_>) -> (i64, &'static str) {
    match (facts.event_time, facts.version) {
        (Some(time), _) => (time, "event"),
        (None, Some(newest)) => (newest, "derived"),
        (None, None) => (event.frame.received.wall.0, "received"),
    }
}

fn record(event: &Event, facts: &Facts<'_>) -> Value {
    let (event_time, source) = time_of(event, facts);
    fields([
        ("event_id", text(&event.id.to_string())),
        ("body_digest", text(&event.digest.to_string())),
        ("org_id", text(ORG)),
        ("topic", text(event.topic())),
        ("topic_class", text(&class_of(event.topic()))),
        ("event_type", text(&facts.event_type)),
        ("correlation_id", words(event.correlation_id())),
        ("schema_version", Value::Int(1)),
        ("conversation_id", words(facts.conversation_id.as_deref())),
        ("queue_id", words(facts.queue_id.as_deref())),
        ("user_id", words(facts.user_id.as_deref())),
        ("media_type", words(facts.media_type.as_deref())),
        ("direction", words(facts.direction.as_deref())),
        ("ani", words(facts.ani.as_deref())),
        ("dnis", words(facts.dnis.as_deref())),
        ("external_tag", words(facts.external_tag.as_deref())),
        ("division_ids", Value::Array(facts.division_ids.iter().map(|id| text(id)).collect())),
        ("event_time", Value::TimestampMillis(event_time)),
        ("event_time_source", text(source)),
        ("received_at", Value::TimestampMillis(event.frame.received.wall.0)),
        ("version", time(facts.version)),
        ("origin", text(event.origin.as_str())),
        ("gap_id", words(event.gap.map(|gap| gap.to_string()).as_deref())),
        ("epoch_id", words(Some(&event.frame.epoch.to_string()))),
        ("writer_id", text(&WRITER.to_string())),
        ("sequence", Value::Long(i64::try_from(event.sequence).expect("a small number"))),
        ("takeover", Value::Boolean(event.takeover)),
        ("conversation_state", words(facts.conversation_state.as_deref())),
        ("participants", Value::Array(facts.participants.iter().map(participant).collect())),
        ("payload", words(Some(event.body()))),
    ])
}

fn participant(party: &Participant<'_>) -> Value {
    let attributes = party.attributes.as_ref().map(|all| {
        let pairs = all.iter().map(|(key, value)| (key.to_string(), text(value)));
        Value::Map(pairs.collect::<HashMap<_, _>>())
    });
    fields([
        ("participant_id", words(party.participant_id.as_deref())),
        ("purpose", words(party.purpose.as_deref())),
        ("user_id", words(party.user_id.as_deref())),
        ("queue_id", words(party.queue_id.as_deref())),
        ("ani", words(party.ani.as_deref())),
        ("dnis", words(party.dnis.as_deref())),
        ("connected_time", time(party.connected_time)),
        ("end_time", time(party.end_time)),
        ("acw_start_time", time(party.acw_start_time)),
        ("acw_end_time", time(party.acw_end_time)),
        ("wrapup_code", words(party.wrapup_code.as_deref())),
        ("wrapup_notes", words(party.wrapup_notes.as_deref())),
        ("attributes", union(attributes)),
        ("legs", Value::Array(party.legs.iter().map(leg).collect())),
    ])
}

fn leg(leg: &MediaLeg<'_>) -> Value {
    fields([
        ("leg_id", words(leg.leg_id.as_deref())),
        ("media_type", text(&leg.media_type)),
        ("state", words(leg.state.as_deref())),
        ("direction", words(leg.direction.as_deref())),
        ("disconnect_type", words(leg.disconnect_type.as_deref())),
        ("held", union(leg.held.map(Value::Boolean))),
        ("provider", words(leg.provider.as_deref())),
        ("connected_time", time(leg.connected_time)),
        ("disconnected_time", time(leg.disconnected_time)),
        ("hold_start_time", time(leg.hold_start_time)),
    ])
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn words(words: Option<&str>) -> Value {
    union(words.map(text))
}

fn time(at: Option<i64>) -> Value {
    union(at.map(Value::TimestampMillis))
}

fn union(value: Option<Value>) -> Value {
    match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(value)),
    }
}
