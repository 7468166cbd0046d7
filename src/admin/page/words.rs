//! Times, spans and sizes in words.

use trunkline_protocol::domain::Wall;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Time of day in UTC; with the date when `now` is another day.
pub(super) fn clock(at: Wall, now: Wall) -> String {
    let same_day = at.0.div_euclid(DAY) == now.0.div_euclid(DAY);
    written(at, if same_day { "%H:%M:%S" } else { "%d %b %H:%M:%S" })
}

/// Hour and minute in UTC.
pub(super) fn short(at: Wall) -> String {
    written(at, "%H:%M")
}

/// Date and time in UTC.
pub(super) fn full(at: Wall) -> String {
    written(at, "%Y-%m-%d %H:%M:%S UTC")
}

fn written(at: Wall, form: &str) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(at) => at.strftime(form).to_string(),
        Err(_) => format!("{} ms", at.0),
    }
}

/// How long, in the two largest units that say something.
pub(super) fn span(ms: i64) -> String {
    match ms.max(0) {
        ms if ms < MINUTE => format!("{} s", ms / SECOND),
        ms if ms < HOUR => pair(ms / MINUTE, "min", ms % MINUTE / SECOND, "s"),
        ms if ms < DAY => pair(ms / HOUR, "h", ms % HOUR / MINUTE, "min"),
        ms => pair(ms / DAY, "d", ms % DAY / HOUR, "h"),
    }
}

fn pair(large: i64, unit: &str, small: i64, lesser: &str) -> String {
    match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {lesser}"),
    }
}

/// From then to now.
pub(super) fn since(at: Wall, now: Wall) -> String {
    span(now.0 - at.0)
}

/// Bytes.
pub(super) fn bytes(count: u64) -> String {
    let unit = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    let fitting = unit.into_iter().find(|(_, size)| count >= *size);
    fitting.map_or_else(
        || format!("{count} B"),
        |(unit, size)| format!("{:.1} {unit}", count as f64 / size as f64),
    )
}

/// `1 gap`, `2 gaps`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_read_like_a_person_says_them() {
        let said: Vec<String> = [-5, 999, 59_999, 61_000, 3_600_000, 90_000_000].map(span).into();
        assert_eq!(said, ["0 s", "0 s", "59 s", "1 min 1 s", "1 h", "1 d 1 h"]);
        assert_eq!([bytes(999), bytes(1_500), bytes(20 << 30)], ["999 B", "1.5 kB", "21.5 GB"]);
        assert_eq!((count(1, "gap"), count(0, "gap")), ("1 gap".to_owned(), "0 gaps".to_owned()));
    }

    #[test]
    fn another_day_is_said_with_its_date() {
        let at = Wall(1_764_288_000_000);
        assert_eq!(clock(at, Wall(at.0 + HOUR)), "00:00:00");
        assert_eq!(clock(at, Wall(at.0 - 1)), "28 Nov 00:00:00");
        assert_eq!(full(at), "2025-11-28 00:00:00 UTC");
    }
}
