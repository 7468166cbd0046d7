//! The stage that hands records over, against the client library's own mock broker: whatever the
//! broker does, every record arrives, in the order it was handed over, and none is dropped.
#![allow(missing_docs, reason = "tests")]

mod certify;
mod tail;

use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};
use trunkline::clock::Clock;
use trunkline::kafka::reader::{ReadBack, read_topic};
use trunkline::kafka::settings::KafkaSettings;
use trunkline::observe::flow::Flow;
use trunkline::observe::metrics::Metrics;
use trunkline::publish::router::FreeHeaders;
use trunkline::publish::{Destination, Parcel, Record, Stage, StageSettings};
use trunkline_protocol::domain::{Now, Origin, TopicClass};
use trunkline_protocol::producer::STALL;

const EVENTS: &str = "events";
const QUARANTINE: &str = "quarantine";

struct Bench {
    cluster: MockCluster<'static, DefaultProducerContext>,
    settings: KafkaSettings,
    metrics: Metrics,
    stage: Stage,
    sent: u64,
}

impl Bench {
    fn new(change: impl FnOnce(&mut KafkaSettings)) -> Self {
        Self::stalling_after(STALL, change)
    }

    fn stalling_after(stall: Duration, change: impl FnOnce(&mut KafkaSettings)) -> Self {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic(EVENTS, 4, 1).expect("a topic");
        cluster.create_topic(QUARANTINE, 1, 1).expect("a topic");
        let bootstrap_servers = cluster.bootstrap_servers();
        let mut settings = KafkaSettings { bootstrap_servers, ..KafkaSettings::default() };
        change(&mut settings);
        let metrics = Metrics::new(Flow::new());
        let stage = StageSettings {
            kafka: settings.clone(),
            events_topic: EVENTS.to_owned(),
            quarantine_topic: QUARANTINE.to_owned(),
            stall,
        };
        let stage = Stage::new(stage, Clock::start(), metrics.publish.clone()).expect("a producer");
        Self { cluster, settings, metrics, stage, sent: 0 }
    }

    /// Hands over `count` records of eight conversations.
    async fn send(&mut self, count: u64) {
        for _ in 0..count {
            while !self.stage.has_room() {
                self.attend().await;
            }
            self.take();
        }
    }

    /// Hands over the next record, whether there is room or not.
    fn take(&mut self) {
        self.sent += 1;
        let number = self.sent.to_string();
        let record = Record {
            destination: Destination::Events,
            number: Some(self.sent),
            received: Now::default(),
            event_time: None,
            ticket: Some(self.metrics.flow().receive(TopicClass::Queue, Origin::Live)),
        };
        let mut headers = FreeHeaders::default();
        headers.add("event_id", number.clone());
        let key = format!("conversation-{}", self.sent % 8);
        let (key, value) = (key.as_bytes(), number.as_bytes());
        self.stage.take(record, Parcel { key, value, headers: &headers });
    }

    async fn attend(&mut self) {
        self.stage.attend().await.expect("a producer gives back what it held");
    }

    /// Waits until everything is acknowledged.
    async fn settle(&mut self) {
        let acknowledged = async {
            while self.stage.unacked() > 0 {
                self.attend().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(40), acknowledged).await;
        in_time.expect("everything is acknowledged");
    }

    async fn finish(mut self) -> Ended {
        self.settle().await;
        let seen = self.metrics.flow().snapshot();
        assert_eq!((seen.residual(), seen.in_flight), (0, 0), "nothing vanished");
        let settings = self.settings.clone();
        let read = |topic| read_topic(&settings, topic).expect("a topic").records;
        let (events, quarantined) =
            tokio::task::block_in_place(|| (read(EVENTS), read(QUARANTINE)));
        Ended { events, quarantined, sent: self.sent, text: self.metrics.render() }
    }
}

struct Ended {
    events: Vec<ReadBack>,
    quarantined: Vec<ReadBack>,
    sent: u64,
    text: String,
}

impl Ended {
    fn numbers(records: &[ReadBack]) -> Vec<u64> {
        let number =
            |record: &ReadBack| String::from_utf8_lossy(&record.value).parse().expect("a number");
        records.iter().map(number).collect()
    }

    /// Every record arrived; per conversation each number first appears after all smaller ones.
    fn holds_everything_in_order(&self) {
        let mut newest = std::collections::BTreeMap::new();
        let mut all = std::collections::BTreeSet::new();
        for record in &self.events {
            let number = Self::numbers(std::slice::from_ref(record))[0];
            if all.insert(number) {
                let before = newest.insert(record.key.clone(), number).unwrap_or(0);
                assert!(before < number, "{number} came after {before}");
            }
            assert_eq!(record.headers[0].1, number.to_string().into_bytes(), "under its own id");
        }
        assert_eq!(all, (1..=self.sent).collect(), "every record is there");
    }

    fn counted(&self, line: &str) -> bool {
        self.text.lines().any(|text| {
            text.strip_prefix(line)
                .is_some_and(|count| count.trim().parse::<u64>().unwrap_or(0) > 0)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_back_pressure_and_drops_nothing() {
    let mut bench = Bench::new(|settings| settings.in_flight_records = 100);
    bench.cluster.broker_round_trip_time(1, Duration::from_millis(20)).expect("a broker");
    bench.send(1_000).await;
    // one message of more parts than the client library's queue holds: that it is full is certain
    (0..300).for_each(|_| bench.take());
    assert!(!bench.stage.has_room(), "the rest waits");
    bench.send(1_000).await;
    bench.finish().await.holds_everything_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_the_window_only_delays() {
    let mut bench = Bench::new(|settings| settings.in_flight_records = 500);
    bench.send(200).await;
    bench.cluster.broker_down(1).expect("a broker");
    // the window is full long before everything is taken: the sender waits, then goes on
    let waited = tokio::time::timeout(Duration::from_secs(4), bench.send(2_000)).await;
    assert!(waited.is_err(), "more was taken than the window holds");
    bench.cluster.broker_up(1).expect("a broker");
    bench.send(2_000).await;
    bench.finish().await.holds_everything_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_found_out_whether_a_broker_is_there_others_get_their_turn() {
    let mut bench = Bench::stalling_after(Duration::ZERO, |_| {});
    bench.send(200).await;
    bench.settle().await;
    bench.cluster.broker_down(1).expect("a broker");
    bench.send(200).await;
    let (clock, mut turns, mut before) = (Clock::start(), 0, 0);
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (middle, end) =
        (clock.mono() + Duration::from_secs(3), clock.mono() + Duration::from_secs(6));
    while clock.mono() < end {
        tokio::select! {
            biased;
            attended = bench.stage.attend() => attended.expect("a producer"),
            _ = tick.tick() => turns += 1,
        }
        // the first look is a second after the start, and each asked for up to a second more
        if clock.mono() < middle {
            before = turns;
        }
    }
    assert!(turns - before > 50, "{turns} turns, {before} of them in the beginning");
    bench.cluster.broker_up(1).expect("a broker");
    bench.finish().await.holds_everything_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_past_help_is_replaced_and_sends_everything_again_in_order() {
    let mut bench = Bench::new(|_| {});
    bench.send(500).await;
    // the idempotent client takes an unexplained gap of its sequence for fatal
    let gap = [Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER; 4];
    bench.cluster.request_errors(RDKafkaApiKey::Produce, &gap);
    bench.send(2_000).await;
    let ended = bench.finish().await;
    ended.holds_everything_in_order();
    let rebuilt = |cause| {
        ended.counted(&format!("trunkline_kafka_producer_rebuilds_total{{cause=\"{cause}\"}}"))
    };
    assert!(rebuilt("fatal") || rebuilt("out_of_order"), "{}", ended.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_for_a_while_delays_and_reorders_nothing() {
    let mut bench = Bench::new(|_| {});
    let denied = [Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 6];
    bench.cluster.request_errors(RDKafkaApiKey::Produce, &denied);
    bench.send(2_000).await;
    let ended = bench.finish().await;
    ended.holds_everything_in_order();
    assert!(
        ended.counted("trunkline_kafka_produce_errors_total{class=\"retriable\"}"),
        "{}",
        ended.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_for_good_is_quarantined_with_its_bytes_and_reason() {
    let mut bench = Bench::new(|settings| settings.linger_ms = 0);
    bench.send(20).await;
    bench.settle().await;
    bench.cluster.request_errors(RDKafkaApiKey::Produce, &[Code::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
    bench.send(1).await;
    bench.settle().await;
    bench.send(20).await;
    let ended = bench.finish().await;
    assert_eq!(Ended::numbers(&ended.quarantined), [21]);
    let reason = ended.quarantined[0].headers.iter().find(|(key, _)| key == "trunkline-reason");
    assert_eq!(reason.map(|(_, value)| value.as_slice()), Some(&b"refused"[..]));
    assert_eq!(ended.events.len(), 40);
}
