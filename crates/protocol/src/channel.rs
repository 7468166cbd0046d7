//! One hot channel: set up, verified, connected, and connected again while it lives.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use crate::backoff::Backoff;
use crate::domain::{Dice, EndReason, Mono};
use crate::envelope::SystemNotice;
use crate::seeded::{Bug, planted};
use crate::subscriptions::{self, Answered, Refused};
use crate::timings::Timings;

/// Channels used of those an OAuth client may have (I11): the rest is room for dead ones.
pub const CHANNELS_PER_CLIENT: u32 = 16;
/// Channels an OAuth client may have. One more takes another one away: those without a socket first
/// (documented). Dead ones cannot be deleted and count for a day.
pub const CHANNELS_AT_MOST: u32 = 20;

/// What the platform said about a channel it created. The id is a bearer secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Names the channel in requests.
    pub id: String,
    /// Where its socket is opened, as returned.
    pub uri: String,
    /// When it ends.
    pub expires: Mono,
}

impl fmt::Debug for ChannelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelInfo").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What has to be done next for a channel; each is one request or one dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Count the client's channels.
    Count,
    /// Create one.
    Create,
    /// Set the whole list of topics, with `ignoreErrors=true`.
    Subscribe,
    /// Read the list back.
    Verify,
    /// Open the socket.
    Dial,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// So many channels exist under the client.
    Counted(u32),
    /// The channel exists.
    Created(ChannelInfo),
    /// The list was set; the platform says this about each topic.
    Subscribed(Vec<Answered>),
    /// The list as read back.
    Listed(BTreeSet<String>),
    /// The socket is open.
    Opened,
    /// The first proof of life arrived.
    Live,
    /// The platform spoke about the channel.
    Notice(SystemNotice),
    /// The socket ended.
    Ended(EndReason),
    /// The platform does not know the channel any more (401, 403 or 404 for it).
    Gone,
    /// No answer, or one that says nothing about the channel: the same again.
    Failed,
}

/// What the driver should do or tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make this request, or open the socket.
    Call(Step),
    /// Close the socket politely.
    Close(EndReason),
    /// The channel is live.
    NowLive,
    /// The socket ended, for this reason.
    Down(EndReason),
    /// Wanted topics that are not covered; empty when all are.
    Topics(Vec<Refused>),
    /// The topics were changed on the open socket and read back: it covers these from now on.
    Covered(BTreeSet<String>),
    /// The client has so many channels that there is no room for dead ones.
    Crowded(u32),
}

/// ```text
/// Count ─► Create ─► Subscribe ─► Verify ─► Dial ─► Joining ─► Live
///   ▲                                ▲                  └────────┤ socket ended
///   │                                └── channel still valid ◄───┤
///   └──────────────── channel gone, taken or expired ◄───────────┘
/// ```
/// Between any two steps it may rest. It never gives up (I12).
#[derive(Debug)]
pub struct Channel {
    timings: Timings,
    wanted: BTreeSet<String>,
    /// The list that was set last.
    asked: BTreeSet<String>,
    refused: Vec<Refused>,
    /// Single topics that were permitted and read back.
    covered: BTreeSet<String>,
    info: Option<ChannelInfo>,
    state: State,
    refresh: Refresh,
    notice: Option<SystemNotice>,
    reconnect: Backoff,
    retry: Backoff,
    verifications: u32,
    created: VecDeque<Mono>,
    /// Sockets in a row that did not stay open.
    short_lives: u32,
    /// When it was given up for that.
    given_up: Option<Mono>,
    hurries: bool,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Resting {
        until: Mono,
        then: Step,
    },
    Calling(Step),
    Joining,
    Live {
        since: Mono,
    },
    /// Retired while its socket was being opened.
    Abandoned(EndReason),
    Closing(EndReason),
    Retired,
}

/// A change of topics on an open socket: the steps of the set-up, beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
    Idle,
    Calling(Step),
    Resting { until: Mono, then: Step },
}

/// A subscription that cannot be read back is set again this often, then reported as refused.
const VERIFICATIONS: u32 = 3;

impl Channel {
    /// A channel that does not exist yet; its first step is due at once.
    #[must_use]
    pub fn new(timings: Timings, wanted: BTreeSet<String>, now: Mono) -> Self {
        Self {
            reconnect: Backoff::new(timings.backoff_cap),
            retry: Backoff::new(timings.backoff_cap.min(RETRY_CAP)),
            timings,
            wanted,
            asked: BTreeSet::new(),
            refused: Vec::new(),
            covered: BTreeSet::new(),
            info: None,
            state: State::Resting { until: now, then: Step::Count },
            refresh: Refresh::Idle,
            notice: None,
            verifications: 0,
            created: VecDeque::new(),
            short_lives: 0,
            given_up: None,
            hurries: false,
            actions: VecDeque::new(),
        }
    }

    /// The channel that it succeeds goes within a minute: it does not wait long for room.
    pub fn hurry(&mut self) {
        self.hurries = true;
    }

    /// Tells the machine what happened.
    pub fn handle(&mut self, input: Input, now: Mono, dice: &mut Dice) {
        match self.state {
            State::Retired => return,
            State::Abandoned(_) | State::Closing(_) => {
                self.leave(&input);
                return;
            }
            State::Resting { .. } | State::Calling(_) | State::Joining | State::Live { .. } => {}
        }
        match input {
            Input::Counted(count) => {
                if count >= CHANNELS_PER_CLIENT {
                    self.actions.push_back(Action::Crowded(count));
                }
                let due = match count >= CHANNELS_AT_MOST {
                    true => self.crowded_due(now),
                    false => self.creation_due(now),
                };
                self.rest(due.since(now), Step::Create, now);
            }
            Input::Created(info) => {
                self.info = Some(info);
                self.created.push_back(now);
                self.proceed(Step::Subscribe);
            }
            Input::Subscribed(answer) => {
                self.refused = subscriptions::refused(&self.asked, &answer);
                self.actions.push_back(Action::Topics(self.refused.clone()));
                self.proceed(Step::Verify);
            }
            Input::Listed(topics) => self.listed(&topics, now, dice),
            Input::Opened => {
                self.retry.reset();
                self.state = State::Joining;
                self.refresh = Refresh::Idle;
                self.catch_up();
            }
            Input::Live => {
                self.state = State::Live { since: now };
                self.actions.push_back(Action::NowLive);
            }
            Input::Notice(notice) => self.notice = Some(notice),
            Input::Ended(reason) => self.ended(reason, now, dice),
            Input::Gone if self.is_connected() => {
                self.info = None;
                self.refresh = Refresh::Idle;
                self.actions.push_back(Action::Close(EndReason::Kicked));
            }
            Input::Gone => {
                self.info = None;
                let wait = self.reconnect.next(dice);
                self.rest(wait, Step::Count, now);
            }
            Input::Failed => match self.state {
                State::Calling(step) => {
                    let wait = self.retry.next(dice);
                    self.rest(wait, step, now);
                }
                State::Joining | State::Live { .. } => {
                    if let Refresh::Calling(step) = self.refresh {
                        let wait = self.retry.next(dice);
                        self.rest(wait, step, now);
                    }
                }
                State::Resting { .. } => {}
                State::Abandoned(_) | State::Closing(_) | State::Retired => {}
            },
        }
    }

    /// Once retired only its socket matters; late answers to other requests change nothing.
    fn leave(&mut self, input: &Input) {
        match (self.state, input) {
            (State::Abandoned(reason), Input::Opened) => {
                self.state = State::Closing(reason);
                self.actions.push_back(Action::Close(reason));
            }
            (State::Abandoned(_), Input::Failed | Input::Gone) => self.state = State::Retired,
            (State::Closing(_), Input::Ended(reason)) => {
                self.actions.push_back(Action::Down(*reason));
                self.state = State::Retired;
            }
            _ => {}
        }
    }

    /// The next thing to do; call until `None`.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match (self.state, self.refresh) {
            (State::Resting { until, .. }, _) => Some(until),
            (State::Joining | State::Live { .. }, Refresh::Resting { until, .. }) => Some(until),
            (State::Calling(_) | State::Joining | State::Live { .. }, _) => None,
            (State::Abandoned(_) | State::Closing(_) | State::Retired, _) => None,
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Mono) {
        match (self.state, self.refresh) {
            (State::Resting { until, then }, _) if until <= now => self.proceed(then),
            (State::Joining | State::Live { .. }, Refresh::Resting { until, then })
                if until <= now =>
            {
                self.proceed(then);
            }
            _ => {}
        }
    }

    /// The list of wanted topics changed: set it on the open channel, without a new socket.
    pub fn want(&mut self, wanted: BTreeSet<String>) {
        self.wanted = wanted;
        self.catch_up();
    }

    /// Sets the list again when it is not the one that was asked for last.
    fn catch_up(&mut self) {
        let idle = self.refresh == Refresh::Idle;
        if self.is_connected() && idle && self.asked != self.wanted {
            self.proceed(Step::Subscribe);
        }
    }

    /// Ends the channel for good.
    pub fn retire(&mut self, reason: EndReason) {
        match self.state {
            State::Joining | State::Live { .. } => {
                self.state = State::Closing(reason);
                self.actions.push_back(Action::Close(reason));
            }
            State::Calling(Step::Dial) => self.state = State::Abandoned(reason),
            State::Resting { .. } | State::Calling(_) => self.state = State::Retired,
            State::Abandoned(_) | State::Closing(_) | State::Retired => {}
        }
    }

    /// Whether nothing will come of it any more.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.state == State::Retired
    }

    /// Whether events are being heard and proof of life has arrived.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// Whether a socket is open.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Joining | State::Live { .. })
    }

    /// Topics to be set.
    #[must_use]
    pub fn wanted(&self) -> &BTreeSet<String> {
        &self.wanted
    }

    /// Single topics that were permitted and read back: what a socket of this channel covers.
    #[must_use]
    pub fn covered(&self) -> &BTreeSet<String> {
        &self.covered
    }

    /// The channel at the platform, once created.
    #[must_use]
    pub fn info(&self) -> Option<&ChannelInfo> {
        self.info.as_ref()
    }

    /// The word for the state, as shown on the status page.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        match self.state {
            State::Resting { .. } => "waiting",
            State::Calling(Step::Count) => "count",
            State::Calling(Step::Create) => "create",
            State::Calling(Step::Subscribe) => "subscribe",
            State::Calling(Step::Verify) => "verify",
            State::Calling(Step::Dial) => "connect",
            State::Joining => "joining",
            State::Live { .. } => "live",
            State::Abandoned(_) | State::Closing(_) => "draining",
            State::Retired => "ended",
        }
    }

    fn proceed(&mut self, step: Step) {
        if self.is_connected() {
            self.refresh = Refresh::Calling(step);
        } else {
            self.state = State::Calling(step);
        }
        if step == Step::Subscribe {
            self.asked = self.wanted.clone();
        }
        self.actions.push_back(Action::Call(step));
    }

    fn rest(&mut self, wait: std::time::Duration, then: Step, now: Mono) {
        let until = now + wait;
        if self.is_connected() {
            self.refresh = Refresh::Resting { until, then };
        } else {
            self.state = State::Resting { until, then };
        }
        self.handle_timeout(now);
    }

    fn listed(&mut self, topics: &BTreeSet<String>, now: Mono, dice: &mut Dice) {
        let refused: BTreeSet<String> =
            self.refused.iter().map(|refused| refused.topic.clone()).collect();
        let missing: Vec<String> = self
            .asked
            .iter()
            .filter(|topic| !topics.contains(*topic) && !planted(Bug::NoVerify))
            .filter(|topic| !subscriptions::expand(topic).iter().all(|t| refused.contains(t)))
            .cloned()
            .collect();
        self.verifications += 1;
        if !missing.is_empty() && self.verifications <= VERIFICATIONS {
            let wait = self.retry.next(dice);
            self.rest(wait, Step::Subscribe, now);
            return;
        }
        self.verifications = 0;
        let lost = missing.iter().map(|topic| Refused {
            topic: topic.clone(),
            reason: "set, but not there when read back".to_owned(),
            missing_permissions: Vec::new(),
        });
        self.refused.extend(lost);
        if !missing.is_empty() {
            self.actions.push_back(Action::Topics(self.refused.clone()));
        }
        let there = self.asked.iter().filter(|topic| !missing.contains(topic));
        self.covered = there
            .flat_map(|topic| subscriptions::expand(topic))
            .filter(|topic| !refused.contains(topic))
            .collect();
        if self.is_connected() {
            self.refresh = Refresh::Idle;
            self.actions.push_back(Action::Covered(self.covered.clone()));
            self.catch_up();
        } else {
            self.proceed(Step::Dial);
        }
    }

    fn ended(&mut self, reason: EndReason, now: Mono, dice: &mut Dice) {
        let expired = self.info.as_ref().is_some_and(|info| info.expires <= now);
        let closed = matches!(reason, EndReason::Close1000 | EndReason::Close1001);
        let reason = if closed && expired { EndReason::Expiry } else { reason };
        self.actions.push_back(Action::Down(reason));
        if let State::Live { since } = self.state
            && now.since(since) >= self.timings.useful
        {
            self.reconnect.reset();
            self.short_lives = 0;
        } else {
            self.short_lives += 1;
        }
        let taken = matches!(
            self.notice.take(),
            Some(
                SystemNotice::NoLongerSubscribed
                    | SystemNotice::DuplicateId
                    | SystemNotice::TokenRevoked
            )
        );
        let wait = self.reconnect.next(dice);
        let as_wanted = self.refresh == Refresh::Idle && self.asked == self.wanted;
        self.state = State::Resting { until: now, then: Step::Count };
        self.refresh = Refresh::Idle;
        if taken || expired || self.info.is_none() || self.is_restless(now) {
            self.info = None;
            self.rest(wait, Step::Count, now);
        } else {
            let step = if as_wanted { Step::Verify } else { Step::Subscribe };
            self.rest(wait, step, now);
        }
    }

    /// A channel on which no socket stays open is given up for another one, at most once in a while:
    /// its token may have ended, and the platform may not say so.
    fn is_restless(&mut self, now: Mono) -> bool {
        let lately = self.given_up.is_some_and(|at| now.since(at) < GIVE_UP_SPACING);
        if self.short_lives < SHORT_LIVES || lately {
            return false;
        }
        (self.short_lives, self.given_up) = (0, Some(now));
        true
    }

    /// One that takes another one away, most likely a dead one, comes rarely: it ends a silence that
    /// could last a day, and must not become a fight.
    fn crowded_due(&mut self, now: Mono) -> Mono {
        if self.hurries {
            return self.creation_due(now).max(now + self.timings.join_margin);
        }
        let last = self.created.back().map(|last| *last + self.timings.creation_window);
        last.unwrap_or(now).max(now + self.timings.backoff_cap)
    }

    /// At most one creation per spacing after two within the window: a crash loop must not evict
    /// healthy channels.
    fn creation_due(&mut self, now: Mono) -> Mono {
        while self.created.front().is_some_and(|at| now.since(*at) >= self.timings.creation_window)
        {
            self.created.pop_front();
        }
        match self.created.back() {
            Some(last) if self.created.len() >= 2 => *last + self.timings.creation_spacing,
            Some(_) | None => now,
        }
    }
}

/// So many sockets in a row that end early are no accident of the network.
const SHORT_LIVES: u32 = 5;
/// Channels cannot be deleted and fill the client's quota until they expire.
const GIVE_UP_SPACING: std::time::Duration = std::time::Duration::from_secs(3_600);
/// Requests are paced by the gate; a leg of its own rests this long at most.
const RETRY_CAP: std::time::Duration = std::time::Duration::from_secs(5);

#[cfg(test)]
mod tests;
