//! The reckoning: where is every event? From the records of a fresh consumer and the simulator's
//! ledger, by code that shares nothing with the writing path: own Avro reading, own identities.

mod certificates;
mod missed;
mod records;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kafka::reader::{ReadBack, ReadTopic};
use missed::{Fate, Gaps, Silence};
use records::{Found, identity};

/// Everything the reckoning rests on.
pub struct Evidence {
    /// Organisation.
    pub org_id: String,
    /// The events topic as read back.
    pub events: ReadTopic,
    /// The quarantine topic as read back.
    pub quarantine: ReadTopic,
    /// Facts, gaps and certificates, by topic.
    pub proof: Vec<(&'static str, ReadTopic)>,
    /// Schemas of the registry, by id.
    pub schemas: BTreeMap<u32, String>,
    /// The simulator's ledger, one JSON line per event.
    pub ledger: Vec<String>,
    /// Its time 0, milliseconds since 1970.
    pub origin_ms: i64,
    /// Time between two readings of history that close a gap, milliseconds.
    pub read_spacing_ms: u64,
    /// Times at which the connector was killed.
    pub kills: u64,
    /// Events that went to the broker by way of the disk.
    pub from_spool: u64,
    /// How often each scripted fault took effect.
    pub faults: BTreeMap<String, u64>,
    /// Ends of sockets, by reason.
    pub reconnects: BTreeMap<&'static str, u64>,
    /// 429 answers the connector met.
    pub http_429: u64,
    /// How long the demo ran.
    pub seconds: f64,
}

impl Evidence {
    /// Records of the topic of proof whose name ends like this.
    fn proof_of<'e>(&'e self, end: &'e str) -> impl Iterator<Item = &'e ReadBack> {
        let topics = self.proof.iter().filter(move |(name, _)| name.ends_with(end));
        topics.flat_map(|(_, topic)| &topic.records)
    }
}

/// The verdict, as printed with `--output json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Events on topics that were wanted at that moment.
    pub events_generated: u64,
    /// Events nobody wanted.
    pub uncovered: u64,
    /// Events put on at least one of our sockets.
    pub events_heard: u64,
    /// Events in the topic, or in the quarantine.
    pub events_durable: u64,
    /// Events heard and neither durable nor restored nor declared.
    pub lost: u64,
    /// Events fanned out while no socket of ours could hear them.
    pub wire_missed: u64,
    /// Events that are not durable and whose facts history brought back.
    pub restored: u64,
    /// Events that are not durable and lie in a gap that says so.
    pub declared: u64,
    /// Events that are not durable, and nothing says so.
    pub silent: u64,
    /// Records that history gave.
    pub backfilled: u64,
    /// Gaps recorded.
    pub gaps_opened: u64,
    /// Gaps closed.
    pub gaps_closed: u64,
    /// Gaps by cause and outcome.
    pub gaps: BTreeMap<String, u64>,
    /// Certificates, the newest of each interval.
    pub certificates: u64,
    /// Certificates that agree with the records they speak of.
    pub verified: u64,
    /// Coverages that were taken back.
    pub doubts: u64,
    /// Longest time in which no event could be put on any of our sockets.
    pub longest_silence_ms: u64,
    /// Times at which the connector was killed and started again.
    pub kills: u64,
    /// Events that went to the broker by way of the disk: memory had no room, or a process was killed.
    pub from_spool: u64,
    /// Further records under an id that is in the topic already.
    pub repeats: u64,
    /// Events under two ids.
    pub duplicates: u64,
    /// Pairs of one conversation and coverage against the order they were sent in.
    pub order_inversions: u64,
    /// Messages in the quarantine.
    pub quarantined: u64,
    /// Ends of sockets, by reason.
    pub reconnects: BTreeMap<&'static str, u64>,
    /// How often each scripted fault took effect.
    pub faults: BTreeMap<String, u64>,
    /// 429 answers the connector met.
    pub http_429: u64,
    /// How long the demo ran.
    pub seconds: f64,
    /// `pass`, `fail` or `invalid`.
    pub verdict: &'static str,
    /// Why it is not `pass`.
    pub reasons: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    seq: u64,
    at_ms: i64,
    topic: String,
    conversation_id: Option<String>,
    covered: bool,
    body: Option<String>,
    delivered: Vec<u64>,
}

/// Repeats that one outage of the broker may leave behind: what was un-acked at that moment.
const REPEATS_ALLOWED: u64 = 2_000;

/// Computes the verdict.
#[must_use]
pub fn reckon(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict {
        reconnects: evidence.reconnects.clone(),
        faults: evidence.faults.clone(),
        http_429: evidence.http_429,
        seconds: evidence.seconds,
        kills: evidence.kills,
        from_spool: evidence.from_spool,
        quarantined: evidence.quarantine.records.len() as u64,
        ..Verdict::default()
    };
    let mut reasons = Vec::new();
    let mut found = Found::default();
    found.read(evidence, &mut reasons);
    let gaps = Gaps::read(evidence, &mut reasons);
    let expected = expect(evidence, &found, &gaps, &mut verdict, &mut reasons);
    verdict.repeats = found.repeats;
    (verdict.gaps_opened, verdict.gaps_closed) = gaps.counts();
    verdict.gaps = gaps.summary();
    let doubts = evidence.proof_of("state").filter(|raw| {
        let fact = serde_json::from_slice::<serde_json::Value>(&raw.value).unwrap_or_default();
        fact.get("kind").is_some_and(|kind| kind == "doubt")
    });
    verdict.doubts = doubts.count() as u64;
    let before = reasons.len() as u64;
    verdict.verified = certificates::verify(evidence, &found, &mut reasons);
    verdict.certificates = verdict.verified + reasons.len() as u64 - before;
    let heard = found.first.values().filter(|record| !record.is_history());
    verdict.backfilled = (found.first.len() - heard.clone().count()) as u64;
    let strangers: Vec<&String> =
        heard.map(|record| &record.id).filter(|id| !expected.contains_key(*id)).collect();
    if let Some(id) = strangers.first() {
        reasons.push(format!("{} events under a second id, the first is {id}", strangers.len()));
    }
    verdict.duplicates = strangers.len() as u64;
    verdict.order_inversions = inversions(&found, &expected);
    let mut rule = |broken: bool, text: String| {
        if broken {
            reasons.push(text);
        }
    };
    rule(verdict.events_generated == 0, "no event was generated".to_owned());
    rule(verdict.lost > 0, format!("{} events were heard and are nowhere", verdict.lost));
    rule(verdict.silent > 0, format!("{} events are missing and nothing says so", verdict.silent));
    let silenced = evidence.faults.get("silence").is_some_and(|seen| *seen > 0);
    rule(silenced && verdict.doubts == 0, "a silent channel was believed".to_owned());
    let open = verdict.gaps_opened - verdict.gaps_closed;
    rule(open > 0, format!("{open} gaps were not closed"));
    rule(verdict.order_inversions > 0, format!("{} inversions", verdict.order_inversions));
    rule(
        verdict.repeats > REPEATS_ALLOWED,
        format!("{} repeats, allowed {REPEATS_ALLOWED}", verdict.repeats),
    );
    for (fault, seen) in &evidence.faults {
        rule(*seen == 0, format!("fault {fault} never happened"));
    }
    let missing = evidence.events.missing_at_start + evidence.quarantine.missing_at_start;
    verdict.verdict = match (missing, reasons.is_empty()) {
        (0, true) => "pass",
        (0, false) => "fail",
        _ => "invalid",
    };
    if missing > 0 {
        reasons.push(format!("{missing} records were gone before they could be read"));
    }
    verdict.reasons = reasons;
    verdict
}

/// Ids of the ledger's wanted events with their position, and the counts that follow from it.
fn expect(
    evidence: &Evidence,
    found: &Found,
    gaps: &Gaps,
    verdict: &mut Verdict,
    reasons: &mut Vec<String>,
) -> BTreeMap<String, u64> {
    let mut expected = BTreeMap::new();
    let history = missed::history(found);
    let mut silence = Silence::default();
    for text in &evidence.ledger {
        let line: Line = match serde_json::from_str(text) {
            Ok(line) => line,
            Err(error) => {
                reasons.push(format!("the ledger cannot be read: {error}"));
                continue;
            }
        };
        let Some(body) = line.body.clone().filter(|_| line.covered) else {
            verdict.uncovered += 1;
            continue;
        };
        verdict.events_generated += 1;
        let id = identity(&evidence.org_id, &line.topic, &body);
        let durable = found.first.contains_key(&id) || found.quarantined.contains(&id);
        verdict.events_durable += u64::from(durable);
        let heard = !line.delivered.is_empty();
        silence.line(line.at_ms, heard);
        verdict.events_heard += u64::from(heard);
        if !durable {
            verdict.wire_missed += u64::from(!heard);
            match missed::fate(&line, &body, evidence.origin_ms, &history, gaps) {
                Fate::Restored => verdict.restored += 1,
                Fate::Declared => verdict.declared += 1,
                Fate::Silent => {
                    verdict.silent += 1;
                    verdict.lost += u64::from(heard);
                }
            }
        }
        if let Some(payload) = found.first.get(&id).and_then(|record| record.payload.as_ref())
            && *payload != body
        {
            reasons.push(format!("the body of event {} was altered", line.seq));
        }
        expected.insert(id, line.seq);
    }
    verdict.longest_silence_ms = silence.longest_ms;
    expected
}

fn inversions(found: &Found, expected: &BTreeMap<String, u64>) -> u64 {
    let mut newest: BTreeMap<&(String, String, String), u64> = BTreeMap::new();
    let mut inversions = 0;
    for (key, id) in found.order.iter().zip(&found.ids_in_order) {
        let Some(seq) = expected.get(id) else {
            continue;
        };
        let last = newest.entry(key).or_insert(*seq);
        inversions += u64::from(seq < last);
        *last = (*last).max(*seq);
    }
    inversions
}

#[cfg(test)]
mod tests;
