//! Looks while the service runs, and shows what it sees as metrics.

use std::collections::BTreeMap;

use super::look::{Letter, Looker, Seen, Sink};
use crate::observe::metrics::StagingMetrics;

/// What was said of a connector last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    down: Option<String>,
    unknown: Option<String>,
}

/// Runs for as long as the service does.
pub async fn watch(mut looker: Looker, metrics: StagingMetrics) {
    let mut said = BTreeMap::new();
    let (names, now) = (looker.connectors(), looker.now());
    names.iter().for_each(|name| metrics.checked(name, now));
    loop {
        let seen = looker.look().await;
        show(&seen, &metrics);
        seen.sinks
            .iter()
            .for_each(|sink| tell(sink, &seen, said.entry(sink.name.clone()).or_default()));
        tokio::time::sleep(looker.every()).await;
    }
}

fn show(seen: &Seen, metrics: &StagingMetrics) {
    for sink in &seen.sinks {
        let name = sink.name.as_str();
        metrics.up(name, down(sink, seen).is_none());
        for (topic, lag) in &sink.topics {
            if let Ok(Some(lag)) = lag {
                metrics.behind(name, topic, lag.records, lag.lost);
                metrics.waits(name, topic, lag.waited, lag.headroom());
            }
        }
        if unknown(sink).is_none() {
            metrics.checked(name, seen.at);
        }
        if let Letter::Kept(_, Ok(letters)) = &sink.letters {
            metrics.letters(name, letters.written);
        }
    }
}

/// Why a connector is not up. The reason that a task gives may quote a record: it is left out.
fn down(sink: &Sink, seen: &Seen) -> Option<String> {
    if let Err(why) = &seen.version {
        return Some(why.clone());
    }
    let Some(status) = &sink.status else { return Some("its state is not told".to_owned()) };
    let Some(status) = status else { return Some("it does not exist".to_owned()) };
    let task = status.tasks.iter().find(|task| !task.runs());
    match (status.connector.runs(), task) {
        (false, _) => Some(format!("it is {}", status.connector.state)),
        (true, Some(task)) => Some(format!("task {} is {}", task.id, task.state)),
        (true, None) if status.tasks.is_empty() => Some("it has no task".to_owned()),
        (true, None) => None,
    }
}

/// Why it is not known how far a connector is.
fn unknown(sink: &Sink) -> Option<String> {
    let untold = sink.topics.iter().find_map(|(topic, lag)| match lag {
        Err(why) => Some(why.clone()),
        Ok(None) => Some(format!("topic {topic} does not exist")),
        Ok(Some(_)) => None,
    });
    let none = || sink.topics.is_empty().then(|| "nobody tells which topics it carries".to_owned());
    untold.or_else(none)
}

/// Says what is otherwise than before.
fn tell(sink: &Sink, seen: &Seen, said: &mut Said) {
    let now = Said { down: down(sink, seen), unknown: unknown(sink) };
    let (name, before) = (&sink.name, std::mem::replace(said, now.clone()));
    match (before.down, now.down) {
        (before, Some(why)) if before.as_ref() != Some(&why) => tracing::warn!(
            code = "staging_down",
            connector = %name,
            why = %why,
            "a connector that carries topics to S3 does not run, as far as Kafka Connect says"
        ),
        (Some(_), None) => {
            tracing::info!(code = "staging_up", connector = %name, "the connector runs again");
        }
        (_, _) => {}
    }
    if let Some(why) = now.unknown.filter(|why| before.unknown.as_ref() != Some(why)) {
        tracing::warn!(
            code = "staging_unknown",
            connector = %name,
            why = %why,
            "it is not known how far the connector is"
        );
    }
}

#[cfg(test)]
mod tests;
