use crate::bench::{Bench, CHANNELS, topics};
use crate::settings::{DirectFrames, Settings};
use crate::traffic::{Profile, Traffic};
use crate::{Cloud, Output};
use serde_json::Value;

fn bench() -> Bench {
    Bench::new(Settings::default())
}

/// A bench whose only socket, number 1, listens to one queue.
fn listening(settings: Settings) -> (Bench, String, String) {
    let mut bench = Bench::new(settings);
    let topic = bench.queue_topic(0);
    let (id, socket) = bench.listening(&[&topic], 0);
    assert_eq!(socket, 1);
    (bench, id, topic)
}

#[test]
fn a_heartbeat_comes_every_30_s_from_connect_with_and_without_traffic() {
    let (mut bench, _, topic) = listening(Settings::default());
    let mut heard = Vec::new();
    for now_ms in (0..=90_000).step_by(1_000) {
        if now_ms > 60_000 {
            bench.event(&topic, 1, now_ms);
        }
        bench.cloud.tick(now_ms);
        let heartbeats = bench.outputs().into_iter().filter(|out| out == "1 heartbeat");
        heard.extend(heartbeats.map(|_| now_ms));
    }
    assert_eq!(heard, [30_000, 60_000, 90_000]);
}

#[test]
fn heartbeats_are_worded_as_published() {
    let (mut bench, ..) = listening(Settings::default());
    bench.cloud.tick(30_000);
    let published =
        r#"{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}"#;
    assert_eq!(bench.cloud.poll(), Some(Output::Text(1, published.into())));
}

#[test]
fn a_pong_can_be_lost_or_late() {
    let (mut bench, ..) = listening(Settings::default());
    bench.fault(r#"{"what":"lost_pong","args":{"count":1}}"#, 0);
    for now_ms in [1, 2] {
        bench.cloud.client_text(1, r#"{"message":"ping"}"#, now_ms);
    }
    assert_eq!(bench.outputs(), ["1 pong"], "the first is lost, the second is not");
    bench.fault(r#"{"what":"lost_pong","args":{"delay_ms":500}}"#, 3);
    bench.cloud.client_text(1, r#"{"message":"ping"}"#, 10);
    bench.cloud.tick(509);
    assert!(bench.outputs().is_empty());
    bench.cloud.tick(510);
    assert_eq!(bench.outputs(), ["1 pong"]);
}

#[test]
fn idle_close_is_off_unless_set_and_any_client_frame_puts_it_off() {
    let (mut bench, ..) = listening(Settings::default());
    bench.cloud.tick(3_600_000);
    assert!(bench.outputs().iter().all(|out| out.ends_with("heartbeat")));

    let settings = Settings { idle_close_ms: 10_000, ..Settings::default() };
    let (mut bench, ..) = listening(settings.clone());
    bench.cloud.client_frame(1, 5_000);
    bench.cloud.tick(14_999);
    assert!(bench.outputs().is_empty());
    bench.cloud.tick(15_000);
    assert_eq!(bench.outputs(), ["1 close 1001 idle timeout"]);

    let (mut bench, ..) = listening(Settings { idle_close_always: true, ..settings });
    bench.cloud.client_frame(1, 9_999);
    bench.cloud.tick(10_000);
    assert_eq!(bench.outputs(), ["1 close 1001 idle timeout"]);
}

#[test]
fn a_kick_is_announced_only_when_set() {
    let settings = Settings { announce_kick: true, ..Settings::default() };
    let (mut bench, id, _) = listening(settings);
    assert_eq!(bench.cloud.upgrade(&id, 5), Ok(2));
    let topic = format!("1 v2.system.no_longer_subscribed.{id}");
    assert_eq!(bench.outputs(), [topic.as_str(), "1 close 1000 "]);
    assert_eq!(bench.cloud.connected(), [1], "the second socket has the channel");
}

#[test]
fn maintenance_is_announced_a_minute_ahead_and_events_flow_in_between() {
    let (mut bench, id, topic) =
        listening(Settings { heartbeat_ms: 90_000, ..Settings::default() });
    bench.fault(r#"{"what":"socket_closing"}"#, 1_000);
    bench.event(&topic, 7, 60_999);
    bench.cloud.tick(60_999);
    assert_eq!(bench.outputs(), ["1 v2.system.socket_closing", "1 event 7"]);
    bench.cloud.tick(61_000);
    assert_eq!(bench.outputs(), ["1 close 1001 maintenance"]);
    assert_eq!(bench.cloud.upgrade(&id, 61_000), Ok(2), "the same channel serves at once");

    bench.fault(r#"{"what":"socket_closing","for_ms":5,"args":{"notice":false}}"#, 62_000);
    bench.cloud.tick(62_005);
    assert_eq!(bench.outputs(), ["2 close 1001 maintenance"], "no warning");
    assert_eq!(bench.cloud.upgrade(&id, 63_000), Ok(3));
    bench.fault(r#"{"what":"socket_closing","for_ms":5,"args":{"close":false}}"#, 64_000);
    bench.cloud.tick(70_000);
    assert_eq!(bench.outputs(), ["3 v2.system.socket_closing"], "a warning and nothing else");
}

#[test]
fn silence_keeps_back_events_or_heartbeats() {
    let (mut bench, _, topic) = listening(Settings::default());
    bench.fault(r#"{"what":"silence","for_ms":40000}"#, 0);
    bench.event(&topic, 1, 10);
    bench.cloud.tick(30_000);
    assert_eq!(bench.outputs(), ["1 heartbeat"]);
    let dropped = bench.cloud.ledger().after(0, 1).next().unwrap().dropped.clone();
    assert_eq!(dropped, [(1, "silence")]);
    let heartbeats = r#"{"what":"silence","for_ms":40000,"args":{"of":"heartbeats"}}"#;
    bench.fault(heartbeats, 50_000);
    bench.event(&topic, 2, 60_000);
    bench.cloud.tick(60_000);
    assert_eq!(bench.outputs(), ["1 event 2"]);
}

#[test]
fn a_client_may_subscribe_over_the_socket() {
    let (mut bench, id, _) = listening(Settings::default());
    let topic = bench.queue_topic(1);
    let say = |bench: &mut Bench, topic: &str, now_ms| {
        let text = format!(r#"{{"message":"subscribe","topics":["{topic}"],"correlationId":"c"}}"#);
        bench.cloud.client_text(1, &text, now_ms);
        let reply = bench.outputs().remove(0);
        serde_json::from_str::<Value>(reply.trim_start_matches("1 ")).unwrap()
    };
    let reply = say(&mut bench, &topic, 1);
    assert_eq!((&reply["result"], &reply["correlationId"]), (&"200".into(), &"c".into()));
    assert_eq!(bench.cloud.wanted().len(), 2, "added to what the channel had");
    assert_eq!(say(&mut bench, "v2.nothing", 2)["result"], "400");
    assert!(bench.cloud.channels.get(&id).unwrap().expires_ms >= 86_400_001);
    assert_eq!(say(&mut bench, &topic, 86_400_000)["result"], "404", "the token has expired");
}

#[test]
fn a_token_that_ends_closes_sockets_only_when_set() {
    let shorter =
        Settings { token_life_ms: 300_000, heartbeat_ms: 9_000_000, ..Settings::default() };
    let (mut bench, ..) = listening(shorter.clone());
    bench.cloud.tick(300_000);
    assert!(bench.outputs().is_empty());
    let (mut bench, ..) = listening(Settings { token_end_closes: true, ..shorter });
    bench.cloud.tick(299_999);
    assert!(bench.outputs().is_empty());
    bench.cloud.tick(300_000);
    assert_eq!(bench.outputs(), ["1 close 1000 "]);
}

#[test]
fn the_21st_channel_takes_everything_from_the_one_it_evicts() {
    let (mut bench, id, topic) = listening(Settings::default());
    for n in 1..=20 {
        let (status, _) = bench.ask("POST", CHANNELS, &Value::Null, n);
        assert_eq!(status, 200);
        let newest = bench.cloud.channels.all().max_by_key(|(_, channel)| channel.number);
        let newest = newest.unwrap().0.clone();
        bench.cloud.upgrade(&newest, n).unwrap();
    }
    assert_eq!(bench.outputs(), ["1 close 1000 "], "the oldest goes, without a message");
    let path = format!("{CHANNELS}/{id}");
    assert_eq!(bench.ask("HEAD", &path, &Value::Null, 30).0, 404);
    let subscriptions = format!("{path}/subscriptions");
    assert_eq!(bench.ask("PUT", &subscriptions, &topics(&[&topic]), 30).0, 404);
    assert_eq!(bench.cloud.upgrade(&id, 30).unwrap_err().status, 401);
}

#[test]
fn connects_can_be_limited_and_each_dial_is_on_record() {
    let settings = Settings { connects_per_minute: 1, ..Settings::default() };
    let (mut bench, id, _) = listening(settings);
    let refusal = bench.cloud.upgrade(&id, 15_000).unwrap_err();
    assert_eq!(refusal.headers, [("Retry-After", "45".to_owned())]);
    assert_eq!(bench.cloud.upgrade("streaming-0-made-up", 15_000).unwrap_err().status, 401);
    let seen: Vec<_> = bench.cloud.dials().iter().map(|d| (d.status, d.token_age_ms)).collect();
    assert_eq!(seen, [(101, Some(0)), (429, Some(15_000)), (401, None)]);
}

#[test]
fn topics_may_take_effect_later_and_stop_likewise() {
    let settings = Settings { subscribe_delay_ms: 100, ..Settings::default() };
    let (mut bench, id, topic) = listening(settings);
    for (n, now_ms) in [(1, 99), (2, 100)] {
        bench.cloud.tick(now_ms);
        bench.event(&topic, n, now_ms);
    }
    let path = format!("{CHANNELS}/{id}/subscriptions");
    assert_eq!(bench.ask("DELETE", &path, &Value::Null, 200).0, 200);
    for (n, now_ms) in [(3, 299), (4, 300)] {
        bench.cloud.tick(now_ms);
        bench.event(&topic, n, now_ms);
    }
    assert_eq!(bench.outputs(), ["1 event 2", "1 event 3"]);
}

#[test]
fn deliveries_can_change_places_and_happen_twice() {
    let (mut bench, _, topic) = listening(Settings { reorder_share: 1.0, ..Settings::default() });
    for n in 1..=3 {
        bench.event(&topic, n, n);
    }
    bench.cloud.tick(1_000);
    assert_eq!(bench.outputs(), ["1 event 2", "1 event 1", "1 event 3"]);
    let (mut bench, _, topic) = listening(Settings { duplicate_share: 1.0, ..Settings::default() });
    bench.event(&topic, 1, 1);
    assert_eq!(bench.outputs(), ["1 event 1", "1 event 1"]);
}

#[test]
fn a_correlation_id_is_fresh_per_delivery_unless_set() {
    for same in [false, true] {
        let settings = Settings { same_correlation_id: same, ..Settings::default() };
        let (mut bench, _, topic) = listening(settings);
        bench.listening(&[&topic], 1);
        bench.event(&topic, 1, 2);
        let texts = bench.texts();
        assert_eq!(texts[0] == texts[1], same);
    }
}

#[test]
fn a_close_with_1006_is_one_without_a_frame() {
    let (mut bench, ..) = listening(Settings::default());
    bench.fault(r#"{"what":"close","args":{"code":1006}}"#, 1);
    assert_eq!(bench.outputs(), ["1 reset"]);
}

#[test]
fn accept_then_close_ends_after_its_count() {
    let (mut bench, id, _) = listening(Settings::default());
    bench.fault(r#"{"what":"accept_close","args":{"count":2,"code":1013}}"#, 1);
    for now_ms in 2..=4 {
        bench.cloud.upgrade(&id, now_ms).unwrap();
    }
    let expected = ["1 close 1000 ", "2 close 1013 ", "3 close 1013 "];
    assert_eq!(bench.outputs(), expected, "the fourth stays open");
}

#[test]
fn a_revocation_is_announced_and_ends_the_tokens_of_that_client_only() {
    let other = ("other".to_owned(), "secret".to_owned());
    let mut settings = Settings::default();
    settings.clients.push(other);
    let (mut bench, id, _) = listening(settings.clone());
    let ask = |bench: &mut Bench, client: &str, secret: &str, now_ms| {
        let settings = settings.clone();
        let kind = Some("client_credentials");
        bench.cloud.oauth.grant(client, secret, kind, now_ms, &settings, now_ms)
    };
    let answer: Value = serde_json::from_str(&ask(&mut bench, "other", "secret", 1).body).unwrap();
    bench.fault(r#"{"what":"revoke","args":{"disable":true}}"#, 2);
    let announced = format!("1 v2.system.token_revoked.{id}");
    assert_eq!(bench.outputs(), [announced.as_str(), "1 close 1000 "]);
    assert_eq!(bench.get("/api/v2/tokens/me", 3).0, 401);
    assert_eq!(ask(&mut bench, "sim-client", "sim-secret", 4).status, 401, "disabled");
    bench.token = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(bench.get("/api/v2/tokens/me", 5).0, 200);
}

#[test]
fn a_revoked_client_may_have_another_secret_from_then_on() {
    let (mut bench, _, _) = listening(Settings::default());
    let settings = Settings::default();
    let ask = |bench: &mut Bench, secret: &str, now_ms| {
        let kind = Some("client_credentials");
        bench.cloud.oauth.grant("sim-client", secret, kind, now_ms, &settings, now_ms).status
    };
    bench.fault(r#"{"what":"revoke","args":{"secret":"another"}}"#, 2);
    assert_eq!((ask(&mut bench, "sim-secret", 3), ask(&mut bench, "another", 4)), (401, 200));
}

#[test]
fn an_outage_refuses_everything_until_it_is_over() {
    let (mut bench, id, _) = listening(Settings::default());
    bench.fault(r#"{"what":"outage","for_ms":1000}"#, 5);
    assert_eq!(bench.outputs(), ["1 reset"]);
    assert_eq!(bench.get("/api/v2/tokens/me", 6).0, 0);
    assert_eq!(bench.cloud.upgrade(&id, 1_004).unwrap_err().status, 0);
    bench.cloud.tick(1_005);
    assert_eq!(bench.cloud.upgrade(&id, 1_005), Ok(2));
}

#[test]
fn a_slow_reader_may_have_its_events_dropped() {
    let (mut bench, _, topic) = listening(Settings::default());
    bench.cloud.mark_full([1].into());
    bench.event(&topic, 1, 1);
    bench.cloud.mark_full([].into());
    bench.event(&topic, 2, 2);
    assert_eq!(bench.outputs(), ["1 event 2"]);
    assert_eq!(bench.cloud.ledger().after(0, 1).next().unwrap().dropped, [(1, "slow reader")]);
}

#[test]
fn direct_dials_are_refused_for_the_token_the_permission_and_the_rate() {
    let mut bench = bench();
    let token = bench.token.clone();
    let dial = |bench: &mut Bench, token: Option<&str>, now_ms| {
        let opened = bench.cloud.upgrade_direct(token, now_ms);
        opened.map_or_else(|refusal| refusal.status, |_| 101)
    };
    assert_eq!(dial(&mut bench, None, 0), 401);
    assert_eq!(dial(&mut bench, Some("made up"), 0), 401);
    assert_eq!(dial(&mut bench, Some(&token), 0), 101);
    assert_eq!(dial(&mut bench, Some(&token), 0), 101);
    assert_eq!(dial(&mut bench, Some(&token), 1), 429, "two at a time");
    assert_eq!(bench.cloud.counters().expired_dials, 0);
    assert_eq!(dial(&mut bench, Some(&token), 86_400_000), 401);
    assert_eq!(bench.cloud.counters().expired_dials, 1);
    let ages: Vec<_> = bench.cloud.dials().iter().map(|dial| dial.token_age_ms).collect();
    assert_eq!(ages, [None, None, Some(0), Some(0), Some(1), Some(86_400_000)]);

    let missing = vec!["analytics:conversationDetail:view".to_owned()];
    let mut bench = Bench::new(Settings { missing_permissions: missing, ..Settings::default() });
    let token = bench.token.clone();
    assert_eq!(dial(&mut bench, Some(&token), 0), 403);
}

#[test]
fn a_direct_connection_lives_about_a_minute_and_never_longer_than_its_token() {
    let mut bench = bench();
    let token = bench.token.clone();
    bench.cloud.upgrade_direct(Some(&token), 0).unwrap();
    let closed = (0..=65_000).find(|now_ms| {
        bench.cloud.tick(*now_ms);
        !bench.outputs().is_empty()
    });
    assert!(closed.is_some_and(|at_ms| (55_000..=65_000).contains(&at_ms)), "{closed:?}");

    bench.cloud.upgrade_direct(Some(&token), 86_399_000).unwrap();
    bench.cloud.tick(86_399_999);
    assert!(bench.outputs().is_empty());
    bench.cloud.tick(86_400_000);
    assert_eq!(bench.outputs(), ["2 close 1000 "]);
}

#[test]
fn a_direct_connection_hears_detail_events_that_no_channel_wants() {
    let frames = [DirectFrames::DetailEvents, DirectFrames::Snapshots, DirectFrames::List];
    for direct_frames in frames {
        let settings = Settings { direct_frames, ..Settings::default() };
        let mut bench = Bench::new(settings);
        let token = bench.token.clone();
        bench.cloud.upgrade_direct(Some(&token), 0).unwrap();
        for _ in 0..50 {
            bench.cloud.publish_next(1);
        }
        let texts = bench.texts();
        assert!(!texts.is_empty());
        for text in texts {
            let frame: Value = serde_json::from_str(&text).unwrap();
            let topic = frame["topicName"].as_str().unwrap_or_default();
            assert!(
                match direct_frames {
                    DirectFrames::DetailEvents => topic.starts_with("v2.detail.events."),
                    DirectFrames::Snapshots => topic.ends_with(".conversations"),
                    DirectFrames::List | DirectFrames::Bare => frame[0]["eventTime"].is_u64(),
                },
                "{text}"
            );
        }
    }
}

#[test]
fn equal_seeds_make_equal_platforms() {
    let run = |seed: u64| {
        let traffic = Traffic::new(seed, Profile { queues: 2, users: 2, ..Profile::default() });
        let settings = Settings { reorder_share: 0.1, duplicate_share: 0.1, ..Settings::default() };
        let mut bench = bench();
        bench.cloud = Cloud::new(settings, traffic, seed, "ws://sim", 0);
        let body = "grant_type=client_credentials";
        let ask = crate::http::Request {
            path: "/oauth/token".into(),
            authorization: Some("Basic c2ltLWNsaWVudDpzaW0tc2VjcmV0".into()),
            body: body.into(),
            ..crate::http::Request::default()
        };
        let token: Value = serde_json::from_str(&bench.cloud.handle(&ask, 0).body).unwrap();
        bench.token = token["access_token"].as_str().unwrap().to_owned();
        let topic = bench.queue_topic(0);
        bench.listening(&[&topic], 0);
        for now_ms in 0..500 {
            bench.cloud.tick(now_ms);
            bench.cloud.publish_next(now_ms);
        }
        std::iter::from_fn(|| bench.cloud.poll()).collect::<Vec<_>>()
    };
    let first = run(7);
    assert!(first.len() > 20, "{} outputs", first.len());
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
}
