//! Queues and users that appear or vanish: what is wanted, and its plan.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use trunkline_protocol::backoff::Backoff;
use trunkline_protocol::discovery::{Filter, Object, Sorted};
use trunkline_protocol::domain::Dice;
use trunkline_protocol::gate::{Endpoint, Priority};
use trunkline_protocol::ledger::News;
use trunkline_protocol::subscriptions;

use super::{Client, Control};
use crate::genesys::PlatformError;

/// Where ids come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The platform's listing, followed while running.
    Discover,
    /// Nowhere.
    #[default]
    None,
    /// A list.
    Ids(Vec<String>),
}

/// Which topics are wanted; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// `v2.routing.queues.{id}.conversations`.
    pub queues: Source,
    /// `v2.users.{id}.conversations`.
    pub users: Source,
    /// Which of the queues that are listed.
    pub queue_filter: Filter,
    /// Which of the users that are listed.
    pub user_filter: Filter,
    /// Media by the last part of their topics; empty: all, on a topic for all.
    pub media: Vec<&'static str>,
    /// Further topics, verbatim.
    pub extra: Vec<String>,
    /// Between two looks at the listings, at least.
    pub refresh: Duration,
    /// What the client allows this process; looks take a tenth of it at most.
    pub requests_per_minute: u32,
}

/// What a look at the listings found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Every topic that is wanted now.
    pub topics: BTreeSet<String>,
    /// Requests it took to know.
    pub requests: u32,
    /// Queues, where they are discovered.
    pub queues: Option<Sorted>,
    /// Users, where they are discovered.
    pub users: Option<Sorted>,
}

/// What would be subscribed.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Combined topics, by shard.
    pub plan: Vec<BTreeSet<String>>,
    /// What they come from.
    pub found: Found,
}

impl Found {
    /// What the filters have to do with: the word in the names of options, and what was sorted.
    pub fn sides(&self) -> impl Iterator<Item = (&'static str, &Sorted)> {
        let sides = [("queue", &self.queues), ("user", &self.users)];
        sides.into_iter().filter_map(|(what, sorted)| Some((what, sorted.as_ref()?)))
    }

    /// Patterns that match nothing: option, pattern, and of how many.
    #[must_use]
    pub fn idle(&self) -> Vec<(String, String, usize)> {
        let of = |(what, sorted): (&'static str, &Sorted)| {
            let listed = sorted.listed();
            let each = sorted.idle.iter().map(move |(part, pattern)| {
                let option = format!("subscriptions.{what}_filter.{}", part.as_str());
                (option, pattern.clone(), listed)
            });
            each.collect::<Vec<_>>()
        };
        self.sides().flat_map(of).collect()
    }

    fn left_out(&self) -> usize {
        self.sides().map(|(_, sorted)| sorted.left_out.len()).sum()
    }
}

impl TopicSettings {
    /// The topics of what was discovered, of what is listed here, and further ones.
    fn topics(&self, queues: Option<&Sorted>, users: Option<&Sorted>) -> BTreeSet<String> {
        let ids = |source: &Source, sorted: Option<&Sorted>| -> Vec<String> {
            match source {
                Source::None => Vec::new(),
                Source::Ids(ids) => ids.clone(),
                Source::Discover => {
                    sorted.into_iter().flat_map(|s| &s.kept).map(|o| o.id.clone()).collect()
                }
            }
        };
        let queues = ids(&self.queues, queues).into_iter();
        let users = ids(&self.users, users).into_iter();
        let objects = queues
            .map(|id| format!("v2.routing.queues.{id}.conversations"))
            .chain(users.map(|id| format!("v2.users.{id}.conversations")));
        let each = |topic: String| -> Vec<String> {
            match self.media.as_slice() {
                [] => vec![topic],
                media => media.iter().map(|media| format!("{topic}.{media}")).collect(),
            }
        };
        objects.flat_map(each).chain(self.extra.iter().cloned()).collect()
    }

    /// Until the next look, when this one took so many requests.
    fn pause(&self, requests: u32) -> Duration {
        let a_tenth = f64::from(self.requests_per_minute.max(1)) / 600.0;
        self.refresh.max(Duration::from_secs_f64(f64::from(requests) / a_tenth))
    }
}

/// Keeps the plan up to date. Ends when nobody follows it.
pub(super) async fn follow(
    control: Control,
    client: Client,
    plan: watch::Sender<Vec<BTreeSet<String>>>,
) {
    let mut dice = Dice::new(control.seed ^ 0x70_71c5);
    let mut configured = control.topics.clone();
    control.board.check("topics", false, "topics are not listed yet");
    let mut backoff = Backoff::new(control.timings.backoff_cap);
    let mut looked_before = None;
    let mut told = false;
    let mut idle_before = Vec::new();
    loop {
        let looked_at = control.clock.now().wall;
        let topics = configured.borrow_and_update().clone();
        let wait = match discover(&topics, &client).await {
            Ok(found) => {
                backoff.reset();
                idle_before = tell_idle(&found, &idle_before);
                let wanted = &found.topics;
                let combined = subscriptions::combine(wanted);
                let next = subscriptions::plan(&combined, &plan.borrow());
                if *plan.borrow() != next || !told {
                    let single = |shard: &BTreeSet<String>| {
                        shard.iter().flat_map(|topic| subscriptions::expand(topic)).collect()
                    };
                    let shards = next.iter().map(single).collect();
                    let news = News::Wanted { shards, looked_before };
                    if control.news.send(news).await.is_err() {
                        return;
                    }
                    told = true;
                    control.board.check("topics", true, "");
                    tracing::info!(
                        code = "topics_planned",
                        topics = wanted.len(),
                        shards = next.len(),
                        left_out = found.left_out(),
                        "topics planned"
                    );
                    control.metrics.subscriptions(wanted.len(), 0);
                    control.board.topics(wanted.len(), Vec::new());
                    if plan.send(next).is_err() {
                        return;
                    }
                }
                looked_before = Some(looked_at);
                topics.pause(found.requests)
            }
            Err(error) => {
                tracing::warn!(code = "topics_unavailable", error = %error, "topics cannot be listed");
                backoff.next(&mut dice).max(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Ok(()) = configured.changed() => backoff.reset(),
        }
    }
}

/// Names each pattern that matches nothing, once for as long as it does.
fn tell_idle(found: &Found, before: &[(String, String, usize)]) -> Vec<(String, String, usize)> {
    let now = found.idle();
    let known =
        |option: &str, pattern: &str| before.iter().any(|(o, p, _)| o == option && p == pattern);
    for (option, pattern, listed) in &now {
        if !known(option, pattern) {
            tracing::warn!(
                code = "filter_idle",
                option,
                pattern,
                listed,
                "a pattern matches nothing that the platform lists: mistyped, or of something renamed or gone"
            );
        }
    }
    now
}

/// Looks at the listings, where something is to be discovered.
pub(super) async fn discover(
    settings: &TopicSettings,
    client: &Client,
) -> Result<Found, PlatformError> {
    let (queues, some) = objects(&settings.queues, client, "/api/v2/routing/queues").await?;
    let (users, more) = objects(&settings.users, client, "/api/v2/users?state=active").await?;
    let sort = |objects: Option<Vec<Object>>, filter: &Filter| objects.map(|o| filter.sort(o));
    let (queues, users) =
        (sort(queues, &settings.queue_filter), sort(users, &settings.user_filter));
    let topics = settings.topics(queues.as_ref(), users.as_ref());
    Ok(Found { topics, requests: some + more, queues, users })
}

/// Everything that is listed, and how many requests that took; nothing where nothing is discovered.
async fn objects(
    source: &Source,
    client: &Client,
    path: &str,
) -> Result<(Option<Vec<Object>>, u32), PlatformError> {
    match source {
        Source::None | Source::Ids(_) => Ok((None, 0)),
        Source::Discover => {
            let (mut all, mut requests) = (Vec::new(), 0);
            for page in 1.. {
                requests = page;
                let path = path.to_owned();
                let (objects, last) = client
                    .call(Endpoint::Listing, Priority::Verify, |http, token| async move {
                        http.page(&token, &path, page).await
                    })
                    .await?;
                all.extend(objects);
                if last {
                    break;
                }
            }
            Ok((Some(all), requests))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_are_topics_of_their_own_and_share_a_string() {
        let settings = TopicSettings {
            queues: Source::Ids(vec!["q".to_owned()]),
            media: vec!["calls", "emails"],
            extra: vec!["v2.users.u.presence".to_owned()],
            ..TopicSettings::default()
        };
        let topics = settings.topics(None, None);
        let expected = [
            "v2.routing.queues.q.conversations.calls",
            "v2.routing.queues.q.conversations.emails",
            "v2.users.u.presence",
        ];
        assert_eq!(topics.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        let combined = subscriptions::combine(&topics);
        let joined = "v2.routing.queues.q.conversations?calls&emails";
        assert_eq!(combined, [joined, "v2.users.u.presence"]);
    }

    #[test]
    fn looking_takes_a_tenth_of_the_budget_at_most() {
        let refresh = Duration::from_secs(60);
        let settings = TopicSettings {
            queues: Source::Discover,
            users: Source::Discover,
            refresh,
            requests_per_minute: 300,
            ..TopicSettings::default()
        };
        for (objects, secs) in [(0, 60), (2_000, 60), (3_000, 60), (12_000, 240)] {
            let requests = objects / 100;
            assert_eq!(settings.pause(requests), Duration::from_secs(secs), "{objects} objects");
        }
    }
}
