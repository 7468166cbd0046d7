//! The same trouble for everybody.

use std::collections::BTreeSet;

use genesys_sim::Settings;
use genesys_sim::faults::What;

use super::classic::{Handler, Policy};
use super::ours::Client;
use super::world::World;

/// Who has to live through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The machines of this crate.
    Ours,
    /// One of the classic handlers.
    Classic(Policy),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Seconds from the end of the trouble until everybody is live; `None` is never within an hour.
    pub all_back_secs: Option<f64>,
    /// Connections that will never dial again.
    pub gave_up: usize,
    /// 429 answers.
    pub rate_limited: u64,
    /// Requests and dials while the platform was away.
    pub asked_meanwhile: usize,
    /// The most requests and dials in any minute.
    pub peak_per_minute: usize,
    /// Seconds the trouble lasted.
    pub trouble_secs: f64,
    /// Dials during it.
    pub dials: u64,
}

const CLIENTS: [&str; 2] = ["one", "two"];
const PER_CLIENT: usize = 10;

enum Crowd {
    Ours(Vec<Client>),
    Classic(Vec<Handler>),
}

impl Crowd {
    fn new(who: Who, world: &mut World, seed: u64) -> Self {
        let topic = |id: &String| format!("v2.routing.queues.{id}.conversations");
        let queues = &world.cloud.traffic().org().queues;
        let wanted: BTreeSet<String> = queues.iter().map(|queue| topic(&queue.id)).collect();
        match who {
            Who::Ours => Self::Ours(
                CLIENTS
                    .iter()
                    .zip(seed..)
                    .map(|(name, seed)| Client::new(name, PER_CLIENT, wanted.clone(), seed))
                    .collect(),
            ),
            Who::Classic(policy) => Self::Classic(
                (0..CLIENTS.len() * PER_CLIENT)
                    .map(|n| {
                        let client = CLIENTS[n % CLIENTS.len()];
                        Handler::new(policy, client, wanted.clone(), seed + n as u64)
                    })
                    .collect(),
            ),
        }
    }

    fn step(&mut self, world: &mut World) {
        world.step();
        match self {
            Self::Ours(clients) => clients.iter_mut().for_each(|client| client.step(world)),
            Self::Classic(handlers) => handlers.iter_mut().for_each(|handler| handler.step(world)),
        }
    }

    fn all_live(&self) -> bool {
        match self {
            Self::Ours(clients) => clients.iter().all(|client| client.live() == PER_CLIENT),
            Self::Classic(handlers) => handlers.iter().all(Handler::live),
        }
    }

    fn gave_up(&self) -> usize {
        match self {
            Self::Ours(_) => 0,
            Self::Classic(handlers) => handlers.iter().filter(|handler| handler.gave_up()).count(),
        }
    }
}

/// Everybody has been live for a while, as in an ordinary week.
fn ordinary_week(who: Who, seed: u64) -> (World, Crowd) {
    let mut world = World::new(&CLIENTS, seed);
    let mut crowd = Crowd::new(who, &mut world, seed);
    while world.now_ms < 300_000 {
        crowd.step(&mut world);
    }
    assert!(crowd.all_live(), "{who:?} never came up");
    (world, crowd)
}

/// Twenty channels, two OAuth clients, and a platform that is away for so long.
pub fn outage(who: Who, secs: u64, seed: u64) -> Outcome {
    let (mut world, mut crowd) = ordinary_week(who, seed);
    let began = world.now_ms;
    world.suffer(What::Outage, secs * 1_000, None);
    while world.now_ms < began + secs * 1_000 {
        crowd.step(&mut world);
    }
    finish(&mut world, &mut crowd, began)
}

/// Twenty channels against a server that accepts so many sockets and closes each at once.
pub fn accept_then_close(who: Who, count: u32, seed: u64) -> Outcome {
    let (mut world, mut crowd) = ordinary_week(who, seed);
    let began = world.now_ms;
    let before = world.counters().dials;
    world.suffer(What::AcceptClose, 0, Some(count));
    world.suffer(What::Reset, 0, None);
    crowd.step(&mut world);
    while world.counters().dials < before + u64::from(count) && world.now_ms < began + 4 * 3_600_000
    {
        crowd.step(&mut world);
    }
    finish(&mut world, &mut crowd, began)
}

/// Every socket is cut once, and the platform allows each client so many dials in any minute,
/// refused ones included.
pub fn scarce_dials(who: Who, per_minute: u32, seed: u64) -> Outcome {
    let (mut world, mut crowd) = ordinary_week(who, seed);
    let began = world.now_ms;
    let settings = Settings {
        connects_per_minute: per_minute,
        sliding_window: true,
        refused_count: true,
        ..world.cloud.settings().clone()
    };
    world.cloud.set_settings(settings);
    world.suffer(What::Reset, 0, None);
    crowd.step(&mut world);
    let seen = finish(&mut world, &mut crowd, began);
    // the trouble is the way back itself
    let asked_meanwhile = world.asked_between(began, world.now_ms);
    Outcome { asked_meanwhile, trouble_secs: (world.now_ms - began) as f64 / 1_000.0, ..seen }
}

fn finish(world: &mut World, crowd: &mut Crowd, began: u64) -> Outcome {
    let over = world.now_ms;
    let dials = world.counters().dials;
    while !crowd.all_live() && world.now_ms < over + 3_600_000 {
        crowd.step(world);
    }
    let back = crowd.all_live().then(|| (world.now_ms - over) as f64 / 1_000.0);
    Outcome {
        all_back_secs: back,
        gave_up: crowd.gave_up(),
        rate_limited: world.rate_limited,
        asked_meanwhile: world.asked_between(began, over),
        peak_per_minute: world.peak_per_minute(),
        trouble_secs: (over - began) as f64 / 1_000.0,
        dials,
    }
}
