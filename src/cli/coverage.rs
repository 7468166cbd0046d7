//! What may be said of a range of time: certificates, merged into stretches of one level.

mod stretches;

use clap::Args;
use serde_json::json;

use self::stretches::{Answer, Complete, Said, Stretch, answer, newest};
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

pub(super) fn coverage(args: &CoverageArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let (from, to) = args.range.millis(Clock::start().now().wall.0)?;
    let config = configuration(&args.config)?;
    let topic = read(&config, &config.kafka.certificates_topic)?;
    let said =
        topic.records.iter().filter_map(|raw| rows::certificate(&raw.value, &config.instance));
    let (stretches, answer) = answer(newest(said), from, to);
    match output {
        Output::Json => {
            stretches.iter().for_each(|stretch| say(&json(stretch)));
            let since = answer.since_known.map(Complete::word);
            let last = json!({
                "from_ms": from, "to_ms": to, "complete": answer.complete.word(),
                "final_at_ms": final_at(answer.complete), "known_from_ms": answer.known_from,
                "complete_since_known": since,
            });
            say(&last.to_string());
        }
        Output::Text => {
            stretches.iter().for_each(|stretch| say(&line(stretch)));
            say(&format!("complete from {} to {}: {}", at(from), at(to), words(&answer)));
        }
    }
    Ok(match answer.complete {
        Complete::Yes | Complete::Probably(_) => ExitCode::Done,
        Complete::No | Complete::Unknown => ExitCode::Failed,
    })
}

fn final_at(complete: Complete) -> Option<i64> {
    match complete {
        Complete::Probably(at) => at,
        Complete::Yes | Complete::No | Complete::Unknown => None,
    }
}

/// The answer for people, and beside it what it does not know.
fn words(answer: &Answer) -> String {
    let word = |complete: Complete| match final_at(complete) {
        Some(final_at) => format!("probably (final at {})", at(final_at)),
        None => complete.word().to_owned(),
    };
    let whole = word(answer.complete);
    match (answer.known_from, answer.since_known) {
        (None, _) => format!("{whole}; there is no certificate yet"),
        (Some(_), _) if !answer.reaches_back => whole,
        (Some(from), Some(since)) if since != answer.complete => {
            format!("{whole}; nothing is known before {}, {} from then on", at(from), word(since))
        }
        (Some(from), _) => format!("{whole}; nothing is known before {}", at(from)),
    }
}

fn line(stretch: &Stretch) -> String {
    let level = match stretch.said {
        Said::Level(level) => level.as_str(),
        Said::NotYet => "not certified yet",
        Said::Unknown => "nothing known",
    };
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
    let level = match stretch.said {
        Said::Level(level) => Some(level.as_str()),
        Said::NotYet | Said::Unknown => None,
    };
    json!({
        "shard": stretch.shard, "topic_class": stretch.class, "from_ms": stretch.from,
        "to_ms": stretch.to, "level": level, "known": stretch.said != Said::Unknown,
        "count_live": stretch.live,
        "count_backfill": stretch.restored, "history_only": stretch.history_only, "final_at_ms": stretch.final_at,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_what_is_not_known_and_what_is() {
        let said = |complete, since_known, known_from: Option<i64>, reaches_back| {
            words(&Answer { complete, since_known, known_from, reaches_back })
        };
        let (known, since) = (Some(3_600_000), Some);
        let probably = Complete::Probably(Some(7_200_000));
        for (text, expected) in [
            (said(Complete::Yes, since(Complete::Yes), known, false), "yes"),
            (
                said(probably, since(probably), known, false),
                "probably (final at 1970-01-01T02:00:00Z)",
            ),
            (said(Complete::Unknown, None, None, false), "unknown; there is no certificate yet"),
            (
                said(Complete::Unknown, since(Complete::Yes), known, true),
                "unknown; nothing is known before 1970-01-01T01:00:00Z, yes from then on",
            ),
            (
                said(Complete::No, since(Complete::No), known, true),
                "no; nothing is known before 1970-01-01T01:00:00Z",
            ),
            (
                said(Complete::Unknown, None, known, true),
                "unknown; nothing is known before 1970-01-01T01:00:00Z",
            ),
        ] {
            assert_eq!(text, expected);
        }
    }
}
