//! Everything that is known of one conversation: its records, and what may be said of their time.

use clap::Args;
use serde_json::json;
use trunkline_protocol::certifier::Certificate;

use super::proof::{at, collect, read};
use super::{ConfigArgs, Output, configuration, runtime, say};
use crate::config::Config;
use crate::encode::read::{self as rows, EventRow};
use crate::error::{ExitCode, ProcessError};
use crate::kafka::tail::From;

/// Which conversation.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// Its id.
    conversation: String,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn explain(args: &ExplainArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let config = configuration(&args.config)?;
    let mut records = runtime()?.block_on(records(&config, &args.conversation))?;
    records.sort_by_key(|record| (record.received_at_ms, record.offset));
    let topic = read(&config, &config.kafka.certificates_topic)?;
    let said =
        topic.records.iter().filter_map(|raw| rows::certificate(&raw.value, &config.instance));
    let said: Vec<Certificate> = said.collect();
    match output {
        Output::Json => records.iter().for_each(|record| say(&line_json(record, &said))),
        Output::Text if records.is_empty() => {
            say(&format!("no record of {} in {}", args.conversation, config.kafka.events_topic));
        }
        Output::Text => {
            records.iter().for_each(|record| say(&line(record, &said)));
            say(&summary(&records));
        }
    }
    Ok(if records.is_empty() { ExitCode::Failed } else { ExitCode::Done })
}

/// Every record under the conversation's key.
async fn records(config: &Config, conversation: &str) -> Result<Vec<EventRow>, ProcessError> {
    let wanted = conversation.to_owned();
    collect(config, &config.kafka.events_topic, From::Beginning, move |raw| {
        let ours = raw.key() == Some(wanted.as_str());
        ours.then(|| rows::event(raw.partition(), raw.offset(), raw.value())).flatten()
    })
    .await
}

/// The newest certificate over the time in which a record was heard, in its class.
fn certificate<'c>(record: &EventRow, said: &'c [Certificate]) -> Option<&'c Certificate> {
    let covers = |c: &&Certificate| {
        let heard = c.subject.class == record.topic_class
            && c.subject.from.0 <= record.received_at_ms
            && record.received_at_ms < c.to.0;
        let fills = c.judgement.gaps.iter().any(|gap| Some(gap.to_string()) == record.gap_id);
        heard || fills
    };
    said.iter().filter(covers).max_by_key(|c| c.revision)
}

fn line(record: &EventRow, said: &[Certificate]) -> String {
    let proof = certificate(record, said).map_or_else(
        || "no certificate yet".to_owned(),
        |c| format!("{} (revision {})", c.judgement.level.as_str(), c.revision),
    );
    let from = match (&record.gap_id, &record.epoch_id) {
        (Some(gap), _) => format!("{} for gap {}", record.origin, short(gap)),
        (None, Some(epoch)) => format!("{} in epoch {}", record.origin, short(epoch)),
        (None, None) => record.origin.clone(),
    };
    format!(
        "{}  {:<24} {from:<32} {proof:<28} {}/{}  {}",
        at(record.received_at_ms),
        record.event_type,
        record.partition,
        record.offset,
        record.topic_class
    )
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn summary(records: &[EventRow]) -> String {
    let ids: std::collections::BTreeSet<&str> =
        records.iter().map(|record| record.event_id.as_str()).collect();
    let changes: std::collections::BTreeSet<&str> =
        records.iter().map(|record| record.body_digest.as_str()).collect();
    format!(
        "{} records, {} events, {} distinct bodies, {} repeats",
        records.len(),
        ids.len(),
        changes.len(),
        records.len() - ids.len()
    )
}

fn line_json(record: &EventRow, said: &[Certificate]) -> String {
    let mut line = json!(record);
    if let Some(certificate) = certificate(record, said) {
        line["certificate"] = json!({
            "from_ms": certificate.subject.from.0, "to_ms": certificate.to.0,
            "level": certificate.judgement.level.as_str(), "revision": certificate.revision,
        });
    }
    line.to_string()
}
