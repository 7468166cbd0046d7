//! The topics that can be subscribed to: the conversation-related part of the published list.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::channels::expand;
use crate::settings::Settings;
use crate::traffic::Org;

/// One topic template of the published list.
#[derive(Debug, Deserialize)]
struct Template {
    id: String,
    permissions: Vec<String>,
    schema: Option<String>,
}

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("topics.json")).expect("the compiled-in list is JSON")
});

/// Why a topic cannot be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// No such topic, or no such object.
    Unknown,
    /// This permission is missing.
    Forbidden(String),
}

impl Template {
    fn matches(&self, topic: &str) -> bool {
        let (mut wanted, mut given) = (self.id.split('.'), topic.split('.'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some("{id}"), Some(id)) if !id.is_empty() && !id.contains(['{', '*']) => {}
                (Some(word), Some(same)) if word == same && word != "{id}" => {}
                _ => return false,
            }
        }
    }
}

/// The single topics of a topic string with what stands against each.
pub(crate) fn objections(
    topic: &str,
    org: &Org,
    settings: &Settings,
) -> Vec<(String, Option<Objection>)> {
    // combined or not, the string has its longest length
    if topic.len() >= 200 {
        return vec![(topic.to_owned(), Some(Objection::Unknown))];
    }
    let judge = |single: String| {
        let objection = objection(&single, org, settings);
        (single, objection)
    };
    expand(topic).into_iter().map(judge).collect()
}

fn objection(single: &str, org: &Org, settings: &Settings) -> Option<Objection> {
    let Some(template) = TEMPLATES.iter().find(|template| template.matches(single)) else {
        return Some(Objection::Unknown);
    };
    let part = |index: usize| single.split('.').nth(index).unwrap_or_default();
    let known = if single.starts_with("v2.routing.queues.") {
        org.has_queue(part(3))
    } else if single.starts_with("v2.users.") {
        org.has_user(part(2))
    } else {
        true
    };
    if !known {
        return Some(Objection::Unknown);
    }
    let missing = |permission: &&String| settings.missing_permissions.contains(permission);
    template.permissions.iter().find(missing).cloned().map(Objection::Forbidden)
}

/// `GET /api/v2/notifications/availabletopics`; without `expand` only the ids.
pub(crate) fn available(expand: &str, settings: &Settings) -> Value {
    let wanted: Vec<&str> = expand.split(',').collect();
    let entity = |template: &Template| {
        let mut entity = json!({"id": template.id});
        let mut add = |key: &str, value: Value| {
            if wanted.contains(&key) {
                entity[key] = value;
            }
        };
        let enforced = !template.permissions.is_empty();
        let details = template.permissions.iter().map(|permission| {
            json!({"type": "requiresPermissions", "permissions": [permission],
                   "allowsCurrentUser": false, "enforced": true})
        });
        add("description", json!(format!("Notifications of {}", template.id)));
        add("enforced", json!(enforced));
        add("visibility", json!("Public"));
        let listed = settings.transports.iter().find(|(start, _)| template.id.starts_with(start));
        add(
            "transports",
            listed.map_or_else(|| json!(["All"]), |(_, transports)| json!(transports)),
        );
        add("requiresPermissions", json!(template.permissions));
        add("permissionDetails", details.collect());
        add("publicApiTemplateUriPaths", json!([]));
        let parameters = template.id.matches("{id}").map(|_| "id");
        add("topicParameters", parameters.collect());
        if let Some(schema) = &template.schema {
            add("schema", json!({"id": schema}));
        }
        entity
    };
    json!({"entities": TEMPLATES.iter().map(entity).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expand_decides_what_is_said_of_a_topic() {
        let transports = vec![("v2.detail.".to_owned(), vec!["EventBridge".to_owned()])];
        let settings = Settings { transports, ..Settings::default() };
        let queue = |expand: &str| -> Value {
            let all = available(expand, &settings);
            let entities = all["entities"].as_array().unwrap();
            let found = entities.iter().find(|e| e["id"] == "v2.routing.queues.{id}.conversations");
            found.unwrap().clone()
        };
        assert_eq!(queue(""), json!({"id": "v2.routing.queues.{id}.conversations"}));
        let expanded = queue("transports,requiresPermissions");
        assert_eq!(expanded["transports"], json!(["All"]));
        assert_eq!(expanded["requiresPermissions"], json!(["routing:queue:view"]));
        assert_eq!(expanded.get("enforced"), None);
        let all = available("transports", &settings);
        let detail = all["entities"].as_array().unwrap().iter().find(|entity| {
            entity["id"].as_str().is_some_and(|id| id.starts_with("v2.detail.events."))
        });
        assert_eq!(detail.unwrap()["transports"], json!(["EventBridge"]));
    }

    #[test]
    fn a_template_fits_topics_of_its_own_length_with_real_ids_only() {
        let template = TEMPLATES.iter().find(|t| t.id == "v2.users.{id}.conversations").unwrap();
        assert!(template.matches("v2.users.u1.conversations"));
        for wrong in [
            "v2.users.u1.conversations.calls",
            "v2.users.u1",
            "v2.users..conversations",
            "v2.users.{id}.conversations",
            "v2.users.*.conversations",
        ] {
            assert!(!template.matches(wrong), "{wrong}");
        }
    }
}
