//! What we link may be linked, some crates are kept out, and no stack is linked twice.

use std::collections::BTreeSet;
use std::process::Command;

/// Licences that ask for no more than their text.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// Kept out, and why.
const BANNED: &[(&str, &str)] = &[
    ("native-tls", "one TLS library beside librdkafka's: rustls"),
    ("openssl", "the same"),
    ("ring", "a second crypto provider; aws-lc-rs is the one"),
    ("serde_yaml", "unmaintained"),
    ("chrono", "jiff reads and writes times"),
];
/// Stacks of which two versions would mean two sets of sockets, keys or records.
const ONE_VERSION: &[&str] = &[
    "apache-avro",
    "aws-lc-rs",
    "hyper",
    "prometheus",
    "rdkafka-sys",
    "reqwest",
    "rustls",
    "rustls-webpki",
    "serde_json",
    "tokio",
    "tokio-rustls",
    "tungstenite",
];
/// Bindings to TLS libraries beside rustls.
const TLS_LIBRARIES: &[&str] = &[
    "boring-sys",
    "gnutls-sys",
    "mbedtls-sys-auto",
    "openssl-sys",
    "schannel",
    "security-framework",
];
/// Those that are there all the same, each with its exit.
const SYSTEM_TLS: &[(&str, &str)] = &[(
    "openssl-sys",
    "librdkafka knows no other; leaves when librdkafka can be built over rustls or aws-lc",
)];

struct Package {
    name: String,
    version: String,
    licence: String,
}

/// What is built for this machine, tests included. From `cargo tree`, since `cargo metadata` also
/// lists what no feature switches on.
fn packages() -> Vec<Package> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let out = Command::new(cargo)
        .args(["tree", "--workspace", "--all-features", "--locked"])
        .args(["--prefix", "none", "--charset", "ascii", "--format", "{p}|{l}"])
        .output()
        .expect("cargo tree runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("text");
    let lines = text.lines().filter(|line| !line.is_empty());
    // a crate named before comes with a mark instead of its dependencies
    let lines: BTreeSet<&str> = lines.map(|line| line.trim_end_matches(" (*)")).collect();
    lines.into_iter().map(package).collect()
}

/// Reads `name v1.2.3 (where it is)|licence`.
fn package(line: &str) -> Package {
    let (what, licence) = line.split_once('|').expect("a licence column");
    let mut words = what.split(' ').map(str::to_owned);
    let (name, version) = (words.next().expect("a name"), words.next().expect("a version"));
    Package { name, version, licence: licence.to_owned() }
}

/// Whether an SPDX expression can be satisfied by what is allowed. `AND` binds closer than `OR`;
/// the slash of old manifests is an `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let allowed = any_of(&mut words);
    allowed && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>) -> bool {
    let mut allowed = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        // the right side is read even when the left one suffices
        allowed |= all_of(words);
    }
    allowed
}

fn all_of(words: &mut Words<'_>) -> bool {
    let mut allowed = one(words);
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut Words<'_>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let allowed = any_of(words);
        return words.next() == Some(")") && allowed;
    }
    let mut licence = words.next().unwrap_or_default().to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
    }
    ALLOWED.contains(&licence.as_str())
}

#[test]
fn every_licence_is_on_the_list() {
    let packages = packages();
    assert!(packages.len() > 100, "only {} packages were seen", packages.len());
    let bad = packages.iter().filter(|package| !is_allowed(&package.licence));
    let bad: Vec<String> = bad.map(|bad| format!("{}: {:?}", bad.name, bad.licence)).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn no_crate_is_banned_and_no_stack_is_there_twice() {
    let packages = packages();
    let versions = |name: &str| -> Vec<&str> {
        let named = packages.iter().filter(|package| package.name == name);
        named.map(|package| package.version.as_str()).collect()
    };
    for (name, why) in BANNED {
        assert!(versions(name).is_empty(), "{name} is in: {why}");
    }
    for name in ONE_VERSION {
        assert_eq!(versions(name).len(), 1, "versions of {name}: {:?}", versions(name));
    }
}

#[test]
fn the_only_other_tls_library_has_an_exit() {
    let packages = packages();
    let found = packages.iter().map(|package| package.name.as_str());
    let found: BTreeSet<&str> = found.filter(|name| TLS_LIBRARIES.contains(name)).collect();
    let excused: BTreeSet<&str> = SYSTEM_TLS.iter().map(|(name, _exit)| *name).collect();
    assert_eq!(found, excused, "left: what is linked, right: what is excused");
}

#[test]
fn an_expression_is_read_as_spdx_reads_it() {
    assert!(is_allowed("GPL-3.0 OR (MIT AND ISC)"));
    assert!(is_allowed("MIT/Apache-2.0"));
    assert!(is_allowed("GPL-3.0 OR Apache-2.0 WITH LLVM-exception"));
    assert!(!is_allowed("MIT AND GPL-3.0"));
    assert!(!is_allowed("GPL-3.0 AND (MIT OR ISC)"));
    assert!(!is_allowed("(MIT OR ISC) AND GPL-3.0"));
    assert!(!is_allowed("MIT WITH GPL-exception"));
    assert!(!is_allowed("(MIT"));
    assert!(!is_allowed(""));
}
