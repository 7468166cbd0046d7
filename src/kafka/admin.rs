//! Refuses a topic weaker than the guarantee.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaRespErr as Code;

use super::KafkaError;
use super::quiet::Quiet;
use super::settings::KafkaSettings;
use super::why::why;

/// What to do with a topic that is weaker than promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Refuse to start.
    Required,
    /// Start, and say so in every place an operator looks.
    DegradedAllowed,
}

/// A topic that must be there.
#[derive(Clone, Debug)]
pub struct TopicWant {
    /// Its name.
    pub name: String,
    /// `cleanup.policy`: the needed one, for topics whose content rests on it.
    pub cleanup: Option<&'static str>,
    /// Partitions, where it is created and the general number does not fit.
    pub partitions: Option<i32>,
}

/// How topics are checked at start.
#[derive(Clone, Debug)]
pub struct TopicCheck {
    /// Topics that must be there.
    pub topics: Vec<TopicWant>,
    /// See [`Durability`].
    pub durability: Durability,
    /// Create missing ones, with this many partitions.
    pub create_partitions: Option<i32>,
    /// How long brokers may take to answer.
    pub patience: Duration,
}

/// Creates a topic that was deleted, as the check at the start would.
pub struct Remake {
    admin: AdminClient<Quiet>,
    check: TopicCheck,
}

impl Remake {
    /// `None` where topics are not to be created.
    ///
    /// # Errors
    /// When the client library refuses its settings.
    pub fn new(settings: &KafkaSettings, check: TopicCheck) -> Result<Option<Self>, KafkaError> {
        let admin = settings.client().create_with_context(Quiet).map_err(KafkaError::Settings)?;
        Ok(check.create_partitions.is_some().then_some(Self { admin, check }))
    }

    /// Creates it.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn make(&self, topic: &str) -> Result<(), KafkaError> {
        match self.check.topics.iter().find(|want| want.name == topic) {
            Some(want) => create(&self.admin, &self.check, want).await,
            None => Ok(()),
        }
    }
}

/// What is weaker than promised, one line per topic; empty when all is well.
pub type Weaknesses = Vec<String>;

/// Checks the topics.
///
/// # Errors
/// No broker answers, a topic is missing, or one is weaker than promised and that is not allowed.
pub async fn check_topics(
    settings: &KafkaSettings,
    check: &TopicCheck,
) -> Result<Weaknesses, KafkaError> {
    let mut client = settings.client();
    client.set("allow.auto.create.topics", "false"); // to ask for a topic must not make it
    let admin: AdminClient<Quiet> =
        client.create_with_context(Quiet).map_err(KafkaError::Settings)?;
    let mut replicas_of = Vec::with_capacity(check.topics.len());
    for topic in &check.topics {
        replicas_of.push(match replicas(&admin, settings, check, &topic.name)? {
            Some(replicas) => replicas,
            None => {
                create(&admin, check, topic).await?;
                replicas_after_creation(&admin, settings, check, &topic.name).await?
            }
        });
    }
    let options = AdminOptions::new().request_timeout(Some(check.patience));
    let resources: Vec<_> =
        check.topics.iter().map(|t| ResourceSpecifier::Topic(&t.name)).collect();
    let mut described = admin.describe_configs(&resources, &options).await.unwrap_or_default();
    described.reverse();
    let mut weak = Vec::new();
    for (topic, replicas) in check.topics.iter().zip(replicas_of) {
        let config = described.pop().and_then(Result::ok).map(|resource| {
            let pair = |entry: rdkafka::admin::ConfigEntry| Some((entry.name, entry.value?));
            resource.entries.into_iter().filter_map(pair).collect::<BTreeMap<String, String>>()
        });
        if let (Some(needed), Some(found)) =
            (topic.cleanup, config.as_ref().and_then(|config| config.get("cleanup.policy")))
            && !cleans_as_needed(found, needed)
        {
            let (topic, found) = (topic.name.clone(), found.clone());
            return Err(KafkaError::Cleanup { topic, found, needed });
        }
        let problems = weaknesses(replicas, topic.cleanup, config.as_ref());
        if problems.is_empty() {
            continue;
        }
        let problems = problems.join(", ");
        if check.durability == Durability::Required {
            return Err(KafkaError::Weak { topic: topic.name.clone(), problems });
        }
        weak.push(format!("{}: {problems}", topic.name));
    }
    Ok(weak)
}

/// Replicas of the topic's first partition; `None` when there is no such topic.
fn replicas(
    admin: &AdminClient<Quiet>,
    settings: &KafkaSettings,
    check: &TopicCheck,
    topic: &str,
) -> Result<Option<usize>, KafkaError> {
    let metadata = admin.inner().fetch_metadata(Some(topic), check.patience).map_err(|source| {
        KafkaError::Unreachable {
            bootstrap: settings.bootstrap_servers.as_str().into(),
            seconds: check.patience.as_secs(),
            why: why(settings).into(),
            source,
        }
    })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    if found.and_then(MetadataTopic::error)
        == Some(Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    {
        return Err(KafkaError::Hidden { topic: topic.to_owned() });
    }
    Ok(found.and_then(|found| found.partitions().first()).map(|first| first.replicas().len()))
}

/// Whether a policy keeps what `needed` keeps; the words come in any order.
fn cleans_as_needed(found: &str, needed: &str) -> bool {
    let words = |policy: &str| {
        let mut words: Vec<String> = policy.split(',').map(|w| w.trim().to_owned()).collect();
        words.sort_unstable();
        words
    };
    words(found) == words(needed)
}

async fn create(
    admin: &AdminClient<Quiet>,
    check: &TopicCheck,
    want: &TopicWant,
) -> Result<(), KafkaError> {
    let topic = want.name.as_str();
    let Some(partitions) = check.create_partitions else {
        return Err(KafkaError::NoTopic { topic: topic.to_owned() });
    };
    // -1 takes the cluster's own default
    let partitions = want.partitions.unwrap_or(partitions);
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    if let Some(policy) = want.cleanup {
        new = new.set("cleanup.policy", policy);
    }
    let options = AdminOptions::new().operation_timeout(Some(check.patience));
    let not_created = |reason| KafkaError::NotCreated { topic: topic.to_owned(), reason };
    let results = admin.create_topics(&[new], &options).await;
    match results.map_err(|error| not_created(error.to_string()))?.into_iter().next() {
        Some(Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(not_created(code.to_string())),
        Some(Ok(_)) | None => Ok(()),
    }
}

async fn replicas_after_creation(
    admin: &AdminClient<Quiet>,
    settings: &KafkaSettings,
    check: &TopicCheck,
    topic: &str,
) -> Result<usize, KafkaError> {
    for _ in 0..20 {
        if let Some(replicas) = replicas(admin, settings, check, topic)? {
            return Ok(replicas);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Err(KafkaError::NoTopic { topic: topic.to_owned() })
}

/// What is weaker than promised: 3 replicas of which 2 must have a record before it counts as
/// written, and no leader that lacks some.
fn weaknesses(
    replicas: usize,
    cleanup: Option<&str>,
    config: Option<&BTreeMap<String, String>>,
) -> Vec<String> {
    let mut problems = Vec::new();
    if replicas < 3 {
        problems.push(format!("replication factor is {replicas}, needed 3"));
    }
    let Some(config) = config else {
        problems.push("its settings cannot be read".to_owned());
        return problems;
    };
    let value = |key: &str| config.get(key).map_or("unknown", String::as_str);
    let in_sync = value("min.insync.replicas");
    if in_sync.parse::<u32>().unwrap_or(0) < 2 {
        problems.push(format!("min.insync.replicas is {in_sync}, needed 2"));
    }
    if value("unclean.leader.election.enable") == "true" {
        problems.push("unclean.leader.election.enable is true, needed false".to_owned());
    }
    if cleanup.is_none() && value("cleanup.policy").contains("compact") {
        problems.push("cleanup.policy is compact, needed delete".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_topic_as_promised_has_no_weakness() {
        let good = config(&[
            ("min.insync.replicas", "2"),
            ("unclean.leader.election.enable", "false"),
            ("cleanup.policy", "delete"),
        ]);
        assert!(weaknesses(3, None, Some(&good)).is_empty());
    }

    #[test]
    fn a_topic_that_has_to_be_compacted_is_not_weak_for_it() {
        let compacted = config(&[
            ("min.insync.replicas", "2"),
            ("unclean.leader.election.enable", "false"),
            ("cleanup.policy", "compact"),
        ]);
        assert!(weaknesses(3, Some("compact"), Some(&compacted)).is_empty());
        assert_eq!(weaknesses(3, None, Some(&compacted)).len(), 1);
    }

    #[test]
    fn every_weakness_is_named_with_what_is_needed() {
        let bad = config(&[
            ("min.insync.replicas", "1"),
            ("unclean.leader.election.enable", "true"),
            ("cleanup.policy", "compact,delete"),
        ]);
        let problems = weaknesses(1, None, Some(&bad));
        assert_eq!(problems.len(), 4);
        assert!(problems[0].contains("needed 3"));
        assert_eq!(weaknesses(3, None, None).len(), 1, "what cannot be read is not taken on trust");
    }
}
