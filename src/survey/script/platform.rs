//! What is asked of the platform itself: limits, topics, how it counts.

use std::sync::PoisonError;
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_protocol::gate::Endpoint;

use super::{Survey, why};
use crate::genesys::ask::Verb;
use crate::survey::plan::WINDOW_SAMPLES;
use crate::survey::window::{Window, window};

const NAMESPACES: [&str; 4] = ["notifications", "auth.api", "platform.api", "analytics"];
/// Between two requests that are made to be counted.
const SAMPLE: Duration = Duration::from_secs(7);

impl Survey {
    pub(super) async fn ask_limits(&mut self) {
        let (mut rows, mut failed, mut answered) = (Vec::new(), None, 0);
        for namespace in NAMESPACES {
            let path = format!("/api/v2/organizations/limits/namespaces/{namespace}");
            match self.ask(Endpoint::Listing, Verb::Get, &path, None).await {
                Ok(answer) => {
                    answered += 1;
                    let limits = answer["entities"].as_array().cloned().unwrap_or_default();
                    if limits.is_empty() {
                        rows.push([
                            namespace.to_owned(),
                            "none is named".to_owned(),
                            String::new(),
                        ]);
                    }
                    for limit in &limits {
                        let key = limit["key"].as_str().unwrap_or_default();
                        let value = &limit["value"];
                        rows.push([namespace.to_owned(), key.to_owned(), value.to_string()]);
                        match key {
                            "client.credentials.token.rate.per.minute" => {
                                self.findings.set("requests_per_minute", value.clone());
                            }
                            "details.jobs.concurrent.access.max" => {
                                self.findings.set("jobs_at_once", value.clone());
                            }
                            _ => {}
                        }
                    }
                }
                Err(error) => failed = Some(why(&error)),
            }
        }
        let how = "the limits interface was asked for four namespaces";
        match failed {
            Some(why) if answered == 0 => self.findings.leave("4", why),
            Some(_) | None => {
                let count = rows.iter().filter(|row| !row[2].is_empty()).count();
                self.findings.settle("4", answered, how, format!("{count} limits, see the table"));
                self.findings.table("4", rows);
            }
        }
    }

    pub(super) async fn ask_topics(&mut self) {
        let expand = "transports,permissionDetails,requiresPermissions,enforced";
        let path = format!("/api/v2/notifications/availabletopics?expand={expand}");
        let answer = match self.ask(Endpoint::Listing, Verb::Get, &path, None).await {
            Ok(answer) => answer,
            Err(error) => return self.findings.leave("3", why(&error)),
        };
        let topics = answer["entities"].as_array().cloned().unwrap_or_default();
        let words = |value: &Value| -> Vec<String> {
            let list = value.as_array().map_or(&[][..], Vec::as_slice);
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut rows: Vec<(String, Vec<String>, String)> = topics
            .iter()
            .filter_map(|topic| {
                let id = topic["id"].as_str().filter(|id| id.contains("conversation"))?;
                let permissions = words(&topic["requiresPermissions"]).join(", ");
                Some((id.to_owned(), words(&topic["transports"]), permissions))
            })
            .collect();
        let told = rows.iter().filter(|(_, transports, _)| !transports.is_empty()).count();
        if told == 0 {
            return self.findings.leave("3", "the answer names no transports");
        }
        let all = |transports: &Vec<String>| transports.iter().any(|word| word == "All");
        let special = rows.iter().filter(|(_, transports, _)| !all(transports)).count();
        let queue = rows.iter().find(|(id, ..)| id == "v2.routing.queues.{id}.conversations");
        let queue = queue.map(|(_, transports, _)| transports.join(", "));
        let answer = format!(
            "{told} topics about conversations, {special} of them not over all transports; v2.routing.queues.{{id}}.conversations: {}",
            queue.unwrap_or_else(|| "not listed".to_owned())
        );
        self.findings.settle("3", told as u64, "availabletopics was read", answer);
        // the simulator goes by beginnings: longer ones have to come first
        rows.sort_by(|(a, ..), (b, ..)| b.len().cmp(&a.len()).then(a.cmp(b)));
        if special > 0 {
            let setting: Vec<Value> = rows.iter().map(|(id, t, _)| json!([id, t])).collect();
            self.findings.set("transports", setting);
        }
        rows.sort();
        let rows = rows.into_iter().map(|(id, t, permissions)| [id, t.join(", "), permissions]);
        self.findings.table("3", rows.collect());
    }

    /// Requests that cost little, until their count shows how it is kept.
    pub(super) async fn count_window(&mut self) {
        for _ in 0..WINDOW_SAMPLES {
            let path = "/api/v2/tokens/me";
            self.ask(Endpoint::Listing, Verb::Get, path, None).await.ok();
            if self.judge_window() {
                return;
            }
            self.rest(SAMPLE).await;
        }
    }

    fn judge_window(&mut self) -> bool {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let count = samples.len() as u64;
        let Some(found) = window(&samples) else {
            let text = format!("{count} answers named no count, or one that fits both");
            self.findings.leave("10a", text);
            return false;
        };
        let (answer, sliding) = match found {
            Window::Fixed => ("fixed: the count begins anew", false),
            Window::Sliding => ("sliding: the count is that of the last minute", true),
        };
        let how = "inin-ratelimit-count was held against the times of the requests";
        self.findings.settle("10a", count, how, answer);
        self.findings.set("sliding_window", sliding);
        true
    }
}
