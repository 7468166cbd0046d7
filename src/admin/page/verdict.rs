//! What the page says first: whether everything is complete, until when, what is wrong, what to do.

use trunkline_protocol::ledger::Gap;
use trunkline_protocol::{certificate::Level, gaps};

use super::trouble::{Problem, problems};
use super::{Seen, words};

/// How loud it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// Nothing to do.
    Good,
    /// To look at today.
    Watch,
    /// To look at now.
    Bad,
}

impl Tone {
    /// The class of its markup.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Watch => "watch",
            Self::Bad => "bad",
        }
    }
}

/// The answer.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) tone: Tone,
    /// One sentence.
    pub(super) title: String,
    /// Another one.
    pub(super) text: String,
    /// The worst first.
    pub(super) problems: Vec<Problem>,
}

/// Judges what is seen.
pub(super) fn verdict(seen: &Seen<'_>) -> Verdict {
    let mut problems = problems(seen);
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.tone));
    let worst = problems.first().map_or(Tone::Good, |problem| problem.tone);
    let (tone, title, text) = sentence(seen);
    Verdict { tone: tone.max(worst), title, text, problems }
}

fn sentence(seen: &Seen<'_>) -> (Tone, String, String) {
    let (status, now) = (seen.status, seen.now);
    if status.mode == "direct" {
        let connected = status.coverage.values().filter_map(|c| c.connected_to_ms).min();
        let text = connected.map_or_else(
            || "No connection is open yet.".to_owned(),
            |at| format!("Some connection was open up to {}; whether events came over it, nobody can say.", words::clock(at, now)),
        );
        return (Tone::Watch, "A direct URL proves nothing".to_owned(), text);
    }
    if status.mode == "eventbridge" {
        let text = "What is in the queue is delivered; what Genesys Cloud did not put there, nobody can say.";
        return (Tone::Watch, "A queue proves nothing".to_owned(), text.to_owned());
    }
    let proven = status.coverage.values().map(|coverage| coverage.proven_to_ms);
    let proven = proven.min().flatten();
    let open: Vec<&Gap> = status.coverage.values().flat_map(|coverage| &coverage.gaps).collect();
    let until = open.iter().map(|gap| gap.from).chain(proven).min();
    let Some(until) = until else {
        let text = "No channel has proven anything yet: that takes a few seconds once one is live.";
        return (Tone::Watch, "Nothing is proven yet".to_owned(), text.to_owned());
    };
    let at = words::clock(until, now);
    if open.is_empty() {
        let ago = words::since(until, now);
        let text = format!(
            "Everything wanted up to {ago} ago was heard and acknowledged by Kafka.{}",
            incomplete(seen)
        );
        return (Tone::Good, format!("Complete until {at} UTC"), text);
    }
    let growing = open.iter().any(|gap| gap.to.is_none());
    let title = match growing {
        true => format!("Complete until {at} UTC, not since"),
        false => format!("Complete until {at} UTC; {} being filled", is(open.len())),
    };
    let close = open.iter().filter_map(|gap| gaps::expected_close(gap, &seen.about.timings)).max();
    let after = match (growing, close) {
        (true, _) => "The gap grows until a channel is live again; then it is filled from history."
            .to_owned(),
        (false, Some(close)) => format!(
            "They are filled from history, and closed by {} UTC as far as can be told.",
            words::clock(close, now)
        ),
        (false, None) => "They are filled from history.".to_owned(),
    };
    let since = proven.filter(|at| *at > until && !growing);
    let since = since.map_or_else(String::new, |at| {
        format!(" What came after them is proven up to {}.", words::clock(at, now))
    });
    (Tone::Watch, title, format!("{after}{since}"))
}

fn is(gaps: usize) -> String {
    format!("{} {}", words::count(gaps, "gap"), if gaps == 1 { "is" } else { "are" })
}

/// Hours of the last day that history could not make whole.
fn incomplete(seen: &Seen<'_>) -> String {
    let cells = seen.status.past.iter().flat_map(|past| past.hours.values().flatten());
    let bad = |level: Option<Level>| matches!(level, Some(Level::Partial | Level::LostDeclared));
    match cells.filter(|cell| bad(cell.level)).count() {
        0 => String::new(),
        hours => format!(
            " In the last day {} could not be made whole from history; the bar below shows which.",
            words::count(hours, "hour")
        ),
    }
}
