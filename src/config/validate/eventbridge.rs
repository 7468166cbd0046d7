//! What mode eventbridge needs: a queue, whose events lie in it, and a way to sign.

use super::secret;
use crate::config::Config;
use crate::sqs::region_of;

pub(super) fn check(config: &mut Config, wrong: &mut impl FnMut(&str, String)) {
    let bridge = &mut config.genesys.eventbridge;
    let field = |name: &str| format!("genesys.eventbridge.{name}");
    let file = bridge.secret_access_key_file.clone();
    let name = field("secret_access_key_file");
    secret(&mut bridge.secret_access_key, file.as_deref(), &name, wrong);
    let key = bridge.access_key_id.as_deref().is_some_and(|id| !id.is_empty());
    if key != (bridge.secret_access_key.is_some() || file.is_some()) {
        let allowed = "and access_key_id go together, or neither is there".to_owned();
        wrong(&field("secret_access_key_file"), allowed);
    }
    let url = bridge.queue_url.as_deref().map(|text| (text, url::Url::parse(text)));
    let example = "e.g. https://sqs.eu-central-1.amazonaws.com/123456789012/genesys-events";
    match &url {
        None => wrong(&field("queue_url"), format!("is required in mode eventbridge, {example}")),
        Some((_, Ok(url))) if matches!(url.scheme(), "http" | "https") && url.path().len() > 1 => {}
        Some((text, _)) => {
            let allowed = format!("is {text:?}; allowed: the URL of a queue, {example}");
            wrong(&field("queue_url"), allowed);
        }
    }
    let named = url.and_then(|(text, _)| region_of(text));
    if bridge.region.as_deref().unwrap_or_default().is_empty() && named.is_none() {
        let text = "is required where queue_url does not name one, e.g. eu-central-1";
        wrong(&field("region"), text.to_owned());
    }
    let organization = bridge.organization.as_deref().unwrap_or_default();
    if organization.is_empty() || organization.contains('/') {
        let text = format!(
            "is {organization:?}; allowed: the organisation's id, as it stands in the partner event source aws.partner/genesys.com/cloud/ID/SUFFIX"
        );
        wrong(&field("organization"), text);
    }
    let mut range = |name: &str, value: u64, from: u64, to: u64| {
        if !(from..=to).contains(&value) {
            wrong(&field(name), format!("is {value}; allowed: {from} to {to}"));
        }
    };
    range("visibility_secs", bridge.visibility_secs, 30, 43_200);
    range("in_flight_messages", bridge.in_flight_messages as u64, 10, 100_000);
    range("receivers", bridge.receivers as u64, 1, 16);
}
