//! What happens around the ledger: topics under it change, and others have what is its own.

use std::time::Duration;

use trunkline_protocol::domain::{Mono, Wall};
use trunkline_protocol::ground::Ground;
use trunkline_protocol::ledger::{Owner, Word};

use super::Ledger;
use super::startup::{ground_note, owner_note};
use crate::ground::Standing;
use crate::observe::status::Conflict;

/// So long it is shown that somebody else started on the state topic; they end by themselves.
const CONTEST: Duration = Duration::from_secs(600);

impl Ledger {
    /// From here on records lie elsewhere: whoever reads the facts later has to know since when.
    pub(super) fn stands_on(&mut self, standing: &Standing) {
        let ground = &standing.ground;
        for (topic, count) in &standing.anew {
            if self.filled.insert(topic.clone(), *count) == Some(*count) {
                continue;
            }
            match topic.as_str() {
                "state" => self.fill_state(ground),
                "gaps" => self.fill_gaps(),
                _ => {} // others fill theirs, or nobody can
            }
        }
        if self.ground != *ground {
            self.ground = ground.clone();
            let at = self.clock.now().wall;
            let (key, note) = ground_note(&self.settings.instance, at, ground);
            self.writer.write(&self.settings.state_topic, Some(0), &key, note);
        }
    }

    /// Writes every fact again. What is proven stays proven: the records it speaks of are in other
    /// topics, and this process knows all that the topic held.
    fn fill_state(&mut self, ground: &Ground) {
        self.partitions = ground.partitions.get("state").copied().unwrap_or(self.partitions).max(1);
        let place = owner_note(self.ownership.ours());
        self.writer.renew();
        let topic = self.settings.state_topic.clone();
        self.writer.write(&topic, Some(0), &place.0, place.1);
        let (key, note) = ground_note(&self.settings.instance, self.clock.now().wall, ground);
        self.writer.write(&topic, Some(0), &key, note);
        let mut facts = 0_u64;
        for (shard, key, value) in self.kept.all(self.settings.writer_id) {
            self.writer.write(&topic, self.partition(shard), &key, value);
            facts += 1;
        }
        tracing::warn!(code = "topic_filled", topic = %topic, records = facts, "what this process knows of the topic is written again");
    }

    /// Writes every gap again, closed ones too.
    fn fill_gaps(&mut self) {
        self.writer.renew();
        let gaps = self.keeper.shards().values().flat_map(|ledger| ledger.gaps().keys());
        self.untold.extend(gaps);
        let before = self.untold.len();
        self.tell_gaps();
        let (topic, records) = (&self.settings.gaps_topic, before - self.untold.len());
        tracing::warn!(code = "topic_filled", topic = %topic, records, "what this process knows of the topic is written again");
    }

    /// Whoever calls the topic theirs after us refuses to start, as soon as they read it; the topic has to
    /// go on saying that it is ours, for whoever starts next.
    pub(super) fn owned_by(&mut self, said: &Owner) {
        match self.ownership.read(said) {
            Word::Ours => {}
            Word::Theirs | Word::Contested => {
                let (topic, ours) = (&self.settings.state_topic, self.ownership.ours());
                tracing::error!(
                    code = "state_shared",
                    topic = %topic,
                    their_instance = said.instance,
                    their_org = said.org,
                    "another installation started on this state topic: give it a kafka.state_topic of its own"
                );
                let (their, org) = (&said.instance, &said.org);
                let says = format!(
                    "instance {their:?} of organisation {org} started on {topic} as well: give it a kafka.state_topic of its own"
                );
                self.board.conflict(Conflict::State, Some(says));
                self.contested_at = Some(self.clock.mono());
                let (key, note) = owner_note(ours);
                self.writer.write(topic, Some(0), &key, note);
            }
        }
    }

    pub(super) fn show_contest(&mut self, now: Mono) {
        if self.contested_at.is_some_and(|at| now.since(at) > CONTEST) {
            self.contested_at = None;
            self.board.conflict(Conflict::State, None);
        }
    }

    pub(super) fn show_twin(&mut self, now: Wall) {
        let twin = self.keeper.twin(now);
        if twin.map(|twin| twin.writer) == self.twin {
            return;
        }
        self.twin = twin.map(|twin| twin.writer);
        let replica = self.settings.roster.me();
        let says = twin.map(|twin| {
            tracing::error!(
                code = "replica_shared",
                replica,
                writer = %twin.writer,
                since_ms = twin.from.0,
                "another process runs with the same replica and kafka.state_topic: stop one, or give it a replica of its own"
            );
            format!("process {} runs as replica {replica:?} as well: stop one, or give it a replica of its own", twin.writer)
        });
        if says.is_none() {
            tracing::info!(
                code = "conflict_over",
                kind = Conflict::Replica.as_str(),
                "no other process has it any more"
            );
        }
        self.board.conflict(Conflict::Replica, says);
    }
}
