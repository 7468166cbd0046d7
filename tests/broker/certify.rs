//! The task that certifies, on topics that are written here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use trunkline::certify::{Certify, CertifySettings};
use trunkline::clock::Clock;
use trunkline::decode::{body, open::Opener};
use trunkline::encode::proof::{ProofEncoder, ProofSource};
use trunkline::encode::{Encoder, Provenance, read};
use trunkline::kafka::reader::read_topic;
use trunkline::kafka::settings::KafkaSettings;
use trunkline::observe::flow::Flow;
use trunkline::observe::metrics::Metrics;
use trunkline::supervisor::Supervisor;
use trunkline_protocol::certifier::Certificate;
use trunkline_protocol::domain::{EpochId, Frame, Interval, Leg, Mono, Now, Wall, WriterId};
use trunkline_protocol::history::Recent;
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::ledger::{Fact, Stamped, VERSION, Want, digest};
use trunkline_protocol::timings::Timings;
use trunkline_protocol::topic::class_of;

const TOPIC: &str = "v2.routing.queues.q.conversations";
const EPOCH: EpochId = EpochId([1; 16]);
const WRITER: WriterId = WriterId([2; 16]);

struct Topics {
    _cluster: MockCluster<'static, DefaultProducerContext>,
    settings: KafkaSettings,
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl Topics {
    fn new() -> Self {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        for topic in ["events", "quarantine", "certificates", "state"] {
            cluster.create_topic(topic, 1, 1).expect("a topic");
        }
        let bootstrap_servers = cluster.bootstrap_servers();
        let producer = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", &bootstrap_servers)
            .create()
            .expect("a producer");
        let settings = KafkaSettings { bootstrap_servers, ..KafkaSettings::default() };
        Self { _cluster: cluster, settings, producer }
    }

    fn write(&self, topic: &str, value: &[u8]) {
        let record = BaseRecord::<[u8], [u8]>::to(topic).payload(value);
        assert!(self.producer.send(record).is_ok(), "the queue has room");
        self.producer.flush(Duration::from_secs(10)).expect("written");
    }

    fn fact(&self, fact: Fact) {
        let stamped = Stamped { v: VERSION, shard: 0, writer: WRITER, fact };
        self.write("state", &serde_json::to_vec(&stamped).expect("JSON"));
    }

    /// A live event that was heard then.
    fn event(&self, conversation: &str, heard: Wall) {
        let frame = Frame {
            text: format!(r#"{{"topicName":"{TOPIC}","eventBody":{{"id":"{conversation}"}}}}"#),
            received: Now { mono: Mono(0), wall: heard },
            epoch: EPOCH,
            leg: Leg { shard: 0, ordinal: 0 },
        };
        let opener = &mut Opener::new("org".to_owned(), Canonical::AsReceived);
        let event = opener.open(frame).expect("an envelope");
        let provenance = Provenance { org_id: "org".to_owned(), writer_id: WRITER };
        let facts = body::read(&event).expect("a body");
        let mut encoder = Encoder::new(1, provenance, true);
        self.write("events", encoder.encode(&event, &facts, class_of));
    }

    /// What is said of the interval that starts then, in the order in which it was said.
    async fn said(&self, from: Wall, revision: u32) -> Certificate {
        let settings = self.settings.clone();
        for _ in 0..300 {
            let settings = settings.clone();
            let read = tokio::task::spawn_blocking(move || read_topic(&settings, "certificates"));
            let records = read.await.expect("no panic").expect("a topic").records;
            let all = records.iter().filter_map(|record| read::certificate(&record.value, "i"));
            let mut wanted = all.filter(|c| c.subject.from == from && c.revision == revision);
            if let Some(found) = wanted.next() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no revision {revision} of {from:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_after_its_certificate_is_counted_and_certifying_goes_on() {
    let topics = Topics::new();
    let clock = Clock::start();
    let from = Wall(clock.now().wall.0 / 1_000 * 1_000 - 10_000);
    let wanted = [TOPIC.to_owned()];
    let set = digest(&wanted.clone().into());
    topics.fact(Fact::Wanted {
        as_of: from,
        topics: wanted.clone().map(|topic| (topic, Want { from, to: None })).into(),
    });
    topics.fact(Fact::Set { set, topics: wanted.to_vec() });
    topics.fact(Fact::Epoch { epoch: EPOCH, set, leg: 0, from, rides: None });
    let claimed = Interval::new(from, from.plus(Duration::from_secs(3_600)));
    topics.fact(Fact::Claim { epoch: EPOCH, interval: claimed });
    topics.event("first", Wall(from.0 + 500));

    let timings = Timings {
        certificate_interval: Duration::from_secs(1),
        gap_patience: Duration::ZERO,
        ..Timings::default()
    };
    let topic = |name: &str| name.to_owned();
    let settings = CertifySettings {
        kafka: topics.settings.clone(),
        state_topic: topic("state"),
        events_topic: topic("events"),
        quarantine_topic: topic("quarantine"),
        certificates_topic: topic("certificates"),
        timings,
        place: 0,
        count: 1,
    };
    let (org_id, instance) = ("org".to_owned(), "i".to_owned());
    let source = ProofSource { org_id, instance, writer_id: WRITER };
    let encoder = ProofEncoder { source, gap_schema: 2, certificate_schema: 3 };
    let metrics = Metrics::new(Flow::new());
    let recent = Arc::new(Mutex::new(Recent::new(Duration::from_secs(1), 1)));
    let certify =
        Certify::new(settings, clock, encoder, metrics.proof.clone(), recent).expect("ready");
    let mut tasks = Supervisor::new();
    // nothing changes under the topics here
    let (_, standing) = tokio::sync::watch::channel(Arc::default());
    tasks.spawn("certify", certify.run(standing));

    assert_eq!(topics.said(from, 1).await.counts.live, 1);
    topics.event("late", Wall(from.0 + 600));
    let again = topics.said(from, 2).await;
    assert_eq!((again.counts.live, again.counts.partitions[&0].count), (2, 2));
    // and what comes after it is still certified
    let later = Wall(clock.now().wall.0 / 1_000 * 1_000 + 1_000);
    topics.said(later, 1).await;
    assert_eq!(tasks.running(), ["certify"]);
    // followers end while there still is a broker to answer them
    drop(tasks);
    tokio::time::sleep(Duration::from_secs(1)).await;
}
