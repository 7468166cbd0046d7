//! Publishes what history says of a range that nobody heard, e.g. before the connector was installed.

use clap::Args;
use serde_json::json;
use trunkline_protocol::domain::{IntervalSet, Origin};
use trunkline_protocol::history::{Have, Progress, proven};

use super::ask::{ReadArgs, Reading, Wish, understand};
use super::history::{Came, all_proven, priced};
use super::past::Past;
use super::proof::{at, collect};
use super::{Output, runtime, say};
use crate::encode::read as rows;
use crate::errand::exists;
use crate::error::{ExitCode, ProcessError};
use crate::failpoint;
use crate::kafka::tail::{From, Passing};

/// Which range is published.
#[derive(Args, Debug)]
pub struct BackfillArgs {
    /// Stay until history was read twice, an hour apart, of the time before topics were covered.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    read: ReadArgs,
}

pub(super) fn backfill(args: &BackfillArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let _armed = failpoint::arm();
    let have = Have::default();
    let (command, origin) = ("backfill", Origin::Backfill);
    let (certify, wait) = (true, args.wait);
    let wish = Wish { command, origin, have, publish: true, list: false, certify, wait };
    let reading = understand(&args.read, &wish)?;
    let quiet = output == Output::Json;
    let (proven, came) = runtime()?.block_on(async {
        let proven = certified(&reading).await?;
        let came = reading.carry_out(&wish, proven.clone(), quiet).await?;
        Ok((proven, came))
    })?;
    match came {
        Came::Priced(range, price, limit) => say(&priced(range, price, limit, 0, output)),
        Came::Proven(range) => say(&all_proven(range, output)),
        Came::Read(progress, past) => report(&progress, past.as_deref(), &proven, output),
    }
    Ok(ExitCode::Done)
}

/// What certificates prove.
async fn certified(reading: &Reading) -> Result<IntervalSet, ProcessError> {
    let (config, instance) = (&reading.config, reading.config.instance.clone());
    let topic = &config.kafka.certificates_topic;
    exists(config, "kafka.certificates_topic", topic)?;
    let wanted = move |raw: &Passing<'_>| rows::certificate(raw.value(), &instance);
    Ok(proven(collect(config, topic, From::Beginning, wanted).await?))
}

fn report(progress: &Progress, past: Option<&Past>, proven: &IntervalSet, output: Output) {
    let (range, counts) = (progress.range, progress.counts);
    let overlap = proven.intersect(&range.into());
    match output {
        Output::Json => {
            let mut line = json!(counts);
            line["from_ms"] = range.from.0.into();
            line["to_ms"] = range.to.0.into();
            line["proven_ms"] = overlap.millis().into();
            line["past"] = past.map_or(serde_json::Value::Null, Past::json);
            say(&line.to_string());
        }
        Output::Text => {
            for part in overlap.intervals() {
                let (from, to) = (at(part.from.0), at(part.to.0));
                say(&format!("proven from {from} to {to}: conversations within it are left out"));
            }
            say(&format!(
                "from {} to {}: {} records written, {} were there already, {} rows left out as proven; {} requests",
                at(range.from.0),
                at(range.to.0),
                counts.written,
                counts.already_there,
                counts.proven,
                counts.requests
            ));
            if let Some(past) = past {
                say(&past.text());
            }
        }
    }
}
