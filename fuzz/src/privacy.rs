//! A policy, the first line, and a body, the rest: what the policy takes is gone, the rest stays JSON, and
//! applying it once more changes nothing.

use std::sync::LazyLock;

use serde_json::Value;
use trunkline_protocol::privacy::{Action, Group, HashKey, Parts, Path, Policy, Preset, Rule};

use super::dough::Dough;

static KEY: LazyLock<HashKey> =
    LazyLock::new(|| HashKey::new(&(0..32).collect::<Vec<u8>>()).expect("a key"));
const ACTIONS: [Action; 4] = [Action::Drop, Action::Hash, Action::Mask, Action::Keep];
const PRESETS: [Preset; 3] = [Preset::None, Preset::Pseudonymous, Preset::Strict];

/// A byte for the preset and the action, a path, a line's end, a body.
pub fn run(bytes: &[u8]) {
    let mut dough = Dough::new(bytes);
    let which = dough.byte();
    let Ok(text) = std::str::from_utf8(dough.bytes(bytes.len())) else { return };
    let (path, body) = text.split_once('\n').unwrap_or(("", text));
    let preset = PRESETS[usize::from(which >> 2) % PRESETS.len()];
    let action = ACTIONS[usize::from(which) % ACTIONS.len()];
    let mut own = Vec::new();
    match Path::parse(path) {
        Ok(path) => own.push(Rule { path, action }),
        Err(error) => {
            assert!(!error.problem.is_empty() && error.at <= path.chars().count() + 2, "{error}");
        }
    }
    let names = own.is_empty() && preset == Preset::Strict;
    let groups = Group::ALL.map(|group| (group, preset.action(group))).to_vec();
    let policy = Policy::new(Parts { groups, own, key: Some(KEY.clone()), keep_raw: false });
    applied(&policy, body, names);
}

fn applied(policy: &Policy, body: &str, names: bool) {
    let Ok(once) = policy.apply(body) else {
        let object = serde_json::from_str::<Value>(body).is_ok_and(|value| value.is_object());
        return assert!(!object, "a policy refused an object");
    };
    if policy.is_none() {
        return assert_eq!(once, body);
    }
    assert!(serde_json::from_str::<&serde_json::value::RawValue>(&once).is_ok(), "no JSON");
    let twice = policy.apply(&once).expect("what a policy gave is an object");
    assert_eq!(twice, once, "a second time changes something");
    // a half of a character cannot be looked at as a value
    let read = |text: &str| serde_json::from_str::<Value>(text);
    let (Ok(before), Ok(after)) = (read(body), read(&once)) else {
        return;
    };
    if once == body {
        assert_eq!(before, after);
    }
    if names {
        nobody_is_named(&after);
    }
}

/// Under the strict preset nobody can be called back or written to.
fn nobody_is_named(value: &Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let is_address = ["ani", "dnis", "email"].contains(&name.to_lowercase().as_str());
                assert!(!is_address || is_withheld(value), "{name} is left");
                nobody_is_named(value);
            }
        }
        Value::Array(list) => list.iter().for_each(nobody_is_named),
        Value::String(text) => {
            assert!(!text.to_lowercase().starts_with("tel:"), "a telephone is left");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_withheld(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() || text == trunkline_protocol::privacy::MASKED,
        Value::Array(list) => list.iter().all(is_withheld),
        Value::Object(map) => map.values().all(is_withheld),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
