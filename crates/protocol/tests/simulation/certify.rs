//! Certificates from the topics alone, as the shell derives them.

use trunkline_protocol::certifier::{Certifier, Seen};
use trunkline_protocol::domain::Wall;
use trunkline_protocol::history::Recent;
use trunkline_protocol::timings::Timings;

use super::kafka::{Kafka, PARTITIONS};

pub struct Certify {
    rules: Certifier,
    facts_at: usize,
    said_at: usize,
    /// Where each partition is read on.
    events_at: usize,
    begins: [usize; PARTITIONS],
    place: u32,
    pending_since: Option<Wall>,
}

impl Certify {
    pub fn new(timings: &Timings, place: u32, count: usize, kafka: &Kafka, now: Wall) -> Self {
        let count = u32::try_from(count).expect("few");
        let mut certify = Self {
            rules: Certifier::new(timings.clone()).among(place, count),
            facts_at: kafka.state.len(),
            said_at: 0,
            events_at: 0,
            begins: [0; PARTITIONS],
            place,
            pending_since: None,
        };
        kafka.compacted().for_each(|fact| certify.rules.fact(fact));
        kafka.counted.values().for_each(|offsets| certify.rules.counted(offsets));
        certify.said(kafka);
        certify.read_output(kafka, now);
        certify
    }

    fn said(&mut self, kafka: &Kafka) {
        for certificate in kafka.certificates.get(self.said_at..).unwrap_or_default() {
            self.rules.published(certificate.clone());
        }
        self.said_at = kafka.certificates.len();
    }

    /// Follows the output topic from where something was not said yet.
    fn read_output(&mut self, kafka: &Kafka, now: Wall) {
        let from = self.rules.read_from(now);
        let frontier = self.rules.frontier();
        self.rules.reads_from(from, now);
        let by_time = kafka.events.partition_point(|record| record.appended < from);
        for (partition, begin) in (0..).zip(&mut self.begins) {
            let known = frontier.get(&partition).and_then(|at| usize::try_from(*at).ok());
            *begin = by_time.min(known.unwrap_or(usize::MAX));
        }
        self.events_at = self.begins.into_iter().min().unwrap_or(0);
    }

    /// Reads on, and says what can be said.
    pub fn step(&mut self, kafka: &mut Kafka, now: Wall, recent: &mut Recent) {
        for (_, fact) in kafka.state.get(self.facts_at..).unwrap_or_default() {
            self.rules.fact(fact);
        }
        self.facts_at = kafka.state.len();
        self.said(kafka);
        if self.rules.must_read_again() {
            self.read_output(kafka, now);
        }
        self.read_on(kafka, recent);
        if !self.rules.is_pending(now) {
            self.pending_since = None;
            return;
        }
        // who comes later says what the others did not say in their time
        let since = *self.pending_since.get_or_insert(now);
        if now.since(since).as_secs() < 600 * u64::from(self.place) {
            return;
        }
        self.pending_since = None;
        let said = self.rules.certify(now);
        kafka.certificates.extend(said);
        kafka.counted.extend(self.rules.has_counted().map(|offsets| (self.place, offsets)));
        self.said_at = kafka.certificates.len();
    }

    fn read_on(&mut self, kafka: &Kafka, recent: &mut Recent) {
        for (at, record) in kafka.events.iter().enumerate().skip(self.events_at) {
            let partition = Kafka::partition(&record.conversation);
            if at < self.begins[usize::try_from(partition).expect("from 0")] {
                continue;
            }
            if let Some(shard) = record.epoch.and_then(|epoch| self.rules.home(epoch)) {
                recent.heard(shard, &record.class, &record.conversation, record.received);
            }
            self.rules.seen(Seen {
                partition,
                offset: i64::try_from(at).expect("in range"),
                id: record.id,
                class: record.class.clone(),
                epoch: record.epoch,
                received: record.received,
                origin: record.origin,
                gap: record.gap,
            });
        }
        self.events_at = kafka.events.len();
    }
}
