//! The times inside a body, whatever its shape.

use serde_json::Value;

/// The oldest and the newest instant in milliseconds since 1970 that a key ending in `Time` holds, as ISO text or
/// as a number; later ones than `latest` are plans, not events.
#[must_use]
pub(super) fn times(body: &Value, latest: i64) -> Option<(i64, i64)> {
    let mut found: Option<(i64, i64)> = None;
    collect(body, &mut |at| {
        if at <= latest {
            found = Some(found.map_or((at, at), |(old, new)| (old.min(at), new.max(at))));
        }
    });
    found
}

fn collect(value: &Value, found: &mut impl FnMut(i64)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let at = match value {
                    _ if !key.ends_with("Time") => None,
                    Value::String(text) => {
                        text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
                    }
                    // a number that is no date is a duration
                    Value::Number(number) => number.as_i64().filter(|at| *at > 1_000_000_000_000),
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
                };
                match at {
                    Some(at) => found(at),
                    None => collect(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_found_at_any_depth_and_plans_are_not_events() {
        let body = json!({"participants": [{"connectedTime": "2026-01-05T10:00:00Z",
                                            "calls": [{"disconnectedTime": "2026-01-05T10:00:07.5Z"}],
                                            "callbackScheduledTime": "2027-01-01T00:00:00Z",
                                            "alertingTimeoutMs": 9, "holdTime": 12}],
                          "eventTime": 1_767_607_201_000_i64});
        let latest = 1_767_607_300_000;
        assert_eq!(times(&body, latest), Some((1_767_607_200_000, 1_767_607_207_500)));
        assert_eq!(times(&json!({"id": "x"}), latest), None);
    }
}
