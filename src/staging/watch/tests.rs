use std::time::Duration;

use trunkline_protocol::domain::Wall;

use super::super::connect::{State, Status};
use super::super::judge::{Retention, TopicLag};
use super::*;
use crate::kafka::behind::Letters;
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;

fn seen(task: &str, lag: Result<Option<TopicLag>, String>) -> Seen {
    let state = |state: &str| State { state: state.to_owned(), ..State::default() };
    let status = Status { connector: state("RUNNING"), tasks: vec![state(task)] };
    let sink = Sink {
        name: "sink".to_owned(),
        group: "connect-sink".to_owned(),
        status: Some(Some(status)),
        topics: vec![("events".to_owned(), lag)],
        letters: Letter::Kept("d".to_owned(), Ok(Letters { written: 4, ..Letters::default() })),
    };
    let version = Ok("4".to_owned());
    Seen { at: Wall(9_000), url: "http://c".to_owned(), version, sinks: vec![sink] }
}

fn lag(retention: Retention) -> TopicLag {
    TopicLag {
        topic: "events".to_owned(),
        records: 7,
        waited: Some(Duration::from_secs(50)),
        lost: 2,
        is_ahead: false,
        has_begun: true,
        retention,
        bytes: None,
    }
}

fn has(metrics: &Metrics, line: &str) -> bool {
    metrics.render().lines().any(|found| found == line)
}

#[test]
fn what_is_seen_is_shown_and_what_is_not_known_is_not_renewed() {
    let metrics = Metrics::new(Flow::new());
    let shown = |line: &str| has(&metrics, line);
    metrics.staging.checked("sink", Wall(1_000));
    show(&seen("RUNNING", Err("nobody answers".to_owned())), &metrics.staging);
    assert!(shown("trunkline_staging_checked_timestamp_seconds{connector=\"sink\"} 1"));
    assert!(shown("trunkline_staging_connector_up{connector=\"sink\"} 1"));
    assert!(!metrics.render().contains("trunkline_staging_lag_records{"));
    let kept = Retention::For(Duration::from_secs(60));
    show(&seen("FAILED", Ok(Some(lag(kept)))), &metrics.staging);
    for line in [
        "trunkline_staging_checked_timestamp_seconds{connector=\"sink\"} 9",
        "trunkline_staging_connector_up{connector=\"sink\"} 0",
        "trunkline_staging_lag_records{connector=\"sink\",topic=\"events\"} 7",
        "trunkline_staging_lag_seconds{connector=\"sink\",topic=\"events\"} 50",
        "trunkline_staging_retention_headroom_seconds{connector=\"sink\",topic=\"events\"} 10",
        "trunkline_staging_lost_records{connector=\"sink\",topic=\"events\"} 2",
        "trunkline_staging_dead_letters{connector=\"sink\"} 4",
    ] {
        assert!(shown(line), "{line} in\n{}", metrics.render());
    }
    show(&seen("RUNNING", Ok(Some(lag(Retention::Forever)))), &metrics.staging);
    assert!(!metrics.render().contains("retention_headroom_seconds{"), "no time deletes it");
}

#[test]
fn why_a_task_ended_stays_out_of_the_log() {
    let mut failed = seen("FAILED", Ok(None));
    let text = r#"{"state": "FAILED", "id": 1, "trace": "cannot read {\"name\": \"Ada\"}"}"#;
    let status = failed.sinks[0].status.as_mut().unwrap().as_mut().unwrap();
    status.tasks[0] = serde_json::from_str(text).unwrap();
    assert_eq!(down(&failed.sinks[0], &failed).as_deref(), Some("task 1 is FAILED"));
    assert_eq!(unknown(&failed.sinks[0]).as_deref(), Some("topic events does not exist"));
}
