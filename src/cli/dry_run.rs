//! Everything that the service does but Kafka, for a while: what it would write.

use std::time::Duration;

use serde_json::json;

use super::doctor::line;
use super::hear::{Hearing, Told, hear, size};
use super::signals::Signals;
use super::{Output, runtime, say};
use crate::config::Config;
use crate::doctor::{self, Finding, Verdict};
use crate::error::{ExitCode, ProcessError};
use crate::failpoint;
use crate::listen::{Listening, Rehearsal, Written};

/// What was found.
struct Found {
    schemas: Vec<Finding>,
    hearing: Hearing,
    written: Written,
    copies: u64,
    problems: Vec<String>,
}

pub(super) fn dry_run(
    config: &Config,
    seconds: u64,
    output: Output,
) -> Result<ExitCode, ProcessError> {
    let found = runtime()?.block_on(rehearse(config, Duration::from_secs(seconds)))?;
    let Some(found) = found else { return Ok(ExitCode::Failed) };
    match output {
        Output::Json => say(&found.json()),
        Output::Text => found.text().iter().for_each(|line| say(line)),
    }
    Ok(if found.problems.is_empty() { ExitCode::Done } else { ExitCode::Failed })
}

/// `None` when a signal came before a channel was there.
async fn rehearse(config: &Config, span: Duration) -> Result<Option<Found>, ProcessError> {
    let mut signals = Signals::new()?;
    let (schemas, answers) = tokio::select! {
        biased;
        () = signals.caught() => return Ok(None),
        asked = doctor::schemas(config) => asked,
    };
    let channels = config.genesys.channels_per_shard;
    let mut listening = tokio::select! {
        biased;
        () = signals.caught() => return Ok(None),
        listening = Listening::start(config, channels, failpoint::timings()) => listening?,
    };
    let mut rehearsal = Rehearsal::new(config, &listening.org_id)?;
    let tell = |told: Told<'_>| {
        match told {
            Told::Kept(kept) => rehearsal.take(kept),
            Told::Goes(..) => {}
        }
        Ok(())
    };
    let hearing = hear(&mut listening, span, &mut signals, tell).await?;
    let written = rehearsal.written().clone();
    let problems = problems(&schemas, answers, &hearing, &written);
    let copies = listening.flow().deduplicated;
    Ok(Some(Found { schemas, hearing, written, copies, problems }))
}

/// What `run` would stumble over. A registry that does not answer from here may answer the service.
fn problems(
    schemas: &[Finding],
    answers: bool,
    hearing: &Hearing,
    written: &Written,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut say = |count: usize, text: &str| {
        if count > 0 {
            problems.push(format!("{count} {text}"));
        }
    };
    let unfit = schemas.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
    say(if answers { unfit } else { 0 }, "schemas do not fit");
    say(hearing.refused(), "topics are refused");
    say(hearing.not_live(), "channels are not live");
    let refused: u64 = written.quarantined.values().map(|refused| refused.count).sum();
    say(usize::try_from(refused).unwrap_or(usize::MAX), "messages would be quarantined");
    problems
}

impl Found {
    fn rates(&self) -> (f64, f64) {
        let (total, secs) = (self.written.total(), self.hearing.span.as_secs_f64().max(0.001));
        (total.count as f64 / secs, total.bytes as f64 / secs)
    }

    fn json(&self) -> String {
        let (records_per_s, bytes_per_s) = self.rates();
        let mut line = self.hearing.json();
        line["records"] = json!(self.written.records);
        line["quarantined"] = json!(self.written.quarantined);
        line["copies"] = self.copies.into();
        line["records_per_s"] = records_per_s.into();
        line["bytes_per_s"] = bytes_per_s.into();
        line["schemas"] = json!(self.schemas);
        line["ok"] = self.problems.is_empty().into();
        line["problems"] = json!(self.problems);
        line.to_string()
    }

    fn text(&self) -> Vec<String> {
        let secs = self.hearing.span.as_secs_f64().max(0.001);
        let row = |count: u64, bytes: u64, what: &str| {
            format!("{count:>9} {:>8.1} {:>9}  {what}", count as f64 / secs, size(bytes))
        };
        let mut lines = vec![
            format!("dry run of {secs:.0} s: nothing was written; this would have been"),
            format!("{:>9} {:>8} {:>9}  {}", "records", "a second", "bytes", "class of topics"),
        ];
        let records = self.written.records.iter();
        lines.extend(records.map(|(class, records)| row(records.count, records.bytes, class)));
        let total = self.written.total();
        lines.push(row(total.count, total.bytes, "all, before compression"));
        lines.push(format!("{:>9} copies of what another channel heard too", self.copies));
        for (reason, refused) in &self.written.quarantined {
            lines.push(format!("quarantined: {} as {reason}", refused.count));
            lines.push(format!("  e.g. {}", refused.detail));
        }
        lines.extend(self.hearing.text());
        lines.extend(self.schemas.iter().map(line));
        lines.push(match self.problems.is_empty() {
            true => "nothing is in the way".to_owned(),
            false => format!("in the way: {}", self.problems.join(", ")),
        });
        lines
    }
}
