//! A platform with one client and its token, for tests of the core.

use serde_json::{Value, json};

use crate::channels::SocketId;
use crate::settings::Settings;
use crate::traffic::{Profile, Traffic};
use crate::{Cloud, Output, http::Answer, http::Request};

pub(crate) const CHANNELS: &str = "/api/v2/notifications/channels";

pub(crate) struct Bench {
    pub(crate) cloud: Cloud,
    pub(crate) token: String,
}

impl Bench {
    pub(crate) fn new(settings: Settings) -> Self {
        let traffic = Traffic::new(1, Profile { queues: 3, users: 3, ..Profile::default() });
        let mut cloud = Cloud::new(settings, traffic, 1, "ws://sim", 0);
        let ask = Request {
            method: "POST".into(),
            path: "/oauth/token".into(),
            authorization: Some("Basic c2ltLWNsaWVudDpzaW0tc2VjcmV0".into()),
            body: b"grant_type=client_credentials".to_vec(),
            ..Request::default()
        };
        let answer: Value = serde_json::from_str(&cloud.handle(&ask, 0).body).unwrap();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { cloud, token }
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: &Value, now_ms: u64) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: pairs.map(|(k, v)| (k.into(), v.into())).collect(),
            authorization: Some(format!("Bearer {}", self.token)),
            content_type: Some("application/json".into()),
            accept: None,
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        self.cloud.handle(&request, now_ms)
    }

    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: &Value,
        now_ms: u64,
    ) -> (u16, Value) {
        let answer = self.send(method, path, body, now_ms);
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }

    pub(crate) fn get(&mut self, path: &str, now_ms: u64) -> (u16, Value) {
        self.ask("GET", path, &Value::Null, now_ms)
    }

    /// A channel with these topics and an open socket.
    pub(crate) fn listening(&mut self, wanted: &[&str], now_ms: u64) -> (String, SocketId) {
        let (_, body) = self.ask("POST", CHANNELS, &Value::Null, now_ms);
        let id = body["id"].as_str().unwrap().to_owned();
        let path = format!("{CHANNELS}/{id}/subscriptions");
        assert_eq!(self.ask("PUT", &path, &topics(wanted), now_ms).0, 200);
        let socket = self.cloud.upgrade(&id, now_ms).unwrap();
        (id, socket)
    }

    /// An event with this number in its body.
    pub(crate) fn event(&mut self, topic: &str, n: u64, now_ms: u64) {
        let body = format!("{{\"n\":{n}}}").into();
        self.cloud.fan_out(topic, Some(&body), None, now_ms);
    }

    pub(crate) fn fault(&mut self, fault: &str, now_ms: u64) {
        self.cloud.inject(serde_json::from_str(fault).unwrap());
        self.cloud.tick(now_ms);
    }

    /// Everything the front end would have to do, in words.
    pub(crate) fn outputs(&mut self) -> Vec<String> {
        let word = |output| match output {
            Output::Text(socket, text) => format!("{socket} {}", short(&text)),
            Output::Close(socket, code, reason) => format!("{socket} close {code} {reason}"),
            Output::Reset(socket) => format!("{socket} reset"),
            Output::Freeze(socket) => format!("{socket} freeze"),
            Output::BrokerDown { for_ms } => format!("broker down {for_ms}"),
            Output::Kill => "kill".to_owned(),
        };
        std::iter::from_fn(|| self.cloud.poll()).map(word).collect()
    }

    pub(crate) fn channel(&mut self) -> String {
        let (status, body) = self.ask("POST", CHANNELS, &Value::Null, 0);
        assert_eq!(status, 200);
        body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn queue_topic(&mut self, n: usize) -> String {
        format!("v2.routing.queues.{}.conversations", self.cloud.traffic().org().queues[n].id)
    }

    pub(crate) fn texts(&mut self) -> Vec<String> {
        let text = |output| match output {
            Output::Text(_, text) => Some(text.to_string()),
            Output::Close(..) | Output::Reset(_) | Output::Freeze(_) => panic!("{output:?}"),
            Output::BrokerDown { .. } | Output::Kill => None,
        };
        std::iter::from_fn(|| self.cloud.poll()).filter_map(text).collect()
    }
}

pub(crate) fn topics(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({"id": id})).collect()
}

/// A frame in a word: `heartbeat`, `pong`, `event N`, the topic of a system message, or the reply.
fn short(text: &str) -> String {
    let frame: Value = serde_json::from_str(text).unwrap();
    let body = &frame["eventBody"];
    match (frame["topicName"].as_str(), body["message"].as_str()) {
        (Some("channel.metadata"), Some("WebSocket Heartbeat")) => "heartbeat".to_owned(),
        (Some("channel.metadata"), Some(message)) => message.to_owned(),
        (Some(_), _) if body["n"].is_u64() => format!("event {}", body["n"]),
        (Some(topic), _) => topic.to_owned(),
        (None, _) => text.to_owned(),
    }
}
