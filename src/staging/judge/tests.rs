use super::super::connect::State;
use super::*;
use crate::kafka::behind::Letters;

const NOW: Wall = Wall(100 * 86_400_000);
const OUTAGE: Duration = Duration::from_secs(3 * 86_400);

fn ago(seconds: i64) -> Option<i64> {
    Some(NOW.0 - seconds * 1_000)
}

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn keeps(days: i64) -> BTreeMap<String, String> {
    let ms = (days * 86_400_000).to_string();
    settings(&[("cleanup.policy", "delete"), ("retention.ms", &ms), ("retention.bytes", "-1")])
}

fn lag(places: &[Place], settings: Option<&BTreeMap<String, String>>) -> TopicLag {
    TopicLag::of("events", places, settings, NOW)
}

fn place(low: i64, end: i64, committed: Option<i64>, oldest_ms: Option<i64>) -> Place {
    Place { partition: 0, low, end, committed, oldest_ms }
}

fn running(tasks: &[&str]) -> Option<Option<Status>> {
    let state = |state: &&str| State { state: (*state).to_owned(), ..State::default() };
    Some(Some(Status { connector: state(&"RUNNING"), tasks: tasks.iter().map(state).collect() }))
}

fn sink(lag: TopicLag) -> Sink {
    Sink {
        name: "sink".to_owned(),
        group: "connect-sink".to_owned(),
        status: running(&["RUNNING"]),
        topics: vec![("events".to_owned(), Ok(Some(lag)))],
        letters: Letter::Kept("dead".to_owned(), Ok(Letters::default())),
    }
}

fn judged(sink: Sink) -> Vec<Advice> {
    let version = Ok("4.3.1".to_owned());
    let seen = Seen { at: NOW, url: "http://c".to_owned(), version, sinks: vec![sink] };
    advise(&seen, OUTAGE)
}

/// The only thing that is not as it should be.
fn worst(sink: Sink) -> Advice {
    let mut wrong = judged(sink).into_iter().filter(|advice| advice.grade != Grade::Ok);
    let first = wrong.next().expect("something is wrong");
    assert_eq!(wrong.next(), None);
    first
}

#[test]
fn lag_is_counted_from_what_was_committed_or_where_a_sink_would_begin() {
    let places =
        [place(0, 100, Some(90), ago(40)), place(50, 60, None, ago(7)), place(0, 5, Some(5), None)];
    let lag = lag(&places, Some(&keeps(7)));
    assert_eq!((lag.records, lag.waited), (20, Some(Duration::from_secs(40))));
    assert_eq!((lag.lost, lag.is_ahead, lag.has_begun), (0, false, true));
    assert_eq!(lag.headroom(), Some(Duration::from_secs(7 * 86_400 - 40)));
}

#[test]
fn where_nothing_waits_the_headroom_is_all_of_the_retention() {
    let lag = lag(&[place(3, 9, Some(9), None)], Some(&keeps(7)));
    assert_eq!((lag.records, lag.waited), (0, Some(Duration::ZERO)));
    assert_eq!(lag.headroom(), Some(Duration::from_secs(7 * 86_400)));
    assert!(judged(sink(lag)).iter().all(|advice| advice.grade == Grade::Ok));
}

#[test]
fn what_is_not_told_is_unknown_and_no_alarm() {
    let silent = lag(&[place(0, 9, Some(1), None)], None);
    assert_eq!(
        (silent.waited, silent.retention, silent.headroom()),
        (None, Retention::Unknown, None)
    );
    let unknown = judged(sink(silent));
    let unknown = unknown.iter().filter(|advice| advice.grade == Grade::Unknown);
    assert_eq!(unknown.map(|advice| advice.about).collect::<Vec<_>>(), ["lag", "retention"]);
}

#[test]
fn a_topic_that_time_does_not_delete_has_no_end_of_headroom() {
    let place = [place(0, 9, Some(1), ago(9_000_000))];
    let compacted = settings(&[("cleanup.policy", "compact"), ("retention.ms", "60000")]);
    assert_eq!(lag(&place, Some(&compacted)).retention, Retention::Forever);
    let forever = settings(&[("cleanup.policy", "compact,delete"), ("retention.ms", "-1")]);
    assert_eq!(lag(&place, Some(&forever)).headroom(), None);
    let both = settings(&[("cleanup.policy", "compact,delete"), ("retention.ms", "60000")]);
    assert_eq!(lag(&place, Some(&both)).headroom(), Some(Duration::ZERO), "never below zero");
}

#[test]
fn records_that_wait_for_half_an_hour_need_somebody() {
    let waits = |seconds| sink(lag(&[place(0, 9, Some(1), ago(seconds))], Some(&keeps(14))));
    assert!(judged(waits(1_800)).iter().all(|advice| advice.grade == Grade::Ok));
    let advice = worst(waits(1_801));
    assert_eq!((advice.about, advice.grade), ("lag", Grade::Act));
    assert!(advice.found.contains("8 records of events wait, the oldest for 30 min"), "{advice:?}");
    assert!(advice.remedy.unwrap().contains("the worker's log"));
}

#[test]
fn retention_that_is_half_used_is_looked_at_and_acted_on_from_four_fifths_on() {
    let grade = |days: i64| {
        let late = lag(&[place(0, 9, Some(1), ago(days * 86_400))], Some(&keeps(10)));
        let all = judged(sink(late));
        all.into_iter().find(|advice| advice.about == "retention").unwrap()
    };
    assert_eq!(grade(4).grade, Grade::Ok);
    assert_eq!(grade(5).grade, Grade::Look);
    assert_eq!(grade(8).grade, Grade::Act);
    assert!(grade(8).found.contains("has not committed for another 2.0 days"), "{:?}", grade(8));
}

#[test]
fn retention_below_the_longest_outage_is_refused_with_the_command() {
    let advice = worst(sink(lag(&[place(0, 9, Some(9), None)], Some(&keeps(1)))));
    assert_eq!(advice.grade, Grade::Refuse);
    assert_eq!(
        advice.found,
        "events keeps records for 24.0 h, staging.longest_outage_secs is 3.0 days"
    );
    assert!(advice.remedy.unwrap().contains("--add-config retention.ms="));
}

#[test]
fn records_deleted_unread_and_a_topic_made_anew_are_named() {
    let lost = worst(sink(lag(&[place(500, 900, Some(100), ago(60))], Some(&keeps(14)))));
    assert!(lost.found.contains("deleted 400 records of events before"), "{lost:?}");
    let anew = worst(sink(lag(&[place(0, 3, Some(100), None)], Some(&keeps(14)))));
    assert!(anew.found.contains("beyond the end of events"), "{anew:?}");
}

#[test]
fn bytes_that_end_records_early_are_named() {
    let mut small = keeps(14);
    small.insert("retention.bytes".to_owned(), "1000".to_owned());
    let advice = worst(sink(lag(&[place(0, 3, Some(3), None)], Some(&small))));
    assert_eq!(advice.grade, Grade::Look);
    assert!(advice.found.contains("keeps 1000 bytes a partition"), "{advice:?}");
}

fn with(status: Option<Option<Status>>) -> Sink {
    Sink { status, ..sink(lag(&[place(0, 3, Some(3), None)], Some(&keeps(14)))) }
}

#[test]
fn states_are_told_with_the_first_line_of_what_ended_a_task() {
    let failed = r#"{"connector": {"state": "RUNNING"}, "tasks": [{"id": 3, "state": "FAILED",
        "trace": "org.apache.kafka.connect.errors.ConnectException: no bucket\n\tat a.b(C.java:1)"}]}"#;
    let advice = worst(with(Some(Some(serde_json::from_str(failed).unwrap()))));
    assert_eq!(
        advice.found,
        "sink: task 3 is FAILED: org.apache.kafka.connect.errors.ConnectException: no bucket"
    );
    let restart = "http://c/connectors/sink/restart?includeTasks=true&onlyFailed=true";
    assert!(advice.remedy.unwrap().contains(restart));
    let paused = r#"{"connector": {"state": "PAUSED"}, "tasks": [{"id": 0, "state": "PAUSED"}]}"#;
    let advice = worst(with(Some(Some(serde_json::from_str(paused).unwrap()))));
    assert_eq!(advice.remedy.unwrap(), "curl -X PUT http://c/connectors/sink/resume");
    assert_eq!(worst(with(running(&[]))).found, "sink has no task");
    assert_eq!(worst(with(running(&["RUNNING", "UNASSIGNED"]))).grade, Grade::Look);
    let missing = Sink { topics: Vec::new(), ..with(Some(None)) };
    assert!(worst(missing).remedy.unwrap().starts_with("trunkline staging apply --dir"));
}

#[test]
fn without_kafka_connect_the_lag_is_told_all_the_same() {
    let late = sink(lag(&[place(0, 9, Some(1), ago(7_200))], Some(&keeps(14))));
    let sinks = vec![Sink { status: None, ..late }];
    let version = Err("does not answer".to_owned());
    let seen = Seen { at: NOW, url: "http://c".to_owned(), version, sinks };
    let wrong = advise(&seen, OUTAGE).into_iter().filter(|advice| advice.grade == Grade::Act);
    assert_eq!(wrong.map(|advice| advice.about).collect::<Vec<_>>(), ["connect", "lag"]);
}

#[test]
fn dead_letters_of_the_last_day_need_somebody_and_none_may_vanish() {
    let letters = |written, newest_ms| {
        let why = Some("org.apache.kafka.common.errors.SerializationException".to_owned());
        let told = Letter::Kept("dead".to_owned(), Ok(Letters { written, newest_ms, why }));
        Sink { letters: told, ..with(running(&["RUNNING"])) }
    };
    let advice = worst(letters(7, ago(60)));
    assert_eq!(advice.grade, Grade::Act);
    let found = "sink: 7 dead letters in dead, the newest 60 s ago (org.apache.kafka.common.errors.SerializationException)";
    assert_eq!(advice.found, found);
    assert!(judged(letters(7, ago(90_000))).iter().all(|advice| advice.grade == Grade::Ok));
    assert!(judged(letters(7, None)).iter().all(|advice| advice.grade == Grade::Ok));
    let dropped = Sink { letters: Letter::Dropped, ..with(running(&["RUNNING"])) };
    assert!(worst(dropped).found.contains("vanishes without a word"));
}

#[test]
fn a_group_that_is_not_told_is_named_with_the_command_that_grants_it() {
    let refused = Err("cannot ask for the offsets of group connect-sink: denied".to_owned());
    let topics = vec![("events".to_owned(), refused)];
    let advice = worst(Sink { topics, ..with(running(&["RUNNING"])) });
    assert_eq!(advice.grade, Grade::Act);
    assert!(advice.remedy.unwrap().contains("--operation Describe --group connect-sink"));
}
