//! Watches what topics stand on while the service runs, and says what is otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trunkline_protocol::ground::{Change, Ground, Watch};

use crate::kafka::KafkaError;
use crate::kafka::admin::Remake;
use crate::kafka::look::{Looker, Place};
use crate::kafka::settings::KafkaSettings;
use crate::observe::metrics::GroundMetrics;
use crate::observe::status::StatusBoard;

/// What is known now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// As it was seen last.
    pub ground: Ground,
    /// How often a topic was found without what it had held, or perhaps without it, by what it is for.
    pub anew: BTreeMap<String, u64>,
}

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Watches topics and their cluster, from what an earlier process saw on. Runs until nobody follows.
pub struct Watcher {
    looker: Arc<Looker>,
    names: BTreeMap<String, String>,
    rules: Watch,
    remake: Option<Remake>,
    metrics: GroundMetrics,
    board: StatusBoard,
    standing: watch::Sender<Arc<Standing>>,
}

impl Watcher {
    /// Prepares.
    ///
    /// # Errors
    /// When the client library refuses its settings.
    pub fn new(
        kafka: &KafkaSettings,
        places: Vec<Place>,
        earlier: Ground,
        remake: Option<Remake>,
        metrics: GroundMetrics,
        board: StatusBoard,
    ) -> Result<Self, KafkaError> {
        let name = |place: &Place| (place.role.to_owned(), place.name.clone());
        let names = places.iter().map(name).collect();
        let standing = Standing { ground: earlier.clone(), ..Standing::default() };
        Ok(Self {
            looker: Arc::new(Looker::new(kafka, places)?),
            names,
            rules: Watch::new(earlier),
            remake,
            metrics,
            board,
            standing: watch::Sender::new(Arc::new(standing)),
        })
    }

    /// What is known, as it changes.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Arc<Standing>> {
        self.standing.subscribe()
    }

    /// Looks again and again.
    pub async fn run(mut self) {
        loop {
            let looker = Arc::clone(&self.looker);
            if let Ok(look) = tokio::task::spawn_blocking(move || looker.look()).await {
                let changes = self.rules.look(look);
                self.tell(&changes);
                self.show();
                self.make().await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Creates what does not exist, where that is wanted.
    async fn make(&self) {
        let Some(remake) = &self.remake else { return };
        for role in self.rules.gone() {
            let topic = self.name(role);
            match remake.make(&topic).await {
                Ok(()) => tracing::warn!(
                    code = "topic_created",
                    topic = %topic,
                    "the topic is created again, as kafka.create_topics says"
                ),
                Err(error) => tracing::error!(
                    code = "topic_not_created",
                    topic = %topic,
                    error = %error,
                    "the topic cannot be created again yet"
                ),
            }
        }
    }

    fn name(&self, role: &str) -> String {
        self.names.get(role).cloned().unwrap_or_else(|| role.to_owned())
    }

    fn tell(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Cluster { from, to } => {
                    self.metrics.changed("cluster");
                    tracing::error!(
                        code = "cluster_changed",
                        from,
                        to,
                        "another Kafka cluster answers at kafka.bootstrap_servers: offsets in certificates of before mean nothing here"
                    );
                }
                Change::Partitions { topic, from, to } => {
                    self.metrics.changed("partitions");
                    tracing::warn!(
                        code = "partitions_changed",
                        topic = %self.name(topic),
                        from,
                        to,
                        "the topic has another number of partitions: keys go elsewhere from here on, so the order within a conversation ends here"
                    );
                }
                Change::Gone { topic } => {
                    self.metrics.changed("gone");
                    tracing::error!(
                        code = "topic_gone",
                        topic = %self.name(topic),
                        "the topic does not exist any more: records for it wait until it is created"
                    );
                }
                Change::Back { topic } => {
                    self.metrics.changed("back");
                    tracing::info!(code = "topic_back", topic = %self.name(topic), "the topic is there again");
                }
                Change::Anew { topic } => {
                    self.metrics.changed("anew");
                    tracing::error!(
                        code = "topic_anew",
                        topic = %self.name(topic),
                        "the topic was deleted and created again, or lost its end: what it held is not there any more"
                    );
                }
            }
        }
        let anew = changes.iter().filter_map(|change| match change {
            Change::Anew { topic } | Change::Back { topic } => Some(topic),
            Change::Cluster { .. } | Change::Partitions { .. } | Change::Gone { .. } => None,
        });
        self.standing.send_if_modified(|standing| {
            let mut next = Standing { ground: self.rules.ground().clone(), ..(**standing).clone() };
            anew.for_each(|topic| *next.anew.entry(topic.clone()).or_default() += 1);
            let changed = **standing != next;
            *standing = Arc::new(next);
            changed
        });
    }

    fn show(&self) {
        let gone: Vec<String> = self.rules.gone().iter().map(|role| self.name(role)).collect();
        for role in self.names.keys() {
            self.metrics.missing(role, self.rules.gone().contains(role));
        }
        let detail = match gone.is_empty() {
            true => String::new(),
            false => format!("create {}: missing in Kafka", gone.join(", ")),
        };
        self.board.check("topics", gone.is_empty(), detail);
        self.board.ground(self.rules.ground().clone());
    }
}
