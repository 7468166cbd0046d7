use serde_json::Value;

use crate::Output;
use crate::bench::{Bench, CHANNELS, topics};
use crate::settings::Settings;

#[test]
fn a_channel_hears_what_it_subscribed_to_while_its_socket_is_open() {
    let mut bench = Bench::new(Settings::default());
    let (id, topic) = (bench.channel(), bench.queue_topic(0));
    assert!(id.starts_with("streaming-") && id.len() == 38, "{id}");
    let path = format!("{CHANNELS}/{id}/subscriptions");
    let (status, answer) = bench.ask("PUT", &path, &topics(&[&topic]), 0);
    assert_eq!((status, answer["entities"][0]["state"].as_str()), (200, Some("Permitted")));
    let body = std::sync::Arc::from("{\"id\":\"c\"}");
    bench.cloud.fan_out(&topic, Some(&body), None, 1);
    let socket = bench.cloud.upgrade(&id, 2).unwrap();
    bench.cloud.fan_out(&topic, Some(&body), None, 3);
    bench.cloud.client_text(socket, "{\"message\":\"ping\"}", 4);
    let texts = bench.texts();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].contains("\"eventBody\":{\"id\":\"c\"}"));
    assert!(texts[1].contains("pong"), "the pong queues behind the event");
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
    let user = format!("v2.users.{}.conversations", bench.cloud.traffic().org().users[0].id);
    let path = format!("{CHANNELS}/{id}/subscriptions");
    assert_eq!(bench.ask("PUT", &path, &topics(&[&queue, &user]), 0).0, 403);
    assert!(bench.cloud.wanted().is_empty(), "nothing was changed");
    let ignoring = format!("{path}?ignoreErrors=true");
    let (status, answer) = bench.ask("PUT", &ignoring, &topics(&[&queue, &user]), 0);
    assert_eq!(status, 200);
    assert_eq!(answer["entities"][1]["missingPermissions"][0], "conversation:communication:view");
    assert_eq!(bench.cloud.wanted().len(), 1);
}

#[test]
fn a_channel_holds_a_thousand_topics_and_not_one_more() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let path = format!("{CHANNELS}/{id}/subscriptions");
    let many: Vec<String> =
        (0..1_001).map(|n| format!("v2.conversations.c{n}.transcription")).collect();
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
        assert_eq!(bench.ask("PUT", &path, &topics(&[topic]), 0).0, 400, "{topic}");
    }
}

#[test]
fn the_301st_request_of_a_minute_is_refused_with_a_hint() {
    let mut bench = Bench::new(Settings::default());
    for _ in 0..300 {
        assert_eq!(bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 0).0, 200);
    }
    let (status, body) = bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 30_000);
    assert_eq!((status, body["code"].as_str()), (429, Some("too.many.requests.retry.after")));
    assert_eq!(bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 60_000).0, 200);
}

#[test]
fn a_second_socket_takes_the_channel_and_an_expired_channel_refuses_sockets() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let first = bench.cloud.upgrade(&id, 0).unwrap();
    bench.cloud.upgrade(&id, 1).unwrap();
    assert_eq!(bench.cloud.poll(), Some(Output::Close(first, 1000, String::new())));
    bench.cloud.tick(86_400_000);
    assert_eq!(bench.cloud.upgrade(&id, 86_400_001).unwrap_err().status, 401);
    assert_eq!(bench.ask("HEAD", &format!("{CHANNELS}/{id}"), &Value::Null, 0).0, 404);
}

#[test]
fn faults_are_carried_out_when_their_time_has_come_and_are_on_record() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let socket = bench.cloud.upgrade(&id, 0).unwrap();
    let timeline = r#"[{"at_ms":50,"what":"http_status","for_ms":100,"args":{"status":429,"retry_after":"7"}},
                       {"at_ms":60,"what":"socket_closing"},{"at_ms":70,"what":"reset","whom":"channel:1"}]"#;
    crate::faults::read_timeline(timeline).unwrap().into_iter().for_each(|f| bench.cloud.inject(f));
    bench.cloud.tick(49);
    assert_eq!(bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 49).0, 200);
    bench.cloud.tick(60);
    assert_eq!(bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 60).0, 429);
    assert!(bench.texts()[0].contains("v2.system.socket_closing"));
    bench.cloud.tick(70);
    assert_eq!(bench.cloud.poll(), Some(Output::Reset(socket)));
    assert_eq!(bench.ask("GET", "/api/v2/tokens/me", &Value::Null, 170).0, 200);
    let seen: Vec<_> = bench.cloud.applied().iter().map(|a| (a.what.as_str(), a.effects)).collect();
    assert_eq!(seen, [("http_status", 1), ("socket_closing", 1), ("reset", 1)]);
}

const ME: &str = "/api/v2/tokens/me";

#[test]
fn a_refusal_has_the_published_body_and_its_correlation_id_twice() {
    let mut bench = Bench::new(Settings::default());
    let answer = bench.send("GET", "/api/v2/made/up", &Value::Null, 0);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let header = |name: &str| answer.headers.iter().find(|(k, _)| *k == name).map(|(_, v)| &**v);
    let context = body["contextId"].as_str().unwrap();
    assert!(context.len() == 36 && header("ININ-Correlation-Id") == Some(context));
    assert_eq!(header("inin-ratelimit-count"), Some("1"));
    assert_eq!(header("inin-ratelimit-reset"), Some("60"));
    let expected = serde_json::json!({
        "code": "not.found", "message": "The requested resource was not found.", "status": 404,
        "contextId": context, "details": [], "errors": [],
    });
    assert_eq!(body, expected);
    let again = bench.send("GET", "/api/v2/made/up", &Value::Null, 0);
    assert!(!again.body.contains(context), "every answer has an id of its own");
}

#[test]
fn the_refused_301st_names_its_limit_and_counts_for_nothing() {
    for limit_in_429 in [true, false] {
        let mut bench = Bench::new(Settings { limit_in_429, ..Settings::default() });
        for _ in 0..300 {
            bench.get(ME, 0);
        }
        let answer = bench.send("GET", ME, &Value::Null, 17_001);
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(answer.headers.contains(&("Retry-After", "43".to_owned())));
        assert!(answer.headers.contains(&("inin-ratelimit-count", "300".to_owned())));
        let expected = if limit_in_429 { Some(300) } else { None };
        assert_eq!(body["limit"]["value"].as_u64(), expected);
        let message = body["message"].as_str().unwrap();
        assert!(message.ends_with("Retry the request in [43] seconds"), "{message}");
        assert_eq!(bench.cloud.counters().rate_limited, 1);
    }
}

#[test]
fn each_way_of_having_no_token_has_a_code_of_its_own() {
    let mut bench = Bench::new(Settings::default());
    let code = |bench: &mut Bench, now_ms| bench.get(ME, now_ms).1["code"].clone();
    assert_eq!(bench.get(ME, 86_399_999).0, 200);
    assert_eq!(code(&mut bench, 86_400_000), "credentials.expired");
    bench.token = "made up".to_owned();
    assert_eq!(code(&mut bench, 0), "bad.credentials");
    let nothing = crate::http::Request { path: ME.into(), ..Default::default() };
    let answer = bench.cloud.handle(&nothing, 0);
    assert!(answer.status == 401 && answer.body.contains("authentication.required"));
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.ask("DELETE", ME, &Value::Null, 0).0, 200);
    assert_eq!(code(&mut bench, 0), "bad.credentials", "it revoked itself");
}

#[test]
fn tokens_say_what_the_settings_say() {
    let settings = Settings {
        scopes: vec!["analytics:read".into(), "routing".into()],
        new_token_ends_earlier: true,
        ..Settings::default()
    };
    let mut bench = Bench::new(settings.clone());
    assert_eq!(bench.get(ME, 0).1["authorizedScope"][1], "routing");
    let (id, secret) = ("sim-client", "sim-secret");
    let kind = Some("client_credentials");
    let answer = bench.cloud.oauth.grant(id, secret, kind, 7, &settings, 1);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["scope"], "analytics:read routing");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&"bearer".into(), &86_400.into()));
    assert_eq!(bench.get(ME, 2).0, 401, "the earlier token has ended");
}

#[test]
fn bodies_that_are_too_large_or_not_json_are_refused() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let path = format!("{CHANNELS}/{id}/subscriptions");
    let request = |body: &str, content_type: &str| crate::http::Request {
        method: "PUT".into(),
        path: path.clone(),
        authorization: Some(format!("Bearer {}", bench.token)),
        content_type: Some(content_type.into()),
        body: body.into(),
        ..crate::http::Request::default()
    };
    let large = request(&"x".repeat(512_001), "application/json");
    let (form, broken) = (request("[]", "text/plain"), request("[{", "application/json"));
    let no_topic = request(r#"[{"topic":"x"}]"#, "application/json");
    let expected = [(large, 413), (form, 415), (broken, 400), (no_topic, 400)];
    for (request, status) in expected {
        assert_eq!(bench.cloud.handle(&request, 0).status, status);
    }
}

#[test]
fn channels_of_other_tokens_show_that_they_exist_and_nothing_else() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let whole = format!("{CHANNELS}?includechannels=oauthclient");
    let own = bench.get(CHANNELS, 0).1;
    assert_eq!(own["entities"][0]["connectUri"], format!("ws://sim/channels/{id}"));
    assert_eq!(own["entities"][0]["expires"], "1970-01-02T00:00:00.000Z");
    let settings = bench.cloud.settings().clone();
    let (client, secret) = ("sim-client", "sim-secret");
    let kind = Some("client_credentials");
    let answer = bench.cloud.oauth.grant(client, secret, kind, 7, &settings, 0);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["access_token"].as_str().unwrap().clone_into(&mut bench.token);
    assert_eq!(bench.get(CHANNELS, 0).1["entities"], serde_json::json!([]));
    let shown = serde_json::json!([{"expires": "1970-01-02T00:00:00.000Z"}]);
    assert_eq!(bench.get(&whole, 0).1["entities"], shown);
}

#[test]
fn setting_topics_moves_the_end_of_a_channel() {
    let expires = |settings: Settings, method: &str| {
        let mut bench = Bench::new(settings);
        let id = bench.channel();
        let path = format!("{CHANNELS}/{id}/subscriptions");
        assert_eq!(bench.ask(method, &path, &topics(&[]), 1_000).0, 200);
        bench.cloud.channels.get(&id).unwrap().expires_ms
    };
    let put_only = Settings { post_extends_life: false, ..Settings::default() };
    let never = Settings { subscribe_extends_life: false, ..Settings::default() };
    assert_eq!(expires(Settings::default(), "PUT"), 86_401_000);
    assert_eq!(expires(Settings::default(), "POST"), 86_401_000);
    assert_eq!(expires(put_only.clone(), "PUT"), 86_401_000);
    assert_eq!(expires(put_only, "POST"), 86_400_000);
    assert_eq!(expires(never, "PUT"), 86_400_000);
}

#[test]
fn put_replaces_post_adds_get_lists_and_delete_clears() {
    let mut bench = Bench::new(Settings::default());
    let (id, one, two) = (bench.channel(), bench.queue_topic(0), bench.queue_topic(1));
    let path = format!("{CHANNELS}/{id}/subscriptions");
    let listed = |bench: &mut Bench| bench.get(&path, 0).1["entities"].as_array().unwrap().len();
    bench.ask("PUT", &path, &topics(&[&one]), 0);
    bench.ask("POST", &path, &topics(&[&two]), 0);
    assert_eq!(listed(&mut bench), 2);
    bench.ask("PUT", &path, &topics(&[&two]), 0);
    assert_eq!(listed(&mut bench), 1);
    assert_eq!(bench.ask("DELETE", &path, &Value::Null, 0), (200, Value::Null));
    assert_eq!(listed(&mut bench), 0);
    let channel = format!("{CHANNELS}/{id}");
    assert_eq!(bench.ask("DELETE", &channel, &Value::Null, 0).0, 405, "there is no such call");
    assert_eq!(bench.ask("HEAD", &channel, &Value::Null, 0), (200, Value::Null));
}

#[test]
fn answers_may_leave_topics_out_and_permit_a_part_of_a_combination() {
    let mut bench = Bench::new(Settings::default());
    let (id, queue) = (bench.channel(), bench.queue_topic(0));
    let user = bench.cloud.traffic().org().users[0].id.clone();
    let combined = format!("v2.users.{user}?conversations&presence");
    bench.cloud.set_settings(Settings {
        omitted_topics: vec![queue.clone()],
        combined_partly: true,
        missing_permissions: vec!["conversation:communication:view".into()],
        ..Settings::default()
    });
    let path = format!("{CHANNELS}/{id}/subscriptions?ignoreErrors=true");
    let answer = bench.ask("PUT", &path, &topics(&[&queue, &combined]), 0).1;
    let entities = answer["entities"].as_array().unwrap();
    let states: Vec<_> = entities.iter().map(|e| (&e["id"], &e["state"])).collect();
    let refused = Value::from(format!("v2.users.{user}.conversations"));
    let combined = Value::from(combined);
    assert_eq!(states, [(&combined, &"Permitted".into()), (&refused, &"Rejected".into())]);
    let heard: Vec<String> = bench.cloud.wanted().into_iter().collect();
    assert_eq!(heard, [format!("v2.users.{user}.presence")]);
}

#[test]
fn a_topic_of_200_characters_is_too_long() {
    let mut bench = Bench::new(Settings::default());
    let id = bench.channel();
    let path = format!("{CHANNELS}/{id}/subscriptions");
    let topic = |length: usize| {
        let (start, end) = ("v2.conversations.", ".transcription");
        format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
    };
    assert_eq!(bench.ask("PUT", &path, &topics(&[&topic(199)]), 0).0, 200);
    assert_eq!(bench.ask("PUT", &path, &topics(&[&topic(200)]), 0).0, 400);
}

#[test]
fn listings_are_paged_and_need_their_permission() {
    let mut bench = Bench::new(Settings::default());
    for n in 0..30 {
        bench.cloud.create_object(crate::Kind::Queue, &format!("Queue {n}"));
    }
    let first = bench.get("/api/v2/routing/queues", 0).1;
    let counts = ["pageSize", "pageNumber", "total", "pageCount"].map(|key| first[key].clone());
    assert_eq!(counts, [25, 1, 33, 2].map(Value::from));
    assert_eq!(first["entities"].as_array().unwrap().len(), 25);
    let second = bench.get("/api/v2/routing/queues?pageNumber=2", 0).1;
    assert_eq!(second["entities"].as_array().unwrap().len(), 8);
    assert_eq!(first["nextUri"], second["selfUri"]);
    assert_eq!((second.get("nextUri"), &second["previousUri"]), (None, &first["selfUri"]));
    let named = bench.get("/api/v2/routing/queues?name=queue 29", 0).1;
    assert_eq!(named["total"], 1);
    let missing = vec!["routing:queue:view".to_owned(), "limits:organization:view".to_owned()];
    bench.cloud.set_settings(Settings { missing_permissions: missing, ..Settings::default() });
    let (status, body) = bench.get("/api/v2/routing/queues", 0);
    assert_eq!((status, &body["code"]), (403, &"missing.any.permissions".into()));
    assert!(body["message"].as_str().unwrap().ends_with("routing:queue:view"));
    assert_eq!(bench.get("/api/v2/users", 0).0, 200, "people need none");
    assert_eq!(bench.get("/api/v2/organizations/limits/namespaces/notifications", 0).0, 403);
}

#[test]
fn a_listing_says_name_and_division_and_both_change_while_it_runs() {
    let mut bench = Bench::new(Settings::default());
    let row = |bench: &mut Bench, path: &str| bench.get(path, 0).1["entities"][0].clone();
    let queue = row(&mut bench, "/api/v2/routing/queues");
    let home = bench.cloud.traffic().org().home().to_owned();
    assert_eq!(queue["division"], serde_json::json!({"id": home, "name": "Home"}));
    assert_eq!(row(&mut bench, "/api/v2/users")["division"]["name"], "Home");
    let id = queue["id"].as_str().unwrap();
    let change = |bench: &mut Bench, name, division| {
        bench.cloud.change_object(crate::Kind::Queue, id, name, division)
    };
    assert_eq!(change(&mut bench, Some("Anders"), Some("Home")), Ok(()));
    assert_eq!(row(&mut bench, "/api/v2/routing/queues")["name"], "Anders");
    assert!(change(&mut bench, None, Some("Nowhere")).unwrap_err().contains("Nowhere"));
    assert!(bench.cloud.change_object(crate::Kind::User, id, Some("x"), None).is_err());
    assert_eq!(row(&mut bench, "/api/v2/routing/queues")["name"], "Anders");
}

#[test]
fn limits_can_be_asked_for_by_namespace() {
    let mut bench = Bench::new(Settings::default());
    let base = "/api/v2/organizations/limits/namespaces";
    for namespace in ["notifications", "platform.api/defaults", "analytics"] {
        assert_eq!(bench.get(&format!("{base}/{namespace}"), 0).0, 200, "{namespace}");
    }
    let limits = bench.get(&format!("{base}/platform.api"), 0).1["entities"].clone();
    let limit = serde_json::json!({"key": "client.credentials.token.rate.per.minute",
                                   "namespace": "platform.api", "value": 300});
    assert_eq!(limits[0], limit);
    assert_eq!(bench.get(&format!("{base}/made.up"), 0).0, 404);
}

#[test]
fn a_queue_that_was_deleted_is_unknown_and_gets_no_more_conversations() {
    let mut bench = Bench::new(Settings::default());
    let topic = bench.queue_topic(0);
    bench.listening(&[&topic], 0);
    let id = bench.cloud.traffic().org().queues[0].id.clone();
    for _ in 0..200 {
        bench.cloud.publish_next(1);
    }
    assert!(!bench.outputs().is_empty());
    assert!(bench.cloud.delete_object(crate::Kind::Queue, &id));
    assert!(!bench.cloud.delete_object(crate::Kind::Queue, &id), "only once");
    for _ in 0..200 {
        bench.cloud.publish_next(2);
    }
    assert!(bench.outputs().is_empty());
    let channel = bench.channel();
    let path = format!("{CHANNELS}/{channel}/subscriptions");
    assert_eq!(bench.ask("PUT", &path, &topics(&[&topic]), 3).0, 400);
}

#[test]
fn http_faults_choose_path_client_status_and_wording() {
    let mut bench = Bench::new(Settings::default());
    let statuses = |bench: &mut Bench| (bench.get(ME, 1).0, bench.get("/api/v2/users", 1).0);
    let one = |args: &str| format!(r#"{{"what":"http_status","args":{{"count":1,{args}}}}}"#);
    bench.fault(&one(r#""status":500,"path":"/api/v2/users""#), 1);
    assert_eq!(statuses(&mut bench), (200, 500));
    bench.fault(&one(r#""status":0"#), 1);
    assert_eq!(statuses(&mut bench), (0, 200));
    bench.fault(&one(r#""status":502"#), 1);
    assert!(bench.send("GET", ME, &Value::Null, 1).body.starts_with("<html>"));
    bench.fault(&one(r#""status":429,"retry_after":"soon""#), 1);
    let answer = bench.send("GET", ME, &Value::Null, 1);
    assert!(answer.headers.contains(&("Retry-After", "soon".to_owned())));
    bench.fault(&one(r#""status":429,"retry_after":"14400""#), 1);
    assert!(bench.send("GET", ME, &Value::Null, 1).body.contains("in [14400] seconds"));
    bench.fault(&one(r#""status":429"#), 1);
    let answer = bench.send("GET", ME, &Value::Null, 1);
    assert!(answer.headers.iter().all(|(name, _)| *name != "Retry-After"));
    bench.fault(&one(r#""status":200,"body":"{\"access_token\":""#), 1);
    assert_eq!(bench.send("GET", ME, &Value::Null, 1).body, r#"{"access_token":"#);
    let other = r#"{"what":"http_status","whom":"client:other","for_ms":9,"args":{"status":500}}"#;
    bench.fault(other, 1);
    assert_eq!(statuses(&mut bench), (200, 200), "it is about somebody else");
    assert_eq!(bench.cloud.counters().rate_limited, 3);
}

#[test]
fn a_slow_answer_is_not_a_held_back_request() {
    let mut bench = Bench::new(Settings::default());
    let request = crate::http::Request { path: ME.into(), ..Default::default() };
    bench.fault(r#"{"what":"slow","for_ms":9,"args":{"delay_ms":70}}"#, 1);
    assert_eq!(bench.cloud.held_back(&request, false, 1), 0);
    assert_eq!(bench.send("GET", ME, &Value::Null, 1).delay_ms, 70);
    bench.fault(r#"{"what":"slow","for_ms":9,"args":{"delay_ms":80,"before":true}}"#, 11);
    assert_eq!(bench.cloud.held_back(&request, false, 11), 80);
    assert_eq!(bench.send("GET", ME, &Value::Null, 11).delay_ms, 0);
}
