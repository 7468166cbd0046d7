//! The simulator over real sockets: what a client on the other side of TCP gets to see.

mod client;

use std::time::Duration;

use client::{End, Heard, Simulator};
use genesys_sim::faults::Fault;
use genesys_sim::server::ServeSettings;
use genesys_sim::settings::Settings;
use genesys_sim::traffic::Profile;
use serde_json::{Value, json};

fn fault(text: &str) -> Fault {
    serde_json::from_str(text).expect("a fault of the tests is one")
}

/// Traffic that never gets in the way.
fn quiet() -> ServeSettings {
    ServeSettings { wait_for_channels: 99, seed: 1, ..ServeSettings::default() }
}

fn lively(rate: f64) -> ServeSettings {
    let profile = Profile { rate, queues: 4, users: 4, ..Profile::default() };
    ServeSettings { profile, wait_for_channels: 1, seed: 1, ..ServeSettings::default() }
}

#[tokio::test]
async fn a_channel_hears_events_and_pongs_and_the_ledger_says_the_same() {
    let sim = Simulator::start(ServeSettings { events: 200, ..lively(2_000.0) }).await;
    let mut socket = sim.listening().await;
    let mut bodies = Vec::new();
    while bodies.len() < 200 {
        let Heard::Frame(frame) = socket.next().await else { panic!("the socket ended") };
        assert_eq!(frame["version"], "2", "{frame}");
        assert!(frame["metadata"]["CorrelationId"].is_string());
        bodies.push((frame["topicName"].clone(), frame["eventBody"].clone()));
    }
    socket.say(r#"{"message":"ping"}"#).await;
    let Heard::Frame(pong) = socket.next().await else { panic!("no pong") };
    let published = json!({"topicName": "channel.metadata", "eventBody": {"message": "pong"}});
    assert_eq!(pong, published);

    let mut delivered = Vec::new();
    let mut after = 0;
    loop {
        let page = sim.get(&format!("/sim/ledger?after={after}&limit=100")).await.body;
        let entries: Vec<Value> =
            page.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let Some(last) = entries.last() else { break };
        assert_eq!(entries[0]["seq"], after + 1, "pages join without a hole");
        after = last["seq"].as_u64().unwrap();
        for entry in entries.iter().filter(|entry| entry["covered"] == true) {
            assert_eq!(entry["delivered"], json!([1]));
            let body = entry["body"].as_str().unwrap();
            let digest = blake3::hash(body.as_bytes()).to_hex();
            assert_eq!(entry["digest"].as_str(), digest.get(..32));
            delivered.push((entry["topic"].clone(), serde_json::from_str(body).unwrap()));
        }
    }
    assert_eq!(bodies, delivered);
}

#[tokio::test]
async fn heartbeats_come_on_the_real_clock() {
    let settings = Settings { heartbeat_ms: 200, ..Settings::default() };
    let sim = Simulator::start(ServeSettings { settings, ..quiet() }).await;
    let mut socket = sim.listening().await;
    let began = sim.running.now_ms();
    for _ in 0..3 {
        let Heard::Frame(frame) = socket.next().await else { panic!("no heartbeat") };
        assert_eq!(frame["eventBody"]["message"], "WebSocket Heartbeat");
    }
    let took = sim.running.now_ms() - began;
    assert!((500..2_000).contains(&took), "three took {took} ms");
}

#[tokio::test]
async fn a_ping_of_the_protocol_is_answered() {
    let sim = Simulator::start(quiet()).await;
    let mut socket = sim.listening().await;
    socket.ping(b"are you there").await;
    assert_eq!(socket.next().await, Heard::Pong(b"are you there".to_vec()));
}

#[tokio::test]
async fn a_close_of_the_client_is_answered_by_one_and_nothing_is_delivered_after_it() {
    let sim = Simulator::start(quiet()).await;
    let mut socket = sim.listening().await;
    socket.close(4001).await;
    assert_eq!(socket.end().await, End::Close(4001, String::new()));
    assert_eq!(sim.connected().await, json!([]));
}

#[tokio::test]
async fn ends_of_a_socket_look_different_on_the_wire() {
    let sim = Simulator::start(quiet()).await;
    let ends = [
        (r#"{"what":"close"}"#, End::Close(1000, String::new())),
        (r#"{"what":"close","args":{"code":1012,"reason":"x"}}"#, End::Close(1012, "x".into())),
        (r#"{"what":"idle_close"}"#, End::Close(1001, "idle timeout".into())),
        (r#"{"what":"reset"}"#, End::Reset),
    ];
    for (text, expected) in ends {
        let mut socket = sim.listening().await;
        sim.running.inject(fault(text));
        assert_eq!(socket.end().await, expected, "{text}");
    }
    let applied = sim.running.applied();
    assert_eq!(applied.len(), 4);
    assert!(applied.iter().all(|fault| fault.effects == 1 && fault.channels.len() == 1));
}

#[tokio::test]
async fn a_half_open_connection_says_nothing_and_answers_nothing() {
    let settings = Settings { heartbeat_ms: 100, ..Settings::default() };
    let sim = Simulator::start(ServeSettings { settings, ..lively(500.0) }).await;
    let mut socket = sim.listening().await;
    let Heard::Frame(_) = socket.next().await else { panic!("nothing before the fault") };
    sim.running.inject(fault(r#"{"what":"half_open"}"#));
    tokio::time::sleep(Duration::from_millis(100)).await;
    while socket.within(Duration::from_millis(300)).await.is_some() {} // what was under way
    socket.say(r#"{"message":"ping"}"#).await;
    socket.ping(b"hello").await;
    assert_eq!(socket.within(Duration::from_millis(700)).await, None, "not even an end");
}

#[tokio::test]
async fn accept_then_close_and_refused_upgrades_are_two_things() {
    let sim = Simulator::start(quiet()).await;
    let uri = sim.channel().await;
    sim.running.inject(fault(r#"{"what":"accept_close","args":{"count":1,"code":1013}}"#));
    let closed = sim.until_open(&uri).await.end().await;
    assert_eq!(closed, End::Close(1013, String::new()));
    let text = r#"{"what":"http_status","for_ms":600000,
                   "args":{"status":429,"retry_after":"7","path":"/channels/","count":1}}"#;
    sim.running.inject(fault(text));
    let refusal = sim.dial(&uri).await.unwrap_err();
    assert_eq!((refusal.status, refusal.header("retry-after")), (429, Some("7")));
    assert!(sim.dial(&uri).await.is_ok(), "the fault was for one dial only");
    let made_up = uri.replace("streaming-", "streaming-x");
    assert_eq!(sim.dial(&made_up).await.unwrap_err().status, 401);
}

#[tokio::test]
async fn a_handshake_and_an_answer_can_be_slow() {
    let sim = Simulator::start(quiet()).await;
    let uri = sim.channel().await;
    let slow = r#"{"what":"slow","for_ms":60000,"args":{"delay_ms":400,"path":"/channels/"}}"#;
    let took = |began: u64| sim.running.now_ms() - began;
    sim.running.inject(fault(slow));
    let began = sim.running.now_ms();
    assert!(sim.dial(&uri).await.is_ok());
    assert!(took(began) >= 400);
    let began = sim.running.now_ms();
    assert_eq!(sim.get("/api/v2/tokens/me").await.status, 200);
    assert!(took(began) < 400, "REST is not concerned");
    sim.running.inject(fault(r#"{"what":"slow","for_ms":60000,"args":{"delay_ms":400}}"#));
    let began = sim.running.now_ms();
    assert_eq!(sim.get("/api/v2/tokens/me").await.status, 200);
    assert!(took(began) >= 400);
}

#[tokio::test]
async fn a_held_back_put_lands_after_a_newer_one() {
    let sim = Simulator::start(quiet()).await;
    let uri = sim.channel().await;
    let path = client::subscriptions_of(&uri);
    let (old, new) = (json!([{"id": "v2.users.nobody"}]), json!([]));
    let old = match sim.topics().await.first() {
        Some(topic) => json!([{"id": topic}]),
        None => old,
    };
    let held = r#"{"what":"slow","args":{"delay_ms":500,"before":true,"count":1}}"#;
    sim.running.inject(fault(held));
    let newer = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sim.send("PUT", &path, &new).await
    };
    let (older, newer) = tokio::join!(sim.send("PUT", &path, &old), newer);
    assert_eq!((older.status, newer.status), (200, 200));
    assert_eq!(sim.get(&path).await.json()["entities"][0]["id"], old[0]["id"]);
}

#[tokio::test]
async fn an_outage_cuts_sockets_and_requests_and_then_is_over() {
    let sim = Simulator::start(quiet()).await;
    let uri = sim.channel().await;
    let mut socket = sim.until_open(&uri).await;
    sim.running.inject(fault(r#"{"what":"outage","for_ms":600}"#));
    assert_eq!(socket.end().await, End::Reset);
    assert!(sim.try_send("GET", "/api/v2/tokens/me", &Value::Null).await.is_none());
    assert_eq!(sim.dial(&uri).await.unwrap_err().status, 0);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(sim.get("/api/v2/tokens/me").await.status, 200);
    assert!(sim.dial(&uri).await.is_ok());
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut_off() {
    let settings = Settings { unread_cap_bytes: 1 << 20, ..Settings::default() };
    let sim = Simulator::start(ServeSettings { settings, ..lively(20_000.0) }).await;
    let mut socket = sim.listening().await;
    let cut = async {
        while sim.connected().await != json!([]) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), cut).await.expect("nobody was cut off");
    assert_eq!(socket.end().await, End::Reset);
}

#[tokio::test]
async fn every_answer_has_the_platforms_headers() {
    let sim = Simulator::start(quiet()).await;
    let good = sim.get("/api/v2/routing/queues?pageSize=5").await;
    let bad = sim.get("/api/v2/nothing").await;
    assert_eq!((good.status, bad.status), (200, 404));
    for answer in [&good, &bad] {
        assert_eq!(answer.header("inin-ratelimit-allowed"), Some("300"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-cache, no-store, must-revalidate"));
        assert_eq!(answer.header("pragma"), Some("no-cache"));
        assert!(answer.header("date").is_some());
    }
    let context = bad.json()["contextId"].as_str().map(str::to_owned);
    assert_eq!(bad.header("inin-correlation-id").map(str::to_owned), context);
}

#[tokio::test]
async fn settings_faults_and_objects_change_while_it_runs() {
    let sim = Simulator::start(quiet()).await;
    let queues = |listing: Value| listing["total"].as_u64().unwrap();
    let before = queues(sim.get("/api/v2/routing/queues").await.json());
    let made = sim.send("POST", "/sim/queues", &json!({"name": "Zweite Reihe"})).await.json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(queues(sim.get("/api/v2/routing/queues").await.json()), before + 1);
    let path = format!("/sim/queues/{id}");
    assert_eq!(sim.send("PATCH", &path, &json!({"name": "Dritte Reihe"})).await.status, 204);
    let named = sim.get("/api/v2/routing/queues?name=dritte").await.json();
    assert_eq!(named["entities"][0]["id"], id);
    let nowhere = sim.send("PATCH", &path, &json!({"division": "Nowhere"})).await;
    assert!(nowhere.status == 400 && nowhere.body.contains("Nowhere"));
    assert_eq!(sim.send("PATCH", &path, &json!({})).await.status, 400);
    assert_eq!(sim.send("DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(sim.send("DELETE", &path, &Value::Null).await.status, 404);
    assert_eq!(queues(sim.get("/api/v2/routing/queues").await.json()), before);

    let denied = json!({"missing_permissions": ["routing:queue:view"]});
    assert_eq!(sim.send("POST", "/sim/settings", &denied).await.status, 200);
    assert_eq!(sim.get("/api/v2/routing/queues").await.status, 403);
    let wrong = sim.send("POST", "/sim/settings", &json!({"missing": []})).await;
    assert!(wrong.status == 400 && wrong.body.contains("missing_permissions"));

    let entry = json!({"what": "broker_down", "for_ms": 5});
    assert_eq!(sim.send("POST", "/sim/faults", &entry).await.status, 200);
    assert_eq!(sim.send("POST", "/sim/faults", &json!({"what": "rain"})).await.status, 400);
    assert_eq!(sim.get("/sim/faults").await.json()[0]["what"], "broker_down");
}

#[tokio::test]
async fn direct_connections_need_a_good_token_and_are_on_record() {
    let sim = Simulator::start(lively(500.0)).await;
    let url = sim.running.direct_url();
    assert_eq!(sim.dial(&url).await.unwrap_err().status, 401);
    let mut socket = sim.until_open(&format!("{url}?access_token={}", sim.token)).await;
    let Heard::Frame(frame) = socket.next().await else { panic!("no event") };
    assert!(frame["topicName"].as_str().unwrap().starts_with("v2.detail.events.conversation."));
    let dials = sim.get("/sim/dials").await.json();
    assert_eq!((&dials[0]["status"], &dials[1]["status"]), (&json!(401), &json!(101)));
    assert!(dials[1]["token_age_ms"].is_u64());
}

#[tokio::test]
async fn the_path_of_direct_connections_can_be_chosen() {
    let settings = Settings { direct_path: "/elsewhere".to_owned(), ..Settings::default() };
    let sim = Simulator::start(ServeSettings { settings, ..quiet() }).await;
    let url = sim.running.direct_url();
    assert!(url.ends_with("/elsewhere"));
    assert!(sim.dial(&format!("{url}?access_token={}", sim.token)).await.is_ok());
    let usual = url.replace("/elsewhere", "/api/v2/analytics/conversations/events");
    assert_eq!(sim.dial(&usual).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn compression_that_is_offered_is_not_taken() {
    let sim = Simulator::start(quiet()).await;
    let uri = sim.channel().await;
    let offered = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let head = sim.handshake(&uri, offered).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("sec-websocket-extensions"), "{head}");
}

#[tokio::test]
async fn a_recording_is_played_to_whom_it_concerns() {
    let serve = ServeSettings { wait_for_channels: 1, ..quiet() };
    let probe = Simulator::start(serve.clone()).await;
    let topic = probe.topics().await.remove(0);
    let text =
        [1, 2, 3].map(|n| format!("{{\"topicName\":\"{topic}\",\"eventBody\":{{\"n\":{n}}}}}"));
    let replay = genesys_sim::replay::read(&text.join("\n")).unwrap();
    let sim = Simulator::start(ServeSettings { replay, ..serve }).await;
    let mut socket = sim.listening().await;
    for n in 1..=3 {
        let Heard::Frame(frame) = socket.next().await else { panic!("no frame {n}") };
        assert_eq!(frame["eventBody"], json!({"n": n}));
    }
}

#[tokio::test]
async fn tls_is_good_for_whoever_trusts_the_written_authority() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let sim = genesys_sim::server::start(ServeSettings { tls_ca_out: Some(ca.clone()), ..quiet() });
    let sim = sim.await.unwrap();
    assert!(sim.url().starts_with("https://") && sim.direct_url().starts_with("wss://"));
    let address = sim.url().replace("https://", "");
    let answer = client::over_tls(&address, Some(&ca)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let stranger = client::over_tls(&address, None).await.unwrap_err();
    assert!(stranger.to_string().contains("UnknownIssuer"), "{stranger}");
}

/// A pressed button: a browser's form without JSON in `Accept`, a script's with it.
async fn press(sim: &Simulator, form: &str, accept: &str) -> client::Answer {
    let head = format!("Content-Type: application/x-www-form-urlencoded\r\nAccept: {accept}\r\n");
    sim.http("POST", "/sim/press", &head, form).await.expect("an answer")
}

#[tokio::test]
async fn the_page_and_its_files_need_no_token_and_admit_their_own_files_alone() {
    let sim = Simulator::start(quiet()).await;
    let _socket = sim.listening().await;
    assert_eq!(sim.get("/sim").await.header("location"), Some("/sim/"));
    let page = sim.http("GET", "/sim/", "", "").await.expect("an answer");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let now = sim.get("/sim/page/now").await;
    assert!(now.body.contains("1 open socket, 12 topics subscribed to"), "{}", now.body);
    for (file, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("script.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let answer = sim.get(&format!("/sim/page/{file}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        assert!(page.body.contains(&format!("/sim/page/{file}")), "{file} is of use");
    }
    assert_eq!(sim.get("/sim/page/mod.rs").await.status, 404);
    let state = sim.get("/sim/state").await.json();
    assert_eq!(
        (&state["traffic"], &state["channels"][0]["number"]),
        (&json!("waiting for channels"), &json!(1))
    );
    assert_eq!(state["clients"][0]["windows"][0]["allowed"], 300);
}

#[tokio::test]
async fn a_button_is_a_fault_a_browser_gets_the_page_back_and_a_script_json() {
    let sim = Simulator::start(quiet()).await;
    let mut socket = sim.listening().await;
    let answer = press(&sim, "what=close&whom=oldest&code=4001&reason=pulled", "text/html").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/sim/?pressed=0")));
    assert_eq!(socket.next().await, Heard::End(End::Close(4001, "pulled".to_owned())));
    let page = sim.get("/sim/?pressed=0").await;
    assert!(page.body.contains("class=\"good\">close: hit channel 1.<"), "{}", page.body);
    assert!(sim.get("/sim/?pressed=7").await.body.contains("class=\"\"></p>"), "nothing was");

    let answer = press(&sim, "what=outage&for_ms=400", "application/json").await;
    let body = json!({"accepted": true, "said": "outage: in force, 0 sockets cut.",
                      "fault": {"what": "outage", "for_ms": 400}});
    assert_eq!((answer.status, answer.json()), (200, body));
    assert!(sim.try_send("GET", "/api/v2/tokens/me", &Value::Null).await.is_none(), "cut");
    assert_eq!(sim.get("/sim/state").await.json()["running"][0]["what"], "outage");
}

#[tokio::test]
async fn a_wrong_form_names_the_field_and_does_nothing() {
    let sim = Simulator::start(quiet()).await;
    let form = "what=close&code=9%3Cb%3E";
    let answer = press(&sim, form, "application/json").await;
    let error = "code: is \"9<b>\"; allowed: a whole number from 1000 to 4999";
    assert_eq!((answer.status, answer.json()), (400, json!({"error": error})));
    let page = press(&sim, form, "*/*").await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("code: is &quot;9&lt;b&gt;&quot;; allowed:"), "{}", page.body);
    assert_eq!(sim.get("/sim/faults").await.json(), json!([]));
}

#[tokio::test]
async fn it_listens_on_the_address_it_is_given_and_says_where_to_dial() {
    let anywhere = Some(std::net::Ipv4Addr::UNSPECIFIED.into());
    let sim = Simulator::start(ServeSettings { listen: anywhere, ..quiet() }).await;
    assert!(sim.running.url().starts_with("http://127.0.0.1:"), "{}", sim.running.url());
    assert!(sim.channel().await.starts_with("ws://127.0.0.1:"));
}
