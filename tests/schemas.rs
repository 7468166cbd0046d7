//! Every schema parses, documents itself, and reads what its ancestors wrote.

use std::fs;

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use serde_json::Value;
use trunkline::encode::schemas::{SUBJECTS, Subject};

fn released(name: &str) -> Vec<(String, Schema)> {
    let mut all: Vec<(String, Schema)> = fs::read_dir("schemas/released")
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(name)))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a file");
            (path.display().to_string(), Schema::parse_str(&text).expect("a schema"))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!all.is_empty(), "{name}");
    all
}

#[test]
fn todays_schemas_and_every_released_one_read_each_other() {
    for subject in SUBJECTS {
        let today = Schema::parse_str(subject.text).expect("a schema");
        for (name, old) in released(subject.name) {
            SchemaCompatibility::can_read(&old, &today)
                .unwrap_or_else(|e| panic!("{name} by today: {e}"));
            SchemaCompatibility::can_read(&today, &old)
                .unwrap_or_else(|e| panic!("today by {name}: {e}"));
        }
    }
}

#[test]
fn an_incompatible_change_would_be_noticed() {
    for Subject { name, text, .. } in SUBJECTS {
        let changed = text.replacen("\"name\": \"org_id\"", "\"name\": \"org\"", 1);
        assert_ne!(changed, text);
        let changed = Schema::parse_str(&changed).expect("a schema");
        let noticed = released(name).iter().any(|(_, old)| {
            SchemaCompatibility::can_read(old, &changed).is_err()
                || SchemaCompatibility::can_read(&changed, old).is_err()
        });
        assert!(noticed, "{name}");
    }
}

fn visit(value: &Value, path: &str, problems: &mut Vec<String>) {
    if value["type"] == "record" {
        if value["doc"].as_str().is_none_or(str::is_empty) {
            problems.push(format!("{path} has no doc"));
        }
        for field in value["fields"].as_array().expect("fields") {
            let name = field["name"].as_str().expect("a name");
            let path = format!("{path}.{name}");
            let doc = field["doc"].as_str().unwrap_or_default();
            if !doc.contains("PII:") {
                problems.push(format!("{path} does not say its PII class"));
            }
            if name.chars().any(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')) {
                problems.push(format!("{path} is not lowercase snake_case"));
            }
            let optional = field["type"]
                .as_array()
                .is_some_and(|union| union.len() == 2 && union[0] == "null");
            if field["type"].is_array()
                && !(optional && field["default"].is_null() && field.get("default").is_some())
            {
                problems.push(format!("{path} is a union other than null-first with default null"));
            }
            visit(&field["type"], &path, problems);
        }
    }
    for key in ["items", "values"] {
        visit_inner(value, key, path, problems);
    }
}

fn visit_inner(value: &Value, key: &str, path: &str, problems: &mut Vec<String>) {
    if value.get(key).is_some() {
        visit(&value[key], path, problems);
    }
}

#[test]
fn every_field_is_documented_nullable_by_the_rules_and_in_lowercase() {
    let mut problems = Vec::new();
    for subject in SUBJECTS {
        let schema: Value = serde_json::from_str(subject.text).expect("JSON");
        visit(&schema, subject.name, &mut problems);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
