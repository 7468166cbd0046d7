//! Certificates recomputed from the records they speak of.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::types::Value;

use super::Evidence;
use super::records::{Fields, Found, Record, long, schemas};

/// The newest certificate of an interval.
struct Certificate {
    shard: i64,
    class: String,
    from_ms: i64,
    to_ms: i64,
    revision: i64,
    live: i64,
    /// By partition: count, and the exclusive or of the ids.
    partitions: BTreeMap<i64, (i64, u128)>,
}

/// Recomputes every newest certificate; returns how many agree.
pub(super) fn verify(evidence: &Evidence, found: &Found, reasons: &mut Vec<String>) -> u64 {
    let homes = homes(evidence);
    let mut heard: BTreeMap<(i64, &str), Vec<&Record>> = BTreeMap::new();
    for record in found.first.values().filter(|record| !record.is_history()) {
        let home = record.epoch.as_ref().and_then(|epoch| homes.get(epoch));
        let class = record.class.as_str();
        home.into_iter().for_each(|shard| heard.entry((*shard, class)).or_default().push(record));
    }
    let mut verified = 0;
    for certificate in newest(evidence, reasons) {
        let there = heard.get(&(certificate.shard, certificate.class.as_str()));
        let inside = |record: &&&Record| {
            certificate.from_ms <= record.received_ms && record.received_ms < certificate.to_ms
        };
        let mut partitions: BTreeMap<i64, (i64, u128)> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for record in there.into_iter().flatten().filter(inside) {
            let id = u128::from_str_radix(&record.id, 16).unwrap_or_default();
            if ids.insert(id) {
                let tally = partitions.entry(i64::from(record.partition)).or_default();
                *tally = (tally.0 + 1, tally.1 ^ id);
            }
        }
        let count: i64 = partitions.values().map(|tally| tally.0).sum();
        if partitions == certificate.partitions && count == certificate.live {
            verified += 1;
        } else {
            reasons.push(format!(
                "the certificate of {} from {} (shard {}, revision {}) speaks of {} events; the topic holds {count} or others",
                certificate.class,
                certificate.from_ms,
                certificate.shard,
                certificate.revision,
                certificate.live
            ));
        }
    }
    verified
}

/// The shard of every epoch, from the facts.
fn homes(evidence: &Evidence) -> BTreeMap<String, i64> {
    let fact = |raw: &crate::kafka::reader::ReadBack| {
        let fact: serde_json::Value = serde_json::from_slice(&raw.value).ok()?;
        let epoch = fact.get("epoch")?.as_str()?.to_owned();
        Some((epoch, fact.get("shard")?.as_i64()?))
    };
    evidence.proof_of("state").filter_map(fact).collect()
}

fn newest(evidence: &Evidence, reasons: &mut Vec<String>) -> Vec<Certificate> {
    let schemas = schemas(evidence);
    let mut newest: BTreeMap<(i64, String, i64), Certificate> = BTreeMap::new();
    for raw in evidence.proof_of("certificates") {
        let read = Fields::read(raw, &schemas).ok().and_then(|fields| certificate(&fields));
        let Some(read) = read else {
            reasons.push(format!("certificate {} cannot be read", raw.offset));
            continue;
        };
        let key = (read.shard, read.class.clone(), read.from_ms);
        if newest.get(&key).is_none_or(|known| known.revision < read.revision) {
            newest.insert(key, read);
        }
    }
    newest.into_values().collect()
}

fn certificate(fields: &Fields) -> Option<Certificate> {
    let tally = |value: &Value| {
        let Value::Record(fields) = value else { return None };
        let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, v)| v);
        let Some(Value::String(xor)) = field("id_xor") else { return None };
        let xor = u128::from_str_radix(xor, 16).ok()?;
        Some((long(field("partition")?)?, (long(field("count_live")?)?, xor)))
    };
    Some(Certificate {
        shard: fields.long("shard")?,
        class: fields.text("topic_class")?,
        from_ms: fields.long("from_time")?,
        to_ms: fields.long("to_time")?,
        revision: fields.long("revision")?,
        live: fields.long("count_live")?,
        partitions: fields.list("partitions").iter().map(tally).collect::<Option<_>>()?,
    })
}
