//! Channels.

use serde_json::Value;

use crate::bench::{Bench, CHANNELS};
use crate::settings::Settings;

#[test]
fn a_channel_lives_for_a_day_and_its_end_closes_the_socket_without_a_word() {
    let mut bench = Bench::new(Settings { heartbeat_ms: 90_000_000, ..Settings::default() });
    let topic = bench.queue_topic(0);
    let (id, _) = bench.listening(&[&topic], 0);
    bench.cloud.tick(86_399_999);
    assert!(bench.outputs().is_empty());
    bench.cloud.tick(86_400_000);
    assert_eq!(bench.outputs(), ["1 close 1000 "]);
    assert_eq!(bench.cloud.upgrade(&id, 86_400_000).unwrap_err().status, 401);
}

#[test]
fn a_channel_can_be_taken_away_or_expire_on_command() {
    for (what, code) in [("evict", 1000), ("expire", 4000)] {
        let settings =
            Settings { end_code: code, unknown_channel_status: 404, ..Settings::default() };
        let mut bench = Bench::new(settings);
        let topic = bench.queue_topic(0);
        let (id, _) = bench.listening(&[&topic], 0);
        bench.fault(&format!(r#"{{"what":"{what}"}}"#), 1);
        assert_eq!(bench.outputs(), [format!("1 close {code} ")]);
        let path = format!("{CHANNELS}/{id}");
        assert_eq!(bench.ask("HEAD", &path, &Value::Null, 2).0, 404);
        assert_eq!(bench.cloud.upgrade(&id, 2).unwrap_err().status, 404, "as set");
        bench.event(&topic, 1, 3);
        assert!(bench.outputs().is_empty(), "its topics went with it");
    }
}

#[test]
fn a_connect_or_a_subscribe_keeps_a_channel_from_being_the_oldest() {
    let mut bench = Bench::new(Settings { channels_per_client: 2, ..Settings::default() });
    let (first, second) = (bench.channel(), bench.channel());
    let subscriptions = format!("{CHANNELS}/{first}/subscriptions");
    assert_eq!(bench.ask("PUT", &subscriptions, &serde_json::json!([]), 5).0, 200);
    assert_eq!(bench.ask("POST", CHANNELS, &Value::Null, 6).0, 200, "the third is made");
    let lives = |bench: &mut Bench, id: &str| {
        bench.ask("HEAD", &format!("{CHANNELS}/{id}"), &Value::Null, 7).0 == 200
    };
    assert!(lives(&mut bench, &first) && !lives(&mut bench, &second));
}

#[test]
fn subscriptions_outlive_a_socket_and_nothing_is_queued_in_between() {
    let mut bench = Bench::new(Settings::default());
    let topic = bench.queue_topic(0);
    let (id, socket) = bench.listening(&[&topic], 0);
    bench.cloud.socket_gone(socket, 1);
    bench.event(&topic, 1, 2);
    assert_eq!(bench.cloud.upgrade(&id, 3), Ok(2));
    bench.event(&topic, 2, 4);
    assert_eq!(bench.outputs(), ["2 event 2"]);
    let entry = bench.cloud.ledger().after(0, 1).next().unwrap().clone();
    assert_eq!((entry.delivered.len(), entry.dropped), (0, vec![(1, "not connected")]));
}

#[test]
fn the_answer_to_a_delete_of_a_channel_can_be_chosen() {
    let mut bench = Bench::new(Settings { delete_channel_status: 404, ..Settings::default() });
    let path = format!("{CHANNELS}/{}", bench.channel());
    assert_eq!(bench.ask("DELETE", &path, &Value::Null, 0).0, 404);
    assert_eq!(bench.ask("HEAD", &path, &Value::Null, 0).0, 200, "it is still there");
}
