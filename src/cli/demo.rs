//! Runs the demo and prints its verdict.

use std::path::PathBuf;

use clap::Args;

use super::{Output, runtime, say};
use crate::demo::verify::Verdict;
use crate::demo::{self, DemoOptions, Script};
use crate::error::{ExitCode, ProcessError};
use crate::observe::logging::{self, LogSettings};

/// Arguments of the demo.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Events to generate.
    #[arg(long, default_value_t = 39_000)]
    pub events: u64,
    /// Events per second, up to 20000. Without it 550, or fewer when the events would end before the faults do.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Seed of the traffic.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Faults: none, default, or a timeline file.
    #[arg(long, default_value = "default", value_name = "none|default|FILE")]
    pub faults: String,
    /// Go on until interrupted after the verdict is reached.
    #[arg(long)]
    pub hold: bool,
    /// Write topics, schemas and ledger into this folder.
    #[arg(long, value_name = "DIR")]
    pub dump: Option<PathBuf>,
    /// Log level; the demo logs to standard error.
    #[arg(long, default_value = "error", value_name = "LEVEL")]
    pub log_level: String,
}

pub(super) fn demo(args: &DemoArgs, output: Output) -> Result<ExitCode, ProcessError> {
    if let Some(rate) = args.rate.filter(|rate| !(*rate > 0.0 && *rate <= 20_000.0)) {
        let text = format!("--rate is {rate}; allowed: above 0, up to 20000");
        return Err(ProcessError::text(ExitCode::Usage, text));
    }
    let level = LogSettings { json: false, level: args.log_level.clone() };
    logging::start(&level).map_err(|problem| ProcessError::text(ExitCode::Usage, problem))?;
    let script = match args.faults.as_str() {
        "none" => Script::None,
        "default" => Script::Default,
        file => Script::File(PathBuf::from(file)),
    };
    let options = DemoOptions {
        events: args.events,
        rate: args.rate,
        seed: args.seed,
        script,
        dump: args.dump.clone(),
        hold: args.hold,
        quiet: output == Output::Json,
    };
    let verdict = runtime()?.block_on(demo::run(options))?;
    match output {
        Output::Json => say(&serde_json::json!(verdict).to_string()),
        Output::Text => say(&table(&verdict)),
    }
    Ok(if verdict.verdict == "pass" { ExitCode::Done } else { ExitCode::Failed })
}

fn table(verdict: &Verdict) -> String {
    let mut lines = vec![
        "\nreckoning, from a fresh consumer over the topic against the simulator's ledger"
            .to_owned(),
    ];
    let mut row = |name: &str, value: String| lines.push(format!("  {name:<18} {value}"));
    row("events generated", verdict.events_generated.to_string());
    row("heard", verdict.events_heard.to_string());
    row("durable", verdict.events_durable.to_string());
    row("lost", verdict.lost.to_string());
    row("missed on the wire", verdict.wire_missed.to_string());
    row("restored", format!("{} ({} records of history)", verdict.restored, verdict.backfilled));
    row("silent", verdict.silent.to_string());
    row("duplicates", verdict.duplicates.to_string());
    row("by way of the disk", verdict.from_spool.to_string());
    row("repeats", verdict.repeats.to_string());
    row("order inversions", verdict.order_inversions.to_string());
    row("quarantined", verdict.quarantined.to_string());
    let seen = |counts: &mut dyn Iterator<Item = (String, u64)>| {
        let some: Vec<String> =
            counts.filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")).collect();
        some.join(", ")
    };
    row("faults", seen(&mut verdict.faults.iter().map(|(k, v)| (k.clone(), *v))));
    row("reconnects", seen(&mut verdict.reconnects.iter().map(|(k, v)| ((*k).to_owned(), *v))));
    row("gaps", seen(&mut verdict.gaps.iter().map(|(k, v)| (k.clone(), *v))));
    row("doubts", verdict.doubts.to_string());
    row("certificates", format!("{}, {} verified", verdict.certificates, verdict.verified));
    row("longest silence", format!("{:.1} s", verdict.longest_silence_ms as f64 / 1000.0));
    row("429 answers", verdict.http_429.to_string());
    row("seconds", format!("{:.1}", verdict.seconds));
    verdict.reasons.iter().take(20).for_each(|reason| row("because", reason.clone()));
    row("verdict", verdict.verdict.to_owned());
    lines.join("\n")
}
