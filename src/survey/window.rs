//! Fixed or sliding: what the platform's own count of our requests says of its window.

use std::time::Duration;

use trunkline_protocol::domain::Mono;

/// One answer that said how many requests of the window are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// When it came.
    pub(super) at: Mono,
    /// `inin-ratelimit-count`.
    pub(super) count: u32,
    /// Tells tokens apart: each has a window of its own.
    pub(super) token: u64,
}

/// How the platform counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// A minute that begins anew: the count falls to one while earlier requests are less than a minute old.
    Fixed,
    /// Always the last minute.
    Sliding,
}

const MINUTE: Duration = Duration::from_secs(60);
/// A request near the edge of a minute may count or not.
const EDGE: Duration = Duration::from_secs(2);

/// What the samples show; `None` while they fit both. They are all the requests of their tokens.
#[must_use]
pub(super) fn window(samples: &[Sample]) -> Option<Window> {
    let newest = samples.last()?.token;
    let own: Vec<Sample> = samples.iter().filter(|s| s.token == newest).copied().collect();
    let mut left = 0;
    for (at, sample) in own.iter().enumerate() {
        let earlier = own.get(..at).unwrap_or_default();
        let within =
            |span: Duration| earlier.iter().filter(|s| sample.at.since(s.at) < span).count() + 1;
        let (least, most) = (within(MINUTE.saturating_sub(EDGE)), within(MINUTE + EDGE));
        let count = usize::try_from(sample.count).unwrap_or(usize::MAX);
        if count < least {
            return Some(Window::Fixed);
        }
        // some of ours have left the last minute, and the count knows
        if most <= at {
            left += usize::from(count <= most);
        }
    }
    (left >= 2).then_some(Window::Sliding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(times: &[u64], count: impl Fn(&[u64], u64) -> u32) -> Vec<Sample> {
        let one = |(at, secs): (usize, &u64)| Sample {
            at: Mono(0) + Duration::from_secs(*secs),
            count: count(&times[..=at], *secs),
            token: 1,
        };
        times.iter().enumerate().map(one).collect()
    }

    fn sliding(so_far: &[u64], now: u64) -> u32 {
        so_far.iter().filter(|at| **at + 60 > now).count() as u32
    }

    /// The window begins with the first request after the last one's end.
    fn fixed(so_far: &[u64], now: u64) -> u32 {
        let mut start = so_far[0];
        for at in so_far {
            if *at >= start + 60 {
                start = *at;
            }
        }
        so_far.iter().filter(|at| **at >= start && **at <= now).count() as u32
    }

    const BURST: [u64; 14] = [0, 0, 1, 1, 2, 10, 20, 30, 40, 50, 58, 64, 70, 76];

    #[test]
    fn a_count_that_falls_to_one_shows_a_window_that_begins_anew() {
        assert_eq!(window(&samples(&BURST, fixed)), Some(Window::Fixed));
    }

    #[test]
    fn a_count_that_follows_the_last_minute_shows_one_that_slides() {
        assert_eq!(window(&samples(&BURST, sliding)), Some(Window::Sliding));
    }

    #[test]
    fn nothing_is_known_before_a_minute_is_over_or_of_somebody_who_shares_the_window() {
        assert_eq!(window(&samples(&BURST[..10], fixed)), None);
        assert_eq!(window(&samples(&BURST[..10], sliding)), None);
        assert_eq!(window(&[]), None);
        // others' requests count too: more than ours is neither
        assert_eq!(window(&samples(&BURST, |so_far, now| sliding(so_far, now) + 40)), None);
    }

    #[test]
    fn another_token_has_another_window() {
        let mut all = samples(&BURST[..11], sliding);
        let fresh = Sample { at: Mono(0) + Duration::from_secs(59), count: 1, token: 2 };
        all.push(fresh);
        assert_eq!(window(&all), None);
    }
}
