//! Reads history for pieces of the past: what concerns a piece is written as a record of it and counts
//! for its reading, and what is on no topic that is wanted is written beside it.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use trunkline_protocol::domain::{EventId, Interval, Wall};
use trunkline_protocol::history::{Campaign, Counts, Judge, Verdict};
use trunkline_protocol::ledger::Source;

use super::range::{PATIENCE, RangeError, Ranged};
use super::reader::Reader;

/// A reading under way.
struct Share<'a> {
    source: Source,
    about: Interval,
    judge: &'a Judge,
    campaign: Campaign,
}

impl Ranged {
    /// Reads history once over pieces that are due together; what fails for a reason that may pass is tried
    /// again. Everything is acknowledged when it returns: the campaign with what was read, up to when
    /// history called itself complete, and the counts. Rows that concern no piece are written when they
    /// are active in `about` and `judge` does not call them proven.
    ///
    /// # Errors
    /// When it fails for good, or again and again.
    pub async fn fill(
        &mut self,
        source: Source,
        campaign: &Campaign,
        about: Interval,
        judge: &Judge,
        look: &mut dyn FnMut(&Counts),
    ) -> Result<(Campaign, Option<Wall>, Counts), RangeError> {
        let (mut counts, mut written) = (Counts::default(), BTreeSet::new());
        for tried in 1.. {
            let mut share = Share { source, about, judge, campaign: campaign.clone() };
            match self.fill_once(&mut share, &mut counts, &mut written, look).await {
                Ok(complete_to) => return Ok((share.campaign, complete_to, counts)),
                Err(error) => self.before_another(error, tried, &mut counts, &written).await?,
            }
        }
        Err(RangeError::Cut("it was not tried"))
    }

    async fn fill_once(
        &mut self,
        share: &mut Share<'_>,
        counts: &mut Counts,
        written: &mut BTreeSet<EventId>,
        look: &mut dyn FnMut(&Counts),
    ) -> Result<Option<Wall>, RangeError> {
        let (source, window) = (share.source, share.campaign.window);
        let client = self.client.clone();
        let mut reader = Reader::new(source, window, &self.timings, client, self.clock);
        let before = counts.requests;
        loop {
            let page = reader.next().await;
            counts.requests = before + reader.progress(source).requests;
            let Some(rows) = page? else { break };
            let mut is_new = |conversation: &str| reader.is_new(conversation);
            let taken = self.take_past(share, &rows, counts, written, &mut is_new);
            tokio::time::timeout(PATIENCE, taken)
                .await
                .map_err(|_| RangeError::Unacked(PATIENCE.as_secs()))??;
            look(counts);
        }
        Ok(reader.end()?)
    }

    async fn take_past(
        &mut self,
        share: &mut Share<'_>,
        rows: &[Box<RawValue>],
        counts: &mut Counts,
        written: &mut BTreeSet<EventId>,
        is_new: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), RangeError> {
        for row in rows {
            let Some(read) = self.understand(row.get(), share.source, counts, is_new).await? else {
                continue;
            };
            let (shown, facts) = (read.row(), read.facts());
            let gap = share.campaign.take(&shown);
            if gap.is_none() {
                match share.judge.judge(&shown, share.about) {
                    Verdict::Outside => continue,
                    Verdict::Present | Verdict::Proven => {
                        counts.rows += 1;
                        counts.proven += 1;
                        continue;
                    }
                    Verdict::Missing => {}
                }
            }
            counts.rows += 1;
            let of = (share.source, gap);
            if self.publish(row.get(), of, &facts, counts, written).await?
                && let Some(gap) = gap
            {
                share.campaign.wrote(gap);
            }
        }
        self.page_done().await
    }
}
