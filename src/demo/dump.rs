//! Writes everything a second reader needs, as plain files.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::verify::{Evidence, Verdict};
use crate::kafka::reader::ReadTopic;

/// Writes `records.jsonl`, `proof.jsonl` (facts, gaps, certificates), `schemas.json`, `ledger.jsonl` and `meta.json` into `dir`.
///
/// # Errors
/// When the folder or a file cannot be written.
pub(super) fn write(
    dir: &Path,
    evidence: &Evidence,
    verdict: &Verdict,
    topics: [&str; 2],
) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut records = BufWriter::new(fs::File::create(dir.join("records.jsonl"))?);
    for (name, topic) in topics.into_iter().zip([&evidence.events, &evidence.quarantine]) {
        write_topic(&mut records, name, topic)?;
    }
    records.flush()?;
    let mut proof = BufWriter::new(fs::File::create(dir.join("proof.jsonl"))?);
    for (name, topic) in &evidence.proof {
        write_topic(&mut proof, name, topic)?;
    }
    proof.flush()?;
    let mut ledger = BufWriter::new(fs::File::create(dir.join("ledger.jsonl"))?);
    for line in &evidence.ledger {
        writeln!(ledger, "{line}")?;
    }
    ledger.flush()?;
    fs::write(dir.join("schemas.json"), json!(evidence.schemas).to_string())?;
    let meta = json!({
        "org_id": evidence.org_id, "events_topic": topics[0], "quarantine_topic": topics[1],
        "partitions": evidence.events.partitions, "origin_ms": evidence.origin_ms,
        "read_spacing_ms": evidence.read_spacing_ms,
        "verdict": verdict,
    });
    fs::write(dir.join("meta.json"), meta.to_string())
}

fn write_topic(out: &mut impl Write, name: &str, topic: &ReadTopic) -> std::io::Result<()> {
    for record in &topic.records {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers: serde_json::Map<String, serde_json::Value> =
            record.headers.iter().map(|(k, v)| (k.clone(), text(v).into())).collect();
        let line = json!({
            "topic": name, "partition": record.partition, "offset": record.offset,
            "key": record.key.as_deref().map(text), "value_b64": STANDARD.encode(&record.value),
            "headers": headers, "timestamp": record.timestamp_ms,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
