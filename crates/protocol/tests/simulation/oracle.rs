//! What is true, and whether what lies in the topics agrees with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trunkline_protocol::certificate::Level;
use trunkline_protocol::certifier::Certificate;
use trunkline_protocol::domain::{EpochId, EventId, Interval, IntervalSet, Origin, Outcome, Wall};
use trunkline_protocol::ledger::Gap;
use trunkline_protocol::topic::class_of;

use super::audit::{Audited, ledgers};
use super::kafka::Kafka;
use super::platform::{Platform, Truth};
use super::requests::peak_per_minute;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub events: u64,
    pub durable: u64,
    pub restored: u64,
    pub missed: u64,
    /// Not there, and everything that says otherwise are sockets that answered pings and did not get
    /// it: what only an audit can find.
    pub deaf: u64,
    /// Of those, what holding closed hours against history found.
    pub deaf_found: u64,
    /// Of those, what a later record of the conversation tells as well, since each is a snapshot.
    pub deaf_told: u64,
    /// Conversations that it held against us although every event of them is there.
    pub false_misses: u64,
    /// Spans and rows that were held against records.
    pub audited: (u64, u64),
    /// Missed, and of a conversation that history never shows while nobody could know that it should.
    pub unshown: u64,
    pub lost: u64,
    pub silent: u64,
    pub false_certificates: u64,
    pub duplicates: u64,
    pub repeats: u64,
    pub inversions: u64,
    pub over_budget: u64,
    pub stuck: u64,
    pub gaps: BTreeMap<&'static str, u64>,
    pub certificates: BTreeMap<&'static str, u64>,
    /// The first contradictions, in words.
    pub problems: Vec<String>,
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        self.lost
            + self.silent
            + self.false_misses
            + self.false_certificates
            + self.duplicates
            + self.inversions
            + self.over_budget
            + self.stuck
            == 0
    }

    fn problem(&mut self, text: String) {
        if self.problems.len() < 12 {
            self.problems.push(text);
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.durable += other.durable;
        self.restored += other.restored;
        self.missed += other.missed;
        self.deaf += other.deaf;
        self.deaf_found += other.deaf_found;
        self.deaf_told += other.deaf_told;
        self.false_misses += other.false_misses;
        self.audited.0 += other.audited.0;
        self.audited.1 += other.audited.1;
        self.unshown += other.unshown;
        self.lost += other.lost;
        self.silent += other.silent;
        self.false_certificates += other.false_certificates;
        self.duplicates += other.duplicates;
        self.repeats += other.repeats;
        self.inversions += other.inversions;
        self.over_budget += other.over_budget;
        self.stuck += other.stuck;
        for (name, n) in &other.gaps {
            *self.gaps.entry(name).or_default() += n;
        }
        for (name, n) in &other.certificates {
            *self.certificates.entry(name).or_default() += n;
        }
    }
}

/// What is known of the processes' side.
pub struct Sides<'a> {
    /// Events that were safe on a disk when their process died.
    pub safe: &'a BTreeSet<EventId>,
    /// Records that may lie in the topic twice.
    pub may_repeat: u64,
    /// Since when every topic was wanted and covered.
    pub activated: BTreeMap<u16, Wall>,
    /// Closed hours held against history.
    pub audited: Audited,
}

/// Judges a world that has come to rest.
pub fn judge(platform: &Platform, kafka: &Kafka, sides: &Sides<'_>) -> Verdict {
    let mut verdict = Verdict { events: platform.truths.len() as u64, ..Verdict::default() };
    let shown = shown(kafka);
    let hidden = hidden(platform);
    let certificates = newest(&kafka.certificates);
    let mut gaps: BTreeMap<(u16, &str), Vec<&Gap>> = BTreeMap::new();
    for (shard, gap) in kafka.gaps.values() {
        gaps.entry((*shard, &gap.class)).or_default().push(gap);
        let outcome = gap.repair.outcome.map_or("open", Outcome::as_str);
        *verdict.gaps.entry(outcome).or_default() += 1;
    }
    for certificate in certificates.values() {
        *verdict.certificates.entry(certificate.judgement.level.as_str()).or_default() += 1;
    }
    let found = sides.audited.found();
    let witnesses = Witnesses::new(platform, kafka);
    audited(platform, kafka, &sides.audited, &mut verdict);
    for truth in &platform.truths {
        if kafka.first.contains_key(&truth.id) {
            verdict.durable += 1;
            continue;
        }
        verdict.missed += u64::from(!truth.delivered);
        let restored =
            shown.get(truth.conversation.as_str()).is_some_and(|at| *at >= truth.happened);
        verdict.restored += u64::from(restored);
        let class = class_of(&truth.topic);
        let recorded = gaps.get(&(truth.shard, class.as_str())).is_some_and(|gaps| {
            gaps.iter()
                .any(|gap| concerns(gap, truth) && gap.repair.outcome != Some(Outcome::Covered))
        });
        let wanted = sides.activated.get(&truth.shard).is_some_and(|at| *at <= truth.fanned);
        if !wanted {
            continue;
        }
        if sides.safe.contains(&truth.id) && !restored {
            verdict.lost += 1;
            verdict.problem(format!("lost: {truth:?}"));
        }
        let closed_well = gaps.get(&(truth.shard, class.as_str())).is_some_and(|gaps| {
            let mut at = gaps.iter().filter(|gap| concerns(gap, truth));
            at.all(|gap| gap.repair.outcome == Some(Outcome::Reconciled))
        });
        let unaccounted = !restored && (!recorded || closed_well);
        if unaccounted && witnesses.were_deaf(truth) {
            verdict.deaf += 1;
            match found.contains(truth.conversation.as_str()) {
                true => verdict.deaf_found += 1,
                false => verdict.deaf_told += u64::from(told_later(kafka, truth)),
            }
            continue;
        }
        if unaccounted && recorded && hidden.contains(&truth.conversation) {
            verdict.unshown += 1;
            continue;
        }
        if unaccounted {
            verdict.silent += 1;
            verdict.problem(format!("silent (recorded {recorded}): {truth:?}"));
        }
        let said = certificates.values().find(|certificate| {
            let subject = &certificate.subject;
            subject.shard == truth.shard
                && subject.class == class
                && Interval::new(subject.from, certificate.to).contains(truth.fanned)
        });
        if said.is_some_and(|c| c.judgement.level.is_live()) && witnesses.were_deaf(truth) {
            verdict.deaf += 1;
            match found.contains(truth.conversation.as_str()) {
                true => verdict.deaf_found += 1,
                false => verdict.deaf_told += u64::from(told_later(kafka, truth)),
            }
            continue;
        }
        let is_false = said.is_some_and(|certificate| match certificate.judgement.level {
            Level::LiveDual | Level::LiveSingle => true,
            Level::Reconciled | Level::RepairedProvisional => !restored,
            Level::Partial | Level::LostDeclared | Level::Open => false,
        });
        if is_false {
            verdict.false_certificates += 1;
            let level = said.map(|certificate| certificate.judgement.level);
            verdict.problem(format!("false certificate {level:?}: {truth:?}"));
        }
    }
    records(platform, kafka, sides, &mut verdict);
    budget(platform, &mut verdict);
    verdict
}

/// Who says what was heard.
struct Witnesses<'a> {
    platform: &'a Platform,
    /// What each coverage claims, by shard.
    claims: BTreeMap<u16, Vec<(EpochId, IntervalSet)>>,
}

impl<'a> Witnesses<'a> {
    fn new(platform: &'a Platform, kafka: &Kafka) -> Self {
        let claims = ledgers(kafka).into_iter().map(|(shard, ledger)| {
            let epochs = ledger.epochs().iter();
            (shard, epochs.map(|(id, epoch)| (*id, epoch.proven())).collect())
        });
        Self { platform, claims: claims.collect() }
    }

    /// Whether every socket that vouches for its time answered pings and did not get it.
    fn were_deaf(&self, truth: &Truth) -> bool {
        let all = self.claims.get(&truth.shard).into_iter().flatten();
        let mut vouch = all.filter(|(_, claim)| claim.contains(truth.fanned)).peekable();
        vouch.peek().is_some()
            && vouch.all(|(epoch, _)| {
                let channel = self.platform.witnesses.get(epoch);
                channel.is_some_and(|number| truth.silenced.contains(number))
            })
    }
}

/// Whoever is called for a conversation has to find something of it that is not there.
fn audited(platform: &Platform, kafka: &Kafka, audited: &Audited, verdict: &mut Verdict) {
    verdict.audited = (audited.spans, audited.rows);
    let not_there = platform.truths.iter().filter(|truth| !kafka.first.contains_key(&truth.id));
    let mut missing: BTreeMap<&str, Vec<Wall>> = BTreeMap::new();
    for truth in not_there {
        missing.entry(&truth.conversation).or_default().push(truth.fanned);
    }
    for (conversation, at) in &audited.missed {
        let soon = |fanned: &Wall| *at <= fanned.plus(SOON) && *fanned <= at.plus(SOON);
        if !missing.get(conversation.as_str()).is_some_and(|all| all.iter().any(soon)) {
            verdict.false_misses += 1;
            verdict.problem(format!("nothing is missing of {conversation} at {}", at.0));
        }
    }
}

/// Whether a record of the conversation was received later.
fn told_later(kafka: &Kafka, truth: &Truth) -> bool {
    kafka.events.iter().any(|record| {
        record.epoch.is_some()
            && record.conversation == truth.conversation
            && record.received >= truth.fanned
    })
}

/// What begins is told within this.
const SOON: Duration = Duration::from_secs(300);

fn concerns(gap: &Gap, truth: &Truth) -> bool {
    gap.from <= truth.fanned
        && gap.to.is_none_or(|to| truth.fanned <= to)
        && (gap.topics.is_empty() || gap.topics.contains(&truth.topic))
}

/// Up to when history's rows in the topic show each conversation.
fn shown(kafka: &Kafka) -> BTreeMap<&str, Wall> {
    let mut shown: BTreeMap<&str, Wall> = BTreeMap::new();
    for record in kafka.events.iter().filter(|record| record.origin == Origin::Backfill) {
        let newest = shown.entry(&record.conversation).or_insert(Wall(0));
        *newest = (*newest).max(record.shows.unwrap_or(Wall(0)));
    }
    shown
}

/// Conversations that history's jobs never show.
fn hidden(platform: &Platform) -> BTreeSet<String> {
    let settings = platform.cloud.settings();
    if settings.jobs_missing_share == 0.0 {
        return BTreeSet::new();
    }
    let stories = platform.cloud.history().truth("", settings);
    let hidden = stories.filter(|story| story["missing_in_jobs"] == true);
    hidden.filter_map(|story| Some(story["conversation_id"].as_str()?.to_owned())).collect()
}

/// The newest revision of each subject.
fn newest(all: &[Certificate]) -> BTreeMap<trunkline_protocol::certifier::Subject, &Certificate> {
    let mut newest: BTreeMap<_, &Certificate> = BTreeMap::new();
    for certificate in all {
        let at = newest.entry(certificate.subject.clone()).or_insert(certificate);
        if certificate.revision >= at.revision {
            *at = certificate;
        }
    }
    newest
}

fn records(platform: &Platform, kafka: &Kafka, sides: &Sides<'_>, verdict: &mut Verdict) {
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<_, usize> = BTreeMap::new();
    for record in &kafka.events {
        let Some(epoch) = record.epoch else { continue };
        let Some(at) = platform.by_id.get(&record.id).copied() else {
            verdict.duplicates += 1;
            verdict.problem(format!("an unknown id: {record:?}"));
            continue;
        };
        if !seen.insert(record.id) {
            verdict.repeats += 1;
            continue;
        }
        let place = (&platform.truths[at].topic, &record.conversation, epoch);
        let before = last.insert(place, at);
        if before.is_some_and(|before| before > at) {
            verdict.inversions += 1;
            verdict.problem(format!("inversion: {record:?}"));
        }
    }
    if verdict.repeats > sides.may_repeat {
        verdict.duplicates += verdict.repeats - sides.may_repeat;
        verdict.problem(format!("{} repeats, {} allowed", verdict.repeats, sides.may_repeat));
    }
}

/// No window of a minute holds more than nine tenths of the limit.
fn budget(platform: &Platform, verdict: &mut Verdict) {
    for (client, asked) in &platform.asked {
        let peak = peak_per_minute(asked);
        if peak > 270 {
            verdict.over_budget += 1;
            verdict.problem(format!("{client}: {peak} requests in a minute"));
        }
    }
}
