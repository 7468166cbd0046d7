//! The open questions, and what became of each.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One thing that no document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its number.
    pub id: &'static str,
    /// The question.
    pub text: &'static str,
    /// Why a survey never settles it, where it does not.
    pub never: Option<&'static str>,
}

const fn asked(id: &'static str, text: &'static str) -> Question {
    Question { id, text, never: None }
}

const fn left(id: &'static str, text: &'static str, why: &'static str) -> Question {
    Question { id, text, never: Some(why) }
}

/// All of them, in the order they are reported.
pub const QUESTIONS: [Question; 31] = [
    asked("1a", "Do two channels get one event with the same CorrelationId?"),
    asked("1b", "Do two topics that tell the same change?"),
    asked("1c", "Are the keys of one body in the same order on two channels?"),
    asked("2a", "Does a PUT of the same list move `expires`, without a drop?"),
    asked("2b", "Does a POST of a topic?"),
    asked("3", "Which transports and permissions have the topics?"),
    asked("4", "Which limits has the organisation?"),
    left(
        "5a",
        "What happens to a slow reader?",
        "it would have to leave megabytes unread; try it where nobody works",
    ),
    asked("5b", "How long are frames?"),
    asked("6a", "How many rows has a page of the details query at most?"),
    left(
        "6b",
        "How many rows does a details query show at most?",
        "it would have to read more than 10,000 conversations",
    ),
    asked("6c", "How long after an event does the details query show it?"),
    asked("7", "How long after its end can a conversation be read?"),
    asked("8a", "Does a pong repeat what the ping carried?"),
    left(
        "8b",
        "Does a pong queue behind events?",
        "from outside a pong that overtakes looks like one that was quick",
    ),
    asked("8c", "Are pings of RFC 6455 answered?"),
    asked("9a", "When after the answer to a subscription do events begin?"),
    asked("9b", "Is what happens while no socket is open queued or lost?"),
    asked("10a", "Is the window of requests fixed or sliding?"),
    left(
        "10b",
        "Do refused requests count?",
        "it would have to exhaust the limit, which others may share",
    ),
    left(
        "10c",
        "Have two OAuth clients quotas of their own?",
        "it would have to exhaust the limit of one",
    ),
    asked("11", "How long after an event is it received?"),
    asked("12a", "What answers an upgrade for a channel that does not exist?"),
    asked("12b", "How does a socket end when another one takes its channel?"),
    asked("12c", "How do sockets end that nobody ended?"),
    asked("13", "Does the end of its token end a channel's socket?"),
    asked("14a", "How are more than 1,000 topics refused?"),
    asked("14b", "What does `socket_closing` carry?"),
    left(
        "15",
        "What is true of direct connections?",
        "a survey is about channels; `trunkline run --dry-run` in mode direct shows what a URL sends",
    ),
    asked("16a", "How often does a heartbeat come?"),
    asked("16b", "How long do tokens and channels live?"),
];

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has an answer.
    Settled {
        /// The answer; no id, name or value of a payload.
        answer: String,
        /// By which observation.
        how: String,
        /// How many times it was observed.
        samples: u64,
    },
    /// It has none.
    Open {
        /// Why not.
        why: String,
    },
}

/// What is known so far.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    outcomes: BTreeMap<&'static str, Outcome>,
    settings: Map<String, Value>,
    tables: Vec<(&'static str, Vec<[String; 3]>)>,
}

impl Findings {
    /// A question has an answer.
    pub fn settle(
        &mut self,
        id: &'static str,
        samples: u64,
        how: impl Into<String>,
        answer: impl Into<String>,
    ) {
        let (answer, how) = (answer.into(), how.into());
        self.outcomes.insert(id, Outcome::Settled { answer, how, samples });
    }

    /// A question has none; an answer that is there already stays.
    pub fn leave(&mut self, id: &'static str, why: impl Into<String>) {
        let why = why.into();
        let outcome = self.outcomes.entry(id).or_insert_with(|| Outcome::Open { why: why.clone() });
        if let Outcome::Open { why: old } = outcome {
            *old = why;
        }
    }

    /// The simulator behaves so with this setting.
    pub fn set(&mut self, setting: &str, value: impl Into<Value>) {
        self.settings.insert(setting.to_owned(), value.into());
    }

    /// A table that belongs to a question.
    pub fn table(&mut self, id: &'static str, rows: Vec<[String; 3]>) {
        self.tables.push((id, rows));
    }

    /// What became of a question.
    #[must_use]
    pub fn outcome(&self, question: &Question) -> Outcome {
        let open = |why: &str| Outcome::Open { why: why.to_owned() };
        match (question.never, self.outcomes.get(question.id)) {
            (Some(why), _) => open(why),
            (None, Some(outcome)) => outcome.clone(),
            (None, None) => open("the survey ended before it was asked"),
        }
    }

    /// How many have an answer.
    #[must_use]
    pub fn settled(&self) -> usize {
        let is = |outcome: &&Outcome| matches!(outcome, Outcome::Settled { .. });
        self.outcomes.values().filter(is).count()
    }

    /// Settings of the simulator, as far as they are known.
    #[must_use]
    pub fn settings(&self) -> &Map<String, Value> {
        &self.settings
    }

    /// Tables by question.
    #[must_use]
    pub fn tables(&self) -> &[(&'static str, Vec<[String; 3]>)] {
        &self.tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_has_an_outcome_and_an_answer_outlives_a_later_failure() {
        let mut findings = Findings::default();
        findings.settle("1a", 7, "compared", "no");
        findings.leave("1a", "lost");
        findings.leave("1b", "too few");
        findings.leave("1b", "none at all");
        let outcome =
            |id: &str| findings.outcome(QUESTIONS.iter().find(|q| q.id == id).expect("a question"));
        assert!(matches!(outcome("1a"), Outcome::Settled { samples: 7, .. }));
        assert_eq!(outcome("1b"), Outcome::Open { why: "none at all".to_owned() });
        assert!(matches!(outcome("5a"), Outcome::Open { .. }));
        assert_eq!(findings.settled(), 1);
        let ids: std::collections::BTreeSet<&str> = QUESTIONS.iter().map(|q| q.id).collect();
        assert_eq!(ids.len(), QUESTIONS.len(), "each number once");
    }
}
