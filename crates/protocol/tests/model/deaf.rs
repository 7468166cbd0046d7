//! One process with two sockets, one of which may answer every ping and hear nothing.
//!
//! Copies go through a real [`Dedupe`], acknowledgements through a real [`Journal`] and [`Watermark`],
//! facts into a real [`ShardLedger`], which says what is covered and where its holes are. History
//! shows everything at once here; the other models make it late.
//!
//! What a deaf socket missed can only be found by comparing it with what the process heard elsewhere.
//! Until then its claims are wrong, and a crash before the comparison takes the witness along: those
//! events are *excused*, and the rules must hold for all others.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use stateright::{Model, Property};
use trunkline_protocol::dedupe::{Dedupe, Verdict, Window};
use trunkline_protocol::domain::{
    EpochId, EventId, GapCause, Interval, IntervalSet, Mono, SetDigest, Wall, WriterId,
};
use trunkline_protocol::journal::Journal;
use trunkline_protocol::ledger::{Fact, Living, ShardLedger, Want};
use trunkline_protocol::watermark::Watermark;

type Event = u8;
type Bits = u8;

const TOPIC: &str = "v2.routing.queues.q.conversations";
const WRITER: WriterId = WriterId([9; 16]);
const SET: SetDigest = SetDigest([8; 16]);

/// The shortcuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// None: the rules as they are.
    None,
    /// The doubt begins when the socket is found out, not behind the last event heard by both.
    DoubtFromDetection,
    /// The doubted epoch goes on.
    NotEnded,
    /// The claim is edited; a later one restores it.
    ClaimOverrides,
}

/// The world and its bounds.
#[derive(Clone, Debug)]
pub(crate) struct Deaf {
    events: u8,
    faults: u8,
    epochs: u8,
    cut: Cut,
}

impl Deaf {
    /// Three events, two faults, four epochs.
    pub(crate) fn new() -> Self {
        Self { events: 3, faults: 2, epochs: 4, cut: Cut::None }
    }

    /// The same with a shortcut.
    pub(crate) fn with(self, cut: Cut) -> Self {
        Self { cut, ..self }
    }
}

/// One socket of the living process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Socket {
    epoch: u8,
    since: Event,
    until: Event,
    heard: Bits,
    open: bool,
    deaf: bool,
    /// Compared with what the process heard elsewhere, and found to lack something.
    found: bool,
}

/// What the state topic knows of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Known {
    since: Event,
    claimed: Option<Event>,
    doubts: IntervalSet,
    ended: bool,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    published: Event,
    /// What came before is not remembered by the living process.
    started: Event,
    sockets: [Option<Socket>; 2],
    durable: Bits,
    epochs: Vec<Known>,
    repaired: IntervalSet,
    excused: Bits,
    faults: u8,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let small = [self.published, self.started, self.durable, self.excused, self.faults];
        (small, self.sockets, &self.epochs, &self.repaired).hash(hasher);
    }
}

/// What may happen; the number names the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Publish,
    Open(usize),
    Ack(Event),
    Claim(usize),
    Compare(usize),
    Repair(Event),
    Deafen(usize),
    Break(usize),
    Crash,
}

fn bit(event: Event) -> Bits {
    1 << event
}

fn at(event: Event) -> Wall {
    Wall(i64::from(event))
}

fn span(from: Event, to: Event) -> Interval {
    Interval::new(at(from), at(to))
}

impl Socket {
    fn range(&self) -> std::ops::Range<Event> {
        self.since..self.until
    }

    fn missed(&self) -> Bits {
        self.range().map(bit).sum::<Bits>() & !self.heard
    }
}

impl State {
    /// What the process heard on any socket since it started.
    fn kept(&self) -> Bits {
        self.sockets.iter().flatten().fold(0, |all, socket| all | socket.heard)
            & !(bit(self.started) - 1)
    }

    /// The watermark of a socket, as the product counts: every copy goes through the window of ids,
    /// a pong follows every event.
    fn watermark(&self, socket: usize) -> Option<Event> {
        let window = Window { span: Duration::from_secs(900), cap: 100 };
        let (mut dedupe, mut journal) = (Dedupe::new(window), Journal::new());
        let mut mark = Watermark::new();
        for event in self.started..self.published {
            for (index, heard) in self.sockets.iter().enumerate() {
                let Some(heard) = heard.filter(|socket| socket.range().contains(&event)) else {
                    continue;
                };
                if heard.heard & bit(event) != 0 {
                    let (id, number) = (EventId([event; 16]), journal.next());
                    let kept = match dedupe.offer(id, number, journal.durable_below(), Mono(0)) {
                        Verdict::First => journal.keep(),
                        Verdict::Seen(kept) => kept,
                    };
                    if self.durable & bit(event) != 0 {
                        journal.durable(kept);
                    }
                    if index == socket {
                        mark.heard(kept);
                    }
                }
                if index == socket {
                    mark.pong(at(event + 1));
                }
            }
        }
        let to = mark.durable_below(journal.durable_below())?;
        Event::try_from(to.0).ok()
    }

    /// The ledger that these facts make.
    fn ledger(&self) -> ShardLedger {
        let mut ledger = ShardLedger::new();
        let mut add = |fact| ledger.add(WRITER, &fact).expect("epochs are never used twice");
        let topics = [(TOPIC.to_owned(), Want { from: at(0), to: None })].into();
        add(Fact::Wanted { as_of: at(0), topics });
        add(Fact::Set { set: SET, topics: vec![TOPIC.to_owned()] });
        for (n, known) in (0..).zip(&self.epochs) {
            let epoch = EpochId([n; 16]);
            add(Fact::Epoch { epoch, set: SET, leg: 0, from: at(known.since), rides: None });
            if let Some(to) = known.claimed {
                add(Fact::Claim { epoch, interval: span(known.since, to) });
            }
            for &interval in known.doubts.intervals() {
                add(Fact::Doubt { epoch, interval });
            }
            if known.ended {
                add(Fact::End { epoch, at: at(self.published), cause: GapCause::Unknown });
            }
        }
        ledger
    }

    fn certified(&self) -> IntervalSet {
        self.ledger().coverage(TOPIC).union(&self.repaired)
    }

    /// Whether the product sees a hole there that no reading of history has closed.
    fn is_open(&self, event: Event) -> bool {
        let open = self.sockets.iter().flatten().filter(|socket| socket.open);
        let living: Vec<Living> = open
            .map(|socket| Living {
                epoch: EpochId([socket.epoch; 16]),
                from: at(self.epochs[usize::from(socket.epoch)].claimed.unwrap_or(socket.since)),
            })
            .collect();
        let holes = self.ledger().holes(&living, at(self.published));
        holes.iter().any(|hole| hole.interval.contains(at(event)))
            && !self.repaired.contains(at(event))
    }

    /// Missed by a socket that was not compared since.
    fn unnoticed(&self) -> Bits {
        let deaf = self.sockets.iter().flatten().filter(|socket| socket.deaf && !socket.found);
        deaf.fold(0, |all, socket| all | socket.missed())
    }

    fn known(&mut self, epoch: u8) -> &mut Known {
        &mut self.epochs[usize::from(epoch)]
    }
}

impl Deaf {
    fn publish(&self, state: &mut State) {
        let event = state.published;
        state.published += 1;
        let mut witness = false;
        for socket in state.sockets.iter_mut().flatten().filter(|socket| socket.open) {
            socket.until = state.published;
            if !socket.deaf {
                socket.heard |= bit(event);
                witness = true;
            }
        }
        if !witness {
            state.excused |= state.unnoticed() & bit(event); // nobody could tell
        }
    }

    fn compare(&self, state: &mut State, index: usize) -> Option<()> {
        let mut socket = state.sockets[index].filter(|socket| !socket.found)?;
        if state.kept() & socket.missed() == 0 {
            return None;
        }
        let common = state.kept() & socket.heard;
        let last_common = (0..state.published).rev().find(|event| common & bit(*event) != 0);
        let from = last_common.map_or(socket.since, |event| event + 1);
        socket.found = true;
        let published = state.published;
        let known = state.known(socket.epoch);
        match self.cut {
            Cut::DoubtFromDetection => known.doubts.insert(span(published, published + 1)),
            Cut::ClaimOverrides => known.claimed = known.claimed.map(|to| to.min(from)),
            Cut::None | Cut::NotEnded => known.doubts.insert(span(from, published)),
        }
        if self.cut != Cut::NotEnded {
            known.ended = true;
            socket.open = false;
        }
        state.sockets[index] = Some(socket);
        Some(())
    }

    fn end(state: &mut State, index: usize) -> Option<()> {
        let socket = state.sockets[index].as_mut().filter(|socket| socket.open)?;
        socket.open = false;
        let epoch = socket.epoch;
        state.known(epoch).ended = true;
        Some(())
    }

    /// `None` when it cannot happen or changes nothing.
    fn apply(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Publish if state.published < self.events => self.publish(&mut state),
            Action::Publish => return None,
            Action::Open(index) => {
                let busy = state.sockets[index].is_some_and(|socket| {
                    // what an ended one heard is compared and claimed before it is forgotten
                    socket.open || state.kept() & socket.missed() != 0 && !socket.found
                });
                if busy || state.epochs.len() >= usize::from(self.epochs) {
                    return None;
                }
                let ended = state.sockets[index].map_or(0, |socket| socket.heard);
                if ended & !state.durable != 0 {
                    return None;
                }
                let (epoch, since) = (u8::try_from(state.epochs.len()).ok()?, state.published);
                let doubts = IntervalSet::new();
                state.epochs.push(Known { since, claimed: None, doubts, ended: false });
                let (open, deaf, found) = (true, false, false);
                let until = since;
                state.sockets[index] =
                    Some(Socket { epoch, since, until, heard: 0, open, deaf, found });
            }
            Action::Ack(event) => state.durable |= state.kept() & bit(event),
            Action::Claim(index) => {
                let to = state.watermark(index)?;
                let epoch = state.sockets[index]?.epoch;
                let known = state.known(epoch);
                known.claimed = known.claimed.max(Some(to));
            }
            Action::Compare(index) => self.compare(&mut state, index)?,
            Action::Repair(event) => {
                if event >= state.published || !state.is_open(event) {
                    return None;
                }
                state.durable |= bit(event);
                state.repaired.insert(span(event, event + 1));
            }
            Action::Deafen(index) => {
                let socket = state.sockets[index].as_mut().filter(|s| s.open && !s.deaf)?;
                socket.deaf = true;
                state.faults += 1;
            }
            Action::Break(index) => {
                Self::end(&mut state, index)?;
                state.faults += 1;
            }
            Action::Crash => {
                state.excused |= state.unnoticed();
                state.sockets = [None; 2];
                state.started = state.published;
                state.faults += 1;
            }
        }
        (state.faults <= self.faults && state != *before).then_some(state)
    }

    fn every_action(&self) -> impl Iterator<Item = Action> + use<> {
        let of_sockets = (0..2).flat_map(|index| {
            [
                Action::Open(index),
                Action::Claim(index),
                Action::Compare(index),
                Action::Deafen(index),
                Action::Break(index),
            ]
        });
        let of_events = (0..self.events).flat_map(|e| [Action::Ack(e), Action::Repair(e)]);
        [Action::Publish, Action::Crash].into_iter().chain(of_sockets).chain(of_events)
    }

    fn is_quiescent(&self, state: &State) -> bool {
        let progress = |action: &Action| match action {
            Action::Publish | Action::Ack(_) | Action::Claim(_) => true,
            Action::Compare(_) | Action::Repair(_) => true,
            Action::Open(_) | Action::Deafen(_) | Action::Break(_) | Action::Crash => false,
        };
        state.published == self.events
            && self.every_action().filter(progress).all(|a| self.apply(state, a).is_none())
    }
}

impl Model for Deaf {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            published: 0,
            started: 0,
            sockets: [None; 2],
            durable: 0,
            epochs: Vec::new(),
            repaired: IntervalSet::new(),
            excused: 0,
            faults: 0,
        }]
    }

    fn actions(&self, _state: &State, actions: &mut Vec<Action>) {
        actions.extend(self.every_action());
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.apply(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what is certified is durable or not yet compared", |_, s: &State| {
                let may_lack = s.durable | s.unnoticed() | s.excused;
                let lacking = (0..s.published).filter(|event| may_lack & bit(*event) == 0);
                let mut lacking = lacking.peekable();
                lacking.peek().is_none() || {
                    let certified = s.certified();
                    lacking.all(|event| !certified.contains(at(event)))
                }
            }),
            Property::always(
                "at rest everything is durable and certified",
                |m: &Self, s: &State| {
                    let events = bit(s.published) - 1;
                    let fine = || {
                        let certified = s.certified();
                        (s.durable | s.excused) & events == events
                            && (0..s.published)
                                .all(|e| s.excused & bit(e) != 0 || certified.contains(at(e)))
                    };
                    !m.is_quiescent(s) || fine()
                },
            ),
            Property::sometimes("everything can be proven", |m: &Self, s: &State| {
                s.published == m.events
                    && s.excused == 0
                    && s.durable == bit(m.events) - 1
                    && s.epochs.iter().any(|known| !known.doubts.is_empty())
                    && s.certified().covers(span(0, m.events))
            }),
        ]
    }
}
