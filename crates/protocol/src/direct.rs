//! Sockets of one URL, each succeeded before the platform closes it.
//!
//! ```text
//! socket 0  ├───────────── life, learned from the last ones ─────────────┤ closed
//! socket 1                                           dial ├──────────────────────────
//!                                                         └─ a lead before the shortest of them
//! ```
//! Where the platform refuses a socket beside the others, there is room for so many and no more: the
//! next one is dialled when one ends, at once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::backoff::Backoff;
use crate::domain::{Dice, EndReason, Mono};

/// What is expected of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectTimings {
    /// How long a connection lives, until some have told.
    pub lifetime: Duration,
    /// Longest delay after connections that were of no use.
    pub backoff_cap: Duration,
}

/// What the driver should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial, in this place.
    Dial(u8),
    /// Close the socket in this place: its successor is live.
    Close(u8),
}

#[derive(Clone, Copy, Debug)]
struct Socket {
    /// When it opened; `None` while it is being dialled.
    open: Option<Mono>,
    /// What was asked for: an end that was not the platform's doing tells nothing of lives.
    closing: bool,
}

/// Keeps so many sockets open.
#[derive(Clone, Debug)]
pub struct Direct {
    timings: DirectTimings,
    wanted: usize,
    sockets: BTreeMap<u8, Socket>,
    /// How long sockets lived that the platform closed, the newest last.
    lives: VecDeque<Duration>,
    backoff: Backoff,
    /// Nothing is dialled before.
    not_before: Mono,
    last_dial: Option<Mono>,
    /// How many sockets there is room for, and until when that is believed.
    room: Option<(usize, Mono)>,
    /// Beside how many open sockets another one was refused, and how often since more were open.
    refused: (usize, u32),
    /// Sockets in a row that were of no use since another one opened.
    evicted: u32,
    stopping: bool,
}

/// So many lives are remembered.
const LIVES: usize = 8;
/// Fewer of them do not speak against the configuration.
const FEW: usize = 3;
/// What is learned about room is tried again after this.
const LEARNED: Duration = Duration::from_secs(3_600);
/// Shorter lives are no lives.
const SHORTEST: Duration = Duration::from_secs(5);
/// Longest lead.
const LEAD: Duration = Duration::from_secs(10);
/// A successor counts from here on: the margin of joining, and some time to dial.
const SETTLED: Duration = Duration::from_secs(8);
/// An end so soon after another socket opened may be because of it.
const BECAUSE: Duration = Duration::from_secs(3);

impl Direct {
    /// Nothing is open. `wanted` sockets live side by side, successors aside.
    #[must_use]
    pub fn new(wanted: u8, timings: DirectTimings, now: Mono) -> Self {
        Self {
            timings,
            wanted: usize::from(wanted.max(1)),
            sockets: BTreeMap::new(),
            lives: VecDeque::new(),
            backoff: Backoff::new(timings.backoff_cap),
            not_before: now,
            last_dial: None,
            room: None,
            refused: (0, 0),
            evicted: 0,
            stopping: false,
        }
    }

    /// How long a socket is expected to live: as three of four of the last ones did at least. Until a few
    /// were seen, no less than a little less than what was configured.
    #[must_use]
    pub fn expected(&self) -> Duration {
        let mut lives: Vec<Duration> = self.lives.iter().copied().collect();
        lives.sort_unstable();
        let life = lives.get(lives.len() / 4).copied().unwrap_or_default();
        // one that was closed early does not tell how long the others will live
        let least = if lives.len() < FEW { self.timings.lifetime * 4 / 5 } else { Duration::ZERO };
        life.max(least)
    }

    /// How many sockets the platform lets be open, where it was seen to refuse more.
    #[must_use]
    pub fn room(&self) -> Option<usize> {
        self.room.map(|(room, _)| room)
    }

    /// Nothing is dialled any more.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// The socket in this place opened.
    pub fn opened(&mut self, place: u8, now: Mono) {
        if let Some(socket) = self.sockets.get_mut(&place) {
            socket.open = Some(now);
        }
        if self.open() > self.refused.0 {
            self.refused = (0, 0);
        }
    }

    /// A dial was refused, or did not reach anybody. `about_us` says that the platform answered and did
    /// not mean the token: beside open sockets it may be one too many.
    pub fn refused(&mut self, place: u8, about_us: bool, now: Mono, dice: &mut Dice) {
        self.sockets.remove(&place);
        let open = self.open();
        if about_us && open > 0 {
            let before = if self.refused.0 == open { self.refused.1 } else { 0 };
            self.refused = (open, before + 1);
            if before > 0 {
                self.room = Some((open, now + LEARNED));
            }
        }
        // the immediate try is for connections that were of use
        if self.backoff.attempt() == 0 {
            self.backoff.next(dice);
        }
        self.not_before = now + self.backoff.next(dice).max(Duration::from_millis(500));
    }

    /// The socket in this place ended. Returns how long it lived.
    pub fn ended(&mut self, place: u8, reason: EndReason, now: Mono, dice: &mut Dice) -> Duration {
        let Some(Socket { open: Some(since), closing }) = self.sockets.remove(&place) else {
            self.not_before = now + self.backoff.next(dice);
            return Duration::ZERO;
        };
        let life = now.since(since);
        let useful = life >= self.timings.lifetime.min(self.expected()) / 2;
        // some platforms close the older socket when a newer one opens
        let because =
            self.sockets.values().any(|s| s.open.is_some_and(|at| now.since(at) <= BECAUSE));
        if closing || useful {
            self.backoff.reset();
            self.evicted = 0;
        } else if because {
            self.evicted += 1;
            if self.evicted >= 2 {
                self.room = Some((self.open(), now + LEARNED));
            }
        }
        if !closing && !because && is_natural(reason) && life >= SHORTEST {
            self.learn(life);
        }
        if because && useful {
            self.forget_shortest(); // it would have lived longer yet
        }
        self.not_before = self.not_before.max(now + self.backoff.next(dice));
        life
    }

    /// The next thing to do; call until `None`.
    pub fn poll(&mut self, now: Mono) -> Option<Action> {
        if self.room.is_some_and(|(_, until)| until <= now) {
            self.room = None;
        }
        if self.dial_at(now)? > now {
            return None;
        }
        if !self.is_full() {
            let place = (0..=u8::MAX).find(|place| !self.sockets.contains_key(place))?;
            self.sockets.insert(place, Socket { open: None, closing: false });
            self.last_dial = Some(now);
            return Some(Action::Dial(place));
        }
        let (since, place) = self.replaceable().filter(|(at, _)| *at <= now)?.1;
        self.sockets.get_mut(&place)?.closing = true;
        let life = now.since(since);
        if life > self.expected() {
            self.learn(life); // it would have lived longer yet
        }
        Some(Action::Close(place))
    }

    /// When [`Self::poll`] may have something.
    #[must_use]
    pub fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        let at = self.dial_at(now)?;
        if !self.is_full() || at > now {
            return Some(at);
        }
        // room that was learned of is believed for a while
        self.replaceable().map(|(at, _)| at).or(self.room.map(|(_, until)| until))
    }

    /// So long before its expected end a socket is succeeded.
    fn lead(&self) -> Duration {
        (self.expected() / 6).clamp(SETTLED, LEAD).min(self.expected() / 2)
    }

    fn open(&self) -> usize {
        self.sockets.values().filter(|socket| socket.open.is_some()).count()
    }

    fn is_full(&self) -> bool {
        let room = self.room.map_or(usize::MAX, |(room, _)| room);
        self.sockets.len() >= room.min(2 * self.wanted)
    }

    /// When a socket that opened then is to be succeeded.
    fn due(&self, opened: Mono) -> Mono {
        opened + self.expected().saturating_sub(self.lead())
    }

    /// When the next dial is due, whether or not there is room.
    fn dial_at(&self, now: Mono) -> Option<Mono> {
        if self.stopping {
            return None;
        }
        // those that need no successor yet, by when they will
        let mut good: Vec<Option<Mono>> = self
            .sockets
            .values()
            .filter(|socket| !socket.closing)
            .map(|socket| socket.open.map(|opened| self.due(opened)))
            .filter(|due| due.is_none_or(|due| due > now))
            .collect();
        good.sort_unstable();
        let at = match (good.len() < self.wanted, good.first()) {
            (true, None) => now,
            // side by side they are dialled apart, so that they do not end together
            (true, Some(_)) => self.last_dial.map_or(now, |at| at + self.apart()),
            // one that is being dialled has no end yet
            (false, first) => (*first?)?,
        };
        Some(at.max(self.not_before))
    }

    fn apart(&self) -> Duration {
        self.expected() / u32::try_from(2 * self.wanted).unwrap_or(2)
    }

    /// The oldest socket, since when it is open, and when it may be closed: it is due, and a younger one
    /// has settled.
    fn replaceable(&self) -> Option<(Mono, (Mono, u8))> {
        if self.sockets.values().any(|socket| socket.closing) {
            return None;
        }
        let open = || self.sockets.iter().filter_map(|(place, s)| s.open.map(|at| (at, *place)));
        let oldest = open().min()?;
        let settled = open().filter(|other| *other > oldest).map(|(at, _)| at + SETTLED).min()?;
        Some((settled.max(self.due(oldest.0)), oldest))
    }

    fn learn(&mut self, life: Duration) {
        self.lives.push_back(life);
        if self.lives.len() > LIVES {
            self.lives.pop_front();
        }
    }

    fn forget_shortest(&mut self) {
        let lives = self.lives.iter().enumerate();
        if let Some((at, _)) = lives.min_by_key(|(_, life)| **life) {
            self.lives.remove(at);
        }
    }
}

/// Whether the end says how long the platform lets a socket live.
fn is_natural(reason: EndReason) -> bool {
    match reason {
        EndReason::Close1000 | EndReason::Close1001 | EndReason::CloseOther | EndReason::Expiry => {
            true
        }
        EndReason::Reset
        | EndReason::HalfOpen
        | EndReason::ClosingNotice
        | EndReason::Kicked
        | EndReason::Token
        | EndReason::Rotation => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    fn at(secs: u64) -> Mono {
        Mono(0) + SEC * u32::try_from(secs).unwrap()
    }

    fn rules(wanted: u8) -> Direct {
        let timings = DirectTimings { lifetime: 60 * SEC, backoff_cap: 30 * SEC };
        Direct::new(wanted, timings, at(0))
    }

    /// A platform: how many sockets it lets be open, whether a new one costs an old one, and how long
    /// they live.
    struct Platform {
        most: usize,
        evicts: bool,
        life: fn(u64) -> u64,
    }

    #[derive(Debug, Default)]
    struct Seen {
        dials: usize,
        refused: usize,
        /// Seconds without an open socket, from the first one on.
        deaf: u64,
        /// Most sockets at once.
        peak: usize,
    }

    /// Second by second; a dial takes one.
    fn live(direct: &mut Direct, platform: &Platform, secs: u64) -> Seen {
        let (mut seen, mut dice) = (Seen::default(), Dice::new(1));
        let mut open: BTreeMap<u8, u64> = BTreeMap::new();
        let (mut dialling, mut closing) = (Vec::new(), Vec::new());
        for second in 0..secs {
            let now = at(second);
            for place in std::mem::take(&mut closing) {
                open.remove(&place);
                direct.ended(place, EndReason::Rotation, now, &mut dice);
            }
            for (place, _) in open.extract_if(.., |_, ends| *ends <= second).collect::<Vec<_>>() {
                direct.ended(place, EndReason::Close1001, now, &mut dice);
            }
            for place in std::mem::take(&mut dialling) {
                if open.len() >= platform.most && !platform.evicts {
                    seen.refused += 1;
                    direct.refused(place, true, now, &mut dice);
                    continue;
                }
                direct.opened(place, now);
                if open.len() >= platform.most {
                    let (place, _) = open.pop_first().unwrap();
                    direct.ended(place, EndReason::Close1000, now, &mut dice);
                }
                open.insert(place, second + (platform.life)(second));
            }
            while let Some(action) = direct.poll(now) {
                match action {
                    Action::Dial(place) => {
                        seen.dials += 1;
                        dialling.push(place);
                    }
                    Action::Close(place) => closing.push(place),
                }
            }
            let next = direct.poll_timeout(now);
            assert!(next.is_none_or(|next| next > now), "{next:?} at {now:?}: {direct:?}");
            seen.peak = seen.peak.max(open.len());
            seen.deaf += u64::from(open.is_empty() && second > 1);
        }
        seen
    }

    /// Between 55 and 65 seconds.
    fn a_minute(second: u64) -> u64 {
        55 + second * 7_919 % 11
    }

    #[test]
    fn a_socket_that_is_closed_every_minute_is_succeeded_before_it_is() {
        let platform = Platform { most: 2, evicts: false, life: a_minute };
        let seen = live(&mut rules(1), &platform, 86_400);
        assert_eq!((seen.deaf, seen.refused, seen.peak), (0, 0, 2), "{seen:?}");
        assert!(seen.dials < 86_400 / 45, "{seen:?}");
    }

    #[test]
    fn where_there_is_room_for_one_the_next_is_dialled_when_it_ends() {
        let mut direct = rules(1);
        let platform = Platform { most: 1, evicts: false, life: a_minute };
        let seen = live(&mut direct, &platform, 3_500);
        assert_eq!((direct.room(), seen.refused), (Some(1), 2), "{seen:?}");
        assert!(seen.deaf <= seen.dials as u64 * 2, "a dial each: {seen:?}");
    }

    #[test]
    fn where_a_new_socket_costs_the_old_one_lives_are_not_learned_from_it() {
        let mut direct = rules(1);
        let seen = live(&mut direct, &Platform { most: 1, evicts: true, life: a_minute }, 86_400);
        assert_eq!((seen.deaf, direct.expected()), (0, 48 * SEC), "{seen:?}");
        assert!(seen.dials < 86_400 / 38, "{seen:?}");
        let mut direct = rules(2);
        let seen = live(&mut direct, &Platform { most: 1, evicts: true, life: a_minute }, 3_500);
        assert_eq!(direct.room(), Some(1), "two would take turns: {seen:?}");
        assert!(seen.dials < 3_500 / 30, "{seen:?}");
    }

    #[test]
    fn two_sockets_side_by_side_do_not_end_together() {
        for most in [2, 4] {
            let platform = Platform { most, evicts: false, life: a_minute };
            let seen = live(&mut rules(2), &platform, 86_400);
            assert_eq!((seen.deaf, seen.peak.max(2)), (0, most), "{seen:?}");
            assert!(seen.refused <= 48, "tried once an hour: {seen:?}");
        }
    }

    #[test]
    fn a_platform_that_lets_sockets_live_is_not_dialled_every_minute_for_ever() {
        let platform = Platform { most: 2, evicts: false, life: |_| 100_000 };
        let mut direct = rules(1);
        let seen = live(&mut direct, &platform, 86_400);
        assert!(seen.dials < 60, "{seen:?}");
        assert_eq!(seen.deaf, 0);
        assert!(direct.expected() > 3_600 * SEC);
    }

    #[test]
    fn one_early_close_does_not_make_every_life_short() {
        let (mut direct, mut dice) = (rules(1), Dice::new(2));
        for (place, life) in [(0, 60), (1, 61), (0, 7), (1, 59)] {
            direct.not_before = at(0);
            direct.sockets.insert(place, Socket { open: Some(at(0)), closing: false });
            direct.ended(place, EndReason::Close1001, at(life), &mut dice);
        }
        assert_eq!(direct.expected(), 59 * SEC);
    }

    #[test]
    fn early_closes_do_not_make_a_platform_that_evicts_be_dialled_every_few_seconds_for_ever() {
        for early in [1, 5] {
            let (mut direct, mut dice) = (rules(1), Dice::new(4));
            for _ in 0..early {
                direct.not_before = at(0);
                direct.sockets.insert(0, Socket { open: Some(at(0)), closing: false });
                direct.ended(0, EndReason::Close1001, at(8), &mut dice);
            }
            let platform = Platform { most: 1, evicts: true, life: |_| 100_000 };
            let seen = live(&mut direct, &platform, 3_500);
            assert!(seen.dials < 3_500 / 38 + 15, "{early} early: {seen:?}");
            assert_eq!(direct.expected(), 48 * SEC);
        }
    }

    #[test]
    fn a_platform_that_refuses_is_dialled_ever_more_slowly_and_a_stop_ends_that() {
        let (mut direct, mut dice, mut dials) = (rules(1), Dice::new(3), 0);
        for second in 0..600 {
            while let Some(Action::Dial(place)) = direct.poll(at(second)) {
                dials += 1;
                direct.refused(place, true, at(second), &mut dice);
            }
        }
        assert!((20..80).contains(&dials), "{dials}");
        assert_eq!(direct.room(), None, "it was alone");
        direct.stop();
        assert_eq!((direct.poll(at(10_000)), direct.poll_timeout(at(10_000))), (None, None));
    }
}
