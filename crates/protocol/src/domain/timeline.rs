//! Things that last, found by the time they touch.

use super::{Interval, Wall};

/// Things by the interval they last. One thing may be in it several times.
#[derive(Clone, Debug)]
pub struct Timeline<T> {
    /// By their start.
    lasting: Vec<(Interval, T)>,
    /// The latest end of all up to this one.
    reach: Vec<Wall>,
}

impl<T> FromIterator<(Interval, T)> for Timeline<T> {
    fn from_iter<I: IntoIterator<Item = (Interval, T)>>(things: I) -> Self {
        let mut lasting: Vec<_> = things.into_iter().filter(|(i, _)| !i.is_empty()).collect();
        lasting.sort_by_key(|(interval, _)| interval.from);
        let latest = |reach: &mut Wall, (interval, _): &(Interval, T)| {
            *reach = interval.to.max(*reach);
            Some(*reach)
        };
        let reach = lasting.iter().scan(Wall(i64::MIN), latest).collect();
        Self { lasting, reach }
    }
}

impl<T> Timeline<T> {
    /// What lasts at some instant of `when`, the latest start first; costs no more than what lies
    /// near it.
    pub fn touching(&self, when: Interval) -> impl Iterator<Item = &T> {
        let end = self.lasting.partition_point(|(interval, _)| interval.from < when.to);
        let before = self.lasting.iter().zip(&self.reach).take(end).rev();
        let near = before.take_while(move |(_, reach)| **reach > when.from);
        near.filter(move |((interval, _), _)| interval.to > when.from && !when.is_empty())
            .map(|((_, thing), _)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any() -> impl Strategy<Value = Interval> {
        (0_i64..40, 0_i64..12).prop_map(|(from, len)| Interval::new(Wall(from), Wall(from + len)))
    }

    proptest! {
        #[test]
        fn exactly_what_shares_an_instant_is_found(all in prop::collection::vec(any(), 0..12), when in any()) {
            let timeline: Timeline<usize> =
                all.iter().enumerate().map(|(n, interval)| (*interval, n)).collect();
            let mut found: Vec<usize> = timeline.touching(when).copied().collect();
            found.sort_unstable();
            let shares = |n: &usize| !all[*n].intersect(when).is_empty();
            let expected: Vec<usize> = (0..all.len()).filter(shares).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
