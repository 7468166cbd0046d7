//! Events.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::bench::Bench;
use crate::settings::Settings;
use crate::traffic::{Change, Profile, Traffic};

fn changes(count: usize) -> Vec<Change> {
    let profile = Profile { awkward: 0.2, large: 0.0, ..Profile::default() };
    let mut traffic = Traffic::new(9, profile);
    (0..count).map(|_| traffic.next(&|_| true)).collect()
}

fn bodies(changes: &[Change]) -> impl Iterator<Item = (&Change, &str, Value)> {
    let of = |change: &'_ Change| -> Vec<(String, Value)> {
        let told = change.notifications.iter();
        told.filter_map(|n| Some((n.topic.clone(), serde_json::from_str(n.body.as_deref()?).ok()?)))
            .collect()
    };
    changes.iter().flat_map(move |change| {
        let topics = change.notifications.iter().map(|n| n.topic.as_str());
        topics.zip(of(change)).map(move |(topic, (_, body))| (change, topic, body))
    })
}

#[test]
fn an_envelope_has_the_published_keys_and_now_and_then_more_metadata() {
    let extras = |share: f64| {
        let settings = Settings { metadata_extras_share: share, ..Settings::default() };
        let mut bench = Bench::new(settings);
        let topic = bench.queue_topic(0);
        bench.listening(&[&topic], 0);
        bench.event(&topic, 1, 1);
        let frame: Value = serde_json::from_str(&bench.texts()[0]).unwrap();
        let keys =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(keys(&frame), ["eventBody", "metadata", "topicName", "version"]);
        keys(&frame["metadata"])
    };
    assert_eq!(extras(0.0), ["CorrelationId"]);
    assert_eq!(extras(1.0), ["CorrelationId", "origin", "type"]);
}

#[test]
fn one_change_is_told_on_every_topic_it_belongs_to() {
    let changes = changes(2_000);
    for change in &changes {
        let on = |start: &str, end: &str| {
            let mut told = change.notifications.iter();
            told.any(|n| n.topic.starts_with(start) && n.topic.ends_with(end))
        };
        for kind in ["v2.routing.queues.", "v2.users."] {
            let specific = change
                .notifications
                .iter()
                .any(|n| n.topic.starts_with(kind) && !n.topic.ends_with(".conversations"));
            assert_eq!(on(kind, ".conversations"), specific, "both shapes or none: {change:?}");
        }
        assert!(on("v2.detail.events.conversation.", ""), "{change:?}");
    }
    let both = |c: &&Change| ["v2.routing.", "v2.users."].iter().all(|kind| on_any(c, kind));
    assert!(changes.iter().filter(both).count() > 500, "a queue and its agent both hear of it");
}

fn on_any(change: &Change, start: &str) -> bool {
    change.notifications.iter().any(|n| n.topic.starts_with(start))
}

#[test]
fn a_snapshot_keeps_the_legs_that_ended() {
    let changes = changes(6_000);
    let (mut last, mut ended): (BTreeMap<String, Vec<Value>>, usize) = (BTreeMap::new(), 0);
    for (change, topic, body) in bodies(&changes) {
        if !(topic.starts_with("v2.routing.") && topic.ends_with(".conversations")) {
            continue;
        }
        let people = body["participants"].as_array().unwrap().clone();
        let ids = |people: &[Value]| people.iter().map(|p| p["id"].clone()).collect::<Vec<_>>();
        if let Some(before) = last.get(&change.conversation_id) {
            assert!(ids(&people).starts_with(&ids(before)), "nobody leaves the list");
            ended += before.iter().filter(|person| person["endTime"].is_string()).count();
        }
        last.insert(change.conversation_id.clone(), people);
    }
    assert!(ended > 100, "{ended}");
}

#[test]
fn what_is_absent_is_absent_and_not_null() {
    fn no_null(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Array(all) => all.iter().all(no_null),
            Value::Object(all) => all.values().all(no_null),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
    let changes = changes(2_000);
    let (mut empty, mut escaped) = (0, 0);
    for (_, topic, body) in bodies(&changes) {
        assert!(no_null(&body), "{topic}: {body}");
        let first = &body["participants"][1];
        empty += usize::from(first["attributes"] == serde_json::json!({}));
        escaped += usize::from(body.to_string().contains("Wie \\\\ groß\\tist das?\\n💥"));
    }
    assert!(empty > 100 && escaped > 100, "{empty} empty objects, {escaped} awkward strings");
}

#[test]
fn some_conversations_touch_no_queue_and_some_never_end() {
    let changes = changes(60_000);
    let (mut queued, mut peopled) = (BTreeSet::new(), BTreeSet::new());
    let mut last: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for (at, change) in changes.iter().enumerate() {
        let id = change.conversation_id.as_str();
        for notification in &change.notifications {
            match notification.topic.split('.').nth(1) {
                Some("routing") => drop(queued.insert(id)),
                Some("users") => drop(peopled.insert(id)),
                Some(_) | None => {}
            }
        }
        let told = change.notifications.iter();
        let over = told.filter(|n| n.topic.ends_with(".metrics")).count() > 0;
        let ended = change.story.as_ref().is_some_and(|story| story.end_ms().is_some());
        last.insert(id, (at, over && !ended));
    }
    let outside = last.keys().filter(|id| !queued.contains(*id)).count();
    let direct = peopled.iter().filter(|id| !queued.contains(*id)).count();
    let orphans = last.values().filter(|(_, orphan)| *orphan).count();
    assert!(direct > 20 && outside > direct + 20, "{outside} outside, {direct} of them direct");
    assert!(orphans > 5, "{orphans} orphans");
}

#[test]
fn attributes_have_what_masking_is_for() {
    let changes = changes(200);
    let mails = bodies(&changes).filter(|(_, _, body)| {
        let mail = &body["participants"][0]["attributes"]["context.email"];
        mail.as_str().is_some_and(|mail| mail.ends_with("@guest.example.com"))
    });
    assert!(mails.count() > 50);
}
