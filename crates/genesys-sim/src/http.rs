//! Requests and answers as data, and the platform's error bodies.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One HTTP request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Decoded query.
    pub query: BTreeMap<String, String>,
    /// `Authorization` as sent.
    pub authorization: Option<String>,
    /// `Content-Type` as sent.
    pub content_type: Option<String>,
    /// `Accept` as sent.
    pub accept: Option<String>,
    /// Body.
    pub body: Vec<u8>,
}

/// One HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status code; 0 means that the connection is cut instead.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty for none.
    pub body: String,
    /// The answer leaves this much later.
    pub delay_ms: u64,
}

impl Answer {
    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string(), ..Self::default() }
    }

    /// An answer without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// No answer: the connection is cut.
    #[must_use]
    pub fn cut() -> Self {
        Self::default()
    }

    /// An error in the platform's shape; `contextId` is filled in by [`Self::with_context`].
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({
                "message": message, "code": code, "status": status,
                "contextId": "", "details": [], "errors": [],
            }),
        )
    }

    /// An error with the platform's usual code and message for this status; a gateway's 502 is
    /// no JSON.
    #[must_use]
    pub fn usual_error(status: u16) -> Self {
        let (code, message) = match status {
            400 => (
                "bad.request",
                "The request could not be understood by the server due to malformed syntax.",
            ),
            401 => ("bad.credentials", "Invalid login credentials."),
            403 => ("not.authorized", "You are not authorized to perform the requested action."),
            404 => ("not.found", "The requested resource was not found."),
            408 => (
                "client.timeout",
                "The client did not produce a request within the server timeout limit. This can be caused by a slow network connection and/or large payloads.",
            ),
            500 => (
                "internal.server.error",
                "The server encountered an unexpected condition which prevented it from fulfilling the request.",
            ),
            502 => {
                let body = "<html><body><h1>502 Bad Gateway</h1></body></html>".to_owned();
                return Self { status, body, ..Self::default() };
            }
            504 => ("request.timeout", "The request timed out."),
            _ => (
                "service.unavailable",
                "Service Unavailable - The server is currently unavailable (because it is overloaded or down for maintenance).",
            ),
        };
        Self::error(status, code, message)
    }

    /// 404 as the platform words it.
    #[must_use]
    pub fn not_found() -> Self {
        Self::error(404, "not.found", "The requested resource was not found.")
    }

    /// 403 naming the missing permission.
    #[must_use]
    pub fn forbidden(permission: &str) -> Self {
        let message = format!(
            "Unable to perform the requested action. You must have at least one of the following permissions assigned: {permission}"
        );
        Self::error(403, "missing.any.permissions", &message)
    }

    /// 429 with its hint.
    #[must_use]
    pub fn too_many(retry_after_secs: u64, limit: u32) -> Self {
        let message = format!(
            "Rate limit exceeded the maximum. Retry the request in [{retry_after_secs}] seconds"
        );
        let mut answer = Self::json(
            429,
            &json!({
                "message": message, "code": "too.many.requests.retry.after", "status": 429,
                "contextId": "", "details": [], "errors": [],
                "limit": {"key": "client.credentials.token.rate.per.minute",
                          "namespace": "platform.api", "value": limit},
            }),
        );
        answer.headers.push(("Retry-After", retry_after_secs.to_string()));
        answer
    }

    /// Puts the correlation id into header and error body.
    #[must_use]
    pub fn with_context(mut self, context: &str) -> Self {
        self.body =
            self.body.replacen("\"contextId\":\"\"", &format!("\"contextId\":\"{context}\""), 1);
        self.headers.push(("ININ-Correlation-Id", context.to_owned()));
        self
    }
}
