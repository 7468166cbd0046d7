//! Which conversations of history a warehouse lacks; on request they are published again.

use std::fs::File;
use std::io::{BufRead, BufReader};

use clap::Args;
use serde_json::json;
use trunkline_protocol::domain::{IntervalSet, Origin};
use trunkline_protocol::history::{Found, Have, Progress};

use super::ask::{ReadArgs, Wish, understand};
use super::history::{Came, all_proven, priced};
use super::proof::at;
use super::{Output, runtime, say};
use crate::error::{ExitCode, ProcessError};
use crate::failpoint;

/// What the warehouse has, and which range is compared.
#[derive(Args, Debug)]
pub struct ReconcileArgs {
    /// File with the ids of the conversations that the warehouse has, one a line; - for standard input.
    #[arg(long, value_name = "FILE")]
    have: String,
    /// Publish the rows of missing conversations to the events topic, with origin reconcile.
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    read: ReadArgs,
}

pub(super) fn reconcile(args: &ReconcileArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let _armed = failpoint::arm();
    let have = have(&args.have)?;
    let (command, origin, publish) = ("reconcile", Origin::Reconcile, args.repair);
    let (certify, wait) = (false, false);
    let wish = Wish { command, origin, have, publish, list: true, certify, wait };
    let reading = understand(&args.read, &wish)?;
    // a warehouse may lack what sockets heard, so nothing is left out as proven
    let quiet = output == Output::Json;
    let came = runtime()?.block_on(reading.carry_out(&wish, IntervalSet::new(), quiet))?;
    match came {
        Came::Priced(range, price, limit) => {
            say(&priced(range, price, limit, wish.have.len(), output));
            Ok(ExitCode::Done)
        }
        Came::Proven(range) => {
            say(&all_proven(range, output));
            Ok(ExitCode::Done)
        }
        Came::Read(progress, _) => {
            report(&progress, wish.have.len(), output);
            let lacking = !progress.found.is_empty() && !args.repair;
            Ok(if lacking { ExitCode::Failed } else { ExitCode::Done })
        }
    }
}

/// Reads the list line by line. What a line holds is not repeated: it may be anything.
fn have(name: &str) -> Result<Have, ProcessError> {
    let wrong =
        |why: String| ProcessError::text(ExitCode::Config, format!("--have is {name}: {why}"));
    let lines: Box<dyn BufRead> = match name {
        "-" => Box::new(std::io::stdin().lock()),
        path => {
            Box::new(BufReader::new(File::open(path).map_err(|error| wrong(error.to_string()))?))
        }
    };
    let mut have = Have::default();
    for (index, line) in lines.lines().enumerate() {
        let line = line.map_err(|error| wrong(error.to_string()))?;
        have.add(&line).map_err(|_| {
            wrong(format!(
                "line {} is no conversation id; allowed: one id a line, like 3fa85f64-5717-4562-b3fc-2c963f66afa6",
                index + 1
            ))
        })?;
    }
    Ok(have)
}

fn report(progress: &Progress, have: usize, output: Output) {
    let mut found: Vec<(&String, &Found)> = progress.found.iter().collect();
    found.sort_by_key(|(id, found)| (found.start_ms, *id));
    let counts = progress.counts;
    match output {
        Output::Json => {
            for (id, found) in &found {
                let mut line = json!(found);
                line["conversation_id"] = json!(id);
                say(&line.to_string());
            }
            let mut line = json!(counts);
            line["from_ms"] = progress.range.from.0.into();
            line["to_ms"] = progress.range.to.0.into();
            line["have"] = have.into();
            line["missing"] = found.len().into();
            say(&line.to_string());
        }
        Output::Text => {
            found.iter().for_each(|(id, found)| say(&line(id, found)));
            say(&format!(
                "{} of history's conversations from {} to {} are missing ({have} given); {} rows, {} requests",
                found.len(),
                at(progress.range.from.0),
                at(progress.range.to.0),
                counts.rows,
                counts.requests
            ));
            if progress.asked.repair {
                let (written, there) = (counts.written, counts.already_there);
                say(&format!(
                    "{written} records written, {there} were in the events topic already"
                ));
            }
        }
    }
}

fn line(id: &str, found: &Found) -> String {
    let words = |words: &[String]| match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(","),
    };
    let start = found.start_ms.map_or_else(|| "-".to_owned(), at);
    format!("{id:<36}  {start:<20}  {:<12}  {}", words(&found.media), words(&found.queues))
}
