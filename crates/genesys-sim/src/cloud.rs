//! The core: requests and ticks in, answers and frames out. Time is an argument, in milliseconds
//! since the simulation began.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::channels::{Channels, SocketId};
use crate::dials::{Dial, wanted_directly};
use crate::ends::Ends;
use crate::faults::{Applied, Fault, What};
use crate::history::History;
use crate::http::Answer;
use crate::ledger::{Entry, Ledger};
use crate::limits::Limits;
use crate::oauth::OAuth;
use crate::settings::Settings;
use crate::streaming::Socket;
use crate::traffic::{Change, Traffic, uuid};

/// What the front end has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this text.
    Text(SocketId, Arc<str>),
    /// Send a close frame and end the socket.
    Close(SocketId, u16, String),
    /// Reset the connection.
    Reset(SocketId),
    /// Stop reading and writing; the connection stays.
    Freeze(SocketId),
    /// The embedding process takes its broker away for this long.
    BrokerDown {
        /// Milliseconds.
        for_ms: u64,
    },
    /// The embedding process kills its connector and starts another one.
    Kill,
}

/// A Genesys Cloud.
#[derive(Debug)]
pub struct Cloud {
    pub(crate) settings: Settings,
    pub(crate) traffic: Traffic,
    pub(crate) oauth: OAuth,
    pub(crate) limits: Limits,
    pub(crate) channels: Channels,
    pub(crate) sockets: BTreeMap<SocketId, Socket>,
    pub(crate) faults: Faults,
    pub(crate) rng: StdRng,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) base_uri: String,
    pub(crate) wall_origin_ms: u64,
    pub(crate) now_ms: u64,
    pub(crate) dials: VecDeque<Dial>,
    pub(crate) full: BTreeSet<SocketId>,
    pub(crate) ends: Ends,
    ledger: Ledger,
    pub(crate) history: History,
    next_socket: SocketId,
    counters: Counters,
}

/// What was seen, for tests and reports.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Counters {
    /// REST requests, token requests included.
    pub requests: u64,
    /// Attempts to open a socket.
    pub dials: u64,
    /// 429 answers.
    pub rate_limited: u64,
    /// Dials of the direct mode with a token that had expired: must be 0.
    pub expired_dials: u64,
    /// Sockets that were opened.
    pub opened: u64,
    /// Channels that were made.
    pub channels_created: u64,
    /// Channels that were removed for a newer one while a socket was open on them.
    pub connected_evicted: u64,
}

/// Faults waiting, in force and done.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) waiting: VecDeque<Fault>,
    /// In force until a time, or for so many more effects.
    pub(crate) active: Vec<Active>,
    pub(crate) applied: Vec<Applied>,
}

#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) fault: Fault,
    pub(crate) until_ms: u64,
    pub(crate) left: Option<u32>,
    /// Its place in the list of applied faults.
    pub(crate) index: usize,
}

impl Cloud {
    /// A platform with this behaviour and traffic. `base_uri` is where sockets are opened, e.g.
    /// `ws://127.0.0.1:8080`; `wall_origin_ms` is the date of time 0.
    #[must_use]
    pub fn new(
        settings: Settings,
        traffic: Traffic,
        seed: u64,
        base_uri: &str,
        wall_origin_ms: u64,
    ) -> Self {
        Self {
            settings,
            traffic,
            oauth: OAuth::default(),
            limits: Limits::default(),
            channels: Channels::default(),
            sockets: BTreeMap::new(),
            faults: Faults::default(),
            rng: StdRng::seed_from_u64(seed ^ 0x5eed),
            outputs: VecDeque::new(),
            base_uri: base_uri.to_owned(),
            wall_origin_ms,
            now_ms: 0,
            dials: VecDeque::new(),
            full: BTreeSet::new(),
            ends: Ends::default(),
            ledger: Ledger::default(),
            history: History::default(),
            next_socket: 0,
            counters: Counters::default(),
        }
    }

    /// The next thing the front end has to do; call until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The traffic, whose changes the owner publishes when they are due.
    pub fn traffic(&mut self) -> &mut Traffic {
        &mut self.traffic
    }

    /// Makes the next change of the traffic and fans it out.
    pub fn publish_next(&mut self, now_ms: u64) -> usize {
        let channels = &self.channels;
        let direct = self.has_direct().then_some(self.settings.direct_frames);
        let change = self.traffic.next(&|topic| {
            channels.listeners(topic).next().is_some()
                || direct.is_some_and(|frames| wanted_directly(frames, topic))
        });
        self.publish(&change, now_ms)
    }

    /// Fans a change out; returns how many of its events were wanted.
    pub fn publish(&mut self, change: &Change, now_ms: u64) -> usize {
        let mut covered = 0;
        if let Some(story) = &change.story {
            self.history.note(story.clone(), &self.settings);
        }
        for notification in &change.notifications {
            let body = notification.body.as_ref();
            let id = Some(change.conversation_id.clone());
            covered += usize::from(self.fan_out(&notification.topic, body, id, now_ms));
        }
        covered
    }

    /// Fans one event out and writes it into the ledger; says whether anybody wanted it.
    pub fn fan_out(
        &mut self,
        topic: &str,
        body: Option<&Arc<str>>,
        conversation_id: Option<String>,
        now_ms: u64,
    ) -> bool {
        self.now_ms = now_ms;
        let (mut delivered, mut dropped) = (Vec::new(), Vec::new());
        if let Some(body) = body {
            let ids = self.channels.listeners(topic).filter_map(|id| self.channels.get(id));
            let listeners: Vec<_> = ids.map(|channel| (channel.number, channel.socket)).collect();
            let mut same = None;
            for (number, socket) in listeners {
                let put = self.hears(socket, now_ms).and_then(|id| {
                    let text = match &same {
                        Some(text) => Arc::clone(text),
                        None => self.envelope(topic, body),
                    };
                    if self.settings.same_correlation_id {
                        same = Some(Arc::clone(&text));
                    }
                    self.put(id, text)
                });
                match put {
                    Ok(()) => delivered.push(number),
                    Err(why) => dropped.push((number, why)),
                }
            }
            self.deliver_direct(topic, body, &mut delivered, &mut dropped, now_ms);
        }
        let covered = !delivered.is_empty() || !dropped.is_empty();
        self.ledger.push(Entry {
            seq: 0,
            at_ms: now_ms,
            topic: topic.to_owned(),
            conversation_id,
            covered,
            body: body.filter(|_| covered).cloned(),
            delivered,
            dropped,
        });
        covered
    }

    /// The frame of an event, with a correlation id of its own.
    pub(crate) fn envelope(&mut self, topic: &str, body: &str) -> Arc<str> {
        let (high, low) = self.random_pair();
        let extras = self.settings.metadata_extras_share;
        let extras = extras > 0.0 && self.rng.random_bool(extras);
        let mut text = String::with_capacity(body.len() + topic.len() + 160);
        for part in [r#"{"topicName":""#, topic, r#"","version":"2","eventBody":"#, body] {
            text.push_str(part);
        }
        let id = format!(r#","metadata":{{"CorrelationId":"{high:016x}{low:016x}""#);
        text.push_str(&id);
        text.push_str(if extras { r#","type":"UPDATE","origin":{}}}"# } else { "}}" });
        Arc::from(text)
    }

    /// How ledgers and faults name a channel: the order of its creation, from 1.
    #[must_use]
    pub fn channel_number(&self, id: &str) -> Option<u64> {
        self.channels.get(id).map(|channel| channel.number)
    }

    /// Sockets whose readers are so slow that their events are dropped for now.
    pub fn mark_full(&mut self, full: BTreeSet<SocketId>) {
        self.full = full;
    }

    /// The behaviour in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the behaviour from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What the analytics interfaces know.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Everything that was generated.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The same, to move old entries elsewhere.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// What was seen so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub(crate) fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// Adds a fault; it happens when its time has come.
    pub fn inject(&mut self, fault: Fault) {
        let at = self.faults.waiting.partition_point(|other| other.at_ms <= fault.at_ms);
        self.faults.waiting.insert(at, fault);
    }

    /// Faults that were carried out, in order.
    #[must_use]
    pub fn applied(&self) -> &[Applied] {
        &self.faults.applied
    }

    /// Faults that still wait for their time.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.faults.waiting.len()
    }

    /// Numbers of the channels that have a socket.
    #[must_use]
    pub fn connected(&self) -> Vec<u64> {
        let open = self.channels.all().filter(|(_, channel)| channel.socket.is_some());
        open.map(|(_, channel)| channel.number).collect()
    }

    /// Topics that channels are subscribed to.
    #[must_use]
    pub fn wanted(&self) -> BTreeSet<String> {
        self.channels.wanted().cloned().collect()
    }

    pub(crate) fn new_socket_id(&mut self) -> SocketId {
        self.next_socket += 1;
        self.next_socket
    }

    pub(crate) fn random_pair(&mut self) -> (u64, u64) {
        (self.rng.random(), self.rng.random())
    }

    pub(crate) fn random_id(&mut self) -> String {
        uuid(&mut self.rng)
    }

    /// The active fault of this kind that applies, counting one effect.
    pub(crate) fn active(
        &mut self,
        what: What,
        now_ms: u64,
        applies: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        let found = self.faults.active.iter_mut().find(|active| {
            let lasts = active.left.map_or(now_ms < active.until_ms, |left| left > 0);
            active.fault.what == what && lasts && applies(&active.fault)
        })?;
        if let Some(left) = &mut found.left {
            *left -= 1;
        }
        if let Some(applied) = self.faults.applied.get_mut(found.index) {
            applied.effects += 1;
        }
        Some(found.fault.clone())
    }

    /// Whether nothing of the platform answers now.
    pub(crate) fn is_out(&mut self, now_ms: u64) -> bool {
        self.active(What::Outage, now_ms, |_| true).is_some()
    }

    /// Refuses an upgrade or a request of the direct mode.
    pub(crate) fn count_refusal(&mut self, answer: &Answer) {
        if answer.status == 429 {
            self.counters.rate_limited += 1;
        }
    }
}
