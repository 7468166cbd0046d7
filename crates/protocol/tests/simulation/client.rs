//! One OAuth client of a process: its token, its waiting room, its legs and their sockets, put
//! together as the shells do it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use genesys_sim::http::{Answer, Request};
use serde_json::Value;
use trunkline_protocol::budget::Budget;
use trunkline_protocol::channel::{Action as Do, Input, Step};
use trunkline_protocol::domain::{Dice, EndReason, EpochId, Leg, Mono, Wall};
use trunkline_protocol::envelope::{self, Sniff};
use trunkline_protocol::gate::{Endpoint, Gate, Outcome, Priority, Ticket};
use trunkline_protocol::ledger::News;
use trunkline_protocol::rotation::{self, Life};
use trunkline_protocol::server_time::{Reading, ServerTime};
use trunkline_protocol::session::{self, Liveness, Session};
use trunkline_protocol::timings::Timings;
use trunkline_protocol::token::TokenClock;

use super::answers::{lane, outcome, understood};
use super::platform::{ORIGIN_MS, Platform, Wire};
use super::requests;

/// What a process hears, in order.
#[derive(Clone, Debug)]
pub enum Heard {
    Opened { epoch: EpochId, leg: Leg, joining: bool, socket: u64 },
    Frame { epoch: EpochId, leg: Leg, text: std::sync::Arc<str> },
    Pong { epoch: EpochId, sent: Wall },
    Ended { epoch: EpochId, reason: EndReason },
}

#[derive(Clone, Debug)]
enum Wish {
    Token,
    Call(Leg, Life, Step),
    History(Request),
}

struct UnderWay {
    due_ms: u64,
    ticket: Ticket,
    wish: Wish,
    sent: Mono,
    answer: Answer,
    dialled: Option<u64>,
    served_ms: u64,
}

struct Open {
    leg: Leg,
    life: Life,
    epoch: EpochId,
    socket: u64,
    session: Session,
    ping_sent: Option<Mono>,
}

pub struct Client {
    pub name: String,
    timings: Timings,
    gate: Gate,
    clock: TokenClock,
    token: Option<String>,
    dice: Dice,
    legs: BTreeMap<Leg, rotation::Leg>,
    wishes: BTreeMap<Ticket, Wish>,
    /// Wait for a token.
    parked: Vec<Wish>,
    answers: Vec<UnderWay>,
    sockets: Vec<Open>,
    server: ServerTime,
    /// The answer to the request that reads history.
    pub history: Option<Answer>,
    pub heard: Vec<Heard>,
    pub news: Vec<News>,
    /// Monotonic time at time 0.
    mono0: u64,
    delay_ms: u64,
}

impl Client {
    pub fn new(
        name: &str,
        legs: impl IntoIterator<Item = Leg>,
        shards: &[Vec<String>],
        timings: &Timings,
        mono0: u64,
        now_ms: u64,
        mut dice: Dice,
    ) -> Self {
        let now = Mono(mono0 + now_ms * 1_000_000);
        let budget = Budget::new(300, 1, now);
        let gate = Gate::new(
            budget,
            timings.probe_cap,
            timings.retry_after_jitter,
            Dice::new(dice.next_u64()),
        );
        let rules = |leg: Leg| {
            let wanted = shards[usize::from(leg.shard)].iter().cloned().collect();
            (leg, rotation::Leg::new(timings.clone(), leg.ordinal, wanted, now))
        };
        let legs: BTreeMap<Leg, rotation::Leg> = legs.into_iter().map(rules).collect();
        let mut client = Self {
            name: name.to_owned(),
            gate,
            clock: TokenClock::new(timings.token_lead, timings.backoff_cap, now),
            token: None,
            legs,
            wishes: BTreeMap::new(),
            parked: Vec::new(),
            answers: Vec::new(),
            sockets: Vec::new(),
            server: ServerTime::new(),
            history: None,
            heard: Vec::new(),
            news: Vec::new(),
            mono0,
            delay_ms: 20 + dice.next_u64() % 200,
            timings: timings.clone(),
            dice,
        };
        client.gate.reserve(u32::try_from(client.legs.len() * 5).expect("few"));
        client
    }

    pub fn mono(&self, now_ms: u64) -> Mono {
        Mono(self.mono0 + now_ms * 1_000_000)
    }

    /// The platform's time as this process knows it.
    pub fn reading(&self, at: Mono) -> Option<Reading> {
        self.server.read(at)
    }

    pub fn suspect(&mut self, epoch: EpochId, now: Mono) {
        let open = self.sockets.iter().find(|open| open.epoch == epoch);
        if let Some((leg, life)) = open.map(|open| (open.leg, open.life)) {
            self.legs.get_mut(&leg).expect("its leg").suspect(life, now);
        }
    }

    pub fn ask_history(&mut self, request: Request) {
        self.parked.push(Wish::History(request));
    }

    pub fn stop(&mut self) {
        self.legs.values_mut().for_each(rotation::Leg::stop);
    }

    pub fn is_over(&self) -> bool {
        let dials = |wish: &Wish| matches!(wish, Wish::Call(_, _, Step::Dial));
        let under_way = self.answers.iter().map(|answer| &answer.wish);
        let mut wishes = self.parked.iter().chain(self.wishes.values()).chain(under_way);
        self.sockets.is_empty() && !wishes.any(dials)
    }

    /// The process is gone, and the platform notices at once.
    pub fn gone(&mut self, platform: &mut Platform) {
        self.sockets.iter().for_each(|open| platform.drop_socket(open.socket));
    }

    /// When something is due, in milliseconds.
    pub fn next_ms(&self) -> u64 {
        let sessions = self.sockets.iter().filter_map(|open| open.session.poll_timeout());
        let legs = self.legs.values().filter_map(rotation::Leg::poll_timeout);
        let rules = [self.clock.poll_timeout(), self.gate.poll_timeout()];
        let mono = sessions.chain(legs).chain(rules.into_iter().flatten()).min();
        // rounded up: what is due within a millisecond is due at its end
        let mono = mono.map(|at| at.0.saturating_sub(self.mono0).div_ceil(1_000_000));
        let answers = self.answers.iter().map(|answer| answer.due_ms);
        answers.chain(mono).min().unwrap_or(u64::MAX)
    }

    /// Whether a socket has something to read.
    pub fn has_wires(&self, platform: &Platform) -> bool {
        self.sockets.iter().any(|open| platform.has_wire(open.socket))
    }

    /// Does everything that is due now; sockets are read only when there is room.
    pub fn step(&mut self, platform: &mut Platform, room: bool) {
        let now = self.mono(platform.now_ms);
        if room {
            self.read(platform, now);
        }
        let due: Vec<_> =
            self.answers.extract_if(.., |answer| answer.due_ms <= platform.now_ms).collect();
        due.into_iter().for_each(|answer| self.answered(answer, now));
        for _ in 0..4 {
            let live: BTreeSet<Leg> = self
                .legs
                .iter()
                .filter(|(_, rules)| rules.is_live())
                .map(|(leg, _)| *leg)
                .collect();
            let of_shard: BTreeMap<Leg, bool> = self
                .legs
                .keys()
                .map(|leg| {
                    let mut others = self.legs.keys().filter(|o| o.shard == leg.shard && *o != leg);
                    let alone = others.clone().next().is_none();
                    (*leg, alone || others.any(|other| live.contains(other)))
                })
                .collect();
            let mut wishes = Vec::new();
            for (leg, rules) in &mut self.legs {
                rules.sibling(of_shard[leg]);
                rules.handle_timeout(now);
                while let Some(action) = rules.poll() {
                    wishes.push((*leg, action));
                }
            }
            if wishes.is_empty() {
                break;
            }
            wishes.into_iter().for_each(|(leg, action)| self.act(leg, action, platform, now));
        }
        if self.clock.poll(now) {
            self.wish(Wish::Token);
        }
        if self.clock.is_valid(now) {
            std::mem::take(&mut self.parked).into_iter().for_each(|wish| self.wish(wish));
        }
        while let Some(ticket) = self.gate.poll(now) {
            if let Some(wish) = self.wishes.remove(&ticket) {
                self.send(ticket, wish, platform, now);
            }
        }
    }

    fn act(&mut self, leg: Leg, action: rotation::Action, platform: &mut Platform, now: Mono) {
        match action.what {
            Do::Call(step) => self.parked.push(Wish::Call(leg, action.life, step)),
            Do::Close(reason) => {
                let open = self.sockets.iter_mut().find(|o| o.leg == leg && o.life == action.life);
                if let Some(open) = open {
                    open.session.handle(session::Input::Close(reason), now);
                }
                self.sessions(platform, now);
            }
            Do::NowLive | Do::Down(_) | Do::Topics(_) | Do::Covered(_) | Do::Crowded(_) => {}
        }
    }

    fn wish(&mut self, wish: Wish) {
        let (endpoint, priority) = match &wish {
            Wish::Token => (Endpoint::Token, Priority::Token),
            Wish::History(_) => (Endpoint::History, Priority::Backfill),
            Wish::Call(_, _, step) => lane(*step),
        };
        let ticket = self.gate.ask(endpoint, priority);
        self.wishes.insert(ticket, wish);
    }

    fn send(&mut self, ticket: Ticket, wish: Wish, platform: &mut Platform, now: Mono) {
        let token = self.token.clone().unwrap_or_default();
        let channel = |leg: &Leg, life: &Life| self.legs[leg].channel(*life);
        let mut dialled = None;
        let answer = match &wish {
            Wish::Token => platform.ask(&self.name, &requests::token(&self.name)),
            Wish::History(request) => {
                let authorization = Some(format!("Bearer {token}"));
                platform.ask(&self.name, &Request { authorization, ..request.clone() })
            }
            Wish::Call(leg, life, step) => {
                let Some(channel) = channel(leg, life) else {
                    self.gate.report(ticket, Outcome::Answered, now); // retired meanwhile
                    return;
                };
                let id = channel.info().map(|info| info.id.clone()).unwrap_or_default();
                match step {
                    Step::Count => platform.ask(&self.name, &requests::count(&token)),
                    Step::Create => platform.ask(&self.name, &requests::create(&token)),
                    Step::Subscribe => {
                        let request = requests::subscribe(&token, &id, channel.wanted());
                        platform.ask(&self.name, &request)
                    }
                    Step::Verify => platform.ask(&self.name, &requests::listed(&token, &id)),
                    Step::Dial => {
                        let uri = channel.info().map(|info| info.uri.clone()).unwrap_or_default();
                        match platform.dial(&self.name, &uri) {
                            Ok(socket) => {
                                dialled = Some(socket);
                                Answer::default()
                            }
                            Err(answer) => answer,
                        }
                    }
                }
            }
        };
        let served_ms = platform.now_ms;
        let due_ms = served_ms + self.delay_ms + answer.delay_ms;
        let answer = UnderWay { due_ms, ticket, wish, sent: now, answer, dialled, served_ms };
        self.answers.push(answer);
    }

    fn answered(&mut self, answer: UnderWay, now: Mono) {
        let UnderWay { ticket, wish, sent, answer, dialled, served_ms, .. } = answer;
        if let Wish::Call(leg, life, Step::Dial) = wish {
            let reached = dialled.map_or_else(|| outcome(&answer), |_| Outcome::Answered);
            self.gate.report(ticket, reached, now);
            let input = match (dialled, answer.status) {
                (Some(socket), _) => {
                    self.opened(leg, life, socket, now);
                    Input::Opened
                }
                (None, 401 | 403 | 404) => Input::Gone,
                (None, _) => Input::Failed,
            };
            self.tell(leg, life, input, now);
            return;
        }
        self.gate.report(ticket, outcome(&answer), now);
        if answer.status != 0 {
            let date = (ORIGIN_MS + served_ms) / 1_000 * 1_000;
            self.server.sample(sent, now, Wall(i64::try_from(date).expect("in range")));
        }
        if answer.status == 401 {
            self.clock.rejected(now);
        }
        let good = (200..300).contains(&answer.status);
        let body: Option<Value> = good.then(|| serde_json::from_str(&answer.body).ok()).flatten();
        match wish {
            Wish::Token => match body {
                Some(body) => {
                    self.token = body["access_token"].as_str().map(str::to_owned);
                    let life = Duration::from_secs(body["expires_in"].as_u64().unwrap_or(0));
                    self.clock.granted(life, now, &mut self.dice);
                }
                None => self.clock.failed(now, &mut self.dice),
            },
            Wish::History(_) => self.history = Some(answer),
            Wish::Call(leg, life, step) => {
                let input = match body {
                    Some(body) => understood(step, &body, now),
                    None if answer.status == 404 => Input::Gone,
                    None => Input::Failed,
                };
                self.tell(leg, life, input, now);
            }
        }
    }

    fn tell(&mut self, leg: Leg, life: Life, input: Input, now: Mono) {
        if let Some(rules) = self.legs.get_mut(&leg) {
            rules.handle(life, input, now, &mut self.dice);
        }
    }

    fn opened(&mut self, leg: Leg, life: Life, socket: u64, now: Mono) {
        let epoch = EpochId(self.dice.bytes16());
        let mut others = self.legs.iter().filter(|(o, _)| o.shard == leg.shard && **o != leg);
        let joining = others.any(|(_, rules)| rules.is_live()) || self.legs[&leg].is_live();
        self.heard.push(Heard::Opened { epoch, leg, joining, socket });
        if let Some(channel) = self.legs[&leg].channel(life) {
            let topics = channel.covered().clone();
            let at = self.server.read(now).map_or(Wall(0), |reading| reading.latest);
            self.news.push(News::Begun { epoch, leg, topics, at, rides: None });
        }
        let liveness = Liveness::ApplicationPing {
            interval: self.timings.ping_interval,
            timeout: self.timings.ping_timeout,
        };
        let session = Session::opened(liveness, now);
        self.sockets.push(Open { leg, life, epoch, socket, session, ping_sent: None });
    }

    /// What had arrived is read before a deadline counts: it may have been our own fault.
    fn read(&mut self, platform: &mut Platform, now: Mono) {
        for open in &mut self.sockets {
            while !open.session.is_ended()
                && let Some(wire) = platform.wire(open.socket)
            {
                let input = match wire {
                    Wire::Text(text) => match envelope::sniff(&text) {
                        Sniff::Pong => {
                            let sent = open.ping_sent.take();
                            let sent = sent.and_then(|sent| self.server.read(sent));
                            if let Some(reading) = sent {
                                let (epoch, sent) = (open.epoch, reading.earliest);
                                self.heard.push(Heard::Pong { epoch, sent });
                            }
                            session::Input::Pong
                        }
                        Sniff::System(notice) => session::Input::Notice(notice),
                        Sniff::Event(_) | Sniff::Unreadable => {
                            let (epoch, leg) = (open.epoch, open.leg);
                            self.heard.push(Heard::Frame { epoch, leg, text });
                            session::Input::Heard
                        }
                        Sniff::Heartbeat | Sniff::SocketReply => session::Input::Heard,
                    },
                    Wire::Closed(code) => session::Input::Closed(Some(code)),
                    Wire::Broken => session::Input::Broken,
                };
                open.session.handle(input, now);
            }
            if open.session.poll_timeout().is_some_and(|due| due <= now) {
                open.session.handle_timeout(now);
            }
        }
        self.sessions(platform, now);
    }

    fn sessions(&mut self, platform: &mut Platform, now: Mono) {
        let mut told = Vec::new();
        for open in &mut self.sockets {
            while let Some(action) = open.session.poll() {
                match action {
                    session::Action::SendPing => {
                        open.ping_sent = Some(now);
                        platform.say(open.socket, "{\"message\":\"ping\"}");
                    }
                    session::Action::Live => told.push((open.leg, open.life, Input::Live)),
                    session::Action::Notice(notice) => {
                        if notice == envelope::SystemNotice::TokenRevoked {
                            self.clock.rejected(now);
                        }
                        told.push((open.leg, open.life, Input::Notice(notice)));
                    }
                    session::Action::End(reason) => {
                        platform.drop_socket(open.socket);
                        self.heard.push(Heard::Ended { epoch: open.epoch, reason });
                        told.push((open.leg, open.life, Input::Ended(reason)));
                    }
                    // the other end closes at once
                    session::Action::SendClose => {
                        open.session.handle(session::Input::Closed(Some(1000)), now);
                    }
                    session::Action::SendProtocolPing => {}
                }
            }
        }
        self.sockets.retain(|open| !open.session.is_ended());
        told.into_iter().for_each(|(leg, life, input)| self.tell(leg, life, input, now));
    }
}
