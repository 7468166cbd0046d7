//! Writes JSON straight into a string: bodies are made by the ten thousand per second.

use std::fmt::Write as _;

/// A JSON text under construction. The caller balances what it opens.
#[derive(Debug, Default)]
pub struct Json {
    text: String,
    comma: bool,
}

impl Json {
    /// An empty text.
    #[must_use]
    pub fn new() -> Self {
        Self { text: String::with_capacity(3_000), comma: false }
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    /// Opens an object, as the value of `key` unless that is empty.
    pub fn open(&mut self, key: &str) -> &mut Self {
        self.key(key);
        self.text.push('{');
        self.comma = false;
        self
    }

    /// Closes an object.
    pub fn close(&mut self) -> &mut Self {
        self.text.push('}');
        self.comma = true;
        self
    }

    /// Opens an array, as the value of `key` unless that is empty.
    pub fn open_list(&mut self, key: &str) -> &mut Self {
        self.key(key);
        self.text.push('[');
        self.comma = false;
        self
    }

    /// Closes an array.
    pub fn close_list(&mut self) -> &mut Self {
        self.text.push(']');
        self.comma = true;
        self
    }

    /// A string.
    pub fn str(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        quote(&mut self.text, value);
        self.comma = true;
        self
    }

    /// A string, or nothing at all: absent, not null.
    pub fn opt(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.str(key, value);
        }
        self
    }

    /// A time as ISO-8601 with milliseconds, or nothing at all.
    pub fn time(&mut self, key: &str, ms: Option<u64>) -> &mut Self {
        if let Some(ms) = ms {
            self.str(key, &iso(ms));
        }
        self
    }

    /// A number.
    pub fn num(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key);
        write!(self.text, "{value}").expect("a string takes everything");
        self.comma = true;
        self
    }

    /// A boolean.
    pub fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key);
        self.text.push_str(if value { "true" } else { "false" });
        self.comma = true;
        self
    }

    fn key(&mut self, key: &str) {
        if self.comma {
            self.text.push(',');
        }
        if !key.is_empty() {
            quote(&mut self.text, key);
            self.text.push(':');
        }
    }
}

fn quote(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            c if c < ' ' => write!(text, "\\u{:04x}", u32::from(c)).expect("a string takes it"),
            c => text.push(c),
        }
    }
    text.push('"');
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`.
#[must_use]
pub fn iso(ms: u64) -> String {
    let days = i64::try_from(ms / 86_400_000).unwrap_or(0);
    let (year, month, day) = civil(days);
    let rest = ms % 86_400_000;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1000 % 60,
        rest % 1000
    )
}

/// Days since 1970 to year, month, day (Howard Hinnant's algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut json = Json::new();
        json.open("").str("a\"b", "ü\n\u{1}").open_list("list").num("", 1).open("").close();
        json.close_list().opt("none", None).bool("t", true).close();
        let text = json.finish();
        assert_eq!(text, "{\"a\\\"b\":\"ü\\n\\u0001\",\"list\":[1,{}],\"t\":true}");
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn dates_agree_with_the_calendar() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(iso(1_798_761_599_999), "2026-12-31T23:59:59.999Z");
    }
}
