//! A configuration file: what is accepted keeps its promises and is read again as it is printed, and
//! whatever is refused names a field.

use std::collections::BTreeMap;

use serde_json::Value;
use trunkline::config::load::parse;
use trunkline::config::{Config, Secret};

/// Serves as any secret, the key of hashes included.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Files that never end, or that are nobody's to read.
const LEFT_ALONE: [&str; 4] = ["/dev", "/proc", "/sys", "\\"];

/// Lines that begin with `#TRUNKLINE__` are the environment.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.contains("file") && LEFT_ALONE.iter().any(|path| text.contains(path)) {
        return;
    }
    let variables = text.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    let environment: BTreeMap<String, String> =
        variables.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    match parse(text, "a.yaml", &environment) {
        Ok(config) => {
            let once = serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text);
            assert!(once.is_ok(), "a key is said twice");
            promises(&config);
            again(config);
        }
        Err(refused) => {
            assert!(!refused.0.is_empty(), "refused without a word");
            for mistake in refused.0 {
                let of_the_file = ["is not YAML", "is not a map"];
                let names = mistake.field != "."
                    || of_the_file.iter().any(|word| mistake.problem.starts_with(word));
                assert!(names && !mistake.field.is_empty(), "no field is named: {mistake}");
                assert!(!mistake.source.is_empty() && !mistake.problem.is_empty(), "{mistake}");
            }
        }
    }
}

/// What whoever reads a configuration relies on.
fn promises(config: &Config) {
    let (spool, flow, kafka) = (&config.spool, &config.flow, &config.kafka);
    assert!(spool.segment_bytes >= 1 << 20);
    assert!(u128::from(spool.max_bytes) >= 4 * u128::from(spool.segment_bytes), "{spool:?}");
    assert!((1..=4).contains(&config.genesys.channels_per_shard));
    assert!(config.genesys.requests_per_minute > 0 && !config.genesys.clients.is_empty());
    assert!(flow.dedupe_window_secs >= 900 && (16..=1_000_000).contains(&flow.queue_events));
    assert!(!kafka.bootstrap_servers.is_empty() && kafka.in_flight_records >= 100);
    assert!(config.privacy.preset.is_some(), "nobody chose what leaves");
    let policy = config.policy(&mut |field, problem| panic!("{field} {problem}"));
    assert!(policy.apply(r#"{"id":"c"}"#).is_ok());
}

/// Secrets are printed as asterisks and files of secrets may be gone: both are left out.
fn again(mut config: Config) {
    let secret = || Secret::new(SECRET.to_owned());
    let registry = &mut config.schema_registry;
    for (place, file) in [
        (&mut registry.password, &mut registry.password_file),
        (&mut config.kafka.sasl_password, &mut config.kafka.sasl_password_file),
        (&mut config.genesys.proxy.password, &mut config.genesys.proxy.password_file),
        (&mut config.privacy.hash_key, &mut config.privacy.hash_key_file),
    ] {
        *file = None;
        *place = place.take().map(|_| secret());
    }
    for client in &mut config.genesys.clients {
        (client.id_file, client.secret_file, client.secret) = (None, None, Some(secret()));
        client.id = Some("client".to_owned());
    }
    let mut tree = serde_json::to_value(&config).expect("plain data");
    unmask(&mut tree);
    let text = serde_yaml_ng::to_string(&tree).expect("plain data");
    match parse(&text, "a.yaml", &BTreeMap::new()) {
        Ok(read) => assert!(read == config, "it reads back otherwise:\n{text}"),
        Err(error) => panic!("it does not read back: {error}\n{text}"),
    }
}

fn unmask(tree: &mut Value) {
    match tree {
        Value::Object(map) => {
            for (key, value) in map {
                let is_secret =
                    ["secret", "password", "sasl_password", "hash_key"].contains(&key.as_str());
                if is_secret && value.as_str() == Some("***") {
                    *value = Value::from(SECRET);
                }
                unmask(value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(unmask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
