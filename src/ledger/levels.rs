//! Service levels, counted from what the ledger knows.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use trunkline_protocol::slo::Levels;
use trunkline_protocol::timings::Timings;

use super::Look;
use crate::clock::Clock;
use crate::observe::metrics::SloMetrics;

/// Often enough for the shortest window of an alert.
const EVERY: Duration = Duration::from_secs(10);

/// Counts what became certain, for as long as the process runs.
pub async fn count(looks: mpsc::Sender<Look>, metrics: SloMetrics, clock: Clock, timings: Timings) {
    let mut levels: BTreeMap<u16, Levels> = BTreeMap::new();
    loop {
        let (ask, answer) = oneshot::channel();
        if looks.send(ask).await.is_err() {
            break;
        }
        let Ok(looked) = answer.await else { break };
        let (now, timings, metrics) = (clock.now().wall, timings.clone(), metrics.clone());
        // sockets and records do not wait for it
        let counted = tokio::task::spawn_blocking(move || {
            for known in &looked {
                let levels = levels.entry(known.shard).or_default();
                metrics.certain(&levels.look(&known.ledger, now, known.is_ours, &timings));
            }
            levels
        });
        let Ok(counted) = counted.await else { break };
        levels = counted;
        tokio::time::sleep(EVERY).await;
    }
    // the ledger has ended: the service stops, and what was counted last stays
    std::future::pending().await
}
