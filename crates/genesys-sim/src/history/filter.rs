//! What a request for history asks for.

use serde_json::Value;

use super::Span;

/// Filters of a query: all of them have to be met.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    conversation: Vec<Value>,
    segment: Vec<Value>,
}

impl Wanted {
    /// Reads `conversationFilters` and `segmentFilters`.
    pub(crate) fn read(body: &Value) -> Self {
        let list = |key: &str| body[key].as_array().cloned().unwrap_or_default();
        Self { conversation: list("conversationFilters"), segment: list("segmentFilters") }
    }

    /// Whether every row is asked for.
    pub(crate) fn takes_all(&self) -> bool {
        self.conversation.is_empty() && self.segment.is_empty()
    }

    /// Whether a row is asked for.
    pub(crate) fn takes(&self, row: &Value) -> bool {
        self.conversation.iter().all(|filter| meets(filter, &|p| conversation(p, row)))
            && self
                .segment
                .iter()
                .all(|filter| segments(row).any(|s| meets(filter, &|p| of(p, &s))))
    }
}

/// `and` or `or` over predicates.
fn meets(filter: &Value, predicate: &dyn Fn(&Value) -> bool) -> bool {
    let predicates = filter["predicates"].as_array().map_or(&[][..], Vec::as_slice);
    match filter["type"].as_str() {
        Some("or") => predicates.is_empty() || predicates.iter().any(predicate),
        _ => predicates.iter().all(predicate),
    }
}

fn conversation(predicate: &Value, row: &Value) -> bool {
    of(predicate, row)
}

/// `exists`, `notExists` or `matches` of one field.
fn of(predicate: &Value, object: &Value) -> bool {
    let field = &object[predicate["dimension"].as_str().unwrap_or_default()];
    match predicate["operator"].as_str() {
        Some("exists") => !field.is_null(),
        Some("notExists") => field.is_null(),
        _ => *field == predicate["value"],
    }
}

/// Every segment, with the user of its participant.
fn segments(row: &Value) -> impl Iterator<Item = Value> {
    let mut all = Vec::new();
    for participant in row["participants"].as_array().into_iter().flatten() {
        for session in participant["sessions"].as_array().into_iter().flatten() {
            for segment in session["segments"].as_array().into_iter().flatten() {
                let mut segment = segment.clone();
                segment["userId"] = participant["userId"].clone();
                all.push(segment);
            }
        }
    }
    all.into_iter()
}

/// Reads `start/end`, in milliseconds since 1970.
///
/// # Errors
/// What the platform answers with.
pub(crate) fn interval(body: &Value) -> Result<Span, String> {
    let text = body["interval"].as_str().ok_or("An interval is required.")?;
    let (from, to) = text.split_once('/').ok_or("The interval is invalid.")?;
    let at = |text: &str| millis(text).ok_or(format!("The time {text} is invalid."));
    let (from, to) = (at(from)?, at(to)?);
    if from > to {
        return Err("The interval ends before it starts.".to_owned());
    }
    if to - from > 31 * super::DAY_MS {
        return Err(
            "You must specify a search interval as part of your query that does not exceed 31 days"
                .to_owned(),
        );
    }
    Ok((from, to))
}

/// `YYYY-MM-DDTHH:MM[:SS[.mmm]]Z` to milliseconds since 1970.
fn millis(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str| text.parse::<i64>().ok();
    let mut parts = date.splitn(3, '-');
    let (year, month, day) =
        (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let (second, fraction) = match parts.next().unwrap_or("0").split_once('.') {
        Some((second, fraction)) => (second.to_owned(), format!("{fraction:0<3}")),
        None => (time.splitn(3, ':').nth(2).unwrap_or("0").to_owned(), "0".to_owned()),
    };
    let ms = number(fraction.get(..3).unwrap_or(&fraction))?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // days since 1970 (Howard Hinnant's algorithm)
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let m = (month + 9) % 12;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * m + 2) / 5 + day - 1;
    let days = era * 146_097 + doe - 719_468;
    u64::try_from(((days * 24 + hour) * 60 + minute) * 60_000 + number(&second)? * 1_000 + ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::iso;

    #[test]
    fn times_are_read_as_they_are_written() {
        for ms in [0, 1_709_210_096_789, 1_798_761_599_999, 1_767_607_200_000] {
            assert_eq!(millis(&iso(ms)), Some(ms));
        }
        assert_eq!(millis("2026-01-05T10:00Z"), Some(1_767_607_200_000));
        assert_eq!(millis("2026-01-05T10:00:00Z"), Some(1_767_607_200_000));
        assert_eq!(millis("soon"), None);
    }

    #[test]
    fn an_interval_of_more_than_31_days_is_refused_in_the_platforms_words() {
        let body = serde_json::json!({"interval": "2026-01-01T00:00Z/2026-02-02T00:00Z"});
        assert!(interval(&body).unwrap_err().contains("does not exceed 31 days"));
    }
}
