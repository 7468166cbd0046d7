//! Mode eventbridge: one queue into Kafka. Nothing is heard on a socket, so there is no coverage to keep books of:
//! no spool, no state, no gaps, no certificates.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use tokio::sync::{mpsc, watch};
use trunkline_protocol::dedupe::{Dedupe, Window};
use trunkline_protocol::domain::{Dice, Disposition, WriterId};
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::producer::STALL;
use trunkline_protocol::queue::Limits;

use super::{
    App, Options, check_durability, kafka_settings, policy, proxies, schema_id, serve_admin,
    topic_settings,
};
use crate::clock::Clock;
use crate::config::{Config, Secret, load};
use crate::decode::open::Opener;
use crate::encode::{Encoder, Provenance, schemas};
use crate::error::{ExitCode, ProcessError};
use crate::eventbridge::{Intake, IntakeParts};
use crate::genesys::http;
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::observe::status::StatusBoard;
use crate::publish::router::Router;
use crate::publish::{self, StageSettings};
use crate::sqs::credentials::{NONE, Provider, Source};
use crate::sqs::{ACTIONS, Attributes, Sqs, SqsError, SqsSettings, region_of};
use crate::supervisor::Supervisor;

/// The queue has so long to answer at start.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn assemble(config: &Config, options: Options) -> Result<App, ProcessError> {
    let policy = policy(config)?;
    let clock = Clock::start();
    let mut dice = Dice::new(rand::rngs::StdRng::from_os_rng().random());
    let flow = Flow::new();
    let metrics = Metrics::new(flow.clone());
    let board = StatusBoard::new(options.mode, metrics.clone());
    let (mut supervisor, mut background) = (Supervisor::new(), Supervisor::new());
    let kafka = kafka_settings(config);
    if options.check_topics {
        check_durability(config, &kafka, &metrics, &board).await?;
    }
    let topic = &config.kafka.events_topic;
    let schema = schema_id(config, topic, schemas::CONVERSATION_EVENT, &mut dice).await?;
    let settings = StageSettings {
        kafka,
        events_topic: topic.clone(),
        quarantine_topic: config.kafka.quarantine_topic.clone(),
        stall: STALL,
    };
    let publish = publish::Stage::new(settings, clock, metrics.publish.clone())
        .map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
    let sqs = queue(config, clock)?;
    let found = answering(&sqs, clock).await.map_err(|error| queue_error(&error))?;
    let (orders, _) = mpsc::channel(1); // there are no channels to rotate
    let address =
        serve_admin(config, &options.timings, clock, &metrics, &board, orders, &mut background)
            .await?;
    let bridge = &config.genesys.eventbridge;
    let org_id = bridge.organization.clone().unwrap_or_default();
    let form = if config.flow.sorted_bodies { Canonical::Sorted } else { Canonical::AsReceived };
    let provenance = Provenance { org_id: org_id.clone(), writer_id: WriterId(dice.bytes16()) };
    let window = Window {
        span: Duration::from_secs(config.flow.dedupe_window_secs),
        cap: config.flow.dedupe_max_events,
    };
    let parts = IntakeParts {
        clock,
        sqs,
        limits: Limits {
            in_flight: bridge.in_flight_messages,
            receivers: bridge.receivers,
            visibility: Duration::from_secs(bridge.visibility_secs),
        },
        opener: Opener::new(org_id.clone(), form),
        dedupe: Dedupe::new(window),
        policy,
        encoder: Encoder::new(schema, provenance, config.privacy.keep_payload),
        router: Router::new(&org_id),
        max_record_bytes: config.kafka.max_record_bytes,
        publish,
        flush_deadline: Duration::from_secs(config.kafka.flush_timeout_secs),
        flow,
        metrics: metrics.queue.clone(),
        board: board.clone(),
    };
    board.check("queue", true, "");
    board.check("running", true, "");
    let (stop, stopping) = watch::channel(false);
    super::staging::spawn(config, clock, &metrics, &mut background)?;
    supervisor.spawn("eventbridge", Intake::new(parts).run(stopping));
    tracing::info!(
        code = "started", mode = options.mode, admin = %address, waiting = found.waiting, "started"
    );
    Ok(App {
        supervisor,
        background,
        stop,
        admin: address,
        metrics,
        board,
        grace: Duration::from_secs(config.kafka.flush_timeout_secs + 10),
        clients: Vec::new(),
        topics: watch::Sender::new(topic_settings(config)),
    })
}

/// The queue as configured, and who signs.
///
/// # Errors
/// When there are no credentials, or the file of authorities is wrong.
pub fn queue(config: &Config, clock: Clock) -> Result<Sqs, ProcessError> {
    let bridge = &config.genesys.eventbridge;
    let queue_url = bridge.queue_url.clone().unwrap_or_default();
    let region = bridge.region.clone().or_else(|| region_of(&queue_url)).unwrap_or_default();
    let keys = bridge.access_key_id.clone().zip(bridge.secret_access_key.as_ref());
    let source = match keys {
        Some((id, secret)) => {
            Some(Source::Keys { id, secret: Secret::secret(secret), token: None })
        }
        None => Source::of(&load::environment(), &region),
    };
    let none = || ProcessError::text(ExitCode::Config, format!("no AWS credentials; {NONE}"));
    let source = source.ok_or_else(none)?;
    let ca_file = config.genesys.ca_file.as_deref();
    let client = http::client(ca_file, &proxies(config)?, Sqs::timeout()).map_err(|problem| {
        ProcessError::text(ExitCode::Config, format!("genesys.ca_file: {problem}"))
    })?;
    let provider = Provider::new(source, client.clone(), clock);
    Ok(Sqs::new(SqsSettings { queue_url, region }, provider, client, clock))
}

/// What is set of the queue, as soon as it answers.
async fn answering(sqs: &Sqs, clock: Clock) -> Result<Attributes, SqsError> {
    let until = clock.mono() + PATIENCE;
    loop {
        let error = match sqs.attributes().await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        if error.disposition() == Disposition::Escalate || clock.mono() >= until {
            return Err(error);
        }
        tracing::warn!(code = "queue_unavailable", error = %error, "the queue does not answer");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What stands in the way, and what would be allowed.
#[must_use]
pub fn queue_error(error: &SqsError) -> ProcessError {
    let (code, remedy) = match error {
        SqsError::NoQueue { .. } => (
            ExitCode::Config,
            "genesys.eventbridge.queue_url: allowed: the URL of a queue as SQS shows it, in its region and account".to_owned(),
        ),
        SqsError::Denied { .. } => (
            ExitCode::Permission,
            format!("the credentials need on it: {}", ACTIONS.join(", ")),
        ),
        SqsError::Credentials(_) => (ExitCode::Config, NONE.to_owned()),
        SqsError::Refused { .. } | SqsError::NoAnswer { .. } | SqsError::Unreadable(_) => (
            ExitCode::Unavailable,
            "check genesys.eventbridge.queue_url and the way to its host, port 443, or genesys.proxy".to_owned(),
        ),
    };
    ProcessError::text(code, format!("{error}; {remedy}"))
}
