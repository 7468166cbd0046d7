//! A day of one direct URL: closed about every minute, maintenance twice, away for ten minutes once.

use std::collections::BTreeMap;
use std::time::Duration;

use genesys_sim::Settings;
use genesys_sim::faults::What;
use genesys_sim::http::Answer;
use trunkline_protocol::budget::Budget;
use trunkline_protocol::direct::{Action, Direct, DirectTimings};
use trunkline_protocol::domain::{Dice, EndReason, Mono};
use trunkline_protocol::gate::{Endpoint, Gate, Outcome, Priority, Ticket};
use trunkline_protocol::timings::Timings;
use trunkline_protocol::token::TokenClock;

use super::answers::outcome;
use super::classic::Policy;
use super::scenario::Who;
use super::world::{STEP_MS, Wire, World};

/// What a day was like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Day {
    pub dials: u64,
    pub rate_limited: u64,
    pub expired_dials: u64,
    /// Seconds in which no socket was open.
    pub deaf_secs: f64,
    /// Events, one a second, that no socket got.
    pub missed: u64,
}

const CLIENT: &str = "one";
const HOUR_MS: u64 = 3_600_000;
/// Organisations may set this; the platform's own is a day.
const TOKEN_LIFE_MS: u64 = 12 * HOUR_MS;

/// Lives through `hours` of it.
pub fn day(who: Who, hours: u64, seed: u64) -> Day {
    lived(who, hours * HOUR_MS, seed)
}

/// Lives through its first `until_ms`.
pub fn lived(who: Who, until_ms: u64, seed: u64) -> Day {
    let mut world = World::new(&[CLIENT], seed);
    let settings = Settings { token_life_ms: TOKEN_LIFE_MS, ..world.cloud.settings().clone() };
    world.cloud.set_settings(settings);
    let mut listener = match who {
        Who::Ours => Listener::Ours(Box::new(Ours::new(seed))),
        Who::Classic(policy) => Listener::Classic(Handler::new(policy, seed)),
    };
    let mut day = Day::default();
    while world.now_ms < until_ms {
        world.step();
        match world.now_ms {
            at if at == 6 * HOUR_MS || at == 18 * HOUR_MS => {
                world.suffer(What::Outage, 60_000, None)
            }
            at if at == 12 * HOUR_MS => world.suffer(What::Outage, 600_000, None),
            _ => {}
        }
        let open = match &mut listener {
            Listener::Ours(ours) => ours.step(&mut world),
            Listener::Classic(handler) => handler.step(&mut world),
        };
        if !open && world.now_ms > 5_000 {
            day.deaf_secs += STEP_MS as f64 / 1_000.0;
        }
        if world.now_ms.is_multiple_of(1_000) && world.now_ms > 5_000 {
            day.missed += u64::from(!world.happens());
        }
    }
    let counters = world.counters();
    (day.dials, day.expired_dials) = (counters.dials, counters.expired_dials);
    day.rate_limited = world.rate_limited;
    day
}

enum Listener {
    Ours(Box<Ours>),
    Classic(Handler),
}

/// One of the classic handlers, on the direct URL.
struct Handler {
    policy: Policy,
    dice: Dice,
    token: Option<String>,
    socket: Option<u64>,
    next_ms: Option<u64>,
    attempts: u32,
}

impl Handler {
    fn new(policy: Policy, seed: u64) -> Self {
        let dice = Dice::new(seed);
        Self { policy, dice, token: None, socket: None, next_ms: Some(0), attempts: 0 }
    }

    /// Does what is due; says whether its socket is open.
    fn step(&mut self, world: &mut World) -> bool {
        if let Some(socket) = self.socket {
            let wires = world.wires(socket);
            if wires.iter().any(|wire| matches!(wire, Wire::Closed(_) | Wire::Broken)) {
                self.socket = None;
                self.again(world.now_ms);
            }
        } else if self.next_ms.is_some_and(|at| at <= world.now_ms) {
            match self.dial(world) {
                Some(socket) => (self.socket, self.attempts) = (Some(socket), 0),
                None => self.again(world.now_ms),
            }
        }
        self.socket.is_some()
    }

    fn dial(&mut self, world: &mut World) -> Option<u64> {
        if self.policy == Policy::Jitter || self.token.is_none() {
            self.token = world.token(CLIENT).map(|(token, _)| token);
        }
        world.dial_direct(self.token.as_deref()?).ok()
    }

    fn again(&mut self, now_ms: u64) {
        let wait = self.policy.wait_ms(&mut self.attempts, &mut self.dice);
        self.next_ms = wait.map(|wait| now_ms + wait);
    }
}

/// The rules of this crate, driven as the service does.
struct Ours {
    rules: Direct,
    gate: Gate,
    clock: TokenClock,
    token: Option<String>,
    dice: Dice,
    wishes: BTreeMap<Ticket, Option<u8>>,
    /// Dials that wait for a token.
    parked: Vec<(Ticket, u8)>,
    /// Dials that are answered a step later.
    dialled: Vec<(Ticket, u8, Result<u64, Answer>)>,
    sockets: BTreeMap<u8, u64>,
}

impl Ours {
    fn new(seed: u64) -> Self {
        let timings = Timings::default();
        let budget = Budget::new(10, 1, Mono(0));
        let jitter = timings.retry_after_jitter;
        let direct =
            DirectTimings { lifetime: Duration::from_secs(60), backoff_cap: timings.backoff_cap };
        Self {
            rules: Direct::new(1, direct, Mono(0)),
            gate: Gate::new(budget, timings.probe_cap, jitter, Dice::new(seed)),
            clock: TokenClock::new(timings.token_lead, timings.backoff_cap, Mono(0)),
            token: None,
            dice: Dice::new(seed ^ 1),
            wishes: BTreeMap::new(),
            parked: Vec::new(),
            dialled: Vec::new(),
            sockets: BTreeMap::new(),
        }
    }

    fn step(&mut self, world: &mut World) -> bool {
        let now = Mono(world.now_ms * 1_000_000);
        self.read(world, now);
        for (ticket, place, dialled) in std::mem::take(&mut self.dialled) {
            self.answered(ticket, place, dialled, now);
        }
        while let Some(action) = self.rules.poll(now) {
            match action {
                Action::Dial(place) => {
                    let ticket = self.gate.ask(Endpoint::Dial, Priority::FinishReconnect);
                    self.wishes.insert(ticket, Some(place));
                }
                Action::Close(place) => {
                    if let Some(socket) = self.sockets.remove(&place) {
                        world.cloud.socket_gone(socket, world.now_ms);
                        self.rules.ended(place, EndReason::Rotation, now, &mut self.dice);
                    }
                }
            }
        }
        if self.clock.poll(now) {
            let ticket = self.gate.ask(Endpoint::Token, Priority::Token);
            self.wishes.insert(ticket, None);
        }
        while let Some(ticket) = self.gate.poll(now) {
            match self.wishes.remove(&ticket) {
                Some(Some(place)) => self.parked.push((ticket, place)),
                Some(None) => self.renew(ticket, world, now),
                None => {}
            }
        }
        if self.clock.is_valid(now + Duration::from_secs(65)) {
            let token = self.token.clone().unwrap_or_default();
            for (ticket, place) in std::mem::take(&mut self.parked) {
                self.dialled.push((ticket, place, world.dial_direct(&token)));
            }
        }
        !self.sockets.is_empty()
    }

    fn read(&mut self, world: &mut World, now: Mono) {
        let mut ended = Vec::new();
        for (place, socket) in &self.sockets {
            for wire in world.wires(*socket) {
                match wire {
                    Wire::Text(_) => {}
                    Wire::Closed(1000) => ended.push((*place, EndReason::Close1000)),
                    Wire::Closed(_) => ended.push((*place, EndReason::Close1001)),
                    Wire::Broken => ended.push((*place, EndReason::Reset)),
                }
            }
        }
        for (place, reason) in ended {
            if self.sockets.remove(&place).is_some() {
                self.rules.ended(place, reason, now, &mut self.dice);
            }
        }
    }

    fn renew(&mut self, ticket: Ticket, world: &mut World, now: Mono) {
        match world.token(CLIENT) {
            Some((token, life)) => {
                self.gate.report(ticket, Outcome::Answered, now);
                self.token = Some(token);
                self.clock.granted(life, now, &mut self.dice);
            }
            None => {
                self.gate.report(ticket, Outcome::Failed, now);
                self.clock.failed(now, &mut self.dice);
            }
        }
    }

    fn answered(&mut self, ticket: Ticket, place: u8, dialled: Result<u64, Answer>, now: Mono) {
        match dialled {
            Ok(socket) => {
                self.gate.report(ticket, Outcome::Answered, now);
                self.sockets.insert(place, socket);
                self.rules.opened(place, now);
            }
            Err(answer) => {
                self.gate.report(ticket, outcome(&answer), now);
                if answer.status == 401 {
                    self.clock.rejected(now);
                }
                let about_us = (400..500).contains(&answer.status) && answer.status != 401;
                self.rules.refused(place, about_us, now, &mut self.dice);
            }
        }
    }
}
