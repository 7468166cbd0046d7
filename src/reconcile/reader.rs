//! Carries out one reading of history, request by request.

use std::collections::BTreeSet;
use std::future::Future;

use secrecy::SecretString;
use serde_json::value::RawValue;
use trunkline_protocol::domain::{Interval, Wall};
use trunkline_protocol::gate::{Endpoint, Priority};
use trunkline_protocol::history::{Ask, Finished, PAGE, Reading};
use trunkline_protocol::ledger::Source;
use trunkline_protocol::timings::Timings;

use super::ReadError;
use crate::clock::Clock;
use crate::control::Client;
use crate::genesys::PlatformError;
use crate::genesys::http::{Answer, Http};
use crate::observe::status::Backfill;

/// One reading under way.
pub(super) struct Reader {
    rules: Reading,
    client: Client,
    clock: Clock,
    priority: Priority,
    /// The page at hand, which the rules hear of once its rows are taken.
    page: Option<Page>,
    rows: u64,
    requests: u64,
}

/// What a page says beside its rows.
enum Page {
    Query { rows: usize, total: Option<u64> },
    Results { cursor: Option<String>, complete_to: Option<Wall> },
}

/// Conversations as received.
pub(super) type Rows = Vec<Box<RawValue>>;

/// Ids in one request.
const IDS: usize = 100;

impl Reader {
    pub(super) fn new(
        source: Source,
        window: Interval,
        timings: &Timings,
        client: Client,
        clock: Clock,
    ) -> Self {
        let rules = Reading::new(source, window, timings);
        let priority = Priority::Backfill;
        Self { rules, client, clock, priority, page: None, rows: 0, requests: 0 }
    }

    /// Behind everything else.
    pub(super) fn last(self) -> Self {
        Self { priority: Priority::Audit, ..self }
    }

    /// The rows of the next page; `None` when there are no more. By then those of the page before
    /// have been taken.
    pub(super) async fn next(&mut self) -> Result<Option<Rows>, PlatformError> {
        match self.page.take() {
            Some(Page::Query { rows, total }) => self.rules.page(rows, total),
            Some(Page::Results { cursor, complete_to }) => self.rules.results(cursor, complete_to),
            None => {}
        }
        while let Some(ask) = self.rules.poll().cloned() {
            match ask {
                Ask::Query { interval, page } => {
                    let read = self.call(|http, token| async move {
                        http.details_query(&token, interval, page, PAGE).await
                    });
                    let read = read.await?;
                    self.page = Some(Page::Query { rows: read.rows.len(), total: read.total });
                    self.rows += read.rows.len() as u64;
                    return Ok(Some(read.rows));
                }
                Ask::Submit { interval } => {
                    let job = self.call(|http, token| async move {
                        http.submit_details_job(&token, interval).await
                    });
                    let job = job.await?;
                    self.rules.submitted(job);
                }
                Ask::State { job, after } => {
                    self.clock.sleep_until(Some(self.clock.mono() + after)).await;
                    let state = self
                        .call(|http, token| async move { http.details_job(&token, &job).await });
                    let state = state.await?;
                    self.rules.state(state);
                }
                Ask::Results { job, cursor } => {
                    let read = self.call(|http, token| async move {
                        http.details_results(&token, &job, cursor.as_deref()).await
                    });
                    let read = read.await?;
                    let (cursor, complete_to) = (read.cursor, read.complete_to);
                    self.page = Some(Page::Results { cursor, complete_to });
                    self.rows += read.rows.len() as u64;
                    return Ok(Some(read.rows));
                }
            }
        }
        Ok(None)
    }

    /// Conversations by id, as many as history knows.
    pub(super) async fn look_up(&mut self, ids: &[String]) -> Result<Rows, PlatformError> {
        let mut all = Vec::new();
        for ids in ids.chunks(IDS) {
            let ids: BTreeSet<String> = ids.iter().cloned().collect();
            let read = self.call(|http, token| async move { http.details(&token, &ids).await });
            all.extend(read.await?.rows);
        }
        Ok(all)
    }

    /// Whether a row is shown for the first time in the part at hand.
    pub(super) fn is_new(&mut self, conversation: &str) -> bool {
        self.rules.is_new(conversation)
    }

    /// How far it is.
    pub(super) fn progress(&self, source: Source) -> Backfill {
        let (parts_read, parts) = self.rules.progress();
        let (rows, requests) = (self.rows, self.requests);
        Backfill { source: source.as_str(), parts_read, parts, rows, requests }
    }

    /// Up to when history called itself complete, where it says so.
    ///
    /// # Errors
    /// [`ReadError::Cut`] when it did not show what it announced.
    pub(super) fn end(&self) -> Result<Option<Wall>, ReadError> {
        match self.rules.finished() {
            Some(Finished::Whole { complete_to }) => Ok(complete_to),
            Some(Finished::Cut(why)) => Err(ReadError::Cut(why)),
            None => Err(ReadError::Cut("it was not finished")),
        }
    }

    async fn call<T, F>(
        &mut self,
        call: impl FnOnce(Http, SecretString) -> F,
    ) -> Result<T, PlatformError>
    where
        F: Future<Output = Answer<T>>,
    {
        self.requests += 1;
        self.client.call(Endpoint::History, self.priority, call).await
    }
}
