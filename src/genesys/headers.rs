//! What the platform says beside a body: how long to hold, how much of the window is used, what time
//! it is. Whatever cannot be read counts as not said.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use trunkline_protocol::backoff::Hint;
use trunkline_protocol::domain::Wall;

/// The platform's own count of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Requests used.
    pub count: u32,
    /// Requests allowed.
    pub allowed: u32,
}

/// What `Retry-After` asks for.
#[must_use]
pub fn hint(headers: &HeaderMap) -> Hint {
    Hint::parse(headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()))
}

/// The platform's count, where it says both halves of it.
#[must_use]
pub fn window(headers: &HeaderMap) -> Option<Window> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    Some(Window {
        count: number("inin-ratelimit-count")?,
        allowed: number("inin-ratelimit-allowed")?,
    })
}

/// The text of `Date`.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<&str> {
    headers.get(DATE)?.to_str().ok()
}

/// A `Date` in milliseconds since 1970.
#[must_use]
pub fn instant(date: &str) -> Option<Wall> {
    let at = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(Wall(at.timestamp().as_millisecond()))
}

/// From the platform's date to the channel's end, both by the platform's clock.
#[must_use]
pub fn life(expires: &str, date: Option<&str>) -> Option<Duration> {
    let expires: jiff::Timestamp = expires.parse().ok()?;
    let now = jiff::fmt::rfc2822::parse(date?).ok()?.timestamp();
    let ms = expires.as_millisecond() - now.as_millisecond();
    Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channels_life_is_measured_by_the_platforms_clock() {
        let date = Some("Tue, 24 Nov 2026 11:02:52 GMT");
        assert_eq!(life("2026-11-25T11:02:52.500Z", date), Some(Duration::from_millis(86_400_500)));
        assert_eq!(life("2026-11-24T11:00:00Z", date), Some(Duration::ZERO));
        assert_eq!(life("soon", date), None);
    }
}
