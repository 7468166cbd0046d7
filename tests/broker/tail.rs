//! Topics that are followed, and read up to a time, on the mock broker.

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use std::time::Duration;
use trunkline::kafka::reader::begins_after;
use trunkline::kafka::settings::KafkaSettings;
use trunkline::kafka::tail::{From, Tailed, follow_until};
use trunkline::supervisor::Supervisor;

const PARTITIONS: i32 = 3;

/// In every partition a record each second, from 1 s on.
fn written(seconds: i64) -> (MockCluster<'static, DefaultProducerContext>, KafkaSettings) {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("events", PARTITIONS, 1).expect("a topic");
    let bootstrap_servers = cluster.bootstrap_servers();
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap_servers)
        .create()
        .expect("a producer");
    for second in 1..=seconds {
        for partition in 0..PARTITIONS {
            let value = second.to_string();
            let record = BaseRecord::<[u8], str>::to("events").payload(&value).partition(partition);
            assert!(producer.send(record.timestamp(second * 1_000)).is_ok(), "the queue has room");
        }
    }
    producer.flush(Duration::from_secs(10)).expect("written");
    (cluster, KafkaSettings { bootstrap_servers, ..KafkaSettings::default() })
}

async fn read(settings: KafkaSettings, from: i64, until: i64) -> Vec<i64> {
    let from = From::Time(from, std::collections::BTreeMap::new());
    let (mut tail, work) = follow_until(settings, "events".to_owned(), from, Some(until), |raw| {
        std::str::from_utf8(raw.value()).ok()?.parse().ok()
    });
    let mut tasks = Supervisor::new();
    tasks.spawn("tail", work);
    tail.ask(1);
    let mut seen = Vec::new();
    let reading = async {
        while let Some(Tailed::Record(second)) = tail.recv().await {
            seen.push(second);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("it comes to its end");
    seen.sort_unstable();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_of_a_topic_is_read_to_its_end_and_no_further() {
    let (_cluster, settings) = written(2_000);
    let seen = read(settings.clone(), 500_000, 600_000).await;
    let wanted: Vec<i64> = (500..=600).flat_map(|second| [second; 3]).collect();
    assert_eq!(seen, wanted);
    // what ends before its time is read to the end of the topic
    assert_eq!(read(settings, 1_999_000, 9_000_000).await, [1999, 1999, 1999, 2000, 2000, 2000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_with_its_beginning_reaches_back_to_any_time() {
    let (_cluster, settings) = written(1);
    let begins = tokio::task::spawn_blocking(move || begins_after(&settings, "events", 0)).await;
    assert!(!begins.expect("no panic").expect("a broker"));
}
