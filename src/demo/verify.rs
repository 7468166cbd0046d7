//! The reckoning: where is every event? From the records of a fresh consumer and the simulator's
//! ledger, by code that shares nothing with the writing path: own Avro reading, own identities.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::Schema;
use apache_avro::types::Value;
use serde::{Deserialize, Serialize};

use crate::kafka::reader::{ReadBack, ReadTopic};

/// Everything the reckoning rests on.
pub struct Evidence {
    /// Organisation.
    pub org_id: String,
    /// The events topic as read back.
    pub events: ReadTopic,
    /// The quarantine topic as read back.
    pub quarantine: ReadTopic,
    /// Facts, gaps and certificates, by topic.
    pub proof: Vec<(&'static str, ReadTopic)>,
    /// Schemas of the registry, by id.
    pub schemas: BTreeMap<u32, String>,
    /// The simulator's ledger, one JSON line per event.
    pub ledger: Vec<String>,
    /// How often each scripted fault took effect.
    pub faults: BTreeMap<String, u64>,
    /// Ends of sockets, by reason.
    pub reconnects: BTreeMap<&'static str, u64>,
    /// 429 answers the connector met.
    pub http_429: u64,
    /// How long the demo ran.
    pub seconds: f64,
}

/// The verdict, as printed with `--output json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Events on topics that were wanted at that moment.
    pub events_generated: u64,
    /// Events nobody wanted.
    pub uncovered: u64,
    /// Events put on at least one of our sockets.
    pub events_heard: u64,
    /// Events in the topic, or in the quarantine.
    pub events_durable: u64,
    /// Events heard and not durable.
    pub lost: u64,
    /// Events fanned out while no socket of ours could hear them.
    pub wire_missed: u64,
    /// Further records under an id that is in the topic already.
    pub repeats: u64,
    /// Events under two ids.
    pub duplicates: u64,
    /// Pairs of one conversation and coverage against the order they were sent in.
    pub order_inversions: u64,
    /// Messages in the quarantine.
    pub quarantined: u64,
    /// Ends of sockets, by reason.
    pub reconnects: BTreeMap<&'static str, u64>,
    /// How often each scripted fault took effect.
    pub faults: BTreeMap<String, u64>,
    /// 429 answers the connector met.
    pub http_429: u64,
    /// How long the demo ran.
    pub seconds: f64,
    /// `pass`, `fail` or `invalid`.
    pub verdict: &'static str,
    /// Why it is not `pass`.
    pub reasons: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    seq: u64,
    topic: String,
    covered: bool,
    body: Option<String>,
    delivered: Vec<u64>,
}

/// A record as far as the reckoning needs it.
struct Record {
    id: String,
    topic: String,
    conversation: Option<String>,
    epoch: Option<String>,
    payload: Option<String>,
}

/// Repeats that one outage of the broker may leave behind: what was un-acked at that moment.
const REPEATS_ALLOWED: u64 = 2_000;

/// Computes the verdict.
#[must_use]
pub fn reckon(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict {
        reconnects: evidence.reconnects.clone(),
        faults: evidence.faults.clone(),
        http_429: evidence.http_429,
        seconds: evidence.seconds,
        quarantined: evidence.quarantine.records.len() as u64,
        ..Verdict::default()
    };
    let mut reasons = Vec::new();
    let mut found = Found::default();
    found.read(evidence, &mut reasons);
    let expected = expect(evidence, &found, &mut verdict, &mut reasons);
    verdict.repeats = found.repeats;
    let strangers: Vec<&String> =
        found.first.keys().filter(|id| !expected.contains_key(*id)).collect();
    if let Some(id) = strangers.first() {
        reasons.push(format!("{} events under a second id, the first is {id}", strangers.len()));
    }
    verdict.duplicates = strangers.len() as u64;
    verdict.order_inversions = inversions(&found, &expected);
    let mut rule = |broken: bool, text: String| {
        if broken {
            reasons.push(text);
        }
    };
    rule(verdict.events_generated == 0, "no event was generated".to_owned());
    rule(verdict.lost > 0, format!("{} events were heard and are nowhere", verdict.lost));
    rule(verdict.wire_missed > 0, format!("{} events met no socket", verdict.wire_missed));
    rule(verdict.order_inversions > 0, format!("{} inversions", verdict.order_inversions));
    rule(
        verdict.repeats > REPEATS_ALLOWED,
        format!("{} repeats, allowed {REPEATS_ALLOWED}", verdict.repeats),
    );
    for (fault, seen) in &evidence.faults {
        rule(*seen == 0, format!("fault {fault} never happened"));
    }
    let missing = evidence.events.missing_at_start + evidence.quarantine.missing_at_start;
    verdict.verdict = match (missing, reasons.is_empty()) {
        (0, true) => "pass",
        (0, false) => "fail",
        _ => "invalid",
    };
    if missing > 0 {
        reasons.push(format!("{missing} records were gone before they could be read"));
    }
    verdict.reasons = reasons;
    verdict
}

/// What is in the topics.
#[derive(Default)]
struct Found {
    /// First record of each id, and the order of the records: (partition, offset).
    first: BTreeMap<String, Record>,
    order: Vec<(String, String, String)>,
    ids_in_order: Vec<String>,
    quarantined: BTreeSet<String>,
    repeats: u64,
}

impl Found {
    fn read(&mut self, evidence: &Evidence, reasons: &mut Vec<String>) {
        let parse = |(id, text): (&u32, &String)| Some((*id, Schema::parse_str(text).ok()?));
        let schemas: BTreeMap<u32, Schema> = evidence.schemas.iter().filter_map(parse).collect();
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

/// Ids of the ledger's wanted events with their position, and the counts that follow from it.
fn expect(
    evidence: &Evidence,
    found: &Found,
    verdict: &mut Verdict,
    reasons: &mut Vec<String>,
) -> BTreeMap<String, u64> {
    let mut expected = BTreeMap::new();
    for text in &evidence.ledger {
        let line: Line = match serde_json::from_str(text) {
            Ok(line) => line,
            Err(error) => {
                reasons.push(format!("the ledger cannot be read: {error}"));
                continue;
            }
        };
        let Some(body) = line.body.filter(|_| line.covered) else {
            verdict.uncovered += 1;
            continue;
        };
        verdict.events_generated += 1;
        let id = identity(&evidence.org_id, &line.topic, &body);
        let durable = found.first.contains_key(&id) || found.quarantined.contains(&id);
        verdict.events_durable += u64::from(durable);
        if line.delivered.is_empty() {
            verdict.wire_missed += u64::from(!durable);
        } else {
            verdict.events_heard += 1;
            verdict.lost += u64::from(!durable);
        }
        if let Some(payload) = found.first.get(&id).and_then(|record| record.payload.as_ref())
            && *payload != body
        {
            reasons.push(format!("the body of event {} was altered", line.seq));
        }
        expected.insert(id, line.seq);
    }
    expected
}

fn inversions(found: &Found, expected: &BTreeMap<String, u64>) -> u64 {
    let mut newest: BTreeMap<&(String, String, String), u64> = BTreeMap::new();
    let mut inversions = 0;
    for (key, id) in found.order.iter().zip(&found.ids_in_order) {
        let Some(seq) = expected.get(id) else {
            continue;
        };
        let last = newest.entry(key).or_insert(*seq);
        inversions += u64::from(seq < last);
        *last = (*last).max(*seq);
    }
    inversions
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

fn header(raw: &ReadBack, name: &str) -> Option<String> {
    let value = raw.headers.iter().find(|(key, _)| key == name)?;
    String::from_utf8(value.1.clone()).ok()
}

fn decode(raw: &ReadBack, schemas: &BTreeMap<u32, Schema>) -> Result<Record, String> {
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
    let Ok(Value::Record(fields)) = reader.read_value(&mut datum) else {
        return Err("is no Avro record".to_owned());
    };
    let text = |name: &str| {
        let (_, value) = fields.iter().find(|(field, _)| field == name)?;
        let value = if let Value::Union(_, inner) = value { inner } else { value };
        if let Value::String(text) = value { Some(text.clone()) } else { None }
    };
    Ok(Record {
        id: text("event_id").ok_or("has no event_id")?,
        topic: text("topic").ok_or("has no topic")?,
        conversation: text("conversation_id"),
        epoch: text("epoch_id"),
        payload: text("payload"),
    })
}

/// First 16 bytes of BLAKE3 over length-prefixed organisation, topic and body without whitespace
/// outside strings.
fn identity(org: &str, topic: &str, body: &str) -> String {
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

#[cfg(test)]
mod tests;
