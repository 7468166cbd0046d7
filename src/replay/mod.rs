//! Tries what lies in the quarantine once more: what is understood now becomes a record under the id
//! it had, the rest stays where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use trunkline_protocol::domain::facts::Facts;
use trunkline_protocol::domain::{
    Event, EventId, Frame, Leg, Now, Origin, RejectReason, TopicClass,
};
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::privacy::Policy;
use trunkline_protocol::replay::{Piece, enveloped, is_of, is_of_history};
use trunkline_protocol::topic::class_of;

use crate::clock::Clock;
use crate::decode::open::Opener;
use crate::decode::{body, history};
use crate::encode::Encoder;
use crate::observe::flow::Flow;
use crate::publish::router::Router;
use crate::publish::{self, Destination, Parcel, PublishError, Record};

/// What a replay is made of.
pub struct Replay {
    /// Time.
    pub clock: Clock,
    /// Organisation.
    pub org_id: String,
    /// How bodies are brought into the form that is hashed.
    pub form: Canonical,
    /// What may be written down.
    pub policy: Policy,
    /// Writes Avro.
    pub encoder: Encoder,
    /// Chooses key and headers.
    pub router: Router,
    /// Larger records stay.
    pub max_record_bytes: usize,
    /// Hands records over; without it nothing is written.
    pub publish: Option<publish::Stage>,
    /// Counts every record.
    pub flow: Flow,
}

/// What became of the messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Understood now, and written unless it was tried only.
    pub understood: u64,
    /// The events topic has them already.
    pub already_there: u64,
    /// They stay, by reason.
    pub left: BTreeMap<&'static str, u64>,
    /// They stay: they belong to another organisation.
    pub of_another_organisation: u64,
    /// They stay: parts of them are missing.
    pub incomplete: u64,
}

/// Why a replay ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Of the producer.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The broker takes nothing.
    #[error("{unacked} records were not acknowledged within {seconds} s; run it again")]
    Unacked {
        /// How many.
        unacked: usize,
        /// How long was waited.
        seconds: u64,
    },
}

/// Acknowledgements are waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

impl Replay {
    /// Tries messages, oldest first; `there` are ids that the events topic has.
    ///
    /// # Errors
    /// When records cannot be handed over; what was written until then is there at the next try.
    pub async fn run(
        mut self,
        messages: Vec<Piece>,
        there: &BTreeSet<EventId>,
    ) -> Result<Tally, ReplayError> {
        let mut opener = Opener::new(self.org_id.clone(), self.form);
        let mut tally = Tally::default();
        for message in messages {
            if there.contains(&message.id) {
                tally.already_there += 1;
                continue;
            }
            match self.open(&mut opener, message) {
                Ok(event) => self.understand(&event, &mut tally).await?,
                Err(Some(reason)) => left(&mut tally, reason),
                Err(None) => tally.of_another_organisation += 1,
            }
        }
        self.room(|publish| publish.unacked() == 0).await?;
        Ok(tally)
    }

    /// The event with the identity it was quarantined under; the reason why it is none, or nothing
    /// when it is not ours.
    fn open(&self, opener: &mut Opener, message: Piece) -> Result<Event, Option<RejectReason>> {
        let Piece { id, reason, topic, received, epoch, bytes, withheld, altered, .. } = message;
        let foreign = |topic: &str, body: &str| match &altered {
            Some(altered) => altered.org_id != self.org_id,
            None => !is_of(&self.org_id, id, &bytes, topic, body),
        };
        if withheld {
            return Err(Some(reason)); // nothing is left of it that could be understood
        }
        let text = match String::from_utf8(bytes.clone()) {
            Ok(text) if reason != RejectReason::Binary => enveloped(text, topic.as_deref()),
            Ok(_) | Err(_) if foreign("", "") => return Err(None),
            Ok(_) | Err(_) => return Err(Some(RejectReason::Binary)),
        };
        let received = Now { mono: self.clock.mono(), wall: received };
        let leg = Leg { shard: 0, ordinal: 0 };
        let event = match opener.open(Frame { text, received, epoch, leg }) {
            Ok(event) => event,
            Err(_) if foreign("", "") => return Err(None),
            Err(refused) => return Err(Some(refused.reason)),
        };
        if foreign(event.topic(), event.body()) {
            return Err(None);
        }
        let of_history = is_of_history(event.topic());
        let class = if of_history { TopicClass::History } else { event.class };
        let origin = if of_history { Origin::Backfill } else { Origin::Replay };
        let is_altered = altered.is_some();
        let digest = altered.map_or(event.digest, |altered| altered.digest);
        let event = Event { id, class, origin, digest, altered: is_altered, ..event };
        self.policy.event(event).map_err(|rejected| Some(rejected.reason))
    }

    async fn understand(&mut self, event: &Event, tally: &mut Tally) -> Result<(), ReplayError> {
        if event.class == TopicClass::History {
            match history::read(event.body()) {
                Ok(row) => return self.record(event, &row.facts(), tally).await,
                Err(_) => left(tally, RejectReason::BadBody),
            }
            return Ok(());
        }
        match body::read(event) {
            Ok(facts) => self.record(event, &facts, tally).await,
            Err(_) => {
                left(tally, RejectReason::BadBody);
                Ok(())
            }
        }
    }

    async fn record(
        &mut self,
        event: &Event,
        facts: &Facts<'_>,
        tally: &mut Tally,
    ) -> Result<(), ReplayError> {
        self.room(publish::Stage::has_room).await?;
        let value = self.encoder.encode(event, facts, class_of);
        if value.len() > self.max_record_bytes {
            left(tally, RejectReason::TooLarge);
            return Ok(());
        }
        tally.understood += 1;
        let Some(publish) = &mut self.publish else { return Ok(()) };
        let record = Record {
            destination: Destination::Events,
            number: None,
            received: event.frame.received,
            event_time: facts.event_time.or(facts.version),
            ticket: Some(self.flow.receive(event.class, event.origin)),
        };
        let key = self.router.key(event, facts).to_vec();
        let headers = self.router.headers(event, facts);
        publish.take(record, Parcel { key: &key, value, headers: &headers });
        Ok(())
    }

    /// Waits for the producer until it is as it is wanted.
    async fn room(&mut self, wanted: impl Fn(&publish::Stage) -> bool) -> Result<(), ReplayError> {
        let Some(publish) = &mut self.publish else { return Ok(()) };
        let until = self.clock.mono() + PATIENCE;
        while !wanted(publish) {
            if self.clock.mono() > until {
                let unacked = publish.unacked();
                return Err(ReplayError::Unacked { unacked, seconds: PATIENCE.as_secs() });
            }
            publish.attend().await?;
        }
        publish.durable();
        Ok(())
    }
}

fn left(tally: &mut Tally, reason: RejectReason) {
    *tally.left.entry(reason.as_str()).or_default() += 1;
}

#[cfg(test)]
mod tests;
