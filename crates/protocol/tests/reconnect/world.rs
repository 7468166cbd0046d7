//! A platform and its clients under one simulated clock. One step is 50 ms; a request or a dial is
//! answered one step after it was made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use genesys_sim::cloud::Counters;
use genesys_sim::faults::{Args, Fault, What, Whom};
use genesys_sim::http::{Answer, Request};
use genesys_sim::traffic::{Profile, Traffic};
use genesys_sim::{Cloud, Output, Settings};
use serde_json::Value;

use super::requests;

/// Milliseconds per step.
pub const STEP_MS: u64 = 50;

/// What a socket experienced.
#[derive(Clone, Debug)]
pub enum Wire {
    /// A text arrived.
    Text(String),
    /// A close frame arrived.
    Closed(u16),
    /// The connection broke.
    Broken,
}

/// The platform, its clock, and what was asked of it.
pub struct World {
    /// Milliseconds since the start.
    pub now_ms: u64,
    /// The simulated platform.
    pub cloud: Cloud,
    wires: BTreeMap<u64, Vec<Wire>>,
    /// When each request or dial was made.
    pub asked_ms: Vec<u64>,
    /// 429 answers.
    pub rate_limited: u64,
}

impl World {
    /// A platform with these OAuth clients.
    pub fn new(clients: &[&str], seed: u64) -> Self {
        let pair = |id: &&str| ((*id).to_owned(), "secret".to_owned());
        let settings =
            Settings { clients: clients.iter().map(pair).collect(), ..Settings::default() };
        let traffic = Traffic::new(seed, Profile { queues: 4, users: 4, ..Profile::default() });
        let cloud = Cloud::new(settings, traffic, seed, "ws://sim", 0);
        let wires = BTreeMap::new();
        Self { now_ms: 0, cloud, wires, asked_ms: Vec::new(), rate_limited: 0 }
    }

    /// Moves the clock one step.
    pub fn step(&mut self) {
        self.now_ms += STEP_MS;
        self.cloud.tick(self.now_ms);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.cloud.poll() {
            let (socket, wire) = match output {
                Output::Text(socket, text) => (socket, Wire::Text(text.to_string())),
                Output::Close(socket, code, _) => (socket, Wire::Closed(code)),
                Output::Reset(socket) => (socket, Wire::Broken),
                Output::Freeze(_) | Output::BrokerDown { .. } | Output::Kill => continue,
            };
            self.wires.entry(socket).or_default().push(wire);
        }
    }

    /// What a socket experienced since the last look.
    pub fn wires(&mut self, socket: u64) -> Vec<Wire> {
        self.collect();
        self.wires.remove(&socket).unwrap_or_default()
    }

    /// Lets the platform suffer from now on.
    pub fn suffer(&mut self, what: What, for_ms: u64, count: Option<u32>) {
        let args = Args { count, ..Args::default() };
        let fault = Fault { at_ms: self.now_ms, what, whom: Whom::All, for_ms, args };
        self.cloud.inject(fault);
    }

    /// One REST request; `None` is no answer.
    pub fn ask(&mut self, request: &Request) -> Option<Answer> {
        self.asked_ms.push(self.now_ms);
        let answer = self.cloud.handle(request, self.now_ms);
        self.rate_limited += u64::from(answer.status == 429);
        (answer.status != 0).then_some(answer)
    }

    /// One dial; an error is the HTTP answer, with status 0 for none.
    pub fn dial(&mut self, uri: &str) -> Result<u64, Answer> {
        self.asked_ms.push(self.now_ms);
        let id = uri.rsplit('/').next().unwrap_or_default();
        let opened = self.cloud.upgrade(id, self.now_ms);
        self.rate_limited += u64::from(opened.as_ref().is_err_and(|answer| answer.status == 429));
        opened
    }

    /// A token of this client, and how long it lives.
    pub fn token(&mut self, client: &str) -> Option<(String, Duration)> {
        let answer = self.ask(&requests::token(client)).filter(|answer| answer.status == 200)?;
        let body: Value = serde_json::from_str(&answer.body).ok()?;
        let life = Duration::from_secs(body["expires_in"].as_u64()?);
        Some((body["access_token"].as_str()?.to_owned(), life))
    }

    /// One dial of the direct URL.
    pub fn dial_direct(&mut self, token: &str) -> Result<u64, Answer> {
        self.asked_ms.push(self.now_ms);
        let opened = self.cloud.upgrade_direct(Some(token), self.now_ms);
        self.rate_limited += u64::from(opened.as_ref().is_err_and(|answer| answer.status == 429));
        opened
    }

    /// Something happens to a conversation; says whether any direct socket gets it.
    pub fn happens(&mut self) -> bool {
        let body: Arc<str> = Arc::from("{}");
        let topic = "v2.detail.events.conversation.c.user.start";
        self.cloud.fan_out(topic, Some(&body), None, self.now_ms);
        let entries = self.cloud.ledger_mut().overflow(0);
        entries.last().is_some_and(|entry| !entry.delivered.is_empty())
    }

    /// Requests and dials between two times.
    pub fn asked_between(&self, from_ms: u64, to_ms: u64) -> usize {
        self.asked_ms.iter().filter(|at| (from_ms..to_ms).contains(at)).count()
    }

    /// The most requests and dials in any minute.
    pub fn peak_per_minute(&self) -> usize {
        requests::peak_per_minute(&self.asked_ms)
    }

    /// The platform's own counters.
    pub fn counters(&self) -> Counters {
        self.cloud.counters()
    }
}
