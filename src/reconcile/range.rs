//! Reads parts of a range on request; publishes what is missing where that is wanted.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::value::RawValue;
use trunkline_protocol::domain::facts::Facts;
use trunkline_protocol::domain::{Disposition, EventId, GapId, Origin};
use trunkline_protocol::history::{Counts, Found, Judge, Part, Row, Verdict};
use trunkline_protocol::ledger::Source;
use trunkline_protocol::timings::Timings;

use super::reader::Reader;
use super::{ReadError, Writer};
use crate::clock::Clock;
use crate::control::Client;
use crate::decode::history;
use crate::failpoint;
use crate::genesys::PlatformError;
use crate::publish::PublishError;

/// What reading is made of.
pub struct Ranged {
    /// Time.
    pub clock: Clock,
    /// Durations.
    pub timings: Timings,
    /// Who asks.
    pub client: Client,
    /// What records say of where they come from.
    pub origin: Origin,
    /// Keep what was found missing.
    pub list: bool,
    /// Publishes what is missing; without it nothing is written.
    pub writer: Option<Writer>,
    /// Records of history that the events topic has.
    pub there: BTreeSet<EventId>,
}

/// Why a part was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The platform said no.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// History did not show what it announced.
    #[error("history cannot be read: {0}")]
    Cut(&'static str),
    /// Records cannot be handed over.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The broker takes nothing.
    #[error("records were not acknowledged within {0} s")]
    Unacked(u64),
}

impl RangeError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Platform(error) => error.disposition(),
            Self::Cut(_) => Disposition::Retry, // history moves on
            Self::Publish(error) => error.disposition(),
            Self::Unacked(_) => Disposition::Escalate, // a command does not wait for brokers for ever
        }
    }
}

impl From<ReadError> for RangeError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Platform(error) => Self::Platform(error),
            ReadError::Cut(why) => Self::Cut(why),
            ReadError::Publish(error) => Self::Publish(error),
        }
    }
}

/// A page's records are acknowledged within this.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// So often a part is tried in all.
const TRIES: u32 = 5;

impl Ranged {
    /// Reads a part; what fails for a reason that may pass is tried again. `look` is shown the counts
    /// now and then.
    ///
    /// # Errors
    /// When it fails for good, or again and again.
    pub async fn read(
        &mut self,
        part: Part,
        judge: &Judge,
        look: &mut dyn FnMut(&Counts),
    ) -> Result<(Counts, BTreeMap<String, Found>), RangeError> {
        let (mut counts, mut written) = (Counts::default(), BTreeSet::new());
        for tried in 1.. {
            let mut found = BTreeMap::new();
            match self.once(part, judge, &mut counts, &mut written, &mut found, look).await {
                Ok(()) => return Ok((counts, found)),
                Err(error) => self.before_another(error, tried, &mut counts, &written).await?,
            }
        }
        Err(RangeError::Cut("it was not tried"))
    }

    /// Waits before another try where one may help; what was written stays counted.
    ///
    /// # Errors
    /// The failure of the last try, and one that no other try mends.
    pub(super) async fn before_another(
        &self,
        error: RangeError,
        tried: u32,
        counts: &mut Counts,
        written: &BTreeSet<EventId>,
    ) -> Result<(), RangeError> {
        match error.disposition() {
            Disposition::Retry | Disposition::Renew if tried < TRIES => {
                let (requests, written) = (counts.requests, written.len() as u64);
                *counts = Counts { requests, written, ..Counts::default() };
                let again = self.clock.mono() + self.timings.read_again;
                self.clock.sleep_until(Some(again)).await;
                Ok(())
            }
            Disposition::Retry
            | Disposition::Renew
            | Disposition::Quarantine
            | Disposition::Escalate => Err(error),
        }
    }

    async fn once(
        &mut self,
        part: Part,
        judge: &Judge,
        counts: &mut Counts,
        written: &mut BTreeSet<EventId>,
        found: &mut BTreeMap<String, Found>,
        look: &mut dyn FnMut(&Counts),
    ) -> Result<(), RangeError> {
        // the look-back has parts of its own
        let timings = Timings { query_lookback: Duration::ZERO, ..self.timings.clone() };
        let client = self.client.clone();
        let mut reader = Reader::new(part.source, part.window, &timings, client, self.clock);
        let before = counts.requests;
        loop {
            let page = reader.next().await;
            counts.requests = before + reader.progress(part.source).requests;
            let Some(rows) = page? else { break };
            let mut is_new = |conversation: &str| reader.is_new(conversation);
            let taken = self.take(part, &rows, judge, counts, written, found, &mut is_new);
            tokio::time::timeout(PATIENCE, taken)
                .await
                .map_err(|_| RangeError::Unacked(PATIENCE.as_secs()))??;
            look(counts);
        }
        reader.end()?;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a page and what comes of it")]
    async fn take(
        &mut self,
        part: Part,
        rows: &[Box<RawValue>],
        judge: &Judge,
        counts: &mut Counts,
        written: &mut BTreeSet<EventId>,
        found: &mut BTreeMap<String, Found>,
        is_new: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), RangeError> {
        for row in rows {
            let Some(read) = self.understand(row.get(), part.source, counts, is_new).await? else {
                continue;
            };
            let (shown, facts) = (read.row(), read.facts());
            match judge.judge(&shown, part.about) {
                Verdict::Outside => continue,
                Verdict::Present => counts.present += 1,
                Verdict::Proven => counts.proven += 1,
                Verdict::Missing => {
                    if self.list {
                        found.insert(read.id().to_owned(), outline(&shown, &facts));
                    }
                    self.publish(row.get(), (part.source, None), &facts, counts, written).await?;
                }
            }
            counts.rows += 1;
        }
        self.page_done().await
    }

    /// A row as history gave it, once; what cannot be read goes to the quarantine.
    pub(super) async fn understand<'r>(
        &mut self,
        row: &'r str,
        source: Source,
        counts: &mut Counts,
        is_new: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Option<history::Conversation<'r>>, RangeError> {
        match history::read(row) {
            Ok(read) => Ok(is_new(read.id()).then_some(read)),
            Err(error) => {
                counts.unreadable += 1;
                if let Some(writer) = &mut self.writer {
                    writer.reject(row, source, &error).await?;
                }
                Ok(None)
            }
        }
    }

    /// Waits until everything of a page is acknowledged.
    pub(super) async fn page_done(&mut self) -> Result<(), RangeError> {
        failpoint::pass("bf.page.sent");
        if let Some(writer) = &mut self.writer {
            writer.flush().await?;
        }
        failpoint::pass("bf.page.acked");
        Ok(())
    }

    /// `gap` is the one it fills; a range that nobody asked certificates of fills none.
    pub(super) async fn publish(
        &mut self,
        row: &str,
        (source, gap): (Source, Option<GapId>),
        facts: &Facts<'_>,
        counts: &mut Counts,
        written: &mut BTreeSet<EventId>,
    ) -> Result<bool, RangeError> {
        let Some(writer) = &mut self.writer else { return Ok(false) };
        let event = writer.event(row, source, self.origin, gap);
        if written.contains(&event.id) {
            return Ok(true); // by an earlier try
        }
        if !self.there.insert(event.id) {
            counts.already_there += 1;
            return Ok(false);
        }
        writer.write(&event, facts).await?;
        written.insert(event.id);
        counts.written += 1;
        Ok(true)
    }
}

/// What helps to find a conversation, without personal data.
fn outline(row: &Row<'_>, facts: &Facts<'_>) -> Found {
    let legs = facts.participants.iter().flat_map(|participant| &participant.legs);
    let queues = row.marks.iter().filter_map(|mark| mark.queue.as_ref());
    Found {
        start_ms: row.start.map(|at| at.0),
        end_ms: row.end.map(|at| at.0),
        media: distinct(legs.map(|leg| &leg.media_type).filter(|media| !media.is_empty())),
        queues: distinct(queues),
    }
}

fn distinct<'a>(words: impl Iterator<Item = &'a Cow<'a, str>>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for word in words {
        if !all.iter().any(|known| **known == **word) {
            all.push(word.to_string());
        }
    }
    all
}
