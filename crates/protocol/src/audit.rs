//! A heartbeat is no proof of completeness: a channel may answer every ping and hear nothing. What
//! one socket of a shard hears, in this process or in another one, the others have to hear shortly
//! after. Where all may be deaf, only an organisation that is never quiet for long tells: the canary.
//!
//! ```text
//! A   ─e─e──e─e───e──e─e──e──►
//! B   ─e─e────────────────────►   suspected 30 s after the first event that only A heard;
//!        └ doubted from here on     its successor takes its place
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{EpochId, EventId, Interval, Leg, Mono, Now, Wall};

/// What raised a suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A sibling, or another process, heard what the socket did not.
    CrossChannel,
    /// The socket heard nothing for longer than the organisation is ever quiet.
    Canary,
}

impl Check {
    /// The word for it in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CrossChannel => "cross_channel",
            Self::Canary => "canary",
        }
    }
}

/// A socket that did not hear what it should have heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// How it was found out.
    pub check: Check,
    /// Its coverage.
    pub epoch: EpochId,
    /// Where it serves.
    pub leg: Leg,
    /// When the ping was sent that was answered before its last event: it heard until then, and from
    /// there on its coverage cannot be believed.
    pub since: Wall,
}

/// A socket was not read for long: what was fanned out in the interval may have been read as late as
/// its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// Whose socket.
    pub shard: u16,
    /// From the barrier before.
    pub interval: Interval,
}

/// What is known of one socket.
#[derive(Clone, Copy, Debug)]
struct Ear {
    leg: Leg,
    /// Nothing has to be heard before this.
    settled: Mono,
    /// When it opened.
    opened: Wall,
    /// When the newest ping that was answered was sent; when it opened before the first.
    barrier: Wall,
    /// The barrier before its last event: the event was fanned out later than that.
    last: Wall,
    /// When a sibling heard the first event after the last one of this socket.
    missed: Option<Mono>,
    /// Since when it is quiet: its last event, or the end of what kept it from hearing one.
    quiet: Mono,
    /// What it heard last.
    heard: [EventId; REMEMBERED],
    next: usize,
    suspected: bool,
}

/// Events that are remembered of each socket, to know whether it is behind another one. Copies come in
/// the order of fan-out, so the last one of a burst tells.
const REMEMBERED: usize = 16;

/// Watches the sockets of every shard.
#[derive(Clone, Debug)]
pub struct Silence {
    patience: Duration,
    margin: Duration,
    late_after: Duration,
    canary: Option<Duration>,
    ears: BTreeMap<EpochId, Ear>,
    /// How often a leg was suspected without having heard anything since.
    strikes: BTreeMap<Leg, u32>,
}

/// What another process heard counts for so many times the patience.
const RECENT: u32 = 4;

/// A leg that is suspected again and again, e.g. since it may not hear a topic that its sibling
/// hears, is given twice the time each time, up to this factor.
const STRIKES: u32 = 7;

impl Silence {
    /// Suspects after `patience`; `margin` is how long after opening nothing has to be heard, and
    /// what is read `late_after` the last barrier is late.
    #[must_use]
    pub fn new(patience: Duration, margin: Duration, late_after: Duration) -> Self {
        let (ears, strikes) = (BTreeMap::new(), BTreeMap::new());
        Self { patience, margin, late_after, canary: None, ears, strikes }
    }

    /// No shard is ever quiet for so long: a socket that is has to be suspected, whatever its siblings hear.
    #[must_use]
    pub fn with_canary(mut self, canary: Option<Duration>) -> Self {
        self.canary = canary;
        self
    }

    /// A socket opened.
    pub fn opened(&mut self, epoch: EpochId, leg: Leg, now: Now) {
        let ear = Ear {
            leg,
            settled: now.mono + self.margin,
            opened: now.wall,
            barrier: now.wall,
            last: now.wall,
            missed: None,
            quiet: now.mono + self.margin,
            heard: [EventId([0; 16]); REMEMBERED],
            next: 0,
            suspected: false,
        };
        self.ears.insert(epoch, ear);
    }

    /// The end of a socket was read now.
    pub fn ended(&mut self, epoch: EpochId, read: Wall) -> Option<Late> {
        let ear = self.ears.remove(&epoch)?;
        self.late(ear.leg.shard, ear.barrier, read)
    }

    /// A ping that was sent then was answered behind everything heard so far, and the answer read
    /// now.
    pub fn pong(&mut self, epoch: EpochId, sent: Wall, read: Wall) -> Option<Late> {
        let ear = self.ears.get_mut(&epoch)?;
        let (shard, before) = (ear.leg.shard, std::mem::replace(&mut ear.barrier, sent));
        self.late(shard, before, read)
    }

    fn late(&self, shard: u16, barrier: Wall, read: Wall) -> Option<Late> {
        let late = barrier.plus(self.late_after) < read;
        late.then(|| Late { shard, interval: Interval::new(barrier, read) })
    }

    /// A socket heard an event. Others that heard it before are not behind.
    pub fn heard(&mut self, epoch: EpochId, id: EventId, now: Mono) {
        let Some(own) = self.ears.get_mut(&epoch) else { return };
        (own.last, own.missed, own.quiet) = (own.barrier, None, now);
        own.heard[own.next] = id;
        own.next = (own.next + 1) % REMEMBERED;
        let leg = own.leg;
        if !self.strikes.is_empty() && !own.suspected {
            self.strikes.remove(&leg);
        }
        for (other, ear) in &mut self.ears {
            if *other == epoch || ear.leg.shard != leg.shard {
                continue;
            }
            if ear.heard.contains(&id) {
                ear.missed = None;
            } else if ear.settled <= now {
                ear.missed.get_or_insert(now);
            }
        }
    }

    /// Another process heard an event of the shard then, and nobody here did. What comes long after
    /// it was heard says nothing: it may be forgotten here.
    pub fn elsewhere(&mut self, shard: u16, id: EventId, received: Wall, now: Now) {
        if received.plus(self.patience * RECENT) < now.wall {
            return;
        }
        for ear in self.ears.values_mut().filter(|ear| ear.leg.shard == shard) {
            let had_settled = ear.opened.plus(self.margin) <= received;
            if had_settled && !ear.heard.contains(&id) {
                ear.missed.get_or_insert(now.mono);
            }
        }
    }

    /// Nothing is taken from the sockets now, so nothing that was not heard counts.
    pub fn pause(&mut self, now: Mono) {
        for ear in self.ears.values_mut() {
            (ear.missed, ear.quiet) = (None, ear.quiet.max(now));
        }
    }

    /// When [`Self::handle_timeout`] may have something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.ears.values().filter_map(|ear| self.due(ear)).map(|(due, _)| due).min()
    }

    /// The next socket that has to be suspected; call until `None`.
    pub fn handle_timeout(&mut self, now: Mono) -> Option<Suspect> {
        let found = self.ears.iter().find_map(|(epoch, ear)| {
            let (_, check) = self.due(ear).filter(|(due, _)| *due <= now)?;
            Some(Suspect { check, epoch: *epoch, leg: ear.leg, since: ear.last })
        });
        let suspect = found?;
        *self.strikes.entry(suspect.leg).or_default() += 1;
        if let Some(ear) = self.ears.get_mut(&suspect.epoch) {
            ear.suspected = true;
        }
        Some(suspect)
    }

    fn due(&self, ear: &Ear) -> Option<(Mono, Check)> {
        if ear.suspected {
            return None;
        }
        let strikes = self.strikes.get(&ear.leg).copied().unwrap_or(0).min(STRIKES);
        let times = 2_u32.pow(strikes);
        let missed = ear.missed.map(|at| (at + self.patience * times, Check::CrossChannel));
        let canary = self.canary.map(|canary| (ear.quiet + canary * times, Check::Canary));
        missed.into_iter().chain(canary).min_by_key(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    fn at(secs: u64) -> Now {
        Now {
            mono: Mono(0) + SEC * u32::try_from(secs).unwrap(),
            wall: Wall(i64::try_from(secs).unwrap() * 1_000),
        }
    }

    fn epoch(n: u8) -> EpochId {
        EpochId([n; 16])
    }

    /// Different from all others, unless the number is the same.
    fn event(n: u64) -> EventId {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&n.to_le_bytes());
        EventId(id)
    }

    fn leg(ordinal: u8) -> Leg {
        Leg { shard: 0, ordinal }
    }

    fn pair() -> Silence {
        let mut silence = Silence::new(30 * SEC, 5 * SEC, 60 * SEC);
        silence.opened(epoch(1), leg(0), at(0));
        silence.opened(epoch(2), leg(1), at(0));
        silence
    }

    #[test]
    fn a_socket_is_suspected_half_a_minute_after_the_first_event_that_only_its_sibling_heard() {
        let mut silence = pair();
        silence.heard(epoch(2), event(8), at(8).mono);
        assert_eq!(silence.pong(epoch(1), Wall(9_000), Wall(9_500)), None);
        silence.heard(epoch(1), event(8), at(10).mono);
        assert_eq!(silence.pong(epoch(1), Wall(10_500), Wall(10_600)), None);
        silence.heard(epoch(2), event(11), at(11).mono);
        assert_eq!(silence.poll_timeout(), Some(at(41).mono));
        silence.heard(epoch(2), event(35), at(35).mono);
        assert_eq!(silence.handle_timeout(at(40).mono), None);
        let suspect = Suspect {
            check: Check::CrossChannel,
            epoch: epoch(1),
            leg: leg(0),
            since: Wall(9_000),
        };
        assert_eq!(silence.handle_timeout(at(41).mono), Some(suspect));
        assert_eq!(silence.handle_timeout(at(90).mono), None, "once");
    }

    #[test]
    fn sockets_that_hear_the_same_and_quiet_hours_raise_no_suspicion() {
        let mut silence = pair();
        for second in 10..100 {
            silence.heard(epoch(1), event(second), at(second).mono);
            silence.heard(epoch(2), event(second), at(second).mono);
        }
        assert_eq!(
            silence.poll_timeout(),
            None,
            "nobody is behind; nothing need ever be said again"
        );
    }

    #[test]
    fn a_burst_that_one_hears_after_the_other_leaves_nobody_behind() {
        let mut silence = pair();
        (0..1_000).for_each(|n| silence.heard(epoch(1), event(n), at(10).mono));
        assert_eq!(silence.poll_timeout(), Some(at(40).mono));
        (0..1_000).for_each(|n| silence.heard(epoch(2), event(n), at(11).mono));
        assert_eq!(silence.poll_timeout(), None);
        silence.heard(epoch(2), event(1_000), at(12).mono);
        assert_eq!(silence.poll_timeout(), Some(at(42).mono), "and now the first one is");
    }

    #[test]
    fn a_socket_that_just_opened_and_another_shard_have_to_hear_nothing() {
        let mut silence = pair();
        silence.opened(epoch(3), Leg { shard: 1, ordinal: 0 }, at(0));
        silence.heard(epoch(1), event(4), at(4).mono);
        assert_eq!(silence.poll_timeout(), None);
        assert_eq!(silence.ended(epoch(2), Wall(9_000)), None);
        silence.heard(epoch(1), event(10), at(10).mono);
        assert_eq!(silence.poll_timeout(), None);
    }

    #[test]
    fn while_nothing_is_taken_nobody_is_suspected() {
        let mut silence = pair();
        silence.heard(epoch(2), event(10), at(10).mono);
        silence.pause(at(20).mono);
        assert_eq!(silence.poll_timeout(), None);
        silence.heard(epoch(2), event(80), at(80).mono);
        assert_eq!(silence.poll_timeout(), Some(at(110).mono));
    }

    #[test]
    fn where_nobody_may_be_quiet_for_long_all_are_suspected_and_again_ever_later() {
        let mut silence = pair().with_canary(Some(300 * SEC));
        silence.heard(epoch(1), event(8), at(8).mono);
        silence.heard(epoch(2), event(8), at(9).mono);
        assert_eq!(silence.poll_timeout(), Some(at(308).mono));
        silence.pause(at(20).mono);
        assert_eq!(silence.handle_timeout(at(319).mono), None, "nothing was taken until then");
        let suspects = [(); 3].map(|()| silence.handle_timeout(at(320).mono));
        let seen = suspects.map(|suspect| suspect.map(|s| (s.check, s.epoch)));
        let canary = |n| Some((Check::Canary, epoch(n)));
        assert_eq!(seen, [canary(1), canary(2), None]);
        assert_eq!(silence.ended(epoch(1), Wall(9_000)), None);
        assert_eq!(silence.ended(epoch(2), Wall(9_000)), None);
        silence.opened(epoch(3), leg(0), at(325));
        assert_eq!(
            silence.poll_timeout(),
            Some(at(930).mono),
            "a night costs fewer successors with time"
        );
        silence.heard(epoch(3), event(9), at(900).mono);
        assert_eq!(
            silence.poll_timeout(),
            Some(at(1_200).mono),
            "and a morning makes it watchful again"
        );
    }

    #[test]
    fn a_socket_alone_is_suspected_when_another_process_hears_what_it_does_not() {
        let mut silence = Silence::new(30 * SEC, 5 * SEC, 60 * SEC);
        silence.opened(epoch(1), leg(0), at(0));
        silence.elsewhere(0, event(4), Wall(4_000), at(5));
        silence.elsewhere(1, event(5), Wall(9_000), at(10));
        assert_eq!(silence.poll_timeout(), None, "it had just opened; another shard");
        silence.heard(epoch(1), event(11), at(11).mono);
        silence.elsewhere(0, event(11), Wall(11_000), at(12));
        assert_eq!(silence.poll_timeout(), None, "it heard that");
        silence.elsewhere(0, event(12), Wall(12_000), at(133));
        assert_eq!(silence.poll_timeout(), None, "that was long ago");
        silence.elsewhere(0, event(13), Wall(138_000), at(140));
        assert_eq!(silence.poll_timeout(), Some(at(170).mono));
        silence.heard(epoch(1), event(13), at(141).mono);
        assert_eq!(silence.poll_timeout(), None, "it only came later here");
        silence.elsewhere(0, event(14), Wall(150_000), at(151));
        let suspect =
            Suspect { check: Check::CrossChannel, epoch: epoch(1), leg: leg(0), since: Wall(0) };
        assert_eq!(silence.handle_timeout(at(181).mono), Some(suspect));
    }

    #[test]
    fn what_is_read_long_after_the_barrier_before_it_is_late() {
        let mut silence = pair();
        assert_eq!(silence.pong(epoch(1), Wall(10_000), Wall(10_100)), None);
        let late = |from, to| Late { shard: 0, interval: Interval::new(Wall(from), Wall(to)) };
        assert_eq!(silence.pong(epoch(1), Wall(20_000), Wall(90_000)), Some(late(10_000, 90_000)));
        let next = silence.pong(epoch(1), Wall(90_000), Wall(90_100));
        assert_eq!(next, Some(late(20_000, 90_100)), "before that ping was sent nothing is known");
        assert_eq!(silence.pong(epoch(1), Wall(100_000), Wall(100_100)), None);
        assert_eq!(silence.ended(epoch(1), Wall(170_000)), Some(late(100_000, 170_000)));
    }

    #[test]
    fn a_leg_that_is_suspected_again_is_given_twice_the_time_until_it_hears() {
        let mut silence = pair();
        silence.heard(epoch(2), event(10), at(10).mono);
        assert!(silence.handle_timeout(at(40).mono).is_some());
        assert_eq!(silence.ended(epoch(1), Wall(45_000)), None);
        silence.opened(epoch(4), leg(0), at(50));
        silence.heard(epoch(2), event(60), at(60).mono);
        assert_eq!(silence.poll_timeout(), Some(at(120).mono));
        silence.heard(epoch(4), event(70), at(70).mono);
        silence.heard(epoch(2), event(71), at(71).mono);
        assert_eq!(silence.poll_timeout(), Some(at(101).mono), "it heard, so it is trusted again");
    }
}
