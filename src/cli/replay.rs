//! Replays the quarantine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use trunkline_protocol::domain::{
    Altered, EpochId, EventId, Interval, RejectReason, Wall, WriterId,
};
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::replay::{Choice, Piece, assemble};

use super::proof::{collect, instant};
use super::{ConfigArgs, Output, configuration, runtime, say};
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::encode::{Encoder, Provenance};
use crate::errand::{Errand, exists};
use crate::error::{ExitCode, ProcessError};
use crate::failpoint;
use crate::kafka::tail::{From, Passing};
use crate::observe::flow::Flow;
use crate::publish::router::Router;
use crate::replay::{Replay, ReplayError, Tally};

/// Which messages.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Only this one, by its event id; may be given several times.
    #[arg(long = "id", value_name = "EVENT-ID")]
    ids: Vec<String>,
    /// Only those quarantined for this reason; may be given several times.
    #[arg(long = "reason", value_name = "REASON")]
    reasons: Vec<String>,
    /// Only those quarantined since, e.g. 2026-11-26T10:00:00Z, or so long ago, e.g. 24h, 7d.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only those quarantined before.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Say what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn replay(args: &ReplayArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let choice = choice(args, Clock::start().now().wall)?;
    let config = configuration(&args.config)?;
    exists(&config, "kafka.quarantine_topic", &config.kafka.quarantine_topic)?;
    let (tally, missing) = runtime()?.block_on(carry_out(&config, args.dry_run, choice))?;
    let absent: Vec<String> = missing.iter().map(EventId::to_string).collect();
    match output {
        Output::Json => {
            let mut line = json!(tally);
            line["dry_run"] = args.dry_run.into();
            line["not_in_quarantine"] = absent.into();
            say(&line.to_string());
        }
        Output::Text => {
            lines(&tally, args.dry_run)
                .iter()
                .for_each(|(name, n)| say(&format!("{name:<28} {n}")));
            absent.iter().for_each(|id| say(&format!("not in the quarantine        {id}")));
        }
    }
    Ok(if missing.is_empty() { ExitCode::Done } else { ExitCode::Failed })
}

fn choice(args: &ReplayArgs, now: Wall) -> Result<Choice, ProcessError> {
    let usage = |text: String| ProcessError::text(ExitCode::Usage, text);
    let id = |text: &String| {
        let allowed = "32 hexadecimal digits, as `quarantine list --output json` shows them";
        text.parse().map_err(|_| usage(format!("--id is {text:?}; allowed: {allowed}")))
    };
    let reason = |text: &String| {
        let found = RejectReason::ALL.into_iter().find(|reason| reason.as_str() == text);
        let words = RejectReason::ALL.map(RejectReason::as_str).join(", ");
        found.ok_or_else(|| usage(format!("--reason is {text:?}; allowed: {words}")))
    };
    let time = |name, text: &Option<String>, otherwise| {
        text.as_ref().map_or(Ok(otherwise), |text| instant(name, text, now.0))
    };
    let range = Interval::new(
        Wall(time("--from", &args.from, i64::MIN)?),
        Wall(time("--to", &args.to, i64::MAX)?),
    );
    if range.is_empty() {
        let (from, to) = (args.from.as_deref().unwrap_or("-"), args.to.as_deref().unwrap_or("-"));
        return Err(usage(format!("--from ({from}) is not before --to ({to})")));
    }
    Ok(Choice {
        ids: args.ids.iter().map(id).collect::<Result<_, _>>()?,
        reasons: args.reasons.iter().map(reason).collect::<Result<_, _>>()?,
        range,
    })
}

/// What became of the messages, and ids that were asked for and are not there.
async fn carry_out(
    config: &Config,
    dry_run: bool,
    choice: Choice,
) -> Result<(Tally, BTreeSet<EventId>), ProcessError> {
    let asked = choice.ids.clone();
    let topic = &config.kafka.quarantine_topic;
    let wanted = move |raw: &Passing<'_>| piece(raw, &choice);
    let pieces = collect(config, topic, From::Beginning, wanted).await?;
    let found: BTreeSet<EventId> = pieces.iter().map(|piece| piece.id).collect();
    let missing = asked.difference(&found).copied().collect();
    let (messages, incomplete) = assemble(pieces);
    let mut tally = Tally { incomplete: incomplete as u64, ..Tally::default() };
    if messages.is_empty() {
        return Ok((tally, missing));
    }
    let there = there(config, &messages).await?;
    let limit = config.genesys.requests_per_minute;
    let mut errand = Errand::start(config, limit, &failpoint::timings()).await?;
    let pen = if dry_run { None } else { Some(errand.pen(config).await?) };
    let policy = app::policy(config)?;
    let (encoder, publish) = match pen {
        Some(pen) => (pen.encoder, Some(pen.publish)),
        None => {
            // the length of a record does not depend on the number of its schema
            let org_id = errand.org_id.clone();
            let provenance = Provenance { org_id, writer_id: WriterId([0; 16]) };
            (Encoder::new(0, provenance, config.privacy.keep_payload), None)
        }
    };
    let sorted = config.flow.sorted_bodies;
    let replay = Replay {
        clock: errand.clock,
        org_id: errand.org_id.clone(),
        form: if sorted { Canonical::Sorted } else { Canonical::AsReceived },
        policy,
        encoder,
        router: Router::new(&errand.org_id),
        max_record_bytes: config.kafka.max_record_bytes,
        publish,
        flow: Flow::new(),
    };
    let became = replay.run(messages, &there).await.map_err(|error| {
        let code = match error {
            ReplayError::Unacked { .. } => ExitCode::Unavailable,
            ReplayError::Publish(_) => ExitCode::Internal,
        };
        ProcessError::new(code, &error)
    })?;
    tally = Tally { incomplete: tally.incomplete, ..became };
    Ok((tally, missing))
}

/// A record of the quarantine topic, if it is meant.
fn piece(raw: &Passing<'_>, choice: &Choice) -> Option<Piece> {
    let id = raw.header("event_id")?.parse().ok()?;
    let word = raw.header("trunkline-reason")?;
    let reason = RejectReason::ALL.into_iter().find(|reason| reason.as_str() == word)?;
    let whole = raw.whole();
    let at = Wall(whole.timestamp_ms);
    choice.takes(id, reason, at).then(|| Piece {
        id,
        part: raw.header("trunkline-part").map(str::to_owned),
        reason,
        topic: raw.header("trunkline-topic").map(str::to_owned),
        received: Wall(
            raw.header("trunkline-received-at").and_then(|ms| ms.parse().ok()).unwrap_or(at.0),
        ),
        epoch: raw
            .header("trunkline-epoch")
            .and_then(|epoch| epoch.parse().ok())
            .unwrap_or(EpochId([0; 16])),
        at,
        bytes: whole.value,
        withheld: raw.header("trunkline-withheld").is_some(),
        altered: altered(raw),
    })
}

fn altered(raw: &Passing<'_>) -> Option<Altered> {
    let org_id = raw.header("trunkline-org")?.to_owned();
    Some(Altered { org_id, digest: raw.header("trunkline-body-digest")?.parse().ok()? })
}

/// Clocks differ; nothing is written long before it was heard.
const EARLIER: Duration = Duration::from_secs(3600);

/// Those of the messages that the events topic has, as far back as it reaches.
async fn there(config: &Config, messages: &[Piece]) -> Result<BTreeSet<EventId>, ProcessError> {
    let ids: BTreeSet<EventId> = messages.iter().map(|message| message.id).collect();
    let oldest = messages.iter().map(|message| message.received.minus(EARLIER).0).min();
    let from = From::Time(oldest.unwrap_or(0).max(0), BTreeMap::new());
    let found = collect(config, &config.kafka.events_topic, from, move |raw| {
        raw.header("event_id")?.parse().ok().filter(|id| ids.contains(id))
    });
    Ok(found.await?.into_iter().collect())
}

fn lines(tally: &Tally, dry_run: bool) -> Vec<(&'static str, String)> {
    let verb = if dry_run { "would be written" } else { "written" };
    let left: Vec<String> = tally.left.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
    let mut lines = vec![
        (verb, tally.understood.to_string()),
        ("in the events topic already", tally.already_there.to_string()),
        (
            "not understood, they stay",
            if left.is_empty() { "0".to_owned() } else { left.join(", ") },
        ),
    ];
    let rare = [
        ("parts are missing", tally.incomplete),
        ("of another organisation", tally.of_another_organisation),
    ];
    lines.extend(rare.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name, n.to_string())));
    lines
}
