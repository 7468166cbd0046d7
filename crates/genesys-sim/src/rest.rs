//! The REST API: who may ask, how often, and who answers.

mod analytics;
mod channels;
mod listings;
mod subscriptions;

use crate::cloud::Cloud;
use crate::faults::{Fault, What, Whom};
use crate::http::{Answer, Request};

pub use listings::Kind;

const MAX_BODY: usize = 512_000;
const CHANNELS: &str = "/api/v2/notifications/channels";

impl Cloud {
    /// How many milliseconds a request is held back before it takes effect; ask once, wait, then
    /// call [`Self::handle`] or open the socket.
    pub fn held_back(&mut self, request: &Request, upgrade: bool, now_ms: u64) -> u64 {
        let client = self.asker(request, now_ms);
        let fault = self.active(What::Slow, now_ms, |fault| {
            (upgrade || fault.args.before == Some(true))
                && concerns(fault, &request.path, client.as_deref())
        });
        fault.and_then(|fault| fault.args.delay_ms).unwrap_or(0)
    }

    /// Answers one REST request.
    pub fn handle(&mut self, request: &Request, now_ms: u64) -> Answer {
        self.now_ms = now_ms;
        self.counters_mut().requests += 1;
        if self.is_out(now_ms) {
            return Answer::cut();
        }
        let client = self.asker(request, now_ms);
        let slow = self.active(What::Slow, now_ms, |fault| {
            fault.args.before != Some(true) && concerns(fault, &request.path, client.as_deref())
        });
        let mut answer = match self.refuse_by_fault(&request.path, client.as_deref(), now_ms) {
            Err(refusal) => refusal,
            Ok(()) => {
                let answer = match request.path.as_str() {
                    "/oauth/token" => self.token(request, now_ms),
                    _ => self.authorised(request, now_ms),
                };
                self.count_refusal(&answer);
                answer
            }
        };
        self.add_limits(request, &mut answer, now_ms);
        let context = self.random_id();
        let mut answer = answer.with_context(&context);
        answer.delay_ms += slow.and_then(|fault| fault.args.delay_ms).unwrap_or(0);
        answer
    }

    /// The client behind a request, as far as its token or its credentials tell.
    fn asker(&self, request: &Request, now_ms: u64) -> Option<String> {
        let header = request.authorization.as_deref();
        match (request.path.strip_prefix("/channels/"), header) {
            (Some(id), _) => self.channels.get(id).map(|channel| channel.client.clone()),
            (None, Some(header)) if header.starts_with("Basic ") => {
                basic(Some(header)).map(|(user, _)| user)
            }
            (None, header) => {
                let bearer = header.and_then(|value| value.strip_prefix("Bearer "));
                let token = bearer.or(request.query.get("access_token").map(String::as_str));
                self.oauth.client_of(token, now_ms).ok()
            }
        }
    }

    /// # Errors
    /// The answer of an active `http_status` fault that concerns this path and client.
    pub(crate) fn refuse_by_fault(
        &mut self,
        path: &str,
        client: Option<&str>,
        now_ms: u64,
    ) -> Result<(), Answer> {
        let fault = self.active(What::HttpStatus, now_ms, |fault| concerns(fault, path, client));
        let Some(fault) = fault else { return Ok(()) };
        let status = fault.args.status.unwrap_or(503);
        let hint = fault.args.retry_after;
        let mut answer = match (status, fault.args.body) {
            (0, _) => return Err(Answer::cut()),
            (_, Some(body)) => Answer { status, body, ..Answer::default() },
            (429, None) => {
                let secs = hint.as_deref().and_then(|hint| hint.parse().ok()).unwrap_or(1);
                let mut answer = self.too_many(secs, self.settings.requests_per_minute);
                answer.headers.clear();
                answer
            }
            (_, None) => Answer::usual_error(status),
        };
        answer.headers.extend(hint.map(|hint| ("Retry-After", hint)));
        self.count_refusal(&answer);
        Err(answer)
    }

    /// 429 in the platform's words.
    pub(crate) fn too_many(&self, retry_after_secs: u64, limit: u32) -> Answer {
        let mut answer = Answer::too_many(retry_after_secs, limit);
        if !self.settings.limit_in_429
            && let Ok(mut body) = serde_json::from_str::<serde_json::Value>(&answer.body)
        {
            body.as_object_mut().and_then(|body| body.remove("limit"));
            answer.body = body.to_string();
        }
        answer
    }

    fn token(&mut self, request: &Request, now_ms: u64) -> Answer {
        let (client, secret) = basic(request.authorization.as_deref()).unwrap_or_default();
        let limit = self.settings.token_requests_per_minute;
        if limit > 0 {
            let key = format!("token {client}");
            let verdict = self.limits.take(&key, limit, &self.settings, now_ms);
            if !verdict.allowed {
                return self.too_many(verdict.reset_secs, limit);
            }
        }
        let body = String::from_utf8_lossy(&request.body);
        let grant = body.split('&').find_map(|pair| pair.strip_prefix("grant_type="));
        let random = self.random_pair().0;
        self.oauth.grant(&client, &secret, grant, random, &self.settings, now_ms)
    }

    fn authorised(&mut self, request: &Request, now_ms: u64) -> Answer {
        let token = bearer(request);
        let client = match self.oauth.client_of(token, now_ms) {
            Ok(client) => client,
            Err(bad) => return bad.answer(),
        };
        let token = token.unwrap_or_default().to_owned();
        let limit = self.settings.requests_per_minute;
        let verdict = self.limits.take(&token, limit, &self.settings, now_ms);
        if verdict.allowed {
            self.route(request, &client, &token, now_ms)
        } else {
            self.too_many(verdict.reset_secs, limit)
        }
    }

    /// The state of the window goes with every answer of the API, refusals included.
    fn add_limits(&self, request: &Request, answer: &mut Answer, now_ms: u64) {
        if request.path.starts_with("/api/") {
            let (count, reset) = self.limits.peek(bearer(request).unwrap_or_default(), now_ms);
            answer.headers.extend([
                ("inin-ratelimit-count", count.to_string()),
                ("inin-ratelimit-allowed", self.settings.requests_per_minute.to_string()),
                ("inin-ratelimit-reset", reset.to_string()),
            ]);
        }
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
                ("DELETE", [_]) => Answer::empty(self.settings.delete_channel_status),
                (_, [id, "subscriptions"]) if !self.lives(id, now_ms) => Answer::not_found(),
                (method, [id, "subscriptions"]) => self.subscriptions(method, request, id, now_ms),
                _ => Answer::not_found(),
            };
        }
        let analytics = ["/api/v2/analytics/conversations/", "/api/v2/conversations/"];
        if analytics.iter().any(|beginning| request.path.starts_with(beginning)) {
            return self.analytics(request, client, now_ms);
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "HEAD", "/api/v2/tokens/me") => self.token_info(client),
            ("DELETE", "/api/v2/tokens/me") => {
                self.oauth.revoke(token);
                Answer::empty(200)
            }
            ("GET", "/api/v2/organizations/me") => self.organisation(),
            ("GET", "/api/v2/routing/queues") => self.queues(request),
            ("GET", "/api/v2/users") => self.users(request),
            ("GET", "/api/v2/notifications/availabletopics") => {
                let expand = request.query.get("expand").map_or("", String::as_str);
                Answer::json(200, &crate::topics::available(expand, &self.settings))
            }
            ("GET", path) => match path.strip_prefix("/api/v2/organizations/limits/namespaces/") {
                Some(namespace) => self.limits_of(namespace),
                None => Answer::not_found(),
            },
            _ => Answer::not_found(),
        }
    }

    pub(crate) fn lacks(&self, permission: &str) -> bool {
        self.settings.missing_permissions.iter().any(|missing| missing == permission)
    }
}

/// Whether a fault is about this path and this client. Without a path, it is about REST and not
/// about sockets of channels.
fn concerns(fault: &Fault, path: &str, client: Option<&str>) -> bool {
    let by_path = match &fault.args.path {
        Some(prefix) => path.starts_with(prefix),
        None => !path.starts_with("/channels/"),
    };
    let by_client = match &fault.whom {
        Whom::Client(id) => client == Some(id.as_str()),
        Whom::All | Whom::Oldest | Whom::Newest | Whom::Channel(_) => true,
    };
    by_path && by_client
}

fn bearer(request: &Request) -> Option<&str> {
    request.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "))
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
