//! Channels of an earlier process of this replica, to go on with: a process that starts again and again
//! must not make a channel each time, or the client has twenty orphans and makes none for a day.
//!
//! A hint may be stale or lost at any time: a channel that is gone is made anew. Whoever has its
//! address can listen, so the file is for the owner's eyes, as the spool beside it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trunkline_protocol::domain::{Leg, Wall};

use crate::beside;
use crate::genesys::Created;

/// A channel with so little life left is not worth going on with.
const LEAST_LIFE: Duration = Duration::from_secs(3_600);
const FILE: &str = "channels.json";

#[derive(Clone, Deserialize, Serialize)]
struct Hint {
    id: String,
    uri: String,
    /// Milliseconds since 1970.
    expires: i64,
}

/// The newest channel of every leg.
#[derive(Clone)]
pub struct Hints {
    path: PathBuf,
    /// Of the earlier process; each is given once.
    earlier: Arc<Mutex<BTreeMap<String, Hint>>>,
    known: Arc<Mutex<BTreeMap<String, Hint>>>,
}

impl Hints {
    /// Reads what is there; a file that is missing or damaged holds none.
    #[must_use]
    pub fn load(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let earlier: BTreeMap<String, Hint> = beside::read(&path).unwrap_or_default();
        let known = earlier.clone();
        Self { path, earlier: Arc::new(Mutex::new(earlier)), known: Arc::new(Mutex::new(known)) }
    }

    /// The channel that the leg had, once.
    pub(super) fn take(&self, leg: Leg, now: Wall) -> Option<Created> {
        let hint = lock(&self.earlier).remove(&key(leg))?;
        let life = Wall(hint.expires).since(now);
        (life >= LEAST_LIFE).then_some(Created { id: hint.id, uri: hint.uri, life })
    }

    /// The leg has this channel from now on; the part that is returned writes it down.
    pub(super) fn keep(
        &self,
        leg: Leg,
        created: &Created,
        now: Wall,
    ) -> impl FnOnce() + Send + 'static {
        let expires = now.plus(created.life).0;
        let hint = Hint { id: created.id.clone(), uri: created.uri.clone(), expires };
        lock(&self.known).insert(key(leg), hint);
        let (path, known) = (self.path.clone(), Arc::clone(&self.known));
        move || {
            let known = lock(&known);
            // a hint that cannot be written costs the next process a new channel
            beside::replace(&path, &*known).ok();
        }
    }
}

fn key(leg: Leg) -> String {
    format!("{}/{}", leg.shard, leg.ordinal)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LEG: Leg = Leg { shard: 3, ordinal: 1 };

    fn created(hours: u64) -> Created {
        let life = Duration::from_secs(hours * 3_600);
        Created { id: "id".to_owned(), uri: "wss://x".to_owned(), life }
    }

    #[test]
    fn the_next_process_goes_on_with_the_channel_once_and_the_file_is_the_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = Wall(1_000_000);
        Hints::load(folder.path()).keep(LEG, &created(24), now)();
        let mode = std::fs::metadata(folder.path().join(FILE)).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let next = Hints::load(folder.path());
        let hour = now.plus(Duration::from_secs(3_600));
        assert!(next.take(Leg { ordinal: 0, ..LEG }, hour).is_none(), "another leg's");
        let found = next.take(LEG, hour).expect("a channel");
        assert_eq!((found.id.as_str(), found.life), ("id", Duration::from_secs(23 * 3_600)));
        assert!(next.take(LEG, hour).is_none(), "a channel that was gone is not tried again");
    }

    #[test]
    fn a_channel_near_its_end_and_a_damaged_file_are_no_hints() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = Wall(1_000_000);
        Hints::load(folder.path()).keep(LEG, &created(24), now)();
        let late = now.plus(Duration::from_secs(23 * 3_600 + 60));
        assert!(Hints::load(folder.path()).take(LEG, late).is_none());
        std::fs::write(folder.path().join(FILE), b"{\"3/1\": 7").expect("a file");
        assert!(Hints::load(folder.path()).take(LEG, now).is_none());
    }
}
