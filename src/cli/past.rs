//! The part of `backfill` that certificates speak of: what lies before topics were covered first is read
//! twice, and what was read is added to the facts of the state topic. A connector derives the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trunkline_protocol::domain::{GapId, Interval, Outcome, Wall};
use trunkline_protocol::gaps::Step;
use trunkline_protocol::history::{
    Campaign, Judge, Part, Progress, Scope, Wish, campaigns, past, window,
};
use trunkline_protocol::ledger::{Fact, Gap, Known, Owner, Source};
use trunkline_protocol::server_time;
use trunkline_protocol::timings::Timings;

use super::bar::Bar;
use super::history::{availability, failed};
use super::proof::{at, collect};
use super::state::StateFile;
use crate::app::kafka_settings;
use crate::config::Config;
use crate::errand::Errand;
use crate::error::{ExitCode, ProcessError};
use crate::kafka::reader::partitions_of;
use crate::kafka::tail::From;
use crate::ledger::{Beside, Book};
use crate::reconcile::Ranged;

/// Pieces of the past, and what is known of them.
pub(super) struct Past {
    pieces: Vec<Known>,
    /// Pieces that the state topic has.
    recorded: BTreeSet<GapId>,
    activated: Option<Wall>,
    beside: Beside,
    topic: String,
    /// When the next reading of any is due.
    next: Option<Wall>,
}

/// What reading takes.
pub(super) struct Means<'a> {
    pub errand: &'a Errand,
    pub ranged: &'a mut Ranged,
    pub judge: &'a Judge,
    pub timings: &'a Timings,
    pub progress: &'a mut Progress,
    pub state: Option<&'a StateFile>,
    pub bar: &'a Bar,
    /// Stay until everything is closed.
    pub wait: bool,
}

/// Pieces that are read together: from which interface, and on which day.
type Due = BTreeMap<(Source, i64), Vec<usize>>;

const DAY_MS: i64 = 86_400_000;

impl Past {
    /// Looks into the state topic; `None` when there is none.
    pub(super) async fn find(
        config: &Config,
        errand: &mut Errand,
        range: Interval,
    ) -> Result<Option<Self>, ProcessError> {
        let (kafka, topic) = (kafka_settings(config), config.kafka.state_topic.clone());
        let unavailable = |error| ProcessError::new(ExitCode::Unavailable, &error);
        let partitions = tokio::task::block_in_place(|| partitions_of(&kafka, &topic));
        if partitions.map_err(unavailable)? == 0 {
            return Ok(None);
        }
        let mut book = Book::default();
        let values = collect(config, &topic, From::Beginning, |raw| Some(raw.value().to_vec()));
        values.await?.iter().for_each(|value| book.take(value));
        let ours = Owner { org: errand.org_id.clone(), instance: config.instance.clone() };
        book.is_ours(&topic, &ours).map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
        let me = errand.writer_id();
        let beside = Beside::new(&kafka, &topic, &config.instance, me, errand.clock);
        let known = book.shards.values().flat_map(|ledger| ledger.gaps().keys().copied());
        Ok(Some(Self {
            pieces: past::pieces(&book.shards, range, errand.clock.now().wall),
            recorded: known.collect(),
            activated: past::activated(&book.shards),
            beside: beside.map_err(unavailable)?,
            topic,
            next: None,
        }))
    }

    /// What of a range is no past.
    pub(super) fn rest(&self, range: Interval) -> Interval {
        let from = self.activated.map_or(range.from, |at| range.from.max(at));
        Interval::new(from.min(range.to), range.to)
    }

    /// How many pieces are not closed.
    pub(super) fn open(&self) -> usize {
        self.pieces.iter().filter(|known| known.gap.repair.outcome.is_none()).count()
    }

    /// What is still to be read, both readings of what was not read yet.
    pub(super) fn parts(&self, available: Option<Wall>) -> Vec<Part> {
        let open = self.pieces.iter().filter(|known| known.gap.repair.outcome.is_none());
        let mut days: BTreeMap<i64, (Interval, usize)> = BTreeMap::new();
        for Known { gap, .. } in open {
            let whole = bounds(gap);
            let left = 2_usize.saturating_sub(gap.repair.reads.len()).max(1);
            let day = days.entry(whole.from.0.div_euclid(DAY_MS)).or_insert((whole, left));
            day.0 = Interval::new(day.0.from.min(whole.from), day.0.to.max(whole.to));
            day.1 = day.1.max(left);
        }
        let part = |(window, left): (Interval, usize)| {
            let source = match available.is_some_and(|available| window.to <= available) {
                true => Source::Jobs,
                false => Source::Query,
            };
            std::iter::repeat_n(Part { source, window, about: window }, left)
        };
        days.into_values().flat_map(part).collect()
    }

    /// Reads what is due, and closes what two readings close.
    pub(super) async fn fill(&mut self, means: &mut Means<'_>) -> Result<(), ProcessError> {
        while self.open() > 0 {
            // how far history is moves on while somebody waits
            let available = availability(means.errand).await?;
            means.progress.counts.requests += 1;
            let now = means.errand.clock.now();
            let due = self.due(available, now.wall, means.timings).await?;
            for ((source, _), which) in &due {
                self.read(*source, which, means).await?;
            }
            match self.next {
                Some(at) if due.is_empty() && means.wait => {
                    let at = now.mono + at.since(now.wall);
                    means.errand.clock.sleep_until(Some(at)).await;
                }
                Some(_) | None if due.is_empty() => return Ok(()),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// What has to be read now; what can be closed is.
    async fn due(
        &mut self,
        available: Option<Wall>,
        now: Wall,
        timings: &Timings,
    ) -> Result<Due, ProcessError> {
        let mut due = Due::new();
        self.next = None;
        for index in 0..self.pieces.len() {
            let Some(Known { gap, .. }) = self.pieces.get_mut(index) else { continue };
            match past::step(gap, available, now, timings) {
                Step::Close(outcome) => {
                    gap.repair.outcome = Some(outcome);
                    gap.repair.closed_at = Some(now);
                    self.write(index).await?;
                }
                Step::Read(source) => {
                    let day = gap.from.0.div_euclid(DAY_MS);
                    due.entry((source, day)).or_default().push(index);
                }
                Step::Wait(at) => self.next = Some(self.next.map_or(at, |next| next.min(at))),
                Step::Growing | Step::Done => {}
            }
        }
        Ok(due)
    }

    async fn read(
        &mut self,
        source: Source,
        which: &[usize],
        means: &mut Means<'_>,
    ) -> Result<(), ProcessError> {
        let clock = means.errand.clock;
        let error = clock.server_at(clock.mono()).map(server_time::Reading::error);
        let (mut wishes, mut about) = (Vec::new(), Vec::new());
        for &index in which {
            let Some(Known { shard, gap, topics }) = self.pieces.get(index) else { continue };
            let Some(window) = window(gap, error.unwrap_or_default(), means.timings) else {
                continue;
            };
            let scope = Scope::of(topics.iter().map(String::as_str));
            let (shard, known) = (*shard, Vec::new());
            wishes.push(Wish { shard, gap: gap.gap, window, scope, known });
            about.push(bounds(gap));
            // a record of it may be written from now on
            if !self.recorded.contains(&gap.gap) {
                let id = gap.gap;
                self.write(index).await?;
                self.recorded.insert(id);
            }
        }
        let whole = about.iter().copied().reduce(|a, b| {
            Interval::new(a.from.min(b.from), a.to.max(b.to)) // of one day, mostly the same
        });
        let Some(whole) = whole else { return Ok(()) };
        for campaign in campaigns(wishes) {
            let began = clock.now().wall;
            let (done, before) = (means.progress.done, means.progress.counts);
            let bar = means.bar;
            let mut look = |counts: &trunkline_protocol::history::Counts| {
                bar.show(done, &before, counts);
            };
            let about = whole.intersect(campaign.window);
            let read = means.ranged.fill(source, &campaign, about, means.judge, &mut look);
            let (campaign, complete_to, counts) =
                Box::pin(read).await.map_err(|error| failed(&error, means.state))?;
            means.progress.add(counts);
            self.was_read(&campaign, source, began, complete_to).await?;
            if let Some(state) = means.state {
                state.write(means.progress)?;
            }
        }
        Ok(())
    }

    async fn was_read(
        &mut self,
        campaign: &Campaign,
        source: Source,
        began: Wall,
        complete_to: Option<Wall>,
    ) -> Result<(), ProcessError> {
        for (_, id, reading) in campaign.readings(source, began, complete_to) {
            let Some(index) = self.pieces.iter().position(|known| known.gap.gap == id) else {
                continue;
            };
            if let Some(known) = self.pieces.get_mut(index) {
                known.gap.repair.reads.push(reading);
            }
            self.write(index).await?;
        }
        Ok(())
    }

    async fn write(&mut self, index: usize) -> Result<(), ProcessError> {
        let Some(Known { shard, gap, .. }) = self.pieces.get(index).cloned() else {
            return Ok(());
        };
        if self.beside.add(shard, Fact::Gap(gap)).await {
            return Ok(());
        }
        let text =
            format!("kafka.state_topic {}: no fact was acknowledged within 60 s", self.topic);
        Err(ProcessError::text(ExitCode::Unavailable, text))
    }

    fn count(&self, outcome: Outcome) -> usize {
        let closed = |known: &&Known| known.gap.repair.outcome == Some(outcome);
        self.pieces.iter().filter(closed).count()
    }

    /// What came of it, for machines.
    pub(super) fn json(&self) -> Value {
        json!({
            "activated_ms": self.activated.map(|at| at.0), "pieces": self.pieces.len(),
            "reconciled": self.count(Outcome::Reconciled), "partial": self.count(Outcome::Partial),
            "open": self.open(), "next_ms": self.next.map(|next| next.0),
        })
    }

    /// What came of it, for people.
    pub(super) fn text(&self) -> String {
        let Some(activated) = self.activated else {
            return "no topic has been covered yet, so nothing of it will be certified: run it again once a connector is ready".to_owned();
        };
        let (reconciled, partial) = (self.count(Outcome::Reconciled), self.count(Outcome::Partial));
        let mut text = format!(
            "before topics were covered first ({}): {} pieces, {reconciled} reconciled, {partial} partial, {} open; a connector that runs certifies them",
            at(activated.0),
            self.pieces.len(),
            self.open()
        );
        if let Some(next) = self.next.filter(|_| self.open() > 0) {
            text += &format!("; the next reading is due at {}: run it again then", at(next.0));
        }
        text
    }
}

fn bounds(gap: &Gap) -> Interval {
    Interval::new(gap.from, gap.to.unwrap_or(gap.from))
}
