//! Under which ids this process writes: asked of the registry at start, and of the spool's disk when it is away,
//! for a socket that waits for the registry hears nothing.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trunkline_protocol::domain::Dice;

use crate::beside;
use crate::config::{Config, RegistryMode};
use crate::encode::registry::{self, Credentials, Mode, RegistryError, RegistrySettings};
use crate::encode::schemas;
use crate::error::{ExitCode, ProcessError};

/// Who knows the id already waits so long for an answer at most.
const SHORT: Duration = Duration::from_secs(3);
/// A registry that is away is asked again after so long.
const AGAIN: Duration = Duration::from_secs(15);
const FILE: &str = "schemas.json";

/// What the registry said last; lies beside the spool.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Known {
    /// The registry's base URLs.
    registry: String,
    subject: String,
    schema: String,
    id: u32,
}

/// The registry is back and says otherwise.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unconfirmed {
    /// It refuses the schema.
    #[error(transparent)]
    Refused(#[from] RegistryError),
    /// It gives another id; a new process writes under that one.
    #[error(
        "the schema registry was away at the start and knows the schema of {subject} as {now}, not as {used} any more: records of this process carry {used}; was the registry set up anew?"
    )]
    Other {
        /// The subject.
        subject: String,
        /// The id this process wrote under.
        used: u32,
        /// The id of now.
        now: u32,
    },
}

/// The ids of schemas, asked one by one at start.
pub(super) struct SchemaIds {
    settings: RegistrySettings,
    mode: Mode,
    /// Where the last answers lie; `None` without a spool.
    file: Option<PathBuf>,
    earlier: Vec<Known>,
    used: Vec<Known>,
    /// How many of the used ones, the last ones, the registry has not confirmed.
    unconfirmed: usize,
}

impl SchemaIds {
    /// Reads what an earlier process was told; a file that is missing or damaged holds nothing.
    ///
    /// # Errors
    /// When the file of authorities cannot be read.
    pub(super) fn new(config: &Config) -> Result<Self, ProcessError> {
        let file = config.spool.enabled.then(|| config.spool.dir.join(FILE));
        let settings = registry_settings(config)?;
        Ok(Self::of(settings, mode(config), file))
    }

    fn of(settings: RegistrySettings, mode: Mode, file: Option<PathBuf>) -> Self {
        let earlier = file.as_ref().and_then(|file| beside::read(file)).unwrap_or_default();
        Self { settings, mode, file, earlier, used: Vec::new(), unconfirmed: 0 }
    }

    /// The id of a topic's schema.
    ///
    /// # Errors
    /// When the registry refuses the schema, or gives no answer and has never given one for it.
    pub(super) async fn id(
        &mut self,
        topic: &str,
        schema: &str,
        dice: &mut Dice,
    ) -> Result<u32, ProcessError> {
        let subject = schemas::subject_of(topic);
        let wanted = Known {
            registry: self.settings.urls.join(","),
            subject,
            schema: schema.to_owned(),
            id: 0,
        };
        let known = self.earlier.iter().find(|known| Known { id: 0, ..(*known).clone() } == wanted);
        let id = match known.cloned() {
            None => ask(&self.settings, self.mode, &wanted, dice).await,
            // it was away a moment ago
            Some(known) if self.unconfirmed > 0 => {
                self.unconfirmed += 1;
                Ok(known.id)
            }
            Some(known) => match ask(&once(&self.settings), self.mode, &wanted, dice).await {
                Err(RegistryError::Unavailable { reason, .. }) => {
                    tracing::warn!(
                        code = "registry_away_at_start",
                        reason = %reason,
                        "the schema registry does not help; writes under the ids it gave last, and goes on asking"
                    );
                    self.unconfirmed += 1;
                    Ok(known.id)
                }
                answer => answer,
            },
        };
        let id = id.map_err(|error| registry_error(&error))?;
        self.used.push(Known { id, ..wanted });
        Ok(id)
    }

    /// Writes down what the next process may need.
    pub(super) fn keep(&self) {
        if let Some(file) = &self.file
            && self.used != self.earlier
            && let Err(error) = beside::replace(file, &self.used)
        {
            // the next process needs the registry then
            tracing::warn!(code = "schemas_not_kept", error = %error, "the ids of schemas could not be written down beside the spool");
        }
    }

    /// Asks until the registry has confirmed every id; then there is nothing left to do.
    ///
    /// # Errors
    /// The registry says otherwise: this process must end.
    pub(super) async fn confirm(mut self, mut dice: Dice) -> Result<(), Unconfirmed> {
        let mut pause = AGAIN;
        while self.unconfirmed > 0 {
            tokio::time::sleep(std::mem::take(&mut pause)).await;
            let at = self.used.len() - self.unconfirmed;
            let used = &mut self.used[at];
            match ask(&once(&self.settings), self.mode, used, &mut dice).await {
                Ok(now) if now == used.id => self.unconfirmed -= 1,
                Ok(now) => {
                    let other =
                        Unconfirmed::Other { subject: used.subject.clone(), used: used.id, now };
                    used.id = now;
                    self.keep();
                    return Err(other);
                }
                Err(RegistryError::Unavailable { .. }) => pause = AGAIN,
                Err(refused) => return Err(refused.into()),
            }
            if self.unconfirmed == 0 {
                tracing::info!(
                    code = "schemas_confirmed",
                    "the schema registry is back and knows the schemas under the ids in use"
                );
            }
        }
        std::future::pending().await
    }
}

/// One attempt, a short one.
fn once(settings: &RegistrySettings) -> RegistrySettings {
    let timeout = settings.timeout.min(SHORT);
    RegistrySettings { patience: Duration::ZERO, timeout, ..settings.clone() }
}

async fn ask(
    settings: &RegistrySettings,
    mode: Mode,
    wanted: &Known,
    dice: &mut Dice,
) -> Result<u32, RegistryError> {
    let Known { subject, schema, .. } = wanted;
    let registered = registry::resolve(settings, subject, schema, mode, dice).await?;
    if !registered.is_spelled_ours {
        tracing::warn!(
            code = "schema_spelled_otherwise",
            subject,
            id = registered.id,
            "the registered schema is ours in another spelling; converters that look a schema up by its text may not find it: run `trunkline schema register`"
        );
    }
    Ok(registered.id)
}

fn mode(config: &Config) -> Mode {
    match config.schema_registry.mode {
        RegistryMode::Register => Mode::Register,
        RegistryMode::Require => Mode::Require,
    }
}

/// The id of a topic's schema at the registry, for a command that does one thing and may wait.
///
/// # Errors
/// When the registry does not answer or refuses the schema.
pub async fn schema_id(
    config: &Config,
    topic: &str,
    schema: &str,
    dice: &mut Dice,
) -> Result<u32, ProcessError> {
    SchemaIds::of(registry_settings(config)?, mode(config), None).id(topic, schema, dice).await
}

/// The registry as configured.
///
/// # Errors
/// When the file of authorities cannot be read.
pub fn registry_settings(config: &Config) -> Result<RegistrySettings, ProcessError> {
    let registry = &config.schema_registry;
    let ca_pem = registry.ca_file.as_ref().map(std::fs::read).transpose().map_err(|error| {
        ProcessError::text(ExitCode::Config, format!("schema_registry.ca_file: {error}"))
    })?;
    let password = registry.password.as_ref().map(|password| password.expose().to_owned());
    Ok(RegistrySettings {
        urls: registry
            .url
            .split(',')
            .map(|url| url.trim().trim_end_matches('/').to_owned())
            .collect(),
        credentials: match (&registry.username, &registry.token) {
            (Some(user), _) => Credentials::Basic(user.clone(), password.unwrap_or_default()),
            (None, Some(token)) => {
                let token = token.secret();
                Credentials::Bearer { token, file: registry.token_file.clone() }
            }
            (None, None) => Credentials::Nothing,
        },
        ca_pem,
        timeout: Duration::from_secs(registry.timeout_secs),
        patience: Duration::from_secs(registry.start_timeout_secs),
    })
}

/// The exit code of a registry's refusal.
#[must_use]
pub fn registry_error(error: &RegistryError) -> ProcessError {
    let code = match error {
        RegistryError::Unavailable { .. } => ExitCode::Unavailable,
        RegistryError::Settings(_)
        | RegistryError::Incompatible { .. }
        | RegistryError::Missing { .. } => ExitCode::Config,
    };
    ProcessError::new(code, error)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn ids(folder: &Path, url: &str) -> SchemaIds {
        let settings = RegistrySettings {
            urls: vec![url.to_owned()],
            credentials: Credentials::Nothing,
            ca_pem: None,
            timeout: SHORT,
            patience: Duration::ZERO,
        };
        SchemaIds::of(settings, Mode::Register, Some(folder.join(FILE)))
    }

    #[tokio::test]
    async fn an_answer_is_believed_again_for_the_same_registry_subject_and_text_only() {
        const AWAY: &str = "http://127.0.0.1:1";
        let folder = tempfile::tempdir().expect("a folder");
        let mut dice = Dice::new(1);
        let schema = r#"{"type": "string"}"#;
        let known = Known {
            registry: AWAY.to_owned(),
            subject: "t-value".to_owned(),
            schema: schema.to_owned(),
            id: 7,
        };
        beside::replace(&folder.path().join(FILE), &[known]).expect("written");
        let mut same = ids(folder.path(), AWAY);
        assert_eq!(same.id("t", schema, &mut dice).await.expect("known"), 7);
        assert_eq!(same.unconfirmed, 1);
        same.keep();
        for (url, topic, schema) in [
            ("http://127.0.0.1:2", "t", schema),
            (AWAY, "u", schema),
            (AWAY, "t", r#"{"type": "long"}"#),
        ] {
            let asked = ids(folder.path(), url).id(topic, schema, &mut dice).await;
            assert_eq!(asked.expect_err("not known").code, ExitCode::Unavailable);
        }
        std::fs::write(folder.path().join(FILE), b"[{").expect("damaged");
        assert!(ids(folder.path(), AWAY).id("t", schema, &mut dice).await.is_err());
    }
}
