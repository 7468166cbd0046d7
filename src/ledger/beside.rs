//! Facts of the state topic for a command beside the service: read once, and added to. Facts only grow,
//! so whoever runs meanwhile takes them as they are.

use std::collections::BTreeMap;
use std::time::Duration;

use trunkline_protocol::domain::WriterId;
use trunkline_protocol::ledger::{Fact, Owner, ShardLedger, Stamped, VERSION};

use super::LedgerError;
use super::startup::{Note, Understood, json, understand};
use super::writer::Writer;
use crate::clock::Clock;
use crate::kafka::KafkaError;
use crate::kafka::reader::partitions_of;
use crate::kafka::settings::KafkaSettings;

/// What the records of a state topic say.
#[derive(Default)]
pub struct Book {
    /// All that is known, by shard.
    pub shards: BTreeMap<u16, ShardLedger>,
    owner: Option<Owner>,
    newer: Option<u8>,
}

impl Book {
    /// Takes the value of the next record. What cannot be read is passed over: the service says so.
    pub fn take(&mut self, value: &[u8]) {
        match understand(value) {
            Understood::Fact(stamped) if stamped.v > VERSION => self.newer = Some(stamped.v),
            Understood::Fact(stamped) => {
                let ledger = self.shards.entry(stamped.shard).or_default();
                ledger.add(stamped.writer, &stamped.fact).ok(); // its owner pages
            }
            Understood::Note(Note::Owner { owner, .. }) => {
                self.owner.get_or_insert(owner);
            }
            Understood::Note(Note::Barrier { .. } | Note::Ground { .. } | Note::Counted { .. })
            | Understood::Nothing
            | Understood::Unreadable => {}
        }
    }

    /// Whether facts may be added by this installation.
    ///
    /// # Errors
    /// [`LedgerError`] when the topic is another one's, or of a newer version.
    pub fn is_ours(&self, topic: &str, ours: &Owner) -> Result<(), LedgerError> {
        if let Some(found) = self.newer {
            return Err(LedgerError::Newer { topic: topic.to_owned(), found });
        }
        match self.owner.as_ref().filter(|owner| *owner != ours) {
            None => Ok(()),
            Some(theirs) => Err(LedgerError::Foreign {
                topic: topic.to_owned(),
                theirs: theirs.instance.clone(),
                their_org: theirs.org.clone(),
                ours: ours.instance.clone(),
                our_org: ours.org.clone(),
            }),
        }
    }
}

/// Adds facts.
pub struct Beside {
    writer: Writer,
    clock: Clock,
    topic: String,
    instance: String,
    partitions: usize,
    me: WriterId,
}

/// A fact is acknowledged within this.
const PATIENCE: Duration = Duration::from_secs(60);

impl Beside {
    /// Ready to add facts under the name `me`, which nobody else has.
    ///
    /// # Errors
    /// When the client library refuses, or no broker answers.
    pub fn new(
        kafka: &KafkaSettings,
        topic: &str,
        instance: &str,
        me: WriterId,
        clock: Clock,
    ) -> Result<Self, KafkaError> {
        let partitions = tokio::task::block_in_place(|| partitions_of(kafka, topic))?.max(1);
        let writer = Writer::new(kafka, clock)?;
        let (topic, instance) = (topic.to_owned(), instance.to_owned());
        Ok(Self { writer, clock, topic, instance, partitions, me })
    }

    /// Adds a fact about a shard; says whether it was acknowledged within a minute.
    pub async fn add(&mut self, shard: u16, fact: Fact) -> bool {
        let stamped = Stamped { v: VERSION, shard, writer: self.me, fact };
        let partition = i32::try_from(usize::from(shard) % self.partitions).ok();
        let key = stamped.key(&self.instance);
        self.writer.write(&self.topic, partition, &key, json(&stamped));
        let deadline = self.clock.mono() + PATIENCE;
        while self.writer.open() > 0 {
            tokio::select! {
                biased;
                () = self.writer.attend() => {}
                () = self.clock.sleep_until(Some(deadline)) => return false,
            }
        }
        true
    }
}
