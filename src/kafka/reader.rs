//! Reads a whole topic up to where it ends now.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaError;
use super::producer::headers_of;
use super::quiet::Quiet;
use super::settings::KafkaSettings;
use super::why::why;

/// A record as read back.
#[derive(Clone, Debug)]
pub struct ReadBack {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; empty for a tombstone.
    pub value: Vec<u8>,
    /// Headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
}

impl ReadBack {
    pub(super) fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().unwrap_or_default().to_vec(),
            headers: headers_of(message),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        }
    }
}

/// A topic as read back.
#[derive(Clone, Debug, Default)]
pub struct ReadTopic {
    /// Records, by partition and offset.
    pub records: Vec<ReadBack>,
    /// Partitions it has.
    pub partitions: usize,
    /// Records that retention took away before they could be read.
    pub missing_at_start: i64,
}

const PATIENCE: Duration = Duration::from_secs(30);

/// Partitions of a topic. Blocks.
///
/// # Errors
/// When a broker does not answer.
pub fn partitions_of(settings: &KafkaSettings, topic: &str) -> Result<usize, KafkaError> {
    let consumer: BaseConsumer<Quiet> =
        settings.client().create_with_context(Quiet).map_err(KafkaError::Settings)?;
    let ids = partition_ids(&consumer, topic);
    ids.map(|ids| ids.len()).map_err(|source| KafkaError::Read { topic: topic.to_owned(), source })
}

/// Whether records of this time or later may have been deleted already: a partition that lost its
/// beginning does not reach back to it. Blocks.
///
/// # Errors
/// When a broker does not answer.
pub fn begins_after(settings: &KafkaSettings, topic: &str, at_ms: i64) -> Result<bool, KafkaError> {
    let failed = |source| KafkaError::Read { topic: topic.to_owned(), source };
    let mut config = settings.client();
    config.set("group.id", "trunkline-reader").set("enable.auto.commit", "false");
    let consumer: BaseConsumer<Quiet> =
        config.create_with_context(Quiet).map_err(KafkaError::Settings)?;
    for partition in partition_ids(&consumer, topic).map_err(failed)? {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(failed)?;
        if low == 0 {
            continue;
        }
        if high <= low {
            return Ok(true);
        }
        let mut first = TopicPartitionList::new();
        first.add_partition_offset(topic, partition, Offset::Offset(low)).map_err(failed)?;
        consumer.assign(&first).map_err(failed)?;
        let oldest = consumer.poll(PATIENCE).transpose().map_err(failed)?;
        if oldest.and_then(|m| m.timestamp().to_millis()).is_none_or(|oldest| oldest > at_ms) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn partition_ids(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
) -> Result<Vec<i32>, RdError> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let topics = metadata.topics().iter();
    Ok(topics.flat_map(|topic| topic.partitions().iter().map(|p| p.id())).collect())
}

fn unanswered(settings: &KafkaSettings, source: RdError) -> KafkaError {
    KafkaError::Unreachable {
        bootstrap: settings.bootstrap_servers.as_str().into(),
        seconds: PATIENCE.as_secs(),
        why: why(settings).into(),
        source,
    }
}

/// Reads every partition from its beginning to its end of now. Blocks.
///
/// # Errors
/// When a broker does not answer: what was read until then is not the topic.
pub fn read_topic(settings: &KafkaSettings, topic: &str) -> Result<ReadTopic, KafkaError> {
    let failed = |source| KafkaError::Read { topic: topic.to_owned(), source };
    let mut config = settings.client();
    config.set("group.id", "trunkline-reader").set("enable.auto.commit", "false");
    config.set("enable.partition.eof", "true");
    let consumer: BaseConsumer<Quiet> =
        config.create_with_context(Quiet).map_err(KafkaError::Settings)?;
    let partitions =
        partition_ids(&consumer, topic).map_err(|source| unanswered(settings, source))?;
    let mut read = ReadTopic { partitions: partitions.len(), ..ReadTopic::default() };
    let mut wanted = TopicPartitionList::new();
    let mut ends = std::collections::BTreeMap::new();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(failed)?;
        read.missing_at_start += low;
        if high > low {
            wanted.add_partition_offset(topic, partition, Offset::Offset(low)).map_err(failed)?;
            ends.insert(partition, high);
        }
    }
    consumer.assign(&wanted).map_err(failed)?;
    while !ends.is_empty() {
        let message = match consumer.poll(PATIENCE) {
            // the newest records may be markers, which nobody is given
            Some(Err(RdError::PartitionEOF(partition))) => {
                ends.remove(&partition);
                continue;
            }
            Some(message) => message.map_err(failed)?,
            None => return Err(failed(RdError::MessageConsumption(Code::OperationTimedOut))),
        };
        let (partition, offset) = (message.partition(), message.offset());
        read.records.push(ReadBack::of(&message));
        if ends.get(&partition).is_some_and(|end| offset + 1 >= *end) {
            ends.remove(&partition);
        }
    }
    read.records.sort_by_key(|record| (record.partition, record.offset));
    Ok(read)
}
