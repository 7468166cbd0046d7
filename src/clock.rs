//! The only file that reads a clock; everybody else is told what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trunkline_protocol::domain::{Mono, Now, Wall};

/// Reads both clocks of the machine. Cheap to clone; all clones share one monotonic origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
}

impl Clock {
    /// Starts a clock whose monotonic time is one hour now, so that deadlines in the recent past
    /// can be expressed.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn start() -> Self {
        Self { origin: tokio::time::Instant::from_std(Instant::now()) }
    }

    /// Reads both clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { mono: self.mono(), wall: Wall(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)) }
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

impl Default for Clock {
    fn default() -> Self {
        Self::start()
    }
}
