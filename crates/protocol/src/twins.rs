//! Whether somebody else runs as this process does: under the name of its replica, or under its
//! OAuth client. Both go well for as long as one process takes another's place.
//!
//! ```text
//! our start ──┬──── claims of ours ──────────────────────►
//!             ├── a predecessor's last claims ──┤           nothing is said
//!             ├── a namesake's claims ──────────── patience ──► a twin
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::domain::{Mono, Wall, WriterId};

/// Another process under the name of this replica, while both hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twin {
    /// How it signs its facts.
    pub writer: WriterId,
    /// The first time it proved while this process ran.
    pub from: Wall,
    /// The newest.
    pub to: Wall,
}

/// Who else speaks since this process does.
#[derive(Clone, Debug)]
pub struct Twins {
    patience: Duration,
    fresh: Duration,
    since: Option<Wall>,
    spoke: BTreeMap<WriterId, (Wall, Wall)>,
}

impl Twins {
    /// One that speaks beside us for `patience` is no predecessor that ends; one that was silent for
    /// `fresh` is gone.
    #[must_use]
    pub fn new(patience: Duration, fresh: Duration) -> Self {
        Self { patience, fresh, since: None, spoke: BTreeMap::new() }
    }

    /// This process runs since then; what was proven before is its predecessors'.
    pub fn introduce(&mut self, since: Wall) {
        self.since = Some(since);
    }

    /// Another process proved up to here.
    pub fn heard(&mut self, writer: WriterId, to: Wall) {
        if self.since.is_none_or(|since| to <= since) {
            return;
        }
        let fresh = self.fresh;
        self.spoke.retain(|_, (_, last)| last.plus(fresh) >= to);
        let (_, last) = self.spoke.entry(writer).or_insert((to, to));
        *last = to.max(*last);
    }

    /// The one that has spoken longest of those that have our name.
    #[must_use]
    pub fn twin(&self, now: Wall, is_namesake: impl Fn(WriterId) -> bool) -> Option<Twin> {
        let lasts = |(_, (from, to)): &(&WriterId, &(Wall, Wall))| {
            to.plus(self.fresh) >= now && to.since(*from) >= self.patience
        };
        let known = self.spoke.iter().filter(lasts).filter(|(writer, _)| is_namesake(**writer));
        let twins =
            known.map(|(writer, (from, to))| Twin { writer: *writer, from: *from, to: *to });
        twins.min_by_key(|twin| twin.from)
    }
}

/// Counts of the channels under an OAuth client. It grows by what this process makes, and by nothing
/// else, while the client is its own.
#[derive(Clone, Debug)]
pub struct Crowd {
    patience: Duration,
    keep: Duration,
    last: Option<u32>,
    /// Made since the last count, or asked for without an answer.
    made: u32,
    /// Made before that and in no count yet.
    spare: u32,
    others: VecDeque<(Mono, u32)>,
}

impl Crowd {
    /// What others made is told `patience` later, since a predecessor may end just now; a channel
    /// lives for `keep`.
    #[must_use]
    pub fn new(patience: Duration, keep: Duration) -> Self {
        Self { patience, keep, last: None, made: 0, spare: 0, others: VecDeque::new() }
    }

    /// This process asks for a channel; whether the answer arrives makes no difference.
    pub fn creating(&mut self) {
        self.made += 1;
    }

    /// So many channels are under the client.
    pub fn counted(&mut self, count: u32, now: Mono) {
        let grown = self.last.map_or(0, |last| count.saturating_sub(last));
        let late = grown.saturating_sub(self.spare);
        let others = late.saturating_sub(self.made);
        // one that was just asked for may be in the next count only
        self.spare = self.made.saturating_sub(late);
        (self.made, self.last) = (0, Some(count));
        if others > 0 {
            self.others.push_back((now, others));
        }
        self.others.retain(|(at, _)| now.since(*at) <= self.keep);
    }

    /// Channels that others made, once it is sure that they are no predecessor's.
    #[must_use]
    pub fn others(&self, now: Mono) -> u32 {
        let sure = self.others.iter().any(|(at, _)| now.since(*at) >= self.patience);
        if sure { self.others.iter().map(|(_, count)| count).sum() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: WriterId = WriterId([2; 16]);

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn at(n: u64) -> Wall {
        Wall(1_000_000).plus(secs(n))
    }

    fn speaks(twins: &mut Twins, from: u64, to: u64) {
        (from..=to).step_by(10).for_each(|n| twins.heard(OTHER, at(n)));
    }

    fn twins() -> Twins {
        let mut twins = Twins::new(secs(120), secs(40));
        twins.introduce(at(0));
        twins
    }

    #[test]
    fn a_namesake_that_goes_on_proving_beside_us_is_a_twin() {
        let mut twins = twins();
        speaks(&mut twins, 10, 120);
        assert_eq!(twins.twin(at(125), |_| true), None, "not yet");
        speaks(&mut twins, 130, 130);
        let twin = Twin { writer: OTHER, from: at(10), to: at(130) };
        assert_eq!(twins.twin(at(135), |_| true), Some(twin));
        assert_eq!(twins.twin(at(135), |_| false), None, "the other replica has its own name");
        assert_eq!(twins.twin(at(171), |_| true), None, "it is gone");
    }

    #[test]
    fn a_predecessor_that_drains_beside_us_is_none() {
        let mut twins = twins();
        speaks(&mut twins, 0, 100);
        assert_eq!(twins.twin(at(105), |_| true), None);
        assert_eq!(twins.twin(at(300), |_| true), None);
    }

    #[test]
    fn words_of_before_our_start_and_ends_long_ago_count_for_nothing() {
        let mut twins = Twins::new(secs(120), secs(40));
        speaks(&mut twins, 0, 500);
        twins.introduce(at(500));
        assert_eq!(twins.twin(at(505), |_| true), None);
        speaks(&mut twins, 510, 600);
        speaks(&mut twins, 700, 760);
        assert_eq!(twins.twin(at(765), |_| true), None, "it was away in between");
    }

    fn mono(n: u64) -> Mono {
        Mono::default() + secs(n)
    }

    #[test]
    fn channels_that_nobody_here_made_are_told_when_no_predecessor_can_be_ending() {
        let mut crowd = Crowd::new(secs(120), secs(86_400));
        crowd.counted(3, mono(0)); // orphans of a predecessor
        crowd.creating();
        crowd.creating();
        crowd.counted(5, mono(60));
        crowd.counted(7, mono(120));
        assert_eq!(crowd.others(mono(180)), 0);
        assert_eq!(crowd.others(mono(240)), 2);
        crowd.counted(5, mono(86_700));
        assert_eq!(crowd.others(mono(86_700)), 0, "what they made is gone by now");
    }

    #[test]
    fn a_channel_that_is_counted_late_or_whose_answer_was_lost_is_ours() {
        let mut crowd = Crowd::new(secs(120), secs(86_400));
        crowd.creating();
        crowd.counted(0, mono(0));
        crowd.counted(1, mono(60));
        crowd.creating();
        crowd.counted(1, mono(120));
        crowd.counted(2, mono(180));
        crowd.counted(0, mono(240)); // they ended
        crowd.creating();
        crowd.counted(1, mono(300));
        assert_eq!(crowd.others(mono(900)), 0);
    }
}
