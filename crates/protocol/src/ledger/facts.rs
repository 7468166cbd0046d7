//! What is written into the state topic: facts that only ever add up, one writer per key, so that
//! compaction never merges two writers' words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{
    EpochId, EventId, GapCause, GapId, Interval, IntervalSet, Outcome, SetDigest, Wall, WriterId,
};

/// A fact, whose, and about which shard. JSON in the state topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// Version of this form; readers refuse what is newer.
    pub v: u8,
    /// Ordinal of the shard.
    pub shard: u16,
    /// Who says so.
    pub writer: WriterId,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// Version of the form in which facts are written.
pub const VERSION: u8 = 1;

/// Something that is true for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The writer is the process that runs as this replica from here on: whoever did before is gone.
    Replica {
        /// Names the replica; two that run at the same time have different names.
        name: String,
        /// Since when.
        since: Wall,
    },
    /// The topics a verified subscription covers, sorted.
    Set {
        /// Names it.
        set: SetDigest,
        /// Single topics.
        topics: Vec<String>,
    },
    /// A socket with a verified subscription covers this set from here on.
    Epoch {
        /// Names it; never used again.
        epoch: EpochId,
        /// What it covers.
        set: SetDigest,
        /// Ordinal of the hot channel.
        leg: u8,
        /// Start of coverage, the margin of joining included.
        from: Wall,
        /// The epoch of the same socket whose watermark it shares: topics were added to it.
        rides: Option<EpochId>,
    },
    /// Everything fanned out to the epoch in the interval is durable. Only ever grows.
    Claim {
        /// Whose coverage.
        epoch: EpochId,
        /// `[start, durable watermark)`.
        interval: Interval,
    },
    /// The epoch hears nothing any more.
    End {
        /// Which.
        epoch: EpochId,
        /// When it was known.
        at: Wall,
        /// Why.
        cause: GapCause,
    },
    /// Claims of the epoch do not count in the interval.
    Doubt {
        /// Whose claims.
        epoch: EpochId,
        /// Where.
        interval: Interval,
    },
    /// Sockets of the shard were not read for long: what was fanned out in the interval may have been
    /// read as late as its end.
    Late {
        /// Where.
        interval: Interval,
    },
    /// Since when, and until when, each topic of the shard has to be covered.
    Wanted {
        /// When this was known: the newest word counts.
        as_of: Wall,
        /// By topic.
        topics: BTreeMap<String, Want>,
    },
    /// A gap and what is known of it.
    Gap(Gap),
    /// Records that history gave for a gap: durable, so another reading does not write them again.
    Written {
        /// Which gap.
        gap: GapId,
        /// Number of this list among those of the gap.
        list: u32,
        /// Their ids.
        ids: Vec<EventId>,
    },
    /// A closed span was held against history.
    Audit(Audit),
}

/// What history says of a closed span that live proof covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Which span.
    pub span: Interval,
    /// When it was looked at.
    pub at: Wall,
    /// History was complete up to here.
    pub complete_to: Wall,
    /// Conversations that history shows.
    pub rows: u64,
    /// Of those, on topics that were proven live and in no record.
    pub missed: u64,
    /// On no topic that is wanted, so only history shows them.
    pub uncovered: u64,
    /// Missed as well, but of a time that the platform had rewritten by then.
    pub rewritten: u64,
    /// When what was missed happened, by class of topics.
    pub instants: BTreeMap<String, IntervalSet>,
}

/// Time in which a topic has to be covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// From here.
    pub from: Wall,
    /// To there; `None` while it is wanted.
    pub to: Option<Wall>,
}

/// An interval of a topic class that no claim covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Names it.
    pub gap: GapId,
    /// The class of topics, with `{id}` in the place of every id.
    pub class: String,
    /// Topics concerned; empty: all of the class.
    pub topics: Vec<String>,
    /// Start in fan-out time.
    pub from: Wall,
    /// End in fan-out time; `None` while it grows.
    pub to: Option<Wall>,
    /// Why.
    pub cause: GapCause,
    /// When it was recorded first.
    pub recorded_at: Wall,
    /// How far its repair is.
    pub repair: Repair,
}

/// A gap that is not done with, and the single topics it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Ordinal of its shard.
    pub shard: u16,
    /// The gap.
    pub gap: Gap,
    /// Its topics by name, those of the whole class included.
    pub topics: Vec<String>,
}

/// How far the repair of a gap is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// Readings of history so far.
    pub reads: Vec<Reading>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub closed_at: Option<Wall>,
}

/// One reading of history over a whole gap, everything of it acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reading {
    /// When it began: readings are in this order.
    pub at: Wall,
    /// Which interface of history.
    pub source: Source,
    /// Digest over what was read, order aside.
    pub digest: String,
    /// Conversations read.
    pub rows: u64,
    /// Of those, written as records by this reading.
    pub written: u64,
    /// History was complete up to here, where the interface says so.
    pub complete_to: Option<Wall>,
    /// Conversations known from elsewhere that it did not show.
    pub missing: u64,
}

/// The interfaces of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Details query: fast, without a watermark.
    Query,
    /// Details jobs: late, with a watermark.
    Jobs,
}

impl Source {
    /// The word used in records, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Jobs => "jobs",
        }
    }
}

impl Stamped {
    /// The key in the state topic: one writer per key. `instance` names the installation.
    #[must_use]
    pub fn key(&self, instance: &str) -> String {
        let (kind, id) = match &self.fact {
            Fact::Replica { name, .. } => ("replica", name.clone()),
            Fact::Set { set, .. } => ("set", set.to_string()),
            Fact::Epoch { epoch, .. } => ("epoch", epoch.to_string()),
            Fact::Claim { epoch, .. } => ("claim", epoch.to_string()),
            Fact::End { epoch, .. } => ("end", epoch.to_string()),
            Fact::Doubt { epoch, interval } => ("doubt", format!("{epoch}-{}", interval.from.0)),
            Fact::Late { interval } => ("late", interval.from.0.to_string()),
            Fact::Wanted { .. } => ("wanted", "all".to_owned()),
            Fact::Gap(gap) => ("gap", gap.gap.to_string()),
            Fact::Written { gap, list, .. } => ("written", format!("{gap}-{list}")),
            Fact::Audit(audit) => ("audit", audit.span.from.0.to_string()),
        };
        format!("{instance}/{}/{kind}/{}/{id}", self.shard, self.writer)
    }
}
