//! A `Retry-After` holds for whoever starts next, too: a process that is started again and again would
//! otherwise ask before it has passed each time.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trunkline_protocol::domain::Wall;

use crate::beside;
use crate::clock::Clock;
use crate::genesys::gate::Gate;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Told {
    client: String,
    /// By the local clock, which is all that a new process knows; milliseconds since 1970.
    at: i64,
    wait_ms: u64,
}

impl Told {
    /// What is left of it. Never more than it was, whatever the clock did meanwhile.
    fn left(&self, now: Wall) -> Duration {
        let wait = Duration::from_millis(self.wait_ms);
        Wall(self.at).plus(wait).since(now).min(wait)
    }
}

/// Where the last one of a client is written down.
pub(super) struct Held {
    pub(super) file: PathBuf,
    pub(super) client: String,
}

impl Held {
    /// How long nothing may be sent yet; a file that is missing, damaged or another client's holds nobody.
    pub(super) fn left(&self, clock: Clock) -> Duration {
        let told: Option<Told> = beside::read(&self.file);
        let told = told.filter(|told| told.client == self.client);
        told.map_or(Duration::ZERO, |told| told.left(local(clock)))
    }

    /// Writes down what the gate is told, for as long as there is a gate.
    pub(super) async fn run(self, gate: Gate, clock: Clock) {
        let mut held = gate.held();
        held.borrow_and_update();
        while held.changed().await.is_ok() {
            let wait = held.borrow_and_update().since(clock.mono());
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let told = Told { client: self.client.clone(), at: local(clock).0, wait_ms };
            // what cannot be written costs the next process an early question
            let file = self.file.clone();
            tokio::task::spawn_blocking(move || beside::replace(&file, &told).ok()).await.ok();
        }
    }
}

fn local(clock: Clock) -> Wall {
    Wall(clock.now().wall.0 + clock.local_ahead_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_never_more_than_what_was_told() {
        let told = Told { client: String::new(), at: 100_000, wait_ms: 60_000 };
        for (now, left) in [(100_000, 60), (130_000, 30), (160_000, 0), (900_000, 0), (0, 60)] {
            assert_eq!(told.left(Wall(now)), Duration::from_secs(left), "{now}");
        }
    }
}
