//! One look at everything: Kafka Connect first, then Kafka, which is asked even where the former is away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trunkline_protocol::domain::Wall;

use super::connect::{Connect, ConnectorConfig, Status};
use super::judge::TopicLag;
use super::{StagingError, StagingSettings};
use crate::clock::Clock;
use crate::kafka::KafkaError;
use crate::kafka::behind::{Bystander, Letters, topic_settings};
use crate::kafka::settings::KafkaSettings;

/// Where what a connector cannot read goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// Its configuration was never seen.
    Unknown,
    /// Nowhere: it ends the task.
    Stops,
    /// Nowhere: it is passed over.
    Dropped,
    /// Into this topic; what lies there, or why it is not known.
    Kept(String, Result<Letters, String>),
}

/// A connector, as far as anybody tells.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// The consumer group of its tasks.
    pub group: String,
    /// What Kafka Connect says, and whether there is such a connector; `None` where it says nothing.
    pub status: Option<Option<Status>>,
    /// How far it is in each topic; `Ok(None)` where there is no such topic.
    pub topics: Vec<(String, Result<Option<TopicLag>, String>)>,
    /// What it could not read.
    pub letters: Letter,
}

/// What a look saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: Wall,
    /// Kafka Connect.
    pub url: String,
    /// The version that answers, or why none does.
    pub version: Result<String, String>,
    /// Connectors, in the order of the configuration.
    pub sinks: Vec<Sink>,
}

/// Looks again and again; what a connector said of itself once is remembered for when nobody says it.
pub struct Looker {
    settings: StagingSettings,
    kafka: KafkaSettings,
    clock: Clock,
    connect: Connect,
    known: BTreeMap<String, ConnectorConfig>,
}

/// What is to be asked of Kafka for a connector.
struct Question {
    sink: Sink,
    topics: Vec<String>,
    /// The topics are a guess: those in which nothing was committed are not its.
    is_guess: bool,
    letters: Option<String>,
}

impl Looker {
    /// Prepares.
    ///
    /// # Errors
    /// Says what is wrong with the file of authorities.
    pub fn new(
        settings: StagingSettings,
        kafka: KafkaSettings,
        clock: Clock,
    ) -> Result<Self, StagingError> {
        let connect = Connect::new(&settings)?;
        Ok(Self { settings, kafka, clock, connect, known: BTreeMap::new() })
    }

    /// Names of the connectors.
    #[must_use]
    pub fn connectors(&self) -> Vec<String> {
        self.settings.connectors.clone()
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Wall {
        self.clock.now().wall
    }

    /// Between two looks.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.settings.every
    }

    /// One look; whatever is not answered says why.
    pub async fn look(&mut self) -> Seen {
        let version = self.connect.version().await.map_err(|error| error.to_string());
        let mut answers = version.is_ok();
        let mut questions = Vec::new();
        for name in &self.settings.connectors {
            // one that is silent would be waited for at every name
            let status = if answers { self.connect.status(name).await } else { Ok(None) };
            let status = match status {
                Ok(status) => answers.then_some(status),
                Err(StagingError::NoAnswer { .. }) => {
                    answers = false;
                    None
                }
                // a worker that shares out tasks says so, and is asked again the next time
                Err(_) => None,
            };
            if let Some(Some(_)) = status
                && let Ok(Some(config)) = self.connect.config(name).await
            {
                self.known.insert(name.clone(), config);
            }
            let is_gone = matches!(status, Some(None));
            let config = self.known.get(name).filter(|_| !is_gone);
            questions.push(question(&self.settings, name, status, config));
        }
        let topics: BTreeSet<String> =
            questions.iter().flat_map(|question| question.topics.clone()).collect();
        let topics: Vec<String> = topics.into_iter().collect();
        let told = topic_settings(&self.kafka, &topics).await;
        let (kafka, at) = (self.kafka.clone(), self.clock.now().wall);
        let asked = tokio::task::spawn_blocking(move || ask(kafka, questions, &told, at));
        Seen { at, url: self.connect.url(), version, sinks: asked.await.unwrap_or_default() }
    }
}

fn question(
    settings: &StagingSettings,
    name: &str,
    status: Option<Option<Status>>,
    config: Option<&ConnectorConfig>,
) -> Question {
    let said = |key: &str| config.and_then(|config| config.get(key)).cloned();
    let named = settings.groups.get(name).cloned();
    let group = named.or_else(|| said("consumer.override.group.id"));
    let topics = said("topics").map(|topics| {
        topics.split(',').map(|topic| topic.trim().to_owned()).collect::<Vec<String>>()
    });
    let letters = said("errors.deadletterqueue.topic.name").filter(|topic| !topic.is_empty());
    let tolerates = said("errors.tolerance").as_deref() == Some("all");
    let fate = match (config, tolerates) {
        (None, _) => Letter::Unknown,
        (Some(_), false) => Letter::Stops,
        (Some(_), true) => Letter::Dropped,
    };
    let is_missing = matches!(status, Some(None));
    Question {
        is_guess: topics.is_none(),
        topics: match topics {
            Some(topics) => topics,
            None if is_missing => Vec::new(),
            None => settings.topics.clone(),
        },
        letters: letters.filter(|_| tolerates),
        sink: Sink {
            name: name.to_owned(),
            group: group.unwrap_or_else(|| format!("connect-{name}")),
            status,
            topics: Vec::new(),
            letters: fate,
        },
    }
}

/// Blocks.
fn ask(
    kafka: KafkaSettings,
    questions: Vec<Question>,
    settings: &BTreeMap<String, BTreeMap<String, String>>,
    now: Wall,
) -> Vec<Sink> {
    let made = Bystander::new(kafka).map_err(|error| text(&error));
    // brokers that are silent would be waited for at every topic
    let mut silent = made.as_ref().err().cloned();
    let mut sinks = Vec::new();
    for Question { mut sink, topics, is_guess, letters } in questions {
        for topic in topics {
            let lag = |places: Option<Vec<_>>| {
                places.map(|places| TopicLag::of(&topic, &places, settings.get(&topic), now))
            };
            let asked = match (&made, &silent) {
                (Ok(bystander), None) => {
                    let places = bystander.places(&sink.group, &topic);
                    told(&mut silent, places).map(lag)
                }
                (_, Some(why)) | (Err(why), None) => Err(why.clone()),
            };
            let is_its = match &asked {
                Ok(Some(lag)) => lag.has_begun,
                Ok(None) => false,
                Err(_) => true,
            };
            if !is_guess || is_its {
                sink.topics.push((topic, asked));
            }
        }
        if let Some(topic) = letters {
            let asked = match (&made, &silent) {
                (Ok(bystander), None) => told(&mut silent, bystander.letters(&topic)),
                (_, Some(why)) | (Err(why), None) => Err(why.clone()),
            };
            sink.letters = Letter::Kept(topic, asked);
        }
        sinks.push(sink);
    }
    sinks
}

/// An error as a line, and whether it will be the same for the next topic.
fn told<T>(silent: &mut Option<String>, asked: Result<T, KafkaError>) -> Result<T, String> {
    asked.map_err(|error| {
        let why = text(&error);
        if !error.is_denied() {
            *silent = Some(why.clone());
        }
        why
    })
}

fn text(error: &KafkaError) -> String {
    crate::causes::chain(error)
}
