//! The two handlers teams write: dial again after a second for ever, or after 1 to 31 s ten times.

use trunkline_protocol::domain::Dice;

use super::requests;
use super::world::{STEP_MS, Wire, World};
use std::collections::BTreeSet;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// 1 s, for ever, with the token it has.
    Plain,
    /// 1 s + U(0, 30 s), ten attempts, a fresh token each time.
    Jitter,
}

impl Policy {
    /// How long the next attempt waits; `None`: there is none. Whoever is connected sets `attempts` to 0.
    pub fn wait_ms(self, attempts: &mut u32, dice: &mut Dice) -> Option<u64> {
        match self {
            Self::Plain => Some(1_000),
            Self::Jitter if *attempts >= 10 => None,
            Self::Jitter => {
                *attempts += 1;
                Some(1_000 + dice.next_u64() % 30_000)
            }
        }
    }
}

/// One handler with one connection.
pub struct Handler {
    policy: Policy,
    client: String,
    wanted: BTreeSet<String>,
    dice: Dice,
    token: Option<String>,
    channel: Option<(String, String)>,
    socket: Option<u64>,
    next_ms: Option<u64>,
    step: u8,
    attempts: u32,
}

impl Handler {
    /// A handler that connects at once.
    pub fn new(policy: Policy, client: &str, wanted: BTreeSet<String>, seed: u64) -> Self {
        Self {
            policy,
            client: client.to_owned(),
            wanted,
            dice: Dice::new(seed),
            token: None,
            channel: None,
            socket: None,
            next_ms: Some(0),
            step: 0,
            attempts: 0,
        }
    }

    /// Whether its socket is open.
    pub fn live(&self) -> bool {
        self.socket.is_some()
    }

    /// Whether it will never dial again.
    pub fn gave_up(&self) -> bool {
        self.socket.is_none() && self.next_ms.is_none()
    }

    /// Does what is due now; one request per step.
    pub fn step(&mut self, world: &mut World) {
        if let Some(socket) = self.socket {
            let ended =
                world.wires(socket).iter().any(|w| matches!(w, Wire::Closed(_) | Wire::Broken));
            if ended {
                self.socket = None;
                self.again(world.now_ms);
            }
        } else if self.next_ms.is_some_and(|at| at <= world.now_ms) {
            self.next_ms = Some(world.now_ms + STEP_MS);
            if !self.advance(world) {
                self.again(world.now_ms);
            }
        }
    }

    fn again(&mut self, now_ms: u64) {
        self.step = 0;
        let wait = self.policy.wait_ms(&mut self.attempts, &mut self.dice);
        self.next_ms = wait.map(|wait| now_ms + wait);
    }

    fn advance(&mut self, world: &mut World) -> bool {
        let ok = match self.step {
            0 if self.policy == Policy::Plain && self.token.is_some() => true,
            0 => {
                let body = good(world.ask(&requests::token(&self.client)));
                self.token = body.and_then(|body| Some(body["access_token"].as_str()?.to_owned()));
                self.token.is_some()
            }
            1 => {
                let token = self.token.clone().unwrap_or_default();
                let body = good(world.ask(&requests::create(&token)));
                self.channel = body.map(|body| {
                    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
                    (text("id"), text("connectUri"))
                });
                self.channel.is_some()
            }
            2 => {
                let token = self.token.clone().unwrap_or_default();
                let id = self.channel.clone().unwrap_or_default().0;
                good(world.ask(&requests::subscribe(&token, &id, &self.wanted))).is_some()
            }
            _ => {
                let uri = self.channel.clone().unwrap_or_default().1;
                self.socket = world.dial(&uri).ok();
                if self.socket.is_some() {
                    self.attempts = 0; // so accept-then-close never counts
                }
                self.socket.is_some()
            }
        };
        self.step += 1;
        ok
    }
}

fn good(answer: Option<genesys_sim::http::Answer>) -> Option<serde_json::Value> {
    let answer = answer.filter(|answer| answer.status == 200)?;
    serde_json::from_str(&answer.body).ok()
}
