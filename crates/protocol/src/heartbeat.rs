//! Pings as barriers: last proof of life, half-open known within two intervals.
//!
//! Only the application-level pong counts: RFC 6455 pongs may come from another layer. One ping at
//! most is outstanding, for pongs carry no nonce and a second one could be matched wrongly
//! (assumed; the safe side).

use std::time::Duration;

use crate::domain::Mono;

/// Sends pings, matches pongs.
///
/// ```text
/// Quiet(next) ── due ──► Waiting(sent) ── pong ──► Quiet(sent + interval)
///                            └── time-out ──► Dead
/// ```
#[derive(Clone, Debug)]
pub struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    state: State,
    alive: Option<Mono>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Quiet { next: Mono },
    Waiting { sent: Mono },
    Dead,
}

/// What [`Heartbeat::handle_timeout`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing is due.
    Rest,
    /// Send one ping now.
    Ping,
    /// No pong came in time: the socket is half-open.
    HalfOpen,
}

impl Heartbeat {
    /// Starts with a ping due at once: the first pong is the proof that the socket works.
    #[must_use]
    pub fn new(interval: Duration, timeout: Duration, now: Mono) -> Self {
        Self { interval, timeout, state: State::Quiet { next: now }, alive: None }
    }

    /// A pong arrived. Returns the send time of the ping it answers: the barrier up to which
    /// everything queued for this socket has arrived. `None` for a pong nobody waits for.
    pub fn pong(&mut self) -> Option<Mono> {
        match self.state {
            State::Waiting { sent } => {
                self.alive = Some(sent);
                self.state = State::Quiet { next: sent + self.interval };
                Some(sent)
            }
            State::Quiet { .. } | State::Dead => None,
        }
    }

    /// Send time of the newest ping that was answered.
    #[must_use]
    pub fn alive(&self) -> Option<Mono> {
        self.alive
    }

    /// The next ping is due at once, or as soon as the outstanding one is answered.
    pub fn hurry(&mut self, now: Mono) {
        if let State::Quiet { next } = &mut self.state {
            *next = (*next).min(now);
        }
    }

    /// When something is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match self.state {
            State::Quiet { next } => Some(next),
            State::Waiting { sent } => Some(sent + self.timeout),
            State::Dead => None,
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Mono) -> Beat {
        match self.state {
            State::Quiet { next } if next <= now => {
                self.state = State::Waiting { sent: now };
                Beat::Ping
            }
            State::Waiting { sent } if sent + self.timeout <= now => {
                self.state = State::Dead;
                Beat::HalfOpen
            }
            State::Quiet { .. } | State::Waiting { .. } | State::Dead => Beat::Rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn at(secs: u64) -> Mono {
        Mono(0) + Duration::from_secs(secs)
    }

    #[test]
    fn silence_is_known_within_two_intervals_of_the_last_answered_ping() {
        let mut heart = Heartbeat::new(TEN, TEN, at(0));
        assert_eq!(heart.handle_timeout(at(0)), Beat::Ping);
        assert_eq!(heart.pong(), Some(at(0)));
        assert_eq!(heart.handle_timeout(at(9)), Beat::Rest);
        assert_eq!(heart.handle_timeout(at(10)), Beat::Ping);
        assert_eq!(heart.handle_timeout(at(19)), Beat::Rest);
        assert_eq!(heart.handle_timeout(at(20)), Beat::HalfOpen);
        assert_eq!(heart.alive(), Some(at(0)), "the end is the last proof, not the discovery");
        assert_eq!(heart.pong(), None, "a late pong belongs to an ended epoch");
    }

    #[test]
    fn at_most_one_ping_is_outstanding() {
        let mut heart = Heartbeat::new(TEN, Duration::from_secs(60), at(0));
        let pings = (0..60).filter(|&s| heart.handle_timeout(at(s)) == Beat::Ping).count();
        assert_eq!(pings, 1);
    }

    #[test]
    fn a_pong_nobody_asked_for_proves_nothing() {
        let mut heart = Heartbeat::new(TEN, TEN, at(5));
        assert_eq!((heart.pong(), heart.alive()), (None, None));
    }
}
