//! What the platform's history says, and how gaps are filled from it.
//!
//! ```text
//! gaps ──► Agenda: which are due ──► Campaign: one window over all of them ──► Reading: which request next
//!                           ▲                                         │ rows
//!                           └── which gap a row belongs to ◄──────────┘
//! ```
//! A row of history is never byte-equal to a missed notification: it carries its facts. So it has an
//! id of its own, and two readings are compared by the facts they show of the time of the gap.

mod agenda;
mod campaign;
mod have;
mod hours;
pub mod past;
mod progress;
mod proven;
mod range;
mod reading;
mod recent;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use agenda::{Agenda, Task};
pub use campaign::{Campaign, Wish, campaigns, window};
pub use have::{Have, NotAConversation};
pub use hours::{Carried, Finding, Hours, due};
pub use progress::{Asked, Counts, Found, Progress};
pub use proven::proven;
pub use range::{Estimate, Judge, Part, Unreadable, Verdict, estimate, parts, readable};
pub use reading::{Ask, Finished, JobState, PAGE, RESULTS, Reading};
pub use recent::Recent;

use crate::domain::{Interval, Wall};
use crate::topic::DIRECT;

/// A conversation as history shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row<'a> {
    /// Which.
    pub conversation: Cow<'a, str>,
    /// When it started.
    pub start: Option<Wall>,
    /// When it ended; `None` while it lives, and for those that never end.
    pub end: Option<Wall>,
    /// Everything that happened in it.
    pub marks: Vec<Mark<'a>>,
}

/// A segment of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark<'a> {
    /// Start.
    pub from: Option<Wall>,
    /// End.
    pub to: Option<Wall>,
    /// Which session.
    pub session: Cow<'a, str>,
    /// What kind.
    pub kind: Cow<'a, str>,
    /// Which medium.
    pub media: Option<Cow<'a, str>>,
    /// Queue, where it has one.
    pub queue: Option<Cow<'a, str>>,
    /// Who, where it is somebody of the organisation.
    pub user: Option<Cow<'a, str>>,
    /// How it ended.
    pub how: Option<Cow<'a, str>>,
}

impl Row<'_> {
    /// Whether anything of it may have happened in the window; a conversation without end goes on.
    #[must_use]
    pub fn is_active(&self, window: Interval) -> bool {
        let first = self.start.or_else(|| self.marks.iter().filter_map(|mark| mark.from).min());
        first.is_none_or(|first| first <= window.to)
            && self.end.is_none_or(|end| end >= window.from)
    }

    /// A digest of the facts up to an instant: what happens later makes no difference.
    #[must_use]
    pub fn digest(&self, until: Wall) -> u128 {
        let known = |at: Option<Wall>| at.filter(|at| *at <= until);
        let mut marks: Vec<Mark<'_>> = Vec::new();
        for mark in self.marks.iter().filter(|mark| known(mark.from).is_some()) {
            let to = known(mark.to);
            let how = to.and_then(|_| mark.how.clone());
            marks.push(Mark { to, how, ..mark.clone() });
        }
        marks.sort();
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: &str| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        };
        let time = |at: Option<Wall>| at.map_or(String::new(), |at| at.0.to_string());
        add(&self.conversation);
        add(&time(known(self.end)));
        for mark in &marks {
            let word = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or("").to_owned();
            add(&time(mark.from));
            add(&time(mark.to));
            add(&mark.session);
            add(&mark.kind);
            [&mark.queue, &mark.user, &mark.how].into_iter().for_each(|text| add(&word(text)));
        }
        u128::from_le_bytes(crate::identity::first_half(&hasher.finalize()))
    }
}

/// The queues, people and conversations that a gap's topics are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    queues: BTreeSet<String>,
    users: BTreeSet<String>,
    conversations: BTreeSet<String>,
    /// Every conversation.
    everything: bool,
}

impl Scope {
    /// Reads it off the names of single topics.
    #[must_use]
    pub fn of<'t>(topics: impl IntoIterator<Item = &'t str>) -> Self {
        let mut scope = Self::default();
        for topic in topics {
            scope.everything |= topic == DIRECT;
            let Self { queues, users, conversations, .. } = &mut scope;
            for (beginning, ids) in [
                ("v2.routing.queues.", queues),
                ("v2.users.", users),
                ("v2.detail.events.conversation.", &mut *conversations),
            ] {
                let rest = topic.strip_prefix(beginning).and_then(|rest| rest.split('.').next());
                ids.extend(rest.map(str::to_owned));
            }
            let rest = topic.strip_prefix("v2.analytics.conversation.");
            conversations.extend(rest.and_then(|rest| rest.split('.').next()).map(str::to_owned));
        }
        scope
    }

    /// Whether a row was about any of them up to an instant: who joins later makes no difference.
    #[must_use]
    pub fn concerns(&self, row: &Row<'_>, until: Wall) -> bool {
        let of = |ids: &BTreeSet<String>, id: &Option<Cow<'_, str>>| {
            id.as_deref().is_some_and(|id| ids.contains(id))
        };
        self.everything
            || self.conversations.contains(&*row.conversation)
            || row
                .marks
                .iter()
                .filter(|mark| mark.from.is_none_or(|from| from <= until))
                .any(|mark| of(&self.queues, &mark.queue) || of(&self.users, &mark.user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(from: i64, to: Option<i64>, how: Option<&'static str>) -> Mark<'static> {
        Mark {
            from: Some(Wall(from)),
            to: to.map(Wall),
            session: "s".into(),
            kind: "interact".into(),
            media: None,
            queue: Some("q".into()),
            user: Some("u".into()),
            how: how.map(Into::into),
        }
    }

    fn row(marks: Vec<Mark<'static>>, end: Option<i64>) -> Row<'static> {
        Row { conversation: "c".into(), start: Some(Wall(0)), end: end.map(Wall), marks }
    }

    #[test]
    fn what_happens_after_the_window_does_not_change_the_digest() {
        let early = row(vec![mark(10, None, None)], None);
        let later =
            row(vec![mark(200, Some(210), None), mark(10, Some(150), Some("peer"))], Some(220));
        assert_eq!(early.digest(Wall(100)), later.digest(Wall(100)));
        assert_ne!(early.digest(Wall(150)), later.digest(Wall(150)));
        let other = row(vec![mark(10, Some(90), Some("client"))], None);
        assert_ne!(early.digest(Wall(100)), other.digest(Wall(100)));
    }

    #[test]
    fn a_conversation_is_active_from_its_start_to_its_end() {
        let window = Interval::new(Wall(100), Wall(200));
        for (start, end, active) in [
            (0, Some(99), false),
            (0, Some(100), true),
            (0, None, true),
            (200, None, true),
            (201, None, false),
        ] {
            let row = Row { start: Some(Wall(start)), end: end.map(Wall), ..Row::default() };
            assert_eq!(row.is_active(window), active, "{start} {end:?}");
        }
    }

    #[test]
    fn a_scope_is_read_off_topic_names() {
        let concerns = |topic: &str| {
            Scope::of([topic]).concerns(&row(vec![mark(0, None, None)], None), Wall(0))
        };
        assert!(concerns("v2.routing.queues.q.conversations.calls"));
        assert!(concerns("v2.users.u.conversations"));
        assert!(concerns("v2.detail.events.conversation.c.user.start"));
        assert!(concerns("v2.analytics.conversation.c.metrics"));
        assert!(!concerns("v2.routing.queues.other.conversations"));
        assert!(!concerns("v2.users.q.conversations"));
        let later = row(vec![mark(9, None, None)], None);
        assert!(!Scope::of(["v2.users.u.conversations"]).concerns(&later, Wall(8)));
    }
}
