//! What the configuration means for brokers and topics.

use std::collections::BTreeMap;
use std::time::Duration;

use trunkline_protocol::domain::Wall;

use crate::clock::Clock;
use crate::config::{Config, DurabilityWord, Mode};
use crate::encode::read;
use crate::error::{ExitCode, ProcessError};
use crate::kafka::KafkaError;
use crate::kafka::admin::{Durability, TopicCheck, TopicWant, check_topics};
use crate::kafka::look::Place;
use crate::kafka::settings::KafkaSettings;
use crate::kafka::tail::{self, From, Tail};
use crate::observe::metrics::Metrics;
use crate::observe::status::StatusBoard;
use crate::pipeline::Passed;
use crate::supervisor::Supervisor;

/// What was heard, as it passes in the output topic; that of the window of duplicates first.
pub(super) fn output_tail(config: &Config, clock: Clock, tasks: &mut Supervisor) -> Tail<Passed> {
    let window = Duration::from_secs(config.flow.dedupe_window_secs);
    let from = From::Time(clock.now().wall.minus(window).0, BTreeMap::new());
    let topic = config.kafka.events_topic.clone();
    let (tail, work) = tail::follow(kafka_settings(config), topic, from, |record| {
        // what no socket heard says nothing about sockets
        let unheard = ["backfill", "reconcile", "eventbridge"];
        let origin = record.header("trunkline-origin")?;
        let id = record.header("event_id").filter(|_| !unheard.contains(&origin))?.parse().ok()?;
        // whatever cannot be read is durable all the same
        let (topic, received) = read::heard(record.value()).unwrap_or(("", Wall(0)));
        Some(Passed { id, topic: topic.into(), received })
    });
    tasks.spawn("output tail", work);
    tail
}

/// The broker as configured.
#[must_use]
pub fn kafka_settings(config: &Config) -> KafkaSettings {
    let kafka = &config.kafka;
    let mut security = kafka.security.clone();
    if let Some(password) = &kafka.sasl_password {
        security.insert(secret_of(&kafka.security).to_owned(), password.expose().to_owned());
    }
    KafkaSettings {
        bootstrap_servers: kafka.bootstrap_servers.clone(),
        security,
        compression: kafka.compression.clone(),
        linger_ms: kafka.linger_ms,
        in_flight_records: kafka.in_flight_records,
        in_flight_bytes: kafka.in_flight_bytes,
        // the check of sizes is ours; the library's must leave room for headers
        max_record_bytes: kafka.max_record_bytes + (64 << 10),
        overrides: kafka.overrides.clone(),
    }
}

/// The property of the client that `kafka.sasl_password` is: with OAUTHBEARER an OIDC provider is told it.
fn secret_of(security: &BTreeMap<String, String>) -> &'static str {
    let said = ["sasl.mechanism", "sasl.mechanisms"].iter().find_map(|name| security.get(*name));
    match said.is_some_and(|mechanism| mechanism.eq_ignore_ascii_case("OAUTHBEARER")) {
        true => "sasl.oauthbearer.client.secret",
        false => "sasl.password",
    }
}

pub(super) fn topic_check(config: &Config) -> TopicCheck {
    TopicCheck {
        topics: topics_wanted(config),
        durability: match config.kafka.durability {
            DurabilityWord::Required => Durability::Required,
            DurabilityWord::DegradedAllowed => Durability::DegradedAllowed,
        },
        create_partitions: config.kafka.create_topics.then_some(config.kafka.partitions),
        patience: Duration::from_secs(config.kafka.start_timeout_secs),
    }
}

/// Looks at the topics, and says of each that is weaker than promised.
pub(super) async fn check_durability(
    config: &Config,
    kafka: &KafkaSettings,
    metrics: &Metrics,
    board: &StatusBoard,
) -> Result<(), ProcessError> {
    let weak = check(config, kafka).await?;
    metrics.publish.durability_degraded(!weak.is_empty());
    for problem in &weak {
        tracing::warn!(code = "degraded_durability", problem = %problem, "runs weaker than promised, as configured");
    }
    board.durability(weak);
    Ok(())
}

pub(super) async fn check(
    config: &Config,
    settings: &KafkaSettings,
) -> Result<Vec<String>, ProcessError> {
    check_topics(settings, &topic_check(config)).await.map_err(|error| {
        let code = match error {
            KafkaError::Unreachable { .. } | KafkaError::Read { .. } | KafkaError::Group { .. } => {
                ExitCode::Unavailable
            }
            KafkaError::Hidden { .. } => ExitCode::Permission,
            KafkaError::Settings(_)
            | KafkaError::NoTopic { .. }
            | KafkaError::NotCreated { .. }
            | KafkaError::Cleanup { .. }
            | KafkaError::Weak { .. } => ExitCode::Config,
        };
        ProcessError::new(code, &error)
    })
}

/// Every topic that must be there, and what its content rests on.
#[must_use]
pub fn topics_wanted(config: &Config) -> Vec<TopicWant> {
    let kafka = &config.kafka;
    let want =
        |name: &String, cleanup, partitions| TopicWant { name: name.clone(), cleanup, partitions };
    let mut topics =
        vec![want(&kafka.events_topic, None, None), want(&kafka.quarantine_topic, None, None)];
    if config.genesys.mode == Mode::Eventbridge {
        return topics;
    }
    topics.push(want(&kafka.gaps_topic, Some("compact,delete"), Some(1)));
    if config.genesys.mode == Mode::Channels {
        topics.push(want(&kafka.certificates_topic, Some("compact"), Some(1)));
    }
    topics.push(want(&kafka.state_topic, Some("compact"), Some(kafka.state_partitions)));
    topics
}

/// Topics that are looked at while the service runs. Those of events have many partitions and records:
/// of them only is asked whether they are there, and with how many partitions.
pub(super) fn places(config: &Config) -> Vec<Place> {
    let kafka = &config.kafka;
    let place = |role, name: &String, with_ends| Place { role, name: name.clone(), with_ends };
    let mut places = vec![
        place("events", &kafka.events_topic, false),
        place("quarantine", &kafka.quarantine_topic, false),
        place("gaps", &kafka.gaps_topic, true),
        place("certificates", &kafka.certificates_topic, true),
        place("state", &kafka.state_topic, true),
    ];
    places.retain(|place| place.role != "certificates" || config.genesys.mode == Mode::Channels);
    places
}
