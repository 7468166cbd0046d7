//! Rows of history to acknowledged records, beside the journey: with a producer of its own, so that
//! neither waits for the other's acknowledgements.

use std::time::Duration;

use trunkline_protocol::domain::facts::Facts;
use trunkline_protocol::domain::{
    EpochId, Event, Frame, GapId, Leg, Origin, Quarantined, RejectReason, TopicClass,
};
use trunkline_protocol::identity::{Canonical, identify};
use trunkline_protocol::ledger::Source;
use trunkline_protocol::privacy::Policy;
use trunkline_protocol::topic::class_of;

use crate::clock::Clock;
use crate::decode::body::BodyError;
use crate::decode::history;
use crate::encode::Encoder;
use crate::observe::flow::Flow;
use crate::publish::router::Router;
use crate::publish::{self, Destination, Parcel, PublishError, Record, quarantine};

/// What the writer is made of.
pub struct WriterParts {
    /// Time.
    pub clock: Clock,
    /// Organisation.
    pub org_id: String,
    /// What may be written down.
    pub policy: Policy,
    /// Writes Avro.
    pub encoder: Encoder,
    /// Chooses key and headers.
    pub router: Router,
    /// Larger records are quarantined in parts.
    pub max_record_bytes: usize,
    /// Hands records over.
    pub publish: publish::Stage,
    /// Counts every record.
    pub flow: Flow,
    /// While more live events than this are in flight, history waits.
    pub live_in_flight: u64,
}

/// Writes rows down and hands them over.
pub struct Writer {
    parts: WriterParts,
    sequence: u64,
}

/// What comes before and behind a row, so that it reads like a message.
const BEFORE: &str = r#"{"topicName":""#;
const BETWEEN: &str = r#"","eventBody":"#;
const YIELD: Duration = Duration::from_millis(50);

impl Writer {
    /// Ready to write.
    #[must_use]
    pub fn new(parts: WriterParts) -> Self {
        Self { parts, sequence: 0 }
    }

    /// A row as an event: identified over organisation, interface and row, so that reading it again
    /// changes nothing.
    pub(super) fn event(
        &mut self,
        row: &str,
        source: Source,
        origin: Origin,
        gap: Option<GapId>,
    ) -> Event {
        let topic = topic(source);
        let text = [BEFORE, topic, BETWEEN, row, "}"].concat();
        let topic_at = BEFORE.len()..BEFORE.len() + topic.len();
        let body_at = topic_at.end + BETWEEN.len()..text.len() - 1;
        let (id, digest) = identify(Canonical::AsReceived, &self.parts.org_id, topic, row);
        self.sequence += 1;
        Event {
            frame: Frame {
                text,
                received: self.parts.clock.now(),
                epoch: EpochId([0; 16]),
                leg: Leg { shard: 0, ordinal: 0 },
            },
            id,
            digest,
            class: TopicClass::History,
            topic: topic_at,
            body: body_at,
            quotes: None,
            correlation_id: None,
            sequence: self.sequence,
            origin,
            gap,
            takeover: false,
            altered: false,
        }
    }

    /// Writes down what the privacy policy leaves of one, and hands it over when there is room and the
    /// journey leaves some. `facts` are those of the row as history gave it.
    pub(super) async fn write(
        &mut self,
        event: &Event,
        facts: &Facts<'_>,
    ) -> Result<(), PublishError> {
        self.room().await?;
        if self.parts.policy.is_none() {
            self.put(event, facts);
            return Ok(());
        }
        match self.parts.policy.event(event.clone()) {
            Ok(governed) => match history::read(governed.body()) {
                Ok(row) => self.put(&governed, &row.facts()),
                Err(error) => {
                    let (org, reason) = (&self.parts.org_id, RejectReason::BadBody);
                    let rejected = quarantine::of_event(&governed, org, reason, error.to_string());
                    self.put_aside(rejected, event.origin);
                }
            },
            Err(rejected) => self.put_aside(rejected, event.origin),
        }
        Ok(())
    }

    fn put(&mut self, event: &Event, facts: &Facts<'_>) {
        let WriterParts { encoder, router, publish, flow, max_record_bytes, org_id, .. } =
            &mut self.parts;
        let value = encoder.encode(event, facts, class_of);
        if value.len() > *max_record_bytes {
            let detail = format!("the record has {} bytes", value.len());
            let rejected = quarantine::of_event(event, org_id, RejectReason::TooLarge, detail);
            self.put_aside(rejected, event.origin);
            return;
        }
        let ticket = flow.receive(TopicClass::History, event.origin);
        let record = Record {
            destination: Destination::Events,
            number: None,
            received: event.frame.received,
            event_time: facts.event_time.or(facts.version),
            ticket: Some(ticket),
        };
        let key = router.key(event, facts);
        let headers = router.headers(event, facts);
        publish.take(record, Parcel { key, value, headers: &headers });
    }

    /// To the quarantine, as far as the policy lets it.
    fn put_aside(&mut self, rejected: Quarantined, origin: Origin) {
        let WriterParts { policy, publish, flow, max_record_bytes, .. } = &mut self.parts;
        let ticket = flow.receive(TopicClass::History, origin);
        let rejected = policy.rejected(rejected);
        quarantine::parts(&rejected, 0, ticket, *max_record_bytes, |record, parcel| {
            publish.take(record, parcel);
        });
    }

    /// A row that is no conversation: to the quarantine.
    pub(super) async fn reject(
        &mut self,
        row: &str,
        source: Source,
        error: &BodyError,
    ) -> Result<(), PublishError> {
        self.room().await?;
        let WriterParts { org_id, clock, .. } = &self.parts;
        let rejected = Quarantined {
            raw: row.as_bytes().to_vec(),
            reason: RejectReason::BadBody,
            detail: error.to_string(),
            topic: Some(topic(source).to_owned()),
            id: identify(Canonical::AsReceived, org_id, topic(source), row).0,
            received: clock.now(),
            epoch: EpochId([0; 16]),
            withheld: false,
            altered: None,
        };
        self.put_aside(rejected, Origin::Backfill);
        Ok(())
    }

    /// Waits until everything handed over is acknowledged.
    pub(super) async fn flush(&mut self) -> Result<(), PublishError> {
        while self.parts.publish.unacked() > 0 {
            self.parts.publish.attend().await?;
        }
        self.parts.publish.durable();
        Ok(())
    }

    /// Takes care of the producer while nothing is written. Never ends by itself for long.
    pub(super) async fn attend(&mut self) -> Result<(), PublishError> {
        self.parts.publish.attend().await
    }

    async fn room(&mut self) -> Result<(), PublishError> {
        let own = |parts: &WriterParts| parts.publish.unacked() as u64;
        loop {
            let live = self.parts.flow.snapshot().in_flight.saturating_sub(own(&self.parts));
            if live <= self.parts.live_in_flight && self.parts.publish.has_room() {
                return Ok(());
            }
            tokio::select! {
                attended = self.parts.publish.attend() => attended?,
                () = self.parts.clock.sleep_until(Some(self.parts.clock.mono() + YIELD)) => {}
            }
        }
    }
}

/// In the place of a topic: which interface of history said it.
fn topic(source: Source) -> &'static str {
    match source {
        Source::Query => "analytics.conversations.details.query",
        Source::Jobs => "analytics.conversations.details.jobs",
    }
}
