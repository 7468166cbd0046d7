//! One reading of history for all gaps that are due, however many shards and classes one outage cut.

use std::time::Duration;

use super::{Row, Scope};
use crate::domain::{GapId, Interval, Wall};
use crate::ledger::{self, Gap, Source};
use crate::timings::Timings;

/// A gap that history should be read for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Ordinal of its shard.
    pub shard: u16,
    /// Which.
    pub gap: GapId,
    /// Its time, with the margins around it.
    pub window: Interval,
    /// What it is about.
    pub scope: Scope,
    /// Conversations heard shortly before it, which history has to show.
    pub known: Vec<String>,
}

/// The time of a gap in occurrences: an event may have happened up to the margin before it would
/// have been heard, and the platform's clock is known to `error`. `None` while the gap grows.
///
/// Readings are compared over the same window, so the error counts in powers of two seconds.
#[must_use]
pub fn window(gap: &Gap, error: Duration, timings: &Timings) -> Option<Interval> {
    let to = gap.to?;
    let error = Duration::from_secs((error.as_secs() + 1).next_power_of_two().max(2));
    Some(Interval::new(gap.from.minus(timings.margin).minus(error), to.plus(error)))
}

/// A reading that serves several gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// From the earliest to the latest window.
    pub window: Interval,
    shares: Vec<Share>,
}

/// What of it belongs to one gap.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Share {
    wish: Wish,
    rows: u64,
    written: u64,
    sum: u128,
}

/// Gaps whose windows touch are read together; the earliest is first.
#[must_use]
pub fn campaigns(mut wishes: Vec<Wish>) -> Vec<Campaign> {
    wishes.sort_by_key(|wish| (wish.window.from, wish.gap));
    let mut all: Vec<Campaign> = Vec::new();
    for wish in wishes {
        let window = wish.window;
        let share = Share { wish, rows: 0, written: 0, sum: 0 };
        match all.last_mut().filter(|last| window.from <= last.window.to) {
            Some(last) => {
                last.window = Interval::new(last.window.from, last.window.to.max(window.to));
                last.shares.push(share);
            }
            None => all.push(Campaign { window, shares: vec![share] }),
        }
    }
    all
}

impl Campaign {
    /// Counts a row that was not shown before in this part of the reading; says which gap's record
    /// it becomes: the first that it concerns.
    pub fn take(&mut self, row: &Row<'_>) -> Option<GapId> {
        let mut first = None;
        for share in &mut self.shares {
            let wish = &mut share.wish;
            if row.is_active(wish.window) && wish.scope.concerns(row, wish.window.to) {
                wish.known.retain(|known| **known != *row.conversation);
                share.rows += 1;
                // addition knows no order, and what is shown twice does not vanish
                share.sum = share.sum.wrapping_add(row.digest(wish.window.to));
                first.get_or_insert(wish.gap);
            }
        }
        first
    }

    /// A row became a record of this gap.
    pub fn wrote(&mut self, gap: GapId) {
        let share = self.shares.iter_mut().find(|share| share.wish.gap == gap);
        share.into_iter().for_each(|share| share.written += 1);
    }

    /// What has been read, gap by gap. `began` is when the reading did.
    #[must_use]
    pub fn readings(
        &self,
        source: Source,
        began: Wall,
        complete_to: Option<Wall>,
    ) -> Vec<(u16, GapId, ledger::Reading)> {
        let reading = |share: &Share| ledger::Reading {
            source,
            at: began,
            digest: format!("{:032x}", share.sum),
            rows: share.rows,
            written: share.written,
            complete_to,
            missing: share.wish.known.len() as u64,
        };
        self.shares.iter().map(|share| (share.wish.shard, share.wish.gap, reading(share))).collect()
    }

    /// The shard of a gap.
    #[must_use]
    pub fn shard_of(&self, gap: GapId) -> Option<u16> {
        self.shares.iter().find(|share| share.wish.gap == gap).map(|share| share.wish.shard)
    }

    /// The gaps it serves.
    pub fn gaps(&self) -> impl Iterator<Item = GapId> {
        self.shares.iter().map(|share| share.wish.gap)
    }

    /// Conversations that history should have shown and did not, at most `limit`.
    #[must_use]
    pub fn missing(&self, limit: usize) -> Vec<String> {
        let mut all: Vec<String> =
            self.shares.iter().flat_map(|share| share.wish.known.iter().cloned()).collect();
        all.sort();
        all.dedup();
        all.truncate(limit);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Mark;

    fn wish(gap: u8, from: i64, to: i64, topic: &str) -> Wish {
        Wish {
            shard: 0,
            gap: GapId([gap; 16]),
            window: Interval::new(Wall(from), Wall(to)),
            scope: Scope::of([topic]),
            known: vec!["c".to_owned(), "never shown".to_owned()],
        }
    }

    fn row(conversation: &'static str, queue: &'static str, from: i64) -> Row<'static> {
        let mark = Mark { from: Some(Wall(from)), queue: Some(queue.into()), ..Mark::default() };
        Row {
            conversation: conversation.into(),
            start: Some(Wall(from)),
            end: Some(Wall(from + 10)),
            marks: vec![mark],
        }
    }

    #[test]
    fn a_clock_that_is_known_a_little_better_changes_no_window() {
        let gap = Gap {
            gap: GapId([1; 16]),
            class: String::new(),
            topics: Vec::new(),
            from: Wall(1_000_000),
            to: Some(Wall(2_000_000)),
            cause: crate::domain::GapCause::Close,
            recorded_at: Wall(0),
            repair: ledger::Repair::default(),
        };
        let at = |ms| window(&gap, Duration::from_millis(ms), &Timings::default());
        assert_eq!(at(0), Some(Interval::new(Wall(698_000), Wall(2_002_000))));
        assert_eq!((at(400), at(1_999)), (at(0), at(0)));
        assert_ne!(at(2_001), at(0));
    }

    const A: &str = "v2.routing.queues.a.conversations";
    const B: &str = "v2.routing.queues.b.conversations";

    #[test]
    fn gaps_whose_windows_touch_are_read_together() {
        let all = campaigns(vec![wish(3, 500, 600, A), wish(1, 0, 100, A), wish(2, 100, 300, B)]);
        let windows: Vec<(i64, i64)> =
            all.iter().map(|c| (c.window.from.0, c.window.to.0)).collect();
        assert_eq!(windows, [(0, 300), (500, 600)]);
        assert_eq!(all[0].gaps().count(), 2);
    }

    #[test]
    fn a_row_becomes_one_record_and_counts_for_every_gap_it_concerns() {
        let mut campaign =
            campaigns(vec![wish(1, 0, 100, A), wish(2, 50, 300, A), wish(4, 0, 100, B)])
                .pop()
                .expect("one");
        assert_eq!(campaign.take(&row("c", "a", 60)), Some(GapId([1; 16])));
        campaign.wrote(GapId([1; 16]));
        assert_eq!(campaign.take(&row("d", "a", 200)), Some(GapId([2; 16])));
        assert_eq!(campaign.take(&row("e", "elsewhere", 60)), None);
        let read = campaign.readings(Source::Jobs, Wall(9), Some(Wall(8)));
        let counts: Vec<_> =
            read.iter().map(|(_, gap, r)| (gap.0[0], r.rows, r.written, r.missing)).collect();
        assert_eq!(counts, [(1, 1, 1, 1), (4, 0, 0, 2), (2, 2, 0, 1)]);
        assert_eq!(campaign.missing(9), ["c", "never shown"]);
    }

    #[test]
    fn the_order_of_rows_makes_no_difference() {
        let read = |rows: [Row<'static>; 2]| {
            let mut campaign = campaigns(vec![wish(1, 0, 100, A)]).pop().expect("one");
            rows.iter().for_each(|row| _ = campaign.take(row));
            campaign.readings(Source::Query, Wall(0), None)
        };
        let (c, d) = (row("c", "a", 60), row("d", "a", 70));
        assert_eq!(read([c.clone(), d.clone()]), read([d.clone(), c.clone()]));
        assert_ne!(read([c.clone(), d]), read([c.clone(), c]));
    }
}
