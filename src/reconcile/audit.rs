//! Closed hours held against history: reads the records of a span, then its rows, publishes what no
//! record carries, and tells the ledger what was found.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{mpsc, oneshot};
use trunkline_protocol::domain::{EventId, Interval, IntervalSet, Mono, Origin, Wall};
use trunkline_protocol::gate::{Endpoint, Priority};
use trunkline_protocol::history::{Carried, Finding, Hours, due};
use trunkline_protocol::ledger::{News, Source};
use trunkline_protocol::server_time;
use trunkline_protocol::timings::Timings;

use super::reader::Reader;
use super::{ReadError, Reconcile};
use crate::decode::history;
use crate::encode::read;
use crate::failpoint;
use crate::kafka::KafkaError;
use crate::kafka::reader::begins_after;
use crate::kafka::settings::KafkaSettings;
use crate::kafka::tail::{self, From, Tailed};
use crate::ledger::{Look, Looked};
use crate::publish::PublishError;
use crate::supervisor::Supervisor;

/// What it takes beside the rest of the room.
pub struct AuditParts {
    /// Where what is known of every shard is asked for.
    pub looks: mpsc::Sender<Look>,
    /// Brokers.
    pub kafka: KafkaSettings,
    /// Conversation events.
    pub events_topic: String,
    /// Every queue is wanted, so conversations on no topic are published too; who chose some of them
    /// did not ask for the rest.
    pub whole_org: bool,
}

/// When to look next, and what cannot be judged.
pub(super) struct Auditor {
    parts: Box<AuditParts>,
    look_at: Mono,
    /// Spans whose records are gone or too many: said once by each process.
    beyond: BTreeSet<Interval>,
    /// What was published, so that a conversation of two spans comes once; forgotten when it grows.
    published: BTreeSet<EventId>,
    failures: u32,
}

const PUBLISHED: usize = 100_000;

/// Why a span was not judged this time.
#[derive(Debug, thiserror::Error)]
enum Unjudged {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("history is not complete up to its end and the margin behind it yet")]
    TooEarly,
    #[error("the topic does not reach back to its beginning: records may have been deleted")]
    Deleted,
    #[error("more conversations than can be remembered")]
    TooMany,
    #[error("following the topic ended")]
    Ended,
}

/// So much longer is waited after each failure, that often.
const AGAIN_CAP: u32 = 5;

impl Auditor {
    pub(super) fn new(parts: Box<AuditParts>, now: Mono) -> Self {
        Self {
            parts,
            look_at: now,
            beyond: BTreeSet::new(),
            published: BTreeSet::new(),
            failures: 0,
        }
    }

    pub(super) fn due(&self) -> Mono {
        self.look_at
    }

    pub(super) fn is_due(&self, now: Mono) -> bool {
        self.look_at <= now
    }

    /// Whether this was not published before.
    fn is_first(&mut self, id: EventId) -> bool {
        if self.published.len() >= PUBLISHED {
            self.published.clear();
        }
        self.published.insert(id)
    }

    async fn look(&self) -> Vec<Looked> {
        let (answer, looked) = oneshot::channel();
        if self.parts.looks.send(answer).await.is_err() {
            return Vec::new(); // the ledger ended, and so does the process
        }
        looked.await.unwrap_or_default()
    }
}

impl Reconcile {
    /// Judges the next span that is due, if one is.
    pub(super) async fn audit(&mut self, auditor: &mut Auditor) -> Result<(), PublishError> {
        auditor.look_at = self.clock.mono() + self.timings.audit_look;
        let shards = auditor.look().await;
        let ours = shards.iter().filter(|looked| looked.is_ours).map(|looked| &looked.ledger);
        let now = self.clock.now().wall;
        let Some(span) = due(ours, &auditor.beyond, now, &self.timings) else { return Ok(()) };
        match self.judge(span, &shards, auditor).await {
            Ok(()) => {
                auditor.failures = 0;
                auditor.look_at = self.clock.mono(); // another one may be due
            }
            Err(Unjudged::Read(ReadError::Publish(error))) => return Err(error),
            Err(Unjudged::TooEarly) => {}
            Err(why @ (Unjudged::Deleted | Unjudged::TooMany)) => {
                auditor.beyond.insert(span);
                auditor.look_at = self.clock.mono();
                self.metrics.audited("impossible");
                tracing::error!(
                    code = "audit_impossible",
                    from_ms = span.from.0,
                    to_ms = span.to.0,
                    error = %why,
                    "a closed span cannot be held against history"
                );
            }
            Err(why @ (Unjudged::Read(_) | Unjudged::Kafka(_) | Unjudged::Ended)) => {
                let wait = self.timings.read_again * 2_u32.pow(auditor.failures.min(AGAIN_CAP));
                auditor.failures += 1;
                auditor.look_at = self.clock.mono() + wait;
                self.metrics.audited("failed");
                tracing::warn!(
                    code = "audit_failed",
                    from_ms = span.from.0,
                    error = %why,
                    "holding a closed span against history failed and will be tried again"
                );
            }
        }
        Ok(())
    }

    async fn judge(
        &mut self,
        span: Interval,
        shards: &[Looked],
        auditor: &mut Auditor,
    ) -> Result<(), Unjudged> {
        let complete = span.to.plus(self.timings.margin);
        let available =
            self.client.call(Endpoint::History, Priority::Audit, |http, token| async move {
                http.details_availability(&token).await
            });
        if available.await.map_err(ReadError::Platform)?.is_none_or(|to| to < complete) {
            return Err(Unjudged::TooEarly);
        }
        // what waited for a broker lies further back: before anything is called missed, all is read
        let late = shards.iter().flat_map(|looked| looked.ledger.late().intervals()).copied();
        let late: IntervalSet = late.collect();
        for read_to in [Some(Carried::within(span, &late, &self.timings).to), None] {
            let parts = &auditor.parts;
            let carried = read_records(span, &late, read_to, parts, &self.timings).await?;
            let error = self.clock.server_at(self.clock.mono()).map(server_time::Reading::error);
            let known = shards.iter().map(|looked| (looked.shard, &looked.ledger, looked.is_ours));
            let error = error.unwrap_or_default();
            let mut hours = Hours::new(span, known, carried, error, &self.timings);
            let mut counts = BTreeMap::new();
            if let Some(complete_to) =
                self.hold_all(span, read_to, &mut hours, &mut counts, auditor).await?
            {
                if complete_to < complete {
                    return Err(Unjudged::TooEarly);
                }
                counts.into_iter().for_each(|(word, n)| self.metrics.held_against(word, n));
                self.found(span, &hours, complete_to).await;
                break;
            }
        }
        Ok(())
    }

    /// Judges every row of a span. `None` when something seems to be missed and the topic was not read
    /// to its end; otherwise up to when history called itself complete.
    async fn hold_all(
        &mut self,
        span: Interval,
        read_to: Option<Wall>,
        hours: &mut Hours,
        counts: &mut BTreeMap<&'static str, u64>,
        auditor: &mut Auditor,
    ) -> Result<Option<Wall>, Unjudged> {
        let client = self.client.clone();
        let mut reader = Reader::new(Source::Jobs, span, &self.timings, client, self.clock).last();
        while let Some(rows) = reader.next().await.map_err(ReadError::Platform)? {
            for row in &rows {
                let read = match history::read(row.get()) {
                    Ok(read) => read,
                    Err(error) => {
                        let rejected = self.writer.reject(row.get(), Source::Jobs, &error).await;
                        rejected.map_err(ReadError::Publish)?;
                        continue;
                    }
                };
                if !reader.is_new(read.id()) {
                    continue;
                }
                let finding = hours.judge(&read.row(), self.clock.now().wall);
                let doubtful = matches!(finding, Finding::Missed(_) | Finding::Rewritten);
                if doubtful && read_to.is_some() {
                    return Ok(None);
                }
                *counts.entry(word(&finding)).or_default() += 1;
                let wanted = match finding {
                    Finding::Carried => false,
                    Finding::Uncovered => auditor.parts.whole_org,
                    Finding::Missed(_) | Finding::Rewritten => true,
                };
                if !wanted {
                    continue;
                }
                let event = self.writer.event(row.get(), Source::Jobs, Origin::Reconcile, None);
                if auditor.is_first(event.id) {
                    self.writer.write(&event, &read.facts()).await.map_err(ReadError::Publish)?;
                }
            }
            self.writer.flush().await.map_err(ReadError::Publish)?;
            failpoint::pass("audit.page.acked");
        }
        Ok(Some(reader.end()?.ok_or(Unjudged::TooEarly)?))
    }

    async fn found(&mut self, span: Interval, hours: &Hours, complete_to: Wall) {
        for (shard, audit) in hours.audits(self.clock.now().wall, complete_to) {
            if audit.missed > 0 {
                tracing::error!(
                    code = "audit_missed",
                    shard,
                    from_ms = span.from.0,
                    to_ms = span.to.0,
                    missed = audit.missed,
                    "conversations that proven sockets did not hear: what was said of their time is taken back"
                );
            }
            tracing::info!(
                code = "audited",
                shard,
                from_ms = span.from.0,
                to_ms = span.to.0,
                rows = audit.rows,
                missed = audit.missed,
                uncovered = audit.uncovered,
                rewritten = audit.rewritten,
                "a closed span was held against history"
            );
            self.tell(News::Audited { shard, audit }).await;
        }
        self.metrics.audited("done");
        self.metrics.audited_to(span.to);
    }
}

/// Which conversations the records of a span speak of.
async fn read_records(
    span: Interval,
    late: &IntervalSet,
    read_to: Option<Wall>,
    parts: &AuditParts,
    timings: &Timings,
) -> Result<Carried, Unjudged> {
    let window = Carried::within(span, late, timings);
    let (kafka, topic) = (parts.kafka.clone(), parts.events_topic.clone());
    let cut = tokio::task::spawn_blocking(move || begins_after(&kafka, &topic, window.from.0));
    if cut.await.map_err(|_| Unjudged::Ended)?? {
        return Err(Unjudged::Deleted);
    }
    let (kafka, topic) = (parts.kafka.clone(), parts.events_topic.clone());
    let from = From::Time(window.from.0, BTreeMap::new());
    let (mut tail, work) =
        tail::follow_until(kafka, topic, from, read_to.map(|to| to.0), |record| {
            let seen = read::seen(record.partition(), record.offset(), record.value())?;
            seen.epoch?;
            Some((Box::<str>::from(record.key()?), seen.received))
        });
    let mut tasks = Supervisor::new();
    tasks.spawn("audited records", work);
    tail.ask(1);
    let mut carried = Carried::new(span, late.clone(), timings);
    while let Some(tailed) = tail.recv().await {
        match tailed {
            Tailed::Record((conversation, received)) => {
                if !carried.record(&conversation, received) {
                    return Err(Unjudged::TooMany);
                }
            }
            Tailed::CaughtUp(_) => return Ok(carried),
        }
    }
    Err(Unjudged::Ended)
}

fn word(finding: &Finding) -> &'static str {
    match finding {
        Finding::Carried => "carried",
        Finding::Missed(_) => "missed",
        Finding::Uncovered => "uncovered",
        Finding::Rewritten => "rewritten",
    }
}
