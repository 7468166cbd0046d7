//! A process: the rules put together as the shells do it, without waiting.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use trunkline_protocol::dedupe::Window;
use trunkline_protocol::domain::{
    Dice, EpochId, EventId, GapId, Leg, Mono, Now, Origin, Wall, WriterId,
};
use trunkline_protocol::envelope;
use trunkline_protocol::identity::{Canonical, identify};
use trunkline_protocol::journal::{FIRST, Journal};
use trunkline_protocol::ledger::{Action, Fact, Gap, Keeper, News, Stamped};
use trunkline_protocol::sequence::{Logged, Parcel, Sequence};
use trunkline_protocol::standby::{Deferral, DeferralTimings, Roster};
use trunkline_protocol::timings::Timings;
use trunkline_protocol::topic::class_of;

use super::certify::Certify;
use super::client::{Client, Heard};
use super::kafka::{Kafka, Record};
use super::platform::{ORG, ORIGIN_MS, Platform};
use super::reading::Repairs;

/// An event as a process holds it.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: EventId,
    pub epoch: EpochId,
    pub shard: u16,
    pub class: String,
    pub conversation: String,
    pub received: Wall,
}

impl Parcel for Event {
    fn epoch(&self) -> EpochId {
        self.epoch
    }

    fn id(&self) -> EventId {
        self.id
    }

    fn again(self) {}
}

/// What outlives a process: events on its disk, and since when each lies there safely.
#[derive(Default)]
pub struct Disk {
    events: BTreeMap<u64, (Event, u64)>,
    next: u64,
    /// Refuses what is written.
    broken_until: u64,
    /// Were safe on the disk when a process died.
    pub safe: BTreeSet<EventId>,
}

impl Disk {
    /// Takes nothing until then.
    pub fn breaks(&mut self, until: u64) {
        self.broken_until = self.broken_until.max(until);
    }
}

/// A group is synced after this long.
const SYNC_MS: u64 = 5;
const IN_FLIGHT: usize = 500;
const ACK_MS: u64 = 15;

struct Flight {
    event: Event,
    number: u64,
    origin: Origin,
    due_ms: u64,
}

/// How a world is set up.
#[derive(Clone)]
pub struct Setup {
    pub timings: Timings,
    pub names: Vec<String>,
    pub legs: u8,
}

pub struct Node {
    pub client: Client,
    pub frozen_until: u64,
    pub since_ms: u64,
    pub stopping: bool,
    roster: Roster,
    sequence: Sequence<Event>,
    kept: VecDeque<(Event, u64)>,
    in_flight: VecDeque<Flight>,
    disk_failed: bool,
    /// Events of an earlier process: to be sent at once, and held for somebody else.
    behind: VecDeque<u64>,
    behind_deferred: VecDeque<u64>,
    first: u64,
    deferral: Option<Deferral>,
    tail_at: usize,
    question: Option<(u64, usize)>,
    pub keeper: Keeper,
    state_at: usize,
    unwritten: BTreeMap<String, Stamped>,
    told: BTreeMap<GapId, Gap>,
    untold: BTreeMap<GapId, (u16, Gap)>,
    /// Written or read since they were told.
    retell: BTreeSet<GapId>,
    /// Who lived when all gaps were looked at.
    living: BTreeSet<String>,
    look_ms: u64,
    certify_ms: u64,
    repairs: Repairs,
    certify: Certify,
    writer: WriterId,
    /// Records that may lie in the topic twice for a reason that has a name.
    pub may_repeat: u64,
    pub disk: Disk,
    dice: Dice,
}

impl Node {
    /// Starts a process on what an earlier one left on its disk.
    pub fn start(
        setup: &Setup,
        name: &str,
        mut disk: Disk,
        platform: &Platform,
        kafka: &Kafka,
        mut dice: Dice,
    ) -> Self {
        let timings = setup.timings.clone();
        let now_ms = platform.now_ms;
        let roster = Roster::new(name, setup.names.iter().cloned());
        let legs = (0..u16::try_from(platform.shards.len()).expect("few"))
            .flat_map(|shard| (0..setup.legs).map(move |ordinal| Leg { shard, ordinal }));
        let mono0 = dice.next_u64() % (1 << 50);
        let fresh = Dice::new(dice.next_u64());
        let client = Client::new(name, legs, &platform.shards, &timings, mono0, now_ms, fresh);
        let lowest = disk.events.keys().next().copied().unwrap_or(disk.next.max(FIRST));
        disk.next = disk.next.max(FIRST);
        let mut journal = Journal::starting_at(lowest);
        (lowest..disk.next).for_each(|_| _ = journal.keep());
        (lowest..disk.next)
            .filter(|n| !disk.events.contains_key(n))
            .for_each(|n| journal.durable(n));
        let sequence = Sequence::new(Window::default(), &timings).resuming(journal);
        let alone = roster.is_alone();
        let is_direct = |n: &u64| alone || roster.is_primary(disk.events[n].0.shard);
        let (behind, behind_deferred): (VecDeque<u64>, VecDeque<u64>) =
            disk.events.keys().copied().partition(is_direct);
        let first = disk.next;
        let mono = client.mono(now_ms);
        let deferral = (!alone).then(|| Deferral::new(DeferralTimings::default(), first, mono));
        let writer = WriterId(dice.bytes16());
        let mut keeper = Keeper::new(writer, timings.clone());
        let wall = platform.wall();
        kafka.compacted().for_each(|fact| keeper.read(fact, wall));
        keeper.introduce(name, wall);
        let single = |shard: &Vec<String>| shard.iter().cloned().collect::<BTreeSet<String>>();
        let shards = platform.shards.iter().map(single).collect();
        keeper.handle(News::Wanted { shards, looked_before: None }, wall);
        let told = keeper.shards().values().flat_map(|ledger| ledger.gaps());
        let told = told.filter(|(_, gap)| gap.repair.outcome.is_some());
        let told = told.map(|(id, gap)| (*id, gap.clone())).collect();
        // ids of the last minutes come first
        let window = wall.minus(timings.dedupe_window);
        let tail_at = kafka.events.partition_point(|record| record.appended < window);
        let place = setup.names.iter().position(|other| other == name).unwrap_or_default();
        let place = u32::try_from(place).expect("few");
        Self {
            client,
            frozen_until: 0,
            since_ms: now_ms,
            stopping: false,
            sequence,
            kept: VecDeque::new(),
            in_flight: VecDeque::new(),
            disk_failed: false,
            behind,
            behind_deferred,
            first,
            deferral,
            tail_at,
            question: None,
            repairs: Repairs::new(&timings, &keeper, wall),
            certify: Certify::new(&timings, place, setup.names.len(), kafka, wall),
            keeper,
            state_at: kafka.state.len(),
            unwritten: BTreeMap::new(),
            told,
            untold: BTreeMap::new(),
            retell: BTreeSet::new(),
            living: BTreeSet::new(),
            look_ms: now_ms,
            certify_ms: now_ms,
            writer,
            may_repeat: 0,
            roster,
            disk,
            dice,
        }
    }

    /// The process is gone: what was not synced goes with it, some of what was on its way arrives.
    pub fn crash(mut self, platform: &mut Platform, kafka: &mut Kafka) -> Disk {
        let now_ms = platform.now_ms;
        if kafka.takes_events(now_ms) && !self.in_flight.is_empty() {
            let arrive = self.dice.next_u64() as usize % (self.in_flight.len() + 1);
            let flights: Vec<Flight> = self.in_flight.drain(..arrive).collect();
            flights.into_iter().for_each(|flight| append(kafka, &flight, platform.wall()));
        }
        self.client.gone(platform);
        self.disk.events.retain(|_, (_, synced)| *synced <= now_ms);
        let safe: Vec<EventId> = self.disk.events.values().map(|(event, _)| event.id).collect();
        self.disk.safe.extend(safe);
        self.disk
    }

    /// The producer is past help: some of what was on its way arrived, everything is sent again.
    pub fn lose_producer(&mut self, platform: &Platform, kafka: &mut Kafka) {
        if !kafka.takes_events(platform.now_ms) {
            return;
        }
        let arrived = self.dice.next_u64() as usize % (self.in_flight.len() + 1);
        for flight in self.in_flight.iter_mut().take(arrived) {
            append(kafka, flight, platform.wall());
        }
        self.may_repeat += arrived as u64;
        for flight in &mut self.in_flight {
            flight.due_ms = platform.now_ms + ACK_MS;
        }
    }

    /// How many un-acked records a kill may leave in the topic.
    pub fn unacked(&self) -> u64 {
        (self.in_flight.len() + self.kept.len() + self.disk.events.len()) as u64
    }

    /// Whether nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.kept.is_empty()
            && self.in_flight.is_empty()
            && self.behind.is_empty()
            && self.behind_deferred.is_empty()
            && self.unwritten.is_empty()
            && self.untold.is_empty()
    }

    /// When something is due, in milliseconds.
    pub fn next_ms(&self, platform: &Platform, kafka: &Kafka) -> u64 {
        let now_ms = platform.now_ms;
        if self.frozen_until > now_ms {
            return self.frozen_until;
        }
        let mono = |at: Option<Mono>| {
            let start = self.client.mono(0);
            at.map(|at| at.0.saturating_sub(start.0).div_ceil(1_000_000))
        };
        let mut due = vec![self.client.next_ms(), self.look_ms];
        due.extend(mono(self.sequence.poll_timeout()));
        let flight = self.in_flight.front().map(|flight| flight.due_ms);
        due.extend(flight.map(|at| at.max(kafka.down_until).max(kafka.events_blocked_until)));
        due.extend(self.deferral.as_ref().and_then(|d| mono(d.poll_timeout())));
        if !self.unwritten.is_empty() || !self.untold.is_empty() {
            due.push(kafka.down_until.max(now_ms + 1));
        }
        let wall = self.keeper.poll_timeout();
        let offset = self.offset(now_ms);
        due.extend(wall.map(|at| (at.0 - offset).try_into().unwrap_or(0)));
        if self.client.has_wires(platform) && self.has_room() {
            due.push(now_ms + 1);
        }
        due.extend(self.repairs.next_ms());
        let follows = self.deferral.is_some() && self.tail_at < kafka.events.len();
        if (follows || self.state_at < kafka.state.len()) && kafka.takes(now_ms) {
            due.push(now_ms + 1);
        }
        due.into_iter().min().unwrap_or(u64::MAX).max(now_ms + 1)
    }

    /// The platform's time, as it is known here, at time 0.
    fn offset(&self, now_ms: u64) -> i64 {
        let mono = self.client.mono(now_ms);
        let now = i64::try_from(now_ms).expect("in range");
        let origin = i64::try_from(ORIGIN_MS).expect("in range");
        self.client.reading(mono).map_or(origin, |reading| reading.middle().0 - now)
    }

    pub fn now(&self, platform: &Platform) -> Now {
        let mono = self.client.mono(platform.now_ms);
        let now = i64::try_from(platform.now_ms).expect("in range");
        Now { mono, wall: Wall(self.offset(platform.now_ms) + now) }
    }

    fn has_room(&self) -> bool {
        !self.disk_failed || (self.kept.is_empty() && self.in_flight.len() < IN_FLIGHT)
    }

    /// Does everything that is due now.
    ///
    /// `take_over` says whether a record may lie in the topic twice because several write it.
    pub fn step(&mut self, platform: &mut Platform, kafka: &mut Kafka, take_over: bool) {
        if self.frozen_until > platform.now_ms {
            return;
        }
        let now = self.now(platform);
        self.pass(platform.now_ms, now, kafka, take_over);
        let room = self.has_room();
        if !room {
            self.sequence.pause(now.mono);
        }
        self.client.step(platform, room);
        let now = self.now(platform);
        let heard = std::mem::take(&mut self.client.heard);
        for news in std::mem::take(&mut self.client.news) {
            self.keeper.handle(news, now.wall);
        }
        let mut fresh = Vec::new();
        heard.into_iter().for_each(|heard| self.hear(heard, platform, now, &mut fresh));
        let keep = &mut |event, number| fresh.push((event, number));
        let suspects = self.sequence.handle_timeout(now.mono, keep);
        suspects.iter().for_each(|suspect| self.client.suspect(suspect.epoch, now.mono));
        self.append(fresh, platform.now_ms, now.mono);
        self.acknowledged(platform, kafka);
        self.hand_over(platform.now_ms, now.mono);
        self.prove(platform, kafka, now);
    }

    fn hear(
        &mut self,
        heard: Heard,
        platform: &mut Platform,
        now: Now,
        fresh: &mut Vec<(Event, u64)>,
    ) {
        let keep = &mut |event, number| fresh.push((event, number));
        match heard {
            Heard::Opened { epoch, leg, joining, socket } => {
                platform.witness(epoch, socket);
                self.sequence.opened(epoch, leg, joining, now);
            }
            Heard::Pong { epoch, sent } => self.sequence.pong(epoch, sent, now, keep),
            Heard::Ended { epoch, reason } => {
                self.sequence.ended(epoch, reason, now, keep);
            }
            Heard::Frame { epoch, leg, text } => {
                let parts = envelope::read(&text).expect("an envelope of the simulator");
                let topic = &text[parts.topic];
                let id = identify(Canonical::AsReceived, ORG, topic, &text[parts.body]).0;
                let Some(truth) = platform.by_id.get(&id).map(|at| &platform.truths[*at]) else {
                    return; // of no wanted topic
                };
                let event = Event {
                    id,
                    epoch,
                    shard: leg.shard,
                    class: class_of(topic),
                    conversation: truth.conversation.clone(),
                    received: now.wall,
                };
                self.sequence.heard(epoch, id, now.mono);
                self.sequence.arrive(event, now.mono, keep);
            }
        }
    }

    fn append(&mut self, fresh: Vec<(Event, u64)>, now_ms: u64, now: Mono) {
        self.disk_failed |= now_ms < self.disk.broken_until;
        for (event, number) in fresh {
            self.disk.next = number + 1;
            if !self.disk_failed {
                self.disk.events.insert(number, (event.clone(), now_ms + SYNC_MS));
            }
            let direct = self.roster.is_alone() || self.roster.is_primary(event.shard);
            let held = !direct && !self.disk_failed;
            // without a disk nothing can be held
            self.may_repeat += u64::from(!direct && self.disk_failed);
            if let Some(deferral) = &mut self.deferral {
                deferral.kept(number, held, now);
            }
            if !held {
                self.kept.push_back((event, number));
            }
        }
    }

    fn acknowledged(&mut self, platform: &Platform, kafka: &mut Kafka) {
        while kafka.takes_events(platform.now_ms)
            && let Some(flight) = self.in_flight.pop_front_if(|f| f.due_ms <= platform.now_ms)
        {
            append(kafka, &flight, platform.wall());
            self.settled(flight.number);
        }
    }

    fn settled(&mut self, number: u64) {
        self.sequence.durable(std::iter::once(number));
        self.disk.events.remove(&number);
    }

    fn hand_over(&mut self, now_ms: u64, now: Mono) {
        while self.in_flight.len() < IN_FLIGHT {
            if let Some(number) = self.behind.pop_front() {
                self.replay(number, Origin::Replay, now_ms, now);
            } else if let Some((event, number)) = self.kept.pop_front() {
                self.fly(event, number, Origin::Live, now_ms);
            } else {
                return;
            }
        }
    }

    fn fly(&mut self, event: Event, number: u64, origin: Origin, now_ms: u64) {
        let due_ms = now_ms + ACK_MS;
        self.in_flight.push_back(Flight { event, number, origin, due_ms });
    }

    /// What an earlier process kept; not when it turned out to be durable.
    fn replay(&mut self, number: u64, origin: Origin, now_ms: u64, now: Mono) {
        let Some((event, _)) = self.disk.events.get(&number).cloned() else { return };
        if number < self.first && !self.sequence.must_replay(event.id, number, now) {
            self.settled(number);
            return;
        }
        self.fly(event, number, origin, now_ms);
    }

    /// What passes in the output topic, and what others should have written and did not.
    fn pass(&mut self, now_ms: u64, now: Now, kafka: &Kafka, take_over: bool) {
        let Some(mut deferral) = self.deferral.take() else { return };
        if kafka.takes(now_ms) {
            while let Some(record) = kafka.events.get(self.tail_at) {
                self.tail_at += 1;
                if record.epoch.is_none() {
                    continue; // of history
                }
                match self.sequence.logged(record.id, now.mono) {
                    Logged::Kept(number) if deferral.is_held(number) => {
                        deferral.seen(number, now.mono);
                        self.settled(number);
                    }
                    Logged::Unheard => {
                        self.sequence.elsewhere(record.shard, record.id, record.received, now);
                    }
                    Logged::Kept(_) | Logged::Known => {}
                }
            }
            if let Some((question, _)) = self.question.take_if(|(_, end)| *end <= self.tail_at) {
                deferral.answered(question, now.mono);
            }
        }
        if self.question.is_none()
            && let Some(question) = deferral.question(now.mono)
        {
            self.question = Some((question, kafka.events.len()));
        }
        let below = deferral.writable_below(now.mono);
        while self.in_flight.len() < IN_FLIGHT {
            let earlier = self.behind_deferred.front().copied().filter(|n| *n < below);
            if let Some(number) = earlier {
                self.behind_deferred.pop_front();
                self.replay(number, Origin::Standby, now_ms, now.mono);
                continue;
            }
            let Some(number) = deferral.oldest().filter(|n| *n < below) else { break };
            deferral.written(number);
            self.may_repeat += u64::from(take_over);
            self.replay(number, Origin::Standby, now_ms, now.mono);
        }
        self.deferral = Some(deferral);
    }

    fn prove(&mut self, platform: &mut Platform, kafka: &mut Kafka, now: Now) {
        while let Some(news) = self.sequence.poll_news() {
            self.keeper.handle(news, now.wall);
        }
        let takes = kafka.takes(platform.now_ms);
        if takes {
            while let Some((_, fact)) = kafka.state.get(self.state_at) {
                self.state_at += 1;
                if fact.writer != self.writer {
                    self.retell.extend(gap_of(fact));
                    self.keeper.read(fact, now.wall);
                }
            }
        }
        self.keeper.handle_timeout(now.wall);
        self.repairs.step(&mut self.keeper, &mut self.client, &self.roster, platform, kafka, now);
        let mut changed = false;
        while let Some(action) = self.keeper.poll() {
            match action {
                Action::Write(fact) => {
                    let gap = gap_of(&fact);
                    changed |= gap.is_some();
                    self.retell.extend(gap);
                    self.unwritten.insert(fact.key("sim"), fact);
                }
                Action::Contradiction(epoch) => panic!("I3: {epoch} was used twice"),
            }
        }
        let look = self.look_ms <= platform.now_ms;
        if changed || look {
            self.tell_gaps(now.wall);
        }
        if takes {
            let facts = std::mem::take(&mut self.unwritten);
            let others = self.state_at == kafka.state.len();
            facts.into_iter().for_each(|(key, fact)| kafka.write(key, fact));
            if others {
                self.state_at = kafka.state.len(); // its own words need no reading
            }
            kafka.gaps.append(&mut self.untold);
        }
        if look {
            self.look_ms = platform.now_ms + LOOK_MS;
            if takes && self.certify_ms <= platform.now_ms {
                self.certify_ms = platform.now_ms + CERTIFY_MS;
                self.certify.step(kafka, now.wall, &mut self.repairs.recent);
            }
        }
    }

    /// Gaps that changed; all of them when other replicas live than before, for then others may be in charge.
    fn tell_gaps(&mut self, now: Wall) {
        let living = self.keeper.living_replicas(now);
        let all = self.living != living;
        let changed = std::mem::take(&mut self.retell);
        for (shard, ledger) in self.keeper.shards() {
            if !self.roster.is_in_charge(*shard, &living) {
                continue;
            }
            let changed = changed.iter().filter_map(|id| ledger.gaps().get(id));
            let gaps: Vec<&Gap> =
                if all { ledger.gaps().values().collect() } else { changed.collect() };
            for gap in gaps {
                if self.told.get(&gap.gap) != Some(gap) {
                    self.told.insert(gap.gap, gap.clone());
                    self.untold.insert(gap.gap, (*shard, gap.clone()));
                }
            }
        }
        self.living = living;
    }
}

fn gap_of(fact: &Stamped) -> Option<GapId> {
    if let Fact::Gap(gap) = &fact.fact { Some(gap.gap) } else { None }
}

/// Between two looks at gaps, and at certificates; the service looks more often, and finds nothing.
const LOOK_MS: u64 = 60_000;
const CERTIFY_MS: u64 = 600_000;

fn append(kafka: &mut Kafka, flight: &Flight, now: Wall) {
    let event = &flight.event;
    kafka.append(Record {
        id: event.id,
        class: event.class.clone(),
        conversation: event.conversation.clone(),
        epoch: Some(event.epoch),
        received: event.received,
        origin: flight.origin,
        gap: None,
        shows: None,
        shard: event.shard,
        appended: now,
    });
}
