//! Tokens: expiry, revocation, refusals.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::http::Answer;
use crate::settings::Settings;

/// Tokens that were granted.
#[derive(Debug, Default)]
pub struct OAuth {
    tokens: BTreeMap<String, Token>,
    disabled: BTreeSet<String>,
    /// Secrets that were made anew, by client.
    anew: BTreeMap<String, String>,
    granted: u64,
}

#[derive(Debug)]
struct Token {
    number: u64,
    client: String,
    from_ms: u64,
    until_ms: u64,
}

/// Why a token is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadToken {
    /// None was sent.
    Missing,
    /// Never granted, or revoked.
    Unknown,
    /// Its time is over.
    Expired,
}

impl BadToken {
    /// The platform's answer.
    #[must_use]
    pub fn answer(self) -> Answer {
        match self {
            Self::Missing => Answer::error(
                401,
                "authentication.required",
                "No authentication bearer token specified in authorization header.",
            ),
            Self::Unknown => Answer::error(401, "bad.credentials", "Invalid login credentials."),
            Self::Expired => Answer::error(
                401,
                "credentials.expired",
                "The supplied credentials are expired and cannot be used.",
            ),
        }
    }
}

impl OAuth {
    /// Answers a client-credentials request; `secret` 64 bits make the token unguessable enough.
    pub fn grant(
        &mut self,
        client: &str,
        secret: &str,
        grant_type: Option<&str>,
        random: u64,
        settings: &Settings,
        now_ms: u64,
    ) -> Answer {
        // byte for byte as published, so not through a map that sorts its keys
        let refuse = |status, why: &str| Answer {
            status,
            body: format!(
                r#"{{"error":"invalid_client","description":"{why}","error_description":"{why}"}}"#
            ),
            ..Answer::default()
        };
        let Some((_, expected)) = settings.clients.iter().find(|(id, _)| id == client) else {
            return refuse(400, "client not found");
        };
        let expected = self.anew.get(client).unwrap_or(expected);
        if expected != secret || self.disabled.contains(client) {
            return refuse(401, "authentication failed");
        }
        if grant_type != Some("client_credentials") {
            return Answer::json(400, &json!({"error": "unsupported_grant_type"}));
        }
        if settings.new_token_ends_earlier {
            self.revoke_client(Some(client));
        }
        self.granted += 1;
        let token = format!("sim-{:x}-{random:016x}", self.granted);
        let until_ms = now_ms + settings.token_life_ms;
        let granted =
            Token { number: self.granted, client: client.to_owned(), from_ms: now_ms, until_ms };
        self.tokens.insert(token.clone(), granted);
        let mut answer = json!({"access_token": token, "token_type": settings.token_type,
                                "expires_in": settings.token_life_ms / 1000});
        if !settings.scopes.is_empty() {
            answer["scope"] = settings.scopes.join(" ").into();
        }
        Answer::json(200, &answer)
    }

    /// How long ago a token was granted, if it ever was and is not revoked.
    #[must_use]
    pub fn age_ms(&self, token: &str, now_ms: u64) -> Option<u64> {
        self.tokens.get(token).map(|token| now_ms.saturating_sub(token.from_ms))
    }

    /// The client a token belongs to.
    ///
    /// # Errors
    /// [`BadToken`] says what is wrong with it.
    pub fn client_of(&self, token: Option<&str>, now_ms: u64) -> Result<String, BadToken> {
        let found = self.tokens.get(token.ok_or(BadToken::Missing)?).ok_or(BadToken::Unknown)?;
        if self.disabled.contains(&found.client) {
            return Err(BadToken::Unknown);
        }
        if found.until_ms <= now_ms {
            return Err(BadToken::Expired);
        }
        Ok(found.client.clone())
    }

    /// Forgets one token.
    pub fn revoke(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// Forgets every token of a client; `None` means of all.
    pub fn revoke_client(&mut self, client: Option<&str>) -> usize {
        let before = self.tokens.len();
        self.tokens.retain(|_, token| client.is_some_and(|client| client != token.client));
        before - self.tokens.len()
    }

    /// Disables a client: no new tokens, the old ones are refused.
    pub fn disable(&mut self, client: &str) {
        self.disabled.insert(client.to_owned());
    }

    /// From here on the client has another secret.
    pub fn renew(&mut self, client: &str, secret: &str) {
        self.anew.insert(client.to_owned(), secret.to_owned());
    }

    /// Good tokens of a client, each with the order of its granting and its age.
    pub fn good<'a>(
        &'a self,
        client: &'a str,
        now_ms: u64,
    ) -> impl Iterator<Item = (&'a str, u64, u64)> {
        let disabled = self.disabled.contains(client);
        let good = self.tokens.iter().filter(move |(_, token)| {
            token.client == client && token.until_ms > now_ms && !disabled
        });
        good.map(move |(text, token)| {
            (text.as_str(), token.number, now_ms.saturating_sub(token.from_ms))
        })
    }

    /// How many tokens were granted so far.
    #[must_use]
    pub fn granted(&self) -> u64 {
        self.granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_worded_as_published() {
        let mut oauth = OAuth::default();
        let settings = Settings::default();
        let mut ask = |id, secret, grant| oauth.grant(id, secret, grant, 1, &settings, 0);
        let unknown = ask("nobody", "x", Some("client_credentials"));
        assert_eq!(unknown.status, 400);
        assert_eq!(
            unknown.body,
            r#"{"error":"invalid_client","description":"client not found","error_description":"client not found"}"#
        );
        let wrong = ask("sim-client", "x", Some("client_credentials"));
        assert_eq!(
            (wrong.status, wrong.body),
            (401, unknown.body.replace("client not found", "authentication failed"))
        );
        assert_eq!(ask("sim-client", "sim-secret", Some("password")).status, 400);
        assert_eq!(ask("sim-client", "sim-secret", Some("client_credentials")).status, 200);
    }

    #[test]
    fn a_token_serves_until_its_end_and_an_earlier_one_beside_it() {
        let mut oauth = OAuth::default();
        let settings = Settings::default();
        let mut token = |now| {
            let answer = oauth.grant(
                "sim-client",
                "sim-secret",
                Some("client_credentials"),
                now,
                &settings,
                now,
            );
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            body["access_token"].as_str().unwrap().to_owned()
        };
        let (first, second) = (token(0), token(1000));
        assert_eq!(oauth.client_of(Some(&first), 86_399_999), Ok("sim-client".to_owned()));
        assert_eq!(oauth.client_of(Some(&first), 86_400_000), Err(BadToken::Expired));
        assert_eq!(oauth.client_of(Some(&second), 86_400_000), Ok("sim-client".to_owned()));
        assert_eq!(oauth.client_of(None, 0), Err(BadToken::Missing));
        assert_eq!(oauth.client_of(Some("made up"), 0), Err(BadToken::Unknown));
    }
}
