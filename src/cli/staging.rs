//! The sink behind the topics: whether it carries them, and how it is set up.

mod apply;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{ConfigArgs, Output, configuration, runtime, say};
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{ExitCode, ProcessError};
use crate::staging::connect::Status;
use crate::staging::{
    Advice, Grade, Letter, Looker, Retention, Seen, Sink, StagingError, StagingSettings, TopicLag,
    advise,
};

/// What to do with the sink.
#[derive(Args, Debug)]
pub struct StagingArgs {
    #[command(subcommand)]
    command: Option<StagingCommand>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Otherwise than to look.
#[derive(Debug, Subcommand)]
enum StagingCommand {
    /// Create or update connectors from files; what differs is shown first.
    #[command(
        after_help = "Example: trunkline staging apply --dir deploy/connect/s3 --config trunkline.yaml"
    )]
    Apply(apply::ApplyArgs),
}

pub(super) fn staging(args: StagingArgs, output: Output) -> Result<ExitCode, ProcessError> {
    match args.command {
        Some(StagingCommand::Apply(args)) => apply::apply(&args, output),
        None => look(&args.config, output),
    }
}

fn look(args: &ConfigArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let config = configuration(args)?;
    let settings = settings(&config)?;
    let longest_outage = settings.longest_outage;
    let mut looker = Looker::new(settings, app::kafka_settings(&config), Clock::start())
        .map_err(|error| process_error(&error))?;
    let seen = runtime()?.block_on(looker.look());
    let advice = advise(&seen, longest_outage);
    let count = |grade| advice.iter().filter(|advice| advice.grade == grade).count();
    let (act, look) = (count(Grade::Act) + count(Grade::Refuse), count(Grade::Look));
    match output {
        Output::Json => say(&report(&seen, &advice, act + look == 0).to_string()),
        Output::Text => {
            advice.iter().for_each(|advice| say(&line(advice)));
            say(&format!(
                "{} facts: {act} to act on, {look} to look at, {} not known",
                advice.len(),
                count(Grade::Unknown)
            ));
        }
    }
    Ok(if act + look == 0 { ExitCode::Done } else { ExitCode::Failed })
}

/// What is to be looked at.
fn settings(config: &Config) -> Result<StagingSettings, ProcessError> {
    app::staging_settings(config).ok_or_else(|| {
        let text = "staging.connect_url: is required, e.g. http://connect:8083";
        ProcessError::text(ExitCode::Config, text)
    })
}

fn process_error(error: &StagingError) -> ProcessError {
    let code = match error {
        StagingError::NoAnswer { .. } | StagingError::Unreadable { .. } => ExitCode::Unavailable,
        StagingError::Refused { status: 409 | 500.., .. } => ExitCode::Unavailable,
        StagingError::Denied { .. } => ExitCode::Permission,
        StagingError::Settings(_) | StagingError::Refused { .. } => ExitCode::Config,
    };
    ProcessError::new(code, error)
}

fn word(grade: Grade) -> &'static str {
    match grade {
        Grade::Ok => "ok",
        Grade::Unknown => "-",
        Grade::Look => "look",
        Grade::Act | Grade::Refuse => "ACT",
    }
}

fn line(advice: &Advice) -> String {
    let Advice { about, grade, found, remedy } = advice;
    let remedy = remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    // one line for each, whatever the other side says
    let text: Vec<&str> = found.lines().map(str::trim).collect();
    format!("{:<4}  {about:<9}  {}{remedy}", word(*grade), text.join("; "))
}

fn report(seen: &Seen, advice: &[Advice], is_ok: bool) -> Value {
    let facts: Vec<Value> = advice
        .iter()
        .map(|Advice { about, grade, found, remedy }| {
            let verdict = word(*grade).to_ascii_lowercase();
            let verdict = if verdict == "-" { "unknown".to_owned() } else { verdict };
            json!({"about": about, "verdict": verdict, "found": found, "remedy": remedy})
        })
        .collect();
    json!({
        "ok": is_ok,
        "at_ms": seen.at.0,
        "connect": {"url": seen.url, "version": seen.version.as_ref().ok()},
        "connectors": seen.sinks.iter().map(sink).collect::<Vec<_>>(),
        "facts": facts,
    })
}

fn sink(sink: &Sink) -> Value {
    let status = sink.status.as_ref().and_then(Option::as_ref);
    let tasks = |status: &Status| -> Vec<Value> {
        let task = |task: &crate::staging::connect::State| {
            let why = Some(task.why()).filter(|why| !why.is_empty());
            json!({"id": task.id, "state": task.state, "why": why})
        };
        status.tasks.iter().map(task).collect()
    };
    let topics = sink.topics.iter().map(|(topic, told)| match told {
        Ok(Some(found)) => lag(found),
        Ok(None) => json!({"topic": topic, "unknown": "there is no such topic"}),
        Err(why) => json!({"topic": topic, "unknown": why}),
    });
    let letters = match &sink.letters {
        Letter::Kept(topic, told) => {
            json!({"topic": topic, "written": told.as_ref().ok().map(|letters| letters.written)})
        }
        Letter::Unknown | Letter::Stops | Letter::Dropped => Value::Null,
    };
    json!({
        "name": sink.name,
        "group": sink.group,
        "exists": sink.status.as_ref().map(Option::is_some),
        "state": status.map(|status| &status.connector.state),
        "tasks": status.map(tasks),
        "topics": topics.collect::<Vec<_>>(),
        "dead_letters": letters,
    })
}

fn lag(lag: &TopicLag) -> Value {
    let seconds = |span: Option<Duration>| span.map(|span| span.as_secs_f64());
    let kept = match lag.retention {
        Retention::For(kept) => Some(kept),
        Retention::Unknown | Retention::Forever => None,
    };
    json!({
        "topic": lag.topic,
        "lag_records": lag.records,
        "lag_seconds": seconds(lag.waited),
        "lost_records": lag.lost,
        "retention_seconds": seconds(kept),
        "retention_headroom_seconds": seconds(lag.headroom()),
    })
}
