//! Looks at what topics stand on.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaRespErr as Code;
use trunkline_protocol::ground::{Look, Sight};

use super::KafkaError;
use super::quiet::Quiet;
use super::settings::KafkaSettings;

/// A topic to look at.
#[derive(Clone, Debug)]
pub struct Place {
    /// What it is for: the word in status and metrics.
    pub role: &'static str,
    /// Its name.
    pub name: String,
    /// Whether the ends of its partitions are asked for.
    pub with_ends: bool,
}

/// Asks brokers.
pub struct Looker {
    asker: BaseConsumer<Quiet>,
    places: Vec<Place>,
}

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);

impl Looker {
    /// Looks at these topics.
    ///
    /// # Errors
    /// When the client library refuses its settings.
    pub fn new(settings: &KafkaSettings, places: Vec<Place>) -> Result<Self, KafkaError> {
        let mut config = settings.client();
        config.set("group.id", "trunkline-look").set("allow.auto.create.topics", "false");
        let asker = config.create_with_context(Quiet).map_err(KafkaError::Settings)?;
        Ok(Self { asker, places })
    }

    /// One look; what nobody answers for is left out. Blocks for as long as brokers are patient.
    #[must_use]
    pub fn look(&self) -> Look {
        let mut look = Look::default();
        for place in &self.places {
            // without a broker the next one would wait as long
            let Ok(metadata) = self.asker.fetch_metadata(Some(&place.name), PATIENCE) else {
                return look;
            };
            let topic = metadata.topics().iter().find(|topic| topic.name() == place.name);
            if let Some(sight) = topic.and_then(|topic| self.sight(place, topic)) {
                look.topics.insert(place.role.to_owned(), sight);
            }
        }
        // known from the answers above: this asks nobody
        look.cluster = self.asker.client().fetch_cluster_id(PATIENCE);
        look
    }

    fn sight(&self, place: &Place, topic: &MetadataTopic) -> Option<Sight> {
        match topic.error() {
            Some(Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => return Some(Sight::Missing),
            Some(_) => return None,
            None => {}
        }
        let ids: Vec<i32> = topic.partitions().iter().map(|partition| partition.id()).collect();
        let end = |id: &i32| {
            let watermarks = self.asker.fetch_watermarks(&place.name, *id, PATIENCE);
            watermarks.ok().map(|(_, end)| (*id, end))
        };
        let ends: Option<BTreeMap<i32, i64>> = match place.with_ends {
            true => ids.iter().map(end).collect(),
            false => Some(BTreeMap::new()),
        };
        Some(Sight::There { partitions: ids.len(), ends: ends? })
    }
}
