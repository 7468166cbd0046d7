//! Gaps and the platform's history, in one process: the simulator, a broker, a registry and the whole
//! connector on a clock that runs fast.
#![allow(missing_docs, reason = "tests")]

mod audit;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use genesys_sim::Settings;
use world::{World, outcomes};

/// Two jobs that fail, totals that are off, a process that goes on: the gap closes all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_reconciled_although_jobs_fail() {
    let world = World::start(Settings { jobs_fail: 2, ..Settings::default() }).await;
    world.outage(1_500).await;
    let gaps = world.closed_gaps(90).await;
    assert!(!gaps.is_empty(), "an outage of the platform is a gap");
    assert_eq!(outcomes(&gaps), BTreeSet::from(["reconciled".to_owned()]));
    let metrics = world.scrape();
    assert!(
        metrics.contains("trunkline_history_reads_total{outcome=\"failed\",source=\"jobs\"} 2")
    );
    let records = world.backfilled().await;
    let distinct: BTreeSet<&String> = records.iter().map(|record| &record.event_id).collect();
    assert!(!records.is_empty());
    assert_eq!(records.len(), distinct.len(), "no row is written twice");
    world.stop().await;
}

/// History that never shows what was heard shortly before the gap is known to be incomplete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_that_does_not_show_what_was_heard_makes_the_gap_partial() {
    let world = World::start(Settings { jobs_missing_share: 0.3, ..Settings::default() }).await;
    world.outage(1_500).await;
    let gaps = world.closed_gaps(90).await;
    assert_eq!(outcomes(&gaps), BTreeSet::from(["partial".to_owned()]), "{gaps:?}");
    assert!(gaps.iter().all(|gap| gap.rows_missing > 0), "{gaps:?}");
    world.stop().await;
}

/// Without the permission to read history nothing is closed, and it is said why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_permission_the_gap_stays_open() {
    let missing_permissions = vec!["analytics:conversationDetail:view".to_owned()];
    let world = World::start(Settings { missing_permissions, ..Settings::default() }).await;
    world.outage(1_500).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let gaps = world.gaps().await;
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap.outcome.is_none()), "{gaps:?}");
    assert!(world.scrape().contains("{code=\"403\",endpoint=\"history\"}"));
    assert!(world.backfilled().await.is_empty());
    world.stop().await;
}

/// Killed while it reads history, twice; what the next process finds is durable is not written again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_while_it_reads_ends_where_an_undisturbed_one_would() {
    let mut world = World::start(Settings::default()).await;
    world.outage(1_500).await;
    for _ in 0..2 {
        world.reading(60).await;
        world.kill().await;
    }
    let gaps = world.closed_gaps(120).await;
    assert_eq!(outcomes(&gaps), BTreeSet::from(["reconciled".to_owned()]), "{gaps:?}");
    let records = world.backfilled().await;
    let distinct: BTreeSet<&String> = records.iter().map(|record| &record.event_id).collect();
    let repeats = records.len() - distinct.len();
    // at most the page that was under way at each kill
    assert!(repeats <= 2 * 100, "{repeats} of {} records were written again", records.len());
    world.stop().await;
}
