//! Counts distinct ids and digests them, so that whoever reads the same records comes to the same
//! figures in whatever order.

use crate::domain::EventId;

/// Distinct ids of one partition. Holds 16 bytes for each of them.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    offsets: Option<(i64, i64)>,
    fresh: Vec<u128>,
    /// Sorted and without repeats, each at least twice as long as the next.
    runs: Vec<Vec<u128>>,
}

/// What a tally comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Offset of the first record.
    pub first_offset: i64,
    /// Offset behind the last record.
    pub end_offset: i64,
    /// Distinct ids.
    pub count: u64,
    /// Exclusive or of the distinct ids.
    pub xor: u128,
    /// Their sum modulo 2^128.
    pub sum: u128,
}

/// So many ids are sorted at once.
const RUN: usize = 8_192;

impl Tally {
    /// Adds a record.
    pub fn add(&mut self, offset: i64, id: EventId) {
        self.reach(offset, offset + 1);
        self.fresh.push(u128::from_be_bytes(id.0));
        if self.fresh.len() >= RUN {
            self.seal();
        }
    }

    /// Adds everything of another one.
    pub fn absorb(&mut self, other: &Self) {
        let Some((first, end)) = other.offsets else { return };
        self.reach(first, end);
        self.seal();
        self.runs.extend(other.runs.iter().cloned());
        self.fresh.extend(&other.fresh);
        self.seal();
    }

    /// What it comes to.
    #[must_use]
    pub fn total(mut self) -> Total {
        self.seal();
        let all = self.runs.into_iter().reduce(|a, b| merge(&a, &b)).unwrap_or_default();
        let (first_offset, end_offset) = self.offsets.unwrap_or_default();
        Total {
            first_offset,
            end_offset,
            count: all.len() as u64,
            xor: all.iter().fold(0, |xor, id| xor ^ id),
            sum: all.iter().fold(0, |sum, id| sum.wrapping_add(*id)),
        }
    }

    fn reach(&mut self, first: i64, end: i64) {
        let (known_first, known_end) = self.offsets.unwrap_or((first, end));
        self.offsets = Some((known_first.min(first), known_end.max(end)));
    }

    fn seal(&mut self) {
        let mut run = std::mem::take(&mut self.fresh);
        run.sort_unstable();
        run.dedup();
        if !run.is_empty() {
            self.runs.push(run);
        }
        while let [.., a, b] = self.runs.as_slice()
            && a.len() < 2 * b.len()
        {
            let merged = merge(a, b);
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(merged);
        }
    }
}

/// Both, sorted, without repeats.
fn merge(a: &[u128], b: &[u128]) -> Vec<u128> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x <= y => a.next(),
            (_, Some(_)) => b.next(),
            (Some(_), None) => a.next(),
            (None, None) => return out,
        };
        if next != out.last().copied() {
            out.extend(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(n: u32) -> EventId {
        EventId(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn repeats_and_order_make_no_difference(
            ids in prop::collection::vec(0..40_000_u32, 0..30_000),
            cut in 0..30_000_usize,
        ) {
            let (mut one, mut a, mut b) = (Tally::default(), Tally::default(), Tally::default());
            for (offset, n) in (10..).zip(&ids) {
                one.add(offset, id(*n));
                let half = if offset < 10 + i64::try_from(cut).unwrap() { &mut a } else { &mut b };
                half.add(offset, id(*n));
            }
            b.absorb(&a);
            let total = one.total();
            prop_assert_eq!(b.total(), total);
            let distinct: BTreeSet<u128> = ids.iter().map(|n| u128::from_be_bytes(id(*n).0)).collect();
            prop_assert_eq!(total.count, distinct.len() as u64);
            prop_assert_eq!(total.xor, distinct.iter().fold(0, |xor, id| xor ^ id));
            prop_assert_eq!(total.sum, distinct.iter().fold(0, |s: u128, id| s.wrapping_add(*id)));
            if !ids.is_empty() {
                let end = 10 + i64::try_from(ids.len()).unwrap();
                prop_assert_eq!((total.first_offset, total.end_offset), (10, end));
            }
        }
    }
}
