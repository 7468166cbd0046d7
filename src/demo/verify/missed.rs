//! What no socket could hear: did history bring it back, or is it at least said?

use std::collections::{BTreeMap, BTreeSet};

use super::records::{Fields, Found, schemas, text};
use super::{Evidence, Line};

/// What is known of gaps, from their topic: the newest record of each.
pub(super) struct Gaps {
    all: BTreeMap<String, Gap>,
}

struct Gap {
    class: String,
    topics: BTreeSet<String>,
    from_ms: i64,
    to_ms: Option<i64>,
    cause: String,
    outcome: Option<String>,
}

impl Gaps {
    pub(super) fn read(evidence: &Evidence, reasons: &mut Vec<String>) -> Self {
        let schemas = schemas(evidence);
        let mut all = BTreeMap::new();
        for raw in evidence.proof_of("gaps") {
            let gap = Fields::read(raw, &schemas).and_then(|fields| {
                let topics = fields.list("topics").iter().filter_map(text);
                let gap = Gap {
                    class: fields.text("topic_class").ok_or("has no topic_class")?,
                    topics: topics.collect(),
                    from_ms: fields.long("from_time").ok_or("has no from_time")?,
                    to_ms: fields.long("to_time"),
                    cause: fields.text("cause").ok_or("has no cause")?,
                    outcome: fields.text("outcome"),
                };
                Ok((fields.text("gap_id").ok_or("has no gap_id")?, gap))
            });
            match gap {
                Ok((id, gap)) => _ = all.insert(id, gap),
                Err(problem) => reasons.push(format!("gap record {} {problem}", raw.offset)),
            }
        }
        Self { all }
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        let closed = self.all.values().filter(|gap| gap.outcome.is_some());
        (self.all.len() as u64, closed.count() as u64)
    }

    /// Gaps by cause and outcome, for people.
    pub(super) fn summary(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for gap in self.all.values() {
            let outcome = gap.outcome.as_deref().unwrap_or("open");
            *counts.entry(format!("{} {outcome}", gap.cause)).or_default() += 1;
        }
        counts
    }

    /// Whether an instant of a topic is said not to be proven, and not said to be repaired.
    fn declares(&self, topic: &str, at_ms: i64) -> bool {
        let class = class_of(topic);
        self.all.values().any(|gap| {
            let said = matches!(gap.outcome.as_deref(), None | Some("partial" | "lost_declared"));
            let inside = gap.from_ms <= at_ms && gap.to_ms.is_none_or(|to| at_ms <= to);
            said && inside
                && gap.class == class
                && (gap.topics.is_empty() || gap.topics.contains(topic))
        })
    }
}

/// Newest time in the rows that history gave, by conversation.
pub(super) fn history(found: &Found) -> BTreeMap<&str, i64> {
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    for record in found.first.values().filter(|record| record.is_history()) {
        let at = record.payload.as_deref().and_then(newest_time);
        if let (Some(conversation), Some(at)) = (record.conversation.as_deref(), at) {
            let known = newest.entry(conversation).or_insert(at);
            *known = (*known).max(at);
        }
    }
    newest
}

/// What became of an event that is not durable.
pub(super) enum Fate {
    /// A row of history carries its facts: one that knows of something as new or newer.
    Restored,
    /// It lies in a gap that says so.
    Declared,
    /// Nothing speaks of it.
    Silent,
}

pub(super) fn fate(
    line: &Line,
    body: &str,
    origin_ms: i64,
    history: &BTreeMap<&str, i64>,
    gaps: &Gaps,
) -> Fate {
    let shown = line.conversation_id.as_deref().and_then(|id| history.get(id));
    let carried = match (shown, newest_time(body)) {
        (Some(shown), Some(newest)) => *shown >= newest,
        (Some(_), None) => true,
        (None, _) => false,
    };
    if carried {
        Fate::Restored
    } else if gaps.declares(&line.topic, origin_ms + line.at_ms) {
        Fate::Declared
    } else {
        Fate::Silent
    }
}

/// The longest time in which no event could be put on any of our sockets, in milliseconds.
#[derive(Default)]
pub(super) struct Silence {
    last_heard_ms: Option<i64>,
    missed_since: bool,
    pub(super) longest_ms: u64,
}

impl Silence {
    pub(super) fn line(&mut self, at_ms: i64, heard: bool) {
        if !heard {
            self.missed_since = true;
            return;
        }
        if let Some(last) = self.last_heard_ms.filter(|_| self.missed_since) {
            self.longest_ms = self.longest_ms.max(u64::try_from(at_ms - last).unwrap_or(0));
        }
        (self.last_heard_ms, self.missed_since) = (Some(at_ms), false);
    }
}

/// The topic with `{id}` in the place of ids; own work, to be able to disagree.
fn class_of(topic: &str) -> String {
    let is_id = |part: &str| part.len() == 36 && part.matches('-').count() == 4;
    let parts: Vec<&str> =
        topic.split('.').map(|part| if is_id(part) { "{id}" } else { part }).collect();
    parts.join(".")
}

/// The newest ISO-8601 time in a JSON text, milliseconds since 1970.
fn newest_time(json: &str) -> Option<i64> {
    let texts = json.split('"').filter(|text| text.len() >= 20 && text.ends_with('Z'));
    texts.filter_map(|t| t.parse::<jiff::Timestamp>().ok()).map(|t| t.as_millisecond()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_time_of_a_body_is_found_wherever_it_is() {
        let body =
            r#"{"a":{"b":["2026-01-05T10:00:00.000Z"]},"c":"2026-01-05T10:00:00.007Z","d":"Zzzz"}"#;
        assert_eq!(newest_time(body), Some(1_767_607_200_007));
        assert_eq!(newest_time("{}"), None);
    }

    #[test]
    fn a_silence_lasts_from_the_last_event_heard_to_the_next() {
        let mut silence = Silence::default();
        for (at, heard) in [(0, true), (100, true), (150, false), (900, true), (2_000, true)] {
            silence.line(at, heard);
        }
        assert_eq!(silence.longest_ms, 800);
    }
}
