//! A pressed button: the fields of its form become a fault.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::buttons::{Allowed, BUTTONS, Field};
use crate::faults::{Fault, What};

/// Reads a form. Beside the fault: the same as an entry of a timeline.
///
/// # Errors
/// Names the field, its value, and what is allowed.
pub fn read(form: &BTreeMap<String, String>) -> Result<(Fault, Value), String> {
    let what = form.get("what").map_or("", String::as_str);
    let Some(button) = BUTTONS.iter().find(|button| button.what.as_str() == what) else {
        let kinds = What::ALL.map(What::as_str).join(", ");
        return Err(format!("what: is {what:?}; allowed: {kinds}"));
    };
    let (mut entry, mut args) = (Map::new(), Map::new());
    entry.insert("what".to_owned(), what.into());
    for (name, text) in form.iter().filter(|(name, _)| *name != "what") {
        let Some(field) = button.fields.iter().find(|field| field.name == name) else {
            let names: Vec<&str> = button.fields.iter().map(|field| field.name).collect();
            return Err(format!(
                "{name}: is no field of {what}; allowed: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            ));
        };
        if text.is_empty() {
            continue;
        }
        let value = value(field, text)
            .ok_or_else(|| format!("{name}: is {text:?}; allowed: {}", allowed(field.allowed)))?;
        let at = if matches!(field.name, "whom" | "for_ms") { &mut entry } else { &mut args };
        at.insert(name.clone(), value);
    }
    if !args.is_empty() {
        entry.insert("args".to_owned(), Value::Object(args));
    }
    let entry = Value::Object(entry);
    let fault = serde_json::from_value(entry.clone()).map_err(|error| error.to_string())?;
    Ok((fault, entry))
}

fn value(field: &Field, text: &str) -> Option<Value> {
    let number = |least: u64, most: u64| {
        text.trim().parse().ok().filter(|number| (least..=most).contains(number))
    };
    match field.allowed {
        Allowed::Sockets => is_sockets(text).then(|| json!(text)),
        Allowed::Clients => (text == "all" || text.starts_with("client:")).then(|| json!(text)),
        Allowed::Number(least, most) => number(least, most).map(|number| json!(number)),
        Allowed::Status => {
            number(0, 599).filter(|status| !(1..200).contains(status)).map(|status| json!(status))
        }
        Allowed::Words(words) => words.contains(&text).then(|| match text {
            "true" | "false" => json!(text == "true"),
            word => json!(word),
        }),
        Allowed::Line(most) => {
            let visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            (visible && text.len() <= most).then(|| json!(text))
        }
        Allowed::Path => (text.starts_with('/') && text.len() <= 1_000).then(|| json!(text)),
        Allowed::Text(most) => (text.len() <= most).then(|| json!(text)),
    }
}

fn is_sockets(text: &str) -> bool {
    match text.split_once(':') {
        Some(("channel", number)) => number.parse::<u64>().is_ok(),
        Some((kind, _)) => kind == "client",
        None => ["any", "oldest", "newest", "all"].contains(&text),
    }
}

/// What may stand in a field, in words.
fn allowed(allowed: Allowed) -> String {
    match allowed {
        Allowed::Sockets => "any, oldest, newest, all, channel:N, client:ID".to_owned(),
        Allowed::Clients => "all, client:ID".to_owned(),
        Allowed::Number(least, most) => format!("a whole number from {least} to {most}"),
        Allowed::Status => "0, or a status from 200 to 599".to_owned(),
        Allowed::Words(words) => format!("nothing, or {}", words.join(", ")),
        Allowed::Line(most) => format!("at most {most} visible characters of ASCII"),
        Allowed::Path => "the beginning of a path: / and more".to_owned(),
        Allowed::Text(most) => format!("at most {most} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_button_as_it_is_filled_in_is_an_entry_of_a_timeline() {
        for button in BUTTONS {
            let fields = button.fields.iter().map(|field| (field.name, field.filled));
            let pairs: Vec<_> = fields.chain([("what", button.what.as_str())]).collect();
            let (fault, entry) = read(&form(&pairs)).unwrap();
            assert_eq!(fault.what, button.what);
            let again = crate::faults::read_timeline(&json!([entry]).to_string()).unwrap();
            assert_eq!(json!(again[0]), json!(fault), "{entry}");
        }
    }

    #[test]
    fn fields_have_the_types_of_a_timeline_and_empty_ones_are_left_out() {
        let pairs = [
            ("what", "slow"),
            ("delay_ms", "250"),
            ("for_ms", " 9 "),
            ("whom", "client:a:b"),
            ("before", "true"),
            ("path", "/api/"),
            ("count", ""),
        ];
        let (_, entry) = read(&form(&pairs)).unwrap();
        let args = json!({"delay_ms": 250, "before": true, "path": "/api/"});
        assert_eq!(entry, json!({"what": "slow", "whom": "client:a:b", "for_ms": 9, "args": args}));
    }

    #[test]
    fn a_mistake_is_named_with_its_field_its_value_and_what_is_allowed() {
        for (pairs, error) in [
            (vec![("what", "explode")], "what: is \"explode\"; allowed: reset, half_open,"),
            (vec![], "what: is \"\"; allowed: reset"),
            (
                vec![("what", "close"), ("code", "99")],
                "code: is \"99\"; allowed: a whole number from 1000 to 4999",
            ),
            (
                vec![("what", "reset"), ("whom", "me")],
                "whom: is \"me\"; allowed: any, oldest, newest, all, channel:N, client:ID",
            ),
            (vec![("what", "slow"), ("whom", "channel:1")], "whom: is \"channel:1\"; allowed: all"),
            (vec![("what", "reset"), ("whom", "channel:x")], "whom: is \"channel:x\""),
            (
                vec![("what", "reset"), ("code", "1000")],
                "code: is no field of reset; allowed: whom",
            ),
            (vec![("what", "kill"), ("whom", "all")], "whom: is no field of kill; allowed: none"),
            (
                vec![("what", "http_status"), ("status", "42")],
                "status: is \"42\"; allowed: 0, or a status from 200 to 599",
            ),
            (vec![("what", "http_status"), ("retry_after", "2\r\nX: y")], "retry_after: is \"2\\r"),
            (vec![("what", "http_status"), ("path", "api")], "path: is \"api\"; allowed:"),
            (vec![("what", "http_status"), ("count", "0")], "count: is \"0\"; allowed:"),
            (vec![("what", "silence"), ("of", "all")], "of: is \"all\"; allowed: nothing, or"),
            (vec![("what", "outage"), ("for_ms", "-1")], "for_ms: is \"-1\"; allowed:"),
        ] {
            let said = read(&form(&pairs)).unwrap_err();
            assert!(said.starts_with(error), "{said}");
        }
    }
}
