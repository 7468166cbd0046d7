//! Analytics.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::json::iso;
use crate::settings::Settings;
use crate::traffic::Profile;

const QUERY: &str = "/api/v2/analytics/conversations/details/query";
const JOBS: &str = "/api/v2/analytics/conversations/details/jobs";
const HOUR: u64 = 3_600_000;
/// A day of the simulation's calendar, at noon.
const NOON: u64 = 20_000 * 24 * HOUR + 12 * HOUR;

/// A platform whose time 0 is noon, with so many changes.
fn busy(settings: Settings, changes: usize) -> (Bench, u64) {
    let mut bench = Bench::new(settings);
    bench.cloud.wall_origin_ms = NOON;
    let profile = Profile { queues: 3, users: 3, epoch_ms: NOON, ..Profile::default() };
    *bench.cloud.traffic() = crate::traffic::Traffic::new(1, profile);
    let mut now = 0;
    for _ in 0..changes {
        now = bench.cloud.traffic().next_at().max(now + 1);
        bench.cloud.publish_next(now);
    }
    (bench, now)
}

fn asked(from: u64, to: u64, page: u64) -> Value {
    let interval = format!("{}/{}", iso(from), iso(to));
    json!({"interval": interval, "paging": {"pageSize": 100, "pageNumber": page}})
}

fn rows(answer: &Value) -> Vec<Value> {
    answer["conversations"].as_array().cloned().unwrap_or_default()
}

/// Rows of a job, as of `at`.
fn job(bench: &mut Bench, body: &Value, at: u64) -> Vec<Value> {
    bench.cloud.tick(at);
    let id = bench.ask("POST", JOBS, body, at).1["jobId"].as_str().unwrap().to_owned();
    let path = format!("{JOBS}/{id}/results?pageSize=10000");
    rows(&bench.ask("GET", &path, &Value::Null, at + 3_000).1)
}

#[test]
fn a_query_is_about_days_and_a_job_about_activity() {
    let (mut bench, now) = busy(
        Settings { availability_lag_ms: 0, availability_step_ms: 1, ..Settings::default() },
        200,
    );
    let at = now + 10_000;
    let evening = asked(NOON + 6 * HOUR, NOON + 7 * HOUR, 1);
    assert!(!rows(&bench.ask("POST", QUERY, &evening, at).1).is_empty(), "the whole UTC day");
    let tomorrow = asked(NOON + 13 * HOUR, NOON + 14 * HOUR, 1);
    assert!(rows(&bench.ask("POST", QUERY, &tomorrow, at).1).is_empty());
    let active = job(&mut bench, &evening, at);
    let living = |row: &Value| row["conversationEnd"].is_null();
    assert!(!active.is_empty() && active.iter().all(living), "what ended before is not active");
    let mut by_day = evening.clone();
    by_day["startOfDayIntervalMatching"] = true.into();
    assert!(job(&mut bench, &by_day, at).len() > active.len());
}

#[test]
fn a_query_is_capped_and_its_total_is_about_right() {
    let (mut bench, now) = busy(Settings { total_hits_off: 2, ..Settings::default() }, 200);
    let at = now + 5_000;
    let body = asked(NOON - HOUR, NOON + HOUR, 1);
    let mut totals = std::collections::BTreeSet::new();
    for _ in 0..40 {
        totals.insert(bench.ask("POST", QUERY, &body, at).1["totalHits"].as_u64().unwrap());
    }
    let (low, high) = (*totals.first().unwrap(), *totals.last().unwrap());
    assert!(totals.len() > 2 && high - low <= 4, "{totals:?}");
    let off = Settings { total_hits_off: 0, query_cap: 30, ..Settings::default() };
    bench.cloud.set_settings(off);
    let answer = bench.ask("POST", QUERY, &body, at).1;
    assert_eq!((rows(&answer).len(), answer["totalHits"].as_u64()), (30, Some(30)));
}

#[test]
fn rows_move_between_pages_while_data_arrives() {
    let (mut bench, now) = busy(Settings::default(), 400);
    let ids = |bench: &mut Bench, page: u64, at: u64| -> Vec<String> {
        let mut body = asked(NOON - HOUR, NOON + HOUR, page);
        body["order"] = "desc".into();
        body["paging"]["pageSize"] = 20.into();
        let answer = bench.ask("POST", QUERY, &body, at).1;
        rows(&answer).iter().map(|row| row["conversationId"].to_string()).collect()
    };
    let first = ids(&mut bench, 1, now + 4_800);
    let second = ids(&mut bench, 2, now + 5_000);
    assert_eq!(first.len(), 20);
    assert!(second.iter().any(|id| first.contains(id)), "a row on both pages");
}

#[test]
fn jobs_have_attributes_cut_to_1024_characters_and_pages_of_10000() {
    let settings =
        Settings { availability_lag_ms: 0, availability_step_ms: 1, ..Settings::default() };
    let (mut bench, now) = busy(settings, 100);
    let at = now + 5_000;
    let body = asked(NOON - HOUR, NOON + HOUR, 1);
    let found = job(&mut bench, &body, at);
    let of = |row: &Value| row["participants"][0]["attributes"]["context.email"].is_string();
    assert!(found.iter().all(of), "every customer has some");
    let long = "ä".repeat(2_000);
    let kept = crate::traffic::cut(&long);
    assert_eq!((kept.chars().count(), kept.len()), (1_024, 2_048));
    let id = bench.ask("POST", JOBS, &body, at).1["jobId"].as_str().unwrap().to_owned();
    let path = format!("{JOBS}/{id}/results?pageSize=10001");
    assert_eq!(bench.ask("GET", &path, &Value::Null, at + 3_000).0, 400);
}

#[test]
fn the_horizon_of_jobs_moves_in_steps_never_back_and_says_so() {
    let (mut bench, _) = busy(Settings::default(), 0);
    let topic = "v2.analytics.conversations.details.jobs.availability";
    bench.cloud.tick(1);
    bench.listening(&[topic], 2);
    let horizon = |bench: &mut Bench, at: u64| {
        bench.cloud.tick(at);
        let date = bench.ask("GET", &format!("{JOBS}/availability"), &Value::Null, at).1;
        date["dataAvailabilityDate"].as_str().unwrap().to_owned()
    };
    assert_eq!(horizon(&mut bench, 599_999), iso(NOON - 6 * HOUR));
    assert!(bench.texts().iter().all(|text| !text.contains(topic)));
    assert_eq!(horizon(&mut bench, 600_000), iso(NOON - 6 * HOUR + 600_000));
    let texts = bench.texts();
    let told: Vec<&String> = texts.iter().filter(|text| text.contains(topic)).collect();
    assert!(told.len() == 1 && told[0].contains(&iso(NOON - 6 * HOUR + 600_000)), "{told:?}");
    let later = Settings { availability_lag_ms: 24 * HOUR, ..Settings::default() };
    bench.cloud.set_settings(later);
    assert_eq!(horizon(&mut bench, 1_200_000), iso(NOON - 6 * HOUR + 600_000), "never back");
}

#[test]
fn history_is_rewritten_between_two_and_three_days_later() {
    let settings =
        Settings { rewrite_share: 1.0, token_life_ms: 999 * HOUR, ..Settings::default() };
    let (mut bench, now) = busy(settings, 200);
    let body = asked(NOON - HOUR, NOON + HOUR, 1);
    let mut look = |at: u64| rows(&bench.ask("POST", QUERY, &body, at).1);
    let (before, between) = (look(now + 47 * HOUR), look(now + 60 * HOUR));
    let (after, long_after) = (look(now + 72 * HOUR), look(now + 200 * HOUR));
    let changed = |rows: &[Value]| rows.iter().zip(&before).filter(|(a, b)| a != b).count();
    assert!(changed(&between) > 0 && changed(&between) < before.len());
    assert_eq!((changed(&after), &after), (before.len(), &long_after), "every one, once");
    let segments = |rows: &[Value]| -> usize {
        let of = |row: &Value| row.pointer("/participants/0/sessions/0/segments").cloned();
        rows.iter().filter_map(of).map(|list| list.as_array().unwrap().len()).sum()
    };
    let more = segments(&after) - segments(&before);
    assert!(more > 0 && more < before.len(), "some got a segment, the others another end");
}

#[test]
fn a_conversation_can_be_read_until_a_day_after_its_end() {
    let (mut bench, now) = busy(Settings::default(), 300);
    let body = asked(NOON - HOUR, NOON + HOUR, 1);
    let found = rows(&bench.ask("POST", QUERY, &body, now + 5_000).1);
    let ended = found.iter().find(|row| !row["conversationEnd"].is_null()).unwrap();
    let path = format!("/api/v2/conversations/{}", ended["conversationId"].as_str().unwrap());
    assert_eq!(bench.get(&path, now + 23 * HOUR).0, 200);
    assert_eq!(bench.get(&path, now + 25 * HOUR).0, 401, "by then the token has ended");
    let shorter = Settings { conversation_life_ms: HOUR, ..Settings::default() };
    bench.cloud.set_settings(shorter);
    assert_eq!(bench.get(&path, now + 2 * HOUR).0, 404);
}

#[test]
fn a_look_at_history_can_fail_like_a_gateway() {
    let (mut bench, now) = busy(Settings::default(), 10);
    let body = asked(NOON - HOUR, NOON + HOUR, 1);
    for (status, json) in [(502, false), (504, true)] {
        let args = format!(r#"{{"status":{status},"count":1,"path":"{QUERY}"}}"#);
        bench.fault(&format!(r#"{{"what":"http_status","args":{args}}}"#), now);
        let (answered, body) = bench.ask("POST", QUERY, &body, now);
        assert_eq!((answered, body.is_object()), (status, json));
    }
}

#[test]
fn the_oldest_conversations_are_forgotten_when_there_are_too_many() {
    let settings = Settings { history_conversations: 10, ..Settings::default() };
    let (mut bench, now) = busy(settings, 200);
    let body = asked(NOON - HOUR, NOON + HOUR, 1);
    let kept = rows(&bench.ask("POST", QUERY, &body, now + 5_000).1);
    assert!(kept.len() <= 10 && bench.cloud.history().forgotten() > 20);
}
