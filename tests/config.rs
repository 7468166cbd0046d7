//! What an operator writes, and every way of writing it wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;

use trunkline::config::{Config, ConfigError, load};

fn required() -> BTreeMap<String, String> {
    let pairs = [
        ("GENESYS__REGION", "eu_central_1"),
        ("GENESYS__CLIENTS__0__ID", "12"),
        ("GENESYS__CLIENTS__0__SECRET", "hush"),
        ("KAFKA__BOOTSTRAP_SERVERS", "broker:9092"),
        ("SCHEMA_REGISTRY__URL", "http://registry:8081"),
        ("PRIVACY__PRESET", "none"),
    ];
    pairs.into_iter().map(|(k, v)| (format!("TRUNKLINE__{k}"), v.to_owned())).collect()
}

fn with(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut environment = required();
    environment.extend(pairs.iter().map(|(k, v)| (format!("TRUNKLINE__{k}"), (*v).to_owned())));
    load(None, &environment)
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trunkline.yaml");
    std::fs::write(&path, text).expect("a file");
    (folder, path)
}

#[test]
fn the_example_holds_every_option_with_its_default() {
    let text = std::fs::read_to_string("config/example.yaml").expect("the example");
    let example: Config = serde_yaml_ng::from_str(&text).expect("a configuration");
    assert_eq!(example, Config::default());
    let written: serde_json::Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let all = serde_json::to_value(Config::default()).expect("plain data");
    assert_eq!(written, all, "an option is missing, or stands there that is none");
}

#[test]
fn a_typo_is_refused_with_the_nearest_option() {
    let (_folder, path) = file("kafka:\n  linger_mss: 5\ngenesys:\n  regoin: x\nkafak: {}\n");
    let error = load(Some(&path), &required()).expect_err("three typos").to_string();
    for part in [
        "kafka.linger_mss: is not an option; did you mean linger_ms?",
        "genesys.regoin: is not an option; did you mean region?",
        "kafak: is not an option; did you mean kafka?",
        "trunkline.yaml",
    ] {
        assert!(error.contains(part), "{part} in\n{error}");
    }
}

#[test]
fn every_mistake_is_named_at_once_with_its_value_and_what_is_allowed() {
    let error = with(&[
        ("GENESYS__REGION", "atlantis"),
        ("GENESYS__CHANNELS_PER_SHARD", "9"),
        ("KAFKA__COMPRESSION", "brotli"),
        ("KAFKA__BOOTSTRAP_SERVERS", "broker"),
        ("KAFKA__OVERRIDES__ACKS", "1"),
        ("FLOW__DEDUPE_WINDOW_SECS", "60"),
    ])
    .expect_err("six mistakes");
    let text = error.to_string();
    assert_eq!(error.0.len(), 6, "{text}");
    for part in [
        "genesys.region: is \"atlantis\"; allowed: us_east_1",
        "genesys.channels_per_shard: is 9; allowed: 1 to 4",
        "kafka.compression: is \"brotli\"; allowed: lz4",
        "kafka.bootstrap_servers: holds \"broker\"; allowed: host:port",
        "kafka.overrides.acks: is fixed at all",
        "flow.dedupe_window_secs: is 60; allowed: 900 and more",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_wrong_type_names_the_variable_it_came_from() {
    let text = with(&[("KAFKA__LINGER_MS", "soon"), ("GENESYS__MODE", "pigeon")])
        .expect_err("two mistakes")
        .to_string();
    assert!(text.contains("TRUNKLINE__KAFKA__LINGER_MS: kafka.linger_ms: is \"soon\""), "{text}");
    assert!(text.contains("genesys.mode: is \"pigeon\""), "{text}");
    assert!(text.contains("`channels` or `direct`"), "{text}");
}

#[test]
fn what_is_required_is_asked_for() {
    let text = load(None, &BTreeMap::new()).expect_err("nothing is given").to_string();
    for field in [
        "genesys.region",
        "genesys.clients",
        "kafka.bootstrap_servers",
        "schema_registry.url",
        "privacy.preset",
    ] {
        assert!(text.contains(&format!("{field}: is required")), "{field} in\n{text}");
    }
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let (folder, _) = file("");
    let path = folder.path().join("secret");
    std::fs::write(&path, "s3cr3t\n").expect("a file");
    let config = with(&[("GENESYS__CLIENTS__0__SECRET_FILE", &path.display().to_string())]);
    let config = config.expect("a good configuration");
    let secret = config.genesys.clients[0].secret.as_ref().expect("read from its file");
    assert_eq!(secret.expose(), "s3cr3t");
    let shown = format!("{config:?}{}", serde_json::to_string(&config).expect("plain data"));
    assert!(!shown.contains("s3cr3t") && shown.contains("***"));
    let text =
        with(&[("GENESYS__CLIENTS__0__SECRET_FILE", "/nowhere")]).expect_err("no file").to_string();
    assert!(text.contains("genesys.clients[0].secret_file: is /nowhere: No such file"), "{text}");
}

#[test]
fn an_id_of_digits_stays_a_text() {
    let config = with(&[]).expect("a good configuration");
    assert_eq!(config.genesys.clients[0].id.as_deref(), Some("12"));
}

#[test]
fn what_is_no_yaml_is_named_with_its_line() {
    let (_folder, path) = file("kafka: [\n");
    let text = load(Some(&path), &required()).expect_err("no YAML").to_string();
    assert!(text.contains("is not YAML") && text.contains("line"), "{text}");
}
