//! Imports point down, and some words have one place only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// File or folder under `src/`, and which siblings it may name after `crate::`. Without a line
/// here, it fails.
const FLOORS: &[(&str, &str)] = &[
    ("main", "cli error"),
    ("lib", ""),
    (
        "cli",
        "admin app clock config control decode demo doctor encode errand error genesys kafka ledger listen observe publish reconcile replay staging supervisor survey",
    ),
    ("demo", "app clock config error kafka observe supervisor"),
    (
        "app",
        "admin beside certify clock config control decode encode error eventbridge genesys ground kafka ledger observe orders pipeline proxy publish reconcile sequence session spool sqs staging supervisor",
    ),
    // what a command does once, with the parts of the service
    ("errand", "app clock config control encode error kafka observe publish supervisor"),
    // what a command hears, with the parts of the service and without a broker
    (
        "listen",
        "app clock config control decode encode error observe pipeline sequence session supervisor",
    ),
    // the platform alone, on channels of its own
    ("survey", "app clock config control errand error genesys session supervisor"),
    // everything the service will need, asked once
    (
        "doctor",
        "app clock config control encode genesys kafka observe spool sqs staging supervisor",
    ),
    // a queue in the place of sockets and spool, with the pipeline's own steps
    ("eventbridge", "clock decode encode observe pipeline publish sequence sqs"),
    ("pipeline", "clock decode encode kafka observe publish sequence session spool supervisor"),
    ("error", "causes"),
    ("supervisor", "causes"),
    // what libraries say, in words
    ("causes", ""),
    // control orders sockets, so it stands on session
    ("control", "beside clock genesys observe orders session supervisor"),
    // what the next process is told
    ("beside", ""),
    // which way out, for requests and sockets alike
    ("proxy", ""),
    ("session", "clock observe proxy"),
    ("spool", "clock observe"),
    ("decode", ""),
    ("sequence", "clock observe"),
    ("encode", "causes clock"),
    ("publish", "clock kafka observe"),
    // proof is written down like everything else
    ("ledger", "clock encode ground kafka observe supervisor"),
    ("certify", "clock encode ground kafka ledger observe supervisor"),
    // history is asked like the platform, written down and handed over like what was heard, and held
    // against the records that a consumer reads and what the ledger knows
    ("reconcile", "clock control decode encode genesys kafka ledger observe publish supervisor"),
    ("replay", "clock decode encode observe publish"),
    ("admin", "clock observe orders"),
    // what operators ask of control
    ("orders", ""),
    ("config", "genesys kafka sqs"),
    ("observe", ""),
    ("clock", ""),
    ("genesys", "causes clock proxy"),
    // another platform, asked over the same client
    ("sqs", "clock genesys"),
    // the sink behind the topics: Kafka Connect over that client, and how far its groups are
    ("staging", "causes clock genesys kafka observe proxy supervisor"),
    // what lies under the topics, for whoever writes them
    ("ground", "kafka observe"),
    ("kafka", ""),
    (EVERYWHERE, ""),
];
/// Named places for tests, nothing in a release: any room may have some.
const EVERYWHERE: &str = "failpoint";

/// A word, and the only places that may contain it.
const OWNERS: &[(&str, &[&str])] = &[
    ("tokio::spawn", &[]),
    ("Instant::now()", &["src/clock.rs"]),
    ("SystemTime::now()", &["src/clock.rs"]),
    ("std::env::var", &["src/config/load.rs", "src/failpoint.rs"]),
    ("rdkafka::", &["src/kafka/", "src/demo/broker.rs"]),
    ("genesys_sim::", &["src/demo/", "src/cli/simulate.rs"]),
    (
        "reqwest::",
        &["src/genesys/", "src/encode/registry.rs", "src/sqs/", "src/staging/connect.rs"],
    ),
    ("aws_sigv4::", &["src/sqs/"]),
    ("tokio_tungstenite::", &["src/session/"]),
    ("apache_avro::", &["src/demo/"]),
    ("\"trunkline_", &["src/observe/names.rs"]),
];

/// What the crate of rules may depend on.
const RULES_DEPEND_ON: &str =
    "blake3 crc32c hmac memchr serde serde_json sha2 thiserror wide wildmatch";
/// What a rule must not contain.
const RULES_AVOID: &[&str] = &["async fn", "async move", ".await", "::now()", "rand::"];
/// Parts of std a rule must not name, in a brace group or alone.
const RULES_AVOID_OF_STD: &[&str] = &["env", "fs", "io", "net", "process", "thread"];

/// Rust files below `root`, without comments and test modules.
fn sources(root: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry").path();
            let is_test = entry.file_name().is_some_and(|name| name == "tests.rs");
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "rs") && !is_test {
                let text = fs::read_to_string(&entry).expect("a readable file");
                found.insert(entry, code_of(&text));
            }
        }
    }
    assert!(!found.is_empty(), "nothing to look at below {root}");
    found
}

/// A file without its comment lines and without its trailing test module; what follows any other
/// `cfg(test)` is still looked at.
fn code_of(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

/// The room a file belongs to: its first part below `src/`.
fn room(path: &Path) -> String {
    let below = path.strip_prefix("src").expect("below src");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Names after `prefix`, through brace groups.
fn named(code: &str, prefix: &str) -> BTreeSet<String> {
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    let mut names = BTreeSet::new();
    for rest in code.split(prefix).skip(1) {
        let heads = rest.strip_prefix('{').map_or_else(|| vec![rest], group_heads);
        names.extend(heads.iter().map(|head| head.trim().chars().take_while(is_word).collect()));
    }
    names.remove("");
    names
}

/// The members of a brace group that was just opened, groups within left whole.
fn group_heads(inside: &str) -> Vec<&str> {
    let (mut heads, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, sign) in inside.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.extend(inside.get(start..at));
                start = at + 1;
                if sign == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

/// Whether `super::` in this file is the root of the crate, which would hide a sibling's name.
fn is_at_the_root(path: &Path) -> bool {
    path.components().count() == 2 || path.ends_with("mod.rs") && path.components().count() == 3
}

fn climbs(sources: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let floors: BTreeMap<&str, &str> = FLOORS.iter().copied().collect();
    let mut climbs = Vec::new();
    for (path, code) in sources {
        let room = room(path);
        let Some(allowed) = floors.get(room.as_str()) else {
            climbs.push(format!("{} has no line in the table", path.display()));
            continue;
        };
        let hidden = if is_at_the_root(path) { "super::" } else { "super::super::" };
        if code.contains(hidden) {
            climbs.push(format!("{} must say crate:: for {hidden}", path.display()));
        }
        let prefix = if room == "main" { "trunkline::" } else { "crate::" };
        for name in named(code, prefix) {
            if name != room && name != EVERYWHERE && !allowed.split(' ').any(|floor| floor == name)
            {
                climbs.push(format!("{} may not name {name}", path.display()));
            }
        }
    }
    climbs
}

fn trespasses(sources: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (path, code) in sources {
        let shown = path.display().to_string();
        for (word, places) in OWNERS {
            if code.contains(word) && !places.iter().any(|place| shown.starts_with(place)) {
                found.push(format!("{shown} contains {word}"));
            }
        }
    }
    found
}

/// What keeps this source of the crate of rules from being pure.
fn impurities(code: &str) -> Vec<&'static str> {
    let of_std = named(code, "std::");
    let words = RULES_AVOID.iter().filter(|word| code.contains(**word));
    words.chain(RULES_AVOID_OF_STD.iter().filter(|word| of_std.contains(**word))).copied().collect()
}

/// Names in every table of dependencies of a manifest, those of tests left out.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for section in format!("\n{manifest}").split("\n[").skip(1) {
        let (title, lines) = section.split_once(']').expect("a closed title");
        if title.contains("dev-dependencies") {
            continue;
        }
        if let Some((_, name)) = title.split_once("dependencies.") {
            names.insert(name.to_owned());
        } else if title.ends_with("dependencies") {
            let name =
                |line: &str| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned();
            let lines = lines.lines().filter(|line| line.starts_with(char::is_alphabetic));
            names.extend(lines.map(name));
        }
    }
    names
}

fn manifest(package: &str) -> String {
    fs::read_to_string(format!("crates/{package}/Cargo.toml")).expect("a manifest")
}

#[test]
fn imports_point_down() {
    let climbs = climbs(&sources("src"));
    assert!(climbs.is_empty(), "move the code, not the table:\n{}", climbs.join("\n"));
}

#[test]
fn some_words_have_one_place_only() {
    let found = trespasses(&sources("src"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_line_of_the_tables_has_a_tenant() {
    let rooms: BTreeSet<String> = sources("src").keys().map(|path| room(path)).collect();
    for (floor, allowed) in FLOORS {
        for name in [*floor].into_iter().chain(allowed.split(' ')).filter(|name| !name.is_empty()) {
            assert!(rooms.contains(name), "there is no {name} under src (line {floor})");
        }
    }
    for place in OWNERS.iter().flat_map(|(_, places)| *places) {
        assert!(Path::new(place).exists(), "there is no {place}");
    }
}

#[test]
fn planted_climbs_and_trespasses_are_caught() {
    let plant = |path: &str, code: &str| BTreeMap::from([(PathBuf::from(path), code_of(code))]);
    let caught = |path: &str, code: &str| climbs(&plant(path, code)).len();
    assert_eq!(caught("src/kafka/mod.rs", "use crate::{publish::Stage, kafka::x};"), 1);
    assert_eq!(caught("src/kafka/mod.rs", "use crate::{kafka::{x, y}, publish::Stage};"), 1);
    assert_eq!(caught("src/observe/flow.rs", "let x = crate::control::run();"), 1);
    assert_eq!(caught("src/kafka/mod.rs", "use super::publish::Stage;"), 1);
    assert_eq!(caught("src/kafka/admin.rs", "use super::super::publish::Stage;"), 1);
    assert_eq!(caught("src/kafka/admin.rs", "\n#[cfg(test)]\nfn x() {}\nuse crate::publish;"), 1);
    assert_eq!(caught("src/attic.rs", ""), 1);
    assert_eq!(caught("src/kafka/mod.rs", "// use crate::publish;"), 0);
    assert_eq!(caught("src/kafka/mod.rs", "\n#[cfg(test)]\nmod tests {\nuse crate::publish;}"), 0);
    assert_eq!(trespasses(&plant("src/publish/stage.rs", "rdkafka::x()")).len(), 1);
}

#[test]
fn the_rules_are_pure() {
    let sources = sources("crates/protocol/src");
    // mistakes that are planted on purpose, in no release build, are chosen by the environment
    let found: Vec<String> = sources
        .iter()
        .filter(|(path, _)| !path.ends_with("seeded.rs"))
        .flat_map(|(path, code)| {
            impurities(code).into_iter().map(move |word| format!("{}: {word}", path.display()))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    let allowed: BTreeSet<String> = RULES_DEPEND_ON.split(' ').map(str::to_owned).collect();
    assert_eq!(dependencies(&manifest("protocol")), allowed);
}

#[test]
fn planted_impurities_are_caught() {
    assert_eq!(impurities("use std::{fmt, fs};"), ["fs"]);
    assert_eq!(impurities("let x = std::env::var(y);"), ["env"]);
    assert_eq!(impurities("reply().await; Instant::now()"), [".await", "::now()"]);
    assert!(impurities("use std::{collections::BTreeMap, fmt};").is_empty());
    let tables = "[dependencies]\na = \"1\"\n# b\nc.workspace = true\n[dependencies.d]\nversion = \"1\"\n\
                  [target.'cfg(unix)'.dependencies]\ne = \"1\"\n[dev-dependencies]\nf = \"1\"\n";
    assert_eq!(dependencies(tables), ["a", "c", "d", "e"].map(str::to_owned).into());
}

#[test]
fn the_simulator_shares_nothing_with_the_product() {
    let depends = dependencies(&manifest("genesys-sim"));
    assert!(depends.contains("rand"), "the manifest was misread: {depends:?}");
    assert!(!depends.iter().any(|name| name.starts_with("trunkline")), "{depends:?}");
}
