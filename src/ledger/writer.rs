//! Writes facts into the state topic, and records about gaps and certificates into theirs. What is
//! not acknowledged is kept; of one key only the newest value, so that a crash in between cannot
//! leave an older one as the last.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use trunkline_protocol::domain::Mono;
use trunkline_protocol::producer::{Fate, ProducerWatch, STALL};

use crate::clock::Clock;
use crate::failpoint;
use crate::kafka::producer::{Producer, Report, Taken};
use crate::kafka::settings::KafkaSettings;
use crate::kafka::{Handover, Headers, KafkaError};

/// One producer for everything that is proof.
pub(crate) struct Writer {
    settings: KafkaSettings,
    clock: Clock,
    producer: Producer,
    reports: UnboundedReceiver<Report>,
    watch: ProducerWatch,
    /// By topic and key: the newest value, and the token under which it is on its way.
    open: BTreeMap<(String, String), Open>,
    next_token: usize,
    again_at: Option<Mono>,
}

struct Open {
    partition: Option<i32>,
    value: Vec<u8>,
    token: Option<usize>,
}

struct NoHeaders;

impl Headers for NoHeaders {
    fn count(&self) -> usize {
        0
    }

    fn each(&self, _: &mut dyn FnMut(&str, &[u8])) {}
}

const AGAIN: Duration = Duration::from_millis(500);

impl Writer {
    pub(crate) fn new(settings: &KafkaSettings, clock: Clock) -> Result<Self, KafkaError> {
        let (producer, reports) = Producer::new(settings)?;
        Ok(Self {
            settings: settings.clone(),
            clock,
            producer,
            reports,
            watch: ProducerWatch::new(STALL),
            open: BTreeMap::new(),
            next_token: 0,
            again_at: None,
        })
    }

    /// Writes a record; an older value of the same key that is not acknowledged is forgotten.
    pub(crate) fn write(&mut self, topic: &str, partition: Option<i32>, key: &str, value: Vec<u8>) {
        let id = (topic.to_owned(), key.to_owned());
        self.open.insert(id.clone(), Open { partition, value, token: None });
        self.send(&id);
    }

    /// The topic is another one under its old name: a producer that knew the old one might not find it
    /// for a while, or be refused for the order of its records.
    pub(crate) fn renew(&mut self) {
        self.replace();
        self.again_at = Some(self.clock.mono());
    }

    /// Records that are not acknowledged.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// Waits until something is acknowledged, or failed and is due again.
    pub(crate) async fn attend(&mut self) {
        tokio::select! {
            biased;
            report = self.reports.recv() => report.into_iter().for_each(|report| self.report(&report)),
            () = self.clock.sleep_until(self.again_at) => self.again(),
        }
    }

    fn report(&mut self, report: &Report) {
        self.watch.handle(report.fate);
        let id = self.open.iter().find(|(_, open)| open.token == Some(report.token));
        let Some(id) = id.map(|(id, _)| id.clone()) else {
            return; // an older value of its key
        };
        match report.fate {
            Fate::Delivered => {
                failpoint::pass("state.acked");
                self.open.remove(&id);
            }
            Fate::Retriable | Fate::OutOfOrder | Fate::Fatal | Fate::Refused => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.token = None;
                }
                self.again_at.get_or_insert(self.clock.mono() + AGAIN);
            }
        }
    }

    fn again(&mut self) {
        self.again_at = None;
        if self.watch.poll().is_some() || self.producer.is_fatal() {
            self.replace();
        }
        let waiting: Vec<_> = self
            .open
            .iter()
            .filter(|(_, open)| open.token.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        waiting.iter().for_each(|id| self.send(id));
    }

    fn replace(&mut self) {
        match Producer::new(&self.settings) {
            Ok((producer, reports)) => {
                (self.producer, self.reports) = (producer, reports);
                self.watch = ProducerWatch::new(STALL);
                self.open.values_mut().for_each(|open| open.token = None);
            }
            Err(error) => {
                tracing::error!(code = "proof_producer", error = %error, "no producer for the proof can be made");
            }
        }
    }

    fn send(&mut self, id: &(String, String)) {
        let Some(open) = self.open.get_mut(id) else { return };
        self.next_token += 1;
        let token = self.next_token;
        let (topic, key) = (id.0.as_str(), id.1.as_bytes());
        let (partition, value) = (open.partition, open.value.as_slice());
        let headers = &NoHeaders;
        let at_ms = self.clock.now().wall.0;
        let handed = Handover { topic, partition, key, value, headers, at_ms, token };
        match self.producer.enqueue(handed) {
            Taken::Yes => open.token = Some(token),
            Taken::Full | Taken::Never { .. } => {
                self.again_at.get_or_insert(self.clock.mono() + AGAIN);
            }
        }
    }
}
