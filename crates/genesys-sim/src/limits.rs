//! Request windows per token.

use std::collections::{BTreeMap, VecDeque};

use crate::settings::Settings;

const WINDOW_MS: u64 = 60_000;

/// Counts requests per key within a minute.
#[derive(Debug, Default)]
pub struct Limits {
    windows: BTreeMap<String, Window>,
}

#[derive(Debug, Default)]
struct Window {
    start_ms: u64,
    count: u32,
    times: VecDeque<u64>,
}

/// State of a window after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request may go on.
    pub allowed: bool,
    /// Requests used in the window.
    pub count: u32,
    /// Whole seconds until there is room again, at least 1.
    pub reset_secs: u64,
}

impl Limits {
    /// Counts one request under `key`; `limit` 0 is unlimited.
    pub fn take(&mut self, key: &str, limit: u32, settings: &Settings, now_ms: u64) -> Verdict {
        let window = self.windows.entry(key.to_owned()).or_default();
        let end_ms = if settings.sliding_window {
            while window.times.front().is_some_and(|at| at + WINDOW_MS <= now_ms) {
                window.times.pop_front();
            }
            window.count = u32::try_from(window.times.len()).unwrap_or(u32::MAX);
            window.times.front().copied().unwrap_or(now_ms) + WINDOW_MS
        } else {
            if window.count == 0 || now_ms >= window.start_ms + WINDOW_MS {
                (window.start_ms, window.count) = (now_ms, 0);
            }
            window.start_ms + WINDOW_MS
        };
        let allowed = limit == 0 || window.count < limit;
        if allowed || settings.refused_count {
            window.count += 1;
            if settings.sliding_window {
                window.times.push_back(now_ms);
            }
        }
        let reset_secs = end_ms.saturating_sub(now_ms).div_ceil(1000).max(1);
        Verdict { allowed, count: window.count, reset_secs }
    }
    /// Requests used in the window of `key` and whole seconds to its end, counting nothing.
    #[must_use]
    pub fn peek(&self, key: &str, now_ms: u64) -> (u32, u64) {
        let left = |start_ms: u64| (start_ms + WINDOW_MS).saturating_sub(now_ms);
        match self.windows.get(key) {
            Some(window) if window.count > 0 => {
                let start_ms = window.times.front().copied().unwrap_or(window.start_ms);
                match left(start_ms) {
                    0 => (0, WINDOW_MS / 1000),
                    ms => (window.count, ms.div_ceil(1000)),
                }
            }
            Some(_) | None => (0, WINDOW_MS / 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_301st_request_of_a_window_is_refused_until_its_end() {
        let (mut limits, settings) = (Limits::default(), Settings::default());
        for _ in 0..300 {
            assert!(limits.take("t", 300, &settings, 5_000).allowed);
        }
        let refused = limits.take("t", 300, &settings, 35_500);
        assert_eq!(refused, Verdict { allowed: false, count: 300, reset_secs: 30 });
        assert!(limits.take("t", 300, &settings, 65_000).allowed);
        assert!(limits.take("other", 300, &settings, 35_500).allowed);
    }

    #[test]
    fn a_sliding_window_frees_requests_one_by_one() {
        let settings = Settings { sliding_window: true, ..Settings::default() };
        let mut limits = Limits::default();
        assert!(limits.take("t", 2, &settings, 0).allowed);
        assert!(limits.take("t", 2, &settings, 30_000).allowed);
        assert!(!limits.take("t", 2, &settings, 59_999).allowed);
        assert!(limits.take("t", 2, &settings, 60_000).allowed);
        assert!(!limits.take("t", 2, &settings, 60_001).allowed);
    }
}
