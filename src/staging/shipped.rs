//! Connectors as files: `events.json` holds the configuration of `trunkline-events`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::connect::ConnectorConfig;

/// A connector as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: ConnectorConfig,
}

/// What files' names are put behind, where they do not say it themselves.
const PREFIX: &str = "trunkline-";
const CLASS: &str = "connector.class";

/// Every connector of a folder, sorted by name.
///
/// # Errors
/// A line for each mistake: file, key, what is allowed.
pub fn read(folder: &Path) -> Result<Vec<Shipped>, Vec<String>> {
    let shown = folder.display();
    let entries =
        fs::read_dir(folder).map_err(|error| vec![format!("--dir is {shown}: {error}")])?;
    let mut texts = BTreeMap::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "json") {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path);
            texts.insert(stem, text.map_err(|error| vec![format!("{}: {error}", path.display())])?);
        }
    }
    if texts.is_empty() {
        let text = format!("--dir is {shown}: it holds no file *.json; deploy/connect/s3 has some");
        return Err(vec![text]);
    }
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for (stem, text) in texts {
        match parse(&stem, &text) {
            Ok(connector) => all.push(connector),
            Err(mistakes) => wrong.extend(mistakes),
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong) }
}

fn parse(stem: &str, text: &str) -> Result<Shipped, Vec<String>> {
    let name = if stem.starts_with(PREFIX) { stem.to_owned() } else { format!("{PREFIX}{stem}") };
    let tree: Value = serde_json::from_str(text)
        .map_err(|error| vec![format!("{stem}.json: is no JSON: {error}")])?;
    let Some(map) = tree.as_object() else {
        return Err(vec![format!("{stem}.json: is no object; allowed: keys with texts")]);
    };
    let (mut config, mut wrong) = (ConnectorConfig::new(), Vec::new());
    for (key, value) in map {
        match value.as_str() {
            Some(value) => _ = config.insert(key.clone(), value.to_owned()),
            // which may be a secret, so it is not shown
            None => wrong.push(format!("{stem}.json: {key}: is no text; allowed: \"…\"")),
        }
    }
    if !config.contains_key(CLASS) {
        wrong.push(format!("{stem}.json: {CLASS}: is required"));
    }
    if config.remove("name").is_some_and(|said| said != name) {
        wrong.push(format!("{stem}.json: name: allowed: {name}, or none"));
    }
    if wrong.is_empty() { Ok(Shipped { name, config }) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_files_are_the_connectors_that_are_looked_at_by_default() {
        let all = read(Path::new("deploy/connect/s3")).unwrap();
        let names: Vec<&str> = all.iter().map(|connector| connector.name.as_str()).collect();
        assert_eq!(names, ["trunkline-certificates", "trunkline-events", "trunkline-gaps"]);
        assert!(all.iter().all(|connector| connector.config.len() > 30));
    }

    #[test]
    fn every_mistake_of_a_file_is_named() {
        let wrong = parse("events", r#"{"flush.size": 7, "name": "other", "a": "b"}"#).unwrap_err();
        let expected = [
            "events.json: flush.size: is no text; allowed: \"…\"",
            "events.json: connector.class: is required",
            "events.json: name: allowed: trunkline-events, or none",
        ];
        assert_eq!(wrong, expected);
        assert!(parse("x", "[").unwrap_err()[0].contains("x.json: is no JSON"));
        let good = parse("trunkline-x", r#"{"connector.class": "S3"}"#).unwrap();
        assert_eq!((good.name.as_str(), good.config.len()), ("trunkline-x", 1));
        let wrong = read(Path::new("/nowhere")).unwrap_err();
        assert!(wrong[0].contains("--dir is /nowhere: No such file"), "{wrong:?}");
    }
}
