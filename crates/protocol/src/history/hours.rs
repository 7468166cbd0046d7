//! Closed hours held against history: what a socket was deaf to while it answered every ping shows
//! nowhere else.
//!
//! ```text
//! due span ─► Carried: which conversations records speak of, and when
//!          ─► rows of history ─► carried │ missed │ uncovered │ rewritten │ not ours to say
//! ```
//! A segment that began or ended on a queue or of a person that a live proof covers, then and for the
//! margin after it, must have been told: a conversation of which no record was received from then on is
//! missed. Records are snapshots, so a later one carries what an earlier one would have. Where sockets
//! were read late, records may be received as late as the ledger says.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::{Mark, Row};
use crate::domain::{Interval, IntervalSet, Wall};
use crate::identity::first_half;
use crate::ledger::{Audit, ShardLedger};
use crate::timings::Timings;
use crate::topic::class_of;

/// The next span to be held against history, for any of the shards: the earliest that is closed, lies
/// in reach, was not looked at and is none of `beyond`.
#[must_use]
pub fn due<'l>(
    shards: impl IntoIterator<Item = &'l ShardLedger>,
    beyond: &BTreeSet<Interval>,
    now: Wall,
    timings: &Timings,
) -> Option<Interval> {
    let last = now.minus(timings.jobs_after);
    let reach = now.minus(timings.audit_reach);
    let of_shard = |ledger: &ShardLedger| {
        let wants = ledger.wanted()?.values().map(|want| want.from);
        let first = span_of(wants.min()?.max(reach), timings);
        std::iter::successors(Some(first), |span| Some(span_of(span.to, timings)))
            .take_while(|span| span.to <= last)
            .filter(|span| span.from >= reach && !beyond.contains(span))
            .find(|span| !ledger.audits().contains_key(&span.from))
    };
    shards.into_iter().filter_map(of_shard).min()
}

/// The span that an instant belongs to.
fn span_of(at: Wall, timings: &Timings) -> Interval {
    let length = millis(timings.audit_interval);
    let from = Wall(at.0.div_euclid(length) * length);
    Interval::new(from, Wall(from.0 + length))
}

/// The conversations that records of a span speak of, and roughly when: all that judging a row takes.
#[derive(Debug)]
pub struct Carried {
    from: Wall,
    /// When records that matter were received.
    within: Interval,
    part: i64,
    cap: usize,
    /// Where sockets were read late.
    late: IntervalSet,
    /// First and last, in milliseconds since `from`, by conversation and part.
    heard: HashMap<(u64, i64), (i64, i64)>,
}

/// More parts of conversations than this are too many to remember.
const CAP: usize = 4_000_000;

impl Carried {
    /// Nothing was read yet; `late` is where sockets were read late.
    #[must_use]
    pub fn new(span: Interval, late: IntervalSet, timings: &Timings) -> Self {
        let within = Self::within(span, &late, timings);
        let part = (span.millis() / 6).max(1);
        Self { from: span.from, within, part, cap: CAP, late, heard: HashMap::new() }
    }

    /// When the records that matter for a span were received. What waited in a spool lies behind
    /// newer ones, so a topic has to be read on before anything is called missed.
    #[must_use]
    pub fn within(span: Interval, late: &IntervalSet, timings: &Timings) -> Interval {
        let told = Interval::new(span.from, span.to.plus(timings.margin));
        let read_by = read_by(late, told).plus(timings.audit_interval / 3);
        Interval::new(span.from.minus(timings.margin), read_by)
    }

    /// A record that somebody heard. False when there are too many to remember.
    pub fn record(&mut self, conversation: &str, received: Wall) -> bool {
        if !self.within.contains(received) {
            return true;
        }
        let at = received.0 - self.from.0;
        let full = self.heard.len() >= self.cap;
        match self.heard.entry((short(conversation), at.div_euclid(self.part))) {
            Entry::Occupied(mut known) => {
                let (first, last) = known.get_mut();
                (*first, *last) = ((*first).min(at), (*last).max(at));
                true
            }
            Entry::Vacant(_) if full => false,
            Entry::Vacant(free) => {
                free.insert((at, at));
                true
            }
        }
    }

    /// Whether a record of the conversation was received between these instants.
    fn carries(&self, conversation: &str, within: Interval) -> bool {
        let (low, high) = (within.from.0 - self.from.0, within.to.0 - self.from.0);
        let id = short(conversation);
        (low.div_euclid(self.part)..=high.div_euclid(self.part)).any(|part| {
            let heard = self.heard.get(&(id, part));
            heard.is_some_and(|(first, last)| *first <= high && *last >= low)
        })
    }

    /// Whether a record of the conversation is known at all.
    fn knows(&self, conversation: &str) -> bool {
        self.carries(conversation, self.within)
    }
}

/// When what was told between these instants had been read.
fn read_by(late: &IntervalSet, told: Interval) -> Wall {
    let last = late.intervals().iter().rfind(|late| late.from < told.to);
    last.map_or(told.to, |late| late.to.max(told.to))
}

fn short(conversation: &str) -> u64 {
    let half = first_half(&blake3::hash(conversation.as_bytes()));
    u64::from_le_bytes(std::array::from_fn(|at| half[at]))
}

/// What is to be said of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A record carries it, or nothing of it changed in the span where proof is live.
    Carried,
    /// Nobody heard what live proof covers: by shard, the classes of topics and when it happened.
    Missed(Vec<(u16, String, Wall)>),
    /// It was on no topic that is wanted.
    Uncovered,
    /// As missed, but of a time that the platform has rewritten since.
    Rewritten,
}

/// Where what happens to one queue or person is told.
#[derive(Debug)]
struct Watched {
    shard: u16,
    class: String,
    /// `None`: of every medium.
    media: Option<&'static str>,
    proven: IntervalSet,
}

/// Judges the rows of one span.
#[derive(Debug)]
pub struct Hours {
    span: Interval,
    timings: Timings,
    error: Duration,
    carried: Carried,
    /// By id of a queue or person.
    watched: HashMap<String, Vec<Watched>>,
    audit: BTreeMap<u16, Audit>,
}

impl Hours {
    /// Ready for rows. `shards` are all there are, and whether to speak for them: one replica does.
    /// `error` is that of the clock.
    #[must_use]
    pub fn new<'l>(
        span: Interval,
        shards: impl IntoIterator<Item = (u16, &'l ShardLedger, bool)>,
        carried: Carried,
        error: Duration,
        timings: &Timings,
    ) -> Self {
        let mut watched: HashMap<String, Vec<Watched>> = HashMap::new();
        let mut audit = BTreeMap::new();
        for (shard, ledger, ours) in shards {
            let speaks = ours && !ledger.audits().contains_key(&span.from);
            if speaks {
                audit.insert(shard, Audit::default());
            }
            let mut classes: BTreeMap<String, IntervalSet> = BTreeMap::new();
            for (topic, want) in ledger.wanted().into_iter().flatten() {
                let Some((id, media)) = object_of(topic) else { continue };
                let class = class_of(topic);
                let once =
                    classes.entry(class.clone()).or_insert_with(|| ledger.class_coverage(&class).0);
                let wanted = Interval::new(want.from, want.to.unwrap_or(Wall(i64::MAX)));
                let proven = match speaks {
                    true => once.intersect(&wanted.into()),
                    false => IntervalSet::new(),
                };
                let watched = watched.entry(id.to_owned()).or_default();
                watched.push(Watched { shard, class, media, proven });
            }
        }
        Self { span, timings: timings.clone(), error, carried, watched, audit }
    }

    /// Judges a row; `now` is when.
    pub fn judge(&mut self, row: &Row<'_>, now: Wall) -> Finding {
        let span = self.span;
        let (mut told, mut touched) = (false, false);
        let mut missed: BTreeMap<(u16, String), Wall> = BTreeMap::new();
        for mark in &row.marks {
            // after-call work may end without a word
            let to = mark.to.filter(|_| mark.kind != "wrapup");
            let changes = [mark.from, to].into_iter().flatten();
            for at in changes.filter(|at| span.contains(*at)) {
                touched = true;
                for watched in self.watching(mark) {
                    told = true;
                    if watched.proven.covers(self.proof_needed(at)) && !self.is_carried(row, at) {
                        let key = (watched.shard, watched.class.clone());
                        let first = missed.entry(key).or_insert(at);
                        *first = (*first).min(at);
                    }
                }
            }
        }
        let known = self.carried.knows(&row.conversation);
        let rewritten = now.minus(self.timings.late_reads[0]) > span.to;
        // what no shard wants is said once, with the first of them
        let ours = self.audit.contains_key(&0);
        let finding = match (missed.is_empty(), told || !touched || known || !ours) {
            (false, _) if rewritten => Finding::Rewritten,
            (false, _) => Finding::Missed(
                missed.into_iter().map(|((shard, class), at)| (shard, class, at)).collect(),
            ),
            (true, true) => Finding::Carried,
            (true, false) => Finding::Uncovered,
        };
        self.count(&finding);
        finding
    }

    /// What is to be recorded of each shard once every row is judged.
    #[must_use]
    pub fn audits(&self, at: Wall, complete_to: Wall) -> BTreeMap<u16, Audit> {
        let said = |audit: &Audit| Audit { span: self.span, at, complete_to, ..audit.clone() };
        self.audit.iter().map(|(shard, audit)| (*shard, said(audit))).collect()
    }

    fn watching<'w>(&'w self, mark: &'w Mark<'_>) -> impl Iterator<Item = &'w Watched> {
        let ids = [mark.queue.as_deref(), mark.user.as_deref()].into_iter().flatten();
        let all = ids.filter_map(|id| self.watched.get(id)).flatten();
        all.filter(|watched| watched.media.is_none_or(|media| mark.media.as_deref() == Some(media)))
    }

    /// It is told within the margin after it happened.
    fn proof_needed(&self, at: Wall) -> Interval {
        Interval::new(at.minus(self.error), at.plus(self.timings.margin + self.error))
    }

    fn is_carried(&self, row: &Row<'_>, at: Wall) -> bool {
        let part = self.timings.audit_interval / 6;
        let told = Interval::new(at, at.plus(self.timings.margin));
        let until = read_by(&self.carried.late, told).plus(part);
        let low = at.minus(self.error + SKEW);
        self.carried.carries(&row.conversation, Interval::new(low, until))
    }

    fn count(&mut self, finding: &Finding) {
        for audit in self.audit.values_mut() {
            audit.rows += 1;
        }
        match finding {
            Finding::Carried => {}
            Finding::Missed(missed) => {
                let mut shards: Vec<u16> = missed.iter().map(|(shard, ..)| *shard).collect();
                shards.dedup();
                for shard in shards {
                    self.audit.entry(shard).or_default().missed += 1;
                }
                for (shard, class, at) in missed {
                    let audit = self.audit.entry(*shard).or_default();
                    let minute = Wall(at.0.div_euclid(GRAIN) * GRAIN).max(self.span.from);
                    let minute = Interval::new(minute, Wall(at.0 + 1));
                    audit.instants.entry(class.clone()).or_default().insert(minute);
                }
            }
            Finding::Uncovered => self.first().uncovered += 1,
            Finding::Rewritten => self.first().rewritten += 1,
        }
    }

    fn first(&mut self) -> &mut Audit {
        let first = self.audit.keys().next().copied().unwrap_or_default();
        self.audit.entry(first).or_default()
    }
}

/// The platform's stamps of one change differ by less.
const SKEW: Duration = Duration::from_secs(2);
/// Instants of misses are kept in steps of a minute, so that their number is bounded.
const GRAIN: i64 = 60_000;

/// Whose changes a topic tells, and of which medium; `None` for topics that history cannot be held
/// against.
fn object_of(topic: &str) -> Option<(&str, Option<&'static str>)> {
    let rest = ["v2.routing.queues.", "v2.users."].iter().find_map(|b| topic.strip_prefix(b))?;
    let (id, what) = rest.split_once('.')?;
    let media = match what {
        "conversations" => None,
        "conversations.calls" => Some("voice"),
        "conversations.callbacks" => Some("callback"),
        "conversations.chats" => Some("chat"),
        "conversations.cobrowsesessions" | "conversations.cobrowseSessions" => Some("cobrowse"),
        "conversations.emails" => Some("email"),
        "conversations.messages" => Some("message"),
        "conversations.screenshares" => Some("screenshare"),
        "conversations.videos" => Some("video"),
        _ => return None,
    };
    Some((id, media))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests;
