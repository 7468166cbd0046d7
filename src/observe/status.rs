//! What the status page, readiness and the demo show: posted by whoever knows, read by whoever asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;
use trunkline_protocol::domain::{EndReason, EpochId, Leg, Wall};
use trunkline_protocol::ground::Ground;
use trunkline_protocol::ledger::Gap;
use trunkline_protocol::seats::Lacking;
use trunkline_protocol::subscriptions::Refused;

use super::metrics::Metrics;
use super::story::{Past, Story, Turn};

/// The board everybody posts on. Cheap to clone.
#[derive(Clone)]
pub struct StatusBoard {
    shared: Arc<Mutex<Status>>,
    metrics: Metrics,
    /// How often somebody wanted to see the past.
    wishes: watch::Sender<u64>,
}

/// The state of the service.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Mode: `channels`, `direct` or `demo`.
    pub mode: &'static str,
    /// One line per leg.
    pub channels: Vec<ChannelStatus>,
    /// What the OAuth clients have no room for.
    pub channels_lacking: Lacking,
    /// Ends of sockets so far, by reason.
    pub reconnects: BTreeMap<&'static str, u64>,
    /// The newest of them, newest last.
    pub timeline: VecDeque<Reconnect>,
    /// Topics wanted.
    pub topics_wanted: usize,
    /// Topics that are not covered.
    pub topics_refused: Vec<Refused>,
    /// Checks of readiness.
    pub checks: BTreeMap<&'static str, Check>,
    /// Topics of Kafka that are weaker than promised.
    pub durability: Vec<String>,
    /// The disk; nothing without a spool.
    pub spool: Option<SpoolStatus>,
    /// What another process has that is this one's alone, and what to do.
    pub conflicts: BTreeMap<&'static str, String>,
    /// What is written and not in force.
    pub config: Configured,
    /// What topics stand on.
    pub kafka: Ground,
    /// Coverage by shard.
    pub coverage: BTreeMap<u16, Coverage>,
    /// The reading of history under way.
    pub backfill: Option<Backfill>,
    /// What may be said of the last hours and minutes, as it was wanted last.
    pub past: Option<Past>,
}

/// What of the configuration on disk does not run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Configured {
    /// Why it is refused; the one before stays in force.
    pub refused: Option<String>,
    /// Fields that wait for a restart.
    pub waiting: BTreeSet<String>,
}

/// What another process may not have as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The name of the replica.
    Replica,
    /// The OAuth client.
    Client,
    /// The state topic.
    State,
}

impl Conflict {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Replica, Self::Client, Self::State];

    /// The word used in status and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Client => "client",
            Self::State => "state",
        }
    }
}

/// How far a reading of history is.
#[derive(Clone, Debug, Serialize)]
pub struct Backfill {
    /// `query` or `jobs`.
    pub source: &'static str,
    /// Parts of its time that were read.
    pub parts_read: usize,
    /// Parts in all.
    pub parts: usize,
    /// Conversations shown so far.
    pub rows: u64,
    /// Requests so far.
    pub requests: u64,
}

/// What lies on the disk.
#[derive(Clone, Debug, Serialize)]
pub struct SpoolStatus {
    /// `beside` the send, `behind` when it gives back what memory had no room for, `full`, `failed`.
    pub state: &'static str,
    /// On the disk and on their way there.
    pub bytes: u64,
    /// Events from the oldest one on that Kafka has not acknowledged.
    pub waiting: usize,
}

/// What is proven of a shard.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Coverage {
    /// Everything wanted is proven up to here, from the last hole on; milliseconds since 1970.
    pub proven_to_ms: Option<Wall>,
    /// Of a direct URL, which proves nothing: some connection was open up to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_to_ms: Option<Wall>,
    /// Gaps that are not closed.
    pub gaps: Vec<Gap>,
}

/// One hot channel.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelStatus {
    /// Shard.
    pub shard: u16,
    /// Ordinal within the shard.
    pub leg: u8,
    /// `waiting`, `count`, `create`, `subscribe`, `verify`, `connect`, `joining`, `live`, …
    pub state: &'static str,
    /// The coverage in force.
    pub epoch: Option<EpochId>,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// Sockets that ended.
    pub ends: u64,
    /// Why the last one did.
    pub last_end: Option<EndReason>,
    /// How it went.
    pub turns: Story,
}

/// The end of one socket.
#[derive(Clone, Debug, Serialize)]
pub struct Reconnect {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Shard.
    pub shard: u16,
    /// Ordinal within the shard.
    pub leg: u8,
    /// Why.
    pub reason: EndReason,
}

/// One check of readiness.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Whether it passes.
    pub ok: bool,
    /// What it says.
    pub detail: String,
}

/// Ends of sockets the timeline remembers.
const TIMELINE: usize = 200;

impl StatusBoard {
    /// An empty board.
    #[must_use]
    pub fn new(mode: &'static str, metrics: Metrics) -> Self {
        let mut status = Status { mode, ..Status::default() };
        status.reconnects = EndReason::ALL.iter().map(|reason| (reason.as_str(), 0)).collect();
        Self { shared: Arc::new(Mutex::new(status)), metrics, wishes: watch::Sender::default() }
    }

    /// A leg changed its state.
    pub fn channel(&self, leg: Leg, state: &'static str, epoch: Option<EpochId>, at: Wall) {
        let mut status = self.lock();
        let line = line(&mut status, leg);
        if line.state != state || line.epoch != epoch {
            (line.state, line.epoch, line.since_ms) = (state, epoch, at.0);
            let live = matches!(state, "live" | "spare");
            line.turns.goes_on(Turn { at_ms: at.0, live, epoch, reason: line.last_end });
        }
    }

    /// A reading of history went on, or is over.
    pub fn backfill(&self, progress: Option<Backfill>) {
        self.lock().backfill = progress;
    }

    /// A socket ended.
    pub fn ended(&self, leg: Leg, reason: EndReason, at: Wall) {
        let mut status = self.lock();
        let line = line(&mut status, leg);
        line.ends += 1;
        line.last_end = Some(reason);
        *status.reconnects.entry(reason.as_str()).or_default() += 1;
        if status.timeline.len() == TIMELINE {
            status.timeline.pop_front();
        }
        let (shard, leg) = (leg.shard, leg.ordinal);
        status.timeline.push_back(Reconnect { at_ms: at.0, shard, leg, reason });
    }

    /// Topics wanted, and those that are not covered.
    pub fn topics(&self, wanted: usize, refused: Vec<Refused>) {
        let mut status = self.lock();
        (status.topics_wanted, status.topics_refused) = (wanted, refused);
    }

    /// Topics of Kafka that are weaker than promised.
    pub fn durability(&self, weak: Vec<String>) {
        self.lock().durability = weak;
    }

    /// What is written and not in force.
    pub fn configured(&self, configured: Configured) {
        self.metrics.configured(configured.refused.is_some(), !configured.waiting.is_empty());
        self.lock().config = configured;
    }

    /// Channels that the clients have no room for; whether that is news.
    pub fn lacking(&self, lacking: Lacking) -> bool {
        self.metrics.control.lacking(lacking.channels);
        let known = &mut self.lock().channels_lacking;
        std::mem::replace(known, lacking) != lacking
    }

    /// What topics stand on.
    pub fn ground(&self, ground: Ground) {
        self.lock().kafka = ground;
    }

    /// How the spool stands.
    pub fn spool(&self, spool: SpoolStatus) {
        self.lock().spool = Some(spool);
    }

    /// What is proven of a shard.
    pub fn coverage(&self, shard: u16, coverage: Coverage) {
        self.lock().coverage.insert(shard, coverage);
    }

    /// What may be said of the past.
    pub fn past(&self, past: Past) {
        self.lock().past = Some(past);
    }

    /// Somebody wants to see the past: it is looked at when that is asked for, and only then.
    pub fn wish(&self) {
        self.wishes.send_modify(|times| *times += 1);
    }

    /// Changes when somebody wants to see the past.
    #[must_use]
    pub fn wishes(&self) -> watch::Receiver<u64> {
        self.wishes.subscribe()
    }

    /// Another process has what is this one's alone; `None` once it has not.
    pub fn conflict(&self, kind: Conflict, what: Option<String>) {
        self.metrics.conflict(kind, what.is_some());
        let mut status = self.lock();
        match what {
            Some(what) => _ = status.conflicts.insert(kind.as_str(), what),
            None => _ = status.conflicts.remove(kind.as_str()),
        }
    }

    /// A check of readiness passed or failed.
    pub fn check(&self, name: &'static str, ok: bool, detail: impl Into<String>) {
        self.metrics.ready(name, ok);
        self.lock().checks.insert(name, Check { ok, detail: detail.into() });
    }

    /// Whether every check passes, and there is one.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let status = self.lock();
        !status.checks.is_empty() && status.checks.values().all(|check| check.ok)
    }

    /// The whole board.
    #[must_use]
    pub fn snapshot(&self) -> Status {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(status: &mut Status, leg: Leg) -> &mut ChannelStatus {
    let (shard, ordinal) = (leg.shard, leg.ordinal);
    let at = status.channels.partition_point(|line| (line.shard, line.leg) < (shard, ordinal));
    if status.channels.get(at).is_none_or(|line| (line.shard, line.leg) != (shard, ordinal)) {
        let new = ChannelStatus {
            shard,
            leg: ordinal,
            state: "waiting",
            epoch: None,
            since_ms: 0,
            ends: 0,
            last_end: None,
            turns: Story::default(),
        };
        status.channels.insert(at, new);
    }
    &mut status.channels[at]
}
