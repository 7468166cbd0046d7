//! Subscriptions over REST: all or nothing, unless errors are ignored.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::channels::permitted;
use crate::cloud::Cloud;
use crate::http::{Answer, Request};
use crate::topics::{Objection, objections};

impl Cloud {
    pub(super) fn subscriptions(
        &mut self,
        method: &str,
        request: &Request,
        id: &str,
        now_ms: u64,
    ) -> Answer {
        let topics = match method {
            "GET" => return Answer::json(200, &self.listed(id)),
            "DELETE" => {
                self.set_topics(id, BTreeSet::new(), now_ms);
                return Answer::empty(200);
            }
            "PUT" | "POST" => match topics_of(request) {
                Ok(topics) => topics,
                Err(answer) => return answer,
            },
            _ => return Answer::empty(405),
        };
        let ignore = request.query.get("ignoreErrors").is_some_and(|value| value == "true");
        self.change_subscriptions(id, topics, method == "PUT", ignore, now_ms)
    }

    fn listed(&self, id: &str) -> Value {
        let topics =
            self.channels.get(id).map(|channel| channel.topics.clone()).unwrap_or_default();
        let entities: Vec<Value> = topics.iter().map(|topic| permitted(id, topic)).collect();
        json!({"entities": entities})
    }

    fn set_topics(&mut self, id: &str, topics: BTreeSet<String>, now_ms: u64) {
        match self.settings.subscribe_delay_ms {
            0 => self.channels.set_topics(id, topics),
            delay => self.channels.set_topics_at(id, topics, now_ms + delay),
        }
    }

    /// Replaces or adds topics, all or nothing unless errors are ignored.
    pub(crate) fn change_subscriptions(
        &mut self,
        id: &str,
        topics: Vec<String>,
        replace: bool,
        ignore_errors: bool,
        now_ms: u64,
    ) -> Answer {
        let mut set: BTreeSet<String> = match replace {
            true => BTreeSet::new(),
            false => self.channels.get(id).map(|c| c.topics.clone()).unwrap_or_default(),
        };
        let mut entities = Vec::with_capacity(topics.len());
        for topic in topics {
            let omitted = &self.settings.omitted_topics;
            if omitted.iter().any(|start| topic.starts_with(start.as_str())) {
                continue;
            }
            let parts = objections(&topic, self.traffic.org(), &self.settings);
            let first = parts.iter().find_map(|(_, objection)| objection.as_ref());
            match first {
                None => {
                    entities.push(permitted(id, &topic));
                    set.insert(topic);
                }
                Some(objection) if !ignore_errors => return objection.answer(),
                Some(objection) => match self.rest_of(&topic, &parts) {
                    Some(rest) => {
                        entities.push(permitted(id, &topic));
                        let refused = |(single, why): &(String, Option<Objection>)| {
                            why.as_ref().map(|why| why.entity(single))
                        };
                        entities.extend(parts.iter().filter_map(refused));
                        set.insert(rest);
                    }
                    None => entities.push(objection.entity(&topic)),
                },
            }
        }
        if set.len() > self.settings.topics_per_channel {
            return Answer::usual_error(400);
        }
        self.set_topics(id, set, now_ms);
        let settings = &self.settings;
        let extends = settings.subscribe_extends_life && (replace || settings.post_extends_life);
        if let Some(channel) = self.channels.get_mut(id) {
            channel.used_ms = now_ms;
            if extends {
                channel.expires_ms = now_ms + settings.channel_life_ms;
            }
        }
        Answer::json(200, &json!({"entities": entities}))
    }

    /// A combined topic without its refused parts, where the platform permits that.
    fn rest_of(&self, topic: &str, parts: &[(String, Option<Objection>)]) -> Option<String> {
        let (prefix, _) = topic.split_once('?').filter(|_| self.settings.combined_partly)?;
        let lasts: Vec<&str> = parts
            .iter()
            .filter(|(_, objection)| objection.is_none())
            .filter_map(|(single, _)| single.strip_prefix(prefix)?.strip_prefix('.'))
            .collect();
        (!lasts.is_empty()).then(|| format!("{prefix}?{}", lasts.join("&")))
    }
}

impl Objection {
    fn entity(&self, topic: &str) -> Value {
        match self {
            Self::Unknown => {
                json!({"id": topic, "state": "Rejected", "rejectionReason": "Unknown topic"})
            }
            Self::Forbidden(permission) => {
                json!({"id": topic, "state": "Rejected", "rejectionReason": "Missing permissions",
                       "missingPermissions": [permission]})
            }
        }
    }

    fn answer(&self) -> Answer {
        match self {
            Self::Unknown => Answer::usual_error(400),
            Self::Forbidden(permission) => Answer::forbidden(permission),
        }
    }
}

fn topics_of(request: &Request) -> Result<Vec<String>, Answer> {
    if !request.content_type.as_deref().is_some_and(|t| t.starts_with("application/json")) {
        let message = "Unsupported Media Type - Unsupported or incorrect media type, such as an incorrect Content-Type value in the header.";
        return Err(Answer::error(415, "unsupported.media.type", message));
    }
    let bad = || Answer::usual_error(400);
    let list: Vec<Value> = serde_json::from_slice(&request.body).map_err(|_| bad())?;
    list.iter().map(|topic| topic["id"].as_str().map(str::to_owned).ok_or_else(bad)).collect()
}
