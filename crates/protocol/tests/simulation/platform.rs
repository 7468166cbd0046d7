//! The platform under simulated time: the core of the simulator, what is on its wires, and the truth
//! about every event.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use genesys_sim::cloud::Output;
use genesys_sim::http::{Answer, Request};
use genesys_sim::ledger::Entry;
use genesys_sim::traffic::{Profile, Traffic};
use genesys_sim::{Cloud, Settings};
use trunkline_protocol::domain::{EpochId, EventId, Wall};
use trunkline_protocol::identity::{Canonical, identify};

/// Milliseconds since 1970 at time 0: midnight, so that days are days.
pub const ORIGIN_MS: u64 = 1_789_948_800_000;
pub const ORG: &str = "org";

/// What a socket experiences.
#[derive(Clone, Debug)]
pub enum Wire {
    Text(Arc<str>),
    Closed(u16),
    Broken,
}

/// An event that was put on wanted topics.
#[derive(Clone, Debug)]
pub struct Truth {
    pub id: EventId,
    pub topic: String,
    pub shard: u16,
    pub conversation: String,
    /// When it was fanned out, by the platform's clock.
    pub fanned: Wall,
    /// When it happened, by the platform's clock.
    pub happened: Wall,
    /// Whether it was put on any socket.
    pub delivered: bool,
    /// Channels whose sockets were open, answered pings, and did not get it.
    pub silenced: BTreeSet<u64>,
}

pub struct Platform {
    pub cloud: Cloud,
    pub now_ms: u64,
    pub shards: Vec<Vec<String>>,
    pub truths: Vec<Truth>,
    pub by_id: BTreeMap<EventId, usize>,
    /// When each client made a request or dial, for its budget.
    pub asked: BTreeMap<String, Vec<u64>>,
    /// The channel of each socket, and that of each coverage.
    channels: BTreeMap<u64, u64>,
    pub witnesses: BTreeMap<EpochId, u64>,
    wires: BTreeMap<u64, VecDeque<Wire>>,
    serial: u64,
}

impl Platform {
    /// With `presence` each shard has a topic that history does not know.
    pub fn new(settings: Settings, profile: Profile, seed: u64, presence: bool) -> Self {
        let profile = Profile { epoch_ms: ORIGIN_MS, ..profile };
        let traffic = Traffic::new(seed, profile);
        let mut cloud = Cloud::new(settings, traffic, seed, "ws://sim", ORIGIN_MS);
        let org = cloud.traffic().org();
        let queue = |n: &usize| format!("v2.routing.queues.{}.conversations", org.queues[*n].id);
        let user = |n: &usize| format!("v2.users.{}.conversations", org.users[*n].id);
        let half =
            |of: usize, odd: usize| (0..of).filter(move |n| n % 2 == odd).collect::<Vec<_>>();
        let shard = |odd| {
            let queues = half(org.queues.len(), odd);
            let users = half(org.users.len(), odd);
            let first = org.users.iter().skip(odd).take(usize::from(presence));
            let presence = first.map(|user| format!("v2.users.{}.presence", user.id));
            let told = queues.iter().map(queue).chain(users.iter().map(user));
            told.chain(presence).collect::<Vec<_>>()
        };
        let shards = vec![shard(0), shard(1)];
        Self {
            cloud,
            now_ms: 0,
            shards,
            truths: Vec::new(),
            by_id: BTreeMap::new(),
            asked: BTreeMap::new(),
            channels: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            wires: BTreeMap::new(),
            serial: 0,
        }
    }

    pub fn wall(&self) -> Wall {
        Wall(i64::try_from(ORIGIN_MS + self.now_ms).expect("in range"))
    }

    pub fn tick(&mut self) {
        self.cloud.tick(self.now_ms);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.cloud.poll() {
            let (socket, wire) = match output {
                Output::Text(socket, text) => (socket, Wire::Text(text)),
                Output::Close(socket, code, _) => (socket, Wire::Closed(code)),
                Output::Reset(socket) => (socket, Wire::Broken),
                Output::Freeze(_) | Output::BrokerDown { .. } | Output::Kill => continue,
            };
            self.wires.entry(socket).or_default().push_back(wire);
        }
    }

    /// The next thing a socket experiences.
    pub fn wire(&mut self, socket: u64) -> Option<Wire> {
        self.wires.get_mut(&socket)?.pop_front()
    }

    /// Whether anything waits on a socket.
    pub fn has_wire(&self, socket: u64) -> bool {
        self.wires.get(&socket).is_some_and(|wires| !wires.is_empty())
    }

    /// The client dropped its end.
    pub fn drop_socket(&mut self, socket: u64) {
        self.cloud.socket_gone(socket, self.now_ms);
        self.wires.remove(&socket);
    }

    pub fn say(&mut self, socket: u64, text: &str) {
        self.cloud.client_text(socket, text, self.now_ms);
        self.collect();
    }

    pub fn ask(&mut self, client: &str, request: &Request) -> Answer {
        self.asked.entry(client.to_owned()).or_default().push(self.now_ms);
        let answer = self.cloud.handle(request, self.now_ms);
        self.collect();
        answer
    }

    pub fn dial(&mut self, client: &str, uri: &str) -> Result<u64, Answer> {
        self.asked.entry(client.to_owned()).or_default().push(self.now_ms);
        let id = uri.rsplit('/').next().unwrap_or_default();
        let opened = self.cloud.upgrade(id, self.now_ms);
        if let (Ok(socket), Some(number)) = (&opened, self.cloud.channel_number(id)) {
            self.channels.insert(*socket, number);
        }
        self.collect();
        opened
    }

    /// A socket bears witness as this coverage.
    pub fn witness(&mut self, epoch: EpochId, socket: u64) {
        let channel = self.channels.get(&socket).copied();
        self.witnesses.extend(channel.map(|number| (epoch, number)));
    }

    /// Something happens to a conversation; returns how many events it makes on wanted topics.
    pub fn happen(&mut self) -> usize {
        let now = self.now_ms;
        self.cloud.traffic().start_at(now);
        let mut change = self.cloud.traffic().next(&|_| false);
        let Some((happened, _)) = change.story.as_ref().and_then(|s| s.changes().last()).copied()
        else {
            return 0;
        };
        change.notifications.retain(|n| self.shard_of(&n.topic).is_some());
        for notification in &mut change.notifications {
            self.serial += 1;
            let body = format!(r#"{{"id":"{}","n":{}}}"#, change.conversation_id, self.serial);
            notification.body = Some(Arc::from(body));
        }
        let bodies: Vec<_> =
            change.notifications.iter().map(|n| (n.topic.clone(), n.body.clone())).collect();
        self.cloud.publish(&change, now);
        let entries = self.cloud.ledger_mut().overflow(0);
        for (topic, body) in &bodies {
            let body = body.as_deref().expect("written above");
            let id = identify(Canonical::AsReceived, ORG, topic, body).0;
            let entry = entries.iter().find(|entry| entry.topic == *topic);
            self.by_id.insert(id, self.truths.len());
            self.truths.push(Truth {
                id,
                topic: topic.clone(),
                shard: self.shard_of(topic).expect("retained"),
                conversation: change.conversation_id.clone(),
                fanned: self.wall(),
                happened: Wall(i64::try_from(happened).expect("in range")),
                delivered: entry.is_some_and(|entry| !entry.delivered.is_empty()),
                silenced: entry.map(silenced).unwrap_or_default(),
            });
        }
        self.collect();
        bodies.len()
    }

    fn shard_of(&self, topic: &str) -> Option<u16> {
        let at = self.shards.iter().position(|shard| shard.iter().any(|t| t == topic))?;
        u16::try_from(at).ok()
    }
}

fn silenced(entry: &Entry) -> BTreeSet<u64> {
    let dropped = entry.dropped.iter().filter(|(_, why)| *why == "silence");
    dropped.map(|(number, _)| *number).collect()
}
