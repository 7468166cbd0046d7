//! Records as a consumer reads them: own framing, the library's Avro, own identities.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::Schema;
use apache_avro::types::Value;

use super::Evidence;
use crate::kafka::reader::ReadBack;

/// A record as far as the reckoning needs it.
pub(super) struct Record {
    pub(super) id: String,
    pub(super) topic: String,
    pub(super) class: String,
    pub(super) conversation: Option<String>,
    pub(super) epoch: Option<String>,
    pub(super) payload: Option<String>,
    pub(super) origin: String,
    pub(super) received_ms: i64,
    pub(super) partition: i32,
}

impl Record {
    /// It was not heard, but read from history.
    pub(super) fn is_history(&self) -> bool {
        matches!(self.origin.as_str(), "backfill" | "reconcile")
    }
}

/// What is in the topics.
#[derive(Default)]
pub(super) struct Found {
    /// First record of each id, and the order of the records: (partition, offset).
    pub(super) first: BTreeMap<String, Record>,
    pub(super) order: Vec<(String, String, String)>,
    pub(super) ids_in_order: Vec<String>,
    pub(super) quarantined: BTreeSet<String>,
    pub(super) repeats: u64,
}

impl Found {
    pub(super) fn read(&mut self, evidence: &Evidence, reasons: &mut Vec<String>) {
        let schemas = schemas(evidence);
        let mut partitions: BTreeMap<Vec<u8>, i32> = BTreeMap::new();
        for raw in &evidence.events.records {
            let place = format!("record {}/{}", raw.partition, raw.offset);
            let record = match decode(raw, &schemas) {
                Ok(record) => record,
                Err(problem) => {
                    reasons.push(format!("{place} {problem}"));
                    continue;
                }
            };
            if let Some(problem) = contradiction(raw, &record, &evidence.org_id) {
                reasons.push(format!("{place} {problem}"));
            }
            let key = raw.key.clone().unwrap_or_default();
            if *partitions.entry(key).or_insert(raw.partition) != raw.partition {
                reasons.push(format!("{place} lies in another partition than its conversation"));
            }
            if self.first.contains_key(&record.id) {
                self.repeats += 1;
                continue;
            }
            self.ids_in_order.push(record.id.clone());
            self.order.push((
                record.topic.clone(),
                record.conversation.clone().unwrap_or_default(),
                record.epoch.clone().unwrap_or_default(),
            ));
            self.first.insert(record.id.clone(), record);
        }
        let ids = evidence.quarantine.records.iter().filter_map(|raw| header(raw, "event_id"));
        self.quarantined = ids.collect();
    }
}

fn contradiction(raw: &ReadBack, record: &Record, org: &str) -> Option<String> {
    if header(raw, "event_id").as_deref() != Some(&record.id) {
        return Some("has another event_id in its header than in its value".to_owned());
    }
    let key = String::from_utf8_lossy(raw.key.as_deref().unwrap_or_default()).into_owned();
    if key != *record.conversation.as_ref().unwrap_or(&record.topic) {
        return Some("has a key that is not its conversation".to_owned());
    }
    match &record.payload {
        Some(payload) if identity(org, &record.topic, payload) != record.id => {
            Some("has an event_id that does not follow from its body".to_owned())
        }
        Some(_) | None => None,
    }
}

pub(super) fn header(raw: &ReadBack, name: &str) -> Option<String> {
    let value = raw.headers.iter().find(|(key, _)| key == name)?;
    String::from_utf8(value.1.clone()).ok()
}

/// The registry's schemas, by id.
pub(super) fn schemas(evidence: &Evidence) -> BTreeMap<u32, Schema> {
    let parse = |(id, text): (&u32, &String)| Some((*id, Schema::parse_str(text).ok()?));
    evidence.schemas.iter().filter_map(parse).collect()
}

/// The fields of a framed record.
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    pub(super) fn read(raw: &ReadBack, schemas: &BTreeMap<u32, Schema>) -> Result<Self, String> {
        let (&[zero, a, b, c, d], mut datum) =
            raw.value.split_first_chunk::<5>().ok_or("is too short")?;
        if zero != 0 {
            return Err("is not framed".to_owned());
        }
        let id = u32::from_be_bytes([a, b, c, d]);
        let schema = schemas.get(&id).ok_or_else(|| format!("has the unknown schema {id}"))?;
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(schema)
            .build()
            .map_err(|_| "has a schema that cannot be used")?;
        match reader.read_value(&mut datum) {
            Ok(Value::Record(fields)) => Ok(Self(fields)),
            Ok(_) | Err(_) => Err("is no Avro record".to_owned()),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.0.iter().find(|(field, _)| field == name)?;
        Some(if let Value::Union(_, inner) = value { inner } else { value })
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(text)
    }

    /// A number or a time in milliseconds.
    pub(super) fn long(&self, name: &str) -> Option<i64> {
        long(self.get(name)?)
    }

    /// The members of a list.
    pub(super) fn list(&self, name: &str) -> &[Value] {
        if let Some(Value::Array(items)) = self.get(name) { items } else { &[] }
    }
}

pub(super) fn text(value: &Value) -> Option<String> {
    if let Value::String(text) = value { Some(text.clone()) } else { None }
}

pub(super) fn long(value: &Value) -> Option<i64> {
    if let Value::Long(n) | Value::TimestampMillis(n) = value {
        return Some(*n);
    }
    if let Value::Int(n) = value { Some(i64::from(*n)) } else { None }
}

fn decode(raw: &ReadBack, schemas: &BTreeMap<u32, Schema>) -> Result<Record, String> {
    let fields = Fields::read(raw, schemas)?;
    Ok(Record {
        id: fields.text("event_id").ok_or("has no event_id")?,
        topic: fields.text("topic").ok_or("has no topic")?,
        class: fields.text("topic_class").ok_or("has no topic_class")?,
        conversation: fields.text("conversation_id"),
        epoch: fields.text("epoch_id"),
        payload: fields.text("payload"),
        origin: fields.text("origin").ok_or("has no origin")?,
        received_ms: fields.long("received_at").ok_or("has no received_at")?,
        partition: raw.partition,
    })
}

/// First 16 bytes of BLAKE3 over length-prefixed organisation, topic and body without whitespace
/// outside strings.
pub(super) fn identity(org: &str, topic: &str, body: &str) -> String {
    let (mut canonical, mut inside, mut escaped) =
        (String::with_capacity(body.len()), false, false);
    for c in body.chars() {
        if inside {
            inside = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c == '"' {
            inside = true;
        } else if matches!(c, ' ' | '\n' | '\r' | '\t') {
            continue;
        }
        canonical.push(c);
    }
    let mut bytes = Vec::with_capacity(canonical.len() + 128);
    for part in [org, topic, &canonical] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    let hex = blake3::hash(&bytes).to_hex();
    hex.as_str().get(..32).unwrap_or_default().to_owned()
}
