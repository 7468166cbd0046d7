//! The API in general.

use serde_json::Value;

use super::oauth::ask;
use crate::bench::Bench;
use crate::settings::Settings;

const ME: &str = "/api/v2/tokens/me";

#[test]
fn a_new_token_has_a_window_of_its_own() {
    let mut bench = Bench::new(Settings { requests_per_minute: 2, ..Settings::default() });
    let statuses = [0, 1, 2].map(|now_ms| bench.get(ME, now_ms).0);
    assert_eq!(statuses, [200, 200, 429]);
    let body: Value = serde_json::from_str(&ask(&mut bench.cloud, 3).body).unwrap();
    body["access_token"].as_str().unwrap().clone_into(&mut bench.token);
    assert_eq!(bench.get(ME, 4).0, 200);
}

#[test]
fn refused_requests_count_only_when_set() {
    let second_minute = |refused_count| {
        let mut bench = Bench::new(Settings {
            requests_per_minute: 1,
            sliding_window: true,
            refused_count,
            ..Settings::default()
        });
        [0, 50_000, 60_000].map(|now_ms| bench.get(ME, now_ms).0)
    };
    assert_eq!(second_minute(false), [200, 429, 200]);
    assert_eq!(second_minute(true), [200, 429, 429]);
}

#[test]
fn each_status_of_a_fault_has_the_published_code() {
    let mut bench = Bench::new(Settings::default());
    let codes = [
        (408, "client.timeout"),
        (500, "internal.server.error"),
        (503, "service.unavailable"),
        (504, "request.timeout"),
    ];
    for (status, code) in codes {
        let args = format!(r#"{{"status":{status},"count":1}}"#);
        bench.fault(&format!(r#"{{"what":"http_status","args":{args}}}"#), 1);
        let (answered, body) = bench.get(ME, 1);
        assert_eq!((answered, body["code"].as_str()), (status, Some(code)));
        assert!(body["contextId"].as_str().is_some_and(|id| !id.is_empty()));
    }
}

#[test]
fn a_429_comes_below_the_limit_again_after_its_wait_and_in_its_older_words() {
    let mut bench = Bench::new(Settings::default());
    let twice = r#"{"what":"http_status","args":{"status":429,"retry_after":"2","count":2}}"#;
    bench.fault(twice, 0);
    let statuses = [0, 2_000, 4_000].map(|now_ms| bench.get(ME, now_ms).0);
    assert_eq!(statuses, [429, 429, 200]);
    let zero = r#"{"what":"http_status","args":{"status":429,"retry_after":"0","count":1}}"#;
    bench.fault(zero, 5_000);
    let answer = bench.send("GET", ME, &Value::Null, 5_000);
    assert!(answer.headers.contains(&("Retry-After", "0".to_owned())));
    let older = r#"{"what":"http_status","args":{"status":429,"count":1,
        "body":"{\"code\":\"too.many.requests\",\"contextId\":\"\"}"}}"#;
    bench.fault(older, 6_000);
    assert_eq!(bench.get(ME, 6_000).1["code"], "too.many.requests");
}
