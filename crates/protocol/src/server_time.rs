//! The platform's clock as seen from here, with its error.
//!
//! Coverage is stated in the platform's time, so that a local clock that is an hour off moves
//! nothing. Every answer carries a `Date` (documented: HTTP, whole seconds); it was written between
//! our request and its answer, so each one bounds the offset from both sides, and all of them
//! together bound it well below a second.

use std::time::Duration;

use crate::domain::{Mono, Wall};

/// Offset between the platform's clock and our monotonic one.
#[derive(Clone, Debug)]
pub struct ServerTime {
    /// Bounds of `server - mono` in nanoseconds, and when they held.
    bounds: Option<Bounds>,
    steps: u64,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: i64,
    high: i64,
    at: Mono,
}

/// What is known of the platform's time at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The platform's clock shows at least this.
    pub earliest: Wall,
    /// The platform's clock shows at most this.
    pub latest: Wall,
}

impl Reading {
    /// The best guess.
    #[must_use]
    pub fn middle(self) -> Wall {
        Wall(self.earliest.0 + (self.latest.0 - self.earliest.0) / 2)
    }

    /// How far the best guess may be off.
    #[must_use]
    pub fn error(self) -> Duration {
        self.latest.since(self.earliest) / 2 + Duration::from_millis(1)
    }
}

/// Two clocks run apart by this at most, in parts per million (quartz: 100).
const DRIFT_PPM: u64 = 200;
const NANOS: i64 = 1_000_000;
/// The year 2100. A header can say 9999, which in nanoseconds is no number of 64 bits.
const LAST: Wall = Wall(4_102_444_800_000);

impl Default for ServerTime {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerTime {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self { bounds: None, steps: 0 }
    }

    /// An answer with this `Date` (milliseconds of its whole second) came to a request. Says
    /// whether it contradicts what was known: one of the clocks was set. A year that no clock shows
    /// counts as not said.
    pub fn sample(&mut self, sent: Mono, received: Mono, date: Wall) -> bool {
        if !(Wall(0)..LAST).contains(&date) {
            return false;
        }
        let nanos = |ms: i64| ms.saturating_mul(NANOS);
        let mono = |at: Mono| i64::try_from(at.0).unwrap_or(i64::MAX);
        let fresh = Bounds {
            low: nanos(date.0) - mono(received),
            high: nanos(date.0 + 1000) - mono(sent),
            at: received,
        };
        let known = self.bounds.map(|bounds| widened(bounds, received));
        let both = known.map(|known| Bounds {
            low: known.low.max(fresh.low),
            high: known.high.min(fresh.high),
            at: received,
        });
        let stepped = both.is_some_and(|both| both.low > both.high);
        self.steps += u64::from(stepped);
        self.bounds = Some(both.filter(|_| !stepped).unwrap_or(fresh));
        stepped
    }

    /// The platform's time at `mono`; `None` before the first answer.
    #[must_use]
    pub fn read(&self, mono: Mono) -> Option<Reading> {
        let bounds = widened(self.bounds?, mono);
        let at = i64::try_from(mono.0).unwrap_or(i64::MAX);
        Some(Reading {
            earliest: Wall((at + bounds.low).div_euclid(NANOS)),
            latest: Wall((at + bounds.high).div_euclid(NANOS) + 1),
        })
    }

    /// How often an answer contradicted what was known.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

/// What the bounds are worth at another instant.
fn widened(bounds: Bounds, at: Mono) -> Bounds {
    let apart = at.0.abs_diff(bounds.at.0) / 1_000_000 * DRIFT_PPM;
    let drift = i64::try_from(apart).unwrap_or(i64::MAX / 4);
    Bounds { low: bounds.low - drift, high: bounds.high + drift, at: bounds.at.max(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    /// The platform's clock shows 1,000,000 s when ours shows 0.
    fn date(ms: u64) -> Wall {
        Wall(1_000_000_000 + i64::try_from(ms).unwrap() / 1000 * 1000)
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        assert_eq!(ServerTime::new().read(at(5)), None);
    }

    #[test]
    fn the_truth_lies_between_the_bounds_and_more_answers_bring_them_closer() {
        let mut time = ServerTime::new();
        let mut last = Duration::MAX;
        for n in 0..40 {
            let sent = n * 7_130; // phases of the second differ
            assert!(!time.sample(at(sent), at(sent + 40), date(sent + 20)));
            let seen = time.read(at(sent + 50)).expect("known");
            let truth = Wall(1_000_000_000 + i64::try_from(sent).unwrap() + 50);
            assert!(seen.earliest <= truth && truth <= seen.latest, "{seen:?} {truth:?}");
            last = seen.error();
        }
        assert!(last < Duration::from_millis(150), "{last:?}");
    }

    #[test]
    fn a_year_that_no_clock_shows_moves_nothing() {
        let mut time = ServerTime::new();
        for ms in [-62_135_596_800_000, -1, 4_102_444_800_000, 253_402_300_799_000] {
            assert!(!time.sample(at(1000), at(1010), Wall(ms)));
            assert_eq!(time.read(at(2000)), None, "{ms}");
        }
        time.sample(at(0), at(10), date(5));
        let known = time.read(at(2000));
        assert!(!time.sample(at(1000), at(1010), Wall(253_402_300_799_000)));
        assert_eq!((time.read(at(2000)), time.steps()), (known, 0));
    }

    #[test]
    fn bounds_widen_while_nobody_answers() {
        let mut time = ServerTime::new();
        time.sample(at(0), at(10), date(5));
        let soon = time.read(at(10)).expect("known").error();
        let late = time.read(at(86_400_000)).expect("known").error();
        assert!(late > soon + Duration::from_secs(16), "{late:?}");
    }

    #[test]
    fn a_clock_that_was_set_is_noticed_and_believed() {
        let mut time = ServerTime::new();
        time.sample(at(0), at(10), date(5));
        assert!(time.sample(at(1000), at(1010), Wall(date(1005).0 + 3_600_000)));
        assert_eq!(time.steps(), 1);
        let seen = time.read(at(1010)).expect("known");
        assert!(seen.middle().0 > 1_003_000_000);
    }
}
