//! Calls whose answers are looked at as they are, by whoever studies the platform.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use super::PlatformError;
use super::http::{Answer, Http, answered};

/// What is done to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "those of HTTP")]
pub enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Http {
    /// Any call below the API's base URL: the JSON of its answer, `null` when there is none. Holds whatever the
    /// platform sent, secrets and personal data included.
    pub async fn ask(
        &self,
        token: &SecretString,
        verb: Verb,
        path: &str,
        body: Option<&Value>,
    ) -> Answer<Value> {
        let method = match verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Delete => Method::DELETE,
        };
        let request = self.api(method, path, token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let (answer, window) = answered(self.clock, request).await;
        let value = answer.and_then(|(bytes, _)| match bytes.is_empty() {
            true => Ok(Value::Null),
            false => {
                serde_json::from_slice(&bytes).map_err(|_| PlatformError::Unreadable("no JSON"))
            }
        });
        (value, window)
    }
}
