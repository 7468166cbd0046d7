//! What a command needs that asks the platform and writes records once, without the service: one
//! client with a part of its budget, and a producer of its own.

use rand::{Rng as _, SeedableRng as _};
use trunkline_protocol::domain::{Dice, WriterId};
use trunkline_protocol::privacy::Policy;
use trunkline_protocol::producer::STALL;
use trunkline_protocol::timings::Timings;

use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Client;
use crate::encode::{Encoder, Provenance, schemas};
use crate::error::{ExitCode, ProcessError};
use crate::kafka::reader::partitions_of;
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::publish::router::Router;
use crate::publish::{self, StageSettings};
use crate::supervisor::Supervisor;

/// A command under way.
pub struct Errand {
    /// Time.
    pub clock: Clock,
    /// Who asks.
    pub client: Client,
    /// Organisation, as the platform says.
    pub org_id: String,
    metrics: Metrics,
    dice: Dice,
    _tasks: Supervisor,
}

/// What it writes with.
pub struct Pen {
    /// What may be written down.
    pub policy: Policy,
    /// Writes Avro.
    pub encoder: Encoder,
    /// Chooses key and headers.
    pub router: Router,
    /// Hands records over.
    pub publish: publish::Stage,
    /// Counts every record.
    pub flow: Flow,
}

impl Errand {
    /// Logs the first client in with so many requests per minute, and asks for the organisation.
    ///
    /// # Errors
    /// When the client is refused, or the platform does not answer for a minute.
    pub async fn start(
        config: &Config,
        requests_per_minute: u32,
        timings: &Timings,
    ) -> Result<Self, ProcessError> {
        let mut config = config.clone();
        config.genesys.requests_per_minute = requests_per_minute;
        config.genesys.processes_per_client = 1;
        config.genesys.clients.truncate(1);
        let clock = Clock::start();
        let mut dice = Dice::new(rand::rngs::StdRng::from_os_rng().random());
        let metrics = Metrics::new(Flow::new());
        let mut tasks = Supervisor::new();
        let http = app::http(&config, timings.request_timeout, clock)?;
        let clients = app::clients(&config, &http, timings, clock, &metrics, &mut dice, &mut tasks);
        let org_id = app::in_time(app::org_id(&clients)).await?;
        let Some(client) = clients.into_iter().next() else {
            return Err(ProcessError::text(ExitCode::Config, "genesys.clients is empty"));
        };
        Ok(Self { clock, client, org_id, metrics, dice, _tasks: tasks })
    }

    /// A name for what this command writes into the state topic.
    pub fn writer_id(&mut self) -> WriterId {
        WriterId(self.dice.bytes16())
    }

    /// Resolves the schema and makes a producer.
    ///
    /// # Errors
    /// When the registry refuses the schema or the events topic is not there.
    pub async fn pen(&mut self, config: &Config) -> Result<Pen, ProcessError> {
        let kafka = app::kafka_settings(config);
        let topic = &config.kafka.events_topic;
        exists(config, "kafka.events_topic", topic)?;
        let schema =
            app::schema_id(config, topic, schemas::CONVERSATION_EVENT, &mut self.dice).await?;
        let writer_id = WriterId(self.dice.bytes16());
        let provenance = Provenance { org_id: self.org_id.clone(), writer_id };
        let settings = StageSettings {
            kafka,
            events_topic: topic.clone(),
            quarantine_topic: config.kafka.quarantine_topic.clone(),
            stall: STALL,
        };
        let publish = publish::Stage::new(settings, self.clock, self.metrics.backfill.clone())
            .map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
        Ok(Pen {
            policy: app::policy(config)?,
            encoder: Encoder::new(schema, provenance, config.privacy.keep_payload),
            router: Router::new(&self.org_id),
            publish,
            flow: Flow::new(),
        })
    }
}

/// Refuses a topic that is not there.
///
/// # Errors
/// Names the setting and the topic, or the broker that does not answer.
pub fn exists(config: &Config, setting: &str, topic: &str) -> Result<(), ProcessError> {
    match partitions_of(&app::kafka_settings(config), topic) {
        Ok(0) => {
            let text = format!("{setting} is {topic}: there is no such topic");
            Err(ProcessError::text(ExitCode::Config, text))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(ProcessError::new(ExitCode::Unavailable, &error)),
    }
}
