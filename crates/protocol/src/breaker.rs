//! One probe at a time per endpoint class.

use std::time::Duration;

use crate::domain::{Dice, Mono};

/// Closed while answers come; after a failure one probe at a time.
///
/// ```text
/// Closed ── connect error, 5xx ──► Open(until) ── due ──► Probing ── answer ──► Closed
///                                     ▲                      └─ failure ─┘
///                                     └──────────────────────────┘
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    cap: Duration,
    state: State,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Mono },
    Probing,
}

impl Breaker {
    /// Closed; probes are at most `cap` apart.
    #[must_use]
    pub fn new(cap: Duration) -> Self {
        Self { cap, state: State::Closed, failures: 0 }
    }

    /// Whether a request may go now; one that goes while open is the probe.
    pub fn admit(&mut self, now: Mono) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } if until <= now => {
                self.state = State::Probing;
                true
            }
            State::Open { .. } | State::Probing => false,
        }
    }

    /// The endpoint answered, whatever it said.
    pub fn answered(&mut self) {
        self.state = State::Closed;
        self.failures = 0;
    }

    /// Connect error, time-out or 5xx. Failures of requests that were under way already when it
    /// opened change nothing.
    pub fn failed(&mut self, now: Mono, dice: &mut Dice) {
        if let State::Open { .. } = self.state {
            return;
        }
        // Equal jitter: with one probe at a time the herd is made of clients, not channels, and
        // half the cap of spread is enough. It halves the requests of a long outage.
        let ceiling = Duration::from_secs(1 << self.failures.min(16)).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Open { until: now + dice.between(ceiling / 2, ceiling) };
    }

    /// When the next probe may go, while open.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::Probing => None,
        }
    }

    /// Whether everything may go.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_open_one_probe_at_a_time_goes() {
        let mut dice = Dice::new(3);
        let mut breaker = Breaker::new(Duration::from_secs(14));
        breaker.failed(Mono(0), &mut dice);
        assert!(!breaker.admit(Mono(0)));
        let due = breaker.poll_timeout().expect("a time");
        assert!(breaker.admit(due) && !breaker.admit(due), "the second one waits for the probe");
        breaker.failed(due, &mut dice);
        let next = breaker.poll_timeout().expect("a time");
        assert!(!breaker.admit(due) && next > due);
        assert!(breaker.admit(next));
        breaker.answered();
        assert!(breaker.admit(next) && breaker.admit(next));
    }

    #[test]
    fn ten_minutes_of_outage_cost_fewer_than_ninety_probes() {
        let mut dice = Dice::new(4);
        let mut breaker = Breaker::new(Duration::from_secs(14));
        let (mut now, mut probes) = (Mono(0), 0);
        while now < Mono(0) + Duration::from_secs(600) {
            breaker.failed(now, &mut dice);
            now = breaker.poll_timeout().expect("open");
            assert!(breaker.admit(now));
            probes += 1;
        }
        assert!(probes < 90, "{probes}");
    }
}
