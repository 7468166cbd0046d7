//! The only file that reads a clock; everybody else is told what time it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trunkline_protocol::domain::{Mono, Now, Wall};
use trunkline_protocol::server_time::{Reading, ServerTime};

/// Reads the monotonic clock of the machine, and by it the clock of the platform. Cheap to copy;
/// all copies share one monotonic origin and what is known of the platform's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
    shared: &'static Shared,
}

/// One for each start of the service, for as long as the process lives.
#[derive(Debug)]
struct Shared {
    server: Mutex<ServerTime>,
    /// Best guess of `wall - mono` in milliseconds; the local clock's until the platform answered.
    offset_ms: AtomicI64,
}

impl Clock {
    /// Starts a clock whose monotonic time is one hour now, so that deadlines in the recent past
    /// can be expressed.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn start() -> Self {
        let shared = Shared {
            server: Mutex::new(ServerTime::new()),
            offset_ms: AtomicI64::new(local_wall().0 - millis(Mono(0) + EPOCH)),
        };
        let origin = tokio::time::Instant::from_std(Instant::now());
        Self { origin, shared: Box::leak(Box::new(shared)) }
    }

    /// Reads both clocks. The wall clock is the platform's as soon as it has answered once, so that
    /// a local clock that is an hour off moves nothing.
    #[must_use]
    pub fn now(&self) -> Now {
        let mono = self.mono();
        Now { mono, wall: self.wall_at(mono) }
    }

    /// The platform's time at a monotonic instant, as well as it is known.
    #[must_use]
    pub fn wall_at(&self, mono: Mono) -> Wall {
        Wall(millis(mono) + self.shared.offset_ms.load(Ordering::Relaxed))
    }

    /// The platform's time at a monotonic instant with its error; `None` before its first answer.
    #[must_use]
    pub fn server_at(&self, mono: Mono) -> Option<Reading> {
        self.shared.server.lock().unwrap_or_else(PoisonError::into_inner).read(mono)
    }

    /// An answer of the platform says what its clock shows. Says whether it contradicts earlier ones.
    pub fn server_answered(&self, sent: Mono, received: Mono, date: Wall) -> bool {
        let mut server = self.shared.server.lock().unwrap_or_else(PoisonError::into_inner);
        let stepped = server.sample(sent, received, date);
        if let Some(reading) = server.read(received) {
            let offset = reading.middle().0 - millis(received);
            self.shared.offset_ms.store(offset, Ordering::Relaxed);
        }
        stepped
    }

    /// How far the local clock is ahead of the platform's, in milliseconds; 0 before its first answer.
    #[must_use]
    pub fn local_ahead_ms(&self) -> i64 {
        let mono = self.mono();
        self.server_at(mono).map_or(0, |reading| local_wall().0 - reading.middle().0)
    }

    /// Reads the monotonic clock alone. Follows tokio's paused time in tests.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn mono(&self) -> Mono {
        Mono(0) + EPOCH + (tokio::time::Instant::now() - self.origin)
    }

    /// Waits until `deadline`; returns at once when it has passed, never when it is `None`.
    pub async fn sleep_until(&self, deadline: Option<Mono>) {
        match deadline {
            None => std::future::pending().await,
            Some(deadline) => {
                let offset = deadline.since(Mono(0) + EPOCH);
                tokio::time::sleep_until(self.origin + offset).await;
            }
        }
    }
}

const EPOCH: Duration = Duration::from_secs(3600);

fn millis(mono: Mono) -> i64 {
    i64::try_from(mono.0 / 1_000_000).unwrap_or(i64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn local_wall() -> Wall {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Wall(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX))
}

impl Default for Clock {
    fn default() -> Self {
        Self::start()
    }
}
