//! Fills gaps from the platform's history: reads it when the rules say so, writes what it shows as
//! records of the gap, and tells the ledger. Living channels go first: only requests they leave are
//! used, and records wait while live ones do.

mod audit;
mod past;
mod range;
mod reader;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use trunkline_protocol::domain::{EventId, GapId, Origin, Wall};
use trunkline_protocol::gate::{Endpoint, Priority};
use trunkline_protocol::history::{Agenda, Campaign, Recent, Task, Wish, campaigns};
use trunkline_protocol::ledger::{Known, News, Source};
use trunkline_protocol::server_time;
use trunkline_protocol::timings::Timings;

use crate::clock::Clock;
use crate::control::Client;
use crate::decode::history;
use crate::failpoint;
use crate::genesys::PlatformError;
use crate::observe::metrics::ProofMetrics;
use crate::observe::status::StatusBoard;
use crate::publish::PublishError;

pub use audit::AuditParts;
use audit::Auditor;
pub use range::{RangeError, Ranged};
use reader::Reader;
pub use writer::{Writer, WriterParts};

/// What the room needs.
pub struct Reconcile {
    /// Time.
    pub clock: Clock,
    /// Durations.
    pub timings: Timings,
    /// Who asks.
    pub client: Client,
    /// Gaps that are not done with.
    pub gaps: watch::Receiver<Arc<Vec<Known>>>,
    /// Records that history gave before this process began, by gap.
    pub written: BTreeMap<GapId, BTreeSet<EventId>>,
    /// Conversations heard a short while ago.
    pub recent: Arc<Mutex<Recent>>,
    /// Where the ledger listens.
    pub news: mpsc::Sender<News>,
    /// Writes rows down and hands them over.
    pub writer: Writer,
    /// Counts.
    pub metrics: ProofMetrics,
    /// Where progress is posted.
    pub board: StatusBoard,
    /// What holding closed hours against history takes; `None` where that is not wanted.
    pub audit: Option<Box<AuditParts>>,
}

/// Why a reading ended before its end.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("{0}")]
    Cut(&'static str),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Gaps are looked at this often although nobody said anything about them.
const LOOK: Duration = Duration::from_secs(60);

impl Reconcile {
    /// Runs until `stop` turns true. A reading that is under way is left, and begins anew with the
    /// next process.
    ///
    /// # Errors
    /// When records can no longer be handed over.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), PublishError> {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Ok(()),
            ended = self.repair() => ended,
        }
    }

    async fn repair(mut self) -> Result<(), PublishError> {
        let mut agenda = Agenda::new(self.timings.clone());
        let mut auditor = self.audit.take().map(|parts| Auditor::new(parts, self.clock.mono()));
        loop {
            let known = Arc::clone(&self.gaps.borrow_and_update());
            self.written.retain(|id, _| known.iter().any(|known| known.gap.gap == *id));
            let now = self.clock.now();
            let error = self.clock.server_at(now.mono).map(server_time::Reading::error);
            let task = {
                let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
                agenda.next(&known, &recent, error.unwrap_or_default(), now.wall)
            };
            match task {
                Task::Close(shard, gap, outcome) => {
                    self.tell(News::Closed { shard, gap, outcome }).await;
                }
                Task::AskAvailability => self.ask_availability(&mut agenda).await,
                Task::Read(source, wishes) => self.read(&mut agenda, source, wishes).await?,
                Task::Wait(at) => {
                    if let Some(auditor) = auditor.as_mut().filter(|a| a.is_due(now.mono)) {
                        self.audit(auditor).await?;
                        continue;
                    }
                    let wait = at.map_or(LOOK, |at| at.since(now.wall).min(LOOK));
                    let audit = auditor.as_ref().map(|audit| audit.due().since(now.mono));
                    let wait = audit.map_or(wait, |audit| audit.min(wait));
                    tokio::select! {
                        changed = self.gaps.changed() => if changed.is_err() {
                            return Ok(()); // the ledger ended, and so does the process
                        },
                        () = self.clock.sleep_until(Some(now.mono + wait)) => {}
                        attended = self.writer.attend() => attended?,
                    }
                }
            }
        }
    }

    async fn tell(&mut self, news: News) {
        self.news.send(news).await.ok(); // without a ledger the process is ending
    }

    async fn ask_availability(&mut self, agenda: &mut Agenda) {
        let asked =
            self.client.call(Endpoint::History, Priority::Backfill, |http, token| async move {
                http.details_availability(&token).await
            });
        match asked.await {
            Ok(to) => agenda.available(to),
            Err(error) => {
                tracing::warn!(code = "history_unavailable", error = %error, "history does not say how far it is complete");
            }
        }
    }

    /// Reads history for gaps, those of one outage together.
    async fn read(
        &mut self,
        agenda: &mut Agenda,
        source: Source,
        wishes: Vec<Wish>,
    ) -> Result<(), PublishError> {
        for mut campaign in campaigns(wishes) {
            let began = self.clock.now().wall;
            match self.read_one(source, &mut campaign).await {
                Ok(complete_to) => {
                    let readings = campaign.readings(source, began, complete_to);
                    agenda.read(&readings);
                    for (shard, gap, reading) in readings {
                        self.metrics.history_read(source, reading.written);
                        tracing::info!(
                            code = "history_read",
                            gap = %gap,
                            source = source.as_str(),
                            rows = reading.rows,
                            written = reading.written,
                            missing = reading.missing,
                            complete_to_ms = reading.complete_to.map(|to| to.0),
                            "history was read for a gap"
                        );
                        self.tell(News::Read { shard, gap, reading }).await;
                    }
                }
                Err(ReadError::Publish(error)) => return Err(error),
                Err(error @ (ReadError::Platform(_) | ReadError::Cut(_))) => {
                    let again = agenda.failed(self.clock.now().wall);
                    self.metrics.history_failed(source);
                    tracing::warn!(
                        code = "history_failed",
                        source = source.as_str(),
                        error = %error,
                        again_ms = again.0,
                        "a reading of history failed and will be tried again"
                    );
                    break;
                }
            }
        }
        self.board.backfill(None);
        Ok(())
    }

    /// Returns up to when history called itself complete, where it says so.
    async fn read_one(
        &mut self,
        source: Source,
        campaign: &mut Campaign,
    ) -> Result<Option<Wall>, ReadError> {
        let client = self.client.clone();
        let mut reader = Reader::new(source, campaign.window, &self.timings, client, self.clock);
        while let Some(rows) = reader.next().await? {
            self.take(source, &rows, |conversation| reader.is_new(conversation), campaign).await?;
            self.board.backfill(Some(reader.progress(source)));
        }
        if source == Source::Query {
            let rows = reader.look_up(&campaign.missing(LOOK_UPS)).await?;
            self.take(source, &rows, |_| true, campaign).await?;
        }
        reader.end()
    }

    /// Rows become records of the gaps they concern; what is durable already is not written again.
    async fn take(
        &mut self,
        source: Source,
        rows: &[Box<RawValue>],
        mut is_new: impl FnMut(&str) -> bool,
        campaign: &mut Campaign,
    ) -> Result<(), ReadError> {
        let mut written: BTreeMap<GapId, Vec<EventId>> = BTreeMap::new();
        for row in rows {
            let read = match history::read(row.get()) {
                Ok(read) => read,
                Err(error) => {
                    self.writer.reject(row.get(), source, &error).await?;
                    continue;
                }
            };
            if !is_new(read.id()) {
                continue;
            }
            let Some(gap) = campaign.take(&read.row()) else { continue };
            let event = self.writer.event(row.get(), source, Origin::Backfill, Some(gap));
            if self.written.values().any(|ids| ids.contains(&event.id)) {
                continue;
            }
            written.entry(gap).or_default().push(event.id);
            self.written.entry(gap).or_default().insert(event.id);
            self.writer.write(&event, &read.facts()).await?;
        }
        failpoint::pass("bf.page.sent");
        self.writer.flush().await?;
        failpoint::pass("bf.page.acked");
        for (gap, ids) in written {
            ids.iter().for_each(|_| campaign.wrote(gap));
            let shard = campaign.shard_of(gap).unwrap_or_default();
            self.tell(News::Written { shard, gap, ids }).await;
        }
        Ok(())
    }
}

/// Conversations that are looked up by id in one reading.
const LOOK_UPS: usize = 2_000;
