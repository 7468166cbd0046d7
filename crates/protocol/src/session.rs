//! Life of one socket: from the upgrade to its end, and why it ended.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::{EndReason, Mono};
use crate::envelope::SystemNotice;
use crate::heartbeat::{Beat, Heartbeat};

/// How a socket proves that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Application-level ping and pong: a barrier behind all events. For notification channels.
    ApplicationPing {
        /// Between two pings.
        interval: Duration,
        /// A pong later than this means half-open.
        timeout: Duration,
    },
    /// RFC 6455 pings; any traffic proves life. For endpoints of unknown habits.
    Silence {
        /// A ping is sent after half of this, half-open is declared after all of it.
        limit: Duration,
    },
}

/// What happened to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Anything arrived.
    Heard,
    /// The application-level pong arrived.
    Pong,
    /// The platform spoke about the channel.
    Notice(SystemNotice),
    /// A close frame arrived, with its code.
    Closed(Option<u16>),
    /// The connection broke without a close frame.
    Broken,
    /// The owner wants it closed, for this reason. One last ping is answered first, so that what was
    /// heard up to now can be claimed.
    Close(EndReason),
}

/// What the driver should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the application-level ping.
    SendPing,
    /// Send an RFC 6455 ping.
    SendProtocolPing,
    /// Tell the owner: the first proof of life arrived.
    Live,
    /// Tell the owner what the platform said.
    Notice(SystemNotice),
    /// Send a close frame with code 1000, wait briefly, drop the socket.
    SendClose,
    /// The socket is over; nothing follows.
    End(EndReason),
}

/// ```text
/// Joining ── first proof of life ──► Live ── close, break, half-open ──► Ended(reason)
///    └───────────────── the same ──────────────────────────────────────────▲
///    └── owner closes ──► Closing(reason) ── closed, broken, 2 s ──────────┘
/// Live ── owner closes ──► Parting(reason) ── last ping answered, 1 s ──► Closing(reason)
/// ```
#[derive(Debug)]
pub struct Session {
    state: State,
    pulse: Pulse,
    notice: Option<SystemNotice>,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Joining,
    Live,
    Parting { reason: EndReason, since: Mono },
    Closing { reason: EndReason, until: Mono },
    Ended,
}

#[derive(Debug)]
enum Pulse {
    Barrier(Heartbeat),
    Traffic { limit: Duration, heard: Mono, pinged: bool },
}

/// How long a polite close may take.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// How long the last pong is waited for. It widens a claim and protects nothing, so a platform that
/// does not answer holds nobody up.
const LAST_PONG: Duration = Duration::from_secs(1);

impl Session {
    /// The upgrade succeeded.
    #[must_use]
    pub fn opened(liveness: Liveness, now: Mono) -> Self {
        let mut actions = VecDeque::new();
        let (state, pulse) = match liveness {
            Liveness::ApplicationPing { interval, timeout } => {
                (State::Joining, Pulse::Barrier(Heartbeat::new(interval, timeout, now)))
            }
            Liveness::Silence { limit } => {
                actions.push_back(Action::Live); // nothing better than the upgrade is known
                (State::Live, Pulse::Traffic { limit, heard: now, pinged: false })
            }
        };
        Self { state, pulse, notice: None, actions }
    }

    /// Tells the machine what happened.
    pub fn handle(&mut self, input: Input, now: Mono) {
        if self.state == State::Ended {
            return;
        }
        if let Pulse::Traffic { heard, pinged, .. } = &mut self.pulse {
            (*heard, *pinged) = (now, false);
        }
        match input {
            Input::Heard => {}
            Input::Pong => self.pong(now),
            Input::Notice(notice) => {
                self.notice = Some(notice);
                self.actions.push_back(Action::Notice(notice));
            }
            Input::Closed(code) => self.end(self.name_of_close(code)),
            Input::Broken => self.end(EndReason::Reset),
            Input::Close(reason) => self.part(reason, now),
        }
    }

    /// The next thing to do; call until `None`.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match (self.state, &self.pulse) {
            (State::Ended, _) => None,
            (State::Closing { until, .. }, _) => Some(until),
            (State::Parting { since, .. }, Pulse::Barrier(heart)) => {
                heart.poll_timeout().into_iter().chain([since + LAST_PONG]).min()
            }
            (State::Parting { since, .. }, Pulse::Traffic { .. }) => Some(since + LAST_PONG),
            (State::Joining | State::Live, Pulse::Barrier(heart)) => heart.poll_timeout(),
            (State::Joining | State::Live, Pulse::Traffic { limit, heard, pinged }) => {
                Some(*heard + if *pinged { *limit } else { *limit / 2 })
            }
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Mono) {
        match self.state {
            State::Ended => {}
            State::Closing { until, .. } if until > now => {}
            State::Closing { reason, .. } => self.end(reason),
            State::Parting { reason, since } if since + LAST_PONG <= now => self.close(reason, now),
            State::Joining | State::Live | State::Parting { .. } => match self.beat(now) {
                Beat::Rest => {}
                Beat::Ping => self.actions.push_back(match self.pulse {
                    Pulse::Barrier(_) => Action::SendPing,
                    Pulse::Traffic { .. } => Action::SendProtocolPing,
                }),
                Beat::HalfOpen => self.end(EndReason::HalfOpen),
            },
        }
    }

    /// Whether the socket is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Send time of the newest ping that was answered: up to there everything that was queued for
    /// this socket has arrived.
    #[must_use]
    pub fn alive(&self) -> Option<Mono> {
        match &self.pulse {
            Pulse::Barrier(heart) => heart.alive(),
            Pulse::Traffic { .. } => None,
        }
    }

    fn beat(&mut self, now: Mono) -> Beat {
        match &mut self.pulse {
            Pulse::Barrier(heart) => heart.handle_timeout(now),
            Pulse::Traffic { limit, heard, .. } if *heard + *limit <= now => Beat::HalfOpen,
            Pulse::Traffic { limit, heard, pinged } if !*pinged && *heard + *limit / 2 <= now => {
                *pinged = true;
                Beat::Ping
            }
            Pulse::Traffic { .. } => Beat::Rest,
        }
    }

    fn pong(&mut self, now: Mono) {
        let Pulse::Barrier(heart) = &mut self.pulse else {
            return;
        };
        let Some(sent) = heart.pong() else {
            return;
        };
        match self.state {
            State::Joining => {
                self.state = State::Live;
                self.actions.push_back(Action::Live);
            }
            State::Parting { reason, since } if since <= sent => self.close(reason, now),
            State::Parting { .. } => heart.hurry(now),
            State::Live | State::Closing { .. } | State::Ended => {}
        }
    }

    fn part(&mut self, reason: EndReason, now: Mono) {
        match (self.state, &mut self.pulse) {
            (State::Live, Pulse::Barrier(heart)) => {
                heart.hurry(now);
                self.state = State::Parting { reason, since: now };
            }
            (State::Joining, _) | (State::Live, Pulse::Traffic { .. }) => self.close(reason, now),
            (State::Parting { .. } | State::Closing { .. } | State::Ended, _) => {}
        }
    }

    fn close(&mut self, reason: EndReason, now: Mono) {
        self.state = State::Closing { reason, until: now + CLOSE_GRACE };
        self.actions.push_back(Action::SendClose);
    }

    fn end(&mut self, reason: EndReason) {
        let reason = match self.state {
            State::Parting { reason, .. } | State::Closing { reason, .. } => reason, // our own close, however it came about
            State::Joining | State::Live | State::Ended => reason,
        };
        self.state = State::Ended;
        self.actions.push_back(Action::End(reason));
    }

    /// What the platform said before is a better name than the code it closed with.
    fn name_of_close(&self, code: Option<u16>) -> EndReason {
        match (self.notice, code) {
            (Some(SystemNotice::SocketClosing), _) => EndReason::ClosingNotice,
            (Some(SystemNotice::NoLongerSubscribed | SystemNotice::DuplicateId), _) => {
                EndReason::Kicked
            }
            (Some(SystemNotice::TokenRevoked), _) => EndReason::Token,
            (Some(SystemNotice::Other) | None, Some(1000)) => EndReason::Close1000,
            (Some(SystemNotice::Other) | None, Some(1001)) => EndReason::Close1001,
            (Some(SystemNotice::Other) | None, Some(_) | None) => EndReason::CloseOther,
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

    fn session() -> Session {
        Session::opened(Liveness::ApplicationPing { interval: TEN, timeout: TEN }, at(0))
    }

    fn actions(session: &mut Session) -> Vec<Action> {
        std::iter::from_fn(|| session.poll()).collect()
    }

    #[test]
    fn a_socket_is_live_at_its_first_pong_and_not_before() {
        let mut session = session();
        session.handle_timeout(at(0));
        session.handle(Input::Heard, at(0));
        assert_eq!(actions(&mut session), [Action::SendPing]);
        session.handle(Input::Pong, at(1));
        assert_eq!(actions(&mut session), [Action::Live]);
    }

    #[test]
    fn every_end_has_its_own_name() {
        let ends = |inputs: &[Input]| {
            let mut session = session();
            inputs.iter().for_each(|input| session.handle(*input, at(1)));
            assert!(session.is_ended());
            actions(&mut session).pop()
        };
        let notice = |notice| Input::Notice(notice);
        for (inputs, reason) in [
            (vec![Input::Closed(Some(1000))], EndReason::Close1000),
            (vec![Input::Closed(Some(1001))], EndReason::Close1001),
            (vec![Input::Closed(Some(1012))], EndReason::CloseOther),
            (vec![Input::Closed(None)], EndReason::CloseOther),
            (vec![Input::Broken], EndReason::Reset),
            (
                vec![notice(SystemNotice::SocketClosing), Input::Closed(Some(1001))],
                EndReason::ClosingNotice,
            ),
            (
                vec![notice(SystemNotice::NoLongerSubscribed), Input::Closed(Some(1000))],
                EndReason::Kicked,
            ),
            (vec![notice(SystemNotice::TokenRevoked), Input::Closed(Some(1000))], EndReason::Token),
            (
                vec![Input::Close(EndReason::Rotation), Input::Closed(Some(1000))],
                EndReason::Rotation,
            ),
        ] {
            assert_eq!(ends(&inputs), Some(Action::End(reason)), "{inputs:?}");
        }
    }

    #[test]
    fn half_open_is_known_within_twenty_seconds() {
        let mut session = session();
        session.handle_timeout(at(0));
        session.handle(Input::Pong, at(0));
        for second in 1..=20 {
            session.handle(Input::Heard, at(second)); // events without pongs prove nothing
            session.handle_timeout(at(second));
        }
        assert_eq!(actions(&mut session).pop(), Some(Action::End(EndReason::HalfOpen)));
    }

    #[test]
    fn a_socket_that_is_closed_on_purpose_claims_up_to_its_close() {
        let mut session = session();
        session.handle_timeout(at(0));
        session.handle(Input::Pong, at(0));
        session.handle_timeout(at(10)); // this ping is still out when the owner closes
        session.handle(Input::Close(EndReason::Rotation), at(11));
        session.handle_timeout(at(11));
        assert_eq!(actions(&mut session), [Action::SendPing, Action::Live, Action::SendPing]);
        session.handle(Input::Pong, at(11));
        assert_eq!((session.poll_timeout(), session.alive()), (Some(at(11)), Some(at(10))));
        session.handle_timeout(at(11));
        session.handle(Input::Pong, at(11));
        assert_eq!(actions(&mut session), [Action::SendPing, Action::SendClose]);
        assert_eq!(session.alive(), Some(at(11)));
    }

    #[test]
    fn a_last_ping_that_nobody_answers_delays_the_close_by_a_second() {
        let mut session = session();
        session.handle_timeout(at(0));
        session.handle(Input::Pong, at(0));
        for second in 5..=8 {
            session.handle(Input::Close(EndReason::Rotation), at(second)); // said again and again
            session.handle_timeout(at(second));
        }
        let end = Action::End(EndReason::Rotation);
        let seen = actions(&mut session).split_off(2);
        assert_eq!(seen, [Action::SendPing, Action::SendClose, end]);
    }

    #[test]
    fn a_polite_close_that_nobody_answers_ends_all_the_same() {
        let mut session = session();
        session.handle(Input::Close(EndReason::Rotation), at(1));
        session.handle_timeout(at(3));
        assert_eq!(actions(&mut session), [Action::SendClose, Action::End(EndReason::Rotation)]);
    }

    #[test]
    fn an_endpoint_of_unknown_habits_is_pinged_and_given_up_on_silence() {
        let mut session = Session::opened(Liveness::Silence { limit: 2 * TEN }, at(0));
        session.handle_timeout(at(10));
        session.handle_timeout(at(20));
        let seen = actions(&mut session);
        assert_eq!(
            seen,
            [Action::Live, Action::SendProtocolPing, Action::End(EndReason::HalfOpen)]
        );
    }
}
