//! A platform and its clients under one simulated clock. One step is 50 ms; a request or a dial is
//! answered one step after it was made.

use std::collections::{BTreeMap, BTreeSet};

use genesys_sim::cloud::Counters;
use genesys_sim::faults::{Args, Fault, What, Whom};
use genesys_sim::http::{Answer, Request};
use genesys_sim::traffic::{Profile, Traffic};
use genesys_sim::{Cloud, Output, Settings};

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
                Output::Freeze(_) | Output::BrokerDown { .. } => continue,
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

    /// Requests and dials between two times.
    pub fn asked_between(&self, from_ms: u64, to_ms: u64) -> usize {
        self.asked_ms.iter().filter(|at| (from_ms..to_ms).contains(at)).count()
    }

    /// The most requests and dials in any minute.
    pub fn peak_per_minute(&self) -> usize {
        let mut first = 0;
        let mut peak = 0;
        for (last, at) in self.asked_ms.iter().enumerate() {
            while at - self.asked_ms[first] >= 60_000 {
                first += 1;
            }
            peak = peak.max(last - first + 1);
        }
        peak
    }

    /// The platform's own counters.
    pub fn counters(&self) -> Counters {
        self.cloud.counters()
    }
}

/// Requests as every client makes them.
pub mod requests {
    use super::*;

    const CHANNELS: &str = "/api/v2/notifications/channels";

    /// A token for a client.
    pub fn token(client: &str) -> Request {
        Request {
            method: "POST".into(),
            path: "/oauth/token".into(),
            authorization: Some(format!("Basic {}", base64(&format!("{client}:secret")))),
            body: b"grant_type=client_credentials".to_vec(),
            ..Request::default()
        }
    }

    fn api(method: &str, path: String, token: &str) -> Request {
        Request {
            method: method.into(),
            path,
            authorization: Some(format!("Bearer {token}")),
            content_type: Some("application/json".into()),
            ..Request::default()
        }
    }

    /// The client's channels.
    pub fn count(token: &str) -> Request {
        let query = BTreeMap::from([("includechannels".to_owned(), "oauthclient".to_owned())]);
        Request { query, ..api("GET", CHANNELS.into(), token) }
    }

    /// A new channel.
    pub fn create(token: &str) -> Request {
        api("POST", CHANNELS.into(), token)
    }

    /// The whole list of topics.
    pub fn subscribe(token: &str, channel: &str, topics: &BTreeSet<String>) -> Request {
        let list: Vec<_> = topics.iter().map(|id| serde_json::json!({"id": id})).collect();
        let query = BTreeMap::from([("ignoreErrors".to_owned(), "true".to_owned())]);
        let body = serde_json::json!(list).to_string().into_bytes();
        let path = format!("{CHANNELS}/{channel}/subscriptions");
        Request { query, body, ..api("PUT", path, token) }
    }

    /// The list as it is.
    pub fn listed(token: &str, channel: &str) -> Request {
        api("GET", format!("{CHANNELS}/{channel}/subscriptions"), token)
    }

    fn base64(text: &str) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
        text.as_bytes()
            .chunks(3)
            .map(|chunk| {
                let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                    << (8 * (3 - chunk.len()));
                let four = [bits >> 18, bits >> 12, bits >> 6, bits].map(digit);
                let kept = chunk.len() + 1;
                let padding = "=".repeat(4 - kept);
                four.into_iter().take(kept).collect::<String>() + &padding
            })
            .collect()
    }
}
