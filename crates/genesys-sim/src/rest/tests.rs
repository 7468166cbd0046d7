use super::*;
use crate::settings::Settings;
use crate::traffic::{Profile, Traffic};
use crate::{Output, http::Request};

struct Bench {
    cloud: Cloud,
    token: String,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let traffic = Traffic::new(
            1,
            Profile {
                queues: 3,
                users: 3,
                ..Profile::default()
            },
        );
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

    fn ask(&mut self, method: &str, path: &str, body: &Value, now_ms: u64) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
            authorization: Some(format!("Bearer {}", self.token)),
            content_type: Some("application/json".into()),
            body: if body.is_null() {
                Vec::new()
            } else {
                body.to_string().into_bytes()
            },
        };
        let answer = self.cloud.handle(&request, now_ms);
        (
            answer.status,
            serde_json::from_str(&answer.body).unwrap_or(Value::Null),
        )
    }

    fn channel(&mut self) -> String {
        let (status, body) = self.ask("POST", CHANNELS, &Value::Null, 0);
        assert_eq!(status, 200);
        body["id"].as_str().unwrap().to_owned()
    }

    fn queue_topic(&mut self, n: usize) -> String {
        format!(
            "v2.routing.queues.{}.conversations",
            self.cloud.traffic().org().queues[n].id
        )
    }

    fn texts(&mut self) -> Vec<String> {
        let text = |output| match output {
            Output::Text(_, text) => Some(text.to_string()),
            Output::Close(..) | Output::Reset(_) | Output::Freeze(_) => panic!("{output:?}"),
            Output::BrokerDown { .. } => None,
        };
        std::iter::from_fn(|| self.cloud.poll())
            .filter_map(text)
            .collect()
    }
}

fn topics(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({"id": id})).collect()
}

#[test]
fn a_channel_hears_what_it_subscribed_to_while_its_socket_is_open() {
    let mut bench = Bench::new(Settings::default());
    let (id, topic) = (bench.channel(), bench.queue_topic(0));
    assert!(id.starts_with("streaming-") && id.len() == 38, "{id}");
    let path = format!("{CHANNELS}/{id}/subscriptions");
    let (status, answer) = bench.ask("PUT", &path, &topics(&[&topic]), 0);
    assert_eq!(
        (status, answer["entities"][0]["state"].as_str()),
        (200, Some("Permitted"))
    );
    let body = std::sync::Arc::from("{\"id\":\"c\"}");
    bench.cloud.fan_out(&topic, Some(&body), None, 1);
    let socket = bench.cloud.upgrade(&id, 2).unwrap();
    bench.cloud.fan_out(&topic, Some(&body), None, 3);
    bench.cloud.client_text(socket, "{\"message\":\"ping\"}", 4);
    let texts = bench.texts();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].contains("\"eventBody\":{\"id\":\"c\"}"));
    assert!(
        texts[1].contains("pong"),
        "the pong queues behind the event"
    );
    let entries: Vec<_> = bench.cloud.ledger().after(0, 9).cloned().collect();
    assert_eq!(entries[0].dropped, [(1, "not connected")]);
    assert_eq!(entries[1].delivered, [1]);
}

#[test]
fn one_missing_permission_refuses_all_unless_errors_are_ignored() {
    let settings = Settings {
        missing_permissions: vec!["conversation:communication:view".into()],
        ..Settings::default()
    };
    let mut bench = Bench::new(settings);
    let (id, queue) = (bench.channel(), bench.queue_topic(0));
    let user = format!(
        "v2.users.{}.conversations",
        bench.cloud.traffic().org().users[0].id
    );
    let path = format!("{CHANNELS}/{id}/subscriptions");
    assert_eq!(bench.ask("PUT", &path, &topics(&[&queue, &user]), 0).0, 403);
    assert!(bench.cloud.wanted().is_empty(), "nothing was changed");
    let ignoring = format!("{path}?ignoreErrors=true");
    let (status, answer) = bench.ask("PUT", &ignoring, &topics(&[&queue, &user]), 0);
    assert_eq!(status, 200);
    assert_eq!(
        answer["entities"][1]["missingPermissions"][0],
        "conversation:communication:view"
    );
    assert_eq!(bench.cloud.wanted().len(), 1);
}

#[test]
fn a_channel_holds_a_thousand_topics_and_not_one_more() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let path = format!("{CHANNELS}/{id}/subscriptions");
    let many: Vec<String> = (0..1_001)
        .map(|n| format!("v2.conversations.c{n}.transcription"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(bench.ask("PUT", &path, &topics(&many[..1_000]), 0).0, 200);
    assert_eq!(bench.ask("POST", &path, &topics(&many[1_000..]), 0).0, 400);
    assert_eq!(bench.cloud.wanted().len(), 1_000);
}

#[test]
fn wildcards_and_unknown_objects_are_unknown_topics() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let path = format!("{CHANNELS}/{id}/subscriptions");
    for topic in [
        "v2.routing.queues.*.conversations",
        "v2.users.{id}.conversations",
        "v2.users.nobody.presence",
    ] {
        assert_eq!(
            bench.ask("PUT", &path, &topics(&[topic]), 0).0,
            400,
            "{topic}"
        );
    }
}

#[test]
fn the_301st_request_of_a_minute_is_refused_with_a_hint() {
    let mut bench = Bench::new(Settings::default());
    for _ in 0..300 {
        assert_eq!(
            bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 0).0,
            200
        );
    }
    let (status, body) = bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 30_000);
    assert_eq!(
        (status, body["code"].as_str()),
        (429, Some("too.many.requests.retry.after"))
    );
    assert_eq!(
        bench
            .ask("GET", "/api/v2/tokens/me", &Value::Null, 60_000)
            .0,
        200
    );
}

#[test]
fn a_second_socket_takes_the_channel_and_an_expired_channel_refuses_sockets() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let first = bench.cloud.upgrade(&id, 0).unwrap();
    bench.cloud.upgrade(&id, 1).unwrap();
    assert_eq!(
        bench.cloud.poll(),
        Some(Output::Close(first, 1000, String::new()))
    );
    bench.cloud.tick(86_400_000);
    assert_eq!(
        bench.cloud.upgrade(&id, 86_400_001).unwrap_err().status,
        401
    );
    assert_eq!(
        bench
            .ask("HEAD", &format!("{CHANNELS}/{id}"), &Value::Null, 0)
            .0,
        404
    );
}

#[test]
fn faults_are_carried_out_when_their_time_has_come_and_are_on_record() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let socket = bench.cloud.upgrade(&id, 0).unwrap();
    let timeline = r#"[{"at_ms":50,"what":"http_status","for_ms":100,"args":{"status":429,"retry_after":"7"}},
                       {"at_ms":60,"what":"socket_closing"},{"at_ms":70,"what":"reset","whom":"channel:1"}]"#;
    crate::faults::read_timeline(timeline)
        .unwrap()
        .into_iter()
        .for_each(|f| bench.cloud.inject(f));
    bench.cloud.tick(49);
    assert_eq!(
        bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 49).0,
        200
    );
    bench.cloud.tick(60);
    assert_eq!(
        bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 60).0,
        429
    );
    assert!(bench.texts()[0].contains("v2.system.socket_closing"));
    bench.cloud.tick(70);
    assert_eq!(bench.cloud.poll(), Some(Output::Reset(socket)));
    assert_eq!(
        bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 170).0,
        200
    );
    let seen: Vec<_> = bench
        .cloud
        .applied()
        .iter()
        .map(|a| (a.what.as_str(), a.effects))
        .collect();
    assert_eq!(
        seen,
        [("http_status", 1), ("socket_closing", 1), ("reset", 1)]
    );
}
