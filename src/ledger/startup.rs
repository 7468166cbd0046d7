//! What may not have been heard: every fact is read back before the first socket is opened.
//!
//! A barrier record is written and the topic read until it is seen: "I read to the end" is no proof,
//! a reader may lag.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trunkline_protocol::domain::{Disposition, Wall, WriterId};
use trunkline_protocol::ground::Ground;
use trunkline_protocol::ledger::{Keeper, Owner, Ownership, Stamped, VERSION, Word};

use super::kept::Kept;
use super::writer::Writer;
use crate::clock::Clock;
use crate::failpoint;
use crate::kafka::KafkaError;
use crate::kafka::reader::ReadBack;
use crate::kafka::tail::{Tail, Tailed};

/// Why the facts cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The broker's client refuses.
    #[error("the state topic cannot be used")]
    Kafka(#[source] KafkaError),
    /// The barrier did not come back.
    #[error("the state topic {topic} was not read to its end within {seconds} s")]
    NoBarrier {
        /// The topic.
        topic: String,
        /// For how long it was tried.
        seconds: u64,
    },
    /// Somebody else's facts are in it.
    #[error(
        "the state topic {topic} belongs to instance {theirs:?} of organisation {their_org}; this is instance {ours:?} of organisation {our_org}: give each its own kafka.state_topic"
    )]
    Foreign {
        /// The topic.
        topic: String,
        /// Their instance.
        theirs: String,
        /// Their organisation.
        their_org: String,
        /// Our instance.
        ours: String,
        /// Our organisation.
        our_org: String,
    },
    /// A newer version wrote it.
    #[error(
        "the state topic {topic} holds facts of version {found}; this trunkline knows {VERSION}"
    )]
    Newer {
        /// The topic.
        topic: String,
        /// The version found.
        found: u8,
    },
}

impl LedgerError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Kafka(error) => error.disposition(),
            Self::NoBarrier { .. } => Disposition::Retry, // brokers come back
            Self::Foreign { .. } | Self::Newer { .. } => Disposition::Escalate, // somebody must choose
        }
    }
}

/// A record about the state topic itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Note {
    /// Whose it is.
    Owner {
        /// Version of this form.
        v: u8,
        /// Who.
        #[serde(flatten)]
        owner: Owner,
    },
    /// The end of a reading.
    Barrier {
        /// Version of this form.
        v: u8,
        /// Who reads.
        nonce: WriterId,
    },
    /// What topics stand on from here on.
    Ground {
        /// Version of this form.
        v: u8,
        /// Since when.
        at: Wall,
        /// What.
        ground: Ground,
    },
    /// Certificates count every record before these offsets of the events topic.
    Counted {
        /// Version of this form.
        v: u8,
        /// By partition.
        offsets: BTreeMap<i32, i64>,
    },
}

/// Says whose the state topic is.
pub(super) fn owner_note(owner: &Owner) -> (String, Vec<u8>) {
    ("owner".to_owned(), json(&Note::Owner { v: VERSION, owner: owner.clone() }))
}

/// A barrier in a partition of the state topic; number 0 is that of the start.
pub(super) fn barrier_note(
    instance: &str,
    partition: i32,
    writer: WriterId,
    number: u64,
) -> (String, Vec<u8>) {
    // one key for all processes: the topic does not grow by a barrier with every start
    let key = format!("{instance}/barrier/{partition}");
    (key, json(&Note::Barrier { v: VERSION, nonce: nonce(writer, number) }))
}

/// The number of a process's own barrier, if it is one.
pub(super) fn barrier_number(writer: WriterId, seen: WriterId) -> Option<u64> {
    let number = (u128::from_be_bytes(seen.0) ^ u128::from_be_bytes(writer.0)) as u64;
    (nonce(writer, number) == seen).then_some(number)
}

fn nonce(writer: WriterId, number: u64) -> WriterId {
    WriterId((u128::from_be_bytes(writer.0) ^ u128::from(number)).to_be_bytes())
}

/// Says what topics stand on, for whoever reads the state topic later: one record for each change.
pub(super) fn ground_note(instance: &str, at: Wall, ground: &Ground) -> (String, Vec<u8>) {
    let note = Note::Ground { v: VERSION, at, ground: ground.clone() };
    (format!("{instance}/ground/{}", at.0), json(&note))
}

/// Says what the certificates of a replica, by its place among them, count: one record for each.
pub(crate) fn counted_note(
    instance: &str,
    place: u32,
    offsets: &BTreeMap<i32, i64>,
) -> (String, Vec<u8>) {
    let note = Note::Counted { v: VERSION, offsets: offsets.clone() };
    (format!("{instance}/counted/{place}"), json(&note))
}

/// What a record of the state topic says to whoever certifies.
pub(crate) enum Told {
    /// A fact.
    Fact(Stamped),
    /// Up to where, by partition, certificates count every record.
    Counted(BTreeMap<i32, i64>),
}

/// What is said, if it concerns certificates.
pub(crate) fn told(value: &[u8]) -> Option<Told> {
    match understand(value) {
        Understood::Fact(stamped) => (stamped.v <= VERSION).then_some(Told::Fact(stamped)),
        Understood::Note(Note::Counted { offsets, .. }) => Some(Told::Counted(offsets)),
        Understood::Note(Note::Owner { .. } | Note::Barrier { .. } | Note::Ground { .. })
        | Understood::Nothing
        | Understood::Unreadable => None,
    }
}

/// Where and whose.
pub(super) struct Place<'a> {
    pub(super) topic: &'a str,
    pub(super) partitions: usize,
    pub(super) patience: Duration,
}

/// Reads every fact up to a barrier of our own; what topics stood on, by the newest word about it.
pub(super) async fn read_facts(
    place: &Place<'_>,
    nonce: WriterId,
    writer: &mut Writer,
    tail: &mut Tail<ReadBack>,
    known: (&mut Keeper, &mut Kept, &mut Ownership),
    clock: Clock,
) -> Result<Ground, LedgerError> {
    let (keeper, kept, ownership) = known;
    let barrier = |partition| barrier_note(&ownership.ours().instance, partition, nonce, 0);
    for partition in 0..place.partitions {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let (key, note) = barrier(partition);
        writer.write(place.topic, Some(partition), &key, note);
    }
    failpoint::pass("state.barrier.sent");
    let deadline = clock.mono() + place.patience;
    let mut seen = BTreeSet::new();
    let mut asked = false;
    let mut ground: Option<(Wall, Ground)> = None;
    while seen.len() < place.partitions {
        let record = tokio::select! {
            biased;
            record = tail.recv() => record,
            () = writer.attend() => continue,
            () = clock.sleep_until(Some(deadline)) => None,
        };
        let Some(Tailed::Record(record)) = record else {
            let (topic, seconds) = (place.topic.to_owned(), place.patience.as_secs());
            return Err(LedgerError::NoBarrier { topic, seconds });
        };
        failpoint::pass("state.barrier.reading");
        match understand(&record.value) {
            Understood::Fact(stamped) if stamped.v > VERSION => {
                return Err(LedgerError::Newer { topic: place.topic.to_owned(), found: stamped.v });
            }
            Understood::Fact(stamped) => {
                keeper.read(&stamped, clock.now().wall);
                if let Some(key) = record.key.and_then(|key| String::from_utf8(key).ok()) {
                    kept.keep(key, stamped.shard, stamped.writer, record.value);
                }
            }
            Understood::Note(Note::Barrier { nonce: theirs, .. }) if theirs == nonce => {
                seen.insert(record.partition);
                if seen.len() == place.partitions && !ownership.is_owned() && !asked {
                    // somebody else may be starting as well: whose word comes first is read back
                    asked = true;
                    seen.remove(&0);
                    let (owner_key, owner) = owner_note(ownership.ours());
                    writer.write(place.topic, Some(0), &owner_key, owner);
                    let (key, note) = barrier_note(&ownership.ours().instance, 0, nonce, 0);
                    writer.write(place.topic, Some(0), &key, note);
                }
            }
            Understood::Note(Note::Owner { owner: said, .. }) => {
                if ownership.read(&said) == Word::Theirs {
                    let ours = ownership.ours();
                    return Err(LedgerError::Foreign {
                        topic: place.topic.to_owned(),
                        theirs: said.instance,
                        their_org: said.org,
                        ours: ours.instance.clone(),
                        our_org: ours.org.clone(),
                    });
                }
            }
            Understood::Note(Note::Ground { at, ground: seen, .. }) => {
                if ground.as_ref().is_none_or(|(newest, _)| *newest <= at) {
                    ground = Some((at, seen));
                }
            }
            Understood::Note(Note::Barrier { .. } | Note::Counted { .. }) | Understood::Nothing => {
            }
            Understood::Unreadable => tracing::warn!(
                code = "foreign_state",
                partition = record.partition,
                offset = record.offset,
                "a record of the state topic cannot be read and is passed over"
            ),
        }
    }
    Ok(ground.map(|(_, ground)| ground).unwrap_or_default())
}

/// What the value of a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Understood {
    /// Something that is true for good.
    Fact(Stamped),
    /// About the topic itself.
    Note(Note),
    /// A tombstone.
    Nothing,
    /// Somebody else's, or damaged: passed over, with a word in the log.
    Unreadable,
}

/// Reads the value of a record of the state topic.
#[must_use]
pub fn understand(value: &[u8]) -> Understood {
    if value.is_empty() {
        return Understood::Nothing;
    }
    // nearly all are facts, and no note can be taken for one
    if let Ok(stamped) = serde_json::from_slice(value) {
        return Understood::Fact(stamped);
    }
    serde_json::from_slice(value).map_or(Understood::Unreadable, Understood::Note)
}

pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("facts have string keys only")
}
