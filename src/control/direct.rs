//! Direct mode: one configured URL with the token on its query string.
//!
//! The endpoint is documented nowhere; what is relied on was reported by its users. Coverage is at
//! most "connected", never proven.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::sync::{mpsc, watch};
use trunkline_protocol::backoff::Hint;
use trunkline_protocol::budget::Budget;
use trunkline_protocol::direct::{Action, Direct, DirectTimings};
use trunkline_protocol::domain::{Dice, EndReason, EpochId, Leg, Mono};
use trunkline_protocol::gate::{Endpoint, Gate as Rules, Outcome, Priority};
use trunkline_protocol::ledger::News;
use trunkline_protocol::session::Liveness;
use trunkline_protocol::topic::DIRECT;

use super::{Client, Control};
use crate::genesys::gate::{Gate, Turn};
use crate::session::{Refusal, SessionParts, SocketCommand, SocketEvent, SocketOrder, run_socket};
use crate::supervisor::{Supervisor, Uninvited};

/// The endpoint and what is expected of it.
#[derive(Clone, Debug)]
pub struct DirectSettings {
    /// `wss://…`; query parameters are kept.
    pub url: url::Url,
    /// Name of the query parameter that carries the token.
    pub token_parameter: String,
    /// How long a connection is expected to last, until some have told.
    pub lifetime: Duration,
    /// Connections side by side, successors aside.
    pub connections: u8,
    /// Dials that the endpoint takes in a minute, from all processes that share the client.
    pub dials_per_minute: u32,
    /// Processes that share it.
    pub processes: u32,
    /// Silence after which a connection counts as half-open.
    pub silence: Duration,
}

/// Runs until `stop` turns true and every socket is closed.
///
/// # Errors
/// When a connection's task ends before that.
pub async fn run(
    control: Control,
    settings: DirectSettings,
    client: Client,
    stop: watch::Receiver<bool>,
) -> Result<(), Uninvited> {
    let timings =
        DirectTimings { lifetime: settings.lifetime, backoff_cap: control.timings.backoff_cap };
    let rules = Direct::new(settings.connections, timings, control.clock.mono());
    let (tell, told) = mpsc::channel(16);
    let dice = Dice::new(control.seed);
    let (sockets, mut tasks) = (BTreeMap::new(), Supervisor::new());
    let dials = gate(&control, &settings);
    tasks.spawn_infallible("gate of dials", dials.clone().run());
    let driver = Driver {
        control,
        settings,
        client,
        dials,
        rules,
        sockets,
        tasks,
        tell,
        dice,
        refused: None,
        room: None,
    };
    let shards = vec![topics()];
    let wanted = News::Wanted { shards, looked_before: None };
    driver.control.news.send(wanted).await.ok(); // or nobody keeps books
    driver.run(told, stop).await
}

fn gate(control: &Control, settings: &DirectSettings) -> Gate {
    let clock = control.clock;
    let budget = Budget::new(settings.dials_per_minute, settings.processes, clock.mono());
    let (cap, jitter) = (control.timings.probe_cap, control.timings.retry_after_jitter);
    Gate::new(Rules::new(budget, cap, jitter, Dice::new(!control.seed)), clock)
}

fn topics() -> BTreeSet<String> {
    BTreeSet::from([DIRECT.to_owned()])
}

struct Driver {
    control: Control,
    settings: DirectSettings,
    client: Client,
    /// Where dials wait for their turn: the endpoint counts them alone.
    dials: Gate,
    rules: Direct,
    sockets: BTreeMap<u8, Held>,
    tasks: Supervisor,
    tell: mpsc::Sender<(u8, Told)>,
    dice: Dice,
    /// The last status with which the endpoint refused, so that it is said once.
    refused: Option<u16>,
    room: Option<usize>,
}

struct Held {
    epoch: EpochId,
    is_live: bool,
    commands: mpsc::Sender<SocketCommand>,
}

/// What became of a dial.
enum Told {
    /// It was given up before it began.
    GivenUp,
    Socket(SocketEvent),
}

/// A token must outlive a connection by this much.
const MARGIN: Duration = Duration::from_secs(5);

impl Driver {
    async fn run(
        mut self,
        mut told: mpsc::Receiver<(u8, Told)>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Uninvited> {
        let mut stopping = false;
        loop {
            let now = self.control.clock.mono();
            while let Some(action) = self.rules.poll(now) {
                match action {
                    Action::Dial(place) => self.dial(place, stop.clone()),
                    Action::Close(place) => self.close(place),
                }
            }
            if stopping && self.sockets.is_empty() {
                return Ok(());
            }
            let due = self.rules.poll_timeout(now);
            tokio::select! {
                biased;
                () = stopped(&mut stop), if !stopping => {
                    stopping = true;
                    self.rules.stop();
                    let places: Vec<u8> = self.sockets.keys().copied().collect();
                    places.into_iter().for_each(|place| self.close(place));
                }
                Some((place, told)) = told.recv() => self.told(place, told).await,
                Some(ended) = self.tasks.next() => if ended.failure.is_some() {
                    return Err(ended.into());
                },
                () = self.control.clock.sleep_until(due) => {}
            }
        }
    }

    fn dial(&mut self, place: u8, stop: watch::Receiver<bool>) {
        let (commands, receiver) = mpsc::channel(4);
        let epoch = EpochId(self.dice.bytes16());
        let dial = Dial {
            place,
            settings: self.settings.clone(),
            client: self.client.clone(),
            dials: self.dials.clone(),
            session: self.control.session.clone(),
            order: SocketOrder {
                tag: u64::from(place),
                url: String::new(),
                epoch,
                leg: Leg { shard: 0, ordinal: place },
                joining: self.live() > 0,
                liveness: Liveness::Silence { limit: self.settings.silence },
            },
            tell: self.tell.clone(),
        };
        self.tasks.spawn_infallible(format!("direct {place}"), dial.run(receiver, stop));
        self.sockets.insert(place, Held { epoch, is_live: false, commands });
        self.post(place);
    }

    fn close(&mut self, place: u8) {
        let commands = self.sockets.get(&place).map(|held| &held.commands);
        // a full or closed channel means that it closes already
        commands.map(|to| to.try_send(SocketCommand::Close(EndReason::Rotation)).ok());
    }

    async fn told(&mut self, place: u8, told: Told) {
        let now = self.control.clock.mono();
        match told {
            Told::GivenUp => {
                self.sockets.remove(&place);
            }
            Told::Socket(SocketEvent::Open) => {
                self.refused = None;
                self.control.metrics.connected();
                self.rules.opened(place, now);
                if let Some(held) = self.sockets.get(&place) {
                    let leg = Leg { shard: 0, ordinal: place };
                    self.control.begun(held.epoch, leg, topics(), None);
                }
            }
            Told::Socket(SocketEvent::Live) => {
                self.sockets.get_mut(&place).into_iter().for_each(|held| held.is_live = true);
                self.post(place);
            }
            Told::Socket(SocketEvent::Notice(_)) => {}
            Told::Socket(SocketEvent::Refused(refusal)) => self.refuse(place, &refusal, now),
            Told::Socket(SocketEvent::Ended(reason)) => self.ended(place, reason, now).await,
        }
        if self.room != self.rules.room() {
            self.room = self.rules.room();
            if let Some(room) = self.room {
                tracing::warn!(
                    code = "direct_room",
                    room,
                    "the endpoint takes no more connections than these: successors wait for the end of one"
                );
            }
        }
    }

    fn refuse(&mut self, place: u8, refusal: &Refusal, now: Mono) {
        self.sockets.remove(&place);
        self.control.metrics.refused(refusal.status);
        if refusal.status == Some(401) {
            self.client.token_rejected();
        }
        if refusal.status.is_some() && refusal.status != self.refused {
            tracing::error!(
                code = "direct_refused",
                status = refusal.status,
                "the endpoint refuses the upgrade: its path is in no Genesys SDK, and the OAuth client may lack a permission; \
                 genesys.mode: channels listens through the documented Notification API"
            );
        }
        self.refused = refusal.status.or(self.refused);
        let about_us = refusal.status.is_some_and(|s| (400..500).contains(&s) && s != 401);
        self.rules.refused(place, about_us, now, &mut self.dice);
        self.post(place);
    }

    async fn ended(&mut self, place: u8, reason: EndReason, now: Mono) {
        // 1000 is ambiguous by itself; the token's own end decides
        let ended_token = reason == EndReason::Close1000 && !self.client_is_fresh().await;
        let reason = if ended_token { EndReason::Token } else { reason };
        self.sockets.remove(&place);
        let lived = self.rules.ended(place, reason, now, &mut self.dice);
        let leg = Leg { shard: 0, ordinal: place };
        self.control.metrics.ended(reason);
        self.control.board.ended(leg, reason, self.control.clock.now().wall);
        self.post(place);
        tracing::info!(
            code = "channel_down",
            leg = place,
            reason = reason.as_str(),
            lived_secs = lived.as_secs(),
            live = self.live(),
            "direct connection down"
        );
    }

    /// Whether the token at hand outlives the next connection.
    async fn client_is_fresh(&self) -> bool {
        let fresh = self.client.token_for(MARGIN);
        tokio::time::timeout(Duration::from_millis(1), fresh).await.is_ok()
    }

    fn live(&self) -> usize {
        self.sockets.values().filter(|held| held.is_live).count()
    }

    /// A place that is not needed now, while enough others live, is a spare one.
    fn post(&self, place: u8) {
        let (held, live) = (self.sockets.get(&place), self.live());
        let enough = live >= usize::from(self.settings.connections);
        let phase = match held {
            Some(held) if held.is_live => "live",
            Some(_) | None if enough => "spare",
            Some(_) => "connect",
            None => "waiting",
        };
        let leg = Leg { shard: 0, ordinal: place };
        let epoch = held.filter(|held| held.is_live).map(|held| held.epoch);
        self.control.metrics.live_channels(0, live);
        self.control.board.channel(leg, phase, epoch, self.control.clock.now().wall);
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok(); // or nobody can say so any more
}

/// One connection, from the wish to its end.
struct Dial {
    place: u8,
    settings: DirectSettings,
    client: Client,
    dials: Gate,
    session: SessionParts,
    order: SocketOrder,
    tell: mpsc::Sender<(u8, Told)>,
}

impl Dial {
    async fn run(
        mut self,
        commands: mpsc::Receiver<SocketCommand>,
        mut stop: watch::Receiver<bool>,
    ) {
        let span = self.settings.lifetime + MARGIN;
        let prepared = async {
            let turn = self.dials.turn(Endpoint::Dial, Priority::FinishReconnect).await;
            (self.client.token_for(span).await, turn)
        };
        let (token, turn) = tokio::select! {
            biased;
            () = stopped(&mut stop) => {
                self.tell.send((self.place, Told::GivenUp)).await.ok(); // or nobody waits for it
                return;
            }
            prepared = prepared => prepared,
        };
        let mut url = self.settings.url.clone();
        url.query_pairs_mut().append_pair(&self.settings.token_parameter, token.expose_secret());
        self.order.url = url.into();
        let (events_in, events) = mpsc::channel(16);
        let socket = run_socket(self.order, self.session, commands, events_in);
        tokio::join!(socket, pass_on(self.place, turn, events, self.tell));
    }
}

/// Reports how the dial went to the waiting room, and passes everything on.
async fn pass_on(
    place: u8,
    turn: Turn,
    mut events: mpsc::Receiver<(u64, SocketEvent)>,
    tell: mpsc::Sender<(u8, Told)>,
) {
    let mut turn = Some(turn);
    let mut over = false;
    while let Some((_, event)) = events.recv().await {
        let outcome = match &event {
            SocketEvent::Refused(refusal) => outcome(refusal),
            SocketEvent::Open
            | SocketEvent::Live
            | SocketEvent::Notice(_)
            | SocketEvent::Ended(_) => Outcome::Answered,
        };
        over = matches!(event, SocketEvent::Refused(_) | SocketEvent::Ended(_));
        turn.take().into_iter().for_each(|turn| turn.report(outcome, None));
        tell.send((place, Told::Socket(event))).await.ok(); // or nobody waits for it
    }
    if !over {
        let lost = SocketEvent::Ended(EndReason::Reset);
        tell.send((place, Told::Socket(lost))).await.ok(); // the same
    }
}

fn outcome(refusal: &Refusal) -> Outcome {
    match refusal.status {
        Some(429) => Outcome::RateLimited(Hint::parse(refusal.retry_after.as_deref())),
        Some(status) if status < 500 => Outcome::Answered,
        Some(_) | None => Outcome::Failed,
    }
}
