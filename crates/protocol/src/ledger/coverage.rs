//! Coverage of topics from the claims of epochs, and its holes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Epoch, ShardLedger, Want};
use crate::domain::{EpochId, GapCause, Interval, IntervalSet, SetDigest, Timeline, Wall};
use crate::topic::class_of;

/// An epoch that hears: from here on its claims are still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Living {
    /// Which.
    pub epoch: EpochId,
    /// Start of coverage, or the watermark once there is one.
    pub from: Wall,
}

/// What no claim covers and no living epoch will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The class of topics.
    pub class: String,
    /// Topics concerned, sorted; empty: all of the class.
    pub topics: Vec<String>,
    /// Where, in fan-out time.
    pub interval: Interval,
    /// It reaches the present: nobody hears these topics.
    pub grows: bool,
    /// Why, as far as the facts tell.
    pub cause: GapCause,
}

/// How the epochs of some sets ended, found by when.
struct Ends<'a> {
    /// By how far they reach; of those that reach as far, the last id last.
    reached: Vec<(Wall, &'a EpochId, &'a Epoch)>,
    /// Where a claim is doubted.
    doubted: Timeline<()>,
}

/// Topics of one class that were always covered together.
#[derive(Debug)]
struct Group<'a> {
    topics: Vec<&'a str>,
    want: Want,
    sets: BTreeSet<SetDigest>,
}

impl ShardLedger {
    /// What is proven of a topic.
    #[must_use]
    pub fn coverage(&self, topic: &str) -> IntervalSet {
        let sets = self.sets_with(topic);
        self.epochs_of(&sets).flat_map(|(_, epoch)| Vec::from(epoch.proven())).collect()
    }

    /// What is proven of every wanted topic of a class at the same time, and what of it by two
    /// sockets at once.
    #[must_use]
    pub fn class_coverage(&self, class: &str) -> (IntervalSet, IntervalSet) {
        let everything: IntervalSet = Interval::new(Wall(i64::MIN), Wall(i64::MAX)).into();
        let mut common = (everything.clone(), everything);
        for group in self.groups().remove(class).unwrap_or_default() {
            // before and after it is wanted a topic holds nobody back
            let outside = IntervalSet::from(want_interval(group.want))
                .complement_within(Interval::new(Wall(i64::MIN), Wall(i64::MAX)));
            let (once, twice) = self.once_and_twice(&group.sets);
            common.0 = common.0.intersect(&once.union(&outside));
            common.1 = common.1.intersect(&twice.union(&outside));
        }
        common
    }

    /// Classes of the topics that are or were wanted.
    #[must_use]
    pub fn classes(&self) -> BTreeSet<String> {
        self.wanted().into_iter().flat_map(|topics| topics.keys()).map(|t| class_of(t)).collect()
    }

    /// When topics of a class were wanted first, and until when any is.
    #[must_use]
    pub fn class_wanted(&self, class: &str) -> Option<Interval> {
        let topics = self.wanted()?.iter().filter(|(topic, _)| class_of(topic) == class);
        let wants = topics.map(|(_, want)| want_interval(*want));
        wants.reduce(|a, b| Interval::new(a.from.min(b.from), a.to.max(b.to)))
    }

    /// What neither claims nor living epochs cover between the time topics were wanted and `now`.
    /// One hole for each class and interval, however many topics it concerns.
    #[must_use]
    pub fn holes(&self, living: &[Living], now: Wall) -> Vec<Hole> {
        let mut holes = Vec::new();
        for (class, groups) in self.groups() {
            let open: Vec<IntervalSet> =
                groups.iter().map(|group| self.open(group, living, now)).collect();
            let any = open.iter().fold(IntervalSet::new(), |all, one| all.union(one));
            let mut ends: BTreeMap<Vec<usize>, Ends<'_>> = BTreeMap::new();
            for &interval in any.intervals() {
                let meets = |nth: &usize| {
                    open.get(*nth).is_some_and(|set| !set.within(interval).is_empty())
                };
                let which: Vec<usize> = (0..groups.len()).filter(meets).collect();
                let touched: Vec<&Group<'_>> =
                    which.iter().filter_map(|nth| groups.get(*nth)).collect();
                let all = touched.len() == groups.len();
                let mut topics: Vec<String> = if all {
                    Vec::new()
                } else {
                    touched.iter().flat_map(|g| &g.topics).map(|t| (*t).to_owned()).collect()
                };
                topics.sort_unstable();
                let ends = ends.entry(which).or_insert_with(|| self.ends(&touched));
                holes.push(Hole {
                    class: class.clone(),
                    topics,
                    interval,
                    grows: interval.to >= now,
                    cause: ends.cause(&touched, interval, living),
                });
            }
        }
        holes
    }

    fn open(&self, group: &Group<'_>, living: &[Living], now: Wall) -> IntervalSet {
        let mut covered: IntervalSet =
            self.epochs_of(&group.sets).flat_map(|(_, epoch)| Vec::from(epoch.proven())).collect();
        for alive in living {
            let start = self.epochs.get(&alive.epoch).and_then(|epoch| epoch.start);
            if start.is_some_and(|start| group.sets.contains(&start.set)) {
                covered.insert(Interval::new(alive.from, now));
            }
        }
        let want = want_interval(group.want);
        covered.complement_within(Interval::new(want.from, want.to.min(now)))
    }

    fn ends(&self, groups: &[&Group<'_>]) -> Ends<'_> {
        let sets: BTreeSet<SetDigest> = groups.iter().flat_map(|g| &g.sets).copied().collect();
        let (mut reached, mut doubted) = (Vec::new(), Vec::new());
        let of_sets = |epoch: &Epoch| epoch.start.is_some_and(|start| sets.contains(&start.set));
        for (id, epoch) in self.epochs.iter().filter(|(_, epoch)| of_sets(epoch)) {
            let start = epoch.start.map(|start| start.from);
            let reach = epoch.claim.map(|claim| claim.to).or(start);
            reached.extend(reach.map(|reach| (reach, id, epoch)));
            let within = |claim| Vec::from(epoch.doubts.within(claim));
            doubted.extend(epoch.claim.map(within).into_iter().flatten().map(|d| (d, ())));
        }
        reached.sort_by_key(|(reach, ..)| *reach);
        Ends { reached, doubted: doubted.into_iter().collect() }
    }

    fn groups(&self) -> BTreeMap<String, Vec<Group<'_>>> {
        type Alike = (Wall, Option<Wall>, BTreeSet<SetDigest>);
        let mut by_class: BTreeMap<String, BTreeMap<Alike, Vec<&str>>> = BTreeMap::new();
        for (topic, want) in self.wanted().into_iter().flatten() {
            let sets = self.sets_with(topic);
            by_class
                .entry(class_of(topic))
                .or_default()
                .entry((want.from, want.to, sets))
                .or_default()
                .push(topic);
        }
        let group = |((from, to, sets), topics)| Group { topics, want: Want { from, to }, sets };
        by_class
            .into_iter()
            .map(|(class, groups)| (class, groups.into_iter().map(group).collect()))
            .collect()
    }

    fn sets_with(&self, topic: &str) -> BTreeSet<SetDigest> {
        self.sets.iter().filter(|(_, topics)| topics.contains(topic)).map(|(set, _)| *set).collect()
    }

    fn epochs_of<'a>(
        &'a self,
        sets: &'a BTreeSet<SetDigest>,
    ) -> impl Iterator<Item = (&'a EpochId, &'a Epoch)> {
        self.epochs.iter().filter(|(_, epoch)| epoch.start.is_some_and(|s| sets.contains(&s.set)))
    }

    /// What any socket proves, and what two sockets prove at once. Epochs that ride on another
    /// share its socket.
    fn once_and_twice(&self, sets: &BTreeSet<SetDigest>) -> (IntervalSet, IntervalSet) {
        let mut sockets: BTreeMap<EpochId, IntervalSet> = BTreeMap::new();
        for (id, epoch) in self.epochs_of(sets) {
            let socket = epoch.start.and_then(|start| start.rides).unwrap_or(*id);
            let proven = sockets.entry(socket).or_default();
            *proven = proven.union(&epoch.proven());
        }
        let pieces = sockets.values().flat_map(IntervalSet::intervals);
        let mut edges: Vec<(Wall, i32)> =
            pieces.flat_map(|piece| [(piece.from, 1), (piece.to, -1)]).collect();
        edges.sort_unstable();
        let (mut once, mut twice, mut depth) = (Vec::new(), Vec::new(), 0);
        for (n, (at, step)) in edges.iter().enumerate() {
            depth += step;
            let Some(next) = edges.get(n + 1).map(|next| next.0) else { break };
            let piece = Interval::new(*at, next); // an empty one is left out below
            once.extend((depth >= 1).then_some(piece));
            twice.extend((depth >= 2).then_some(piece));
        }
        (once.into(), twice.into())
    }
}

impl Ends<'_> {
    /// Why a hole begins where it does.
    fn cause(&self, groups: &[&Group<'_>], hole: Interval, living: &[Living]) -> GapCause {
        let instant = Interval::new(hole.from, hole.from.plus(Duration::from_millis(1)));
        if self.doubted.touching(instant).next().is_some() {
            return GapCause::Suspect;
        }
        let before = self.reached.partition_point(|(reach, ..)| *reach <= hole.from);
        match before.checked_sub(1).and_then(|last| self.reached.get(last)) {
            Some((_, _, Epoch { end: Some((_, cause)), .. })) => *cause,
            Some((_, id, _)) if living.iter().any(|living| living.epoch == **id) => {
                GapCause::Unknown
            }
            Some(_) => GapCause::Crash, // nobody said how it ended
            None if groups.iter().all(|group| group.want.from == hole.from) => GapCause::LateTopic,
            None => GapCause::Unknown,
        }
    }
}

fn want_interval(want: Want) -> Interval {
    Interval::new(want.from, want.to.unwrap_or(Wall(i64::MAX)))
}
