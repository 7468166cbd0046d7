//! 6 PROVE, in public: certificates from what lies in the topics. Knows nothing that a consumer could
//! not read as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use trunkline_protocol::certifier::{Certificate, Certifier, Seen};
use trunkline_protocol::domain::{EpochId, EventId, Mono, Wall};
use trunkline_protocol::history::Recent;
use trunkline_protocol::server_time::Reading;
use trunkline_protocol::timings::Timings;

use crate::clock::Clock;
use crate::encode::proof::ProofEncoder;
use crate::encode::read;
use crate::failpoint;
use crate::ground::Standing;
use crate::kafka::KafkaError;
use crate::kafka::settings::KafkaSettings;
use crate::kafka::tail::{self, From, Passing, Tail, Tailed};
use crate::ledger::startup::{Told, counted_note, told};
use crate::ledger::writer::Writer;
use crate::observe::metrics::ProofMetrics;
use crate::supervisor::{Supervisor, TaskEnd};

/// Which topics.
#[derive(Clone, Debug)]
pub struct CertifySettings {
    /// Brokers.
    pub kafka: KafkaSettings,
    /// Facts.
    pub state_topic: String,
    /// Conversation events.
    pub events_topic: String,
    /// What could not become a record.
    pub quarantine_topic: String,
    /// Certificates.
    pub certificates_topic: String,
    /// Durations.
    pub timings: Timings,
    /// How many replicas certify before this one: it says what they did not say in their time.
    pub place: u32,
    /// How many replicas certify.
    pub count: u32,
}

/// Follows the topics and certifies.
pub struct Certify {
    settings: CertifySettings,
    clock: Clock,
    encoder: ProofEncoder,
    metrics: ProofMetrics,
    rules: Certifier,
    writer: Writer,
    facts: Tail<Told>,
    said: Tail<(String, Vec<u8>)>,
    tasks: Supervisor,
    asked: u64,
    recent: Arc<Mutex<Recent>>,
    /// The newest certificate of every interval, by key: what a new topic under the old name lacks.
    kept: BTreeMap<String, Vec<u8>>,
    /// How often the topic was found anew.
    filled: u64,
    /// When it is filled again with what nobody else wrote.
    fill_at: Option<Mono>,
    /// Keys of what it holds since it was found anew.
    again: BTreeSet<String>,
    /// Up to where certificates count every record, once those on their way are acknowledged.
    counted: Option<BTreeMap<i32, i64>>,
}

/// The output topics while they are followed; reading them anew begins with another one.
struct Output {
    events: Tail<(Seen, Option<Box<str>>)>,
    quarantine: Tail<Quarantined>,
    tasks: Supervisor,
}

type Quarantined = (EventId, EpochId, Wall);

/// Since when a barrier is awaited, and which topics have not reached it.
struct Barrier {
    at: Wall,
    facts: bool,
    events: bool,
    quarantine: bool,
    /// What another replica certified meanwhile.
    said: bool,
}

impl Barrier {
    fn is_reached(&self) -> bool {
        self.facts && self.events && self.quarantine && self.said
    }
}

impl Certify {
    /// Prepares. Conversations that are heard are remembered in `recent`.
    ///
    /// # Errors
    /// When the client library refuses its settings.
    pub fn new(
        settings: CertifySettings,
        clock: Clock,
        encoder: ProofEncoder,
        metrics: ProofMetrics,
        recent: Arc<Mutex<Recent>>,
    ) -> Result<Self, KafkaError> {
        let writer = Writer::new(&settings.kafka, clock)?;
        let mut tasks = Supervisor::new();
        let kafka = &settings.kafka;
        let state = settings.state_topic.clone();
        let (facts, work) =
            tail::follow(kafka.clone(), state, From::Beginning, |r| told(r.value()));
        tasks.spawn("facts", work);
        let certificates = settings.certificates_topic.clone();
        let (said, work) = tail::follow(kafka.clone(), certificates, From::Beginning, |r| {
            Some((r.key()?.to_owned(), r.value().to_vec()))
        });
        tasks.spawn("certificates", work);
        let rules = Certifier::new(settings.timings.clone()).among(settings.place, settings.count);
        Ok(Self {
            settings,
            clock,
            encoder,
            metrics,
            rules,
            writer,
            facts,
            said,
            tasks,
            asked: 0,
            recent,
            kept: BTreeMap::new(),
            filled: 0,
            fill_at: None,
            again: BTreeSet::new(),
            counted: None,
        })
    }

    /// Runs for as long as the process does.
    ///
    /// # Errors
    /// When a topic cannot be read at the start.
    pub async fn run(
        mut self,
        mut standing: watch::Receiver<Arc<Standing>>,
    ) -> Result<(), KafkaError> {
        self.read_what_was_said().await;
        let mut output = self.read_output();
        let mut barrier: Option<Barrier> = None;
        let mut look_at = self.clock.mono();
        let delay = (self.settings.timings.certificate_interval / 60).max(LEAST_DELAY);
        let delay = delay * self.settings.place;
        let mut pending: Option<Mono> = None;
        loop {
            tokio::select! {
                biased;
                () = self.clock.sleep_until(Some(look_at)) => {
                    look_at = self.look_again();
                    if self.fill_at.is_some_and(|at| at <= self.clock.mono()) {
                        self.fill();
                    }
                    if barrier.is_none() && self.rules.must_read_again() {
                        output = self.read_output();
                    }
                    let now = self.clock.now().wall;
                    if barrier.is_none() && !self.rules.is_pending(now) {
                        pending = None;
                        self.metrics.up_to_date(now);
                    } else if barrier.is_none()
                        && *pending.get_or_insert(self.clock.mono()) + delay <= self.clock.mono()
                    {
                        pending = None;
                        self.asked += 1;
                        self.facts.ask(self.asked);
                        output.events.ask(self.asked);
                        output.quarantine.ask(self.asked);
                        self.said.ask(self.asked);
                        barrier = Some(Barrier {
                            at: now,
                            facts: false,
                            events: false,
                            quarantine: false,
                            said: false,
                        });
                    }
                }
                Ok(()) = standing.changed() => {
                    let anew = standing.borrow_and_update().anew.get("certificates").copied();
                    if anew.is_some_and(|count| count != self.filled) {
                        self.filled = anew.unwrap_or_default();
                        self.writer.renew();
                        self.again.clear();
                        // one replica says it, or an older revision could come behind a newer
                        self.fill_at = Some(self.clock.mono() + FILL * self.settings.place);
                    }
                }
                () = self.writer.attend() => self.say_what_is_counted(),
                Some(tailed) = self.facts.recv() => match tailed {
                    Tailed::Record(told) => self.told(&told),
                    Tailed::CaughtUp(_) => barrier.iter_mut().for_each(|b| b.facts = true),
                },
                Some(tailed) = self.said.recv() => match tailed {
                    Tailed::Record((key, value)) => self.said(key, value),
                    Tailed::CaughtUp(_) => barrier.iter_mut().for_each(|b| b.said = true),
                },
                Some(tailed) = output.quarantine.recv() => match tailed {
                    Tailed::Record((id, epoch, received)) => self.rules.quarantined(id, epoch, received),
                    Tailed::CaughtUp(_) => barrier.iter_mut().for_each(|b| b.quarantine = true),
                },
                Some(tailed) = output.events.recv() => match tailed {
                    Tailed::Record((seen, conversation)) => self.seen(seen, conversation),
                    Tailed::CaughtUp(_) => barrier.iter_mut().for_each(|b| b.events = true),
                },
                Some(ended) = self.tasks.next() => return unread(ended),
                Some(ended) = output.tasks.next() => return unread(ended),
            }
            if let Some(at) = barrier.as_ref().filter(|barrier| barrier.is_reached()).map(|b| b.at)
            {
                barrier = None;
                self.certify(at);
                if !self.rules.must_read_again() {
                    self.metrics.up_to_date(at);
                }
            }
        }
    }

    /// Facts and certificates, up to their ends of now.
    async fn read_what_was_said(&mut self) {
        self.asked += 1;
        self.facts.ask(self.asked);
        self.said.ask(self.asked);
        let (mut facts, mut said) = (false, false);
        while !(facts && said) {
            tokio::select! {
                Some(tailed) = self.facts.recv() => match tailed {
                    Tailed::Record(told) => self.told(&told),
                    Tailed::CaughtUp(_) => facts = true,
                },
                Some(tailed) = self.said.recv() => match tailed {
                    Tailed::Record((key, value)) => self.said(key, value),
                    Tailed::CaughtUp(_) => said = true,
                },
                else => return,
            }
        }
    }

    fn told(&mut self, told: &Told) {
        match told {
            Told::Fact(stamped) => self.rules.fact(stamped),
            Told::Counted(offsets) => self.rules.counted(offsets),
        }
    }

    /// Whoever certifies later, this replica or another, need not look before that.
    fn say_what_is_counted(&mut self) {
        if self.writer.open() > 0 {
            return;
        }
        if let Some(offsets) = self.counted.take() {
            let (instance, place) = (&self.encoder.source.instance, self.settings.place);
            let (key, note) = counted_note(instance, place, &offsets);
            self.writer.write(&self.settings.state_topic, Some(0), &key, note);
        }
    }

    fn seen(&mut self, seen: Seen, conversation: Option<Box<str>>) {
        let shard = seen.epoch.and_then(|epoch| self.rules.home(epoch));
        if let (Some(shard), Some(conversation)) = (shard, conversation) {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.heard(shard, &seen.class, &conversation, seen.received);
        }
        self.rules.seen(seen);
    }

    fn said(&mut self, key: String, value: Vec<u8>) {
        if let Some(certificate) = read::certificate(&value, &self.encoder.source.instance) {
            self.rules.published(certificate);
            self.again.insert(key.clone());
            self.kept.insert(key, value);
        }
    }

    /// Writes every certificate again that is not there.
    fn fill(&mut self) {
        self.fill_at = None;
        let topic = self.settings.certificates_topic.clone();
        let mut records = 0_u64;
        for (key, value) in self.kept.iter().filter(|(key, _)| !self.again.contains(*key)) {
            self.writer.write(&topic, None, key, value.clone());
            records += 1;
        }
        tracing::warn!(code = "topic_filled", topic = %topic, records, "what this process knows of the topic is written again");
    }

    /// Follows the output topics from where something was not said yet.
    fn read_output(&mut self) -> Output {
        let now = self.clock.now().wall;
        let from = self.rules.read_from(now);
        self.rules.reads_from(from, now);
        tracing::info!(
            code = "proof_read",
            from_ms = from.0,
            "the output topics are read to count what they hold"
        );
        let (kafka, settings) = (&self.settings.kafka, &self.settings);
        let (from, quarantine_from) =
            (From::Time(from.0, self.rules.frontier()), From::Time(from.0, BTreeMap::new()));
        let (events, work) =
            tail::follow(kafka.clone(), settings.events_topic.clone(), from, |record| {
                let seen = read::seen(record.partition(), record.offset(), record.value())?;
                let heard = seen.epoch.is_some();
                Some((seen, record.key().filter(|_| heard).map(Into::into)))
            });
        let mut tasks = Supervisor::new();
        tasks.spawn("events", work);
        let topic = settings.quarantine_topic.clone();
        let (quarantine, work) = tail::follow(kafka.clone(), topic, quarantine_from, quarantined);
        tasks.spawn("quarantine", work);
        Output { events, quarantine, tasks }
    }

    /// A twentieth of a certificate interval is soon enough, and never more than ten seconds.
    fn look_again(&self) -> Mono {
        let every = (self.settings.timings.certificate_interval / 20).min(LOOK);
        self.clock.mono() + every.max(Duration::from_millis(100))
    }

    fn certify(&mut self, at: Wall) {
        let error = self.clock.server_at(self.clock.mono()).map_or(Duration::ZERO, Reading::error);
        for certificate in self.rules.certify(at) {
            let timings = &self.settings.timings;
            failpoint::pass("cert.before");
            let (key, value) = self.encoder.certificate(&certificate, error, timings);
            self.writer.write(&self.settings.certificates_topic, None, &key, value.clone());
            self.kept.insert(key, value);
            failpoint::pass("cert.sent");
            self.tell(&certificate);
        }
        self.counted = self.rules.has_counted();
        self.say_what_is_counted();
    }

    fn tell(&self, certificate: &Certificate) {
        let (subject, level) = (&certificate.subject, certificate.judgement.level);
        self.metrics.certified(level, certificate.revision);
        tracing::info!(
            code = "certified",
            shard = subject.shard,
            class = %subject.class,
            from_ms = subject.from.0,
            to_ms = certificate.to.0,
            level = level.as_str(),
            revision = certificate.revision,
            "what may be said of an interval"
        );
    }
}

const LOOK: Duration = Duration::from_secs(10);
/// A certificate of the replica before this one has arrived by then.
const LEAST_DELAY: Duration = Duration::from_secs(2);
/// The replica before this one has found the topic anew, and filled it, by then.
const FILL: Duration = Duration::from_secs(30);

/// A topic that can no longer be read: the process says so and starts anew.
fn unread(ended: TaskEnd) -> Result<(), KafkaError> {
    let why = ended.failure.unwrap_or_default();
    tracing::error!(code = "proof_unread", topic = %ended.name, error = %why, "a topic that certificates rest on cannot be read");
    Ok(())
}

fn quarantined(record: &Passing<'_>) -> Option<Quarantined> {
    let id = record.header("event_id")?.parse().ok()?;
    let epoch = record.header("trunkline-epoch")?.parse().ok()?;
    Some((id, epoch, Wall(record.header("trunkline-received-at")?.parse().ok()?)))
}
