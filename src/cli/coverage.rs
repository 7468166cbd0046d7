//! What may be said of a range of time: certificates, merged into stretches of one level.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;
use trunkline_protocol::certificate::Level;
use trunkline_protocol::certifier::Certificate;

use super::proof::{Range, at, read};
use super::{ConfigArgs, Output, configuration, say};
use crate::clock::Clock;
use crate::encode::read as rows;
use crate::error::{ExitCode, ProcessError};

/// Which range.
#[derive(Args, Debug)]
pub struct CoverageArgs {
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Certificates of one level that follow each other.
struct Stretch {
    shard: u16,
    class: String,
    from: i64,
    to: i64,
    level: Option<Level>,
    live: u64,
    restored: u64,
    /// No socket proves any of it.
    history_only: bool,
    final_at: Option<i64>,
}

pub(super) fn coverage(args: &CoverageArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let (from, to) = args.range.millis(Clock::start().now().wall.0)?;
    let config = configuration(&args.config)?;
    let topic = read(&config, &config.kafka.certificates_topic)?;
    let said =
        topic.records.iter().filter_map(|raw| rows::certificate(&raw.value, &config.instance));
    let stretches = stretches(newest(said), from, to);
    let word = complete(&stretches);
    match output {
        Output::Json => {
            stretches.iter().for_each(|stretch| say(&json(stretch)));
            say(&json!({"from_ms": from, "to_ms": to, "complete": word.0, "final_at_ms": word.1})
                .to_string());
        }
        Output::Text => {
            stretches.iter().for_each(|stretch| say(&line(stretch)));
            let text = match word {
                ("probably", Some(final_at)) => format!("probably (final at {})", at(final_at)),
                (word, _) => word.to_owned(),
            };
            say(&format!("complete from {} to {}: {text}", at(from), at(to)));
        }
    }
    Ok(if word.0 == "no" { ExitCode::Failed } else { ExitCode::Done })
}

/// The newest revision of every interval.
fn newest(said: impl Iterator<Item = Certificate>) -> Vec<Certificate> {
    let mut newest = BTreeMap::new();
    for certificate in said {
        let known =
            newest.entry(certificate.subject.clone()).or_insert_with(|| certificate.clone());
        if known.revision < certificate.revision {
            *known = certificate;
        }
    }
    newest.into_values().collect()
}

/// Time without a certificate is a stretch without a level.
fn stretches(said: Vec<Certificate>, from: i64, to: i64) -> Vec<Stretch> {
    let mut classes: BTreeMap<(u16, String), Vec<Certificate>> = BTreeMap::new();
    for certificate in said {
        let key = (certificate.subject.shard, certificate.subject.class.clone());
        classes.entry(key).or_default().push(certificate);
    }
    let mut all: Vec<Stretch> = Vec::new();
    for ((shard, class), said) in classes {
        let begun = said.iter().map(|c| c.subject.from.0).min().unwrap_or(from);
        let mut reached = from.max(begun);
        let empty = |from, to| Stretch {
            shard,
            class: class.clone(),
            from,
            to,
            level: None,
            live: 0,
            restored: 0,
            history_only: false,
            final_at: None,
        };
        for certificate in said.iter().filter(|c| c.to.0 > from && c.subject.from.0 < to) {
            if certificate.subject.from.0 > reached {
                all.push(empty(reached, certificate.subject.from.0));
            }
            reached = certificate.to.0;
            let judgement = &certificate.judgement;
            let next = Stretch {
                from: certificate.subject.from.0,
                to: certificate.to.0,
                level: Some(judgement.level),
                live: certificate.counts.live,
                restored: certificate.counts.backfill,
                history_only: judgement.epochs.is_empty(),
                final_at: judgement.expected_close_at.map(|at| at.0),
                ..empty(0, 0)
            };
            let same = |last: &&mut Stretch| {
                (last.shard, &last.class, last.level, last.history_only, last.to)
                    == (shard, &class, next.level, next.history_only, next.from)
            };
            match all.last_mut().filter(same) {
                Some(last) => {
                    last.to = next.to;
                    last.live += next.live;
                    // a gap that spans several intervals is counted with each of them
                    last.restored = last.restored.max(next.restored);
                    last.final_at = last.final_at.max(next.final_at);
                }
                None => all.push(next),
            }
        }
        if reached < to {
            all.push(empty(reached, to));
        }
    }
    all
}

/// `yes`, `probably` with the time from which it is final, or `no`.
fn complete(stretches: &[Stretch]) -> (&'static str, Option<i64>) {
    let good = |level: Option<Level>| {
        level.is_some_and(|level| level.is_live() || level == Level::Reconciled)
    };
    let perhaps = |level: Option<Level>| level == Some(Level::RepairedProvisional);
    let rest: Vec<&Stretch> = stretches.iter().filter(|stretch| !good(stretch.level)).collect();
    match () {
        () if stretches.is_empty() => ("no", None),
        () if rest.is_empty() => ("yes", None),
        () if rest.iter().all(|stretch| perhaps(stretch.level)) => {
            ("probably", rest.iter().filter_map(|stretch| stretch.final_at).max())
        }
        () => ("no", None),
    }
}

fn line(stretch: &Stretch) -> String {
    let level = stretch.level.map_or("not certified yet", Level::as_str);
    let only = if stretch.history_only { "  from history only" } else { "" };
    format!(
        "{:<20} {:<20} {level:<20} {:>9} heard {:>7} restored  shard {} {}{only}",
        at(stretch.from),
        at(stretch.to),
        stretch.live,
        stretch.restored,
        stretch.shard,
        stretch.class
    )
}

fn json(stretch: &Stretch) -> String {
    json!({
        "shard": stretch.shard, "topic_class": stretch.class, "from_ms": stretch.from,
        "to_ms": stretch.to, "level": stretch.level.map(Level::as_str), "count_live": stretch.live,
        "count_backfill": stretch.restored, "history_only": stretch.history_only, "final_at_ms": stretch.final_at,
    })
    .to_string()
}
