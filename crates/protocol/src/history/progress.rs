//! How far a reading on request is, so that a later process goes on with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Part;
use crate::domain::Interval;

/// What was asked for. Whoever goes on has to ask for the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The command.
    pub command: String,
    /// `--from` and `--to` as they were written, so that `7d` goes on with the seven days it meant.
    pub from: String,
    /// See `from`.
    pub to: String,
    /// Digest of what whoever asks has.
    pub have: String,
    /// Whether missing rows are published.
    pub repair: bool,
    /// Organisation.
    pub org_id: String,
}

impl Asked {
    /// The flag or setting in which two differ, and both values.
    #[must_use]
    pub fn differs(&self, now: &Self) -> Option<(&'static str, String, String)> {
        let repair = |asked: &Self| asked.repair.to_string();
        [
            ("the command", self.command.clone(), now.command.clone()),
            ("--from", self.from.clone(), now.from.clone()),
            ("--to", self.to.clone(), now.to.clone()),
            ("what --have holds", self.have.clone(), now.have.clone()),
            ("--repair", repair(self), repair(now)),
            ("the organisation", self.org_id.clone(), now.org_id.clone()),
        ]
        .into_iter()
        .find(|(_, before, now)| before != now)
    }
}

/// A conversation that is missing: what helps to find it, and no personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// When it started, milliseconds since 1970.
    pub start_ms: Option<i64>,
    /// When it ended.
    pub end_ms: Option<i64>,
    /// Its media, in the order of their appearance.
    pub media: Vec<String>,
    /// Its queues, in the order of their appearance.
    pub queues: Vec<String>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows that were active in the range; a conversation that reaches into two parts counts twice.
    pub rows: u64,
    /// Of those, rows of conversations that are there.
    pub present: u64,
    /// Of those, rows that sockets prove.
    pub proven: u64,
    /// Records written.
    pub written: u64,
    /// Records that the events topic had already.
    pub already_there: u64,
    /// Rows that are no conversation: quarantined where records are written.
    pub unreadable: u64,
    /// Requests sent, those of parts that failed included.
    pub requests: u64,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What was asked for.
    pub asked: Asked,
    /// The range that is read.
    pub range: Interval,
    /// All parts.
    pub parts: Vec<Part>,
    /// How many of them are done with, the first ones.
    pub done: usize,
    /// What was counted in those.
    pub counts: Counts,
    /// What was found missing in those, by conversation.
    pub found: BTreeMap<String, Found>,
}

impl Progress {
    /// The part to be read next.
    #[must_use]
    pub fn next(&self) -> Option<Part> {
        self.parts.get(self.done).copied()
    }

    /// A part was read.
    pub fn read(&mut self, counts: Counts, found: BTreeMap<String, Found>) {
        self.add(counts);
        self.found.extend(found); // a later part knows more of a conversation
        self.done += 1;
    }

    /// Something beside the parts was read.
    pub fn add(&mut self, counts: Counts) {
        let sum = &mut self.counts;
        sum.rows += counts.rows;
        sum.present += counts.present;
        sum.proven += counts.proven;
        sum.written += counts.written;
        sum.already_there += counts.already_there;
        sum.unreadable += counts.unreadable;
        sum.requests += counts.requests;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Wall;
    use crate::ledger::Source;

    fn asked() -> Asked {
        Asked {
            command: "reconcile".to_owned(),
            from: "7d".to_owned(),
            to: "now".to_owned(),
            have: "d".to_owned(),
            repair: false,
            org_id: "o".to_owned(),
        }
    }

    #[test]
    fn who_goes_on_asks_for_the_same() {
        assert_eq!(asked().differs(&asked()), None);
        let other = Asked { repair: true, ..asked() };
        let difference = ("--repair", "false".to_owned(), "true".to_owned());
        assert_eq!(asked().differs(&other), Some(difference));
        let other = Asked { from: "8d".to_owned(), repair: true, ..asked() };
        assert_eq!(asked().differs(&other).map(|(flag, ..)| flag), Some("--from"));
    }

    #[test]
    fn parts_are_done_one_after_the_other_and_survive_being_written_down() {
        let range = Interval::new(Wall(0), Wall(10));
        let part = |source| Part { source, window: range, about: range };
        let mut progress = Progress {
            asked: asked(),
            range,
            parts: vec![part(Source::Jobs), part(Source::Query)],
            done: 0,
            counts: Counts::default(),
            found: BTreeMap::new(),
        };
        let found = |end_ms| {
            let found = Found { start_ms: Some(1), end_ms, media: Vec::new(), queues: Vec::new() };
            BTreeMap::from([("c".to_owned(), found)])
        };
        assert_eq!(progress.next(), Some(part(Source::Jobs)));
        progress.read(Counts { rows: 2, requests: 3, ..Counts::default() }, found(None));
        assert_eq!(progress.next(), Some(part(Source::Query)));
        let text = serde_json::to_string(&progress).expect("plain data");
        assert_eq!(serde_json::from_str::<Progress>(&text).expect("the same"), progress);
        progress.read(Counts { rows: 1, requests: 1, ..Counts::default() }, found(Some(9)));
        assert_eq!((progress.next(), progress.counts.rows, progress.counts.requests), (None, 3, 4));
        assert_eq!(progress.found["c"].end_ms, Some(9));
    }
}
