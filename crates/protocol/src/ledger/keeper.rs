//! Keeps the ledger of all shards: what sockets report becomes facts, what no fact covers becomes
//! gaps. Facts of other writers are added as they are.
//!
//! ```text
//! begun ──► epoch fact      moved ──► claim fact, within 5 s      ended ──► last claim, end fact
//! hole ── 20 s later still there ──► gap fact, growing ── coverage resumes ──► gap fact, bounded
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{
    Audit, Contradiction, Fact, Gap, Hole, Known, Living, Reading, Repair, ShardLedger, Stamped,
    VERSION, Want,
};
use crate::domain::{
    EndReason, EpochId, EventId, GapCause, GapId, Interval, IntervalSet, Leg, Outcome, SetDigest,
    Timeline, Wall, WriterId,
};
use crate::identity::first_half;
use crate::seeded::{Bug, planted};
use crate::timings::Timings;
use crate::twins::{Twin, Twins};

/// What happened to coverage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// These single topics are wanted, by shard.
    Wanted {
        /// The whole list.
        shards: Vec<BTreeSet<String>>,
        /// When the list was read the last time before; topics that are new may have been there
        /// since. `None` for a list that cannot have changed.
        looked_before: Option<Wall>,
    },
    /// A socket with a verified subscription is open, or topics were added to one.
    Begun {
        /// Names the coverage.
        epoch: EpochId,
        /// Where.
        leg: Leg,
        /// Single topics, permitted and read back.
        topics: BTreeSet<String>,
        /// When, at the latest.
        at: Wall,
        /// The coverage of the open socket to which topics were added.
        rides: Option<EpochId>,
    },
    /// Everything fanned out before this is durable.
    Moved {
        /// For this coverage.
        epoch: EpochId,
        /// The watermark.
        to: Wall,
    },
    /// A socket is over; its watermark may still move.
    Ended {
        /// Its coverage.
        epoch: EpochId,
        /// Why.
        reason: EndReason,
    },
    /// Its watermark will not move any more.
    Settled {
        /// Its coverage.
        epoch: EpochId,
    },
    /// The coverage cannot be believed in this interval.
    Doubted {
        /// Whose shard.
        shard: u16,
        /// Which coverage.
        epoch: EpochId,
        /// Where.
        interval: Interval,
    },
    /// Sockets were read so late that what was fanned out in the interval may come as late as its end.
    Late {
        /// Whose shard.
        shard: u16,
        /// Where.
        interval: Interval,
    },
    /// History was read over a gap, and everything of it is durable.
    Read {
        /// Whose shard.
        shard: u16,
        /// Which gap.
        gap: GapId,
        /// What was read.
        reading: Reading,
    },
    /// A closed span was held against history, and what it added is durable.
    Audited {
        /// Whose shard.
        shard: u16,
        /// What was found.
        audit: Audit,
    },
    /// Records that history gave for a gap are durable.
    Written {
        /// Whose shard.
        shard: u16,
        /// Which gap.
        gap: GapId,
        /// Which records.
        ids: Vec<EventId>,
    },
    /// The rules of repair close a gap.
    Closed {
        /// Whose shard.
        shard: u16,
        /// Which gap.
        gap: GapId,
        /// How.
        outcome: Outcome,
    },
}

/// What the driver should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the fact under its key; the newest of a key is what counts.
    Write(Stamped),
    /// An epoch id was used twice (I3): page.
    Contradiction(EpochId),
}

/// One epoch of this process.
#[derive(Clone, Debug)]
struct Own {
    shard: u16,
    from: Wall,
    rides: Option<EpochId>,
    /// Of the socket; of the one it rides on where it rides.
    watermark: Option<Wall>,
    claimed: Option<Wall>,
    claimed_at: Option<Wall>,
    ended: bool,
}

/// The facts of all shards and what follows from them.
#[derive(Clone, Debug)]
pub struct Keeper {
    me: WriterId,
    timings: Timings,
    shards: BTreeMap<u16, ShardLedger>,
    own: BTreeMap<EpochId, Own>,
    /// When something was heard of a living epoch of somebody else.
    peers: BTreeMap<EpochId, Wall>,
    /// Wanted for the first time; activated by the first epoch that covers them.
    expected: BTreeMap<u16, BTreeSet<String>>,
    suspects: BTreeMap<(u16, String, Wall), Wall>,
    /// Who runs, or ran, as which replica since when.
    replicas: BTreeMap<WriterId, (String, Wall)>,
    twins: Twins,
    /// Lists of written records by this process, by gap.
    lists: BTreeMap<GapId, u32>,
    look_at: Option<Wall>,
    /// Epochs whose end was told and whose beginning was not yet: the one is known to whoever reads a
    /// socket, the other to whoever opened it.
    ended_early: VecDeque<(EpochId, EndReason)>,
    actions: VecDeque<Action>,
}

/// Ends without a beginning that are remembered: the beginning follows within moments, or never.
const ENDED_EARLY: usize = 64;

impl Keeper {
    /// Knows nothing yet; `me` is this process.
    #[must_use]
    pub fn new(me: WriterId, timings: Timings) -> Self {
        let fresh = timings.claim_fresh + timings.ping_interval;
        Self {
            me,
            twins: Twins::new(timings.twin_patience, fresh),
            timings,
            shards: BTreeMap::new(),
            own: BTreeMap::new(),
            peers: BTreeMap::new(),
            expected: BTreeMap::new(),
            suspects: BTreeMap::new(),
            replicas: BTreeMap::new(),
            lists: BTreeMap::new(),
            look_at: None,
            ended_early: VecDeque::new(),
            actions: VecDeque::new(),
        }
    }

    /// Adds a fact that was read back, of this process or of another one.
    pub fn read(&mut self, stamped: &Stamped, now: Wall) {
        let ledger = self.shards.entry(stamped.shard).or_default();
        if let Err(Contradiction(epoch)) = ledger.add(stamped.writer, &stamped.fact) {
            self.actions.push_back(Action::Contradiction(epoch));
        }
        let mut goes_on = false;
        if stamped.writer != self.me {
            goes_on = self.goes_on(stamped, now);
            match &stamped.fact {
                Fact::Replica { name, since } => {
                    self.replicas.insert(stamped.writer, (name.clone(), *since));
                }
                // as of the claim, so that a dead writer's last words do not make it live
                Fact::Claim { epoch, interval } => {
                    self.spoke(*epoch, interval.to);
                    self.twins.heard(stamped.writer, interval.to);
                }
                Fact::Epoch { epoch, from, .. } => self.spoke(*epoch, *from),
                Fact::End { epoch, .. } => _ = self.peers.remove(epoch),
                Fact::Set { .. } | Fact::Doubt { .. } => {}
                Fact::Late { .. } | Fact::Wanted { .. } => {}
                Fact::Gap(_) | Fact::Written { .. } | Fact::Audit(_) => {}
            }
        }
        if !goes_on {
            self.look_soon(now);
        }
    }

    /// Facts may come again, when their topic is filled again.
    fn spoke(&mut self, epoch: EpochId, at: Wall) {
        let seen = self.peers.entry(epoch).or_insert(at);
        *seen = at.max(*seen);
    }

    /// Whether it is the next claim of an epoch that is known to live: that makes no hole, and closes
    /// none.
    fn goes_on(&self, stamped: &Stamped, now: Wall) -> bool {
        match &stamped.fact {
            Fact::Claim { epoch, .. } => {
                self.peers.get(epoch).is_some_and(|seen| self.is_fresh(*seen, now))
                    && !self.is_replaced(stamped.writer)
            }
            Fact::Replica { .. } | Fact::Set { .. } | Fact::Epoch { .. } | Fact::End { .. } => {
                false
            }
            Fact::Doubt { .. } | Fact::Wanted { .. } | Fact::Gap(_) => false,
            // they make no hole, and close none
            Fact::Late { .. } | Fact::Written { .. } | Fact::Audit(_) => true,
        }
    }

    /// This process runs as the replica `name` from now on. Epochs of whoever did before do not
    /// count as living any more: what they did not claim is a gap at once.
    pub fn introduce(&mut self, name: &str, now: Wall) {
        self.replicas.insert(self.me, (name.to_owned(), now));
        self.twins.introduce(now);
        self.write(0, Fact::Replica { name: name.to_owned(), since: now });
        self.look_soon(now);
    }

    /// Another process that runs as this replica, beside this one and not in its place.
    #[must_use]
    pub fn twin(&self, now: Wall) -> Option<Twin> {
        let name = |writer| self.replicas.get(&writer).map(|(name, _)| name);
        let ours = name(self.me)?;
        self.twins.twin(now, |writer| name(writer) == Some(ours))
    }

    /// Whether another process took the writer's place.
    fn is_replaced(&self, writer: WriterId) -> bool {
        let Some((name, since)) = self.replicas.get(&writer) else { return false };
        let later = |(id, other): (&WriterId, &(String, Wall))| {
            *id != writer && other.0 == *name && other.1 > *since
        };
        self.replicas.iter().any(later)
    }

    /// Tells what happened.
    pub fn handle(&mut self, news: News, now: Wall) {
        let mut makes_holes = true;
        match news {
            News::Wanted { shards, looked_before } => self.wanted(&shards, looked_before, now),
            News::Begun { epoch, leg, topics, at, rides } => {
                self.begun(epoch, leg, topics, at, rides, now);
            }
            News::Moved { epoch, to } => {
                makes_holes = false;
                for (_, own) in self.on_socket(epoch) {
                    own.watermark = own.watermark.max(Some(to));
                    // of a living epoch only: what an ended one proves late closes holes
                    makes_holes |= own.ended;
                }
                self.claim(now);
            }
            News::Ended { epoch, reason } => {
                let mut ended = Vec::new();
                for (id, own) in self.on_socket(epoch) {
                    own.ended = true;
                    ended.push((*id, own.shard));
                }
                if ended.is_empty() {
                    self.ended_early.truncate(ENDED_EARLY - 1);
                    self.ended_early.push_front((epoch, reason));
                }
                self.claim(now);
                for (epoch, shard) in ended {
                    self.write(shard, Fact::End { epoch, at: now, cause: reason.into() });
                }
            }
            News::Settled { epoch } => {
                self.claim(now);
                self.own.retain(|id, own| !own.is_on(*id, epoch));
            }
            News::Doubted { shard, epoch, interval } => {
                // coverage of topics that were added to the socket rests on the same ears
                let mut doubted: BTreeSet<EpochId> =
                    self.on_socket(epoch).map(|(id, _)| *id).collect();
                doubted.insert(epoch);
                for epoch in doubted {
                    self.write(shard, Fact::Doubt { epoch, interval });
                }
            }
            News::Late { shard, interval } => {
                makes_holes = false;
                self.write(shard, Fact::Late { interval });
            }
            News::Read { shard, gap, reading } => {
                self.repair(shard, gap, |repair| repair.reads.push(reading));
            }
            News::Written { shard, gap, ids } => {
                let lists = self.lists.entry(gap).or_default();
                *lists += 1;
                let list = *lists;
                self.write(shard, Fact::Written { gap, list, ids });
            }
            News::Audited { shard, audit } => self.write(shard, Fact::Audit(audit)),
            News::Closed { shard, gap, outcome } => self.repair(shard, gap, |repair| {
                repair.outcome = Some(outcome);
                repair.closed_at = Some(now);
            }),
        }
        if makes_holes {
            self.look_soon(now);
        }
    }

    /// The next thing to do; call until `None`.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Wall> {
        let due = |own: &Own| Some(own.claimed_at?.plus(self.timings.claim_cadence));
        let claims = self.own.values().filter(|own| own.is_behind()).filter_map(due);
        claims.chain(self.look_at).min()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Wall) {
        self.claim(now);
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            self.look(now);
        }
    }

    /// Everything known, by shard.
    #[must_use]
    pub fn shards(&self) -> &BTreeMap<u16, ShardLedger> {
        &self.shards
    }

    /// Gaps that are not done with: open, or closed and to be read again.
    #[must_use]
    pub fn unfinished(&self, now: Wall) -> Vec<Known> {
        let mut all = Vec::new();
        for (shard, ledger) in &self.shards {
            for gap in ledger.gaps().values() {
                if crate::gaps::step(gap, None, now, &self.timings) != crate::gaps::Step::Done {
                    let topics = ledger.topics_of(gap);
                    all.push(Known { shard: *shard, gap: gap.clone(), topics });
                }
            }
        }
        all
    }

    /// The plan of topics that was in force when the facts were written, by shard, to go on with.
    #[must_use]
    pub fn plan(&self) -> Vec<BTreeSet<String>> {
        let count = self.shards.keys().next_back().map_or(0, |last| usize::from(*last) + 1);
        let mut plan = vec![BTreeSet::new(); count];
        for (shard, ledger) in &self.shards {
            let open = ledger.wanted().into_iter().flatten().filter(|(_, want)| want.to.is_none());
            plan[usize::from(*shard)].extend(open.map(|(topic, _)| topic.clone()));
        }
        plan
    }

    /// Epochs that hear now, of whatever process.
    #[must_use]
    pub fn living(&self, shard: u16, now: Wall) -> Vec<Living> {
        let Some(ledger) = self.shards.get(&shard) else { return Vec::new() };
        let own = self.own.iter().filter(|(_, own)| own.shard == shard && !own.ended);
        let own = own.map(|(epoch, own)| Living {
            epoch: *epoch,
            from: own.watermark.map_or(own.from, |watermark| watermark.max(own.from)),
        });
        let peers = self.peers.iter().filter(|(_, seen)| self.is_fresh(**seen, now));
        let peers = peers.filter_map(|(epoch, _)| {
            let known = ledger.epochs().get(epoch)?;
            let start = known.start.filter(|_| known.end.is_none())?;
            if self.is_replaced(start.writer) {
                return None;
            }
            let from = known.claim.map_or(start.from, |claim| claim.to);
            Some(Living { epoch: *epoch, from })
        });
        own.chain(peers).collect()
    }

    /// Names of the replicas that hear now, this one among them.
    #[must_use]
    pub fn living_replicas(&self, now: Wall) -> BTreeSet<String> {
        let fresh = self.peers.iter().filter(|(_, seen)| self.is_fresh(**seen, now));
        let writer =
            |epoch| self.shards.values().find_map(|shard| shard.epochs().get(epoch)?.start);
        let peers = fresh.filter_map(|(epoch, _)| Some(writer(epoch)?.writer));
        let living = peers.filter(|writer| !self.is_replaced(*writer)).chain([self.me]);
        living.filter_map(|writer| Some(self.replicas.get(&writer)?.0.clone())).collect()
    }

    /// Whether a claim that reaches up to `seen` lets its epoch count as living.
    fn is_fresh(&self, seen: Wall, now: Wall) -> bool {
        seen.plus(self.fresh()) >= now
    }

    fn fresh(&self) -> Duration {
        self.timings.claim_fresh + self.timings.ping_interval
    }

    /// Up to where every wanted topic of a shard is proven without a hole, from its last hole on;
    /// `None` while nothing is.
    #[must_use]
    pub fn watermark(&self, shard: u16) -> Option<Wall> {
        let ledger = self.shards.get(&shard)?;
        let end = |class: &String| {
            let since = ledger.class_wanted(class)?.from;
            let covered = ledger.class_coverage(class).0;
            // what was not wanted yet, or is not wanted any more, holds nobody back and proves nothing
            let ends = covered.intervals().iter().rev().map(|interval| interval.to);
            ends.into_iter().find(|to| *to != Wall(i64::MAX)).filter(|to| *to > since)
        };
        ledger.classes().iter().map(end).min().flatten()
    }

    fn wanted(&mut self, shards: &[BTreeSet<String>], looked_before: Option<Wall>, now: Wall) {
        let last = self.shards.keys().next_back().map_or(0, |last| usize::from(*last) + 1);
        for index in 0..shards.len().max(last) {
            let Ok(shard) = u16::try_from(index) else { return };
            let nothing = BTreeSet::new();
            let topics = shards.get(index).unwrap_or(&nothing);
            let ledger = self.shards.get(&shard);
            let since = looked_before.or_else(|| ledger?.wanted_as_of());
            let mut next = ledger.and_then(|ledger| ledger.wanted()).cloned().unwrap_or_default();
            for (topic, want) in &mut next {
                if !topics.contains(topic) {
                    want.to = want.to.or(Some(now));
                }
            }
            for topic in topics {
                let open = next.get(topic).is_some_and(|want| want.to.is_none());
                match since {
                    _ if open => {}
                    Some(since) => _ = next.insert(topic.clone(), Want { from: since, to: None }),
                    None => _ = self.expected.entry(shard).or_default().insert(topic.clone()),
                }
            }
            if !next.is_empty() {
                self.write(shard, Fact::Wanted { as_of: now, topics: next });
            }
        }
    }

    fn begun(
        &mut self,
        epoch: EpochId,
        leg: Leg,
        topics: BTreeSet<String>,
        at: Wall,
        rides: Option<EpochId>,
        now: Wall,
    ) {
        let from = if planted(Bug::NoMargin) { at } else { at.plus(self.timings.join_margin) };
        let first_seen = self.expected.get_mut(&leg.shard).map(|expected| {
            let first: BTreeSet<String> = expected.intersection(&topics).cloned().collect();
            expected.retain(|topic| !first.contains(topic));
            first
        });
        if let Some(first) = first_seen.filter(|first| !first.is_empty()) {
            let ledger = self.shards.get(&leg.shard);
            let mut all = ledger.and_then(|ledger| ledger.wanted()).cloned().unwrap_or_default();
            all.extend(first.into_iter().map(|topic| (topic, Want { from, to: None })));
            self.write(leg.shard, Fact::Wanted { as_of: now, topics: all });
        }
        let set = digest(&topics);
        if self.shards.get(&leg.shard).is_none_or(|ledger| ledger.set(set).is_none()) {
            self.write(leg.shard, Fact::Set { set, topics: topics.into_iter().collect() });
        }
        let watermark = rides.and_then(|socket| self.own.get(&socket)?.watermark);
        self.write(leg.shard, Fact::Epoch { epoch, set, leg: leg.ordinal, from, rides });
        let on = rides.unwrap_or(epoch);
        let early = self.ended_early.iter().find(|(socket, _)| *socket == on);
        if let Some(reason) = early.map(|(_, reason)| *reason) {
            self.write(leg.shard, Fact::End { epoch, at: now, cause: reason.into() });
            return;
        }
        let own = Own {
            shard: leg.shard,
            from,
            rides,
            watermark,
            claimed: None,
            claimed_at: None,
            ended: false,
        };
        self.own.insert(epoch, own);
    }

    fn on_socket(&mut self, socket: EpochId) -> impl Iterator<Item = (&EpochId, &mut Own)> {
        self.own.iter_mut().filter(move |(id, own)| own.is_on(**id, socket))
    }

    /// Claims what is proven and not claimed, each epoch at most once per cadence.
    fn claim(&mut self, now: Wall) {
        let cadence = self.timings.claim_cadence;
        let due = |own: &Own| own.ended || own.claimed_at.is_none_or(|at| at.plus(cadence) <= now);
        let mut facts = Vec::new();
        for (epoch, own) in &mut self.own {
            if own.is_behind() && due(own) {
                own.claimed = own.watermark;
                own.claimed_at = Some(now);
                let to = own.watermark.unwrap_or(own.from);
                let interval = Interval::new(own.from, to);
                facts.push((own.shard, Fact::Claim { epoch: *epoch, interval }));
            }
        }
        facts.into_iter().for_each(|(shard, fact)| self.write(shard, fact));
    }

    fn write(&mut self, shard: u16, fact: Fact) {
        let ledger = self.shards.entry(shard).or_default();
        match ledger.add(self.me, &fact) {
            Ok(()) => {
                let stamped = Stamped { v: VERSION, shard, writer: self.me, fact };
                self.actions.push_back(Action::Write(stamped));
            }
            Err(Contradiction(epoch)) => {
                self.actions.push_back(Action::Contradiction(epoch));
            }
        }
    }

    fn repair(&mut self, shard: u16, gap: GapId, change: impl FnOnce(&mut Repair)) {
        let known = self.shards.get(&shard).and_then(|ledger| ledger.gaps().get(&gap)).cloned();
        if let Some(mut gap) = known {
            change(&mut gap.repair);
            self.write(shard, Fact::Gap(gap));
        }
    }

    /// Holes are looked at a second after something changed, and again while there are some.
    fn look_soon(&mut self, now: Wall) {
        let soon = now.plus(Duration::from_secs(1));
        self.look_at = Some(self.look_at.map_or(soon, |at| at.min(soon)));
    }

    fn look(&mut self, now: Wall) {
        let shards: Vec<u16> = self.shards.keys().copied().collect();
        let mut peers = std::mem::take(&mut self.peers);
        peers.retain(|_, seen| self.is_fresh(*seen, now));
        self.peers = peers;
        let mut again = false;
        for shard in shards {
            let living = self.living(shard, now);
            let Some(ledger) = self.shards.get(&shard) else { continue };
            let holes = ledger.holes(&living, now);
            // what is wanted from a moment to come has no hole yet, and nobody may say another word
            again |= ledger.wanted().into_iter().flatten().any(|(_, want)| want.from >= now);
            again |= self.compare(shard, &holes, now);
        }
        if again {
            self.look_soon(now);
        } else if let Some(oldest) = self.peers.values().min() {
            // a peer that falls silent makes a hole without a word
            let stale = oldest.plus(self.fresh()).plus(Duration::from_millis(1));
            self.look_at = Some(self.look_at.map_or(stale, |at| at.min(stale)));
        }
    }

    /// Gaps follow holes: a hole that stays is recorded, and bounded when coverage resumes. What was
    /// read for a gap speaks of its bounds of then, so those stay; what a hole has beyond them is a gap
    /// of its own. Says whether any hole is more than what is done with.
    fn compare(&mut self, shard: u16, holes: &[Hole], now: Wall) -> bool {
        let Some(ledger) = self.shards.get(&shard) else { return false };
        let fixed = ledger.gaps().values().filter(|gap| is_fixed(gap));
        let fixed: Timeline<&Gap> = fixed.map(|gap| (bounds(gap), gap)).collect();
        let holes: Vec<Hole> = holes.iter().flat_map(|hole| beyond(hole, &fixed)).collect();
        let mut open: BTreeMap<GapId, Gap> = ledger
            .gaps()
            .iter()
            .filter(|(_, gap)| gap.repair.outcome.is_none() && !is_fixed(gap) && !is_past(gap))
            .map(|(id, gap)| (*id, gap.clone()))
            .collect();
        let mut facts = Vec::new();
        let mut seen = BTreeSet::new();
        for hole in &holes {
            let meets = |gap: &&Gap| {
                gap.class == hole.class
                    && gap.from < hole.interval.to
                    && hole.interval.from <= gap.to.unwrap_or(Wall(i64::MAX))
            };
            let known = open.values().find(meets).map(|gap| gap.gap);
            let to = (!hole.grows).then_some(hole.interval.to);
            match known.and_then(|id| open.remove(&id)) {
                Some(gap) => {
                    let next = Gap {
                        from: gap.from.max(hole.interval.from),
                        to: to.or(gap.to),
                        topics: hole.topics.clone(),
                        ..gap.clone()
                    };
                    if next != gap {
                        facts.push(Fact::Gap(next));
                    }
                }
                None => {
                    let key = (shard, hole.class.clone(), hole.interval.from);
                    let first = *self.suspects.entry(key.clone()).or_insert(now);
                    seen.insert(key);
                    if first.plus(self.timings.gap_patience) <= now {
                        facts.push(Fact::Gap(new_gap(shard, hole, to, now, ledger)));
                    }
                }
            }
        }
        self.suspects.retain(|key, _| key.0 != shard || seen.contains(key));
        for mut gap in open.into_values().filter(|gap| gap.repair.reads.is_empty()) {
            gap.to = gap.to.or(Some(now));
            gap.repair.outcome = Some(Outcome::Covered);
            gap.repair.closed_at = Some(now);
            facts.push(Fact::Gap(gap));
        }
        facts.into_iter().for_each(|fact| self.write(shard, fact));
        !holes.is_empty()
    }
}

impl Own {
    /// Whether the socket of the epoch `socket` carries it, under the id `id`.
    fn is_on(&self, id: EpochId, socket: EpochId) -> bool {
        id == socket || self.rides == Some(socket)
    }

    /// More is proven than was claimed.
    fn is_behind(&self) -> bool {
        self.watermark.is_some_and(|to| to > self.from && Some(to) > self.claimed)
    }
}

/// Whether the bounds of a gap stay as they are: it was closed, or history was read for it.
fn is_fixed(gap: &Gap) -> bool {
    match gap.repair.outcome {
        Some(Outcome::Reconciled | Outcome::Partial | Outcome::LostDeclared) => true,
        Some(Outcome::Covered) => false, // by claims, which count for themselves
        None => gap.to.is_some() && !gap.repair.reads.is_empty(),
    }
}

/// Whether it is none of our holes: somebody asked for the time before anything was wanted.
fn is_past(gap: &Gap) -> bool {
    gap.cause == GapCause::BeforeActivation
}

/// Empty while it grows.
fn bounds(gap: &Gap) -> Interval {
    Interval::new(gap.from, gap.to.unwrap_or(gap.from))
}

/// What a hole has beyond gaps whose bounds stay as they are.
fn beyond(hole: &Hole, fixed: &Timeline<&Gap>) -> Vec<Hole> {
    let concerns = |gap: &&&Gap| {
        let all = gap.topics.is_empty();
        let some = || !hole.topics.is_empty() && hole.topics.iter().all(|t| gap.topics.contains(t));
        gap.class == hole.class && (all || some())
    };
    let known = fixed.touching(hole.interval).filter(concerns);
    let known: IntervalSet = known.map(|gap| bounds(gap)).collect();
    let left = IntervalSet::from(hole.interval).subtract(&known);
    let part = |interval: Interval| {
        let grows = hole.grows && interval.to == hole.interval.to;
        Hole { interval, grows, ..hole.clone() }
    };
    Vec::from(left).into_iter().map(part).collect()
}

fn new_gap(shard: u16, hole: &Hole, to: Option<Wall>, now: Wall, ledger: &ShardLedger) -> Gap {
    // one that was closed as covered may begin at the same instant: a name is used once
    let mut from = hole.interval.from;
    while ledger.gaps().contains_key(&gap_id(shard, &hole.class, from)) {
        from = from.minus(Duration::from_millis(1));
    }
    Gap {
        gap: gap_id(shard, &hole.class, from),
        class: hole.class.clone(),
        topics: hole.topics.clone(),
        from,
        to,
        cause: hole.cause,
        recorded_at: now,
        repair: Repair::default(),
    }
}

/// The name of a gap: whoever derives the same one gives it the same name.
#[must_use]
pub fn gap_id(shard: u16, class: &str, from: Wall) -> GapId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&shard.to_le_bytes());
    add_part(&mut hasher, class);
    hasher.update(&from.0.to_le_bytes());
    GapId(first_half(&hasher.finalize()))
}

/// The name of a set of topics.
#[must_use]
pub fn digest(topics: &BTreeSet<String>) -> SetDigest {
    let mut hasher = blake3::Hasher::new();
    topics.iter().for_each(|topic| add_part(&mut hasher, topic));
    SetDigest(first_half(&hasher.finalize()))
}

/// Behind its length, so that parts cannot flow into each other.
fn add_part(hasher: &mut blake3::Hasher, part: &str) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part.as_bytes());
}

#[cfg(test)]
mod tests;
