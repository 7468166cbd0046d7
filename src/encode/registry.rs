//! The id under which the registry knows our schema: resolved once, at start.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, SrSettingsBuilder, get_schema_by_subject, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, SchemaType, SubjectNameStrategy, SuppliedSchema,
};
use secrecy::{ExposeSecret as _, SecretString};
use trunkline_protocol::backoff::Backoff;
use trunkline_protocol::domain::{Dice, Disposition};

use crate::causes;

/// Whether a missing schema is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Register it when it is missing.
    Register,
    /// It must be there.
    Require,
}

/// What the registry knows our schema as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub id: u32,
    /// Its text is the one that Avro for Java makes of it. Converters that look a schema up by its text,
    /// as Confluent's does, may find no other one (observed with Apicurio).
    pub is_spelled_ours: bool,
}

/// Who asks the registry.
#[derive(Clone)]
pub enum Credentials {
    /// Anybody.
    Nothing,
    /// A user with a password.
    Basic(String, String),
    /// Whoever bears a token.
    Bearer {
        /// As it was read at first.
        token: SecretString,
        /// Where the newest is.
        file: Option<PathBuf>,
    },
}

/// Where the registry is.
#[derive(Clone)]
pub struct RegistrySettings {
    /// Base URLs, tried in order.
    pub urls: Vec<String>,
    /// Who asks.
    pub credentials: Credentials,
    /// A further certificate authority, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Time for one request.
    pub timeout: Duration,
    /// How long to go on trying at start.
    pub patience: Duration,
}

/// Why there is no id.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The settings cannot be used.
    #[error("the settings of the schema registry cannot be used: {0}")]
    Settings(String),
    /// It does not answer, or with an error of its own.
    #[error("the schema registry at {url} gives no answer that helps within {seconds} s: {reason}")]
    Unavailable {
        /// Where.
        url: String,
        /// For how long.
        seconds: u64,
        /// Its last word.
        reason: String,
    },
    /// Another schema is registered that ours may not follow.
    #[error("the registry refuses our schema under {subject}:\n{differences}")]
    Incompatible {
        /// The subject.
        subject: String,
        /// Field by field.
        differences: String,
    },
    /// None is registered, and we may not do it.
    #[error(
        "no schema is registered under {subject}; run `trunkline schema register`, or set schema_registry.mode to register"
    )]
    Missing {
        /// The subject.
        subject: String,
    },
}

impl RegistryError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Unavailable { .. } => Disposition::Retry, // registries come back
            Self::Settings(_) | Self::Incompatible { .. } | Self::Missing { .. } => {
                Disposition::Escalate // the same question gets the same answer
            }
        }
    }
}

/// Finds or registers our schema.
///
/// # Errors
/// [`RegistryError`]; a start-up error.
pub async fn resolve(
    settings: &RegistrySettings,
    subject: &str,
    schema: &str,
    mode: Mode,
    dice: &mut Dice,
) -> Result<Registered, RegistryError> {
    let clock = crate::clock::Clock::start();
    let started = clock.mono();
    let mut backoff = Backoff::new(Duration::from_secs(5));
    loop {
        // made anew, since a token may be another one by now
        let client = client(settings)?;
        let failure = match attempt(&client, subject, schema, mode).await {
            Ok(registered) => return Ok(registered),
            Err(Attempt::Final(error)) => return Err(error),
            Err(Attempt::Passing(reason)) => reason,
        };
        if clock.mono().since(started) >= settings.patience {
            return Err(RegistryError::Unavailable {
                url: settings.urls.join(", "),
                seconds: settings.patience.as_secs(),
                reason: failure,
            });
        }
        tracing::warn!(code = "registry_unavailable", reason = %failure, "the schema registry does not help yet");
        tokio::time::sleep(backoff.next(dice).max(Duration::from_millis(200))).await;
    }
}

/// The registered schema of a subject and its id, if there is one.
///
/// # Errors
/// [`RegistryError::Unavailable`] when the registry does not answer.
pub async fn registered(
    settings: &RegistrySettings,
    subject: &str,
) -> Result<Option<(u32, String)>, RegistryError> {
    let client = client(settings)?;
    match latest(&client, subject).await {
        Ok(found) => Ok(found),
        Err(reason) => {
            Err(RegistryError::Unavailable { url: settings.urls.join(", "), seconds: 0, reason })
        }
    }
}

enum Attempt {
    Final(RegistryError),
    Passing(String),
}

fn client(settings: &RegistrySettings) -> Result<SrSettings, RegistryError> {
    let refuse = |reason: String| RegistryError::Settings(reason);
    let mut urls = settings.urls.iter();
    let first = urls.next().ok_or_else(|| refuse("schema_registry.url is empty".to_owned()))?;
    let mut builder: SrSettingsBuilder = SrSettings::new_builder(first.clone());
    for url in urls {
        builder.add_url(url.clone());
    }
    match &settings.credentials {
        Credentials::Nothing => {}
        Credentials::Basic(user, password) => {
            builder.set_basic_authorization(user, Some(password));
        }
        Credentials::Bearer { token, file } => {
            // a file that cannot be read just now is being written
            let newest = file.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
            let newest = newest.as_deref().map(str::trim).filter(|text| !text.is_empty());
            builder.set_token_authorization(newest.unwrap_or_else(|| token.expose_secret()));
        }
    }
    builder.set_timeout(settings.timeout);
    let mut http = reqwest::Client::builder();
    if let Some(pem) = &settings.ca_pem {
        let authority = reqwest::Certificate::from_pem(pem).map_err(|e| refuse(e.to_string()))?;
        http = http.add_root_certificate(authority);
    }
    builder.build_with(http).map_err(|error| refuse(causes::unmade(cause(&error))))
}

async fn latest(client: &SrSettings, subject: &str) -> Result<Option<(u32, String)>, String> {
    let strategy = SubjectNameStrategy::RecordNameStrategy(subject.to_owned());
    match get_schema_by_subject(client, &strategy).await {
        Ok(found) => Ok(Some((found.id, found.schema))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(brief(&error)),
    }
}

async fn attempt(
    client: &SrSettings,
    subject: &str,
    schema: &str,
    mode: Mode,
) -> Result<Registered, Attempt> {
    let existing = latest(client, subject).await.map_err(Attempt::Passing)?;
    let spelled = spelled(schema);
    if let Some((id, text)) = &existing
        && same(text, schema)
        && (mode == Mode::Require || *text == spelled)
    {
        return Ok(Registered { id: *id, is_spelled_ours: *text == spelled });
    }
    if mode == Mode::Require {
        let subject = subject.to_owned();
        return Err(Attempt::Final(match existing {
            None => RegistryError::Missing { subject },
            Some((_, text)) => {
                RegistryError::Incompatible { subject, differences: differences(&text, schema) }
            }
        }));
    }
    let supplied = SuppliedSchema::new(None, SchemaType::Avro, spelled);
    match post_schema(client, subject.to_owned(), supplied).await {
        Ok(registered) => Ok(Registered { id: registered.id, is_spelled_ours: true }),
        Err(error) if is_incompatible(&error) => {
            let old = existing.map(|(_, text)| text).unwrap_or_default();
            let differences = differences(&old, schema);
            Err(Attempt::Final(RegistryError::Incompatible {
                subject: subject.to_owned(),
                differences,
            }))
        }
        Err(error) => Err(Attempt::Passing(brief(&error))),
    }
}

/// What the library wraps says more than the wrapping.
fn cause(error: &SRCError) -> &dyn std::error::Error {
    error.source().unwrap_or(error)
}

/// What went wrong and why, without the library's own remarks, and not whole schemas.
fn brief(error: &SRCError) -> String {
    let short = |text: &str| text.chars().take(300).collect::<String>();
    let why = match (error.source(), &error.cause) {
        (Some(source), _) => Some(causes::chain(source)),
        (None, cause) => cause.clone(),
    };
    let what = short(&error.error);
    why.map_or_else(|| what.clone(), |why| format!("{what}: {}", short(&why)))
}

/// What it answered, as status and code: a host that is away has said nothing.
fn answered(error: &SRCError, codes: &[&str]) -> bool {
    let said = error.source().and_then(|source| source.downcast_ref::<RawError>());
    said.is_some_and(|said| {
        let code = said.error_code.to_string();
        let status = |of: &&str| error.error.contains(&format!("status {of}"));
        codes.iter().any(|of| code == *of || status(of))
    })
}

fn is_missing(error: &SRCError) -> bool {
    answered(error, &["404", "40401", "40402"])
}

fn is_incompatible(error: &SRCError) -> bool {
    answered(error, &["409", "42201"]) || error.to_string().contains("ncompatible")
}

/// The text as Avro for Java writes it, by which Confluent's converter looks a schema up: without
/// whitespace. The order of keys is that of our files.
fn spelled(schema: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let kept = schema.chars().filter(|c| {
        inside ^= *c == '"' && !escaped;
        escaped = inside && *c == '\\' && !escaped;
        inside || !c.is_ascii_whitespace()
    });
    kept.collect()
}

/// Equal but for whitespace and the order of keys.
fn same(a: &str, b: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    parse(a).is_some() && parse(a) == parse(b)
}

/// Field by field: what is only registered, what is only ours, what differs.
#[must_use]
pub fn differences(registered: &str, ours: &str) -> String {
    let fields = |text: &str| -> std::collections::BTreeMap<String, String> {
        let schema: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let fields = schema["fields"].as_array().cloned().unwrap_or_default();
        let pair = |field: &serde_json::Value| {
            let shape = serde_json::json!({"type": field["type"], "default": field.get("default")});
            (field["name"].as_str().unwrap_or_default().to_owned(), shape.to_string())
        };
        fields.iter().map(pair).collect()
    };
    let (theirs, ours) = (fields(registered), fields(ours));
    let mut lines = Vec::new();
    for (name, shape) in &theirs {
        match ours.get(name) {
            None => lines.push(format!("  - {name}: {shape}")),
            Some(mine) if mine != shape => {
                lines.push(format!("  - {name}: {shape}\n  + {name}: {mine}"));
            }
            Some(_) => {}
        }
    }
    let added = ours.iter().filter(|(name, _)| !theirs.contains_key(*name));
    lines.extend(added.map(|(name, shape)| format!("  + {name}: {shape}")));
    if lines.is_empty() {
        lines.push("  (the fields are equal; name, namespace or documentation differ)".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_spelled_without_the_whitespace_outside_of_its_strings() {
        let text = "{ \"doc\" : \"a \\\" b\\\\\" ,\n \"x\": [1, 2]}";
        assert_eq!(spelled(text), "{\"doc\":\"a \\\" b\\\\\",\"x\":[1,2]}");
    }

    #[test]
    fn a_host_that_is_away_has_refused_nothing_whatever_its_address() {
        let refused = std::io::Error::other("http://registry:4040/subjects: connection refused");
        let away = SRCError::retryable_with_cause(refused, "http call to schema registry failed");
        assert!(!is_missing(&away) && !is_incompatible(&away));
        let text = "http call to schema registry failed: http://registry:4040/subjects: connection refused";
        assert_eq!(brief(&away), text);
        let raw: RawError = serde_json::from_str(r#"{"error_code":40401,"message":"no"}"#).unwrap();
        let answer = "HTTP request to schema registry failed with status 404 Not Found";
        let missing = SRCError::non_retryable_with_cause(raw, answer);
        assert!(is_missing(&missing) && !is_incompatible(&missing));
    }

    #[test]
    fn a_schema_that_is_quoted_is_cut() {
        let long = SRCError::non_retryable_with_cause("x".repeat(9_000), &"y".repeat(9_000));
        assert_eq!(brief(&long).len(), 602);
    }

    #[test]
    fn a_difference_names_the_field_and_both_shapes() {
        let old = r#"{"fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}"#;
        let new = r#"{"fields":[{"name":"a","type":"long"},{"name":"c","type":"string"}]}"#;
        let text = differences(old, new);
        for part in ["- a: ", "+ a: ", "\"long\"", "- b: ", "+ c: "] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
