//! What an operator writes, and every way of writing it wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;

use trunkline::config::load::{Purpose, load_for};
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
    assert!(text.contains("one of `channels`, `direct`, `eventbridge`"), "{text}");
}

#[test]
fn a_queue_needs_no_client_and_everything_else_of_it_is_asked_for() {
    let mut queue = required();
    queue.retain(|name, _| !name.starts_with("TRUNKLINE__GENESYS"));
    let mut set = |name: &str, value: &str| {
        queue.insert(format!("TRUNKLINE__GENESYS__{name}"), value.to_owned());
        load(None, &queue)
    };
    let text = set("MODE", "eventbridge").expect_err("no queue").to_string();
    for field in ["queue_url: is required", "region: is required", "organization: is \"\""] {
        assert!(text.contains(&format!("genesys.eventbridge.{field}")), "{field} in\n{text}");
    }
    assert!(!text.contains("genesys.clients") && !text.contains("genesys.region"), "{text}");
    let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/events";
    set("EVENTBRIDGE__QUEUE_URL", url).expect_err("whose events");
    set("EVENTBRIDGE__ORGANIZATION", "bb14bed0").expect("a good configuration");
    let text = set("EVENTBRIDGE__ACCESS_KEY_ID", "AKIA").expect_err("half a key").to_string();
    assert!(
        text.contains("genesys.eventbridge.secret_access_key_file: and access_key_id"),
        "{text}"
    );
    let config = set("EVENTBRIDGE__SECRET_ACCESS_KEY", "s3cr3t").expect("a whole key");
    let shown = format!("{config:?}{}", serde_json::to_string(&config).expect("plain data"));
    assert!(!shown.contains("s3cr3t"), "{shown}");
    let text = set("EVENTBRIDGE__RECEIVERS", "17").expect_err("too many").to_string();
    assert!(text.contains("genesys.eventbridge.receivers: is 17; allowed: 1 to 16"), "{text}");
}

#[test]
fn where_the_sink_is_looked_at_every_mistake_is_named_and_no_password_shown() {
    let error = with(&[
        ("STAGING__CONNECT_URL", "http://me:s3cr3t@connect:8083"),
        ("STAGING__CONNECTORS__0", "a/b"),
        ("STAGING__GROUPS__OTHER", "g"),
        ("STAGING__POLL_SECS", "5"),
        ("STAGING__LONGEST_OUTAGE_SECS", "1"),
    ]);
    let text = error.expect_err("five mistakes").to_string();
    for part in [
        "staging.connect_url: holds credentials; they belong into staging.username",
        "staging.connectors: holds \"a/b\"",
        "staging.groups.other: is of no connector; allowed: a/b",
        "staging.poll_secs: is 5; allowed: 10 to 3600",
        "staging.longest_outage_secs: is 1; allowed: 60 to 31536000",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("s3cr3t"), "{text}");
    let text = with(&[("STAGING__USERNAME", "me")]).expect_err("of whom").to_string();
    assert!(text.contains("staging.connect_url: is required with staging.username"), "{text}");
    let pairs = [("STAGING__CONNECT_URL", "http://c:8083"), ("STAGING__PASSWORD", "s3cr3t")];
    let config = with(&pairs).expect("a good configuration");
    assert!(!format!("{config:?}").contains("s3cr3t"));
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
fn whoever_only_hears_needs_no_broker_and_is_held_to_the_rest() {
    let mut environment = required();
    environment.retain(|key, _| !key.contains("KAFKA") && !key.contains("REGISTRY"));
    environment
        .insert("TRUNKLINE__KAFKA__SASL_PASSWORD_FILE".to_owned(), "/not/at/this/desk".to_owned());
    assert_eq!(load(None, &environment).expect_err("no broker").0.len(), 3);
    let config = load_for(Purpose::Hear, None, &environment).expect("a good configuration");
    assert_eq!(config.genesys.region.as_deref(), Some("eu_central_1"));
    environment.remove("TRUNKLINE__PRIVACY__PRESET");
    environment.insert("TRUNKLINE__KAFKA__LINGER_MSS".to_owned(), "5".to_owned());
    let text = load_for(Purpose::Hear, None, &environment).expect_err("two mistakes").to_string();
    for part in ["privacy.preset: is required", "kafka.linger_mss: is not an option"] {
        assert!(text.contains(part), "{part} in\n{text}");
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

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn a_key_that_is_said_twice_is_named_and_not_half_forgotten() {
    let (_folder, path) =
        file("kafka: {linger_ms: 7}\nlog: {level: info}\nkafka: {partitions: 3}\n");
    let error = load(Some(&path), &required()).expect_err("which one counts?").to_string();
    assert!(error.contains("duplicate entry with key \"kafka\""), "{error}");
}

#[test]
fn an_entry_that_is_no_section_is_named_and_hides_no_other_mistake() {
    let (_folder, path) = file("genesys: {clients: [a, {id: 7, secrt: b}]}\n\"\": 1\n");
    let error = load(Some(&path), &BTreeMap::new()).expect_err("no client").to_string();
    for part in [
        "genesys.clients[0]: is \"a\"",
        "genesys.clients[1].secrt: is not an option; did you mean secret?",
        "\"\": is not an option",
        "kafka.bootstrap_servers: is required",
    ] {
        assert!(error.contains(part), "{part} in\n{error}");
    }
    assert!(!error.contains("genesys.clients[0].id"), "{error}");
}

#[test]
fn a_variable_that_begins_with_a_number_is_named_and_takes_nothing_away() {
    let error = with(&[("0__ID", "7"), ("KAFKA__PARTITIONS", "many")]).expect_err("two mistakes");
    let error = error.to_string();
    assert!(error.contains("TRUNKLINE__0__ID: [0].id: is not an option"), "{error}");
    assert!(error.contains("kafka.partitions: is \"many\""), "{error}");
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn segments_of_any_size_are_compared_with_the_room_there_is() {
    let error = with(&[("SPOOL__SEGMENT_BYTES", "4611686018427387904")]).expect_err("no room");
    assert!(error.to_string().contains("spool.max_bytes: must be 4 times segment_bytes"));
    with(&[("SPOOL__SEGMENT_BYTES", "1048576"), ("SPOOL__MAX_BYTES", "4194304")]).expect("room");
}

#[test]
fn a_policy_is_made_of_a_preset_rules_and_a_key() {
    let (folder, path) = file(
        "privacy:\n  preset: strict\n  rules:\n  - {path: '$..attributes.plan', action: keep}\n  - {group: addresses, action: hash}\n",
    );
    let key = folder.path().join("key");
    // hexadecimal, base64 in either alphabet, padded or not
    for text in [
        KEY,
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "__79/Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA",
    ] {
        std::fs::write(&key, format!("{text}\n")).expect("a file");
        let mut environment = required();
        environment.remove("TRUNKLINE__PRIVACY__PRESET");
        environment
            .insert("TRUNKLINE__PRIVACY__HASH_KEY_FILE".to_owned(), key.display().to_string());
        let loaded = load(Some(&path), &environment);
        if text.contains('/') {
            assert!(loaded.is_err(), "both alphabets at once are neither");
            continue;
        }
        let config = loaded.expect("a good configuration");
        let policy = config.policy(&mut |field, problem| panic!("{field}: {problem}"));
        let body = policy.apply(r#"{"ani":"1","attributes":{"plan":"gold","pin":"2"}}"#);
        let body = body.expect("JSON");
        assert!(body.contains(r#""plan":"gold""#) && body.contains("hash:"), "{body}");
        assert!(!body.contains("pin"), "{body}");
        let shown = format!("{config:?}{}", serde_json::to_string(&config).expect("plain data"));
        assert!(!shown.contains(text), "{shown}");
    }
}

#[test]
fn a_missing_or_short_key_is_named_with_its_file_and_what_is_allowed() {
    let text = with(&[("PRIVACY__PRESET", "pseudonymous")]).expect_err("no key").to_string();
    assert!(text.contains("privacy.hash_key_file: is required where values are hashed"), "{text}");
    assert!(text.contains("openssl rand -hex 32"), "{text}");
    let (folder, _) = file("");
    let path = folder.path().join("key");
    for bad in [
        "",
        "abc",
        "0011223344",
        "not! base64!",
        &"00".repeat(32),
        KEY.get(2..).expect("62 digits"),
        KEY.get(1..).expect("63 digits"),
    ] {
        std::fs::write(&path, bad).expect("a file");
        let shown = path.display().to_string();
        let pairs =
            [("PRIVACY__PRESET", "pseudonymous"), ("PRIVACY__HASH_KEY_FILE", shown.as_str())];
        let text = with(&pairs).expect_err(bad).to_string();
        assert!(text.contains(&format!("privacy.hash_key_file: is {shown}: it ")), "{text}");
        assert!(bad.is_empty() || !text.contains(bad), "a key is never shown: {text}");
        assert!(bad.is_empty() || text.contains("allowed: 32 bytes or more"), "{text}");
    }
    let absent = [("PRIVACY__PRESET", "pseudonymous"), ("PRIVACY__HASH_KEY_FILE", "/nowhere")];
    let error = with(&absent).expect_err("no file");
    assert_eq!(error.0.len(), 1, "{error}");
    assert!(error.to_string().contains("privacy.hash_key_file: is /nowhere: No such file"));
    assert!(with(&[("PRIVACY__PRESET", "strict")]).is_ok(), "nothing is hashed there");
    let hashed = [("PRIVACY__RULES__0__PATH", "$..iban"), ("PRIVACY__RULES__0__ACTION", "hash")];
    assert!(with(&hashed).is_err(), "a rule of one's own needs a key too");
}

#[test]
fn a_rule_that_cannot_be_followed_is_named_by_its_number() {
    let (_folder, path) = file(concat!(
        "privacy:\n  rules:\n",
        "  - {path: '$.a[0]', action: drop}\n",
        "  - {path: '$.a', action: shred}\n",
        "  - {path: '$.a', acton: drop}\n",
        "  - {path: '$.a', group: names, action: drop}\n",
        "  - {action: drop}\n",
        "  - {group: nouns, action: drop}\n",
        "  - {path: '$..id', action: mask}\n",
        "  - {path: '$.*', action: drop}\n",
        "  - {path: '$..id', action: keep}\n",
        "  - {path: '$.participants[*].userId', action: mask}\n",
    ));
    let text = load(Some(&path), &required()).expect_err("mistakes").to_string();
    for part in [
        "privacy.rules[0].path: is \"$.a[0]\": character 4: allowed after $: .name",
        "privacy.rules[1].action: is \"shred\"; allowed: one of `drop`, `hash`, `mask`, `keep`",
        "privacy.rules[2].acton: is not an option; did you mean action?",
        "privacy.rules[2].action: is required",
        "privacy.rules[3].path: or group (addresses, names, emails, attributes, content) is required",
        "privacy.rules[4].path: or group",
        "privacy.rules[5].group: is \"nouns\"; allowed: one of `addresses`",
        "privacy.rules[6].path: is \"$..id\": it would change the conversation's id",
        "privacy.rules[7].path: is \"$.*\": it would change the conversation's id",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    for good in ["rules[1].action: is required", "rules[8]", "rules[9]"] {
        assert!(!text.contains(good), "{good} in\n{text}");
    }
    let text = with(&[("PRIVACY__PRESET", "shred"), ("QUARANTINE__RAW", "burn")])
        .expect_err("two mistakes");
    assert_eq!(text.0.len(), 2, "{text}");
    assert!(
        text.to_string().contains("allowed: one of `none`, `pseudonymous`, `strict`"),
        "{text}"
    );
    assert!(
        text.to_string().contains("quarantine.raw: is \"burn\"; allowed: `digest` or `keep`"),
        "{text}"
    );
}
