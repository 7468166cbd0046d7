//! What the user that brokers see may do with a topic, found out without writing to it.
//!
//! Brokers judge a request to write in this order: who asks, whether the request makes sense, the
//! records. A request for two acknowledgements makes no sense (only none, one and all are known), so it
//! is refused either for the user or for that, and never carried out. A broker that does not tell
//! the settings of a topic is not one to rely on for it: it is not asked.

use std::sync::mpsc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaError;
use super::quiet::{self, Quiet};
use super::settings::KafkaSettings;

/// Whether something may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// It may.
    Granted,
    /// The broker refuses the user.
    Denied,
    /// Neither was said; what was.
    Unknown(String),
}

/// What may be done with a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// To read its settings.
    pub describe_configs: Right,
    /// To read it.
    pub read: Right,
    /// To be a member of a consumer group of ours.
    pub group: Right,
    /// To write to it.
    pub write: Right,
}

/// What the names of our consumer groups begin with.
pub const GROUPS: &str = "trunkline-";

/// Asks for the rights to a topic that exists, on a runtime of several threads. Waits three times
/// `patience` at most.
///
/// # Errors
/// When the client library refuses its settings.
pub async fn rights(
    settings: &KafkaSettings,
    topic: &str,
    patience: Duration,
) -> Result<Rights, KafkaError> {
    let describe_configs = describe_configs(settings, topic, patience).await?;
    let unasked = || Right::Unknown("not asked".to_owned());
    if matches!(describe_configs, Right::Unknown(_)) {
        let (read, group, write) = (unasked(), unasked(), unasked());
        return Ok(Rights { describe_configs, read, group, write });
    }
    let (read, group) = tokio::task::block_in_place(|| read(settings, topic, patience))?;
    let write = tokio::task::block_in_place(|| write(settings, topic, patience))?;
    Ok(Rights { describe_configs, read, group, write })
}

fn judged(error: &RdError) -> Right {
    match error.rdkafka_error_code() {
        Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => Right::Denied,
        Some(_) | None => Right::Unknown(error.to_string()),
    }
}

async fn describe_configs(
    settings: &KafkaSettings,
    topic: &str,
    patience: Duration,
) -> Result<Right, KafkaError> {
    let admin: AdminClient<Quiet> =
        settings.client().create_with_context(Quiet).map_err(KafkaError::Settings)?;
    let options = AdminOptions::new().request_timeout(Some(patience));
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await;
    Ok(match described.map(|mut topics| topics.pop()) {
        Ok(Some(Ok(_))) => Right::Granted,
        Ok(Some(Err(Code::TopicAuthorizationFailed))) => Right::Denied,
        Ok(Some(Err(code))) => Right::Unknown(code.to_string()),
        Ok(None) => Right::Unknown("no answer".to_owned()),
        Err(error) => judged(&error),
    })
}

fn read(
    settings: &KafkaSettings,
    topic: &str,
    patience: Duration,
) -> Result<(Right, Right), KafkaError> {
    let mut config = settings.client();
    config.set("group.id", format!("{GROUPS}doctor")).set("enable.auto.commit", "false");
    config.set("enable.partition.eof", "true").set("allow.auto.create.topics", "false");
    let consumer: BaseConsumer<Quiet> =
        config.create_with_context(Quiet).map_err(KafkaError::Settings)?;
    let failed = |source| KafkaError::Read { topic: topic.to_owned(), source };
    let mut end = TopicPartitionList::new();
    end.add_partition_offset(topic, 0, Offset::End).map_err(failed)?;
    consumer.assign(&end).map_err(failed)?;
    let (mut read, mut group) = (None, Right::Granted);
    // both are said unasked, in any order, and the group's refusal again and again
    for _ in 0..POLLS {
        let wait = if read.is_some() { patience / 8 } else { patience };
        match consumer.poll(wait) {
            Some(Ok(_) | Err(RdError::PartitionEOF(_))) => read = Some(Right::Granted),
            Some(Err(error)) if is_about_group(&error) => group = Right::Denied,
            Some(Err(error)) => read = Some(judged(&error)),
            None => break,
        }
        if read.is_some() && group == Right::Denied {
            break;
        }
    }
    Ok((read.unwrap_or_else(|| Right::Unknown("no answer".to_owned())), group))
}

/// What is said before both are known.
const POLLS: usize = 8;

pub(super) fn is_about_group(error: &RdError) -> bool {
    error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed)
}

/// Tells what became of the only record.
struct Fate(mpsc::SyncSender<Option<RdError>>);

impl ClientContext for Fate {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        quiet::line(facility, text);
    }

    fn error(&self, error: RdError, reason: &str) {
        quiet::line(&error.to_string(), reason);
    }
}

impl ProducerContext for Fate {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.0.try_send(result.as_ref().err().map(|(error, _)| error.clone())).ok(); // nobody waits
    }
}

fn write(settings: &KafkaSettings, topic: &str, patience: Duration) -> Result<Right, KafkaError> {
    let (tell, told) = mpsc::sync_channel(1);
    let mut config = settings.client();
    config.set("acks", "2").set("retries", "0").set("allow.auto.create.topics", "false");
    config.set("message.timeout.ms", patience.as_millis().to_string());
    let producer: BaseProducer<Fate> =
        config.create_with_context(Fate(tell)).map_err(KafkaError::Settings)?;
    let record = BaseRecord::to(topic).key("doctor").payload("").partition(0);
    if let Err((error, _)) = producer.send(record) {
        return Ok(judged(&error));
    }
    let mut left = patience + Duration::from_secs(1);
    let step = Duration::from_millis(100);
    loop {
        producer.poll(step);
        match told.try_recv() {
            Ok(None) => return Ok(Right::Granted),
            Ok(Some(error)) => {
                let code = error.rdkafka_error_code();
                let passed = code == Some(Code::InvalidRequiredAcks);
                return Ok(if passed { Right::Granted } else { judged(&error) });
            }
            Err(_) if left.is_zero() => return Ok(Right::Unknown("no answer".to_owned())),
            Err(_) => left = left.saturating_sub(step),
        }
    }
}
