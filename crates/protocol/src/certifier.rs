//! Says for every past interval what may be said, from what lies in the topics alone: facts from the
//! state topic, counts from the output topics, its own earlier words from the certificate topic.
//!
//! ```text
//! interval over ── every instant proven or in a recorded gap ──► barrier: topics read to their ends
//!    ▲                                                              └──► certificate, revision 1
//!    └── facts or counts say something else ──► certificate, next revision
//! ```
//! Records that belong to an interval whose ids are forgotten make the topic be read again from
//! there: counts are exact or not published.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::certificate::{Judge, Judgement};
use crate::domain::{EpochId, EventId, GapCause, GapId, Interval, Origin, Wall};
use crate::ledger::{Contradiction, Fact, Gap, ShardLedger, Stamped};
use crate::tally::{Tally, Total};
use crate::timings::Timings;

/// What of a record of the events topic counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub partition: i32,
    /// Where.
    pub offset: i64,
    /// Which.
    pub id: EventId,
    /// Class of its topic.
    pub class: String,
    /// Coverage it was heard in; `None` for what was not heard.
    pub epoch: Option<EpochId>,
    /// When it was heard.
    pub received: Wall,
    /// Where it comes from.
    pub origin: Origin,
    /// The gap it fills.
    pub gap: Option<GapId>,
}

/// What the topics hold of an interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Distinct ids heard on sockets.
    pub live: u64,
    /// Distinct ids fetched for the gaps of the interval.
    pub backfill: u64,
    /// Quarantined messages of the shard.
    pub quarantine: u64,
    /// The live ones by partition.
    pub partitions: BTreeMap<i32, Total>,
}

/// Which interval of what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Ordinal of the shard.
    pub shard: u16,
    /// Class of topics.
    pub class: String,
    /// Start; the end is that of its certificate interval.
    pub from: Wall,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Of what.
    pub subject: Subject,
    /// Until when.
    pub to: Wall,
    /// From 1.
    pub revision: u32,
    /// What may be said, and what backs it.
    pub judgement: Judgement,
    /// What the topics hold.
    pub counts: Counts,
}

type Heard = BTreeMap<(String, EpochId), BTreeMap<i32, Tally>>;

/// Derives certificates.
#[derive(Clone, Debug)]
pub struct Certifier {
    timings: Timings,
    /// Which of how many certifiers this is.
    place: (u32, u32),
    shards: BTreeMap<u16, ShardLedger>,
    homes: BTreeMap<EpochId, u16>,
    published: BTreeMap<Subject, Certificate>,
    /// When classes were wanted first: intervals begin there, so records are told apart there.
    begun: BTreeSet<Wall>,
    /// Live records by the part of a certificate interval they belong to.
    heard: BTreeMap<Wall, Heard>,
    quarantined: BTreeMap<Wall, BTreeMap<EpochId, Tally>>,
    restored: BTreeMap<GapId, Tally>,
    /// Gaps whose ids are forgotten: a month of history has many.
    given_up: BTreeSet<GapId>,
    /// The output topics are read from here on.
    read_since: Wall,
    /// Intervals from here on are counted, and these.
    count_from: Wall,
    recount: BTreeSet<Wall>,
    /// Behind the last record of each partition that was ever seen, or that a certifier called counted.
    frontier: BTreeMap<i32, i64>,
    /// Behind the last record of each partition that a certificate speaks of.
    spoken: BTreeMap<i32, i64>,
    /// Our word about these lies behind a newer one of another certifier, and is the last one.
    overtaken: BTreeSet<Subject>,
    /// Counted anew since something was certified.
    changed: BTreeSet<Wall>,
    changed_gaps: BTreeSet<GapId>,
    /// Intervals whose ids are forgotten and that got a record all the same.
    late: BTreeSet<Wall>,
    /// Gaps whose first records may lie further back, and when they were recorded.
    unread_gaps: BTreeMap<GapId, Wall>,
}

impl Certifier {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(timings: Timings) -> Self {
        Self {
            timings,
            place: (0, 1),
            shards: BTreeMap::new(),
            homes: BTreeMap::new(),
            published: BTreeMap::new(),
            begun: BTreeSet::new(),
            heard: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            restored: BTreeMap::new(),
            given_up: BTreeSet::new(),
            read_since: Wall(i64::MAX),
            count_from: Wall(i64::MAX),
            recount: BTreeSet::new(),
            frontier: BTreeMap::new(),
            spoken: BTreeMap::new(),
            overtaken: BTreeSet::new(),
            changed: BTreeSet::new(),
            changed_gaps: BTreeSet::new(),
            late: BTreeSet::new(),
            unread_gaps: BTreeMap::new(),
        }
    }

    /// This is number `place` of `count` certifiers. Should two of them speak at once, their revisions
    /// differ: each has numbers of its own.
    #[must_use]
    pub fn among(mut self, place: u32, count: u32) -> Self {
        self.place = (place, count.max(1));
        self
    }

    fn is_ours(&self, revision: u32) -> bool {
        let (place, count) = self.place;
        revision % count == (place + 1) % count
    }

    fn revision_after(&self, known: u32) -> u32 {
        let next = known + 1..=known + self.place.1;
        next.into_iter().find(|&revision| self.is_ours(revision)).unwrap_or(known + 1)
    }

    /// A fact of the state topic. What contradicts it is passed over: its owner pages.
    pub fn fact(&mut self, stamped: &Stamped) {
        if let Fact::Epoch { epoch, .. } = &stamped.fact {
            self.homes.insert(*epoch, stamped.shard);
        }
        if matches!(stamped.fact, Fact::Written { .. }) {
            return; // the records themselves are counted
        }
        let ledger = self.shards.entry(stamped.shard).or_default();
        let (Ok(()) | Err(Contradiction(_))) = ledger.add(stamped.writer, &stamped.fact);
        if matches!(stamped.fact, Fact::Wanted { .. }) {
            // known before the first record of the class: coverage begins a margin later
            let first =
                ledger.classes().into_iter().filter_map(|class| ledger.class_wanted(&class));
            self.begun.extend(first.map(|wanted| wanted.from));
        }
    }

    /// The shard in which an epoch hears.
    #[must_use]
    pub fn home(&self, epoch: EpochId) -> Option<u16> {
        self.homes.get(&epoch).copied()
    }

    /// A certificate that was published.
    pub fn published(&mut self, certificate: Certificate) {
        for (partition, total) in &certificate.counts.partitions {
            raise(&mut self.spoken, *partition, total.end_offset);
        }
        let newest = self.published.get(&certificate.subject).map(|known| known.revision);
        if newest.is_none_or(|newest| newest <= certificate.revision) {
            self.overtaken.remove(&certificate.subject);
            self.published.insert(certificate.subject.clone(), certificate);
        } else if self.is_ours(certificate.revision) {
            self.overtaken.insert(certificate.subject);
        }
    }

    /// From when on the output topics have to be read, again where something was found to be
    /// missing; asked once facts and certificates are read, and whenever [`Self::must_read_again`].
    #[must_use]
    pub fn read_from(&self, now: Wall) -> Wall {
        let further = self.late.iter().chain(&self.changed).chain(self.unread_gaps.values());
        let further = further.copied();
        // records of gaps that are not closed were written after the gap was recorded
        let gaps = self.shards.values().flat_map(|ledger| ledger.gaps().values());
        // those that somebody asked about may stay open for good; what they hold is read when it is said
        let asked = |gap: &&Gap| gap.cause == GapCause::BeforeActivation;
        let open = gaps.filter(|gap| gap.repair.outcome.is_none() && !asked(gap));
        let open = open.map(|gap| gap.recorded_at);
        let unsaid = self.open(now);
        let unsaid = unsaid.iter().flat_map(|(subject, _, judgement)| {
            let gaps = self.shards.get(&subject.shard).map(ShardLedger::gaps);
            let of = move |id| gaps.and_then(|gaps| gaps.get(id)).map(|gap| gap.recorded_at);
            judgement.gaps.iter().filter_map(of)
        });
        let open = open.chain(unsaid);
        further.chain(open).chain([self.first_unsaid(now)]).min().unwrap_or(now)
    }

    /// A certifier, this one or another, says that certificates count every record before these offsets
    /// by partition.
    pub fn counted(&mut self, offsets: &BTreeMap<i32, i64>) {
        offsets.iter().for_each(|(partition, end)| raise(&mut self.frontier, *partition, *end));
    }

    /// What this certifier may say so of, once its certificates are durable; `None` while it owes one.
    #[must_use]
    pub fn has_counted(&self) -> Option<BTreeMap<i32, i64>> {
        let owes =
            self.must_read_again() || !self.changed.is_empty() || !self.changed_gaps.is_empty();
        (!owes).then(|| self.frontier.clone())
    }

    /// What lies further on by partition is not counted yet, whatever interval it belongs to, so no
    /// reading begins later. Where no certifier has said what it counted: behind the last record that a
    /// certificate speaks of.
    #[must_use]
    pub fn frontier(&self) -> BTreeMap<i32, i64> {
        if self.frontier.is_empty() { self.spoken.clone() } else { self.frontier.clone() }
    }

    /// The output topics are read from here on.
    pub fn reads_from(&mut self, from: Wall, now: Wall) {
        self.read_since = from;
        self.count_from = self.first_unsaid(now);
        self.frontier = self.frontier();
        self.recount = std::mem::take(&mut self.late);
        self.recount.append(&mut self.changed);
        self.changed_gaps.extend(std::mem::take(&mut self.unread_gaps).into_keys());
        self.heard.clear();
        self.quarantined.clear();
        self.restored.clear();
        self.given_up.clear();
    }

    /// Whether counts are missing that only lie further back in the topics.
    #[must_use]
    pub fn must_read_again(&self) -> bool {
        !self.late.is_empty() || !self.unread_gaps.is_empty()
    }

    /// A record of the events topic.
    pub fn seen(&mut self, seen: Seen) {
        let known = self.frontier.get(&seen.partition);
        let new = known.is_none_or(|known| seen.offset >= *known);
        raise(&mut self.frontier, seen.partition, seen.offset + 1);
        match (seen.origin, seen.gap, seen.epoch) {
            (Origin::Backfill, Some(gap), _) => {
                self.restored.entry(gap).or_default().add(seen.offset, seen.id);
                if new {
                    self.changed_gaps.insert(gap);
                }
            }
            (Origin::Live | Origin::Standby | Origin::Replay, _, Some(epoch)) => {
                let slot = self.slot(seen.received);
                if self.counts_slot(slot, new) {
                    let part = self.part(seen.received);
                    let heard = self.heard.entry(part).or_default();
                    let partitions = heard.entry((seen.class, epoch)).or_default();
                    partitions.entry(seen.partition).or_default().add(seen.offset, seen.id);
                }
            }
            // an audit's find belongs to no interval that somebody heard, nor does what a queue gave
            (
                Origin::Live
                | Origin::Standby
                | Origin::Replay
                | Origin::Backfill
                | Origin::Reconcile
                | Origin::EventBridge,
                ..,
            ) => {}
        }
    }

    /// A message in the quarantine topic.
    pub fn quarantined(&mut self, id: EventId, epoch: EpochId, received: Wall) {
        let slot = self.slot(received);
        if self.counts_slot(slot, false) {
            let part = self.part(received);
            let quarantined = self.quarantined.entry(part).or_default();
            quarantined.entry(epoch).or_default().add(0, id);
        }
    }

    fn counts_slot(&mut self, slot: Wall, new: bool) -> bool {
        if self.is_counted(slot) {
            self.changed.insert(slot);
            return true;
        }
        if new && self.published.values().any(|known| self.slot(known.subject.from) == slot) {
            self.late.insert(slot);
        }
        false
    }

    /// Whether something could be said that has not been said yet, were the topics read to their
    /// ends.
    #[must_use]
    pub fn is_pending(&self, now: Wall) -> bool {
        !self.open(now).is_empty()
    }

    /// What can be said as of `at`: facts and output topics are read to their ends of then. What is
    /// returned counts as published.
    pub fn certify(&mut self, at: Wall) -> Vec<Certificate> {
        let mut new = Vec::new();
        let (owed, owed_gaps) = self.owed(at);
        for (subject, to, judgement) in self.open(at) {
            let known = self.published.get(&subject);
            let Some(counts) = self.counts(&subject, &judgement, known) else {
                let gaps = self.shards.get(&subject.shard).map(ShardLedger::gaps);
                let gaps = judgement.gaps.iter().filter_map(|gap| gaps?.get(gap));
                let unread = gaps.filter(|gap| {
                    gap.recorded_at < self.read_since || self.given_up.contains(&gap.gap)
                });
                self.unread_gaps.extend(unread.map(|gap| (gap.gap, gap.recorded_at)));
                let slot = self.slot(subject.from);
                self.late.extend(self.changed.contains(&slot).then_some(slot));
                continue;
            };
            let said =
                known.is_some_and(|known| known.judgement == judgement && known.counts == counts);
            if said && !self.overtaken.contains(&subject) {
                continue;
            }
            let revision = self.revision_after(known.map_or(0, |known| known.revision));
            new.push(Certificate { subject, to, revision, judgement, counts });
        }
        for certificate in &new {
            self.overtaken.remove(&certificate.subject);
            self.published.insert(certificate.subject.clone(), certificate.clone());
        }
        self.changed = owed;
        self.changed_gaps = owed_gaps;
        self.forget(at);
        new
    }

    /// What was counted anew of intervals that were certified and are not accounted for at the moment: it
    /// is said as soon as they are.
    fn owed(&self, at: Wall) -> (BTreeSet<Wall>, BTreeSet<GapId>) {
        let mut owed = (BTreeSet::new(), BTreeSet::new());
        let settled = at.minus(self.timings.gap_patience);
        if self.changed.is_empty() && self.changed_gaps.is_empty() {
            return owed;
        }
        for (_, ledger, class, wanted) in self.wanted() {
            let gaps = self.changed_gaps.iter().filter_map(|id| ledger.gaps().get(id));
            let gaps: Vec<_> = gaps.map(|gap| (gap.gap, gap.from..gap.to.unwrap_or(at))).collect();
            let judge = Judge::new(ledger, &class);
            for interval in self.intervals(wanted, settled) {
                let slot = self.slot(interval.from);
                let changed = self.changed.contains(&slot).then_some(slot);
                let inside =
                    |span: &Range<Wall>| span.start < interval.to && interval.from < span.end;
                let mut touched = gaps.iter().filter(|(_, span)| inside(span)).peekable();
                if (changed.is_none() && touched.peek().is_none())
                    || judge.is_accounted_for(interval)
                {
                    continue;
                }
                owed.0.extend(changed);
                owed.1.extend(touched.map(|(gap, _)| *gap));
            }
        }
        owed
    }

    /// Intervals of which something else might have to be said.
    fn open(&self, at: Wall) -> Vec<(Subject, Wall, Judgement)> {
        let mut open = Vec::new();
        let settled = at.minus(self.timings.gap_patience);
        for (shard, ledger, class, wanted) in self.wanted() {
            let (judge, missed) = (Judge::new(ledger, &class), ledger.missed(&class));
            let past = self.past(ledger, &class);
            for interval in past.into_iter().chain(self.intervals(wanted, settled)) {
                if !judge.is_accounted_for(interval) {
                    continue;
                }
                let subject = Subject { shard, class: class.clone(), from: interval.from };
                let judgement = judge.judge(interval, &missed, &self.timings);
                let recounted = self.changed.contains(&self.slot(interval.from))
                    || judgement.gaps.iter().any(|gap| self.changed_gaps.contains(gap));
                let known = self.published.get(&subject);
                let overtaken = self.overtaken.contains(&subject);
                if recounted || overtaken || known.is_none_or(|known| known.judgement != judgement)
                {
                    open.push((subject, interval.to, judgement));
                }
            }
        }
        open
    }

    /// `None` when what is known of the topics does not reach back far enough.
    fn counts(
        &self,
        subject: &Subject,
        judgement: &Judgement,
        known: Option<&Certificate>,
    ) -> Option<Counts> {
        let slot = self.slot(subject.from);
        let ledger = self.shards.get(&subject.shard)?;
        let is_past = ledger.past(&subject.class).any(|past| past.contains(subject.from));
        let mut counts = match is_past {
            true => Counts::default(), // no socket was to hear anything
            false if self.is_counted(slot) => self.live(subject),
            false => known?.counts.clone(),
        };
        let gaps = ledger.gaps();
        let mut restored = Tally::default();
        for id in &judgement.gaps {
            if gaps.get(id)?.recorded_at < self.read_since || self.given_up.contains(id) {
                return None;
            }
            self.restored.get(id).into_iter().for_each(|tally| restored.absorb(tally));
        }
        counts.backfill = restored.total().count;
        Some(counts)
    }

    fn live(&self, subject: &Subject) -> Counts {
        let inside = subject.from..Wall(self.slot(subject.from).0 + self.length());
        let at_home = |epoch: &EpochId| self.homes.get(epoch) == Some(&subject.shard);
        let mut tallies: BTreeMap<i32, Tally> = BTreeMap::new();
        for ((class, epoch), partitions) in self.heard.range(inside.clone()).flat_map(|(_, h)| h) {
            if *class != subject.class || !at_home(epoch) {
                continue;
            }
            for (partition, tally) in partitions {
                tallies.entry(*partition).or_default().absorb(tally);
            }
        }
        let partitions: BTreeMap<i32, Total> =
            tallies.into_iter().map(|(partition, tally)| (partition, tally.total())).collect();
        let mut quarantined = Tally::default();
        let there = self.quarantined.range(inside).flat_map(|(_, q)| q);
        there.filter(|(epoch, _)| at_home(epoch)).for_each(|(_, tally)| quarantined.absorb(tally));
        Counts {
            live: partitions.values().map(|total| total.count).sum(),
            backfill: 0,
            quarantine: quarantined.total().count,
            partitions,
        }
    }

    /// Ids of intervals that are certified and a whole interval old are given up.
    fn forget(&mut self, at: Wall) {
        let keep = self.slot(at.minus(self.timings.certificate_interval * 2));
        let from = keep.min(self.first_unsaid(at)).max(self.count_from);
        self.count_from = from;
        self.recount = self.changed.iter().copied().filter(|slot| *slot < from).collect();
        let (mut heard, mut quarantined) =
            (std::mem::take(&mut self.heard), std::mem::take(&mut self.quarantined));
        heard.retain(|part, _| self.is_counted(self.slot(*part)));
        quarantined.retain(|part, _| self.is_counted(self.slot(*part)));
        (self.heard, self.quarantined) = (heard, quarantined);
        let gaps = self.shards.values().flat_map(|ledger| ledger.gaps().values());
        let asked = gaps.filter(|gap| gap.cause == GapCause::BeforeActivation);
        let closed = asked.filter(|gap| gap.repair.outcome.is_some()).map(|gap| gap.gap);
        let owed = |id: &GapId| self.changed_gaps.contains(id) || self.unread_gaps.contains_key(id);
        let done: Vec<GapId> = closed.filter(|id| !owed(id)).collect();
        for id in done {
            if self.restored.remove(&id).is_some() {
                self.given_up.insert(id);
            }
        }
    }

    /// Whether the ids of an interval are known.
    fn is_counted(&self, slot: Wall) -> bool {
        slot >= self.count_from || self.recount.contains(&slot)
    }

    /// Every shard with its classes, and since when and until when each is wanted.
    fn wanted(&self) -> impl Iterator<Item = (u16, &ShardLedger, String, Interval)> {
        self.shards.iter().flat_map(|(shard, ledger)| {
            let wanted = move |class: String| {
                let wanted = ledger.class_wanted(&class)?;
                Some((*shard, ledger, class, wanted))
            };
            ledger.classes().into_iter().filter_map(wanted)
        })
    }

    fn first_unsaid(&self, now: Wall) -> Wall {
        let mut from = self.slot(now);
        for (shard, _, class, wanted) in self.wanted() {
            let said = |interval: &Interval| {
                let class = class.clone();
                self.published.contains_key(&Subject { shard, class, from: interval.from })
            };
            let missing = self.intervals(wanted, now).find(|interval| !said(interval));
            from = missing.map_or(from, |interval| from.min(self.slot(interval.from)));
        }
        from
    }

    /// Start of the certificate interval of an instant.
    fn slot(&self, at: Wall) -> Wall {
        Wall(at.0 - at.0.rem_euclid(self.length()))
    }

    /// Start of the part of a certificate interval in which no class begins to be wanted.
    fn part(&self, at: Wall) -> Wall {
        let slot = self.slot(at);
        self.begun.range(slot..=at).next_back().copied().unwrap_or(slot)
    }

    fn length(&self) -> i64 {
        i64::try_from(self.timings.certificate_interval.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    /// The parts of certificate intervals before a class was wanted that somebody asked history about.
    fn past(&self, ledger: &ShardLedger, class: &str) -> Vec<Interval> {
        let mut parts = Vec::new();
        for Interval { mut from, to } in ledger.past(class) {
            while from < to {
                let end = Wall(self.slot(from).0 + self.length()).min(to);
                parts.push(Interval::new(from, end));
                from = end;
            }
        }
        parts
    }

    /// The certificate intervals of what is wanted that are over, and as far back as history reaches.
    fn intervals(&self, wanted: Interval, now: Wall) -> impl Iterator<Item = Interval> + use<> {
        let oldest = self.slot(now.minus(self.timings.history_reach));
        let (length, wanted_from) = (self.length(), wanted.from);
        let first = self.slot(wanted_from).max(oldest);
        let end = wanted.to.min(now);
        (0..)
            .map(move |n: i64| Wall(first.0 + n * length))
            .take_while(move |start| start.0 + length <= end.0)
            .map(move |start| Interval::new(start.max(wanted_from), Wall(start.0 + length)))
    }
}

fn raise(offsets: &mut BTreeMap<i32, i64>, partition: i32, end: i64) {
    let known = offsets.entry(partition).or_default();
    *known = (*known).max(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Level;
    use crate::domain::{Outcome, SetDigest, WriterId};
    use crate::ledger::{Reading, Repair, Source, VERSION, Want};

    const CLASS: &str = "v2.routing.queues.{id}.conversations";
    const TOPIC: &str = "v2.routing.queues.q.conversations";
    const H: i64 = 3_600_000;

    fn epoch(n: u8) -> EpochId {
        EpochId([n; 16])
    }

    fn tell(certifier: &mut Certifier, fact: Fact) {
        certifier.fact(&Stamped { v: VERSION, shard: 0, writer: WriterId([1; 16]), fact });
    }

    /// One topic is wanted since 100 h + 10 min, and one socket proves it until then.
    fn covered(to: i64) -> Certifier {
        let mut certifier = Certifier::new(Timings::default());
        let from = Wall(100 * H + H / 6);
        let topics = [(TOPIC.to_owned(), Want { from, to: None })].into();
        let (epoch, set) = (epoch(1), SetDigest([1; 16]));
        tell(&mut certifier, Fact::Wanted { as_of: from, topics });
        tell(&mut certifier, Fact::Set { set, topics: vec![TOPIC.to_owned()] });
        tell(&mut certifier, Fact::Epoch { epoch, set, leg: 0, from, rides: None });
        claim(&mut certifier, to);
        certifier
    }

    fn claim(certifier: &mut Certifier, to: i64) {
        let interval = Interval::new(Wall(100 * H + H / 6), Wall(to));
        tell(certifier, Fact::Claim { epoch: epoch(1), interval });
    }

    fn gap(to: i64) -> Fact {
        Fact::Gap(Gap {
            gap: GapId([7; 16]),
            class: CLASS.to_owned(),
            topics: Vec::new(),
            from: Wall(102 * H + H / 2),
            to: Some(Wall(to)),
            cause: GapCause::Close,
            recorded_at: Wall(102 * H + H / 2 + 30_000),
            repair: Repair::default(),
        })
    }

    fn record(offset: i64, id: u8, received: i64) -> Seen {
        Seen {
            partition: 3,
            offset,
            id: EventId([id; 16]),
            class: CLASS.to_owned(),
            epoch: Some(epoch(1)),
            received: Wall(received),
            origin: Origin::Live,
            gap: None,
        }
    }

    /// What history gave for the gap.
    fn restored(offset: i64, id: u8) -> Seen {
        let gap = Some(GapId([7; 16]));
        Seen { origin: Origin::Backfill, gap, ..record(offset, id, 104 * H) }
    }

    fn words(certificates: &[Certificate]) -> Vec<(i64, i64, u32, Level, u64)> {
        let word = |c: &Certificate| {
            let from = c.subject.from.0 / H;
            (from, c.to.0 / H, c.revision, c.judgement.level, c.counts.live)
        };
        certificates.iter().map(word).collect()
    }

    #[test]
    fn what_was_heard_before_a_class_was_wanted_is_not_counted() {
        let mut certifier = covered(101 * H);
        let now = Wall(101 * H + H / 2);
        certifier.reads_from(Wall(100 * H), now);
        for (offset, received) in [(1, 100 * H + H / 6 - 1), (2, 100 * H + H / 6)] {
            certifier.seen(record(offset, u8::try_from(offset).unwrap(), received));
        }
        assert_eq!(words(&certifier.certify(now)), [(100, 101, 1, Level::LiveSingle, 1)]);
    }

    #[test]
    fn a_record_behind_everything_certified_is_counted_by_the_next_process_too() {
        let mut dead = covered(101 * H);
        let now = Wall(101 * H + H / 2);
        dead.reads_from(Wall(100 * H), now);
        dead.seen(record(5, 1, 101 * H - 1));
        let said = dead.certify(now);
        let mut next = covered(101 * H);
        said.iter().for_each(|certificate| next.published(certificate.clone()));
        next.counted(&dead.has_counted().unwrap());
        assert_eq!(next.frontier(), [(3, 6)].into());
        let from = next.read_from(now);
        assert_eq!(from, Wall(101 * H), "nothing else is unsaid");
        next.reads_from(from, now);
        next.seen(record(6, 2, 101 * H - 1));
        assert!(next.must_read_again(), "it came after the dead one's last word");
        next.reads_from(next.read_from(now), now);
        next.seen(record(5, 1, 101 * H - 1));
        next.seen(record(6, 2, 101 * H - 1));
        assert_eq!(words(&next.certify(now)), [(100, 101, 2, Level::LiveSingle, 2)]);
    }

    #[test]
    fn an_interval_is_certified_once_when_all_of_it_is_accounted_for() {
        let mut certifier = covered(101 * H);
        let now = Wall(101 * H + H / 2);
        assert_eq!(certifier.read_from(now), Wall(100 * H));
        certifier.reads_from(Wall(100 * H), now);
        for (offset, id, received) in
            [(5, 1, 100 * H + H / 2), (6, 2, 101 * H - 1), (7, 1, 101 * H - 1), (8, 3, 101 * H)]
        {
            certifier.seen(record(offset, id, received));
        }
        assert!(certifier.is_pending(now));
        let made = certifier.certify(now);
        assert_eq!(words(&made), [(100, 101, 1, Level::LiveSingle, 2)]);
        let total = made[0].counts.partitions[&3];
        assert_eq!((total.first_offset, total.end_offset, total.count), (5, 8, 2));
        assert!(!certifier.is_pending(now));
        // the next one is over, but nobody knows yet what became of its end
        claim(&mut certifier, 101 * H + H / 2);
        assert!(!certifier.is_pending(Wall(102 * H + H / 2)));
        claim(&mut certifier, 102 * H);
        assert_eq!(
            words(&certifier.certify(Wall(102 * H + H / 2))),
            [(101, 102, 1, Level::LiveSingle, 1)]
        );
    }

    #[test]
    fn a_recorded_gap_is_certified_as_open_and_again_when_more_is_known() {
        let mut certifier = covered(102 * H + H / 2);
        let now = Wall(103 * H + H / 2);
        certifier.reads_from(Wall(100 * H), now);
        assert_eq!(
            certifier.certify(now).len(),
            2,
            "the third hour has a hole that is not recorded"
        );
        tell(&mut certifier, gap(103 * H));
        let made = certifier.certify(now);
        assert_eq!(words(&made), [(102, 103, 1, Level::Open, 0)]);
        assert_eq!(made[0].judgement.gaps, [GapId([7; 16])]);
        let restored = restored(9, 9);
        certifier.seen(restored.clone());
        certifier.seen(Seen { offset: 10, ..restored });
        let made = certifier.certify(now);
        assert_eq!((made[0].revision, made[0].counts.backfill), (2, 1));
    }

    #[test]
    fn a_new_process_says_nothing_again_and_goes_on_where_the_old_one_ended() {
        let mut old = covered(103 * H);
        let now = Wall(103 * H + H / 2);
        old.reads_from(Wall(100 * H), now);
        old.seen(record(1, 1, 100 * H + H / 2));
        let made = old.certify(now);
        let mut new = covered(104 * H);
        made.into_iter().for_each(|certificate| new.published(certificate));
        let later = Wall(104 * H + H / 2);
        assert_eq!(new.read_from(later), Wall(103 * H));
        new.reads_from(Wall(103 * H), later);
        assert_eq!(words(&new.certify(later)), [(103, 104, 1, Level::LiveSingle, 0)]);
    }

    #[test]
    fn a_record_that_comes_after_its_certificate_makes_the_topic_be_read_again() {
        let mut certifier = covered(106 * H);
        let now = Wall(106 * H + H / 2);
        certifier.reads_from(Wall(100 * H), now);
        certifier.seen(record(1, 1, 101 * H));
        assert_eq!(certifier.certify(now).len(), 6);
        certifier.seen(record(2, 2, 101 * H + 1));
        assert!(certifier.must_read_again());
        assert_eq!(certifier.read_from(now), Wall(101 * H));
        certifier.reads_from(Wall(101 * H), now);
        certifier.seen(record(1, 1, 101 * H));
        certifier.seen(record(2, 2, 101 * H + 1));
        assert!(!certifier.must_read_again());
        assert_eq!(words(&certifier.certify(now)), [(101, 102, 2, Level::LiveSingle, 2)]);
        assert_eq!(certifier.certify(now), []);
    }

    #[test]
    fn a_record_whose_certificate_was_never_published_is_counted_by_the_next_process() {
        let mut dead = covered(102 * H);
        let now = Wall(102 * H + H / 2);
        dead.reads_from(Wall(100 * H), now);
        dead.seen(record(5, 1, 101 * H - 1));
        let mut said = dead.certify(now);
        let counted = dead.has_counted().unwrap();
        dead.seen(record(6, 2, 101 * H - 1));
        dead.seen(record(7, 3, 102 * H - 1));
        assert_eq!(dead.has_counted(), None, "two certificates are owed");
        let revised = dead.certify(now);
        assert_eq!(
            words(&revised),
            [(100, 101, 2, Level::LiveSingle, 2), (101, 102, 2, Level::LiveSingle, 1)]
        );
        said.extend(revised.into_iter().skip(1)); // it is killed between the two
        let mut next = covered(102 * H);
        said.iter().for_each(|certificate| next.published(certificate.clone()));
        next.counted(&counted);
        next.reads_from(next.read_from(now), now);
        next.seen(record(6, 2, 101 * H - 1));
        assert!(next.must_read_again());
        next.reads_from(next.read_from(now), now);
        next.seen(record(5, 1, 101 * H - 1));
        next.seen(record(6, 2, 101 * H - 1));
        next.seen(record(7, 3, 102 * H - 1));
        assert_eq!(words(&next.certify(now)), [(100, 101, 2, Level::LiveSingle, 2)]);
    }

    #[test]
    fn what_a_late_reading_restored_is_counted_though_the_topic_had_to_be_read_again_for_it() {
        let now = Wall(103 * H + H / 2);
        let mut old = covered(102 * H + H / 2);
        tell(&mut old, gap(103 * H));
        old.reads_from(Wall(100 * H), now);
        let restored = restored(9, 9);
        old.seen(restored.clone());
        let made = old.certify(now);
        let mut new = covered(102 * H + H / 2);
        tell(&mut new, gap(103 * H));
        made.into_iter().for_each(|certificate| new.published(certificate));
        new.counted(&old.has_counted().unwrap());
        new.reads_from(Wall(104 * H), now);
        let later = Seen { offset: 10, id: EventId([10; 16]), ..restored.clone() };
        new.seen(later.clone());
        assert_eq!(new.certify(now), []);
        assert!(new.must_read_again());
        new.reads_from(new.read_from(now), now);
        new.seen(restored);
        new.seen(later);
        let made = new.certify(now);
        assert_eq!(made.iter().map(|c| c.counts.backfill).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_record_that_comes_while_its_interval_is_in_doubt_is_counted_once_it_is_not() {
        let mut certifier = covered(103 * H);
        let now = Wall(103 * H + H / 2);
        certifier.reads_from(Wall(100 * H), now);
        certifier.seen(record(1, 1, 102 * H + H / 2));
        assert_eq!(certifier.certify(now).len(), 3);
        let interval = Interval::new(Wall(102 * H + H / 2), Wall(102 * H + H / 2 + 1));
        let second = Fact::Epoch {
            epoch: epoch(2),
            set: SetDigest([1; 16]),
            leg: 1,
            from: Wall(102 * H),
            rides: None,
        };
        tell(&mut certifier, Fact::Doubt { epoch: epoch(1), interval });
        certifier.seen(record(2, 2, 102 * H + H / 2 + 1));
        assert_eq!(certifier.certify(now), []);
        assert_eq!(certifier.has_counted(), None);
        tell(&mut certifier, second);
        tell(
            &mut certifier,
            Fact::Claim { epoch: epoch(2), interval: Interval::new(Wall(102 * H), Wall(103 * H)) },
        );
        let made = certifier.certify(Wall(108 * H));
        assert_eq!(made.last().map(|c| (c.subject.from, c.counts.live)), Some((Wall(102 * H), 2)));
        assert!(certifier.has_counted().is_some());
    }

    #[test]
    fn what_was_restored_before_a_new_process_read_is_read_again_before_it_is_counted() {
        let mut old = covered(102 * H + H / 2);
        tell(&mut old, gap(103 * H));
        let now = Wall(103 * H + H / 2);
        old.reads_from(Wall(100 * H), now);
        let restored = restored(9, 9);
        old.seen(restored.clone());
        let made = old.certify(now);
        let mut new = covered(102 * H + H / 2);
        made.into_iter().for_each(|certificate| new.published(certificate));
        let later = Wall(104 * H + H / 2);
        new.reads_from(Wall(104 * H), later);
        tell(&mut new, gap(103 * H + 1)); // something changed
        assert_eq!(new.certify(later), []);
        assert!(new.must_read_again());
        let from = new.read_from(later);
        assert_eq!(from, Wall(102 * H + H / 2 + 30_000));
        new.reads_from(from, later);
        new.seen(restored);
        assert!(new.certify(later).iter().all(|c| c.counts.backfill == 1));
    }

    #[test]
    fn a_word_that_came_after_a_newer_one_of_another_certifier_is_said_again() {
        let certifier = |place| covered(105 * H).among(place, 2);
        let (mut first, mut second) = (certifier(0), certifier(1));
        let now = Wall(103 * H);
        let (early, late) = (second.certify(now), first.certify(now));
        assert!(early.iter().all(|c| c.revision == 2) && late.iter().all(|c| c.revision == 1));
        // both spoke at once, and the lower revisions lie behind the higher ones
        for certificate in early.iter().chain(&late) {
            first.published(certificate.clone());
            second.published(certificate.clone());
        }
        assert_eq!(second.certify(now), [], "whoever wrote the older word mends it");
        let mended = first.certify(now);
        assert_eq!(mended.len(), late.len());
        assert!(mended.iter().all(|certificate| certificate.revision == 3));
        assert_eq!(first.certify(now), []);
    }

    /// What somebody asked about: an hour and a half before the class was covered, up to there.
    fn past(outcome: Option<Outcome>) -> Fact {
        let read = |at| Reading {
            at: Wall(at),
            source: Source::Jobs,
            digest: "d".to_owned(),
            rows: 1,
            written: 1,
            complete_to: Some(Wall(103 * H)),
            missing: 0,
        };
        let reads = outcome.map_or(Vec::new(), |_| vec![read(104 * H), read(105 * H)]);
        Fact::Gap(Gap {
            gap: GapId([7; 16]),
            class: CLASS.to_owned(),
            topics: Vec::new(),
            from: Wall(98 * H + H / 2),
            to: Some(Wall(100 * H + H / 6)),
            cause: GapCause::BeforeActivation,
            recorded_at: Wall(104 * H),
            repair: Repair { reads, outcome, closed_at: outcome.map(|_| Wall(105 * H)) },
        })
    }

    #[test]
    fn the_time_before_a_class_was_covered_is_certified_from_history_once_it_was_asked_for() {
        let mut certifier = covered(101 * H);
        let now = Wall(101 * H + H / 2);
        certifier.reads_from(Wall(100 * H), now);
        certifier.seen(record(1, 1, 100 * H + H / 6 - 1)); // while the socket joined
        certifier.seen(record(2, 2, 100 * H + H / 2));
        assert_eq!(words(&certifier.certify(now)), [(100, 101, 1, Level::LiveSingle, 1)]);
        tell(&mut certifier, past(None));
        certifier.seen(restored(9, 9));
        let spans = |made: &[Certificate]| -> Vec<(i64, i64, Level, u64, u64)> {
            let span = |c: &Certificate| {
                let level = c.judgement.level;
                (c.subject.from.0, c.to.0, level, c.counts.live, c.counts.backfill)
            };
            made.iter().map(span).collect()
        };
        let said = |level| {
            let [a, b, c, d] = [98 * H + H / 2, 99 * H, 100 * H, 100 * H + H / 6];
            [(a, b, level, 0, 1), (b, c, level, 0, 1), (c, d, level, 0, 1)]
        };
        assert_eq!(spans(&certifier.certify(now)), said(Level::Open));
        tell(&mut certifier, past(Some(Outcome::Reconciled)));
        let made = certifier.certify(now);
        assert_eq!(spans(&made), said(Level::Reconciled));
        assert!(made.iter().all(|c| c.revision == 2 && c.judgement.epochs.is_empty()));
        assert_eq!(certifier.certify(now), []);
        // its ids are forgotten: what comes later is counted after another reading
        certifier.seen(Seen { id: EventId([8; 16]), ..restored(10, 8) });
        assert_eq!(certifier.certify(now), []);
        assert!(certifier.must_read_again());
        let from = certifier.read_from(now);
        assert_eq!(from, Wall(101 * H), "no hour that nobody heard is read again for live records");
        certifier.reads_from(from, now);
    }

    #[test]
    fn a_past_that_was_closed_while_nobody_certified_is_certified_from_its_own_records_on() {
        let mut old = covered(104 * H);
        let now = Wall(104 * H + H / 2);
        old.reads_from(Wall(100 * H), now);
        let made = old.certify(now);
        let mut new = covered(104 * H);
        made.into_iter().for_each(|certificate| new.published(certificate));
        tell(&mut new, past(Some(Outcome::Partial)));
        let from = new.read_from(now);
        assert_eq!(from, Wall(104 * H), "when the past was recorded, not when it was");
        new.reads_from(from, now);
        new.seen(restored(9, 9));
        let made = new.certify(now);
        assert_eq!(made.len(), 3);
        assert!(made.iter().all(|c| c.judgement.level == Level::Partial && c.counts.backfill == 1));
    }

    #[test]
    fn two_certifiers_never_give_the_same_revision() {
        let of =
            |place, known| Certifier::new(Timings::default()).among(place, 2).revision_after(known);
        assert_eq!((of(0, 0), of(1, 0)), (1, 2));
        assert_eq!((of(0, 1), of(1, 1), of(0, 2), of(1, 2)), (3, 2, 3, 4));
        assert_eq!(Certifier::new(Timings::default()).revision_after(6), 7);
    }
}
