//! One world: a platform, its processes, Kafka, and what goes wrong, in one queue of time.

use std::collections::{BTreeMap, BTreeSet};

use genesys_sim::Settings;
use genesys_sim::faults::Fault;
use genesys_sim::traffic::Profile;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use trunkline_protocol::domain::{Dice, Wall};
use trunkline_protocol::timings::Timings;

use super::audit::audit;
use super::faults::{self, DAY, Hit, Planned};
use super::kafka::Kafka;
use super::node::{Disk, Node, Setup};
use super::oracle::{Sides, Verdict, judge};
use super::platform::{ORIGIN_MS, Platform};

/// What became of a world.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub days: u64,
    pub faults: BTreeMap<&'static str, u64>,
    /// Over everything that was written.
    pub trace: u64,
}

/// How a world is made.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub days: u64,
    /// Events a day, about.
    pub events: f64,
    pub faults: Vec<Planned>,
}

impl Plan {
    pub fn new(seed: u64, days: u64, events: f64) -> Self {
        let faults = faults::draw(seed, days, replicas(seed));
        Self { seed, days, events, faults }
    }
}

/// One process with two channels for each shard, or two processes with one each.
fn replicas(seed: u64) -> usize {
    if seed.is_multiple_of(3) { 1 } else { 2 }
}

enum Place {
    Runs(Box<Node>),
    /// Comes back at this time.
    Gone(u64, Disk),
}

pub struct World {
    platform: Platform,
    kafka: Kafka,
    setup: Setup,
    places: Vec<Place>,
    /// When each place has something to do.
    due: Vec<u64>,
    dice: Dice,
    rng: StdRng,
    may_repeat: u64,
    /// Traffic is dense until then.
    dense_until: u64,
    events: f64,
    stuck: Vec<String>,
}

const TICK_MS: u64 = 2_000;
/// After the last fault everything has to come to rest within this.
const REST_MS: u64 = 8 * DAY;

impl World {
    fn new(plan: &Plan) -> Self {
        let mut rng = StdRng::seed_from_u64(plan.seed ^ 0x3017d);
        let names: Vec<String> =
            ["a", "b"].iter().take(replicas(plan.seed)).map(|n| (*n).to_owned()).collect();
        let settings = settings(&names, &mut rng);
        let late = if rng.random_bool(0.3) { 60_000 } else { 2_000 };
        let profile = Profile {
            rate: 20_000.0,
            queues: 6,
            users: 10,
            large: 0.0,
            alive: 12,
            delay_ms: (200, late),
            ..Profile::default()
        };
        let platform = Platform::new(settings, profile, plan.seed, plan.seed % 8 == 5);
        let timings = Timings { history_reach: reach(&mut rng), ..Timings::default() };
        let legs = if names.len() == 1 { 2 } else { 1 };
        let setup = Setup { timings, names, legs };
        // in some worlds there is no spool
        let is_alone = setup.names.len() == 1;
        let share = if is_alone { 0.4 } else { 0.2 };
        let broken_until = if rng.random_bool(share) { u64::MAX } else { 0 };
        let disk = || {
            let mut disk = Disk::default();
            disk.breaks(broken_until);
            disk
        };
        let places: Vec<Place> = setup.names.iter().map(|_| Place::Gone(0, disk())).collect();
        Self {
            platform,
            kafka: Kafka::default(),
            setup,
            due: vec![0; places.len()],
            places,
            dice: Dice::new(plan.seed),
            rng,
            may_repeat: 0,
            dense_until: 60_000,
            events: plan.events,
            stuck: Vec::new(),
        }
    }

    fn next_change(&mut self) -> u64 {
        let dense = self.platform.now_ms < self.dense_until;
        let mean = if dense { 1_000.0 } else { DAY as f64 / (self.events * 0.3) };
        let wait = -mean * (1.0 - self.rng.random::<f64>()).ln();
        self.platform.now_ms + (wait as u64).max(1)
    }

    /// Runs to the end of the plan, and on until everything is at rest.
    fn run(mut self, plan: &Plan) -> Outcome {
        let end = plan.days * DAY;
        let mut planned = plan.faults.iter().peekable();
        let mut change_at = self.next_change();
        let mut tick_at = 0;
        let mut rested_at = None;
        loop {
            self.platform.now_ms = self.next(tick_at, change_at, planned.peek().map(|p| p.at_ms));
            let now_ms = self.platform.now_ms;
            if tick_at <= now_ms {
                self.platform.tick();
                tick_at = now_ms - now_ms % TICK_MS + TICK_MS;
            }
            while let Some(fault) = planned.next_if(|fault| fault.at_ms <= now_ms) {
                self.dense_until = self.dense_until.max(now_ms + 90_000);
                self.hit(&fault.hit);
            }
            if change_at <= now_ms {
                self.platform.happen();
                change_at = if now_ms < end { self.next_change() } else { u64::MAX };
            }
            self.step();
            if now_ms >= end && now_ms % 60_000 < TICK_MS && planned.peek().is_none() {
                let quiet = self.is_quiet(end);
                if quiet && *rested_at.get_or_insert(now_ms) + 2 * 3_600_000 <= now_ms {
                    break;
                }
                if !quiet {
                    rested_at = None;
                }
                if now_ms > end + REST_MS {
                    self.stuck.push("it does not come to rest".to_owned());
                    break;
                }
            }
        }
        self.finish(plan)
    }

    fn next(&mut self, tick_at: u64, change_at: u64, fault_at: Option<u64>) -> u64 {
        let mut next = tick_at.min(change_at).min(fault_at.unwrap_or(u64::MAX));
        for (place, due) in self.places.iter().zip(&mut self.due) {
            *due = match place {
                Place::Runs(node) => node.next_ms(&self.platform, &self.kafka),
                Place::Gone(until, _) => (*until).max(self.kafka.down_until),
            };
            next = next.min(*due);
        }
        next.max(self.platform.now_ms)
    }

    fn step(&mut self) {
        let now_ms = self.platform.now_ms;
        let take_over = self.take_over();
        for at in 0..self.places.len() {
            if let Place::Gone(until, disk) = &mut self.places[at]
                && *until <= now_ms
                && self.kafka.takes(now_ms)
            {
                let (disk, name) = (std::mem::take(disk), self.setup.names[at].clone());
                let dice = Dice::new(self.dice.next_u64());
                let (platform, kafka) = (&self.platform, &self.kafka);
                let node = Node::start(&self.setup, &name, disk, platform, kafka, dice);
                self.places[at] = Place::Runs(Box::new(node));
            }
            if self.due[at] > now_ms {
                continue;
            }
            if let Place::Runs(node) = &mut self.places[at] {
                node.step(&mut self.platform, &mut self.kafka, take_over);
                if node.stopping && node.is_quiet() && node.client.is_over() {
                    self.leave(at, now_ms);
                }
            }
        }
    }

    /// The process at this place ends, by itself or by force, and comes back.
    fn leave(&mut self, at: usize, until: u64) {
        let empty = Place::Gone(until, Disk::default());
        match std::mem::replace(&mut self.places[at], empty) {
            Place::Runs(node) => {
                self.may_repeat += node.may_repeat + node.unacked();
                let disk = node.crash(&mut self.platform, &mut self.kafka);
                self.places[at] = Place::Gone(until, disk);
            }
            gone @ Place::Gone(..) => self.places[at] = gone,
        }
    }

    /// Whether a standby may have to write what the primary writes as well: it is gone, or was, or
    /// nobody could write for a while.
    fn take_over(&self) -> bool {
        let now_ms = self.platform.now_ms;
        let since = now_ms.saturating_sub(TAKE_OVER_MS);
        self.kafka.down_until > since
            || self.kafka.events_blocked_until > since
            || self.places.iter().any(|place| match place {
                Place::Runs(node) => node.stopping || node.since_ms.max(node.frozen_until) > since,
                Place::Gone(..) => true,
            })
    }

    fn hit(&mut self, hit: &Hit) {
        let now_ms = self.platform.now_ms;
        match hit {
            Hit::Platform(fault) => {
                self.platform.cloud.inject(Fault { at_ms: now_ms, ..fault.clone() });
                self.platform.tick();
            }
            Hit::Crash { who, for_ms } => self.leave(*who, now_ms + for_ms),
            Hit::CrashAll { for_ms } => {
                (0..self.places.len()).for_each(|at| self.leave(at, now_ms + for_ms));
            }
            Hit::Freeze { who, for_ms } => {
                if let Place::Runs(node) = &mut self.places[*who] {
                    node.frozen_until = now_ms + for_ms;
                }
            }
            Hit::Restart { who } => {
                if let Place::Runs(node) = &mut self.places[*who] {
                    node.stopping = true;
                    node.client.stop();
                }
            }
            Hit::Broker { for_ms } => {
                self.kafka.down_until = self.kafka.down_until.max(now_ms + for_ms);
            }
            Hit::Registry { for_ms } => {
                let until = now_ms + for_ms;
                self.kafka.events_blocked_until = self.kafka.events_blocked_until.max(until);
            }
            Hit::Disk { who, for_ms } => match &mut self.places[*who] {
                Place::Runs(node) => node.disk.breaks(now_ms + for_ms),
                Place::Gone(_, disk) => disk.breaks(now_ms + for_ms),
            },
            Hit::Producer { who } => {
                if let Place::Runs(node) = &mut self.places[*who] {
                    node.lose_producer(&self.platform, &mut self.kafka);
                }
            }
        }
    }

    /// Whether everything is done with. A platform that closes sockets when their token ends makes a
    /// gap a day, also when nothing happens any more.
    fn is_quiet(&self, end_ms: u64) -> bool {
        let end = Wall(i64::try_from(ORIGIN_MS + end_ms).expect("in range"));
        self.places.iter().all(|place| match place {
            Place::Runs(node) => {
                let ledgers = node.keeper.shards().values();
                let mut gaps = ledgers.flat_map(|ledger| ledger.gaps().values());
                node.is_quiet()
                    && !node.stopping
                    && gaps.all(|gap| gap.repair.outcome.is_some() || gap.from > end)
            }
            Place::Gone(..) => false,
        })
    }

    fn finish(mut self, plan: &Plan) -> Outcome {
        let mut safe = BTreeSet::new();
        let mut activated: BTreeMap<u16, Wall> = BTreeMap::new();
        for place in &mut self.places {
            match place {
                Place::Runs(node) => {
                    safe.append(&mut node.disk.safe);
                    self.may_repeat += node.may_repeat;
                    for (shard, ledger) in node.keeper.shards() {
                        let wanted = ledger.wanted().into_iter().flatten();
                        let from = wanted.map(|(_, want)| want.from).max();
                        activated.extend(from.map(|from| (*shard, from)));
                    }
                }
                Place::Gone(_, disk) => safe.append(&mut disk.safe),
            }
        }
        let may_repeat = self.may_repeat;
        let days = self.platform.now_ms / DAY;
        let client = self.setup.names[0].clone();
        let audited = audit(&mut self.platform, &self.kafka, &self.setup.timings, &client);
        let sides = Sides { safe: &safe, may_repeat, activated, audited };
        let mut verdict = judge(&self.platform, &self.kafka, &sides);
        verdict.stuck = self.stuck.len() as u64;
        verdict.problems.append(&mut self.stuck);
        Outcome { verdict, days, faults: faults::count(&plan.faults), trace: trace(&self.kafka) }
    }
}

/// After an outage or a start, what was held up is worked off within this.
const TAKE_OVER_MS: u64 = 120_000;

/// A digest of everything that was written.
fn trace(kafka: &Kafka) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for record in &kafka.events {
        hasher.update(&record.id.0).update(&record.appended.0.to_le_bytes());
    }
    for (key, fact) in &kafka.state {
        hasher.update(key.as_bytes()).update(&serde_json::to_vec(fact).expect("plain data"));
    }
    for certificate in &kafka.certificates {
        hasher.update(format!("{certificate:?}").as_bytes());
    }
    u64::from_le_bytes(hasher.finalize().as_bytes()[..8].try_into().expect("eight"))
}

fn settings(names: &[String], rng: &mut StdRng) -> Settings {
    let minute = 60_000;
    Settings {
        clients: names.iter().map(|name| (name.clone(), "secret".to_owned())).collect(),
        availability_lag_ms: rng.random_range(5 * minute..26 * 60 * minute),
        availability_step_ms: rng.random_range(minute..60 * minute),
        query_lag_ms: rng.random_range(1_000..10 * minute),
        subscribe_delay_ms: if rng.random_bool(0.3) { rng.random_range(0..4_000) } else { 0 },
        jobs_missing_share: if rng.random_bool(0.1) { 0.3 } else { 0.0 },
        query_missing_share: if rng.random_bool(0.3) { 0.001 } else { 0.0 },
        jobs_fail: if rng.random_bool(0.2) { 2 } else { 0 },
        idle_close_ms: if rng.random_bool(0.2) { minute } else { 0 },
        duplicate_share: if rng.random_bool(0.3) { 0.01 } else { 0.0 },
        token_end_closes: rng.random_bool(0.2),
        end_code: [1000, 1001, 4000][rng.random_range(0..3)],
        ..Settings::default()
    }
}

/// History usually reaches back far; in some worlds less far than it needs to become complete.
fn reach(rng: &mut StdRng) -> std::time::Duration {
    let hours = if rng.random_bool(0.1) { 20 } else { 30 * 24 };
    std::time::Duration::from_secs(hours * 3_600)
}

/// Runs a world.
pub fn run(plan: &Plan) -> Outcome {
    World::new(plan).run(plan)
}
