//! What differs between a connector as it runs and as it is wanted. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::connect::{ConnectorConfig, Validation};

/// What becomes of a key. Values of secrets are masked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyChange {
    /// The key.
    pub key: String,
    /// As it runs; `None` where it is not set.
    pub from: Option<String>,
    /// As it is wanted; `None` where it goes.
    pub to: Option<String>,
}

/// Kafka Connect adds the connector's name by itself.
const NAME: &str = "name";
const MASK: &str = "***";
/// Parts of keys that hold secrets, where no plugin says so.
const SECRETS: [&str; 9] = [
    "password",
    "secret",
    "token",
    "credential",
    "jaas",
    "access.key",
    "accesskey",
    "private.key",
    "user.info",
];
/// Keys that are handed on to what no plugin declares: converters, transformations, clients.
const HANDED_ON: [&str; 7] = [
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "transforms.",
    "predicates.",
    "consumer.override.",
    "producer.override.",
];

/// Whether the value of a key is a secret: its plugin says so, or its name does.
#[must_use]
pub fn is_secret(key: &str, validation: Option<&Validation>) -> bool {
    let lower = key.to_ascii_lowercase();
    validation.is_some_and(|said| said.declared.get(key) == Some(&true))
        || SECRETS.iter().any(|part| lower.contains(part))
}

/// A value as it may be shown: what only names a secret is none.
fn shown(key: &str, value: &str, validation: Option<&Validation>) -> String {
    let is_reference = value.starts_with("${") && value.ends_with('}');
    if is_reference || !is_secret(key, validation) { value.to_owned() } else { MASK.to_owned() }
}

/// Keys that differ, sorted; empty when nothing does.
#[must_use]
pub fn difference(
    running: &ConnectorConfig,
    wanted: &ConnectorConfig,
    validation: Option<&Validation>,
) -> Vec<KeyChange> {
    let keys: BTreeSet<&String> = running.keys().chain(wanted.keys()).collect();
    let show = |key: &String, value: Option<&String>| value.map(|v| shown(key, v, validation));
    let changes = keys.into_iter().filter(|key| *key != NAME).filter_map(|key| {
        let (from, to) = (running.get(key), wanted.get(key));
        let (key_from, key_to) = (show(key, from), show(key, to));
        (from != to).then(|| KeyChange { key: key.clone(), from: key_from, to: key_to })
    });
    changes.collect()
}

/// Keys of a configuration that the plugin does not declare; it may pass over them without a word. Empty
/// where it declares nothing of its own.
#[must_use]
pub fn undeclared<'a>(wanted: &'a ConnectorConfig, validation: &Validation) -> Vec<&'a str> {
    let handed_on = |key: &str| HANDED_ON.iter().any(|prefix| key.starts_with(prefix));
    let own =
        |key: &&String| *key != NAME && !handed_on(key) && !validation.declared.contains_key(*key);
    let unknown: Vec<&str> = wanted.keys().filter(own).map(String::as_str).collect();
    let known = wanted.keys().any(|key| {
        validation.declared.contains_key(key)
            && !handed_on(key)
            && !EVERY_SINK.iter().any(|own| key.starts_with(own))
    });
    if known { unknown } else { Vec::new() }
}

/// What Kafka Connect itself declares for every sink.
const EVERY_SINK: [&str; 10] = [
    "connector.class",
    "tasks.max",
    "topics",
    "key.converter",
    "value.converter",
    "header.converter",
    "transforms",
    "predicates",
    "errors.",
    "config.action",
];

/// What a plugin finds wrong, a line for each key.
#[must_use]
pub fn mistakes(errors: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let line = |(key, errors): (&String, &Vec<String>)| format!("{key}: {}", errors.join("; "));
    errors.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> ConnectorConfig {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn declares(keys: &[(&str, bool)]) -> Validation {
        let declared = keys.iter().map(|(key, secret)| ((*key).to_owned(), *secret)).collect();
        Validation { declared, ..Validation::default() }
    }

    fn lines(
        running: &ConnectorConfig,
        wanted: &ConnectorConfig,
        said: &Validation,
    ) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let changes = difference(running, wanted, Some(said)).into_iter();
        changes.map(|c| format!("{} {} {}", c.key, text(c.from), text(c.to))).collect()
    }

    #[test]
    fn keys_that_come_go_and_change_are_named_and_the_name_is_no_key() {
        let running =
            config(&[("name", "x"), ("flush.size", "400"), ("store.url", "http://s3"), ("a", "1")]);
        let wanted = config(&[("flush.size", "50000"), ("transforms", "place"), ("a", "1")]);
        let said = Validation::default();
        let expected = ["flush.size 400 50000", "store.url http://s3 -", "transforms - place"];
        assert_eq!(lines(&running, &wanted, &said), expected);
        assert!(difference(&wanted, &wanted, None).is_empty());
    }

    #[test]
    fn a_secret_is_never_shown_but_that_it_differs_is() {
        let running = config(&[("a.key", "old"), ("AWS.Secret.Access.Key", "old"), ("b", "1")]);
        let wanted =
            config(&[("a.key", "new"), ("AWS.Secret.Access.Key", "${file:/k:v}"), ("b", "2")]);
        let said = declares(&[("a.key", true), ("b", false)]);
        let expected = ["AWS.Secret.Access.Key *** ${file:/k:v}", "a.key *** ***", "b 1 2"];
        assert_eq!(lines(&running, &wanted, &said), expected);
        for key in ["sasl.jaas.config", "basic.auth.user.info", "s3.password", "x.AccessKey.id"] {
            assert!(is_secret(key, None), "{key}");
        }
        assert!(!is_secret("key.converter", None) && !is_secret("partition.duration.ms", None));
    }

    #[test]
    fn keys_that_the_plugin_does_not_declare_are_named_unless_it_declares_none() {
        let wanted = config(&[
            ("connector.class", "S3"),
            ("flush.size", "1"),
            ("flush.sise", "1"),
            ("value.converter.x", "1"),
            ("transforms.place.type", "y"),
            ("consumer.override.isolation.level", "z"),
        ]);
        let said = declares(&[("connector.class", false), ("flush.size", false)]);
        assert_eq!(undeclared(&wanted, &said), ["flush.sise"]);
        // what overrides clients is declared by Kafka Connect, not by the plugin
        let base = declares(&[
            ("connector.class", false),
            ("errors.tolerance", false),
            ("consumer.override.isolation.level", false),
        ]);
        assert!(
            undeclared(&wanted, &base).is_empty(),
            "a plugin that declares nothing is no judge"
        );
    }
}
