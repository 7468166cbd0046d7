//! What looking at the sink needs, where it is looked at.

use super::secret;
use crate::config::StagingConfig;

/// Connectors that are looked at one after the other.
const CONNECTORS: usize = 50;

pub(super) fn check(staging: &mut StagingConfig, wrong: &mut impl FnMut(&str, String)) {
    let file = staging.password_file.clone();
    secret(&mut staging.password, file.as_deref(), "staging.password_file", wrong);
    let allowed = "allowed: a URL with http or https, e.g. http://connect:8083";
    match staging.connect_url.as_deref().map(|text| (text, url::Url::parse(text))) {
        // it may hold a password
        Some((_, Ok(url))) if !url.username().is_empty() => {
            let text = "holds credentials; they belong into staging.username and password_file";
            wrong("staging.connect_url", text.to_owned());
        }
        Some((_, Ok(url))) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
        Some((text, _)) => wrong("staging.connect_url", format!("is {text:?}; {allowed}")),
        None if staging.username.is_some() => {
            wrong("staging.connect_url", "is required with staging.username".to_owned());
        }
        None => {}
    }
    let names = &staging.connectors;
    if names.is_empty() || names.len() > CONNECTORS {
        let text = format!("has {} entries; allowed: 1 to {CONNECTORS}", names.len());
        wrong("staging.connectors", text);
    }
    if let Some(bad) = names.iter().find(|name| name.is_empty() || name.contains('/')) {
        wrong("staging.connectors", format!("holds {bad:?}; allowed: names of connectors"));
    }
    for name in staging.groups.keys().filter(|name| !names.contains(name)) {
        let text = format!("is of no connector; allowed: {}", names.join(", "));
        wrong(&format!("staging.groups.{name}"), text);
    }
    let mut range = |name: &str, value: u64, from: u64, to: u64| {
        if !(from..=to).contains(&value) {
            wrong(&format!("staging.{name}"), format!("is {value}; allowed: {from} to {to}"));
        }
    };
    range("longest_outage_secs", staging.longest_outage_secs, 60, 365 * 86_400);
    range("poll_secs", staging.poll_secs, 10, 3_600);
    range("timeout_secs", staging.timeout_secs, 1, 60);
}
