//! Two processes with one socket each, one log, one history.
//!
//! Each process counts its acknowledgements in a real [`Journal`] and [`Watermark`]; what is certified
//! is a real [`IntervalSet`]; whether history closes a gap is asked of [`gaps::step`]. A process
//! forgets everything that is not acknowledged when it dies: there is no spool.

use stateright::{Model, Property};
use trunkline_protocol::domain::{GapCause, GapId, Interval, IntervalSet, Outcome, Wall};
use trunkline_protocol::gaps::{self, Step};
use trunkline_protocol::journal::Journal;
use trunkline_protocol::ledger::{Gap, Reading, Repair, Source};
use trunkline_protocol::timings::Timings;
use trunkline_protocol::watermark::Watermark;

/// Number of an event; it was fanned out at the instant of the same number.
type Event = u8;
/// One bit for each event.
type Bits = u8;

/// The shortcuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// None: the rules as they are.
    None,
    /// A claim covers everything that was received.
    ClaimReceived,
    /// A half-open socket is believed until it was noticed.
    GapFromDetection,
    /// What is not acknowledged is claimed while the other process listens.
    PeerHasIt,
    /// An empty answer of history closes a gap.
    FirstEmptyReading,
    /// A copy of what the other socket heard needs no acknowledgement.
    NoObligation,
}

/// The world and its bounds.
#[derive(Clone, Debug)]
pub(crate) struct Replicas {
    events: u8,
    faults: u8,
    /// History shows events late and in any order; deliveries may fail for good; the second
    /// process clears what it sees in the log.
    late: bool,
    mutant: Mutant,
    timings: Timings,
}

impl Replicas {
    /// Four events, four faults, history shows everything at once.
    pub(crate) fn first() -> Self {
        let timings = Timings::default();
        Self { events: 4, faults: 4, late: false, mutant: Mutant::None, timings }
    }

    /// Three events, three faults, everything else.
    pub(crate) fn second() -> Self {
        Self { events: 3, faults: 3, late: true, ..Self::first() }
    }

    /// The same with a shortcut.
    pub(crate) fn with(self, mutant: Mutant) -> Self {
        Self { mutant, ..self }
    }
}

/// One socket and the process around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Socket {
    /// Nothing is open.
    Down,
    /// Hears everything from `since` on.
    Up(Heard),
    /// Looks open and hears nothing more.
    HalfOpen(Heard),
}

/// What a socket has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Heard {
    since: Event,
    /// Behind the last one.
    until: Event,
    unacked: Bits,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    published: Event,
    sockets: [Socket; 2],
    durable: Bits,
    certified: IntervalSet,
    /// Read from history, not acknowledged.
    fetched: Bits,
    visible: Bits,
    faults: u8,
}

/// What may happen; the first number names the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Publish,
    Subscribe(usize),
    Ack(usize, Event),
    Observe(Event),
    Claim(usize),
    Detect(usize),
    Show(Event),
    Fetch(Event),
    FetchAcked(Event),
    Close(Event),
    Crash(usize),
    HalfOpen(usize),
    Nack(usize, Event),
}

impl Action {
    /// Faults and new sockets may happen, but nothing waits for them.
    fn is_progress(self) -> bool {
        match self {
            Self::Crash(_) | Self::HalfOpen(_) | Self::Nack(..) | Self::Subscribe(_) => false,
            Self::Publish
            | Self::Ack(..)
            | Self::Observe(_)
            | Self::Claim(_)
            | Self::Detect(_)
            | Self::Show(_)
            | Self::Fetch(_)
            | Self::FetchAcked(_)
            | Self::Close(_) => true,
        }
    }
}

fn bit(event: Event) -> Bits {
    1 << event
}

fn interval(from: Event, to: Event) -> Interval {
    Interval::new(Wall(i64::from(from)), Wall(i64::from(to)))
}

impl Socket {
    fn heard(&self) -> Option<&Heard> {
        match self {
            Self::Down => None,
            Self::Up(heard) | Self::HalfOpen(heard) => Some(heard),
        }
    }

    fn heard_mut(&mut self) -> Option<&mut Heard> {
        match self {
            Self::Down => None,
            Self::Up(heard) | Self::HalfOpen(heard) => Some(heard),
        }
    }
}

impl Heard {
    /// Up to where everything that was heard is durable: a pong follows each event, and the
    /// product's own counting says which of them counts.
    fn watermark(&self) -> Option<Event> {
        let (mut journal, mut mark) = (Journal::new(), Watermark::new());
        for event in self.since..self.until {
            let number = journal.keep();
            mark.heard(number);
            mark.pong(Wall(i64::from(event) + 1));
            if self.unacked & bit(event) == 0 {
                journal.durable(number);
            }
        }
        let to = mark.durable_below(journal.durable_below())?;
        Event::try_from(to.0).ok()
    }
}

impl State {
    fn all_durable_and_certified(&self) -> bool {
        self.durable == bit(self.published) - 1
            && self.certified.covers(interval(0, self.published))
    }

    /// Neither certified nor the business of a living socket.
    fn is_open(&self, event: Event) -> bool {
        let living = self.sockets.iter().filter_map(Socket::heard);
        let mut ranges = living.map(|heard| heard.since..heard.until);
        event < self.published
            && !self.certified.contains(Wall(i64::from(event)))
            && !ranges.any(|range| range.contains(&event))
    }

    fn certify(&mut self, from: Event, to: Event) {
        self.certified.insert(interval(from, to));
    }
}

impl Replicas {
    fn claim(&self, state: &mut State, socket: usize) {
        let other_listens = matches!(state.sockets[1 - socket], Socket::Up(_));
        let Some(heard) = state.sockets[socket].heard().copied() else { return };
        let to = match self.mutant {
            Mutant::ClaimReceived => Some(heard.until),
            Mutant::PeerHasIt if other_listens => Some(heard.until),
            Mutant::None
            | Mutant::GapFromDetection
            | Mutant::PeerHasIt
            | Mutant::FirstEmptyReading
            | Mutant::NoObligation => heard.watermark(),
        };
        if let Some(to) = to {
            state.certify(heard.since, to);
        }
    }

    fn publish(&self, state: &mut State) {
        let event = state.published;
        state.published += 1;
        if !self.late {
            state.visible |= bit(event);
        }
        let mut copies = 0;
        for socket in &mut state.sockets {
            if let Socket::Up(heard) = socket {
                heard.until = state.published;
                copies += 1;
                if copies == 1 || self.mutant != Mutant::NoObligation {
                    heard.unacked |= bit(event);
                }
            }
        }
    }

    /// Whether the rules close the gap of one event: what two readings of history taken now would
    /// show decides.
    fn closes(&self, state: &State, event: Event) -> bool {
        if self.mutant == Mutant::FirstEmptyReading && state.visible & bit(event) == 0 {
            return true;
        }
        if state.durable & bit(event) == 0 && state.visible & bit(event) != 0 {
            return false; // a reading counts when all of it is acknowledged
        }
        // long enough for margins: an instant of the model is ten thousand seconds
        let at = |event: u32| Wall(i64::from(event) * 10_000_000);
        let complete_to = at(state.visible.trailing_ones()).plus(self.timings.margin);
        let read = |hours: i64| Reading {
            source: Source::Jobs,
            at: at(1_000).plus(self.timings.read_spacing * u32::try_from(hours).unwrap_or(0)),
            digest: String::new(),
            rows: 0,
            written: 0,
            complete_to: Some(complete_to),
            missing: 0,
        };
        let gap = Gap {
            gap: GapId([0; 16]),
            class: "v2.routing.queues.{id}.conversations".to_owned(),
            topics: Vec::new(),
            from: at(u32::from(event)),
            to: Some(at(u32::from(event) + 1)),
            cause: GapCause::Unknown,
            recorded_at: at(u32::from(event) + 1),
            repair: Repair { reads: vec![read(0), read(1)], outcome: None, closed_at: None },
        };
        let now = at(1_000).plus(self.timings.read_spacing * 2);
        gaps::step(&gap, Some(complete_to), now, &self.timings) == Step::Close(Outcome::Reconciled)
    }

    /// `None` when it cannot happen or changes nothing.
    fn apply(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Publish if state.published < self.events => self.publish(&mut state),
            Action::Publish => return None,
            Action::Subscribe(c) => {
                let Socket::Down = state.sockets[c] else { return None };
                let since = state.published;
                state.sockets[c] = Socket::Up(Heard { since, until: since, unacked: 0 });
            }
            Action::Ack(c, event) => {
                let heard = state.sockets[c].heard_mut()?;
                if heard.unacked & bit(event) == 0 {
                    return None;
                }
                heard.unacked &= !bit(event);
                state.durable |= bit(event);
            }
            Action::Observe(event) => {
                if !self.late || state.durable & bit(event) == 0 {
                    return None;
                }
                state.sockets[1].heard_mut()?.unacked &= !bit(event);
            }
            Action::Claim(c) => self.claim(&mut state, c),
            Action::Detect(c) => {
                let Socket::HalfOpen(heard) = state.sockets[c] else { return None };
                if self.mutant == Mutant::GapFromDetection {
                    let published = state.published;
                    state.certify(heard.since, published);
                }
                state.sockets[c] = Socket::Down;
            }
            Action::Show(event) => {
                if event >= state.published {
                    return None;
                }
                state.visible |= bit(event);
            }
            Action::Fetch(event) => {
                let there = state.visible & !state.durable & bit(event) != 0;
                if !there || !state.is_open(event) {
                    return None;
                }
                state.fetched |= bit(event);
            }
            Action::FetchAcked(event) => {
                if state.fetched & bit(event) == 0 {
                    return None;
                }
                state.fetched &= !bit(event);
                state.durable |= bit(event);
            }
            Action::Close(event) => {
                if !state.is_open(event) || !self.closes(&state, event) {
                    return None;
                }
                state.certify(event, event + 1);
            }
            Action::Crash(c) => {
                state.sockets[c].heard()?;
                state.sockets[c] = Socket::Down;
                state.faults += 1;
            }
            Action::HalfOpen(c) => {
                let Socket::Up(heard) = state.sockets[c] else { return None };
                state.sockets[c] = Socket::HalfOpen(heard);
                state.faults += 1;
            }
            Action::Nack(c, event) => {
                if !self.late || state.sockets[c].heard()?.unacked & bit(event) == 0 {
                    return None;
                }
                state.sockets[c] = Socket::Down;
                state.faults += 1;
            }
        }
        (state.faults <= self.faults && state != *before).then_some(state)
    }

    fn every_action(&self) -> impl Iterator<Item = Action> + use<> {
        let events = self.events;
        let of_sockets = (0..2_usize).flat_map(move |c| {
            let alone = [
                Action::Subscribe(c),
                Action::Claim(c),
                Action::Detect(c),
                Action::Crash(c),
                Action::HalfOpen(c),
            ];
            let each = (0..events).flat_map(move |e| [Action::Ack(c, e), Action::Nack(c, e)]);
            alone.into_iter().chain(each)
        });
        let of_events = (0..events).flat_map(|e| {
            [
                Action::Observe(e),
                Action::Show(e),
                Action::Fetch(e),
                Action::FetchAcked(e),
                Action::Close(e),
            ]
        });
        [Action::Publish].into_iter().chain(of_sockets).chain(of_events)
    }

    fn is_quiescent(&self, state: &State) -> bool {
        state.published == self.events
            && self
                .every_action()
                .filter(|action| action.is_progress())
                .all(|action| self.apply(state, action).is_none())
    }
}

impl Model for Replicas {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            published: 0,
            sockets: [Socket::Down; 2],
            durable: 0,
            certified: IntervalSet::new(),
            fetched: 0,
            visible: 0,
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
            Property::always("what is certified is durable", |_, state: &State| {
                (0..state.published).all(|event| {
                    state.durable & bit(event) != 0
                        || !state.certified.contains(Wall(i64::from(event)))
                })
            }),
            Property::always(
                "at rest everything is durable and certified",
                |model: &Self, state: &State| {
                    state.all_durable_and_certified() || !model.is_quiescent(state)
                },
            ),
            Property::sometimes("everything can be proven", |model: &Self, state: &State| {
                state.published == model.events && state.all_durable_and_certified()
            }),
        ]
    }
}
