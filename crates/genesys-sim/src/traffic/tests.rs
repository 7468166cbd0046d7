use std::collections::{BTreeMap, BTreeSet};

use super::conversation::Media;
use super::*;

fn changes(seed: u64, count: usize) -> Vec<Change> {
    let profile = Profile { awkward: 0.2, spaced: 0.05, large: 0.01, ..Profile::default() };
    let mut traffic = Traffic::new(seed, profile);
    (0..count).map(|_| traffic.next(&|_| true)).collect()
}

fn bodies(changes: &[Change]) -> impl Iterator<Item = (&str, &str)> {
    changes
        .iter()
        .flat_map(|change| &change.notifications)
        .filter_map(|n| Some((n.topic.as_str(), n.body.as_deref()?)))
}

#[test]
fn equal_seeds_make_equal_traffic_and_others_do_not() {
    let text = |seed| format!("{:?}", changes(seed, 300));
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn every_body_is_json_and_no_two_of_one_topic_are_equal() {
    let changes = changes(3, 4_000);
    let mut seen = BTreeSet::new();
    for (topic, body) in bodies(&changes) {
        let value: serde_json::Value = serde_json::from_str(body).expect(body);
        assert!(seen.insert((topic.to_owned(), value.to_string())), "twice on {topic}");
    }
}

#[test]
fn every_medium_shape_and_oddity_appears() {
    let changes = changes(4, 8_000);
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for (topic, body) in bodies(&changes) {
        for media in Media::ALL {
            if body.contains(&format!("\"{}\":[{{", media.list())) {
                *count.entry(media.list()).or_default() += 1;
            }
        }
        *count.entry("specific").or_default() += usize::from(topic.ends_with(".calls"));
        *count.entry("detail").or_default() += usize::from(topic.starts_with("v2.detail."));
        *count.entry("metric").or_default() += usize::from(topic.ends_with(".metrics"));
        *count.entry("unknown key").or_default() += usize::from(body.contains("futureThing"));
        *count.entry("spaced").or_default() += usize::from(body.contains(",\n"));
        *count.entry("large").or_default() += usize::from(body.len() >= 64 << 10);
        *count.entry("no answer").or_default() += usize::from(body.contains("noanswer"));
    }
    assert_eq!(count.len(), 12);
    assert!(count.values().all(|&n| n > 0), "{count:?}");
}

#[test]
fn typical_snapshots_are_a_few_kilobytes() {
    let changes = changes(5, 4_000);
    let mut sizes: Vec<usize> = bodies(&changes)
        .filter(|(topic, _)| topic.ends_with(".conversations"))
        .map(|(_, body)| body.len())
        .collect();
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2];
    assert!((1_500..4_500).contains(&median), "{median}");
}

#[test]
fn the_rate_is_kept_on_queue_and_user_topics() {
    let changes = changes(6, 20_000);
    let paced = bodies(&changes).filter(|(topic, _)| topic.ends_with(".conversations")).count();
    let seconds = changes.last().unwrap().deliver_ms as f64 / 1000.0;
    let rate = paced as f64 / seconds;
    assert!((400.0..=510.0).contains(&rate), "{rate}");
}

#[test]
fn bursts_put_a_thousand_changes_into_one_millisecond() {
    let profile = Profile { burst_every: 500, ..Profile::default() };
    let mut traffic = Traffic::new(7, profile);
    let times: Vec<u64> = (0..3_000).map(|_| traffic.next(&|_| false).deliver_ms).collect();
    assert!(times.windows(1_000).any(|window| window[0] == window[999]));
}

#[test]
fn an_agent_who_stays_may_start_175_ms_before_having_ended() {
    let changes = changes(7, 6_000);
    let mut last: BTreeMap<String, (String, u64)> = BTreeMap::new();
    let mut pairs = 0;
    for (topic, body) in bodies(&changes).filter(|(topic, _)| topic.starts_with("v2.detail.")) {
        let event: serde_json::Value = serde_json::from_str(body).expect(body);
        let at_ms = event["eventTime"].as_u64().unwrap();
        let id = event["conversationId"].as_str().unwrap().to_owned();
        let kind = topic.rsplit_once(&format!("{id}.")).unwrap().1.to_owned();
        if let Some((before, before_ms)) = last.get(&id)
            && (before.as_str(), kind.as_str()) == ("user.start", "user.end")
        {
            pairs += usize::from(at_ms == before_ms + 175 && event["mediaType"] == "EMAIL");
        }
        last.insert(id, (kind, at_ms));
    }
    assert!(pairs > 10, "{pairs} pairs");
}

#[test]
fn an_occurrence_lies_as_long_before_its_delivery_as_was_asked_for() {
    let first_minute = |delay| {
        let profile = Profile { delay_ms: (delay, delay), ..Profile::default() };
        let mut traffic = Traffic::new(7, profile);
        let changes: Vec<Change> = (0..20).map(|_| traffic.next(&|_| true)).collect();
        let body: String = bodies(&changes).map(|(_, body)| body).collect();
        let time = |w: &&[u8]| w[4] == b'-' && w[10] == b'T' && w[13] == b':' && w[16] == b':';
        let first = body.as_bytes().windows(20).find(time).expect("a time");
        std::str::from_utf8(&first[14..16]).expect("digits").parse::<u64>().expect("minutes")
    };
    assert_eq!((first_minute(120_000) + 2) % 60, first_minute(0));
}
