//! Places for successors. An OAuth client has few channels beside those that hear; the platform takes another one
//! away for each that is too many, so only so many legs change over at the same time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use trunkline_protocol::channel::{CHANNELS_AT_MOST, CHANNELS_PER_CLIENT};

/// Who has waited so long goes on without one: others may never be done.
const PATIENCE: Duration = Duration::from_secs(20);

/// Those of one client. Cheap to clone.
#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    waiting: watch::Sender<usize>,
}

/// A leg changes over: its successor is being made, or the old channel is still open.
pub(super) struct Place(
    #[expect(dead_code, reason = "given back when dropped")] OwnedSemaphorePermit,
);

impl Places {
    /// As many as the platform has room for, among `processes` that share the client; one at least.
    pub(super) fn new(processes: u32) -> Self {
        let spare = (CHANNELS_AT_MOST - CHANNELS_PER_CLIENT) / processes.max(1);
        let free = Semaphore::new(usize::try_from(spare.max(1)).unwrap_or(1));
        Self { free: Arc::new(free), waiting: watch::Sender::new(0) }
    }

    /// How many legs wait for one.
    pub(super) fn waiting(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }

    /// Waits for one; `None` when it is needed no more, as `is_over` tells, or came too late.
    pub(super) async fn take(&self, is_over: impl Future<Output = ()>) -> Option<Place> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(Place(permit));
        }
        let _waits = Waits::begin(&self.waiting);
        tokio::select! {
            biased;
            permit = Arc::clone(&self.free).acquire_owned() => permit.ok().map(Place),
            () = is_over => None,
            () = tokio::time::sleep(PATIENCE) => None,
        }
    }
}

/// Counted as long as it lives: a wait may be given up at any moment.
struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn four_change_over_at_once_and_the_fifth_waits_for_one_of_them() {
        let places = Places::new(1);
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(places.take(std::future::pending()).await.expect("free"));
        }
        let given_back = async {
            places.waiting().wait_for(|count| *count == 1).await.expect("it waits");
            taken.pop();
        };
        let (fifth, ()) = tokio::join!(places.take(std::future::pending()), given_back);
        assert!(fifth.is_some());
        assert_eq!(*places.waiting().borrow(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_or_needs_none_goes_on_without() {
        let places = Places::new(16);
        let _only = places.take(std::future::pending()).await.expect("one at least");
        assert!(places.take(std::future::ready(())).await.is_none());
        let early = PATIENCE - Duration::from_secs(1);
        let waits = tokio::time::timeout(early, places.take(std::future::pending()));
        assert!(waits.await.is_err(), "it still waits");
        assert!(places.take(std::future::pending()).await.is_none());
    }
}
