//! Orders of an operator: who may give them, and what is asked back before they are carried out.

use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;
use trunkline_protocol::domain::{Leg, Wall};

use super::Seat;
use crate::orders::{Orders, Rotate, Rotated};

/// A body is no longer than this.
pub(super) const BODY: usize = 4 * 1024;
/// Refusals in a row are logged so far apart.
const LOGGED_EVERY_MS: i64 = 10_000;

/// What orders need.
pub struct Actions {
    /// Digest of the token; without one nobody may give any.
    token: Option<blake3::Hash>,
    orders: Orders,
    refusal_logged: Mutex<Option<Wall>>,
}

impl Actions {
    /// Orders for whoever has the token.
    #[must_use]
    pub fn new(token: Option<&str>, orders: Orders) -> Self {
        let token = token.map(|token| blake3::hash(token.as_bytes()));
        Self { token, orders, refusal_logged: Mutex::default() }
    }

    /// Whether anybody may.
    pub(super) fn are_on(&self) -> bool {
        self.token.is_some()
    }

    /// Digests compare in constant time.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|text| text.strip_prefix("Bearer "));
        let given = given.map(|token| blake3::hash(token.trim().as_bytes()));
        given.zip(self.token).is_some_and(|(given, token)| given == token)
    }

    /// Whether a refusal is worth a line.
    fn logs(&self, now: Wall) -> bool {
        let mut last = self.refusal_logged.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| (now.0 - last.0).abs() >= LOGGED_EVERY_MS);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// `shard/leg`.
    channel: String,
    /// The same once more.
    confirm: String,
}

/// Why an order is not carried out.
struct Refusal(StatusCode, String);

fn refuse<T>(status: StatusCode, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(status, why.into()))
}

/// `POST /api/v1/actions/rotate`.
pub(super) async fn rotate(State(seat): State<Seat>, headers: HeaderMap, body: Bytes) -> Response {
    match order(&seat, &headers, &body).await {
        Ok(leg) => {
            seat.metrics.action("rotate", "ordered");
            tracing::info!(
                code = "action_ordered",
                action = "rotate",
                shard = leg.shard,
                leg = leg.ordinal,
                "an operator ordered it"
            );
            let said =
                format!("channel {}/{}: its successor is on the way", leg.shard, leg.ordinal);
            (StatusCode::ACCEPTED, Json(json!({"said": said}))).into_response()
        }
        Err(Refusal(status, why)) => {
            seat.metrics.action("rotate", "refused");
            if seat.actions.logs(seat.clock.now().wall) {
                tracing::warn!(
                    code = "action_refused",
                    action = "rotate",
                    status = status.as_u16(),
                    "an order was refused; further ones within ten seconds are only counted"
                );
            }
            let mut answer = (status, Json(json!({"error": why}))).into_response();
            if status == StatusCode::UNAUTHORIZED {
                let scheme = header::HeaderValue::from_static("Bearer");
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            }
            answer
        }
    }
}

async fn order(seat: &Seat, headers: &HeaderMap, body: &[u8]) -> Result<Leg, Refusal> {
    if is_foreign(headers) {
        return refuse(StatusCode::FORBIDDEN, "Origin: another site may not give orders");
    }
    if !seat.actions.are_on() {
        return refuse(
            StatusCode::FORBIDDEN,
            "actions are off: admin.token_file is not configured",
        );
    }
    if !seat.actions.admits(headers) {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "Authorization: allowed: Bearer and the admin token",
        );
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind.and_then(|kind| kind.split(';').next()).map(str::trim) != Some("application/json") {
        return refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type: allowed: application/json",
        );
    }
    let wanted: Wanted = serde_json::from_slice(body).or_else(|error| {
        let form = "allowed: {\"channel\": \"0/0\", \"confirm\": \"0/0\"}";
        refuse(StatusCode::BAD_REQUEST, format!("body: {error}; {form}"))
    })?;
    let Some(leg) = leg(&wanted.channel) else {
        let why = format!(
            "channel: is {:?}; allowed: shard/leg, as /api/v1/status has them",
            wanted.channel
        );
        return refuse(StatusCode::BAD_REQUEST, why);
    };
    if wanted.confirm != wanted.channel {
        let why = format!(
            "confirm: is {:?}; allowed: {:?}, the channel once more",
            wanted.confirm, wanted.channel
        );
        return refuse(StatusCode::BAD_REQUEST, why);
    }
    let (answer, answered) = oneshot::channel();
    let told = seat.actions.orders.try_send(Rotate { leg, answer }).is_ok();
    match answered.await {
        Ok(Rotated::Told) => Ok(leg),
        Ok(Rotated::Unknown) => {
            let why = format!("channel: is {:?}; this process has no such channel", wanted.channel);
            refuse(StatusCode::NOT_FOUND, why)
        }
        Err(_) if told => refuse(
            StatusCode::CONFLICT,
            "nothing to rotate: the service stops, or a direct URL has no channels",
        ),
        Err(_) => refuse(
            StatusCode::CONFLICT,
            "nobody takes orders: not started yet, stopping, or a direct URL without channels",
        ),
    }
}

fn leg(text: &str) -> Option<Leg> {
    let (shard, ordinal) = text.split_once('/')?;
    Some(Leg { shard: shard.parse().ok()?, ordinal: ordinal.parse().ok()? })
}

/// A browser says from where; programs say nothing.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text =
        |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap_or("?"));
    let host = text(header::HOST);
    let origin = text(header::ORIGIN);
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, named)| Some(named) == host);
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("?"));
    origin.is_some_and(|origin| !own(origin))
        || site.is_some_and(|site| !["same-origin", "none"].contains(&site))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn the_token_admits_and_nothing_else_does() {
        let (orders, _taken) = tokio::sync::mpsc::channel(1);
        let actions = Actions::new(Some("a-long-admin-token"), orders.clone());
        assert!(actions.admits(&headers(&[("authorization", "Bearer a-long-admin-token")])));
        for wrong in [
            "Bearer a-long-admin-toke",
            "a-long-admin-token",
            "Basic a-long-admin-token",
            "Bearer ",
        ] {
            assert!(!actions.admits(&headers(&[("authorization", wrong)])), "{wrong}");
        }
        assert!(!actions.admits(&HeaderMap::new()));
        let off = Actions::new(None, orders);
        assert!(!off.admits(&headers(&[("authorization", "Bearer ")])) && !off.are_on());
    }

    #[test]
    fn another_site_is_told_apart_from_this_one_and_from_programs() {
        let own = headers(&[
            ("host", "a:1"),
            ("origin", "http://a:1"),
            ("sec-fetch-site", "same-origin"),
        ]);
        assert!(!is_foreign(&own) && !is_foreign(&headers(&[("host", "a:1")])));
        for foreign in [
            &[("host", "a:1"), ("origin", "http://b")][..],
            &[("host", "a:1"), ("origin", "null")],
            &[("origin", "http://a:1")],
            &[("host", "a:1"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(is_foreign(&headers(foreign)), "{foreign:?}");
        }
    }

    #[test]
    fn channels_are_named_by_shard_and_leg() {
        assert_eq!(leg("3/1"), Some(Leg { shard: 3, ordinal: 1 }));
        assert!(
            ["", "3", "3/", "/1", "3/1/1", "a/b", "99999/0"].iter().all(|text| leg(text).is_none())
        );
    }
}
