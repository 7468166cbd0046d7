//! Document and code agree, both ways.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use trunkline::config::Config;
use trunkline::observe::flow::Flow;
use trunkline::observe::metrics::Metrics;
use trunkline::observe::names;

/// First cells of the rows of a document's table, without back-quotes.
fn documented(path: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(path).expect("a document");
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let found: BTreeSet<String> = cells.map(|(name, _)| name.to_owned()).collect();
    assert!(found.len() > 5, "{path} has no table");
    found
}

#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    let known: BTreeSet<String> = names::ALL.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(known.len(), names::ALL.len(), "a name is used twice");
    assert_eq!(documented("docs/metrics.md"), known);
    let text = fs::read_to_string("docs/metrics.md").expect("a document");
    for metric in names::ALL {
        assert!(text.contains(metric.help), "{} has another meaning there", metric.name);
    }
}

#[test]
fn every_metric_that_is_scraped_has_a_name_in_the_list() {
    let scraped = Metrics::new(Flow::new()).render();
    let families =
        scraped.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let known: BTreeSet<&str> = names::ALL.iter().map(|metric| metric.name).collect();
    let mut count = 0;
    for family in families {
        assert!(known.contains(family), "{family}");
        count += 1;
    }
    assert!(count > 15, "only {count} families start at 0");
}

fn paths(value: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
    let Some(map) = value.as_object().filter(|map| !map.is_empty()) else {
        found.insert(path.to_owned());
        return;
    };
    for (key, value) in map {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        paths(value, &path, found);
    }
}

#[test]
fn every_option_is_documented_and_every_documented_one_exists() {
    let mut known = BTreeSet::new();
    let defaults = serde_json::to_value(Config::default()).expect("plain data");
    paths(&defaults, "", &mut known);
    let client =
        serde_json::to_value(trunkline::config::OAuthClient::default()).expect("plain data");
    paths(&client, "genesys.clients[]", &mut known);
    let rule = serde_json::to_value(trunkline::config::PrivacyRule::default()).expect("plain data");
    paths(&rule, "privacy.rules[]", &mut known);
    assert_eq!(documented("docs/configuration.md"), known);
}

/// Texts of the files of the product.
fn sources() -> Vec<String> {
    let (mut texts, mut folders) = (Vec::new(), vec![PathBuf::from("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => texts.push(fs::read_to_string(path).expect("a file")),
            }
        }
    }
    texts
}

#[test]
fn every_event_code_is_documented_and_every_documented_one_is_logged() {
    let mut codes = BTreeSet::new();
    for text in sources() {
        for rest in text.split("code = \"").skip(1) {
            codes.insert(rest.split('"').next().expect("a code").to_owned());
        }
    }
    assert_eq!(documented("docs/logs.md"), codes);
}

#[test]
fn every_failpoint_is_documented_and_every_documented_one_exists() {
    let is_point = |text: &&str| {
        let groups = [
            "start", "ch", "rx", "spool", "prod", "state", "gap", "bf", "audit", "cert", "sb",
            "eb", "term",
        ];
        let group = text.split_once('.').map(|(group, _)| group);
        group.is_some_and(|group| groups.contains(&group))
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte))
    };
    let mut points = BTreeSet::new();
    for text in sources().iter().filter(|text| text.contains("failpoint::")) {
        points.extend(text.split('"').filter(is_point).map(str::to_owned));
    }
    assert_eq!(documented("docs/failpoints.md"), points);
    assert!(points.len() >= 40, "{} failpoints", points.len());
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let (mut folders, mut followed) = (vec![PathBuf::from(".")], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules"
            {
                folders.push(path);
            } else if name.ends_with(".md") {
                let text = fs::read_to_string(&path).expect("a document");
                for rest in text.split("](").skip(1) {
                    let target = rest.split([')', '#']).next().unwrap_or_default();
                    assert!(
                        target.contains("://") || folder.join(target).exists(),
                        "{}: {target}",
                        path.display()
                    );
                    followed += 1;
                }
            }
        }
    }
    assert!(followed > 10, "only {followed} links were found");
}
