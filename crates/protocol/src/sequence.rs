//! Every event kept once, in an order that may be proven: duplicates, splice, journal and watermarks
//! of all sockets together.
//!
//! ```text
//! arrive ─► splice ─► dedupe ─► journal ─► first: kept under a number      again: obliged to that number
//! pong ───────┘ (it may not overtake)  └─► barrier of its socket ─ durable prefix ─► watermark moved
//! ```

use std::collections::{BTreeMap, VecDeque};

use crate::audit::{Late, Silence, Suspect};
use crate::dedupe::{Dedupe, Verdict, Window};
use crate::domain::{EndReason, EpochId, EventId, Interval, Leg, Mono, Now, Wall};
use crate::journal::{FIRST, Journal};
use crate::ledger::News;
use crate::splice::Splice;
use crate::timings::Timings;
use crate::watermark::Watermark;

/// Something that was heard and has an identity.
pub trait Parcel {
    /// Coverage it was heard in.
    fn epoch(&self) -> EpochId;
    /// Which event it is.
    fn id(&self) -> EventId;
    /// A copy of it is kept already.
    fn again(self);
}

/// What is known here of an event that passes in the output topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logged {
    /// Nobody heard it here, or it was forgotten.
    Unheard,
    /// It was known to be durable.
    Known,
    /// It is kept under this number, which was not known to be durable.
    Kept(u64),
}

/// Keeps parcels of all sockets once.
pub struct Sequence<P> {
    dedupe: Dedupe,
    splice: Splice<Item<P>>,
    journal: Journal,
    marks: BTreeMap<EpochId, Mark>,
    news: VecDeque<News>,
    silence: Silence,
}

#[derive(Debug, Default)]
struct Mark {
    watermark: Watermark,
    ended: bool,
}

enum Item<P> {
    Parcel(P),
    Pong(EpochId, Wall),
}

impl<P: Parcel> Item<P> {
    fn epoch(&self) -> EpochId {
        match self {
            Self::Parcel(parcel) => parcel.epoch(),
            Self::Pong(epoch, _) => *epoch,
        }
    }

    /// A barrier has no identity.
    fn id(&self) -> Option<EventId> {
        match self {
            Self::Parcel(parcel) => Some(parcel.id()),
            Self::Pong(..) => None,
        }
    }
}

/// Events of one joining channel that may wait; beyond it the splice is taken for found.
const HELD_CAP: usize = 10_000;

impl<P: Parcel> Sequence<P> {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(window: Window, timings: &Timings) -> Self {
        Self {
            dedupe: Dedupe::new(window),
            splice: Splice::new(timings.splice, HELD_CAP),
            journal: Journal::starting_at(FIRST),
            marks: BTreeMap::new(),
            news: VecDeque::new(),
            silence: Silence::new(
                timings.silence_patience,
                timings.join_margin,
                timings.late_after(),
            )
            .with_canary(timings.canary),
        }
    }

    /// Numbers go on after what an earlier process kept and nobody acknowledged; nothing is claimed
    /// before that is durable too.
    #[must_use]
    pub fn resuming(mut self, journal: Journal) -> Self {
        self.journal = journal;
        self
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.splice.poll_timeout().into_iter().chain(self.silence.poll_timeout()).min()
    }

    /// What became proven since the last call, in order.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// A socket opened; events of a joining one wait for its splice.
    pub fn opened(&mut self, epoch: EpochId, leg: Leg, joining: bool, now: Now) {
        self.marks.entry(epoch).or_default();
        self.silence.opened(epoch, leg, now);
        if joining {
            self.splice.joins(epoch, now.mono);
        }
    }

    /// A socket ended.
    pub fn ended(
        &mut self,
        epoch: EpochId,
        reason: EndReason,
        now: Now,
        kept: &mut impl FnMut(P, u64),
    ) {
        let late = self.silence.ended(epoch, now.wall);
        self.late(late);
        let now = now.mono;
        let released = self.splice.release(epoch).into_vec();
        released.into_iter().for_each(|item| self.keep(item, now, kept));
        if let Some(mark) = self.marks.get_mut(&epoch) {
            mark.ended = true;
            self.news.push_back(News::Ended { epoch, reason });
        }
        self.prove();
    }

    /// A message arrived that is an event; its silence would have been noticed.
    pub fn heard(&mut self, epoch: EpochId, id: EventId, now: Mono) {
        self.silence.heard(epoch, id, now);
    }

    /// A parcel arrived. What is kept because of it is given to `kept`, with its number.
    pub fn arrive(&mut self, parcel: P, now: Mono, kept: &mut impl FnMut(P, u64)) {
        self.take(Item::Parcel(parcel), now, kept);
    }

    /// The pong to a ping that was sent then, in the platform's time, arrived.
    pub fn pong(&mut self, epoch: EpochId, sent: Wall, now: Now, kept: &mut impl FnMut(P, u64)) {
        let late = self.silence.pong(epoch, sent, now.wall);
        self.late(late);
        self.take(Item::Pong(epoch, sent), now.mono, kept);
    }

    fn late(&mut self, late: Option<Late>) {
        let news = late.map(|Late { shard, interval }| News::Late { shard, interval });
        self.news.extend(news);
    }

    /// The input is not taken for now: silence says nothing about a socket.
    pub fn pause(&mut self, now: Mono) {
        self.silence.pause(now);
    }

    /// Lets go of what waited long enough for its splice. Returns sockets that did not hear what
    /// their siblings heard: what they claim since then does not count any more.
    pub fn handle_timeout(&mut self, now: Mono, kept: &mut impl FnMut(P, u64)) -> Vec<Suspect> {
        let suspects: Vec<Suspect> =
            std::iter::from_fn(|| self.silence.handle_timeout(now)).collect();
        for Suspect { epoch, leg, since, check: _ } in &suspects {
            let interval = Interval::new(*since, Wall(i64::MAX));
            self.news.push_back(News::Doubted { shard: leg.shard, epoch: *epoch, interval });
        }
        let released = self.splice.handle_timeout(now);
        released.into_iter().for_each(|item| self.keep(item, now, kept));
        suspects
    }

    /// The sockets are gone: nothing is left to wait for.
    pub fn finish(&mut self, now: Mono, kept: &mut impl FnMut(P, u64)) {
        let released = self.splice.handle_timeout(Mono(u64::MAX));
        released.into_iter().for_each(|item| self.keep(item, now, kept));
    }

    /// What was kept under these numbers became durable.
    pub fn durable(&mut self, numbers: impl Iterator<Item = u64>) {
        let before = self.journal.durable_below();
        numbers.for_each(|number| self.journal.durable(number));
        if self.journal.durable_below() > before {
            self.prove();
        }
    }

    /// The event was seen in the output topic, so it is durable.
    pub fn logged(&mut self, id: EventId, now: Mono) -> Logged {
        let below = self.journal.durable_below();
        match self.dedupe.offer(id, FIRST - 1, below, now) {
            Verdict::First => Logged::Unheard,
            Verdict::Seen(number) if self.journal.is_durable(number) => Logged::Known,
            Verdict::Seen(number) => Logged::Kept(number),
        }
    }

    /// Another process received it then, and it is [`Logged::Unheard`] here.
    pub fn elsewhere(&mut self, shard: u16, id: EventId, received: Wall, now: Now) {
        self.silence.elsewhere(shard, id, received, now);
    }

    /// An event that an earlier process kept under this number is to be written; not when a copy was
    /// seen in the output topic or heard again meanwhile.
    pub fn must_replay(&mut self, id: EventId, number: u64, now: Mono) -> bool {
        let below = self.journal.durable_below();
        match self.dedupe.offer(id, number, below, now) {
            Verdict::First => true,
            Verdict::Seen(kept) => kept == number,
        }
    }

    /// Parcels that wait for their splice.
    #[must_use]
    pub fn held(&self) -> usize {
        self.splice.held()
    }

    /// Ids that are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.dedupe.len()
    }

    /// Generations of ids that were given up before their time, because there were too many.
    #[must_use]
    pub fn evicted_early(&self) -> u64 {
        self.dedupe.evicted_early()
    }

    fn take(&mut self, item: Item<P>, now: Mono, kept: &mut impl FnMut(P, u64)) {
        if self.splice.is_idle() {
            self.keep(item, now, kept);
            return;
        }
        let (id, epoch) = (item.id(), item.epoch());
        let seen = id.is_some_and(|id| self.dedupe.contains(id));
        let released = self.splice.arrive(epoch, id, item, seen).into_vec();
        let went_on = !released.is_empty();
        released.into_iter().for_each(|item| self.keep(item, now, kept));
        if let Some(id) = id.filter(|_| went_on) {
            let others = self.splice.established(id).into_vec();
            others.into_iter().for_each(|item| self.keep(item, now, kept));
        }
    }

    fn keep(&mut self, item: Item<P>, now: Mono, kept: &mut impl FnMut(P, u64)) {
        let epoch = item.epoch();
        let parcel = match item {
            Item::Parcel(parcel) => parcel,
            Item::Pong(_, sent) => {
                if let Some(mark) = self.marks.get_mut(&epoch) {
                    mark.watermark.pong(sent);
                    self.prove();
                }
                return;
            }
        };
        let next = self.journal.next();
        let number = match self.dedupe.offer(parcel.id(), next, self.journal.durable_below(), now) {
            Verdict::First => {
                self.journal.keep();
                kept(parcel, next);
                next
            }
            Verdict::Seen(number) => {
                parcel.again();
                number
            }
        };
        if let Some(mark) = self.marks.get_mut(&epoch) {
            mark.watermark.heard(number); // a duplicate waits for the copy that was kept (I5)
        }
    }

    fn prove(&mut self) {
        let below = self.journal.durable_below();
        let news = &mut self.news;
        self.marks.retain(|&epoch, mark| {
            if let Some(to) = mark.watermark.durable_below(below) {
                news.push_back(News::Moved { epoch, to });
            }
            let settled = mark.ended && mark.watermark.is_settled();
            if settled {
                news.push_back(News::Settled { epoch });
            }
            !settled
        });
    }
}
