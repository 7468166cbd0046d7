//! Half-open intervals of server time, and sets of them.
//!
//! ```text
//! a = [0, 10) ∪ [20, 30)      b = [5, 25)
//! a ∪ b = [0, 30)             a ∩ b = [5, 10) ∪ [20, 25)
//! a ∖ b = [0, 5) ∪ [25, 30)   b ∖ a = [10, 20)
//! touching intervals are one: [0, 5) ∪ [5, 9) = [0, 9); an empty interval is none
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Wall;

/// `[from, to)`; empty when `to` is not after `from`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Interval {
    /// First instant that belongs to it.
    pub from: Wall,
    /// First instant that does not.
    pub to: Wall,
}

impl Interval {
    /// `[from, to)`, in milliseconds.
    #[must_use]
    pub fn new(from: Wall, to: Wall) -> Self {
        Self { from, to }
    }

    /// Whether no instant belongs to it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.to <= self.from
    }

    /// Whether `at` belongs to it.
    #[must_use]
    pub fn contains(self, at: Wall) -> bool {
        self.from <= at && at < self.to
    }

    /// What belongs to both; possibly empty.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }

    /// Milliseconds; 0 when empty.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.to.0.saturating_sub(self.from.0).max(0)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.from.0, self.to.0)
    }
}

/// A set of instants: intervals sorted, disjoint, not touching, none empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Interval>", into = "Vec<Interval>")]
pub struct IntervalSet(Vec<Interval>);

impl From<Vec<Interval>> for IntervalSet {
    fn from(intervals: Vec<Interval>) -> Self {
        intervals.into_iter().collect()
    }
}

impl From<IntervalSet> for Vec<Interval> {
    fn from(set: IntervalSet) -> Self {
        set.0
    }
}

impl From<Interval> for IntervalSet {
    fn from(interval: Interval) -> Self {
        [interval].into_iter().collect()
    }
}

impl FromIterator<Interval> for IntervalSet {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Self {
        let mut all: Vec<Interval> = intervals.into_iter().filter(|i| !i.is_empty()).collect();
        all.sort_unstable();
        let mut merged: Vec<Interval> = Vec::with_capacity(all.len());
        for interval in all {
            match merged.last_mut() {
                Some(last) if interval.from <= last.to => last.to = last.to.max(interval.to),
                Some(_) | None => merged.push(interval),
            }
        }
        Self(merged)
    }
}

impl IntervalSet {
    /// No instant.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an interval.
    pub fn insert(&mut self, interval: Interval) {
        if interval.is_empty() {
            return;
        }
        // the first one that is touched, and the first one beyond
        let start = self.0.partition_point(|other| other.to < interval.from);
        let end = self.0.partition_point(|other| other.from <= interval.to);
        let mut whole = interval;
        if let (Some(first), Some(last)) =
            (self.0.get(start), end.checked_sub(1).map(|n| self.0[n]))
            && start < end
        {
            whole = Interval::new(whole.from.min(first.from), whole.to.max(last.to));
        }
        self.0.splice(start..end, [whole]);
    }

    /// What belongs to either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// What belongs to both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(&&x), Some(&&y)) = (a.peek(), b.peek()) {
            let common = x.intersect(y);
            if !common.is_empty() {
                both.push(common);
            }
            if x.to <= y.to {
                a.next();
            } else {
                b.next();
            }
        }
        Self(both)
    }

    /// What belongs to this one only.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut cuts = other.0.iter().peekable();
        for &interval in &self.0 {
            let mut from = interval.from;
            while let Some(&&cut) = cuts.peek() {
                if cut.from >= interval.to {
                    break;
                }
                if cut.to > from {
                    rest.push(Interval::new(from, cut.from));
                    from = cut.to;
                }
                if cut.to > interval.to {
                    break; // it may cut the next one as well
                }
                cuts.next();
            }
            rest.push(Interval::new(from, interval.to));
        }
        rest.into_iter().filter(|interval| !interval.is_empty()).collect()
    }

    /// What of it lies in `window`; costs no more than what lies there.
    #[must_use]
    pub fn within(&self, window: Interval) -> Self {
        let start = self.0.partition_point(|own| own.to <= window.from);
        let inside = self.0.iter().skip(start).take_while(|own| own.from < window.to);
        inside.map(|own| own.intersect(window)).filter(|common| !common.is_empty()).collect()
    }

    /// What of `whole` does not belong to this set.
    #[must_use]
    pub fn complement_within(&self, whole: Interval) -> Self {
        Self::from(whole).subtract(&self.within(whole))
    }

    /// Whether every instant of `interval` belongs to it; true for an empty one.
    #[must_use]
    pub fn covers(&self, interval: Interval) -> bool {
        let next = self.0.partition_point(|own| own.to < interval.to);
        let own = self.0.get(next);
        interval.is_empty()
            || own.is_some_and(|own| own.from <= interval.from && interval.to <= own.to)
    }

    /// Whether `at` belongs to it.
    #[must_use]
    pub fn contains(&self, at: Wall) -> bool {
        let next = self.0.partition_point(|interval| interval.to <= at);
        self.0.get(next).is_some_and(|interval| interval.contains(at))
    }

    /// Whether no instant belongs to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its intervals, sorted and disjoint.
    #[must_use]
    pub fn intervals(&self) -> &[Interval] {
        &self.0
    }

    /// The end of the last interval.
    #[must_use]
    pub fn end(&self) -> Option<Wall> {
        self.0.last().map(|interval| interval.to)
    }

    /// Milliseconds in all.
    #[must_use]
    pub fn millis(&self) -> i64 {
        self.0.iter().map(|interval| interval.millis()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(intervals: &[(i64, i64)]) -> IntervalSet {
        intervals.iter().map(|&(from, to)| Interval::new(Wall(from), Wall(to))).collect()
    }

    #[test]
    fn the_truth_table_of_the_module_holds() {
        let (a, b) = (set(&[(0, 10), (20, 30)]), set(&[(5, 25)]));
        assert_eq!(a.union(&b), set(&[(0, 30)]));
        assert_eq!(a.intersect(&b), set(&[(5, 10), (20, 25)]));
        assert_eq!(a.subtract(&b), set(&[(0, 5), (25, 30)]));
        assert_eq!(b.subtract(&a), set(&[(10, 20)]));
        assert_eq!(set(&[(0, 5), (5, 9), (9, 9)]), set(&[(0, 9)]));
    }

    fn any_set() -> impl Strategy<Value = IntervalSet> {
        prop::collection::vec((0_i64..40, 0_i64..12), 0..8).prop_map(|all| {
            all.into_iter().map(|(from, len)| Interval::new(Wall(from), Wall(from + len))).collect()
        })
    }

    proptest! {
        #[test]
        fn every_operation_agrees_with_sets_of_instants(a in any_set(), b in any_set(), from in 0_i64..45, len in 0_i64..12) {
            let one = Interval::new(Wall(from), Wall(from + len));
            let mut grown = a.clone();
            grown.insert(one);
            let (union, both, rest) = (a.union(&b), a.intersect(&b), a.subtract(&b));
            let outside = a.complement_within(one);
            prop_assert_eq!(a.within(one), a.intersect(&one.into()));
            for t in (-1..60).map(Wall) {
                let (x, y, z) = (a.contains(t), b.contains(t), one.contains(t));
                prop_assert_eq!(union.contains(t), x || y);
                prop_assert_eq!(both.contains(t), x && y);
                prop_assert_eq!(rest.contains(t), x && !y);
                prop_assert_eq!(grown.contains(t), x || z);
                prop_assert_eq!(outside.contains(t), z && !x);
            }
            prop_assert_eq!(a.covers(one), (from..from + len).all(|t| a.contains(Wall(t))));
            for made in [union, both, rest, grown, outside] {
                let again: IntervalSet = made.intervals().iter().copied().collect();
                prop_assert_eq!(&made, &again, "sorted, disjoint, not touching");
            }
        }
    }
}
