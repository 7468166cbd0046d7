//! Capped full jitter as arithmetic, and what a server's hint is worth.

use std::time::Duration;

use crate::domain::Dice;
use crate::seeded::{Bug, planted};

/// Delays of one thing that is tried again for ever: there is no attempt limit.
#[derive(Clone, Debug)]
pub struct Backoff {
    cap: Duration,
    attempt: u32,
}

impl Backoff {
    /// The next delay is zero: the first try after a useful connection is made at once.
    #[must_use]
    pub fn new(cap: Duration) -> Self {
        Self { cap, attempt: 0 }
    }

    /// How many delays were drawn since the last success.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Draws the next delay: nothing at first, then uniform in `[0, min(cap, 2^n s)]`.
    pub fn next(&mut self, dice: &mut Dice) -> Duration {
        let ceiling =
            Duration::from_secs(1 << self.attempt.saturating_sub(1).min(16)).min(self.cap);
        let first = self.attempt == 0;
        self.attempt = self.attempt.saturating_add(1);
        if self.attempt > 10 && planted(Bug::GiveUp) {
            return Duration::MAX;
        }
        if first { Duration::ZERO } else { dice.up_to(ceiling) }
    }

    /// It was useful: start again without delay.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// A `Retry-After` longer than this is a daily cap: an operator must look.
pub const DAILY_CAP: Duration = Duration::from_secs(180);

/// No hint holds a client longer than this.
const LONGEST_HINT: Duration = Duration::from_secs(24 * 3600);

/// What a 429 asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Whole seconds, as the platform documents; clamped to a day.
    Wait(Duration),
    /// Missing, empty, a date or garbage: the floor of an own delay applies.
    None,
}

impl Hint {
    /// Reads the header. The platform sends whole seconds (documented); anything else is no hint.
    #[must_use]
    pub fn parse(header: Option<&str>) -> Self {
        match header.map(str::trim) {
            Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                let secs = text.parse().unwrap_or(u64::MAX);
                Self::Wait(Duration::from_secs(secs).min(LONGEST_HINT))
            }
            Some(_) | None => Self::None,
        }
    }

    /// How long to hold: the hint plus jitter, or equal jitter over 30 s where there is none. Full
    /// jitter can collapse to nothing and burn every try within one window.
    pub fn hold(self, jitter: Duration, dice: &mut Dice) -> Duration {
        match self {
            Self::Wait(wait) => wait + dice.up_to(jitter),
            Self::None => dice.between(Duration::from_secs(15), Duration::from_secs(30)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_immediate_and_later_ones_stay_under_the_cap() {
        let mut dice = Dice::new(1);
        let mut backoff = Backoff::new(Duration::from_secs(30));
        assert_eq!(backoff.next(&mut dice), Duration::ZERO);
        let delays: Vec<_> = (0..1000).map(|_| backoff.next(&mut dice)).collect();
        assert!(delays[0] <= Duration::from_secs(1));
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(30)));
        let mean = delays.iter().map(Duration::as_secs_f64).sum::<f64>() / 1000.0;
        assert!((12.0..18.0).contains(&mean), "full jitter has its mean at half the cap: {mean}");
    }

    #[test]
    fn retry_after_is_whole_seconds_and_nothing_else() {
        let wait = |secs| Hint::Wait(Duration::from_secs(secs));
        for (header, expected) in [
            (Some("0"), wait(0)),
            (Some(" 1 "), wait(1)),
            (Some("120"), wait(120)),
            (Some("99999999999999999999999"), wait(86_400)),
            (Some("Wed, 21 Oct 2026 07:28:00 GMT"), Hint::None),
            (Some("-1"), Hint::None),
            (Some("1.5"), Hint::None),
            (Some(""), Hint::None),
            (None, Hint::None),
        ] {
            assert_eq!(Hint::parse(header), expected, "{header:?}");
        }
    }

    #[test]
    fn a_hint_is_never_undercut() {
        let mut dice = Dice::new(2);
        let hold = |hint: Hint, dice: &mut Dice| hint.hold(Duration::from_secs(5), dice);
        for _ in 0..1000 {
            assert!(hold(Hint::Wait(Duration::from_secs(7)), &mut dice) >= Duration::from_secs(7));
            assert!(hold(Hint::None, &mut dice) >= Duration::from_secs(15));
        }
    }
}
