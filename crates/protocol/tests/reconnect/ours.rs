//! The machines of this crate, driven without waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use genesys_sim::http::Answer;
use serde_json::Value;
use trunkline_protocol::budget::Budget;
use trunkline_protocol::channel::{Action as Do, Input, Step};
use trunkline_protocol::domain::{Dice, Mono};
use trunkline_protocol::envelope::{self, Sniff};
use trunkline_protocol::gate::{Endpoint, Gate, Outcome, Priority, Ticket};
use trunkline_protocol::rotation::{Leg, Life};
use trunkline_protocol::session::{self, Liveness, Session};
use trunkline_protocol::timings::Timings;
use trunkline_protocol::token::TokenClock;

use super::answers::{lane, outcome, understood};
use super::requests;
use super::world::{STEP_MS, Wire, World};

/// One OAuth client with its legs.
pub struct Client {
    name: String,
    timings: Timings,
    gate: Gate,
    clock: TokenClock,
    token: Option<String>,
    dice: Dice,
    legs: Vec<Leg>,
    wishes: BTreeMap<Ticket, Wish>,
    answers: Vec<UnderWay>,
    sockets: Vec<Open>,
    wanted: BTreeSet<String>,
}

/// Due time, who asked for what, and what the platform will have answered: REST, dial.
type UnderWay = (u64, Ticket, Wish, Option<Answer>, Result<u64, Answer>);

#[derive(Clone, Copy, Debug)]
enum Wish {
    Token,
    Call(usize, Life, Step),
}

struct Open {
    leg: usize,
    life: Life,
    socket: u64,
    session: Session,
}

fn mono(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

impl Client {
    /// A client with so many legs.
    pub fn new(name: &str, legs: usize, wanted: BTreeSet<String>, seed: u64) -> Self {
        let timings = Timings::default();
        let budget = Budget::new(300, 1, mono(0));
        let gate =
            Gate::new(budget, timings.probe_cap, timings.retry_after_jitter, Dice::new(seed));
        let clock = TokenClock::new(timings.token_lead, timings.backoff_cap, mono(0));
        let leg = |_| Leg::new(timings.clone(), 0, wanted.clone(), mono(0));
        Self {
            name: name.to_owned(),
            legs: (0..legs).map(leg).collect(),
            timings: timings.clone(),
            gate,
            clock,
            token: None,
            dice: Dice::new(seed ^ 1),
            wishes: BTreeMap::new(),
            answers: Vec::new(),
            sockets: Vec::new(),
            wanted,
        }
    }

    /// Legs that are live.
    pub fn live(&self) -> usize {
        self.legs.iter().filter(|leg| leg.is_live()).count()
    }

    /// Does everything that is due now.
    pub fn step(&mut self, world: &mut World) {
        let now = mono(world.now_ms);
        self.read(world, now);
        let due: Vec<_> = self.answers.extract_if(.., |answer| answer.0 <= world.now_ms).collect();
        for (_, ticket, wish, answer, dialled) in due {
            self.answered(ticket, wish, answer, dialled, now);
        }
        for leg in 0..self.legs.len() {
            self.legs[leg].handle_timeout(now);
            while let Some(action) = self.legs[leg].poll() {
                if let Do::Call(step) = action.what {
                    self.wish(Wish::Call(leg, action.life, step));
                }
            }
        }
        if self.clock.poll(now) {
            self.wish(Wish::Token);
        }
        // a call without a token waits for one, as in the product
        while let Some(ticket) = self.gate.poll(now) {
            let Some(wish) = self.wishes.remove(&ticket) else { continue };
            self.send(ticket, wish, world);
        }
    }

    fn wish(&mut self, wish: Wish) {
        let (endpoint, priority) = match wish {
            Wish::Token => (Endpoint::Token, Priority::Token),
            Wish::Call(_, _, step) => lane(step),
        };
        let ticket = self.gate.ask(endpoint, priority);
        self.wishes.insert(ticket, wish);
    }

    fn send(&mut self, ticket: Ticket, wish: Wish, world: &mut World) {
        let at = world.now_ms + STEP_MS;
        let token = self.token.clone().unwrap_or_default();
        let info = match wish {
            Wish::Call(leg, life, _) => {
                self.legs[leg].channel(life).and_then(|c| c.info().cloned())
            }
            Wish::Token => None,
        };
        let id = info.as_ref().map(|info| info.id.clone()).unwrap_or_default();
        let request = match wish {
            Wish::Token => requests::token(&self.name),
            Wish::Call(_, _, Step::Count) => requests::count(&token),
            Wish::Call(_, _, Step::Create) => requests::create(&token),
            Wish::Call(_, _, Step::Subscribe) => requests::subscribe(&token, &id, &self.wanted),
            Wish::Call(_, _, Step::Verify) => requests::listed(&token, &id),
            Wish::Call(_, _, Step::Dial) => {
                let uri = info.map(|info| info.uri).unwrap_or_default();
                let dialled = world.dial(&uri);
                self.answers.push((at, ticket, wish, None, dialled));
                return;
            }
        };
        let answer = world.ask(&request);
        self.answers.push((at, ticket, wish, answer, Err(Answer::cut())));
    }

    fn answered(
        &mut self,
        ticket: Ticket,
        wish: Wish,
        answer: Option<Answer>,
        dialled: Result<u64, Answer>,
        now: Mono,
    ) {
        if let Wish::Call(leg, life, Step::Dial) = wish {
            let outcome = dialled.as_ref().map_or_else(outcome, |_| Outcome::Answered);
            self.gate.report(ticket, outcome, now);
            let input = match dialled {
                Ok(socket) => {
                    let liveness = Liveness::ApplicationPing {
                        interval: self.timings.ping_interval,
                        timeout: self.timings.ping_timeout,
                    };
                    let session = Session::opened(liveness, now);
                    self.sockets.push(Open { leg, life, socket, session });
                    Input::Opened
                }
                Err(answer) if matches!(answer.status, 401 | 403 | 404) => Input::Gone,
                Err(_) => Input::Failed,
            };
            self.legs[leg].handle(life, input, now, &mut self.dice);
            return;
        }
        let outcome = answer.as_ref().map_or(Outcome::Failed, outcome);
        self.gate.report(ticket, outcome, now);
        let good = answer.as_ref().filter(|answer| answer.status == 200);
        let body: Option<Value> = good.and_then(|answer| serde_json::from_str(&answer.body).ok());
        match wish {
            Wish::Token => match body {
                Some(body) => {
                    self.token = body["access_token"].as_str().map(str::to_owned);
                    let life = Duration::from_secs(body["expires_in"].as_u64().unwrap_or(0));
                    self.clock.granted(life, now, &mut self.dice);
                }
                None => self.clock.failed(now, &mut self.dice),
            },
            Wish::Call(leg, life, step) => {
                if answer.as_ref().is_some_and(|answer| answer.status == 401) {
                    self.clock.rejected(now);
                }
                let gone = answer.as_ref().is_some_and(|answer| answer.status == 404);
                let input = match body {
                    Some(body) => understood(step, &body, now),
                    None if gone => Input::Gone,
                    None => Input::Failed,
                };
                self.legs[leg].handle(life, input, now, &mut self.dice);
            }
        }
    }

    fn read(&mut self, world: &mut World, now: Mono) {
        let mut told = Vec::new();
        for open in &mut self.sockets {
            for wire in world.wires(open.socket) {
                let input = match wire {
                    Wire::Text(text) if envelope::sniff(&text) == Sniff::Pong => {
                        session::Input::Pong
                    }
                    Wire::Text(_) => session::Input::Heard,
                    Wire::Closed(code) => session::Input::Closed(Some(code)),
                    Wire::Broken => session::Input::Broken,
                };
                open.session.handle(input, now);
            }
            open.session.handle_timeout(now);
            while let Some(action) = open.session.poll() {
                match action {
                    session::Action::SendPing => {
                        world.cloud.client_text(
                            open.socket,
                            "{\"message\":\"ping\"}",
                            world.now_ms,
                        );
                    }
                    session::Action::Live => told.push((open.leg, open.life, Input::Live)),
                    session::Action::End(reason) => {
                        world.cloud.socket_gone(open.socket, world.now_ms);
                        told.push((open.leg, open.life, Input::Ended(reason)));
                    }
                    session::Action::Notice(n) => {
                        told.push((open.leg, open.life, Input::Notice(n)))
                    }
                    session::Action::SendProtocolPing | session::Action::SendClose => {}
                }
            }
        }
        self.sockets.retain(|open| !open.session.is_ended());
        for (leg, life, input) in told {
            self.legs[leg].handle(life, input, now, &mut self.dice);
        }
    }
}
