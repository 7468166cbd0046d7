//! Prepares the ground the journey runs on: tokens, channels, subscriptions.

mod channels;
mod client;
mod crowd;
pub mod direct;
mod hints;
mod tokens;
mod topics;

use std::collections::BTreeSet;

use tokio::sync::{mpsc, watch};
use trunkline_protocol::domain::{Dice, EpochId, Leg};
use trunkline_protocol::ledger::News;
use trunkline_protocol::session::Liveness;
use trunkline_protocol::subscriptions;
use trunkline_protocol::timings::Timings;

use crate::clock::Clock;
use crate::observe::metrics::ControlMetrics;
use crate::observe::status::StatusBoard;
use crate::session::SessionParts;
use crate::supervisor::{Supervisor, Uninvited};

pub use client::{Client, ClientSettings, Refused};
pub use hints::Hints;
pub use topics::{Source, TopicSettings};

/// What control needs.
#[derive(Clone)]
pub struct Control {
    /// Time.
    pub clock: Clock,
    /// Durations.
    pub timings: Timings,
    /// Hot channels per shard.
    pub channels_per_shard: u8,
    /// Which topics, as they are configured at the moment.
    pub topics: watch::Receiver<TopicSettings>,
    /// What every session needs.
    pub session: SessionParts,
    /// Counts.
    pub metrics: ControlMetrics,
    /// Where progress is posted.
    pub board: StatusBoard,
    /// Where news about coverage go.
    pub news: mpsc::Sender<News>,
    /// Topics that were covered before this process began, by shard.
    pub earlier: Vec<BTreeSet<String>>,
    /// The topics of each shard, combined as they are subscribed: said here, followed by whoever asks.
    pub plan: watch::Sender<Vec<BTreeSet<String>>>,
    /// Coverages of sockets that do not hear what they should, the newest.
    pub suspects: watch::Receiver<Option<EpochId>>,
    /// Channels of an earlier process, where there is a place to keep them.
    pub hints: Option<Hints>,
    /// Seed of jitter and ids.
    pub seed: u64,
}

/// Requests of one reconnect: count, create, subscribe, read back; the dial counts as well.
const PER_RECONNECT: u32 = 4;

/// Legs that are live, over all shards.
pub(crate) type LiveLegs = watch::Sender<BTreeSet<Leg>>;

impl Control {
    /// Runs until `stop` turns true and every socket is closed.
    ///
    /// # Errors
    /// When a leg, or what follows the topics, ends before that.
    pub async fn run(
        self,
        clients: Vec<Client>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Uninvited> {
        let (live, _) = watch::channel(BTreeSet::new());
        // what stays wanted stays in its shard, across a restart too
        let earlier = self.earlier.iter().map(|t| subscriptions::combine(t).into_iter().collect());
        self.plan.send_replace(earlier.collect());
        let mut plan = self.plan.subscribe();
        let mut legs = Supervisor::new();
        let mut feeder = Supervisor::new();
        let Some(first) = clients.first().cloned() else {
            return Ok(());
        };
        feeder.spawn_infallible("topics", topics::follow(self.clone(), first, self.plan.clone()));
        feeder.spawn_infallible("crowd", crowd::watch(self.clone(), clients.clone()));
        let mut running = 0_u16;
        let told = stop.clone();
        loop {
            let wanted = plan.borrow_and_update().len();
            while usize::from(running) < wanted && !*stop.borrow() {
                self.start_shard(running, &clients, &plan, &live, &stop, &mut legs);
                running += 1;
            }
            // what history leaves in every client's budget: a reconnect of each of its channels
            let count = usize::from(running) * usize::from(self.channels_per_shard);
            let each = u32::try_from(count.div_ceil(clients.len())).unwrap_or(u32::MAX);
            clients.iter().for_each(|client| client.reserve(each.saturating_mul(PER_RECONNECT)));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                // a leg without a socket may see the stop, and end, before it is seen here
                Some(ended) = legs.next() => match ended.failure {
                    None if *told.borrow() => {}
                    Some(_) | None => return Err(ended.into()),
                },
                Some(ended) = feeder.next() => return Err(ended.into()),
                changed = plan.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
            }
        }
        while let Some(ended) = legs.next().await {
            if ended.failure.is_some() {
                return Err(ended.into());
            }
        }
        Ok(())
    }

    fn start_shard(
        &self,
        shard: u16,
        clients: &[Client],
        plan: &watch::Receiver<Vec<BTreeSet<String>>>,
        live: &LiveLegs,
        stop: &watch::Receiver<bool>,
        legs: &mut Supervisor,
    ) {
        for ordinal in 0..self.channels_per_shard {
            let leg = Leg { shard, ordinal };
            // shards and legs are spread over the clients, the legs of one shard apart
            let client = usize::from(shard) + usize::from(ordinal);
            let Some(client) = clients.get(client % clients.len()).cloned() else {
                continue;
            };
            let seed =
                self.seed ^ (u64::from(shard) << 8 | u64::from(ordinal)).wrapping_mul(0x9e37);
            let driver = channels::Driver::new(
                self.clone(),
                leg,
                client,
                plan.clone(),
                live.clone(),
                Dice::new(seed),
            );
            legs.spawn(format!("leg {shard}/{ordinal}"), driver.run(stop.clone()));
        }
    }

    /// A coverage began on a socket that is open.
    fn begun(&self, epoch: EpochId, leg: Leg, topics: BTreeSet<String>, rides: Option<EpochId>) {
        let mono = self.clock.mono();
        let reading = self.clock.server_at(mono);
        let at = reading.map_or_else(|| self.clock.wall_at(mono), |reading| reading.latest);
        let news = News::Begun { epoch, leg, topics, at, rides };
        if self.news.try_send(news).is_err() {
            // the coverage is not claimed: safe, and repaired by the next socket
            tracing::error!(
                code = "news_lost",
                shard = leg.shard,
                leg = leg.ordinal,
                "the ledger does not keep up; a coverage goes unclaimed"
            );
        }
    }

    pub(crate) fn liveness(&self) -> Liveness {
        Liveness::ApplicationPing {
            interval: self.timings.ping_interval,
            timeout: self.timings.ping_timeout,
        }
    }

    /// What would be subscribed, once: the plan and the refused, without opening a socket.
    ///
    /// # Errors
    /// What the platform said.
    pub async fn wanted(
        topics: &TopicSettings,
        client: &Client,
    ) -> Result<Vec<BTreeSet<String>>, crate::genesys::PlatformError> {
        let wanted = topics::discover(topics, client).await?;
        Ok(subscriptions::plan(&subscriptions::combine(&wanted), &[]))
    }
}
