//! Closed spans held against history: what nobody was told although every socket answered.

use std::collections::BTreeSet;

use genesys_sim::Settings;
use trunkline_protocol::certificate::Level;

use crate::world::World;

const MISSED: &str = "trunkline_audit_conversations_total{finding=\"missed\"}";
const CARRIED: &str = "trunkline_audit_conversations_total{finding=\"carried\"}";

/// A healthy connector, and one outage that is a gap: nobody is called for either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_heard_or_lies_in_a_gap_is_no_miss() {
    let world = World::audited_daily(Settings::default()).await;
    world.outage(1_500).await;
    world.audited(5, 90).await;
    assert_eq!(world.count(MISSED), 0);
    assert!(world.count(CARRIED) > 50, "something was held against records");
    world.stop().await;
}

/// What was heard while the broker was away lies behind records of a later time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_the_spool_is_no_miss() {
    let channel_life_ms = 20 * 86_400_000;
    let mut world = World::audited_daily(Settings { channel_life_ms, ..Settings::default() }).await;
    world.broker_away(14_000).await;
    world.audited(9, 120).await;
    assert_eq!(world.count(MISSED), 0);
    world.stop().await;
}

/// Both channels answer every ping and hear nothing: no claim shows it, and no gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_of_all_channels_is_found_and_what_was_said_of_it_is_taken_back() {
    // no channel made meanwhile may hear: its events would accuse the others
    let channel_life_ms = 20 * 86_400_000;
    let world = World::audited_daily(Settings { channel_life_ms, ..Settings::default() }).await;
    world.silence(18_000).await;
    world.audited(7, 120).await;
    assert!(world.count(MISSED) > 0);
    let found = world.of_origin("reconcile").await;
    let ids: BTreeSet<_> = found.iter().map(|row| &row.event_id).collect();
    assert_eq!(ids.len(), found.len(), "each is published once");
    assert!(
        found.iter().all(|row| row.gap_id.is_none() && row.event_type == "conversation.history")
    );
    let later = |certificates: Vec<trunkline_protocol::certifier::Certificate>| {
        let taken = certificates.into_iter().filter(|c| {
            c.judgement.level == Level::Partial && c.judgement.gaps.is_empty() && c.revision > 1
        });
        taken.count()
    };
    assert!(later(world.certificates().await) > 0, "LIVE becomes PARTIAL by another revision");
    world.stop().await;
}
