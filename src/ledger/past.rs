//! What may be said of the last hours and minutes, when somebody wants to see it.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use trunkline_protocol::domain::Wall;
use trunkline_protocol::strip;
use trunkline_protocol::timings::Timings;

use super::{Look, Looked};
use crate::clock::Clock;
use crate::observe::status::StatusBoard;
use crate::observe::story::Past;

/// However many look, it is not looked at more often.
const EVERY: Duration = Duration::from_secs(5);
const HOURS: u32 = 24;
const MINUTES: u32 = 60;

/// Answers wishes for as long as the process runs.
pub async fn show(looks: mpsc::Sender<Look>, board: StatusBoard, clock: Clock, timings: Timings) {
    let mut wishes = board.wishes();
    while wishes.changed().await.is_ok() {
        let (ask, answer) = oneshot::channel();
        if looks.send(ask).await.is_err() {
            break;
        }
        let Ok(looked) = answer.await else { break };
        let (now, timings) = (clock.now().wall, timings.clone());
        // sockets and records do not wait for it
        let judged = tokio::task::spawn_blocking(move || past(&looked, now, &timings));
        judged.await.into_iter().for_each(|past| board.past(past));
        tokio::time::sleep(EVERY).await;
    }
    // the ledger has ended: the service stops, and what was shown last stays
    std::future::pending().await
}

fn past(looked: &[Looked], now: Wall, timings: &Timings) -> Past {
    let of = |step, count| {
        let cells =
            |known: &Looked| (known.shard, strip::cells(&known.ledger, now, step, count, timings));
        looked.iter().map(cells).collect()
    };
    let (hours, minutes) =
        (of(Duration::from_secs(3600), HOURS), of(Duration::from_secs(60), MINUTES));
    Past { at: now, hours, minutes }
}
