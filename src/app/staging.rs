//! The sink behind the topics, where the configuration names it.

use std::time::Duration;

use super::kafka_settings;
use crate::clock::Clock;
use crate::config::{Config, Mode, Secret};
use crate::error::{ExitCode, ProcessError};
use crate::observe::metrics::Metrics;
use crate::staging::{self, Looker, StagingSettings};
use crate::supervisor::Supervisor;

/// What is looked at; `None` where `staging.connect_url` is not set.
#[must_use]
pub fn staging_settings(config: &Config) -> Option<StagingSettings> {
    let (staging, kafka) = (&config.staging, &config.kafka);
    let url = url::Url::parse(staging.connect_url.as_deref()?).ok()?;
    let password = || staging.password.as_ref().map_or_else(|| "".into(), Secret::secret);
    let mut topics = vec![kafka.events_topic.clone()];
    if config.genesys.mode != Mode::Eventbridge {
        topics.extend([kafka.gaps_topic.clone(), kafka.certificates_topic.clone()]);
    }
    Some(StagingSettings {
        url,
        credentials: staging.username.clone().map(|user| (user, password())),
        ca_file: staging.ca_file.clone(),
        timeout: Duration::from_secs(staging.timeout_secs),
        connectors: staging.connectors.clone(),
        groups: staging.groups.clone(),
        topics,
        longest_outage: Duration::from_secs(staging.longest_outage_secs),
        every: Duration::from_secs(staging.poll_secs),
    })
}

/// Looks at it beside everything else.
pub(super) fn spawn(
    config: &Config,
    clock: Clock,
    metrics: &Metrics,
    tasks: &mut Supervisor,
) -> Result<(), ProcessError> {
    let Some(settings) = staging_settings(config) else { return Ok(()) };
    let looker = Looker::new(settings, kafka_settings(config), clock)
        .map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
    tasks.spawn_infallible("staging", staging::watch(looker, metrics.staging.clone()));
    Ok(())
}
