//! Closed hours held against history, once a world has come to rest: what nobody heard is found, and
//! nobody is called for what was heard.

use std::collections::{BTreeMap, BTreeSet};

use genesys_sim::http::Request;
use serde_json::Value;
use trunkline_protocol::domain::{Interval, Wall, WriterId};
use trunkline_protocol::history::{Ask, Carried, Finding, Hours, JobState, Reading, due};
use trunkline_protocol::ledger::{Audit, Fact, ShardLedger, Source};
use trunkline_protocol::timings::Timings;

use super::kafka::Kafka;
use super::platform::Platform;
use super::reading::{Conversation, Page, asked, job_state, time};
use super::requests;

/// What was found.
#[derive(Default)]
pub struct Audited {
    pub spans: u64,
    pub rows: u64,
    /// Conversations that live proof covers and no record speaks of, and when they began to be missed.
    pub missed: Vec<(String, Wall)>,
}

impl Audited {
    pub fn found(&self) -> BTreeSet<&str> {
        self.missed.iter().map(|(conversation, _)| conversation.as_str()).collect()
    }
}

/// Looks at every span that is closed, as one process does on the day after.
pub fn audit(platform: &mut Platform, kafka: &Kafka, timings: &Timings, client: &str) -> Audited {
    let timings = Timings { audit_reach: timings.history_reach, ..timings.clone() };
    let mut ledgers = ledgers(kafka);
    let token = token(platform, client);
    let mut audited = Audited::default();
    while let Some(span) = due(ledgers.values(), &BTreeSet::new(), platform.wall(), &timings) {
        audited.spans += 1;
        let late = ledgers.values().flat_map(|ledger| ledger.late().intervals()).copied();
        let mut carried = Carried::new(span, late.collect(), &timings);
        let heard = kafka.events.iter().filter(|record| record.epoch.is_some());
        for record in heard {
            assert!(carried.record(&record.conversation, record.received), "few");
        }
        let shards = ledgers.iter().map(|(shard, ledger)| (*shard, ledger, true));
        let mut hours =
            Hours::new(span, shards, carried, std::time::Duration::from_secs(1), &timings);
        let at = span.to.plus(timings.jobs_after);
        for row in rows(platform, span, &timings, &token) {
            let read: Conversation<'_> = serde_json::from_str(&row).expect("a row");
            audited.rows += 1;
            let (row, _) = read.row();
            if let Finding::Missed(missed) = hours.judge(&row, at) {
                let first = missed.iter().map(|(.., at)| *at).min().expect("one");
                audited.missed.push((row.conversation.into_owned(), first));
            }
        }
        let said = hours.audits(at, at);
        for (shard, ledger) in &mut ledgers {
            let audit = said.get(shard).cloned().unwrap_or(Audit { span, ..Audit::default() });
            ledger.add(WriterId([0; 16]), &Fact::Audit(audit)).expect("no contradiction");
        }
    }
    audited
}

/// What the state topic says of each shard.
pub fn ledgers(kafka: &Kafka) -> BTreeMap<u16, ShardLedger> {
    let mut ledgers: BTreeMap<u16, ShardLedger> = BTreeMap::new();
    for stamped in kafka.compacted() {
        let ledger = ledgers.entry(stamped.shard).or_default();
        ledger.add(stamped.writer, &stamped.fact).expect("no contradiction");
    }
    ledgers
}

fn ask(platform: &mut Platform, client: &str, request: &Request) -> Value {
    for _ in 0..64 {
        platform.now_ms += 1_000;
        platform.tick();
        let answer = platform.ask(client, request);
        if (200..300).contains(&answer.status) {
            return serde_json::from_str(&answer.body).expect("JSON");
        }
        platform.now_ms += 60_000;
    }
    panic!("the platform does not answer: {} {}", request.method, request.path);
}

fn token(platform: &mut Platform, client: &str) -> String {
    let token = ask(platform, AUDITOR, &requests::token(client));
    token["access_token"].as_str().expect("a token").to_owned()
}

/// Every conversation that jobs show of a span.
fn rows(platform: &mut Platform, span: Interval, timings: &Timings, token: &str) -> Vec<String> {
    let mut rules = Reading::new(Source::Jobs, span, timings);
    let mut rows = Vec::new();
    let mut tries = 0;
    while let Some(next) = rules.poll().cloned() {
        let request = Request { authorization: Some(format!("Bearer {token}")), ..asked(&next) };
        let body = ask(platform, AUDITOR, &request);
        match next {
            Ask::Submit { .. } => {
                rules.submitted(body["jobId"].as_str().expect("an id").to_owned());
            }
            Ask::State { .. } => match job_state(&body) {
                state @ (JobState::Running | JobState::Fulfilled) => rules.state(state),
                JobState::Over => {
                    tries += 1;
                    assert!(tries < 9, "jobs do not come to an end");
                    rules = Reading::new(Source::Jobs, span, timings);
                }
            },
            Ask::Results { .. } => {
                let text = body.to_string();
                let page: Page<'_> = serde_json::from_str(&text).expect("a page");
                for row in &page.conversations {
                    let read: Conversation<'_> = serde_json::from_str(row.get()).expect("a row");
                    if rules.is_new(read.id()) {
                        rows.push(row.get().to_owned());
                    }
                }
                let complete = page.data_availability_date.as_deref().and_then(time);
                rules.results(page.cursor, complete);
            }
            Ask::Query { .. } => panic!("jobs do not query"),
        }
    }
    rows
}

/// Its requests are not those of a process.
const AUDITOR: &str = "auditor";
