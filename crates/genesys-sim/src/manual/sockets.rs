//! Sockets.

use crate::bench::Bench;
use crate::settings::Settings;

fn listening(settings: Settings) -> (Bench, String) {
    let mut bench = Bench::new(settings);
    let topic = bench.queue_topic(0);
    bench.listening(&[&topic], 0);
    (bench, topic)
}

#[test]
fn a_pong_repeats_nothing_and_other_messages_are_ignored() {
    let (mut bench, _) = listening(Settings::default());
    bench.cloud.client_text(1, r#"{"message":"ping","nonce":"n"}"#, 1);
    let texts = bench.texts();
    assert_eq!(texts, [r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#]);
    for text in [r#"{"message":"hello"}"#, "[]", "no JSON", r#"{"topics":[]}"#] {
        bench.cloud.client_text(1, text, 2);
    }
    assert!(bench.outputs().is_empty());
}

#[test]
fn a_pong_queues_behind_the_events_before_it() {
    let (mut bench, topic) = listening(Settings::default());
    bench.event(&topic, 1, 1);
    bench.cloud.client_text(1, r#"{"message":"ping"}"#, 2);
    bench.event(&topic, 2, 3);
    assert_eq!(bench.outputs(), ["1 event 1", "1 pong", "1 event 2"]);
}

#[test]
fn every_close_code_can_be_sent() {
    for code in [1000, 1001, 1008, 1011, 1012, 1013] {
        let (mut bench, _) = listening(Settings::default());
        bench.fault(&format!(r#"{{"what":"close","args":{{"code":{code}}}}}"#), 1);
        assert_eq!(bench.outputs(), [format!("1 close {code} ")]);
    }
}

#[test]
fn frames_have_no_limit_unless_set_and_the_ledger_says_what_was_too_large() {
    let large = format!("{{\"n\":1,\"x\":\"{}\"}}", "x".repeat(1 << 20));
    let (mut bench, topic) = listening(Settings::default());
    bench.cloud.fan_out(&topic, Some(&large.as_str().into()), None, 1);
    assert_eq!(bench.outputs(), ["1 event 1"]);
    let (mut bench, topic) =
        listening(Settings { frame_cap_bytes: 1 << 20, ..Settings::default() });
    bench.cloud.fan_out(&topic, Some(&large.into()), None, 1);
    bench.event(&topic, 2, 2);
    assert_eq!(bench.outputs(), ["1 event 2"]);
    let entry = bench.cloud.ledger().after(0, 1).next().unwrap().clone();
    assert_eq!(entry.dropped, [(1, "frame too large")]);
}

#[test]
fn subscribing_over_the_socket_can_be_switched_off() {
    let (mut bench, topic) = listening(Settings { socket_subscribe: false, ..Settings::default() });
    let text = format!(r#"{{"message":"subscribe","topics":["{topic}"]}}"#);
    bench.cloud.client_text(1, &text, 1);
    assert!(bench.outputs().is_empty());
}
