//! What would be subscribed.

use serde_json::{Value, json};
use trunkline_protocol::discovery::Sorted;
use trunkline_protocol::domain::Dice;
use trunkline_protocol::subscriptions::expand;
use trunkline_protocol::timings::Timings;

use super::{ConfigArgs, Output, configuration, runtime, say};
use crate::app;
use crate::clock::Clock;
use crate::control::Wanted;
use crate::error::{ExitCode, ProcessError};
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::supervisor::Supervisor;

/// Objects of one kind that are named as left out; programs get all.
const SHOWN: usize = 20;

pub(super) fn subscriptions(args: &ConfigArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let config = configuration(args)?;
    let wanted = runtime()?.block_on(async {
        let timings = Timings::default();
        let clock = Clock::start();
        let http = app::http(&config, timings.request_timeout, clock)?;
        let mut tasks = Supervisor::new();
        let metrics = Metrics::new(Flow::new());
        let mut dice = Dice::new(0);
        let clients =
            app::clients(&config, &http, &timings, clock, &metrics, &mut dice, &mut tasks);
        app::in_time(async {
            app::org_id(&clients).await?;
            app::plan(&config, &clients).await
        })
        .await
    })?;
    match output {
        Output::Json => say(&as_json(&wanted).to_string()),
        Output::Text => as_text(&wanted).iter().for_each(|line| say(line)),
    }
    Ok(ExitCode::Done)
}

fn as_json(wanted: &Wanted) -> Value {
    let mut said = json!({"shards": wanted.plan});
    for (what, sorted) in wanted.found.sides() {
        let left_out = sorted.left_out.iter().map(|(object, part)| {
            let mut line = json!({"id": object.id, "by": part.as_str()});
            if let Some(name) = name(what, &object.name) {
                line["name"] = name.into();
            }
            line
        });
        said[format!("{what}s")] = json!({
            "listed": sorted.listed(),
            "kept": sorted.kept.len(),
            "left_out": left_out.collect::<Vec<_>>(),
            "idle": sorted.idle.iter()
                .map(|(part, pattern)| json!({"option": part.as_str(), "pattern": pattern}))
                .collect::<Vec<_>>(),
        });
    }
    said
}

fn as_text(wanted: &Wanted) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, shard) in wanted.plan.iter().enumerate() {
        lines.push(format!("shard {index}: {} topics", shard.len()));
        let topics = shard.iter().flat_map(|topic| expand(topic));
        lines.extend(topics.map(|topic| format!("  {topic}")));
    }
    for (what, sorted) in wanted.found.sides() {
        lines.extend(side(what, sorted));
    }
    for (option, pattern, listed) in wanted.found.idle() {
        lines.push(format!("warning: {option} holds {pattern:?}, which matches none of {listed}"));
    }
    if wanted.plan.is_empty() {
        lines.push("nothing would be subscribed".to_owned());
    }
    lines
}

fn side(what: &str, sorted: &Sorted) -> Vec<String> {
    let counts: Vec<String> = sorted
        .counts()
        .iter()
        .map(|(part, count)| format!("{count} by subscriptions.{what}_filter.{}", part.as_str()))
        .collect();
    let counts = match counts.is_empty() {
        true => "none left out".to_owned(),
        false => format!("left out: {}", counts.join(", ")),
    };
    let mut lines =
        vec![format!("{what}s: {} of {} kept, {counts}", sorted.kept.len(), sorted.listed())];
    for (object, part) in sorted.left_out.iter().take(SHOWN) {
        let name = name(what, &object.name).map(|name| format!(" {name:?}")).unwrap_or_default();
        lines.push(format!("  left out by {}: {}{name}", part.as_str(), object.id));
    }
    if sorted.left_out.len() > SHOWN {
        let more = sorted.left_out.len() - SHOWN;
        lines.push(format!("  left out: {more} more, see --output json"));
    }
    lines
}

/// The name of a queue; that of a person is nobody's business here.
fn name<'a>(what: &str, name: &'a str) -> Option<&'a str> {
    (what == "queue").then_some(name)
}
