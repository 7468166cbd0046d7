//! The topics: what was appended, in order, and what a compacted topic still gives back.

use std::collections::BTreeMap;

use trunkline_protocol::certifier::Certificate;
use trunkline_protocol::domain::{EpochId, EventId, GapId, Origin, Wall};
use trunkline_protocol::ledger::{Gap, Stamped};

/// A record of the events topic.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: EventId,
    pub class: String,
    pub conversation: String,
    pub epoch: Option<EpochId>,
    pub received: Wall,
    pub origin: Origin,
    pub gap: Option<GapId>,
    /// Of a row of history: the newest thing it shows.
    pub shows: Option<Wall>,
    pub shard: u16,
    pub appended: Wall,
}

#[derive(Default)]
pub struct Kafka {
    pub events: Vec<Record>,
    pub first: BTreeMap<EventId, usize>,
    /// Every fact that was written; a reader that begins anew gets the newest of each key.
    pub state: Vec<(String, Stamped)>,
    newest: BTreeMap<String, usize>,
    /// Newest record of each gap.
    pub gaps: BTreeMap<GapId, (u16, Gap)>,
    pub certificates: Vec<Certificate>,
    /// By certifier: where its certificates count everything before.
    pub counted: BTreeMap<u32, BTreeMap<i32, i64>>,
    /// Nothing is taken before this.
    pub down_until: u64,
    /// Events are not taken before this, facts are.
    pub events_blocked_until: u64,
}

pub const PARTITIONS: usize = 3;

impl Kafka {
    pub fn append(&mut self, record: Record) {
        self.first.entry(record.id).or_insert(self.events.len());
        self.events.push(record);
    }

    pub fn write(&mut self, key: String, fact: Stamped) {
        self.newest.insert(key.clone(), self.state.len());
        self.state.push((key, fact));
    }

    /// What a compacted topic gives a reader that begins now, in order.
    pub fn compacted(&self) -> impl Iterator<Item = &Stamped> {
        let newest =
            |(at, (key, fact))| (self.newest.get(key) == Some(&at)).then_some(fact as &Stamped);
        self.state.iter().map(|(key, fact)| (key, fact)).enumerate().filter_map(newest)
    }

    pub fn takes(&self, now_ms: u64) -> bool {
        now_ms >= self.down_until
    }

    pub fn takes_events(&self, now_ms: u64) -> bool {
        self.takes(now_ms) && now_ms >= self.events_blocked_until
    }

    /// The partition of a conversation, as good as any.
    pub fn partition(conversation: &str) -> i32 {
        let sum: usize = conversation.bytes().map(usize::from).sum();
        i32::try_from(sum % PARTITIONS).expect("few")
    }
}
