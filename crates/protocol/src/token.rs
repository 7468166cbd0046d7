//! When a bearer token is renewed, and until when the old one serves.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::domain::{Dice, Mono};

/// Keeps one token fresh; one renewal serves every waiter.
///
/// ```text
/// Missing ──► Asking ── granted ──► Valid(until, renew_at) ── due ──► Asking (old one serves on)
///               └── refused, failed ──► waits, then Asking
/// ```
#[derive(Clone, Debug)]
pub struct TokenClock {
    lead: (Duration, Duration),
    valid_until: Option<Mono>,
    ask_at: Option<Mono>,
    asking: bool,
    backoff: Backoff,
}

/// Slack for clocks and the way to the server: a token this close to its end is not used.
const LAST_USE: Duration = Duration::from_secs(2);

impl TokenClock {
    /// No token yet; asks at once. `lead` as in [`Timings`](crate::timings::Timings).
    #[must_use]
    pub fn new(lead: (Duration, Duration), backoff_cap: Duration, now: Mono) -> Self {
        let backoff = Backoff::new(backoff_cap);
        Self { lead, valid_until: None, ask_at: Some(now), asking: false, backoff }
    }

    /// Whether a request for a token should be made now; says so once until it is answered.
    pub fn poll(&mut self, now: Mono) -> bool {
        let due = !self.asking && self.ask_at.is_some_and(|at| at <= now);
        if due {
            self.asking = true;
            self.ask_at = None;
        }
        due
    }

    /// A token was granted for `life` from now.
    pub fn granted(&mut self, life: Duration, now: Mono, dice: &mut Dice) {
        // a short life is renewed within its last third, whatever the lead says
        let third = life / 3;
        let lead = dice.between(self.lead.0.min(third / 2), self.lead.1.min(third));
        self.asking = false;
        self.backoff.reset();
        self.valid_until = Some(now + life);
        self.ask_at = Some(now + life.saturating_sub(lead));
    }

    /// No token this time. The old one serves until its own end.
    pub fn failed(&mut self, now: Mono, dice: &mut Dice) {
        self.asking = false;
        if self.backoff.attempt() == 0 {
            self.backoff.next(dice); // the immediate try is for lost connections, not for refusals
        }
        self.ask_at = Some(now + self.backoff.next(dice).max(Duration::from_millis(500)));
    }

    /// The platform said the token is no good (401, revoked): ask for another one now.
    pub fn rejected(&mut self, now: Mono) {
        if self.valid_until.take().is_some() && !self.asking {
            self.ask_at = Some(now);
        }
    }

    /// The client has another secret: it is tried at once, and the token at hand serves on.
    pub fn renewed(&mut self, now: Mono) {
        self.backoff.reset();
        if !self.asking {
            self.ask_at = Some(now);
        }
    }

    /// Whether the token at hand may be used now.
    #[must_use]
    pub fn is_valid(&self, now: Mono) -> bool {
        self.valid_for(Duration::ZERO, now)
    }

    /// Whether the token at hand will still be valid `span` from now.
    #[must_use]
    pub fn valid_for(&self, span: Duration, now: Mono) -> bool {
        self.valid_until.is_some_and(|until| now + span + LAST_USE.min(self.lead.0) < until)
    }

    /// When [`Self::poll`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.asking { None } else { self.ask_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(60);

    fn clock() -> (TokenClock, Dice) {
        (TokenClock::new((10 * MIN, 30 * MIN), MIN / 2, Mono(0)), Dice::new(6))
    }

    #[test]
    fn a_day_long_token_is_renewed_ten_to_thirty_minutes_ahead() {
        let (mut clock, mut dice) = clock();
        assert!(clock.poll(Mono(0)) && !clock.poll(Mono(0)), "single flight");
        clock.granted(24 * 60 * MIN, Mono(0), &mut dice);
        let lead = (Mono(0) + 24 * 60 * MIN).since(clock.poll_timeout().expect("a time"));
        assert!((10 * MIN..=30 * MIN).contains(&lead), "{lead:?}");
    }

    #[test]
    fn a_five_minute_token_is_used_for_at_least_two_thirds_of_its_life() {
        let (mut clock, mut dice) = clock();
        clock.poll(Mono(0));
        clock.granted(5 * MIN, Mono(0), &mut dice);
        assert!(clock.poll_timeout().expect("a time") >= Mono(0) + 200 * (MIN / 60));
    }

    #[test]
    fn the_old_token_serves_while_the_login_host_is_down_and_never_after_its_end() {
        let (mut clock, mut dice) = clock();
        clock.poll(Mono(0));
        clock.granted(60 * MIN, Mono(0), &mut dice);
        let due = clock.poll_timeout().expect("a time");
        assert!(clock.poll(due));
        clock.failed(due, &mut dice);
        assert!(clock.is_valid(due));
        assert!(clock.poll_timeout().expect("tries again") > due);
        assert!(!clock.is_valid(Mono(0) + 60 * MIN));
    }

    #[test]
    fn a_rejected_token_is_replaced_at_once_by_one_request() {
        let (mut clock, mut dice) = clock();
        clock.poll(Mono(0));
        clock.granted(60 * MIN, Mono(0), &mut dice);
        clock.rejected(Mono(5));
        clock.rejected(Mono(5));
        assert!(!clock.is_valid(Mono(5)) && clock.poll(Mono(5)) && !clock.poll(Mono(5)));
    }
}
