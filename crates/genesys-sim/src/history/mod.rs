//! The analytics side: what happened, shown late, in pages that drift, from two interfaces that
//! differ in what an interval means and in what they know.

mod filter;
mod jobs;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::settings::Settings;
use crate::traffic::{Org, Rewrite, Story};

pub(crate) use filter::{Wanted, interval};
pub(crate) use jobs::{Jobs, State};

/// Which interface shows something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The details query and look-ups by id, a little later than now.
    Query,
    /// Details jobs, up to the horizon.
    Jobs,
}

/// Every conversation of the organisation.
#[derive(Debug, Default)]
pub struct History {
    stories: BTreeMap<String, Story>,
    by_start: BTreeSet<(u64, String)>,
    pub(crate) jobs: Jobs,
    forgotten: u64,
    /// Jobs are complete up to here, milliseconds since 1970.
    horizon_ms: u64,
}

/// An interval of milliseconds since 1970.
pub(crate) type Span = (u64, u64);

const DAY_MS: u64 = 86_400_000;

impl History {
    /// Something happened to a conversation.
    pub(crate) fn note(&mut self, story: Story, settings: &Settings) {
        match self.stories.get_mut(story.id()) {
            Some(known) => known.goes_on(story),
            None => {
                self.by_start.insert((story.start_ms, story.id().to_owned()));
                self.stories.insert(story.id().to_owned(), story);
            }
        }
        while self.stories.len() > settings.history_conversations.max(1)
            && let Some((_, id)) = self.by_start.pop_first()
        {
            self.stories.remove(&id);
            self.forgotten += 1;
        }
    }

    /// Conversations that were forgotten because there were too many.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Moves the horizon of jobs, in steps and never back. Says where it is now if it moved.
    pub(crate) fn advance(&mut self, settings: &Settings, wall_ms: u64) -> Option<u64> {
        let at = wall_ms.saturating_sub(settings.availability_lag_ms);
        let step = settings.availability_step_ms.max(1);
        let at = at - at % step;
        let moved = at > self.horizon_ms;
        self.horizon_ms = self.horizon_ms.max(at);
        moved.then_some(self.horizon_ms)
    }

    /// Jobs are complete up to here, milliseconds since 1970.
    #[must_use]
    pub fn horizon_ms(&self) -> u64 {
        self.horizon_ms
    }

    /// What a details query is about: conversations that started on a day (UTC) the span touches, in
    /// the order of their start, as far as it shows them.
    pub(crate) fn query<'h>(
        &'h self,
        span: Span,
        view: &'h View<'_>,
    ) -> impl Iterator<Item = &'h Story> {
        let from = span.0 - span.0 % DAY_MS;
        let to = span.1 - span.1 % DAY_MS + DAY_MS;
        let ids = self.by_start.range((from, String::new())..(to, String::new()));
        let stories = ids.filter_map(|(_, id)| self.stories.get(id));
        stories.filter(|story| view.shows(story))
    }

    /// Rows of a details job: conversations with activity in the span, or as a query selects them.
    pub(crate) fn snapshot(&self, span: Span, by_start_day: bool, view: &View<'_>) -> Vec<Value> {
        let active = |story: &&Story| match by_start_day {
            true => {
                let day = |ms: u64| ms - ms % DAY_MS;
                (day(span.0)..=day(span.1)).contains(&day(story.start_ms))
            }
            false => story.start_ms <= span.1 && story.end_ms().is_none_or(|end| end >= span.0),
        };
        let ids = self.by_start.iter().filter_map(|(_, id)| self.stories.get(id));
        let rows = ids.filter(active);
        rows.filter_map(|story| view.row(story, Shown::Jobs, self.horizon_ms)).collect()
    }

    /// One conversation as the query shows it.
    pub(crate) fn by_id(&self, id: &str, view: &View<'_>) -> Option<Value> {
        view.queried(self.stories.get(id)?)
    }

    /// One conversation as it is, without any lag, and when it ended.
    pub(crate) fn current(&self, id: &str, org: &Org) -> Option<(Value, Option<u64>)> {
        let story = self.stories.get(id)?;
        Some((story.conversation(org), story.end_ms()))
    }

    /// Truth for tests: conversations in the order of their ids, after `after`.
    pub fn truth<'h>(
        &'h self,
        after: &str,
        settings: &'h Settings,
    ) -> impl Iterator<Item = Value> + 'h {
        let from = std::ops::Bound::Excluded(after.to_owned());
        let stories = self.stories.range((from, std::ops::Bound::Unbounded));
        stories.map(move |(id, story)| {
            let changes: Vec<Value> = story
                .changes()
                .iter()
                .map(|(event_ms, at_ms)| {
                    serde_json::json!({"event_ms": event_ms, "fanned_out_at_ms": at_ms,
                        "query_from_ms": at_ms + settings.query_lag_ms,
                        "in_jobs": *event_ms <= self.horizon_ms})
                })
                .collect();
            serde_json::json!({
                "conversation_id": id, "start_ms": story.start_ms, "end_ms": story.end_ms(),
                "missing_in_query": is_missing(settings, id, Shown::Query),
                "missing_in_jobs": is_missing(settings, id, Shown::Jobs), "changes": changes,
            })
        })
    }
}

/// How rows are looked at.
pub(crate) struct View<'a> {
    pub(crate) org: &'a Org,
    pub(crate) settings: &'a Settings,
    pub(crate) now_ms: u64,
    pub(crate) wall_ms: u64,
}

impl View<'_> {
    /// Whether a query shows a change by now.
    fn has_seen(&self, (_, at_ms): (u64, u64)) -> bool {
        at_ms + self.settings.query_lag_ms <= self.now_ms
    }

    /// Whether a query shows anything of a conversation.
    fn shows(&self, story: &Story) -> bool {
        let seen = story.changes().iter().any(|change| self.has_seen(*change));
        seen && !is_missing(self.settings, story.id(), Shown::Query)
    }

    /// Whether a query shows that a conversation ended.
    pub(crate) fn shows_end(&self, story: &Story) -> bool {
        let seen = story.changes().iter().filter(|change| self.has_seen(**change));
        let until = seen.map(|(event_ms, _)| *event_ms).max();
        story.end_ms().is_some_and(|end| Some(end) <= until)
    }

    /// The row of a query.
    pub(crate) fn queried(&self, story: &Story) -> Option<Value> {
        self.row(story, Shown::Query, 0)
    }

    fn row(&self, story: &Story, shown: Shown, horizon_ms: u64) -> Option<Value> {
        let settings = self.settings;
        if is_missing(settings, story.id(), shown) {
            return None;
        }
        let age = self.wall_ms.saturating_sub(story.last_ms());
        // some at once when the nightly pipeline may run, some half as long again after it
        let later = (settings.rewrite_after_ms as f64 / 2.0 * share(story.id(), 3)) as u64;
        let rewritten = age >= settings.rewrite_after_ms + later
            && share(story.id(), 2) < settings.rewrite_share;
        let rewritten = rewritten.then(|| match share(story.id(), 4) < 0.5 {
            true => Rewrite::AddedSegment,
            false => Rewrite::ChangedDisconnect,
        });
        match shown {
            Shown::Query => story.row(self.org, |change| self.has_seen(change), false, rewritten),
            Shown::Jobs => {
                story.row(self.org, |(event_ms, _)| event_ms <= horizon_ms, true, rewritten)
            }
        }
    }
}

/// Whether an interface never shows a conversation.
fn is_missing(settings: &Settings, id: &str, shown: Shown) -> bool {
    let missing = match shown {
        Shown::Query => settings.query_missing_share,
        Shown::Jobs => settings.jobs_missing_share,
    };
    share(id, 1) < missing
}

/// A number from 0 to 1 that is always the same for a conversation and a purpose.
fn share(id: &str, purpose: u8) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[purpose]).update(id.as_bytes());
    let bytes = hasher.finalize();
    let number = u32::from_le_bytes([
        bytes.as_bytes()[0],
        bytes.as_bytes()[1],
        bytes.as_bytes()[2],
        bytes.as_bytes()[3],
    ]);
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}
