//! Tokens.

use serde_json::Value;

use crate::Cloud;
use crate::bench::Bench;
use crate::http::{Answer, Request};
use crate::settings::Settings;

const ME: &str = "/api/v2/tokens/me";

/// Asks for a token as the bench's client does.
pub(super) fn ask(cloud: &mut Cloud, now_ms: u64) -> Answer {
    let request = Request {
        method: "POST".into(),
        path: "/oauth/token".into(),
        authorization: Some("Basic c2ltLWNsaWVudDpzaW0tc2VjcmV0".into()),
        body: b"grant_type=client_credentials".to_vec(),
        ..Request::default()
    };
    cloud.handle(&request, now_ms)
}

#[test]
fn a_token_answer_has_neither_a_refresh_token_nor_a_scope() {
    let mut bench = Bench::new(Settings { token_type: "Bearer".into(), ..Settings::default() });
    let body: Value = serde_json::from_str(&ask(&mut bench.cloud, 0).body).unwrap();
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["access_token", "expires_in", "token_type"]);
    assert_eq!(body["token_type"], "Bearer");
}

#[test]
fn token_requests_can_be_limited() {
    let mut bench = Bench::new(Settings::default());
    for _ in 0..500 {
        assert_eq!(ask(&mut bench.cloud, 0).status, 200, "there is no limit by default");
    }
    bench.cloud.set_settings(Settings { token_requests_per_minute: 2, ..Settings::default() });
    let mut at = |now_ms| ask(&mut bench.cloud, now_ms);
    assert_eq!((at(1_000).status, at(1_000).status), (200, 200));
    let refused = at(21_000);
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains(&("Retry-After", "40".to_owned())), "{refused:?}");
    assert_eq!(at(61_000).status, 200);
}

#[test]
fn the_token_endpoint_can_be_down_broken_slow_or_talk_nonsense() {
    let mut bench = Bench::new(Settings::default());
    let mut told = |what: &str, args: &str| {
        let path = r#""path":"/oauth/token","count":1"#;
        bench.fault(&format!(r#"{{"what":"{what}","args":{{{path},{args}}}}}"#), 1);
        assert_eq!(bench.get(ME, 1).0, 200, "the API is not concerned");
        ask(&mut bench.cloud, 1)
    };
    assert_eq!(told("http_status", r#""status":0"#).status, 0, "cut");
    assert_eq!(told("http_status", r#""status":503"#).status, 503);
    assert_eq!(told("http_status", r#""status":200,"body":"{\"access_to""#).body, r#"{"access_to"#);
    let no_end = told("http_status", r#""status":200,"body":"{\"access_token\":\"x\"}""#);
    assert_eq!((no_end.status, no_end.body.contains("expires_in")), (200, false));
    assert_eq!(told("slow", r#""delay_ms":9000"#).delay_ms, 9_000);
    assert_eq!(ask(&mut bench.cloud, 1).status, 200, "each was for one request");
}

#[test]
fn a_token_says_whose_it_is_can_be_verified_and_revokes_itself() {
    let mut bench = Bench::new(Settings::default());
    let (status, info) = bench.get(ME, 0);
    assert_eq!((status, &info["OAuthClient"]["id"]), (200, &"sim-client".into()));
    assert_eq!(info["organization"]["id"], bench.cloud.traffic().org().id.as_str());
    assert_eq!(info["authorizedScope"], serde_json::json!([]));
    assert_eq!(bench.ask("HEAD", ME, &Value::Null, 0).0, 200);
    assert_eq!(bench.ask("DELETE", ME, &Value::Null, 0).0, 200);
    assert_eq!(bench.ask("HEAD", ME, &Value::Null, 0).0, 401);
}
