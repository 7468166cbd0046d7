//! Gaps: list them, show one.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::json;

use super::proof::{Range, at, read};
use super::{ConfigArgs, Output, configuration, say};
use crate::clock::Clock;
use crate::encode::read::{self as rows, GapRow};
use crate::error::{ExitCode, ProcessError};

/// What to do with gaps.
#[derive(Debug, Subcommand)]
pub enum GapsCommand {
    /// List gaps that reach into a range of time.
    #[command(after_help = "Example: trunkline gaps list --from 7d --config trunkline.yaml")]
    List(ListArgs),
    /// Show everything that is known of one gap.
    Show {
        /// Its id, or the beginning of it.
        gap: String,
        /// Where the configuration is.
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Which gaps.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only those that are not closed.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn gaps(command: GapsCommand, output: Output) -> Result<ExitCode, ProcessError> {
    match command {
        GapsCommand::List(args) => list(&args, output),
        GapsCommand::Show { gap, config } => show(&gap, &config, output),
    }
}

/// The newest record of every gap of this installation, oldest first.
fn known(args: &ConfigArgs) -> Result<Vec<GapRow>, ProcessError> {
    let config = configuration(args)?;
    let topic = read(&config, &config.kafka.gaps_topic)?;
    let rows = topic.records.iter().filter_map(|raw| rows::gap(&raw.value, &config.instance));
    let newest: BTreeMap<String, GapRow> = rows.map(|gap| (gap.gap_id.clone(), gap)).collect();
    let mut all: Vec<GapRow> = newest.into_values().collect();
    all.sort_by(|a, b| (a.from_ms, &a.gap_id).cmp(&(b.from_ms, &b.gap_id)));
    Ok(all)
}

fn list(args: &ListArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let (from, to) = args.range.millis(Clock::start().now().wall.0)?;
    let mut gaps = known(&args.config)?;
    gaps.retain(|gap| gap.from_ms < to && gap.to_ms.is_none_or(|end| end > from));
    gaps.retain(|gap| !args.open || gap.outcome.is_none());
    match output {
        Output::Json => gaps.iter().for_each(|gap| say(&json!(gap).to_string())),
        Output::Text if gaps.is_empty() => say(&format!("no gap from {} to {}", at(from), at(to))),
        Output::Text => {
            say(&format!(
                "{:<10} {:<20} {:<20} {:<15} {:<14} {:>8}  class",
                "gap", "from", "to", "cause", "state", "restored"
            ));
            gaps.iter().for_each(|gap| say(&line(gap)));
        }
    }
    Ok(ExitCode::Done)
}

fn line(gap: &GapRow) -> String {
    let id = gap.gap_id.get(..8).unwrap_or(&gap.gap_id);
    let to = gap.to_ms.map_or_else(|| "now".to_owned(), at);
    let state = gap.outcome.as_deref().unwrap_or(match gap.provisional {
        true => "provisional",
        false => &gap.state,
    });
    format!(
        "{id:<10} {:<20} {to:<20} {:<15} {state:<14} {:>8}  {}",
        at(gap.from_ms),
        gap.cause,
        gap.rows_written,
        gap.topic_class
    )
}

fn show(gap: &str, args: &ConfigArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let all = known(args)?;
    let found: Vec<&GapRow> = all.iter().filter(|known| known.gap_id.starts_with(gap)).collect();
    let [found] = found.as_slice() else {
        let text =
            format!("{} gaps begin with {gap:?}; `trunkline gaps list` shows all", found.len());
        return Err(ProcessError::text(ExitCode::Usage, text));
    };
    match output {
        Output::Json => say(&json!(found).to_string()),
        Output::Text => {
            details(found).iter().for_each(|(name, value)| say(&format!("{name:<18} {value}")))
        }
    }
    Ok(ExitCode::Done)
}

fn details(gap: &GapRow) -> Vec<(&'static str, String)> {
    let time = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), at);
    let topics =
        if gap.topics.is_empty() { "all of the class".to_owned() } else { gap.topics.join(", ") };
    let length =
        gap.to_ms.map_or_else(String::new, |to| format!(" ({} s)", (to - gap.from_ms) / 1000));
    let next = match (&gap.outcome, gap.provisional) {
        (Some(outcome), _) => format!("closed: {outcome} at {}", time(gap.closed_at_ms)),
        (None, true) => format!("probably repaired; final at {}", time(gap.expected_close_at_ms)),
        (None, false) => format!("open; expected to close at {}", time(gap.expected_close_at_ms)),
    };
    vec![
        ("gap", gap.gap_id.clone()),
        ("state", next),
        ("cause", gap.cause.clone()),
        ("from", at(gap.from_ms)),
        ("to", format!("{}{length}", time(gap.to_ms))),
        ("shard", gap.shard.to_string()),
        ("class", gap.topic_class.clone()),
        ("topics", topics),
        ("recorded", at(gap.recorded_at_ms)),
        ("readings", gap.reads.to_string()),
        ("conversations read", gap.rows_read.to_string()),
        ("records written", gap.rows_written.to_string()),
        ("missing in history", gap.rows_missing.to_string()),
        ("history complete to", time(gap.history_watermark_ms)),
    ]
}
