//! What `reconcile` and `backfill` have in common: a range is read from history part by part, within a
//! part of the budget, and a later process goes on where this one ended.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use trunkline_protocol::domain::{EventId, Interval, IntervalSet, Origin, Wall};
use trunkline_protocol::gate::{Endpoint, Priority};
use trunkline_protocol::history::{Asked, Counts, Estimate, Judge, Progress, estimate, parts};

use super::Output;
use super::ask::{Reading, Wish};
use super::bar::Bar;
use super::past::{Means, Past};
use super::proof::{at, collect};
use super::state::StateFile;
use crate::config::Config;
use crate::errand::Errand;
use crate::error::{ExitCode, ProcessError};
use crate::genesys::PlatformError;
use crate::kafka::tail::From;
use crate::reconcile::{RangeError, Ranged, Writer, WriterParts};

/// What came of it.
pub(super) enum Came {
    /// It was read, and what is known of the time before topics were covered.
    Read(Box<Progress>, Option<Box<Past>>),
    /// It was only priced: the range, the price, the requests per minute it may use.
    Priced(Interval, Estimate, u32),
    /// All of it is proven.
    Proven(Interval),
}

impl Reading {
    /// Carries it out; time that is `proven` is left out.
    pub(super) async fn carry_out(
        mut self,
        wish: &Wish,
        proven: IntervalSet,
        quiet: bool,
    ) -> Result<Came, ProcessError> {
        if proven.covers(Interval::new(self.range.from, self.range.to.plus(self.timings.margin))) {
            return Ok(Came::Proven(self.range));
        }
        let mut errand = Errand::start(&self.config, self.limit, &self.timings).await?;
        self.asked.org_id.clone_from(&errand.org_id);
        let mut past = match wish.certify {
            true => Past::find(&self.config, &mut errand, self.range).await?.map(Box::new),
            false => None,
        };
        let (state, earlier) = self.state.take().unzip();
        let mut progress = match earlier.flatten() {
            Some(progress) => goes_on(progress, &self.asked)?,
            None => {
                let rest = past.as_ref().map_or(self.range, |past| past.rest(self.range));
                let available = availability(&errand).await?;
                let parts = match rest.is_empty() {
                    true => Vec::new(),
                    false => parts(rest, available, &proven, &self.timings),
                };
                let (asked, range) = (self.asked.clone(), self.range);
                // login, organisation, availability
                let counts = Counts { requests: 3, ..Counts::default() };
                Progress { asked, range, parts, done: 0, counts, found: BTreeMap::new() }
            }
        };
        if self.dry_run {
            let mut left = progress.parts.get(progress.done..).unwrap_or_default().to_vec();
            if let Some(past) = &past {
                left.extend(past.parts(availability(&errand).await?));
            }
            let price = estimate(&left, wish.have.len() as u64, self.limit);
            return Ok(Came::Priced(self.range, price, self.limit));
        }
        let mut ranged = self.ranged(wish, &mut errand).await?;
        let (have, margin) = (wish.have.clone(), self.timings.margin);
        let judge = Judge { proven, have, margin };
        let bar = Bar::new(progress.parts.len(), quiet);
        if let Some(past) = &mut past {
            let mut means = Means {
                errand: &errand,
                ranged: &mut ranged,
                judge: &judge,
                timings: &self.timings,
                progress: &mut progress,
                state: state.as_ref(),
                bar: &bar,
                wait: wish.wait,
            };
            past.fill(&mut means).await?;
        }
        while let Some(part) = progress.next() {
            let (done, before) = (progress.done, progress.counts);
            let mut look = |counts: &Counts| bar.show(done, &before, counts);
            let read = ranged.read(part, &judge, &mut look).await;
            let (counts, found) = read.map_err(|error| failed(&error, state.as_ref()))?;
            progress.read(counts, found);
            if let Some(state) = &state {
                state.write(&progress)?;
            }
        }
        bar.done();
        Ok(Came::Read(Box::new(progress), past))
    }

    async fn ranged(&self, wish: &Wish, errand: &mut Errand) -> Result<Ranged, ProcessError> {
        let (mut writer, mut there) = (None, BTreeSet::new());
        if wish.publish {
            let pen = errand.pen(&self.config).await?;
            writer = Some(Writer::new(WriterParts {
                clock: errand.clock,
                org_id: errand.org_id.clone(),
                policy: pen.policy,
                encoder: pen.encoder,
                router: pen.router,
                max_record_bytes: self.config.kafka.max_record_bytes,
                publish: pen.publish,
                flow: pen.flow,
                live_in_flight: u64::MAX, // nothing lives in this process
            }));
            there = of_history(&self.config, self.range.from).await?;
        }
        Ok(Ranged {
            clock: errand.clock,
            timings: self.timings.clone(),
            client: errand.client.clone(),
            origin: wish.origin,
            list: wish.list,
            writer,
            there,
        })
    }
}

/// A later process has to ask for the same.
fn goes_on(progress: Progress, asked: &Asked) -> Result<Progress, ProcessError> {
    match progress.asked.differs(asked) {
        None => Ok(progress),
        Some((what, before, now)) => {
            let text = format!(
                "--resume: the file was begun with another value of {what} ({before}, now {now}); ask for the same, or name another file"
            );
            Err(ProcessError::text(ExitCode::Usage, text))
        }
    }
}

/// Up to when jobs are complete.
pub(super) async fn availability(errand: &Errand) -> Result<Option<Wall>, ProcessError> {
    let asked =
        errand.client.call(Endpoint::History, Priority::Backfill, |http, token| async move {
            http.details_availability(&token).await
        });
    asked.await.map_err(|error| failed(&RangeError::Platform(error), None))
}

/// Records of history that the events topic has. What is about a time was not written before it.
async fn of_history(config: &Config, from: Wall) -> Result<BTreeSet<EventId>, ProcessError> {
    let from = From::Time(from.0, BTreeMap::new());
    let found = collect(config, &config.kafka.events_topic, from, |raw| {
        let origin = raw.header("trunkline-origin")?;
        let wanted = [Origin::Backfill, Origin::Reconcile].map(Origin::as_str);
        raw.header("event_id").filter(|_| wanted.contains(&origin))?.parse().ok()
    });
    Ok(found.await?.into_iter().collect())
}

pub(super) fn failed(error: &RangeError, state: Option<&StateFile>) -> ProcessError {
    let code = match error {
        RangeError::Platform(PlatformError::Status { status: 401 | 403, .. }) => {
            ExitCode::Permission
        }
        RangeError::Platform(_) | RangeError::Cut(_) | RangeError::Unacked(_) => {
            ExitCode::Unavailable
        }
        RangeError::Publish(_) => ExitCode::Internal,
    };
    let needed = match code {
        ExitCode::Permission => "; needed: analytics:conversationDetail:view",
        ExitCode::Done
        | ExitCode::Failed
        | ExitCode::Usage
        | ExitCode::Config
        | ExitCode::Unavailable
        | ExitCode::Internal => "",
    };
    let again = state.map_or_else(String::new, StateFile::advice);
    ProcessError::text(code, format!("{error}{needed}{again}"))
}

/// What reading would cost. How many conversations a range holds is not known before it is read.
pub(super) fn priced(
    range: Interval,
    price: Estimate,
    limit: u32,
    conversations: usize,
    output: Output,
) -> String {
    let (requests, secs) = (price.requests, price.time.as_secs());
    match output {
        Output::Json => json!({
            "dry_run": true, "from_ms": range.from.0, "to_ms": range.to.0, "requests": requests,
            "seconds": secs, "requests_per_minute": limit, "conversations": conversations,
        })
        .to_string(),
        Output::Text => format!(
            "from {} to {}: {requests} requests for {conversations} conversations, {secs} s at up to {limit} a minute; \
             one more for every 500 further conversations of details jobs, or 100 of details queries",
            at(range.from.0),
            at(range.to.0)
        ),
    }
}

/// Nothing had to be read.
pub(super) fn all_proven(range: Interval, output: Output) -> String {
    let (from, to) = (range.from.0, range.to.0);
    match output {
        Output::Json => json!({"from_ms": from, "to_ms": to, "proven": true}).to_string(),
        Output::Text => format!(
            "from {} to {} certificates prove everything: nothing is read",
            at(from),
            at(to)
        ),
    }
}
