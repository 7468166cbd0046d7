//! The manual (`docs/simulator.md`) and the simulator agree: every row is proved by tests that exist, every
//! setting, fault, flag and control endpoint is there with its default.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args as _;
use genesys_sim::Settings;
use genesys_sim::cli::ServeArgs;
use genesys_sim::faults::What;
use genesys_sim::page::buttons::BUTTONS;
use serde_json::Value;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Cells of the rows of all tables below a heading, down to the next one of its level.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(here("../../docs/simulator.md")).expect("the manual");
    let (_, below) = text.split_once(&format!("\n{heading}\n")).expect("the heading");
    let level = format!("\n{} ", heading.split(' ').next().expect("a level"));
    let section = below.split(level.as_str()).next().unwrap_or_default();
    let lines = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows = lines.map(cells).filter(|row: &Vec<String>| row[0].contains(['`', ' ']));
    rows.collect()
}

/// What stands between back-quotes.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The functions below a folder that are tests, in Rust or in Python.
fn tests(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            tests(&path, found);
        } else if let Some(kind) = path.extension().filter(|kind| *kind == "rs" || *kind == "py") {
            let text = fs::read_to_string(&path).expect("a file");
            let name = |rest: &str| rest.split('(').next().unwrap_or_default().to_owned();
            if kind == "py" {
                let methods = text.lines().filter_map(|line| line.strip_prefix("    def "));
                found.extend(methods.filter(|rest| rest.starts_with("test_")).map(name));
            }
            for attribute in ["#[test]", "#[tokio::test]"] {
                let after = text.split(attribute).skip(1);
                found.extend(after.filter_map(|rest| Some(name(rest.split_once("fn ")?.1))));
            }
        }
    }
}

const SECTIONS: [&str; 8] = [
    "### OAuth",
    "### REST",
    "### Channels",
    "### Subscriptions",
    "### Sockets",
    "### Events",
    "### Analytics",
    "### Direct connections",
];

/// What is wrong with a row of behaviour, as far as its own words go.
fn complaint(row: &[String], known: &BTreeSet<String>) -> Option<String> {
    let [_, confidence, _, proof] = row else { return Some("four cells".to_owned()) };
    let words = ["documented", "observed", "assumed"];
    if !confidence.split(", ").all(|word| words.contains(&word)) {
        return Some(format!("confidence {confidence:?}"));
    }
    let named = quoted(proof);
    match named.iter().find(|name| !known.contains(*name)) {
        Some(name) => Some(format!("no test is called {name}")),
        None if named.is_empty() => Some("no test".to_owned()),
        None => None,
    }
}

#[test]
fn every_behaviour_is_proved_by_tests_that_exist() {
    let mut known = BTreeSet::new();
    ["src", "tests", "../../tests/clients"]
        .iter()
        .for_each(|folder| tests(&here(folder), &mut known));
    let mut wrong = Vec::new();
    for section in SECTIONS {
        let rows = rows(section);
        assert!(rows.len() > 8, "{section} has {} rows", rows.len());
        for row in rows {
            wrong.extend(complaint(&row, &known).map(|what| format!("{what}: {row:?}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_row_without_a_test_or_with_one_that_is_not_there_is_noticed() {
    let known = BTreeSet::from(["proved".to_owned()]);
    let row = |proof: &str| ["it rains", "observed", "—", proof].map(str::to_owned);
    assert_eq!(complaint(&row("`proved`"), &known), None);
    for proof in ["", "—", "`proved`, `imagined`"] {
        assert!(complaint(&row(proof), &known).is_some(), "{proof:?}");
    }
    let bold = ["it rains", "certain", "—", "`proved`"].map(str::to_owned);
    assert!(complaint(&bold, &known).is_some());
}

#[test]
fn every_setting_is_there_with_its_default_and_every_fault_that_is_named_exists() {
    let defaults = serde_json::to_value(Settings::default()).expect("plain data");
    let kinds: BTreeSet<&str> = What::ALL.iter().map(|what| what.as_str()).collect();
    let mut named = BTreeSet::new();
    for row in SECTIONS.iter().flat_map(|section| rows(section)) {
        for item in row[2].split("; ").filter(|item| *item != "—") {
            let name = quoted(item).into_iter().next().expect("a name in back-quotes");
            if item.starts_with("fault ") {
                assert!(kinds.contains(name.as_str()), "{item}");
                continue;
            }
            let (_, default) = item.split_once(" = ").expect("a default");
            let default: Value = serde_json::from_str(default).expect("a default in JSON");
            assert_eq!(defaults.get(&name), Some(&default), "{name}");
            named.insert(name);
        }
    }
    let known = defaults.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(named, known);
}

fn firsts(heading: &str) -> BTreeSet<String> {
    rows(heading).iter().filter_map(|row| quoted(&row[0]).into_iter().next()).collect()
}

#[test]
fn every_fault_and_every_flag_is_there() {
    let kinds = What::ALL.iter().map(|what| what.as_str().to_owned()).collect();
    assert_eq!(firsts("## Faults"), kinds);
    let command = ServeArgs::augment_args(clap::Command::new("serve"));
    let mut flags = BTreeSet::new();
    for row in rows("## Starting it") {
        let name = quoted(&row[0]).into_iter().next().expect("a flag");
        let id = name.trim_start_matches("--");
        let flag = command.get_arguments().find(|flag| flag.get_long() == Some(id));
        let default: Vec<String> = flag
            .unwrap_or_else(|| panic!("there is no {name}"))
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        let default = default.concat().replace("false", ""); // of a switch
        assert_eq!(default, row[1], "{name}");
        flags.insert(id.to_owned());
    }
    let known = command.get_arguments().filter_map(|flag| Some(flag.get_long()?.to_owned()));
    assert_eq!(flags, known.collect());
}

#[test]
fn every_control_endpoint_is_there() {
    let code = fs::read_to_string(here("src/server/control.rs")).expect("a file");
    let arms = code.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split_once(") =>"));
    let endpoint = |(arm, _): (&str, &str)| {
        let (method, path) = arm.split_once("\", [").expect("a method and a path");
        let parts = path.trim_end_matches(']').split(", ");
        let part = |part: &str| match part.strip_prefix('"') {
            Some(word) => word.trim_end_matches('"').to_owned(),
            None => format!("{{{part}}}"),
        };
        format!("{method} /sim/{}", parts.map(part).collect::<Vec<_>>().join("/"))
    };
    let known: BTreeSet<String> = arms.map(endpoint).collect();
    assert!(known.len() > 10, "{known:?}");
    assert_eq!(firsts("## Asking it"), known);
}

#[test]
fn every_argument_of_a_fault_is_a_field_of_its_button() {
    let args = serde_json::to_value(genesys_sim::faults::Args::default()).expect("plain data");
    let args: BTreeSet<String> = args.as_object().expect("an object").keys().cloned().collect();
    let faults = rows("## Faults");
    assert_eq!(faults.len(), BUTTONS.len());
    for (row, button) in faults.iter().zip(BUTTONS) {
        let what = button.what.as_str();
        assert!(quoted(&row[0]).contains(what), "{row:?}");
        let fields = button.fields.iter().map(|field| field.name.to_owned());
        let fields: BTreeSet<String> = fields.filter(|name| name != "whom").collect();
        // `before` of `slow` and the like are explained in the middle cell
        let named = &quoted(&row[1]) | &quoted(&row[2]);
        let mut takes = &named & &args;
        takes.extend(named.contains("for_ms").then(|| "for_ms".to_owned()));
        takes.extend((what == "broker_down").then(|| "for_ms".to_owned()));
        assert_eq!(fields, takes, "{what}");
    }
}
