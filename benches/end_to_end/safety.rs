//! What makes the candidate safe: the spool beside the send, and claims in the state topic.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use trunkline::clock::Clock;
use trunkline::encode::proof::{ProofEncoder, ProofSource};
use trunkline::ledger::{Ledger, LedgerSettings};
use trunkline::observe::metrics::Metrics;
use trunkline::observe::status::StatusBoard;
use trunkline::spool::{self, Spool, SpoolSettings};
use trunkline::supervisor::Supervisor;
use trunkline_protocol::domain::{EpochId, Leg};
use trunkline_protocol::ledger::News;
use trunkline_protocol::standby::Roster;
use trunkline_protocol::timings::Timings;

use crate::corpus::{ORG, provenance, settings};

pub(crate) const STATE: &str = "bench-state";
pub(crate) const GAPS: &str = "bench-gaps";

fn roster() -> Roster {
    Roster::new("bench", [])
}

pub(crate) async fn spool(dir: &Path, clock: Clock, metrics: &Metrics) -> (Spool, spool::Writer) {
    let settings = SpoolSettings {
        dir: dir.to_owned(),
        limits: spool::limits(8 << 30, 64 << 20),
        seed: 1,
        roster: roster(),
    };
    let board = StatusBoard::new("channels", metrics.clone());
    Spool::open(settings, clock, metrics.spool.clone(), board).await.expect("a spool")
}

const AGO: Duration = Duration::from_secs(60);

/// Coverage began: what control says when sockets open, long enough ago that claims begin at once.
pub(crate) async fn begin(news: &mpsc::Sender<News>, legs: &[(EpochId, Leg)], clock: Clock) {
    let topics = BTreeSet::from(["v2.routing.queues.bench.conversations".to_owned()]);
    let wanted = News::Wanted { shards: vec![topics.clone()], looked_before: None };
    news.send(wanted).await.expect("room");
    for &(epoch, leg) in legs {
        let (topics, at) = (topics.clone(), clock.now().wall.minus(AGO));
        news.send(News::Begun { epoch, leg, topics, at, rides: None }).await.expect("room");
    }
}

/// Claims five times as often as by default, so that a short measurement holds some.
pub(crate) async fn ledger(
    bootstrap: &str,
    clock: Clock,
    metrics: &Metrics,
    told: mpsc::Receiver<News>,
    tasks: &mut Supervisor,
) {
    let writer_id = provenance().writer_id;
    let settings = LedgerSettings {
        proves: true,
        kafka: settings(bootstrap),
        state_topic: STATE.to_owned(),
        gaps_topic: GAPS.to_owned(),
        instance: "bench".to_owned(),
        roster: roster(),
        org_id: ORG.to_owned(),
        writer_id,
        timings: Timings { claim_cadence: Duration::from_secs(1), ..Timings::default() },
        patience: Duration::from_secs(30),
    };
    let source = ProofSource { org_id: ORG.to_owned(), instance: "bench".to_owned(), writer_id };
    let encoder = ProofEncoder { source, gap_schema: 2, certificate_schema: 3 };
    let (proof, board) = (metrics.proof.clone(), StatusBoard::new("channels", metrics.clone()));
    let ledger = Ledger::start(settings, clock, encoder, proof, board, tasks);
    let ledger = ledger.await.expect("a state topic");
    let (_standing, never) = watch::channel(Arc::default()); // what topics stand on does not change
    tasks.spawn_infallible("ledger", ledger.run(told, never));
}

fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit_once(' '))
        .map_or(0.0, |(_, value)| value.parse().unwrap_or(0.0))
}

/// A measurement of safety that wrote nothing down would be one of something else.
pub(crate) fn assert_worked(text: &str) {
    assert!(value(text, "trunkline_spool_sync_duration_seconds_count") > 0.0, "nothing was synced");
    let proven = value(text, "trunkline_coverage_watermark_timestamp_seconds");
    assert!(proven > 0.0, "nothing was claimed");
}

/// From the last byte read to the acknowledgement, interpolated between the bounds of the histogram.
pub(crate) fn p99_ms(text: &str) -> f64 {
    const BUCKET: &str = "trunkline_publish_latency_seconds_bucket{le=\"";
    let all = value(text, "trunkline_publish_latency_seconds_count");
    let (mut low, mut below) = (0.0, 0.0);
    for line in text.lines().filter_map(|line| line.strip_prefix(BUCKET)) {
        let (bound, count) = line.split_once("\"} ").expect("a bucket");
        let count: f64 = count.parse().expect("a count");
        let Ok(bound) = bound.parse::<f64>() else { break };
        if count >= 0.99 * all && count > below {
            return 1e3 * (low + (bound - low) * (0.99 * all - below) / (count - below));
        }
        (low, below) = (bound, count);
    }
    1e3 * low
}
