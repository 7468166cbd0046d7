//! Prepares the ground the journey runs on: tokens, channels, subscriptions.

mod channels;
mod client;
mod crowd;
pub mod direct;
mod held;
mod hints;
mod places;
mod tokens;
mod topics;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{mpsc, watch};
use trunkline_protocol::domain::{Dice, EpochId, Leg};
use trunkline_protocol::ledger::News;
use trunkline_protocol::seats::{Lacking, Seats};
use trunkline_protocol::session::Liveness;
use trunkline_protocol::subscriptions;
use trunkline_protocol::timings::Timings;

use crate::clock::Clock;
use crate::observe::metrics::ControlMetrics;
use crate::observe::status::StatusBoard;
use crate::orders::{Rotate, Rotated};
use crate::session::SessionParts;
use crate::supervisor::{Supervisor, Uninvited};

pub use client::{Client, ClientSettings, Refused};
pub use hints::Hints;
pub use topics::{Found, Source, TopicSettings, Wanted};

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

fn name(leg: Leg) -> String {
    format!("leg {}/{}", leg.shard, leg.ordinal)
}

/// What a running leg is told.
#[derive(Default)]
struct Reins {
    ends: watch::Sender<bool>,
    /// How often an operator wanted another channel.
    rotates: watch::Sender<u64>,
}

impl Reins {
    fn end(&self) {
        self.ends.send_replace(true);
    }

    fn rotate(&self) {
        self.rotates.send_modify(|times| *times += 1);
    }
}

/// Legs that are live, or have a channel, over all shards.
pub(crate) type LiveLegs = watch::Sender<BTreeSet<Leg>>;

impl Control {
    /// Runs until `stop` turns true and every socket is closed.
    ///
    /// # Errors
    /// When a leg, or what follows the topics, ends before that.
    pub async fn run(
        self,
        clients: Vec<Client>,
        mut orders: mpsc::Receiver<Rotate>,
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
        let mut seats = Seats::new(self.channels_per_shard, clients.len(), first.processes());
        feeder.spawn_infallible("topics", topics::follow(self.clone(), first, self.plan.clone()));
        feeder.spawn_infallible("crowd", crowd::watch(self.clone(), clients.clone()));
        let (seated, _) = watch::channel(BTreeSet::new());
        let mut running: BTreeMap<Leg, Reins> = BTreeMap::new();
        let mut dismissed = BTreeSet::new();
        loop {
            // a shard begins with its first topic: a channel without topics hears nothing
            let wanted = plan.borrow_and_update().iter().rposition(|topics| !topics.is_empty());
            let lost =
                seats.grow(u16::try_from(wanted.map_or(0, |last| last + 1)).unwrap_or(u16::MAX));
            seated.send_replace(seats.legs());
            for leg in lost {
                running.remove(&leg).into_iter().for_each(|reins| reins.end());
                dismissed.insert(name(leg));
            }
            for leg in seats.legs().into_iter().filter(|_| !*stop.borrow()) {
                let client = seats.client(leg).and_then(|client| clients.get(client));
                if let (Some(client), Entry::Vacant(new)) = (client, running.entry(leg)) {
                    let reins = new.insert(Reins::default());
                    let (ends, rotates) = (reins.ends.subscribe(), reins.rotates.subscribe());
                    let driver = self.driver(leg, client, &plan, &live, &seated);
                    legs.spawn(name(leg), driver.run(ends, rotates));
                }
            }
            self.tell_lacking(&seats);
            // what history leaves in every client's budget: a reconnect of each of its channels
            let count = running.len();
            let each = u32::try_from(count.div_ceil(clients.len())).unwrap_or(u32::MAX);
            clients.iter().for_each(|client| client.reserve(each.saturating_mul(PER_RECONNECT)));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(ended) = legs.next() => match ended.failure {
                    None if dismissed.remove(&ended.name) => {}
                    Some(_) | None => return Err(ended.into()),
                },
                Some(ended) = feeder.next() => return Err(ended.into()),
                Some(order) = orders.recv() => {
                    let reins = running.get(&order.leg);
                    reins.into_iter().for_each(Reins::rotate);
                    let answer = reins.map_or(Rotated::Unknown, |_| Rotated::Told);
                    order.answer.send(answer).ok(); // whoever asked may have gone
                }
                changed = plan.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
            }
        }
        running.values().for_each(Reins::end);
        while let Some(ended) = legs.next().await {
            if ended.failure.is_some() {
                return Err(ended.into());
            }
        }
        Ok(())
    }

    fn driver(
        &self,
        leg: Leg,
        client: &Client,
        plan: &watch::Receiver<Vec<BTreeSet<String>>>,
        live: &LiveLegs,
        seated: &LiveLegs,
    ) -> channels::Driver {
        let place = u64::from(leg.shard) << 8 | u64::from(leg.ordinal);
        let dice = Dice::new(self.seed ^ place.wrapping_mul(0x9e37));
        let (client, plan) = (client.clone(), plan.clone());
        channels::Driver::new(
            self.clone(),
            leg,
            client,
            plan,
            live.clone(),
            seated.subscribe(),
            dice,
        )
    }

    /// Whoever pays for fewer clients than it takes has to know what that costs.
    fn tell_lacking(&self, seats: &Seats) {
        let lacking = seats.lacking();
        if !self.board.lacking(lacking) || lacking == Lacking::default() {
            return;
        }
        let Lacking { channels, shards, clients } = lacking;
        if shards > 0 {
            tracing::error!(
                code = "channels_lacking",
                channels,
                shards,
                clients,
                "the OAuth clients have too few channels: some shards are heard by nobody in this process; add so many clients"
            );
        } else {
            tracing::warn!(
                code = "channels_lacking",
                channels,
                shards,
                clients,
                "the OAuth clients have too few channels for genesys.channels_per_shard: some shards have fewer, and a socket's end is a gap where no other replica hears; add so many clients"
            );
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

    /// What would be subscribed, once, without opening a socket.
    ///
    /// # Errors
    /// What the platform said.
    pub async fn wanted(
        topics: &TopicSettings,
        client: &Client,
    ) -> Result<Wanted, crate::genesys::PlatformError> {
        let found = topics::discover(topics, client).await?;
        let plan = subscriptions::plan(&subscriptions::combine(&found.topics), &[]);
        Ok(Wanted { plan, found })
    }
}
