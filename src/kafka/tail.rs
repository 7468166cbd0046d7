//! Follows a topic from an offset on: one thread polls, a bounded channel carries.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError as RdError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::Sender;

use super::KafkaError;
use super::producer::headers_of;
use super::reader::ReadBack;
use super::settings::KafkaSettings;

/// Where to begin.
#[derive(Clone, Debug)]
pub enum From {
    /// At the first record there is.
    Beginning,
    /// At these offsets; partitions without one begin at their first record.
    Offsets(BTreeMap<i32, i64>),
    /// Milliseconds since 1970, by the records' own timestamps.
    Time(i64),
}

const POLL: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(30);
/// After so many messages, or quiet polls (a minute), is looked for further partitions.
const LOOK_AFTER: (u32, u32) = (500_000, 300);

/// Follows every partition until nobody listens any more. Partitions that are added later are
/// followed from their beginning. What passes is retried for ever: a consumer recovers by itself.
///
/// # Errors
/// When the topic cannot be read at the start.
pub async fn follow(
    settings: KafkaSettings,
    topic: String,
    from: From,
    sink: Sender<ReadBack>,
) -> Result<(), KafkaError> {
    let work = move || Follower::start(&settings, topic, &from)?.run(&sink);
    tokio::task::spawn_blocking(work).await.unwrap_or(Ok(()))
}

/// The client library's own lines repeat what a failed poll says.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: RdError, _: &str) {}
}

impl ConsumerContext for Quiet {}

struct Follower {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    assigned: TopicPartitionList,
}

impl Follower {
    fn start(settings: &KafkaSettings, topic: String, from: &From) -> Result<Self, KafkaError> {
        let mut config = settings.client();
        config.set("group.id", "trunkline-tail").set("enable.auto.commit", "false");
        config.set("auto.offset.reset", "earliest");
        // what has not been asked for yet waits at the broker, not in our memory
        config.set("queued.max.messages.kbytes", "8192").set("queued.min.messages", "1000");
        let consumer = config.create_with_context(Quiet).map_err(KafkaError::Settings)?;
        let mut follower = Self { consumer, topic, assigned: TopicPartitionList::new() };
        let failed = |source| KafkaError::Read { topic: follower.topic.clone(), source };
        let partitions = follower.partitions().map_err(failed)?;
        let wanted = match from {
            From::Time(at) => follower.offsets_at(&partitions, *at).map_err(failed)?,
            From::Beginning => follower.offsets(&partitions, &BTreeMap::new()).map_err(failed)?,
            From::Offsets(offsets) => follower.offsets(&partitions, offsets).map_err(failed)?,
        };
        follower.consumer.assign(&wanted).map_err(failed)?;
        follower.assigned = wanted;
        Ok(follower)
    }

    fn partitions(&self) -> Result<Vec<i32>, RdError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), PATIENCE)?;
        let topics = metadata.topics().iter();
        Ok(topics.flat_map(|t| t.partitions().iter().map(|p| p.id())).collect())
    }

    fn offsets(
        &self,
        partitions: &[i32],
        known: &BTreeMap<i32, i64>,
    ) -> Result<TopicPartitionList, RdError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let offset = known.get(partition).map_or(Offset::Beginning, |at| Offset::Offset(*at));
            list.add_partition_offset(&self.topic, *partition, offset)?;
        }
        Ok(list)
    }

    fn offsets_at(&self, partitions: &[i32], at: i64) -> Result<TopicPartitionList, RdError> {
        let mut times = TopicPartitionList::new();
        for partition in partitions {
            times.add_partition_offset(&self.topic, *partition, Offset::Offset(at))?;
        }
        // brokers that cannot answer by time (the mock) are read from the beginning
        match self.consumer.offsets_for_times(times, PATIENCE) {
            Ok(found) if found.elements().iter().all(|e| e.error().is_ok()) => Ok(found),
            Ok(_) | Err(_) => self.offsets(partitions, &BTreeMap::new()),
        }
    }

    fn run(mut self, sink: &Sender<ReadBack>) -> Result<(), KafkaError> {
        let (mut messages, mut quiet) = (0, 0);
        loop {
            if messages >= LOOK_AFTER.0 || quiet >= LOOK_AFTER.1 {
                (messages, quiet) = (0, 0);
                self.follow_new_partitions();
            }
            match self.consumer.poll(POLL) {
                None if sink.is_closed() => return Ok(()),
                None => quiet += 1,
                Some(Ok(message)) => {
                    messages += 1;
                    let record = ReadBack {
                        partition: message.partition(),
                        offset: message.offset(),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().unwrap_or_default().to_vec(),
                        headers: headers_of(&message),
                        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
                    };
                    if sink.blocking_send(record).is_err() {
                        return Ok(());
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(code = "tail_error", topic = %self.topic, error = %error, "reading a topic failed; it goes on");
                    std::thread::sleep(POLL);
                }
            }
        }
    }

    fn follow_new_partitions(&mut self) {
        let Ok(partitions) = self.partitions() else { return };
        let known =
            |partition: &i32| self.assigned.find_partition(&self.topic, *partition).is_some();
        let new: Vec<i32> = partitions.into_iter().filter(|p| !known(p)).collect();
        if new.is_empty() {
            return;
        }
        let Ok(mut list) = self.consumer.position() else { return };
        for partition in &new {
            list.add_partition_offset(&self.topic, *partition, Offset::Beginning).ok();
        }
        if self.consumer.assign(&list).is_ok() {
            tracing::warn!(code = "partitions_added", topic = %self.topic, count = new.len(), "the topic has got more partitions");
            self.assigned = list;
        }
    }
}
