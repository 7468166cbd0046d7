//! Requests as every client makes them.

use std::collections::{BTreeMap, BTreeSet};

use genesys_sim::http::Request;

const CHANNELS: &str = "/api/v2/notifications/channels";

/// A token for a client.
pub fn token(client: &str) -> Request {
    Request {
        method: "POST".into(),
        path: "/oauth/token".into(),
        authorization: Some(format!("Basic {}", base64(&format!("{client}:secret")))),
        body: b"grant_type=client_credentials".to_vec(),
        ..Request::default()
    }
}

fn api(method: &str, path: String, token: &str) -> Request {
    Request {
        method: method.into(),
        path,
        authorization: Some(format!("Bearer {token}")),
        content_type: Some("application/json".into()),
        ..Request::default()
    }
}

/// The client's channels.
pub fn count(token: &str) -> Request {
    let query = BTreeMap::from([("includechannels".to_owned(), "oauthclient".to_owned())]);
    Request { query, ..api("GET", CHANNELS.into(), token) }
}

/// A new channel.
pub fn create(token: &str) -> Request {
    api("POST", CHANNELS.into(), token)
}

/// The whole list of topics.
pub fn subscribe(token: &str, channel: &str, topics: &BTreeSet<String>) -> Request {
    let list: Vec<_> = topics.iter().map(|id| serde_json::json!({"id": id})).collect();
    let query = BTreeMap::from([("ignoreErrors".to_owned(), "true".to_owned())]);
    let body = serde_json::json!(list).to_string().into_bytes();
    let path = format!("{CHANNELS}/{channel}/subscriptions");
    Request { query, body, ..api("PUT", path, token) }
}

/// The list as it is.
pub fn listed(token: &str, channel: &str) -> Request {
    api("GET", format!("{CHANNELS}/{channel}/subscriptions"), token)
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
    text.as_bytes()
        .chunks(3)
        .map(|chunk| {
            let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            let four = [bits >> 18, bits >> 12, bits >> 6, bits].map(digit);
            let kept = chunk.len() + 1;
            let padding = "=".repeat(4 - kept);
            four.into_iter().take(kept).collect::<String>() + &padding
        })
        .collect()
}

/// The most requests in any minute; when each was made, in milliseconds and in order.
pub fn peak_per_minute(asked_ms: &[u64]) -> usize {
    let mut first = 0;
    let mut peak = 0;
    for (last, at) in asked_ms.iter().enumerate() {
        while at - asked_ms[first] >= 60_000 {
            first += 1;
        }
        peak = peak.max(last - first + 1);
    }
    peak
}
