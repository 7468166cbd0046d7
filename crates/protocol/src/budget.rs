//! Requests per window, safe under fixed and sliding windows.
//!
//! A server with 60 s windows sees burst + rate within one of them. With a limit `L` and `R`
//! processes under one client: burst `0.3 L/R` and rate `0.6 L/(60 R)` per second make at most
//! `0.9 L/R` in any 60 s (I10).

use std::time::Duration;

use crate::domain::Mono;

/// A bucket of requests.
#[derive(Clone, Debug)]
pub struct Budget {
    burst: f64,
    per_sec: f64,
    /// Of the client, per minute.
    limit: f64,
    tokens: f64,
    updated: Mono,
    held_until: Mono,
}

impl Budget {
    /// A full bucket for `limit` requests per minute shared by `processes`.
    #[must_use]
    pub fn new(limit: u32, processes: u32, now: Mono) -> Self {
        let (burst, per_sec) = shape(limit, processes);
        Self {
            burst,
            per_sec,
            limit: f64::from(limit),
            tokens: burst,
            updated: now,
            held_until: now,
        }
    }

    /// From here on another limit, or another number of processes, holds. Nothing is added at once: what
    /// went before counts within the same minute.
    pub fn renew(&mut self, limit: u32, processes: u32, now: Mono) {
        self.refill(now);
        (self.burst, self.per_sec) = shape(limit, processes);
        self.limit = f64::from(limit);
        self.tokens = self.tokens.min(self.burst);
    }

    /// Takes one request out of the bucket if `left` remain after it and nothing holds it.
    pub fn take(&mut self, left: f64, now: Mono) -> bool {
        self.refill(now);
        if now < self.held_until || self.tokens < 1.0 + left {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    /// Nothing is sent before `until`: a `Retry-After`.
    pub fn hold(&mut self, until: Mono) {
        self.held_until = self.held_until.max(until);
    }

    /// Until when nothing is sent.
    #[must_use]
    pub fn held_until(&self) -> Mono {
        self.held_until
    }

    /// The server says how much of its window is used: the bucket never holds more than is left
    /// of nine tenths of what it allows, or of a smaller limit that was set.
    pub fn observe(&mut self, count: u32, allowed: u32, now: Mono) {
        self.refill(now);
        let left = 0.9 * f64::from(allowed).min(self.limit) - f64::from(count);
        self.tokens = self.tokens.min(left.max(0.0));
    }

    /// Requests it holds at most.
    #[must_use]
    pub fn burst(&self) -> f64 {
        self.burst
    }

    /// When the next request that leaves `left` may go, as far as is known now.
    #[must_use]
    pub fn next_at(&self, left: f64) -> Mono {
        let missing = (1.0 + left - self.tokens).max(0.0);
        let wait = Duration::from_secs_f64(missing / self.per_sec.max(1e-6));
        (self.updated + wait + Duration::from_micros(1)).max(self.held_until)
    }

    /// Requests that could go at once.
    #[must_use]
    pub fn remaining(&self) -> f64 {
        self.tokens
    }

    fn refill(&mut self, now: Mono) {
        let passed = now.since(self.updated).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_sec).min(self.burst);
        self.updated = self.updated.max(now);
    }
}

/// Requests it holds at most, and those that are added each second.
fn shape(limit: u32, processes: u32) -> (f64, f64) {
    let share = f64::from(limit) / f64::from(processes.max(1));
    // no credit below one request, or a tiny limit would never send
    ((0.3 * share).max(1.0), 0.6 * share / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_limit_that_changes_gives_no_credit_for_what_went_before() {
        for (old, new) in [(300, 30), (30, 300)] {
            let mut budget = Budget::new(old, 1, Mono(0));
            let mut sent = Vec::new();
            for second in 0..120 {
                let now = Mono(0) + Duration::from_secs(second);
                if second == 60 {
                    budget.renew(new, 1, now);
                }
                while budget.take(0.0, now) {
                    sent.push(second);
                }
            }
            let within =
                |from: u64| sent.iter().filter(|at| (from..from + 60).contains(*at)).count();
            let most = (0..120).map(within).max().unwrap();
            assert!(most <= 270, "{old} to {new}: {most} within a minute");
            assert!(
                within(61) <= usize::try_from(new).unwrap() * 9 / 10,
                "{old} to {new}: {}",
                within(61)
            );
        }
    }

    proptest! {
        #[test]
        fn no_sixty_seconds_hold_more_than_nine_tenths_of_the_limit(
            limit in 10_u32..600, processes in 1_u32..4, gaps in prop::collection::vec(0_u64..2_000, 1..3_000)
        ) {
            let mut budget = Budget::new(limit, processes, Mono(0));
            let (mut now, mut sent) = (Mono(0), Vec::new());
            for gap in gaps {
                now = now + Duration::from_millis(gap);
                while budget.take(0.0, now) {
                    sent.push(now);
                }
            }
            let allowed = 0.9 * f64::from(limit) / f64::from(processes) + 1.0;
            let mut first = 0;
            for (last, at) in sent.iter().enumerate() {
                while at.since(sent[first]) >= Duration::from_secs(60) {
                    first += 1;
                }
                let within = u32::try_from(last - first + 1).unwrap();
                prop_assert!(f64::from(within) <= allowed.max(2.0), "{within} > {allowed}");
            }
        }
    }

    #[test]
    fn nothing_goes_before_a_hold_has_passed() {
        let mut budget = Budget::new(300, 1, Mono(0));
        let until = Mono(0) + Duration::from_secs(7);
        budget.hold(until);
        assert!(!budget.take(0.0, until - Duration::from_millis(1)));
        assert_eq!(budget.next_at(0.0), until);
        assert!(budget.take(0.0, until));
    }

    #[test]
    fn a_bucket_never_believes_more_than_the_server_says_is_left() {
        let mut budget = Budget::new(300, 1, Mono(0));
        budget.observe(269, 300, Mono(0));
        assert!(budget.take(0.0, Mono(0)) && !budget.take(0.0, Mono(0)));
    }

    #[test]
    fn a_bucket_with_a_part_of_the_limit_stops_where_that_part_is_used() {
        let mut budget = Budget::new(75, 1, Mono(0));
        budget.observe(66, 300, Mono(0));
        assert!(budget.take(0.0, Mono(0)) && !budget.take(0.0, Mono(0)));
        budget.observe(200, 300, Mono(0));
        assert!(!budget.take(0.0, Mono(0)), "others use the client too");
    }
}
