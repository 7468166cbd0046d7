//! What a survey writes: a report for people, settings for the simulator, a part of a configuration.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trunkline_protocol::domain::Wall;

use super::findings::{Findings, Outcome, QUESTIONS};
use super::plan::RELEASE;

/// Everything that is known, without ids, names or values of payloads.
#[derive(Clone, Debug)]
pub struct Report {
    /// Answers.
    pub findings: Findings,
    /// When it was written.
    pub at: Wall,
    /// How long it took.
    pub seconds: u64,
    /// Requests, listings included.
    pub requests: u32,
    /// Sockets that were dialled.
    pub dials: u32,
    /// Channels that were made.
    pub channels: usize,
    /// Shards that the configuration makes; one was listened to.
    pub shards: usize,
    /// Topic strings of that one.
    pub topics: usize,
    /// Frames of events on the first channel.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames by class of topics.
    pub classes: BTreeMap<String, u64>,
    /// `inin-ratelimit-allowed`.
    pub allowed: Option<u32>,
    /// Whether bodies have to be compared with their keys sorted, where that is known.
    pub sorted_bodies: Option<bool>,
}

impl Report {
    /// The report, Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.at.0).unwrap_or_default();
        let asked = QUESTIONS.len();
        let mut lines = vec![
            "# Survey of a Genesys Cloud organisation".to_owned(),
            String::new(),
            format!(
                "Written {at:.0} by trunkline {}. It holds no ids, names or values of payloads.",
                env!("CARGO_PKG_VERSION")
            ),
            String::new(),
            format!(
                "- {} of {asked} questions are settled, in {} s.",
                self.findings.settled(),
                self.seconds
            ),
            format!(
                "- Cost: {} requests and {} dials; {} channels of its own, whose subscriptions are taken away at the end.",
                self.requests + RELEASE,
                self.dials,
                self.channels
            ),
            format!(
                "- Heard: {} events of {} topic strings (one of {} shards), {:.1} a second, {:.1} kB a second.",
                self.frames,
                self.topics,
                self.shards,
                self.rate(),
                self.rate_of(self.bytes) / 1e3
            ),
        ];
        lines.extend(self.classes.iter().map(|(class, count)| format!("  - `{class}`: {count}")));
        lines.extend([
            String::new(),
            "| | question | answer | by | samples |".to_owned(),
            "|---|---|---|---|---|".to_owned(),
        ]);
        for question in &QUESTIONS {
            let (id, text) = (question.id, question.text);
            lines.push(match self.findings.outcome(question) {
                Outcome::Settled { answer, how, samples } => {
                    format!(
                        "| {id} | {text} | **{}** | {} | {samples} |",
                        cell(&answer),
                        cell(&how)
                    )
                }
                Outcome::Open { why } => {
                    format!("| {id} | {text} | not settled: {} | | |", cell(&why))
                }
            });
        }
        for (id, rows) in self.findings.tables() {
            let text = QUESTIONS.iter().find(|q| q.id == *id).map_or("", |question| question.text);
            lines.extend([String::new(), format!("## {id}: {text}"), String::new()]);
            lines.extend(["| | | |".to_owned(), "|---|---|---|".to_owned()]);
            lines.extend(rows.iter().map(|row| {
                let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
                format!("| `{}` | {} | {} |", cells[0], cells[1], cells[2])
            }));
        }
        lines.extend([
            String::new(),
            "`simulator.json` makes `trunkline simulate --settings` behave so, as far as it is settled; `trunkline.yaml` is the part of a".to_owned(),
            "configuration that follows from it.".to_owned(),
            String::new(),
        ]);
        lines.join("\n")
    }

    /// Settings of the simulator, JSON.
    #[must_use]
    pub fn simulator(&self) -> String {
        let text = serde_json::to_string_pretty(self.findings.settings()).unwrap_or_default();
        text + "\n"
    }

    /// The part of a configuration that follows, YAML.
    #[must_use]
    pub fn config(&self) -> String {
        let mut lines = vec![
            "# What `trunkline survey` recommends; what it could not settle keeps its default. Merge it into".to_owned(),
            "# your configuration: clients, brokers and secrets are yours.".to_owned(),
            "genesys:".to_owned(),
        ];
        let limit = self.findings.settings().get("requests_per_minute").and_then(Value::as_u64);
        match (self.allowed, limit) {
            (Some(allowed), _) => {
                lines.push("  # as inin-ratelimit-allowed said".to_owned());
                lines.push(format!("  requests_per_minute: {allowed}"));
            }
            (None, Some(limit)) => {
                lines.push("  # as the limits interface said".to_owned());
                lines.push(format!("  requests_per_minute: {limit}"));
            }
            (None, None) => lines.push("  requests_per_minute: 300".to_owned()),
        }
        lines.push(
            "  # two, so that one may end: no event is missed while the other hears".to_owned(),
        );
        lines.push("  channels_per_shard: 2".to_owned());
        if let Some(sorted) = self.sorted_bodies {
            lines.push("flow:".to_owned());
            lines.push(match sorted {
                true => "  # two channels had the keys of one body in different orders".to_owned(),
                false => "  # two channels had the keys of each body in one order".to_owned(),
            });
            lines.push(format!("  sorted_bodies: {sorted}"));
        }
        let hour = self.rate_of(self.bytes) * 3_600.0 * shards(self.shards);
        lines.push("spool:".to_owned());
        lines.push(format!(
            "  # {:.1} events a second were heard: an hour without Kafka takes about {:.0} MB; two days are kept, 1 GiB at least",
            self.rate(), (hour / 1e6).ceil()
        ));
        let bytes = (hour * 48.0).clamp((1_u64 << 30) as f64, 1e15) as u64;
        lines.push(format!("  max_bytes: {}", bytes.next_multiple_of(1 << 30)));
        lines.push(String::new());
        lines.join("\n")
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let questions = QUESTIONS.iter().map(|question| match self.findings.outcome(question) {
            Outcome::Settled { answer, how, samples } => json!({
                "id": question.id, "question": question.text, "settled": true,
                "answer": answer, "how": how, "samples": samples,
            }),
            Outcome::Open { why } => json!({
                "id": question.id, "question": question.text, "settled": false, "why": why,
            }),
        });
        json!({
            "seconds": self.seconds, "requests": self.requests + RELEASE, "dials": self.dials,
            "channels": self.channels, "frames": self.frames,
            "settled": self.findings.settled(), "settings": self.findings.settings(),
            "questions": questions.collect::<Vec<_>>(),
        })
    }

    fn rate(&self) -> f64 {
        self.rate_of(self.frames)
    }

    fn rate_of(&self, count: u64) -> f64 {
        count as f64 / self.seconds.max(1) as f64
    }
}

/// One of them was listened to.
fn shards(count: usize) -> f64 {
    u32::try_from(count).map_or(1.0, f64::from)
}

/// A text that stays within its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut findings = Findings::default();
        findings.settle("1a", 12, "compared", "no: 0 of 12 | are the same");
        findings.leave("1b", "3 events were heard twice");
        findings.set("same_correlation_id", false);
        findings.table("3", vec![["v2.x".to_owned(), "All".to_owned(), String::new()]]);
        Report {
            findings,
            at: Wall(1_767_607_200_000),
            seconds: 60,
            requests: 40,
            dials: 6,
            channels: 3,
            shards: 2,
            topics: 9,
            frames: 600,
            bytes: 6_000_000,
            classes: BTreeMap::from([("v2.users.{id}.conversations".to_owned(), 600)]),
            allowed: Some(180),
            sorted_bodies: Some(false),
        }
    }

    #[test]
    fn a_report_says_of_each_question_how_it_was_answered_or_why_not() {
        let text = report().markdown();
        for part in [
            "- 1 of 31 questions are settled, in 60 s.",
            "| 1a | Do two channels get one event with the same CorrelationId? | **no: 0 of 12 \\| are the same** | compared | 12 |",
            "| not settled: 3 events were heard twice | | |",
            "| not settled: the survey ended before it was asked | | |",
            "10.0 a second, 100.0 kB a second",
            "| `v2.x` | All |  |",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn the_recommendation_is_yaml_with_options_that_exist() {
        let text = report().config();
        let tree: Value = serde_yaml_ng::from_str(&text).expect("YAML");
        assert_eq!(tree["genesys"]["requests_per_minute"], 180);
        assert_eq!(tree["flow"]["sorted_bodies"], false);
        // 100 kB/s of one of two shards, for two days
        assert_eq!(tree["spool"]["max_bytes"], 33_u64 << 30);
        let parsed: Result<crate::config::Config, _> = serde_yaml_ng::from_str(&text);
        assert!(parsed.is_ok());
    }

    #[test]
    fn the_simulator_takes_what_was_settled() {
        let settings: Value = serde_json::from_str(&report().simulator()).expect("JSON");
        assert_eq!(settings, json!({"same_correlation_id": false}));
    }
}
