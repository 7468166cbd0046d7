//! librdkafka alone: the same bytes with the same headers.

use std::time::{Duration, Instant};

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use trunkline::decode::{body, open::Opener};
use trunkline::encode::Encoder;
use trunkline::kafka::Headers as _;
use trunkline::publish::router::Router;
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::topic::class_of;

use crate::corpus::{ORG, TOPIC, frame, frames, provenance, settings};
use crate::measure::{cpu, report};

struct Counter(std::sync::atomic::AtomicUsize);

impl rdkafka::ClientContext for Counter {}

impl ProducerContext for Counter {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, _token: usize) {
        assert!(result.is_ok(), "a delivery failed");
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

pub(crate) fn baseline(bootstrap: &str, count: usize, per_sec: u64) {
    let mut opener = Opener::new(ORG.to_owned(), Canonical::AsReceived);
    let mut encoder = Encoder::new(1, provenance(), true);
    let mut router = Router::new(ORG);
    let records: Vec<_> = frames(count)
        .iter()
        .map(|text| {
            let event = opener.open(frame(text)).expect("an envelope");
            let facts = body::read(&event).expect("a body");
            let value = encoder.encode(&event, &facts, class_of).to_vec();
            let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
            router
                .headers(&event, &facts)
                .each(&mut |key, value| headers.push((key.to_owned(), value.to_vec())));
            (router.key(&event, &facts).to_vec(), value, headers)
        })
        .collect();
    let producer: ThreadedProducer<Counter> =
        settings(bootstrap).producer().create_with_context(Counter(0.into())).expect("a producer");
    let (began, cpu_began) = (Instant::now(), cpu());
    for (index, (key, value, headers)) in records.iter().enumerate() {
        if per_sec > 0 && index.is_multiple_of(32) {
            let due = Duration::from_secs_f64(index as f64 / per_sec as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        loop {
            let mut all = OwnedHeaders::new_with_capacity(headers.len());
            for (key, value) in headers {
                all = all.insert(Header { key, value: Some(value) });
            }
            let record =
                BaseRecord::with_opaque_to(TOPIC, index).key(key).payload(value).headers(all);
            if producer.send(record).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    producer.flush(Duration::from_secs(60)).expect("everything is acknowledged");
    assert_eq!(producer.context().0.load(std::sync::atomic::Ordering::Relaxed), count);
    report(began, cpu_began, count);
}
