//! File, then environment, then validation; every mistake at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use super::Config;

/// Prefix of environment variables: `TRUNKLINE__KAFKA__LINGER_MS=20`.
const PREFIX: &str = "TRUNKLINE__";

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// The file, or the environment variable.
    pub source: String,
    /// Path of the field, e.g. `kafka.linger_ms`.
    pub field: String,
    /// What is wrong, with the value (never a secret) and what is allowed.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.source, self.field, self.problem)
    }
}

/// Every mistake of a configuration.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Mistake>);

/// The variables of the process.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

/// What a configuration is for: what else it holds is not asked for, and not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The service.
    Run,
    /// Hearing alone, without brokers and registry.
    Hear,
}

/// Reads a file, if any, and the environment, and checks the result.
///
/// # Errors
/// [`ConfigError`] with every mistake that was found.
pub fn load(
    path: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    load_for(Purpose::Run, path, environment)
}

/// As [`load`], for something else than the service.
///
/// # Errors
/// [`ConfigError`] with every mistake that was found.
pub fn load_for(
    purpose: Purpose,
    path: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    let Some(path) = path else {
        return parse_for(purpose, "", "configuration", environment);
    };
    let source = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let (source, field) = (source.clone(), ".".to_owned());
        ConfigError(vec![Mistake { source, field, problem: format!("cannot be read: {error}") }])
    })?;
    parse_for(purpose, &text, &source, environment)
}

/// As [`load`], for the text of a file; `source` names it in mistakes.
///
/// # Errors
/// [`ConfigError`] with every mistake that was found.
pub fn parse(
    text: &str,
    source: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    parse_for(Purpose::Run, text, source, environment)
}

fn parse_for(
    purpose: Purpose,
    text: &str,
    source: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    let mut mistakes = Vec::new();
    let mut tree = read(text, source).map_err(|mistake| ConfigError(vec![mistake]))?;
    let mut sources = BTreeMap::new();
    for (variable, text) in environment.iter().filter(|(key, _)| key.starts_with(PREFIX)) {
        let keys: Vec<String> =
            variable.trim_start_matches(PREFIX).split("__").map(str::to_ascii_lowercase).collect();
        if keys.first().is_some_and(|first| first.parse::<usize>().is_ok()) {
            // the whole is no list: what the file says would be gone
            let (source, field) = (variable.clone(), shown(&keys));
            mistakes.push(Mistake { source, field, problem: "is not an option".to_owned() });
            continue;
        }
        sources.insert(keys.join("."), variable.clone());
        put(&mut tree, &keys, text);
    }
    stringify(&mut tree);
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut leaves = Vec::new();
    let mut bad = Vec::new();
    walk(&tree, &defaults, &mut Vec::new(), &mut leaves, &mut bad);
    for (path, problem) in &bad {
        let (source, field) = (source.to_owned(), shown(path));
        mistakes.push(Mistake { source, field, problem: problem.clone() });
    }
    // each value alone in an otherwise good configuration: so every wrong one is named
    for (path, value) in &leaves {
        let mut alone = defaults.clone();
        set(&mut alone, path, value.clone());
        if let Err(error) = serde_json::from_value::<Config>(alone) {
            mistakes.push(Mistake {
                source: sources.get(&path.join(".")).map_or(source, String::as_str).to_owned(),
                field: shown(path),
                problem: format!("is {}; {}", masked(path, value), allowed(&error.to_string())),
            });
            bad.push((path.clone(), String::new()));
        }
    }
    // what is good so far is checked all the same, so that every mistake is named at once
    bad.iter().for_each(|(path, _)| remove(&mut tree, path));
    let config: Config = serde_json::from_value(tree).map_err(|error| {
        let field = ".".to_owned();
        ConfigError(vec![Mistake { source: source.to_owned(), field, problem: error.to_string() }])
    })?;
    let mut config = config;
    let mut further = Vec::new();
    super::validate::check(&mut config, purpose, source, &mut further);
    // what was removed above is not missed
    let named: Vec<String> = bad.iter().map(|(path, _)| shown(path)).collect();
    let is_named = |field: &str| {
        let rest = named.iter().filter_map(|named| field.strip_prefix(named.as_str()));
        rest.into_iter().any(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    mistakes.extend(further.into_iter().filter(|mistake| !is_named(&mistake.field)));
    if mistakes.is_empty() { Ok(config) } else { Err(ConfigError(mistakes)) }
}

fn read(text: &str, source: &str) -> Result<Value, Mistake> {
    let mistake =
        |problem: String| Mistake { source: source.to_owned(), field: ".".to_owned(), problem };
    // of a key that is said twice, JSON keeps the last without a word
    serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text)
        .map_err(|error| mistake(format!("is not YAML: {error}")))?;
    let value: Value =
        serde_yaml_ng::from_str(text).map_err(|error| mistake(format!("is not YAML: {error}")))?;
    match value {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(value),
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(mistake("is not a map of sections".to_owned()))
        }
    }
}

/// Puts a text of the environment into the tree; numbers index lists.
fn put(tree: &mut Value, keys: &[String], text: &str) {
    let mut at = tree;
    for key in keys {
        at = match key.parse::<usize>() {
            Ok(index) => {
                if !at.is_array() {
                    *at = Value::Array(Vec::new());
                }
                let Some(list) = at.as_array_mut() else {
                    return;
                };
                while list.len() <= index.min(1_000) {
                    list.push(Value::Object(Map::new()));
                }
                &mut list[index.min(1_000)]
            }
            Err(_) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                let Some(map) = at.as_object_mut() else {
                    return;
                };
                map.entry(key.clone()).or_insert(Value::Null)
            }
        };
    }
    let parsed = serde_yaml_ng::from_str::<Value>(text).ok();
    // an id of digits stays a text unless the field wants a number
    *at = match parsed {
        Some(Value::Number(_)) if wants_text(keys) => Value::String(text.to_owned()),
        Some(value) => value,
        None => Value::String(text.to_owned()),
    };
}

fn wants_text(keys: &[String]) -> bool {
    keys.first().is_some_and(|key| key == "replicas")
        || keys.last().is_some_and(|key| {
            [
                "id",
                "secret",
                "password",
                "sasl_password",
                "hash_key",
                "token",
                "username",
                "instance",
                "replica",
            ]
            .contains(&key.as_str())
        })
}

/// Sections whose keys are somebody else's; their values are texts.
fn is_free(key: Option<&String>) -> bool {
    key.is_some_and(|key| ["security", "overrides", "groups"].contains(&key.as_str()))
}

/// `acks: 1` of a free section is the text `1`.
fn stringify(tree: &mut Value) {
    for name in ["kafka", "staging"] {
        let section = tree.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten();
        for (_, free) in section.filter(|(key, _)| is_free(Some(key))) {
            for value in free.as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
                if value.is_number() || value.is_boolean() {
                    *value = Value::String(value.to_string());
                }
            }
        }
    }
}

/// Collects every leaf, and keys nobody knows.
fn walk(
    tree: &Value,
    defaults: &Value,
    path: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, Value)>,
    unknown_keys: &mut Vec<(Vec<String>, String)>,
) {
    match (tree, defaults) {
        (Value::Object(map), Value::Object(known)) if !is_free(path.last()) => {
            for (key, value) in map {
                path.push(key.clone());
                match known.get(key) {
                    Some(default) => walk(value, default, path, leaves, unknown_keys),
                    None => unknown_keys.push((path.clone(), unknown(key, known.keys()))),
                }
                path.pop();
            }
        }
        (Value::Array(list), _) if let Some(entry) = entry(path.last()) => {
            for (index, value) in list.iter().enumerate() {
                path.push(index.to_string());
                walk(value, &entry, path, leaves, unknown_keys);
                path.pop();
            }
        }
        (leaf, _) => leaves.push((path.clone(), leaf.clone())),
    }
}

/// What an entry of a list of sections looks like.
fn entry(list: Option<&String>) -> Option<Value> {
    match list?.as_str() {
        "clients" => serde_json::to_value(super::OAuthClient::default()).ok(),
        "rules" => serde_json::to_value(super::PrivacyRule::default()).ok(),
        _ => None,
    }
}

fn remove(tree: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = tree;
    for key in parents {
        let next = match key.parse::<usize>() {
            Ok(index) => at.get_mut(index),
            Err(_) => at.get_mut(key),
        };
        let Some(next) = next else { return };
        at = next;
    }
    match at {
        Value::Object(map) => _ = map.remove(last),
        // an entry that is none: the others keep their places
        Value::Array(list) => {
            let entry = last.parse().ok().and_then(|index: usize| list.get_mut(index));
            entry.into_iter().for_each(|entry| *entry = Value::Object(Map::new()));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> String {
    let nearest = known
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len() / 2);
    match nearest {
        Some((_, candidate)) => format!("is not an option; did you mean {candidate}?"),
        None => "is not an option".to_owned(),
    }
}

fn set(tree: &mut Value, path: &[String], value: Value) {
    let mut at = tree;
    for key in path {
        at = match key.parse::<usize>() {
            Ok(_) => {
                *at = Value::Array(vec![Value::Object(Map::new())]);
                let Some(first) = at.as_array_mut().and_then(|list| list.first_mut()) else {
                    return;
                };
                first
            }
            Err(_) => {
                let Some(map) = at.as_object_mut() else {
                    return;
                };
                map.entry(key.clone()).or_insert(Value::Null)
            }
        };
    }
    *at = value;
}

pub(super) fn shown(path: &[String]) -> String {
    let mut text = String::new();
    for key in path {
        match key.parse::<usize>() {
            Ok(index) => text.push_str(&format!("[{index}]")),
            Err(_) if !text.is_empty() => text.extend([".", named(key)]),
            Err(_) => text.push_str(named(key)),
        }
    }
    text
}

/// A key may be empty.
fn named(key: &str) -> &str {
    if key.is_empty() { "\"\"" } else { key }
}

fn masked(path: &[String], value: &Value) -> String {
    match path.last() {
        Some(name) if super::secret::is_secret(name) => "***".to_owned(),
        Some(_) | None => value.to_string(),
    }
}

/// The part of the library's text that says what is allowed.
fn allowed(text: &str) -> String {
    match text.split_once("expected ") {
        Some((_, allowed)) => format!("allowed: {allowed}"),
        None => text.to_owned(),
    }
}
