//! Plays recorded envelopes instead of invented traffic.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cloud::Cloud;

/// One envelope of a recording.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Decides who gets it.
    pub topic: String,
    /// The body, verbatim.
    pub body: Arc<str>,
}

/// Envelopes played at one go.
const SLICE: u64 = 2_000;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "topicName")]
    topic: String,
    #[serde(rename = "eventBody", borrow)]
    body: &'a RawValue,
}

/// Reads a recording: one envelope per line.
///
/// # Errors
/// Names the line that is none.
pub fn read(text: &str) -> Result<Vec<Recorded>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let line: Line<'_> = serde_json::from_str(line)
                .map_err(|error| format!("line {}: {error}", index + 1))?;
            Ok(Recorded { topic: line.topic, body: Arc::from(line.body.get()) })
        })
        .collect()
}

/// Plays a recording once, or looped at a rate.
#[derive(Debug)]
pub struct Player {
    recorded: Vec<Recorded>,
    per_sec: f64,
    looped: bool,
    sent: u64,
}

impl Player {
    /// `loop_rate` 0 plays once, 1,000 a second.
    #[must_use]
    pub fn new(recorded: Vec<Recorded>, loop_rate: f64) -> Self {
        let looped = loop_rate > 0.0;
        let per_sec = if looped { loop_rate } else { 1_000.0 };
        Self { recorded, per_sec, looped, sent: 0 }
    }

    /// Whether there is nothing to play.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    /// Plays what is due `elapsed_ms` after the start; says whether the end is reached.
    pub fn play(&mut self, cloud: &mut Cloud, elapsed_ms: u64, now_ms: u64) -> bool {
        let due = (elapsed_ms as f64 / 1_000.0 * self.per_sec) as u64;
        let end = if self.looped { u64::MAX } else { self.recorded.len() as u64 };
        // a slow machine catches up in slices, so that sockets and faults get their turn
        let slice = self.sent + SLICE;
        while self.sent < due.min(end).min(slice) {
            let at = usize::try_from(self.sent % self.recorded.len() as u64).unwrap_or(0);
            if let Some(recorded) = self.recorded.get(at) {
                cloud.fan_out(&recorded.topic, Some(&recorded.body), None, now_ms);
            }
            self.sent += 1;
        }
        self.sent >= end
    }
}

/// Gives the ids in the topics of a recording to objects that exist: the n-th queue of the
/// recording becomes the n-th queue of the organisation, people likewise. Bodies stay as they are.
pub fn rewrite_ids(recorded: &mut [Recorded], queues: &[String], users: &[String]) {
    let mut seen = [Vec::<String>::new(), Vec::new()];
    for entry in recorded {
        let mut parts: Vec<String> = entry.topic.split('.').map(str::to_owned).collect();
        let (kind, at, targets) = match parts.get(1).map(String::as_str) {
            Some("routing") => (0, 3, queues),
            Some("users") => (1, 2, users),
            Some(_) | None => continue,
        };
        let (Some(id), false) = (parts.get(at).cloned(), targets.is_empty()) else {
            continue;
        };
        let index = seen[kind].iter().position(|known| *known == id).unwrap_or_else(|| {
            seen[kind].push(id);
            seen[kind].len() - 1
        });
        if let (Some(part), Some(target)) = (parts.get_mut(at), targets.get(index % targets.len()))
        {
            target.clone_into(part);
        }
        entry.topic = parts.join(".");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_keeps_bodies_verbatim_and_names_a_bad_line() {
        let good = "{\"topicName\":\"v2.users.u.presence\",\"eventBody\":{ \"a\" : 1 }}\n\n";
        assert_eq!(&*read(good).unwrap()[0].body, "{ \"a\" : 1 }");
        assert!(read(&format!("{good}{{")).unwrap_err().starts_with("line 3:"));
    }

    #[test]
    fn ids_are_rewritten_consistently() {
        let recorded = |topic: &str| Recorded { topic: topic.to_owned(), body: Arc::from("{}") };
        let mut all = [
            recorded("v2.users.x.presence"),
            recorded("v2.users.y.presence"),
            recorded("v2.users.x.station"),
        ];
        rewrite_ids(&mut all, &[], &["A".to_owned(), "B".to_owned()]);
        let topics: Vec<&str> = all.iter().map(|r| r.topic.as_str()).collect();
        assert_eq!(topics, ["v2.users.A.presence", "v2.users.B.presence", "v2.users.A.station"]);
    }
}
