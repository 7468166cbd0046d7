//! Queues and users that appear or vanish: what is wanted, and its plan.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use trunkline_protocol::backoff::Backoff;
use trunkline_protocol::domain::Dice;
use trunkline_protocol::gate::{Endpoint, Priority};
use trunkline_protocol::ledger::News;
use trunkline_protocol::subscriptions;

use super::{Client, Control};
use crate::genesys::PlatformError;

/// Where ids come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The platform's listing, followed while running.
    Discover,
    /// Nowhere.
    None,
    /// A list.
    Ids(Vec<String>),
}

/// Which topics are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// `v2.routing.queues.{id}.conversations`.
    pub queues: Source,
    /// `v2.users.{id}.conversations`.
    pub users: Source,
    /// Further topics, verbatim.
    pub extra: Vec<String>,
    /// Between two looks at the listings, at least.
    pub refresh: Duration,
    /// What the client allows this process; looks take a tenth of it at most.
    pub requests_per_minute: u32,
}

impl TopicSettings {
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
    loop {
        let looked_at = control.clock.now().wall;
        let topics = configured.borrow_and_update().clone();
        let wait = match discover(&topics, &client).await {
            Ok((wanted, requests)) => {
                backoff.reset();
                let combined = subscriptions::combine(&wanted);
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
                        "topics planned"
                    );
                    control.metrics.subscriptions(wanted.len(), 0);
                    control.board.topics(wanted.len(), Vec::new());
                    if plan.send(next).is_err() {
                        return;
                    }
                }
                looked_before = Some(looked_at);
                topics.pause(requests)
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

/// Every topic that is wanted now, and how many requests it took to know.
pub(super) async fn discover(
    settings: &TopicSettings,
    client: &Client,
) -> Result<(BTreeSet<String>, u32), PlatformError> {
    let (queues, some) = ids(&settings.queues, client, "/api/v2/routing/queues").await?;
    let (users, more) = ids(&settings.users, client, "/api/v2/users?state=active").await?;
    let queues = queues.iter().map(|id| format!("v2.routing.queues.{id}.conversations"));
    let users = users.iter().map(|id| format!("v2.users.{id}.conversations"));
    Ok((queues.chain(users).chain(settings.extra.iter().cloned()).collect(), some + more))
}

async fn ids(
    source: &Source,
    client: &Client,
    path: &str,
) -> Result<(Vec<String>, u32), PlatformError> {
    match source {
        Source::None => Ok((Vec::new(), 0)),
        Source::Ids(ids) => Ok((ids.clone(), 0)),
        Source::Discover => {
            let (mut all, mut requests) = (Vec::new(), 0);
            for page in 1.. {
                requests = page;
                let path = path.to_owned();
                let (ids, last) = client
                    .call(Endpoint::Listing, Priority::Verify, |http, token| async move {
                        http.page(&token, &path, page).await
                    })
                    .await?;
                all.extend(ids);
                if last {
                    break;
                }
            }
            Ok((all, requests))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_takes_a_tenth_of_the_budget_at_most() {
        let refresh = Duration::from_secs(60);
        let settings = TopicSettings {
            queues: Source::Discover,
            users: Source::Discover,
            extra: Vec::new(),
            refresh,
            requests_per_minute: 300,
        };
        for (objects, secs) in [(0, 60), (2_000, 60), (3_000, 60), (12_000, 240)] {
            let requests = objects / 100;
            assert_eq!(settings.pause(requests), Duration::from_secs(secs), "{objects} objects");
        }
    }
}
