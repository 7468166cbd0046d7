use serde_json::{Value, json};

use crate::bench::Bench;
use crate::json::iso;
use crate::settings::Settings;
use crate::traffic::Profile;

const QUERY: &str = "/api/v2/analytics/conversations/details/query";
const JOBS: &str = "/api/v2/analytics/conversations/details/jobs";

/// A platform on which a hundred changes happened, the last of them at the returned time.
fn busy(settings: Settings) -> (Bench, u64) {
    let mut bench = Bench::new(settings);
    bench.cloud.wall_origin_ms = Profile::default().epoch_ms;
    let mut now = 0;
    for _ in 0..100 {
        now = bench.cloud.traffic().next_at().max(now + 1);
        bench.cloud.publish_next(now);
    }
    (bench, now)
}

fn wall(bench: &Bench, ms: u64) -> u64 {
    bench.cloud.wall_origin_ms + ms
}

/// The hour around a time.
fn hour(bench: &Bench, at: u64) -> Value {
    let at = wall(bench, at);
    let interval = format!("{}/{}", iso(at.saturating_sub(1_800_000)), iso(at + 1_800_000));
    json!({"interval": interval, "paging": {"pageSize": 100, "pageNumber": 1}})
}

fn rows(answer: &Value) -> Vec<String> {
    let rows = answer["conversations"].as_array().into_iter().flatten();
    rows.map(|row| row["conversationId"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_query_shows_what_happened_a_little_later() {
    let (mut bench, now) = busy(Settings { total_hits_off: 0, ..Settings::default() });
    let body = hour(&bench, now);
    let (status, early) = bench.ask("POST", QUERY, &body, now);
    assert_eq!((status, early["conversations"].is_null()), (200, true), "nothing is shown yet");
    let (_, answer) = bench.ask("POST", QUERY, &body, now + 5_000);
    let shown = rows(&answer);
    assert_eq!(answer["totalHits"].as_u64(), Some(shown.len() as u64));
    assert!(shown.len() > 20, "{}", shown.len());
    let first = &answer["conversations"][0];
    assert!(first["participants"][0]["attributes"].is_null(), "only jobs carry attributes");
    assert!(first["participants"][0]["sessions"][0]["segments"][0]["segmentStart"].is_string());
}

#[test]
fn pages_and_intervals_are_checked() {
    let (mut bench, now) = busy(Settings::default());
    let later = now + 5_000;
    let mut body = hour(&bench, now);
    body["paging"]["pageSize"] = 101.into();
    assert_eq!(bench.ask("POST", QUERY, &body, later).0, 400);
    body["paging"]["pageSize"] = 10.into();
    let first = rows(&bench.ask("POST", QUERY, &body, later).1);
    body["paging"]["pageNumber"] = 2.into();
    let second = rows(&bench.ask("POST", QUERY, &body, later).1);
    assert_eq!((first.len(), second.len()), (10, 10));
    assert!(second.iter().all(|id| !first.contains(id)));
    let long = json!({"interval": "2026-01-01T00:00Z/2026-02-02T00:00Z"});
    let (status, answer) = bench.ask("POST", QUERY, &long, later);
    assert_eq!(status, 400);
    assert!(answer["message"].as_str().unwrap_or_default().contains("31 days"));
}

#[test]
fn filters_choose_by_end_by_id_and_by_queue() {
    let (mut bench, now) = busy(Settings::default());
    let later = now + 5_000;
    let mut body = hour(&bench, now);
    let all = rows(&bench.ask("POST", QUERY, &body, later).1);
    let predicate = |dimension: &str, operator: &str, value: &str| {
        json!([{"type": "and", "predicates": [
            {"type": "dimension", "dimension": dimension, "operator": operator, "value": value}]}])
    };
    body["conversationFilters"] = predicate("conversationEnd", "exists", "");
    let ended = rows(&bench.ask("POST", QUERY, &body, later).1);
    body["conversationFilters"] = predicate("conversationEnd", "notExists", "");
    let living = rows(&bench.ask("POST", QUERY, &body, later).1);
    assert_eq!(ended.len() + living.len(), all.len());
    body["conversationFilters"] = predicate("conversationId", "matches", &all[0]);
    assert_eq!(rows(&bench.ask("POST", QUERY, &body, later).1), [all[0].clone()]);
    let queue = bench.cloud.traffic().org().queues[0].id.clone();
    body["conversationFilters"] = json!([]);
    body["segmentFilters"] = predicate("queueId", "matches", &queue);
    let queued = rows(&bench.ask("POST", QUERY, &body, later).1);
    assert!(!queued.is_empty() && queued.len() < all.len());
    let user = bench.cloud.traffic().org().users[0].id.clone();
    body["segmentFilters"] = predicate("userId", "matches", &user);
    let peopled = rows(&bench.ask("POST", QUERY, &body, later).1);
    assert!(!peopled.is_empty() && peopled.len() < all.len());
}

#[test]
fn a_job_shows_what_happened_before_the_horizon_and_only_that() {
    let settings = Settings {
        availability_lag_ms: 60_000,
        availability_step_ms: 10_000,
        ..Settings::default()
    };
    let (mut bench, now) = busy(settings);
    let body = hour(&bench, now);
    let results = |bench: &mut Bench, at: u64| {
        bench.cloud.tick(at);
        let (status, job) = bench.ask("POST", JOBS, &body, at);
        assert_eq!(status, 202);
        let path = format!("{JOBS}/{}", job["jobId"].as_str().expect("an id"));
        let (status, state) = bench.ask("GET", &path, &Value::Null, at + 2_999);
        assert_eq!((status, state["state"].as_str()), (202, Some("PENDING")));
        let (status, state) = bench.ask("GET", &path, &Value::Null, at + 3_000);
        assert_eq!((status, state["state"].as_str()), (200, Some("FULFILLED")));
        bench.ask("GET", &format!("{path}/results?pageSize=10000"), &Value::Null, at + 3_000).1
    };
    let early = results(&mut bench, now + 1_000);
    assert_eq!(rows(&early).len(), 0, "the horizon is a minute behind");
    let late = results(&mut bench, now + 80_000);
    assert!(rows(&late).len() > 20);
    let horizon = late["dataAvailabilityDate"].as_str().expect("on every page");
    assert!(horizon > iso(wall(&bench, now)).as_str());
    let attributes = &late["conversations"][0]["participants"][0]["attributes"];
    assert!(attributes["context.email"].is_string());
}

#[test]
fn results_come_in_pages_that_do_not_move() {
    let settings = Settings { availability_lag_ms: 0, ..Settings::default() };
    let (mut bench, now) = busy(settings);
    let at = now + 700_000;
    bench.cloud.tick(at);
    let body = hour(&bench, now);
    let (_, job) = bench.ask("POST", JOBS, &body, at);
    let path = format!("{JOBS}/{}/results?pageSize=7", job["jobId"].as_str().expect("an id"));
    let (mut cursor, mut all) = (String::new(), Vec::new());
    loop {
        let asked = format!("{path}{cursor}");
        let (status, page) = bench.ask("GET", &asked, &Value::Null, at + 4_000);
        assert_eq!(status, 200);
        all.extend(rows(&page));
        bench.cloud.publish_next(at + 4_000);
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
    assert!(all.len() > 20 && distinct.len() == all.len());
}

#[test]
fn jobs_are_limited_cancelled_failed_and_forgotten() {
    let settings = Settings { jobs_fail: 1, job_life_ms: 10_000, ..Settings::default() };
    let (mut bench, now) = busy(settings);
    let body = hour(&bench, now);
    let ids: Vec<String> = (0..10)
        .map(|_| bench.ask("POST", JOBS, &body, now).1["jobId"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(bench.ask("POST", JOBS, &body, now).0, 429, "ten at once");
    assert_eq!(bench.ask("DELETE", &format!("{JOBS}/{}", ids[1]), &Value::Null, now).0, 204);
    let mut state = |id: &str, at: u64| {
        let (_, answer) = bench.ask("GET", &format!("{JOBS}/{id}"), &Value::Null, at);
        answer["state"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(state(&ids[0], now + 4_000), "FAILED");
    assert_eq!(state(&ids[1], now + 4_000), "CANCELLED");
    assert_eq!(state(&ids[2], now + 4_000), "FULFILLED");
    assert_eq!(state(&ids[2], now + 13_000), "EXPIRED");
    let results = format!("{JOBS}/{}/results", ids[2]);
    assert_eq!(bench.ask("GET", &results, &Value::Null, now + 13_000).0, 404);
}

#[test]
fn missing_rows_are_missing_for_good_and_the_truth_says_so() {
    let settings = Settings { query_missing_share: 0.5, ..Settings::default() };
    let (mut bench, now) = busy(settings);
    let body = hour(&bench, now);
    let shown = rows(&bench.ask("POST", QUERY, &body, now + 5_000).1);
    let settings = bench.cloud.settings().clone();
    let truth: Vec<Value> = bench.cloud.history().truth("", &settings).collect();
    for conversation in &truth {
        let id = conversation["conversation_id"].as_str().expect("an id").to_owned();
        assert_eq!(shown.contains(&id), conversation["missing_in_query"] == false, "{id}");
    }
    let missing = truth.iter().filter(|row| row["missing_in_query"] == true).count();
    assert!(missing > 5 && missing < truth.len());
}

#[test]
fn conversations_are_found_by_id_and_the_unknown_are_left_out() {
    let (mut bench, now) = busy(Settings::default());
    let later = now + 5_000;
    let body = hour(&bench, now);
    let ids = rows(&bench.ask("POST", QUERY, &body, later).1);
    let path = format!("/api/v2/analytics/conversations/details?id={},unknown", ids[0]);
    assert_eq!(rows(&bench.ask("GET", &path, &Value::Null, later).1), [ids[0].clone()]);
    let many = vec!["x"; 101].join(",");
    let path = format!("/api/v2/analytics/conversations/details?id={many}");
    assert_eq!(bench.ask("GET", &path, &Value::Null, later).0, 400);
    let path = format!("/api/v2/conversations/{}", ids[0]);
    let (status, conversation) = bench.ask("GET", &path, &Value::Null, later);
    assert_eq!((status, conversation["id"].as_str()), (200, Some(ids[0].as_str())));
    assert!(conversation["startTime"].is_string(), "{conversation}");
    assert!(conversation["participants"][0]["startTime"].is_string());
    assert_eq!(bench.ask("GET", "/api/v2/conversations/unknown", &Value::Null, later).0, 404);
}

#[test]
fn without_the_permission_history_is_closed() {
    let permission = "analytics:conversationDetail:view".to_owned();
    let settings = Settings { missing_permissions: vec![permission], ..Settings::default() };
    let (mut bench, now) = busy(settings);
    let body = hour(&bench, now);
    let (status, answer) = bench.ask("POST", QUERY, &body, now);
    assert_eq!((status, answer["code"].as_str()), (403, Some("missing.any.permissions")));
}
