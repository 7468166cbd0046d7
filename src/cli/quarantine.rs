//! The quarantine: what could not become a record, and why. Payloads are not shown.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::json;

use super::proof::{Range, at, read};
use super::replay::{self, ReplayArgs};
use super::{ConfigArgs, Output, configuration, say};
use crate::clock::Clock;
use crate::error::{ExitCode, ProcessError};
use crate::kafka::reader::ReadBack;

/// What to do with the quarantine.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List messages: when, why, how large, where. Never what is in them.
    #[command(after_help = "Example: trunkline quarantine list --from 7d --config trunkline.yaml")]
    List(QuarantineArgs),
    /// Try messages once more; write those that are understood now, under the ids they had.
    #[command(
        after_help = "Example: trunkline quarantine replay --reason too_large --dry-run --config trunkline.yaml"
    )]
    Replay(ReplayArgs),
}

/// Which messages.
#[derive(Args, Debug)]
pub struct QuarantineArgs {
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn quarantine(
    command: QuarantineCommand,
    output: Output,
) -> Result<ExitCode, ProcessError> {
    match command {
        QuarantineCommand::List(args) => list(&args, output),
        QuarantineCommand::Replay(args) => replay::replay(&args, output),
    }
}

fn list(args: &QuarantineArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let (from, to) = args.range.millis(Clock::start().now().wall.0)?;
    let config = configuration(&args.config)?;
    let topic = read(&config, &config.kafka.quarantine_topic)?;
    let inside = |raw: &&ReadBack| (from..to).contains(&raw.timestamp_ms);
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for raw in topic.records.iter().filter(inside) {
        let header = |name: &str| {
            let found = raw.headers.iter().find(|(key, _)| key == name);
            found.map_or_else(
                || "-".to_owned(),
                |(_, value)| String::from_utf8_lossy(value).into_owned(),
            )
        };
        let (reason, detail) = (header("trunkline-reason"), header("trunkline-detail"));
        let (id, bytes) = (header("event_id"), raw.value.len());
        match output {
            Output::Json => say(&json!({
                "partition": raw.partition, "offset": raw.offset, "event_id": id, "reason": reason,
                "detail": detail, "bytes": bytes, "at_ms": raw.timestamp_ms,
            })
            .to_string()),
            Output::Text => say(&format!(
                "{}  {:>3}/{:<8} {reason:<12} {bytes:>9} bytes  {detail}",
                at(raw.timestamp_ms),
                raw.partition,
                raw.offset
            )),
        }
        *reasons.entry(reason).or_default() += 1;
    }
    if output == Output::Text {
        let text: Vec<String> = reasons.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let text = if text.is_empty() { "nothing".to_owned() } else { text.join(", ") };
        say(&format!("in quarantine from {} to {}: {text}", at(from), at(to)));
    }
    Ok(ExitCode::Done)
}
