//! The REST API: OAuth, channels, subscriptions, listings, limits.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::channels::expand;
use crate::cloud::Cloud;
use crate::faults::What;
use crate::http::{Answer, Request};
use crate::json::iso;

const MAX_BODY: usize = 512_000;
const CHANNELS: &str = "/api/v2/notifications/channels";

impl Cloud {
    /// Answers one REST request.
    pub fn handle(&mut self, request: &Request, now_ms: u64) -> Answer {
        self.counters_mut().requests += 1;
        if self.is_out(now_ms) {
            return Answer::cut();
        }
        let slow = self.active(What::Slow, now_ms, |_| true);
        let answer = match self.refuse_by_fault(&request.path, now_ms) {
            Err(refusal) => refusal,
            Ok(()) if request.path == "/oauth/token" => self.token(request, now_ms),
            Ok(()) => self.authorised(request, now_ms),
        };
        self.count_refusal(&answer);
        let context = self.random_id();
        let mut answer = answer.with_context(&context);
        answer.delay_ms += slow.and_then(|fault| fault.args.delay_ms).unwrap_or(0);
        answer
    }

    /// # Errors
    /// The answer of an active `http_status` fault that concerns this path.
    pub(crate) fn refuse_by_fault(&mut self, path: &str, now_ms: u64) -> Result<(), Answer> {
        let concerns = |prefix: &Option<String>| {
            // without a path, a fault concerns REST and not the upgrade
            prefix
                .as_ref()
                .map_or(!path.starts_with("/channels/"), |p| path.starts_with(p))
        };
        let fault = self.active(What::HttpStatus, now_ms, |fault| concerns(&fault.args.path));
        let Some(fault) = fault else { return Ok(()) };
        let status = fault.args.status.unwrap_or(503);
        let mut answer = match (status, &fault.args.body) {
            (_, Some(body)) => Answer {
                status,
                body: body.clone(),
                ..Answer::default()
            },
            (429, None) => {
                let mut answer = Answer::too_many(1, self.settings.requests_per_minute);
                answer.headers.clear();
                answer
            }
            (_, None) => Answer::error(status, "service.unavailable", "Injected by a fault."),
        };
        if let Some(hint) = fault.args.retry_after {
            answer.headers.push(("Retry-After", hint));
        }
        self.count_refusal(&answer);
        Err(answer)
    }

    fn token(&mut self, request: &Request, now_ms: u64) -> Answer {
        let (client, secret) = basic(request.authorization.as_deref()).unwrap_or_default();
        let limit = self.settings.token_requests_per_minute;
        if limit > 0 {
            let key = format!("token {client}");
            let verdict = self.limits.take(&key, limit, &self.settings, now_ms);
            if !verdict.allowed {
                return Answer::too_many(verdict.reset_secs, limit);
            }
        }
        let body = String::from_utf8_lossy(&request.body);
        let grant = body
            .split('&')
            .find_map(|pair| pair.strip_prefix("grant_type="));
        let random = self.random_pair().0;
        self.oauth
            .grant(&client, &secret, grant, random, &self.settings, now_ms)
    }

    fn authorised(&mut self, request: &Request, now_ms: u64) -> Answer {
        let token = request
            .authorization
            .as_deref()
            .and_then(|value| value.strip_prefix("Bearer "));
        let client = match self.oauth.client_of(token, now_ms) {
            Ok(client) => client,
            Err(bad) => return bad.answer(),
        };
        let token = token.unwrap_or_default().to_owned();
        let limit = self.settings.requests_per_minute;
        let verdict = self.limits.take(&token, limit, &self.settings, now_ms);
        let mut answer = if verdict.allowed {
            self.route(request, &client, &token, now_ms)
        } else {
            Answer::too_many(verdict.reset_secs, limit)
        };
        answer.headers.extend([
            ("inin-ratelimit-count", verdict.count.to_string()),
            ("inin-ratelimit-allowed", limit.to_string()),
            ("inin-ratelimit-reset", verdict.reset_secs.to_string()),
        ]);
        answer
    }

    fn route(&mut self, request: &Request, client: &str, token: &str, now_ms: u64) -> Answer {
        if request.body.len() > MAX_BODY {
            let message = "The request is over the size limit. Maximum bytes: 512000";
            return Answer::error(413, "request.entity.too.large", message);
        }
        if let Some(rest) = request.path.strip_prefix(CHANNELS) {
            let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
            return match (request.method.as_str(), parts.as_slice()) {
                ("POST", []) => self.create_channel(client, token, now_ms),
                ("GET", []) => self.list_channels(request, client, token),
                ("HEAD", [id]) => Answer::empty(if self.lives(id, now_ms) { 200 } else { 404 }),
                ("DELETE", [_]) => Answer::empty(405),
                (_, [id, "subscriptions"]) if !self.lives(id, now_ms) => Answer::not_found(),
                (method, [id, "subscriptions"]) => self.subscriptions(method, request, id, now_ms),
                _ => Answer::not_found(),
            };
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "HEAD", "/api/v2/tokens/me") => self.token_info(client),
            ("DELETE", "/api/v2/tokens/me") => {
                self.oauth.revoke(token);
                Answer::empty(200)
            }
            ("GET", "/api/v2/organizations/me") => Answer::json(
                200,
                &json!({"id": self.traffic.org().id, "name": "Example Org"}),
            ),
            ("GET", "/api/v2/routing/queues") if self.lacks("routing:queue:view") => {
                Answer::forbidden("routing:queue:view")
            }
            ("GET", "/api/v2/routing/queues") => {
                let queues = &self.traffic.org().queues;
                page(
                    request,
                    queues
                        .iter()
                        .map(|q| json!({"id": q.id, "name": q.name}))
                        .collect(),
                )
            }
            ("GET", "/api/v2/users") => {
                let users = &self.traffic.org().users;
                let entity = |u: &crate::traffic::User| json!({"id": u.id, "name": u.name, "state": "active"});
                page(request, users.iter().map(entity).collect())
            }
            ("GET", "/api/v2/notifications/availabletopics") => {
                Answer::json(200, &available_topics())
            }
            ("GET", path) if path.starts_with("/api/v2/organizations/limits/namespaces/") => {
                self.limits_of(path)
            }
            _ => Answer::not_found(),
        }
    }

    fn limits_of(&self, path: &str) -> Answer {
        if self.lacks("limits:organization:view") {
            return Answer::forbidden("limits:organization:view");
        }
        let requests = self.settings.requests_per_minute;
        let limits = json!({"client.credentials.token.rate.per.minute": requests});
        let namespace = path
            .rsplit('/')
            .find(|part| *part != "defaults")
            .unwrap_or_default();
        Answer::json(200, &json!({"namespace": namespace, "limits": limits}))
    }

    fn lives(&self, id: &str, now_ms: u64) -> bool {
        self.channels
            .get(id)
            .is_some_and(|channel| channel.expires_ms > now_ms)
    }

    fn lacks(&self, permission: &str) -> bool {
        self.settings
            .missing_permissions
            .iter()
            .any(|missing| missing == permission)
    }

    fn create_channel(&mut self, client: &str, token: &str, now_ms: u64) -> Answer {
        let random = self.random_pair();
        let (id, evicted) = self
            .channels
            .create(client, token, random, &self.settings, now_ms);
        let code = self.settings.end_code;
        for (_, channel) in evicted {
            if let Some(socket) = channel.socket {
                self.close(socket, code, "");
            }
        }
        Answer::json(200, &self.channel_json(&id))
    }

    fn channel_json(&self, id: &str) -> Value {
        let expires_ms = self
            .channels
            .get(id)
            .map_or(0, |channel| channel.expires_ms);
        let uri = format!("{}/channels/{id}", self.base_uri);
        json!({"connectUri": uri, "id": id, "expires": self.date(expires_ms)})
    }

    /// The platform's date for a time of the simulation.
    #[must_use]
    pub fn date(&self, ms: u64) -> String {
        iso(self.wall_origin_ms + ms)
    }

    fn list_channels(&self, request: &Request, client: &str, token: &str) -> Answer {
        let whole_client = request
            .query
            .get("includechannels")
            .is_some_and(|v| v == "oauthclient");
        let entities: Vec<Value> = self
            .channels
            .of_client(client)
            .filter(|(_, channel)| whole_client || channel.token == token)
            .map(|(id, channel)| match channel.token == token {
                true => self.channel_json(id),
                false => json!({"expires": self.date(channel.expires_ms)}),
            })
            .collect();
        Answer::json(200, &json!({"entities": entities}))
    }

    fn subscriptions(&mut self, method: &str, request: &Request, id: &str, now_ms: u64) -> Answer {
        let topics = match method {
            "GET" => return Answer::json(200, &self.listed(id)),
            "DELETE" => {
                self.channels.set_topics(id, BTreeSet::new());
                return Answer::empty(200);
            }
            "PUT" | "POST" => match topics_of(request) {
                Ok(topics) => topics,
                Err(answer) => return answer,
            },
            _ => return Answer::empty(405),
        };
        let ignore = request
            .query
            .get("ignoreErrors")
            .is_some_and(|value| value == "true");
        self.change_subscriptions(id, topics, method == "PUT", ignore, now_ms)
    }

    fn listed(&self, id: &str) -> Value {
        let topics = self
            .channels
            .get(id)
            .map(|channel| channel.topics.clone())
            .unwrap_or_default();
        let entities: Vec<Value> = topics.iter().map(|topic| permitted(id, topic)).collect();
        json!({"entities": entities})
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
            false => self
                .channels
                .get(id)
                .map(|c| c.topics.clone())
                .unwrap_or_default(),
        };
        let mut entities = Vec::with_capacity(topics.len());
        for topic in topics {
            match self.objection(&topic) {
                None => {
                    entities.push(permitted(id, &topic));
                    set.insert(topic);
                }
                Some(objection) if ignore_errors => entities.push(objection.entity(&topic)),
                Some(objection) => return objection.answer(),
            }
        }
        if set.len() > self.settings.topics_per_channel {
            let message =
                "The request could not be understood by the server due to malformed syntax.";
            return Answer::error(400, "bad.request", message);
        }
        self.channels.set_topics(id, set);
        let life = self.settings.channel_life_ms;
        let extends = self.settings.subscribe_extends_life;
        if let Some(channel) = self.channels.get_mut(id) {
            channel.used_ms = now_ms;
            if extends {
                channel.expires_ms = now_ms + life;
            }
        }
        Answer::json(200, &json!({"entities": entities}))
    }

    /// Why a topic cannot be subscribed to.
    fn objection(&self, topic: &str) -> Option<Objection> {
        if topic.len() >= 200 || topic.contains('*') || topic.contains('{') {
            return Some(Objection::Malformed);
        }
        let org = self.traffic.org();
        for single in expand(topic) {
            let mut parts = single.split('.').skip(1);
            let (family, id) = match (parts.next(), parts.next(), parts.next()) {
                (Some("routing"), Some("queues"), Some(id)) => ("queue", id),
                (Some("users"), Some(id), Some(_)) => ("user", id),
                (Some("detail" | "analytics" | "conversations" | "system"), Some(_), _) => continue,
                _ => return Some(Objection::Malformed),
            };
            let (known, permission) = if family == "queue" {
                (
                    org.queues.iter().any(|queue| queue.id == id),
                    "routing:queue:view",
                )
            } else {
                (
                    org.users.iter().any(|user| user.id == id),
                    "conversation:communication:view",
                )
            };
            if !known {
                return Some(Objection::Malformed);
            }
            if self.lacks(permission) {
                return Some(Objection::Forbidden(permission));
            }
        }
        None
    }

    fn token_info(&self, client: &str) -> Answer {
        let org = json!({"id": self.traffic.org().id, "name": "Example Org"});
        Answer::json(
            200,
            &json!({"organization": org, "homeOrganization": org, "authorizedScope": [],
                    "clonedUser": false, "OAuthClient": {"id": client}}),
        )
    }
}

enum Objection {
    Malformed,
    Forbidden(&'static str),
}

impl Objection {
    fn entity(&self, topic: &str) -> Value {
        match self {
            Self::Malformed => {
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
            Self::Malformed => Answer::error(
                400,
                "bad.request",
                "The request could not be understood by the server due to malformed syntax.",
            ),
            Self::Forbidden(permission) => Answer::forbidden(permission),
        }
    }
}

fn permitted(channel: &str, topic: &str) -> Value {
    json!({"id": topic, "state": "Permitted", "selfUri": format!("{CHANNELS}/{channel}/subscriptions")})
}

fn topics_of(request: &Request) -> Result<Vec<String>, Answer> {
    if !request
        .content_type
        .as_deref()
        .is_some_and(|t| t.starts_with("application/json"))
    {
        let message = "Unsupported Media Type - Unsupported or incorrect media type, such as an incorrect Content-Type value in the header.";
        return Err(Answer::error(415, "unsupported.media.type", message));
    }
    let bad = || {
        Answer::error(
            400,
            "bad.request",
            "The request could not be understood by the server due to malformed syntax.",
        )
    };
    let list: Vec<Value> = serde_json::from_slice(&request.body).map_err(|_| bad())?;
    list.iter()
        .map(|topic| topic["id"].as_str().map(str::to_owned).ok_or_else(bad))
        .collect()
}

fn page(request: &Request, all: Vec<Value>) -> Answer {
    let number = |key: &str, default: usize| {
        request
            .query
            .get(key)
            .and_then(|v| v.parse().ok())
            .unwrap_or(default)
            .max(1)
    };
    let (size, page) = (number("pageSize", 25).min(500), number("pageNumber", 1));
    let total = all.len();
    let entities: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
    Answer::json(
        200,
        &json!({"entities": entities, "pageSize": size, "pageNumber": page, "total": total,
                "pageCount": total.div_ceil(size)}),
    )
}

fn available_topics() -> Value {
    let families = [
        (
            "v2.routing.queues.{id}.conversations",
            Some("routing:queue:view"),
        ),
        (
            "v2.users.{id}.conversations",
            Some("conversation:communication:view"),
        ),
        (
            "v2.detail.events.conversation.{id}.user.end",
            Some("analytics:conversationDetail:view"),
        ),
        (
            "v2.analytics.conversation.{id}.metrics",
            Some("analytics:conversationDetail:view"),
        ),
        ("v2.system.socket_closing", None),
    ];
    let entity = |(id, permission): (&str, Option<&str>)| {
        json!({"id": id, "transports": ["All"], "enforced": permission.is_some(),
               "requiresPermissions": permission.into_iter().collect::<Vec<_>>()})
    };
    json!({"entities": families.into_iter().map(entity).collect::<Vec<_>>()})
}

/// User and password of an `Authorization: Basic`.
fn basic(header: Option<&str>) -> Option<(String, String)> {
    let text = decode_base64(header?.strip_prefix("Basic ")?)?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn decode_base64(text: &str) -> Option<String> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(u32::from(c - b'A')),
        b'a'..=b'z' => Some(u32::from(c - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(c - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for c in text.bytes().filter(|c| *c != b'=') {
        bits = (bits << 6) | value(c)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests;
