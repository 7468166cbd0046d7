//! What differs between two configurations, and what of it a running process takes up.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Config;
use super::load::shown;

/// Fields that differ, by what becomes of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Taken up at once.
    pub taken: BTreeSet<String>,
    /// Wait for a restart.
    pub waiting: BTreeSet<String>,
}

/// What is taken up while the service runs: fields, and everything below a section.
const TAKEN: [&str; 7] = [
    "log.level",
    "subscriptions",
    "genesys.requests_per_minute",
    // the registry is asked at start alone: whatever asks next has the newest
    "schema_registry.password",
    "schema_registry.password_file",
    "schema_registry.token",
    "schema_registry.token_file",
];

impl Change {
    /// What differs.
    #[must_use]
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut differing = BTreeSet::new();
        if let (Ok(old), Ok(new)) = (serde_json::to_value(old), serde_json::to_value(new)) {
            compare(&old, &new, &mut Vec::new(), &mut differing);
        }
        // secrets print alike, whatever they are
        for (field, old) in old.secrets() {
            let new = new.secrets().into_iter().find(|(name, _)| *name == field);
            if new.is_some_and(|(_, new)| new != old) {
                differing.insert(field);
            }
        }
        let (before, after) = (old.secret_properties(), new.secret_properties());
        let changed = after.into_iter().filter(|property| !before.contains(property));
        differing.extend(changed.map(|(field, _)| field));
        let same = clients(old, new);
        let (taken, waiting) = differing.into_iter().partition(|field| is_taken(field, &same));
        Self { taken, waiting }
    }

    /// Brings what runs to what was taken up.
    pub fn take_up(running: &mut Config, new: &Config) {
        running.log.level.clone_from(&new.log.level);
        running.subscriptions = new.subscriptions.clone();
        running.genesys.requests_per_minute = new.genesys.requests_per_minute;
        let (registry, newer) = (&mut running.schema_registry, &new.schema_registry);
        registry.password.clone_from(&newer.password);
        registry.password_file.clone_from(&newer.password_file);
        registry.token.clone_from(&newer.token);
        registry.token_file.clone_from(&newer.token_file);
        for at in clients(running, new) {
            let pair = (running.genesys.clients.get_mut(at), new.genesys.clients.get(at));
            if let (Some(running), Some(new)) = pair {
                running.secret.clone_from(&new.secret);
                running.secret_file.clone_from(&new.secret_file);
            }
        }
    }
}

/// Clients that are the same ones in both, by place: their secrets may differ.
fn clients(old: &Config, new: &Config) -> Vec<usize> {
    let pairs = old.genesys.clients.iter().zip(&new.genesys.clients).enumerate();
    pairs.filter(|(_, (old, new))| old.id == new.id).map(|(at, _)| at).collect()
}

fn is_taken(field: &str, same: &[usize]) -> bool {
    let below = |section: &&str| {
        field.strip_prefix(*section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let secret = |at: &usize| {
        ["secret", "secret_file"]
            .iter()
            .any(|name| field == format!("genesys.clients[{at}].{name}"))
    };
    TAKEN.iter().any(below) || same.iter().any(secret)
}

fn compare(old: &Value, new: &Value, path: &mut Vec<String>, differing: &mut BTreeSet<String>) {
    let mut below = |key: String, old: Option<&Value>, new: Option<&Value>| {
        path.push(key);
        compare(old.unwrap_or(&Value::Null), new.unwrap_or(&Value::Null), path, differing);
        path.pop();
    };
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            keys.into_iter().for_each(|key| below(key.clone(), old.get(key), new.get(key)));
        }
        (Value::Array(old), Value::Array(new)) if old.iter().chain(new).any(Value::is_object) => {
            let count = old.len().max(new.len());
            (0..count).for_each(|at| below(at.to_string(), old.get(at), new.get(at)));
        }
        (old, new) => {
            if old != new {
                differing.insert(shown(path));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Ids, OAuthClient, Secret};

    fn config() -> Config {
        let mut config = Config::default();
        let secret = Some(Secret::new("old".to_owned()));
        config.genesys.clients =
            vec![OAuthClient { id: Some("a".to_owned()), secret, ..OAuthClient::default() }];
        config
    }

    fn words(fields: &BTreeSet<String>) -> Vec<&str> {
        fields.iter().map(String::as_str).collect()
    }

    #[test]
    fn nothing_differs_from_itself() {
        assert_eq!(Change::between(&config(), &config()), Change::default());
    }

    #[test]
    fn a_secret_that_differs_is_seen_though_all_print_alike() {
        let (old, mut new) = (config(), config());
        new.genesys.clients[0].secret = Some(Secret::new("new".to_owned()));
        new.kafka.sasl_password = Some(Secret::new("first".to_owned()));
        new.kafka.security.insert("ssl.key.password".to_owned(), "new".to_owned());
        let change = Change::between(&old, &new);
        assert_eq!(words(&change.taken), ["genesys.clients[0].secret"]);
        assert_eq!(
            words(&change.waiting),
            ["kafka.sasl_password", "kafka.security.ssl.key.password"]
        );
    }

    #[test]
    fn a_token_of_the_registry_that_is_renewed_waits_for_nothing() {
        let (old, mut new) = (config(), config());
        new.schema_registry.token = Some(Secret::new("new".to_owned()));
        let change = Change::between(&old, &new);
        assert_eq!(
            (words(&change.taken), change.waiting.len()),
            (vec!["schema_registry.token"], 0)
        );
        let mut running = old;
        Change::take_up(&mut running, &new);
        assert_eq!(Change::between(&running, &new), Change::default());
    }

    #[test]
    fn the_secret_of_another_client_waits_with_its_id() {
        let (old, mut new) = (config(), config());
        new.genesys.clients[0].id = Some("b".to_owned());
        new.genesys.clients[0].secret = Some(Secret::new("new".to_owned()));
        let change = Change::between(&old, &new);
        assert_eq!(words(&change.taken), [""; 0]);
        assert_eq!(words(&change.waiting), ["genesys.clients[0].id", "genesys.clients[0].secret"]);
    }

    #[test]
    fn topics_budget_and_level_are_taken_up_and_the_rest_waits() {
        let (old, mut new) = (config(), config());
        new.subscriptions.queues = Ids::List(vec!["q".to_owned()]);
        new.subscriptions.topics = vec!["v2.detail.events.conversation.q.acd.start".to_owned()];
        new.genesys.requests_per_minute = 100;
        new.log.level = "debug".to_owned();
        new.genesys.clients[0].id = Some("b".to_owned());
        new.genesys.clients.push(OAuthClient::default());
        new.kafka.linger_ms += 1;
        new.kafka.security.insert("sasl.mechanism".to_owned(), "PLAIN".to_owned());
        let change = Change::between(&old, &new);
        let taken = [
            "genesys.requests_per_minute",
            "log.level",
            "subscriptions.queues",
            "subscriptions.topics",
        ];
        assert_eq!(words(&change.taken), taken);
        let waiting = [
            "genesys.clients[0].id",
            "genesys.clients[1]",
            "kafka.linger_ms",
            "kafka.security.sasl.mechanism",
        ];
        assert_eq!(words(&change.waiting), waiting);
        let mut running = old;
        Change::take_up(&mut running, &new);
        let left = Change::between(&running, &new);
        assert_eq!((words(&left.taken), words(&left.waiting)), (vec![], waiting.to_vec()));
    }
}
