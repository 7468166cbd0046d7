//! How far somebody else's consumer group has come, asked without being a member of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as RdError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::types::RDKafkaRespErr as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaError;
use super::producer::headers_of;
use super::quiet::Quiet;
use super::rights::{GROUPS, is_about_group};
use super::settings::KafkaSettings;

/// A partition, and how far the group has come in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Which one.
    pub partition: i32,
    /// Offset of the first record that retention has left.
    pub low: i64,
    /// Offset of the next record.
    pub end: i64,
    /// The next offset that the group wants; `None` where it has committed none.
    pub committed: Option<i64>,
    /// When the first record it has not committed was written, milliseconds since 1970; `None` where there is
    /// none, or it was not told in time.
    pub oldest_ms: Option<i64>,
}

impl Place {
    /// Where a consumer that begins at the earliest record goes on.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.committed.map_or(self.low, |committed| committed.max(self.low))
    }
}

/// What lies in a dead-letter topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letters {
    /// Records ever written to it: grows only, retention or not.
    pub written: i64,
    /// When the newest one came, milliseconds since 1970.
    pub newest_ms: Option<i64>,
    /// The class of its exception. Messages are not shown: they may quote the record.
    pub why: Option<String>,
}

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);
/// Records and ends of partitions that are looked at to find the first of each.
const POLLS: usize = 20_000;
/// Says why a record became a dead letter (KIP-298).
const EXCEPTION: &str = "__connect.errors.exception.class.name";

/// Asks brokers about groups and topics. Blocks, for some seconds at most where nobody answers.
pub struct Bystander {
    settings: KafkaSettings,
    reader: BaseConsumer<Quiet>,
}

impl Bystander {
    /// Makes a client.
    ///
    /// # Errors
    /// When the client library refuses its settings.
    pub fn new(settings: KafkaSettings) -> Result<Self, KafkaError> {
        let mut config = settings.client();
        config.set("group.id", format!("{GROUPS}staging")).set("enable.auto.commit", "false");
        config.set("enable.partition.eof", "true").set("allow.auto.create.topics", "false");
        // one record of each partition is wanted
        config.set("queued.min.messages", "1").set("fetch.message.max.bytes", "16384");
        config.set("queued.max.messages.kbytes", "1024").set("fetch.wait.max.ms", "50");
        let reader = config.create_with_context(Quiet).map_err(KafkaError::Settings)?;
        Ok(Self { settings, reader })
    }

    /// How far the group has come in a topic; `None` where there is no such topic.
    ///
    /// # Errors
    /// No broker answers, or one refuses the topic or the group.
    pub fn places(&self, group: &str, topic: &str) -> Result<Option<Vec<Place>>, KafkaError> {
        let Some(mut places) = self.bounds(topic)? else { return Ok(None) };
        let committed = self.committed(group, topic, &places)?;
        for place in &mut places {
            place.committed = committed.get(&place.partition).copied();
        }
        let unread = |place: &&Place| place.next() < place.end;
        let wanted: Vec<(i32, i64)> =
            places.iter().filter(unread).map(|place| (place.partition, place.next())).collect();
        let firsts = self.records(topic, &wanted, |record| record.timestamp().to_millis())?;
        for place in &mut places {
            place.oldest_ms = firsts.get(&place.partition).copied().flatten();
        }
        Ok(Some(places))
    }

    /// What lies in a dead-letter topic, which is made with the first letter.
    ///
    /// # Errors
    /// No broker answers, or one refuses the topic.
    pub fn letters(&self, topic: &str) -> Result<Letters, KafkaError> {
        let Some(places) = self.bounds(topic)? else { return Ok(Letters::default()) };
        let written = places.iter().map(|place| place.end).sum();
        let lasts: Vec<(i32, i64)> = places
            .iter()
            .filter(|place| place.end > place.low)
            .map(|place| (place.partition, place.end - 1))
            .collect();
        let said = self.records(topic, &lasts, |record| {
            let headers = headers_of(record);
            let why = headers.into_iter().find(|(name, _)| name == EXCEPTION);
            (record.timestamp().to_millis(), why.and_then(|(_, why)| String::from_utf8(why).ok()))
        })?;
        let newest = said.into_values().max_by_key(|(at, _)| *at);
        let (newest_ms, why) = newest.unwrap_or_default();
        Ok(Letters { written, newest_ms, why })
    }

    /// Partitions with their bounds.
    fn bounds(&self, topic: &str) -> Result<Option<Vec<Place>>, KafkaError> {
        let failed = |source| KafkaError::Read { topic: topic.to_owned(), source };
        let metadata = self.reader.fetch_metadata(Some(topic), PATIENCE).map_err(failed)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        match found.error() {
            Some(Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => return Ok(None),
            Some(Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) => {
                return Err(KafkaError::Hidden { topic: topic.to_owned() });
            }
            Some(code) => return Err(failed(RdError::MetadataFetch(code.into()))),
            None => {}
        }
        let mut places = Vec::new();
        for partition in found.partitions().iter().map(|partition| partition.id()) {
            let (low, end) =
                self.reader.fetch_watermarks(topic, partition, PATIENCE).map_err(failed)?;
            places.push(Place { partition, low, end, ..Place::default() });
        }
        Ok(Some(places))
    }

    fn committed(
        &self,
        group: &str,
        topic: &str,
        places: &[Place],
    ) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let failed = |source| KafkaError::Group { group: group.to_owned(), source };
        let mut config = self.settings.client();
        // subscribes to nothing and is assigned nothing: it neither joins the group nor commits to it
        config.set("group.id", group).set("enable.auto.commit", "false");
        let asker: BaseConsumer<Quiet> =
            config.create_with_context(Quiet).map_err(KafkaError::Settings)?;
        let mut wanted = TopicPartitionList::new();
        places.iter().for_each(|place| {
            wanted.add_partition(topic, place.partition);
        });
        let told = asker.committed_offsets(wanted, PATIENCE).map_err(failed)?;
        let mut committed = BTreeMap::new();
        for place in told.elements_for_topic(topic) {
            place.error().map_err(failed)?;
            if let Offset::Offset(offset) = place.offset() {
                committed.insert(place.partition(), offset);
            }
        }
        Ok(committed)
    }

    /// What `look` sees in the first record at or behind each offset, by partition.
    fn records<T>(
        &self,
        topic: &str,
        wanted: &[(i32, i64)],
        look: impl Fn(&BorrowedMessage<'_>) -> T,
    ) -> Result<BTreeMap<i32, T>, KafkaError> {
        let failed = |source| KafkaError::Read { topic: topic.to_owned(), source };
        let (mut found, mut assigned) = (BTreeMap::new(), TopicPartitionList::new());
        let mut left: BTreeSet<i32> = wanted.iter().map(|(partition, _)| *partition).collect();
        for (partition, offset) in wanted {
            let at = Offset::Offset(*offset);
            assigned.add_partition_offset(topic, *partition, at).map_err(failed)?;
        }
        self.reader.assign(&assigned).map_err(failed)?;
        for _ in 0..POLLS {
            if left.is_empty() {
                break;
            }
            match self.reader.poll(PATIENCE) {
                // a batch holds more records than the one that was asked for
                Some(Ok(record)) if left.remove(&record.partition()) => {
                    found.insert(record.partition(), look(&record));
                }
                Some(Ok(_)) => {}
                // compaction took what was there
                Some(Err(RdError::PartitionEOF(partition))) => _ = left.remove(&partition),
                Some(Err(error)) if is_about_group(&error) => {}
                Some(Err(error)) => return Err(failed(error)),
                None => break,
            }
        }
        self.reader.unassign().map_err(failed)?;
        Ok(found)
    }
}

/// The settings of topics that brokers tell, by topic; those they do not tell are missing.
pub async fn topic_settings(
    settings: &KafkaSettings,
    topics: &[String],
) -> BTreeMap<String, BTreeMap<String, String>> {
    let made: Result<AdminClient<Quiet>, _> = settings.client().create_with_context(Quiet);
    let Ok(admin) = made else { return BTreeMap::new() };
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let asked: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let Ok(told) = admin.describe_configs(&asked, &options).await else { return BTreeMap::new() };
    let each = topics.iter().zip(told).filter_map(|(topic, told)| {
        let entries = told.ok()?.entries.into_iter();
        let entries = entries.filter_map(|entry| Some((entry.name, entry.value?)));
        Some((topic.clone(), entries.collect()))
    });
    each.collect()
}
