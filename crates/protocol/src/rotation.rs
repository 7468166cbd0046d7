//! One leg of a shard: its channel, and the successor that is live before the old one goes.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::channel::{self, Action as ChannelAction, Channel};
use crate::domain::{Dice, EndReason, Mono};
use crate::envelope::SystemNotice;
use crate::timings::Timings;

/// Names a channel within its leg: answers of an old one never reach a new one.
pub type Life = u64;

/// What the driver should do, for which channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The channel it is about.
    pub life: Life,
    /// What to do or tell.
    pub what: ChannelAction,
}

/// Make before break.
///
/// ```text
/// Single(current) ── due, or socket_closing ──► Successor(current, next)
///      ▲                                              │ next is live
///      └── overlap passed: close current ◄── Overlap ◄┘
/// ```
#[derive(Debug)]
pub struct Leg {
    timings: Timings,
    ordinal: u8,
    current: Slot,
    next: Option<Slot>,
    /// Old channels while they drain.
    leaving: Vec<Slot>,
    rotate_at: Option<Mono>,
    forced: Option<EndReason>,
    retire_at: Option<Mono>,
    /// When a successor became live whose old channel is still there.
    succeeded_at: Option<Mono>,
    sibling_live: bool,
    first_life: bool,
    lives: Life,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
struct Slot {
    life: Life,
    channel: Channel,
}

impl Leg {
    /// A leg whose first channel is due at once. `ordinal` is its place within the shard.
    #[must_use]
    pub fn new(timings: Timings, ordinal: u8, wanted: BTreeSet<String>, now: Mono) -> Self {
        let channel = Channel::new(timings.clone(), wanted, now);
        let mut leg = Self {
            timings,
            ordinal,
            current: Slot { life: 1, channel },
            next: None,
            leaving: Vec::new(),
            rotate_at: None,
            forced: None,
            retire_at: None,
            succeeded_at: None,
            sibling_live: true,
            first_life: true,
            lives: 1,
            actions: VecDeque::new(),
        };
        leg.current.channel.handle_timeout(now);
        leg.collect();
        leg
    }

    /// Tells the machine what happened to the channel `life`.
    pub fn handle(&mut self, life: Life, input: channel::Input, now: Mono, dice: &mut Dice) {
        let created = matches!(input, channel::Input::Created(_));
        let closing = matches!(input, channel::Input::Notice(SystemNotice::SocketClosing));
        let Some(channel) = self.channel_mut(life) else {
            return;
        };
        let was_live = channel.is_live();
        channel.handle(input, now, dice);
        let went_live = channel.is_live() && !was_live;
        if created && life == self.current.life {
            self.plan_rotation(now, dice);
        }
        if closing && life == self.current.life {
            self.forced = Some(EndReason::ClosingNotice);
            self.succeed(now);
        }
        if went_live && self.next.as_ref().is_some_and(|next| next.life == life) {
            self.retire_at = Some(now + self.timings.overlap);
            self.succeeded_at = Some(now);
        }
        self.promote_if_current_is_down();
        self.collect();
    }

    /// The list of wanted topics changed.
    pub fn want(&mut self, wanted: &BTreeSet<String>) {
        self.current.channel.want(wanted.clone());
        if let Some(next) = &mut self.next {
            next.channel.want(wanted.clone());
        }
        self.collect();
    }

    /// The channel `life` does not hear what it should: a successor takes its place.
    pub fn suspect(&mut self, life: Life, now: Mono) {
        if life == self.current.life {
            self.forced = Some(EndReason::Rotation);
            self.succeed(now);
            self.collect();
        }
    }

    /// The operator wants the planned rotation now; it still waits for a live sibling. One that is under
    /// way, or a channel that is not made yet, is left alone.
    pub fn rotate(&mut self, now: Mono) {
        if self.next.is_none() && self.rotate_at.is_some() {
            self.rotate_at = Some(now);
            self.handle_timeout(now);
        }
    }

    /// Other legs wait until this one has changed over: the old channel goes as soon as coverage of the new
    /// one has begun and both were compared.
    pub fn hurry(&mut self, now: Mono) {
        let Some(since) = self.succeeded_at.filter(|_| self.retire_at.is_some()) else { return };
        let soon = since + self.timings.join_margin + self.timings.splice;
        self.retire_at = self.retire_at.map(|at| at.min(soon));
        self.handle_timeout(now);
    }

    /// Whether it has a successor, or an old channel that is still open.
    #[must_use]
    pub fn is_changing_over(&self) -> bool {
        self.next.is_some() || !self.leaving.is_empty()
    }

    /// Whether another leg of the shard is live, if there is one: planned rotations wait for it.
    pub fn sibling(&mut self, live: bool) {
        self.sibling_live = live;
    }

    /// Ends everything: the operator stops the service.
    pub fn stop(&mut self) {
        for slot in self.slots_mut() {
            slot.channel.retire(EndReason::Rotation);
        }
        self.rotate_at = None;
        (self.retire_at, self.succeeded_at) = (None, None);
        self.collect();
    }

    /// The next thing to do; call until `None`.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let own = self.slots().filter_map(|slot| slot.channel.poll_timeout());
        own.chain(self.rotate_at).chain(self.retire_at).min()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Mono) {
        for slot in self.slots_mut() {
            slot.channel.handle_timeout(now);
        }
        if self.rotate_at.is_some_and(|at| at <= now) {
            self.rotate_at = None;
            if self.sibling_live {
                self.succeed(now);
            } else {
                self.rotate_at = Some(now + WAIT_FOR_SIBLING);
            }
        }
        if self.retire_at.is_some_and(|at| at <= now) {
            self.hand_over();
        }
        self.collect();
    }

    /// The channel that carries the leg: the current one, or its successor while it is down.
    #[must_use]
    pub fn carrier(&self) -> &Channel {
        match &self.next {
            Some(next) if next.channel.is_live() && !self.current.channel.is_live() => {
                &next.channel
            }
            Some(_) | None => &self.current.channel,
        }
    }

    /// Whether any of its channels is live.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.current.channel.is_live()
            || self.next.as_ref().is_some_and(|next| next.channel.is_live())
    }

    /// The channel `life`, for the data its steps need.
    #[must_use]
    pub fn channel(&self, life: Life) -> Option<&Channel> {
        self.slots().find(|slot| slot.life == life).map(|slot| &slot.channel)
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.leaving.iter().chain([&self.current]).chain(&self.next)
    }

    fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.leaving.iter_mut().chain([&mut self.current]).chain(&mut self.next)
    }

    fn channel_mut(&mut self, life: Life) -> Option<&mut Channel> {
        self.slots_mut().find(|slot| slot.life == life).map(|slot| &mut slot.channel)
    }

    fn plan_rotation(&mut self, now: Mono, dice: &mut Dice) {
        let Some(info) = self.current.channel.info() else {
            return;
        };
        let (low, high) = self.timings.rotation_lead;
        let life = info.expires.since(now);
        let until = life.saturating_sub(dice.between(low, high));
        // odd ordinals make their first life half as long, so that siblings rotate apart
        let half = self.first_life && self.ordinal % 2 == 1;
        self.first_life = false;
        self.rotate_at = Some(now + if half { until / 2 } else { until });
    }

    fn succeed(&mut self, now: Mono) {
        if self.next.is_some() {
            return;
        }
        self.lives += 1;
        let wanted = self.current.channel.wanted().clone();
        let mut channel = Channel::new(self.timings.clone(), wanted, now);
        if self.forced == Some(EndReason::ClosingNotice) {
            channel.hurry();
        }
        channel.handle_timeout(now);
        self.next = Some(Slot { life: self.lives, channel });
    }

    /// A successor takes over at once when the old channel is down: a living one always, one under
    /// way when the platform announced that the old one goes.
    fn promote_if_current_is_down(&mut self) {
        let ready =
            self.next.as_ref().is_some_and(|next| next.channel.is_live() || self.forced.is_some());
        if ready && !self.current.channel.is_connected() {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        (self.retire_at, self.succeeded_at) = (None, None);
        let Some(next) = self.next.take() else { return };
        let mut old = std::mem::replace(&mut self.current, next);
        old.channel.retire(self.forced.take().unwrap_or(EndReason::Rotation));
        self.leaving.push(old);
        if let Some(info) = self.current.channel.info() {
            // the first channel's dice keep the legs apart; the mean lead serves from then on
            let lead = (self.timings.rotation_lead.0 + self.timings.rotation_lead.1) / 2;
            self.rotate_at = Some(info.expires - lead);
        }
    }

    fn collect(&mut self) {
        let slots = self.leaving.iter_mut().chain([&mut self.current]).chain(&mut self.next);
        for slot in slots {
            while let Some(what) = slot.channel.poll() {
                self.actions.push_back(Action { life: slot.life, what });
            }
        }
        self.leaving.retain(|slot| !slot.channel.is_retired());
    }
}

/// A planned rotation looks again this often while its sibling is down.
const WAIT_FOR_SIBLING: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ChannelInfo, Step};

    fn at(secs: u64) -> Mono {
        Mono(0) + Duration::from_secs(secs)
    }

    const DAY: u64 = 86_400;

    struct Bench {
        leg: Leg,
        dice: Dice,
        told: Vec<Action>,
    }

    impl Bench {
        fn new(ordinal: u8) -> Self {
            let leg = Leg::new(Timings::default(), ordinal, BTreeSet::new(), at(0));
            Self { leg, dice: Dice::new(7), told: Vec::new() }
        }

        /// Answers every request of every channel until nothing is left to do.
        fn settle(&mut self, secs: u64) {
            while let Some(action) = self.leg.poll() {
                let answer = match &action.what {
                    ChannelAction::Call(Step::Count) => Some(channel::Input::Counted(2)),
                    ChannelAction::Call(Step::Create) => {
                        let (id, uri) = ("i".to_owned(), "u".to_owned());
                        Some(channel::Input::Created(ChannelInfo {
                            id,
                            uri,
                            expires: at(secs + DAY),
                        }))
                    }
                    ChannelAction::Call(Step::Subscribe) => {
                        Some(channel::Input::Subscribed(vec![]))
                    }
                    ChannelAction::Call(Step::Verify) => {
                        Some(channel::Input::Listed(BTreeSet::new()))
                    }
                    ChannelAction::Call(Step::Dial) => Some(channel::Input::Opened),
                    ChannelAction::Close(reason) => Some(channel::Input::Ended(*reason)),
                    ChannelAction::NowLive | ChannelAction::Down(_) => None,
                    ChannelAction::Topics(_)
                    | ChannelAction::Covered(_)
                    | ChannelAction::Crowded(_) => None,
                };
                let dialled = matches!(action.what, ChannelAction::Call(Step::Dial));
                let life = action.life;
                self.told.push(action);
                if let Some(answer) = answer {
                    self.leg.handle(life, answer, at(secs), &mut self.dice);
                }
                if dialled {
                    self.leg.handle(life, channel::Input::Live, at(secs), &mut self.dice);
                }
            }
        }

        fn downs(&self) -> Vec<(Life, EndReason)> {
            let down = |action: &Action| {
                let ChannelAction::Down(reason) = action.what else {
                    return None;
                };
                Some((action.life, reason))
            };
            self.told.iter().filter_map(down).collect()
        }
    }

    #[test]
    fn the_successor_is_live_an_overlap_before_the_old_channel_goes() {
        let mut bench = Bench::new(0);
        bench.settle(0);
        let due = bench.leg.poll_timeout().expect("a rotation is planned");
        assert!((at(21 * 3600)..=at(23 * 3600)).contains(&due), "{due:?}");
        bench.leg.handle_timeout(at(23 * 3600));
        bench.settle(23 * 3600);
        assert!(bench.downs().is_empty(), "both are connected");
        bench.leg.handle_timeout(at(23 * 3600 + 60));
        bench.settle(23 * 3600 + 60);
        assert_eq!(bench.downs(), [(1, EndReason::Rotation)]);
        assert!(bench.leg.is_live());
        assert!(bench.leg.poll_timeout().expect("the next one") > at(40 * 3600));
    }

    #[test]
    fn an_ordered_rotation_makes_before_it_breaks_once_and_waits_for_the_sibling() {
        let mut bench = Bench::new(0);
        bench.leg.rotate(at(0));
        bench.settle(0);
        assert_eq!(bench.leg.lives, 1, "there was nothing to rotate yet");
        bench.leg.sibling(false);
        bench.leg.rotate(at(10));
        bench.settle(10);
        assert_eq!(bench.leg.lives, 1);
        bench.leg.sibling(true);
        bench.leg.handle_timeout(at(15));
        bench.leg.rotate(at(16));
        bench.settle(16);
        assert_eq!((bench.leg.lives, bench.downs()), (2, vec![]), "one successor, both connected");
        bench.leg.handle_timeout(at(76));
        bench.settle(76);
        assert_eq!(bench.downs(), [(1, EndReason::Rotation)]);
        assert!(bench.leg.is_live());
    }

    #[test]
    fn where_others_wait_the_old_channel_goes_as_soon_as_the_new_one_covers() {
        let mut bench = Bench::new(0);
        bench.settle(0);
        let closing = channel::Input::Notice(SystemNotice::SocketClosing);
        bench.leg.handle(1, closing, at(100), &mut bench.dice);
        bench.leg.hurry(at(100));
        assert!(bench.leg.is_changing_over(), "nothing is left before there is a successor");
        bench.settle(101);
        bench.leg.hurry(at(102));
        bench.settle(102);
        assert_eq!(bench.downs(), [], "its coverage begins five seconds after it opened");
        assert_eq!(bench.leg.poll_timeout(), Some(at(108)));
        bench.leg.handle_timeout(at(108));
        bench.settle(108);
        assert_eq!(bench.downs(), [(1, EndReason::ClosingNotice)]);
        assert!(bench.leg.is_live() && !bench.leg.is_changing_over());
    }

    #[test]
    fn siblings_rotate_at_least_six_hours_apart() {
        let due = |ordinal| {
            let mut bench = Bench::new(ordinal);
            bench.settle(0);
            bench.leg.poll_timeout().expect("planned")
        };
        assert!(due(0).since(due(1)) >= Duration::from_secs(6 * 3600));
    }

    #[test]
    fn a_planned_rotation_waits_for_the_sibling_and_a_forced_one_does_not() {
        let mut bench = Bench::new(0);
        bench.settle(0);
        bench.leg.sibling(false);
        bench.leg.handle_timeout(at(23 * 3600));
        bench.settle(23 * 3600);
        assert_eq!(bench.leg.lives, 1);
        let closing = channel::Input::Notice(SystemNotice::SocketClosing);
        bench.leg.handle(1, closing, at(23 * 3600 + 1), &mut bench.dice);
        bench.settle(23 * 3600 + 1);
        assert_eq!(bench.leg.lives, 2);
        bench.leg.handle_timeout(at(23 * 3600 + 61));
        bench.settle(23 * 3600 + 61);
        assert_eq!(bench.downs(), [(1, EndReason::ClosingNotice)]);
    }

    #[test]
    fn a_living_successor_takes_over_at_once_when_the_old_channel_breaks() {
        let mut bench = Bench::new(0);
        bench.settle(0);
        bench.leg.handle_timeout(at(23 * 3600));
        bench.settle(23 * 3600);
        let broken = channel::Input::Ended(EndReason::Reset);
        bench.leg.handle(1, broken, at(23 * 3600 + 5), &mut bench.dice);
        bench.settle(23 * 3600 + 5);
        assert_eq!(bench.downs(), [(1, EndReason::Reset)]);
        assert!(bench.leg.is_live() && bench.leg.channel(1).is_none());
    }

    #[test]
    fn a_stop_closes_what_is_open_and_nothing_comes_after_it() {
        let mut bench = Bench::new(0);
        bench.settle(0);
        bench.leg.stop();
        bench.settle(1);
        assert_eq!(bench.downs(), [(1, EndReason::Rotation)]);
        assert!(!bench.leg.is_live() && bench.leg.poll_timeout().is_none());
    }

    #[test]
    fn a_socket_that_opens_after_its_channel_was_left_is_closed() {
        let mut bench = Bench::new(0);
        bench.settle(0);
        bench.leg.handle_timeout(at(23 * 3600));
        bench.settle(23 * 3600);
        let broken = channel::Input::Ended(EndReason::Reset);
        bench.leg.handle(2, broken, at(23 * 3600 + 1), &mut bench.dice);
        let listed = channel::Input::Listed(BTreeSet::new());
        bench.leg.handle(2, listed, at(23 * 3600 + 2), &mut bench.dice);
        bench.leg.stop();
        bench.leg.handle(2, channel::Input::Opened, at(23 * 3600 + 3), &mut bench.dice);
        bench.settle(23 * 3600 + 3);
        let down = |life| (life, EndReason::Rotation);
        assert_eq!(bench.downs(), [(2, EndReason::Reset), down(1), down(2)]);
    }
}
