//! Subscriptions.

use serde_json::Value;

use crate::bench::{Bench, CHANNELS, topics};
use crate::settings::Settings;

fn channel(settings: Settings) -> (Bench, String) {
    let mut bench = Bench::new(settings);
    let path = format!("{CHANNELS}/{}/subscriptions", bench.channel());
    (bench, path)
}

#[test]
fn an_answer_names_each_topic_its_state_and_the_list_it_is_on() {
    let (mut bench, path) = channel(Settings::default());
    let topic = bench.queue_topic(0);
    let (_, answer) = bench.ask("PUT", &path, &topics(&[&topic]), 0);
    let entity = serde_json::json!({"id": topic, "state": "Permitted", "selfUri": path});
    assert_eq!(answer, serde_json::json!({"entities": [entity]}));
}

#[test]
fn what_is_refused_is_named_when_errors_are_ignored() {
    let (mut bench, path) = channel(Settings::default());
    let ignoring = format!("{path}?ignoreErrors=true");
    let long = format!("v2.conversations.{}.transcription", "x".repeat(200));
    let wrong =
        ["v2.users.nobody.presence", "v2.nothing", "v2.routing.queues.*.conversations", &long];
    for topic in wrong {
        let (status, answer) = bench.ask("PUT", &ignoring, &topics(&[topic]), 0);
        let entity = &answer["entities"][0];
        assert_eq!((status, &entity["state"]), (200, &"Rejected".into()), "{topic}");
        assert!(entity["rejectionReason"].is_string());
        let (status, answer) = bench.ask("PUT", &path, &topics(&[topic]), 0);
        assert_eq!((status, &answer["code"]), (400, &"bad.request".into()), "{topic}");
    }
}

#[test]
fn a_combined_topic_counts_as_one_and_is_heard_under_single_names() {
    let (mut bench, path) = channel(Settings { topics_per_channel: 1, ..Settings::default() });
    let user = bench.cloud.traffic().org().users[0].id.clone();
    let combined = format!("v2.users.{user}?conversations&presence");
    assert_eq!(bench.ask("PUT", &path, &topics(&[&combined]), 0).0, 200);
    let id = path.split('/').rev().nth(1).unwrap().to_owned();
    bench.cloud.upgrade(&id, 1).unwrap();
    let single = format!("v2.users.{user}.presence");
    bench.cloud.fan_out(&single, Some(&"{}".into()), None, 2);
    let frame: Value = serde_json::from_str(&bench.texts()[0]).unwrap();
    assert_eq!(frame["topicName"], single);
    let queue = bench.queue_topic(0);
    assert_eq!(bench.ask("POST", &path, &topics(&[&queue]), 3).0, 400, "a second is one too many");
    assert_eq!(bench.cloud.wanted().len(), 2, "and changes nothing");
}
