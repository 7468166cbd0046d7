//! The calls to Kafka Connect over reqwest (documented: REST interface of Kafka Connect 4).

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::{StagingError, StagingSettings};
use crate::genesys::http::{client, word};
use crate::proxy::Proxies;

/// A connector's configuration.
pub type ConnectorConfig = BTreeMap<String, String>;

/// Speaks to one cluster of workers. Cheap to clone.
#[derive(Clone)]
pub struct Connect {
    client: reqwest::Client,
    base: Url,
    credentials: Option<(String, SecretString)>,
}

/// What a connector or a task is doing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct State {
    /// `RUNNING`, `FAILED`, `PAUSED`, `STOPPED`, `UNASSIGNED`, `RESTARTING`.
    pub state: String,
    /// Of a task: its number.
    #[serde(default)]
    pub id: u32,
    #[serde(default)]
    pub(super) trace: String,
}

impl State {
    /// Whether it says that it runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.state == "RUNNING"
    }

    /// The first line of what ended it.
    #[must_use]
    pub fn why(&self) -> String {
        first_line(&self.trace)
    }
}

/// A connector and its tasks.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Status {
    /// The connector itself.
    pub connector: State,
    /// Its tasks.
    #[serde(default)]
    pub tasks: Vec<State>,
}

/// What a plugin says of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// What is wrong with keys, by key.
    pub errors: BTreeMap<String, Vec<String>>,
    /// Keys that are declared, and whether they hold a secret.
    pub declared: BTreeMap<String, bool>,
}

#[derive(Deserialize)]
struct Root {
    version: String,
}

#[derive(Deserialize)]
struct ValidationBody {
    #[serde(default)]
    configs: Vec<KeyBody>,
}

#[derive(Deserialize)]
struct KeyBody {
    definition: Option<Definition>,
    value: ValueBody,
}

#[derive(Deserialize)]
struct Definition {
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct ValueBody {
    name: String,
    #[serde(default)]
    errors: Vec<String>,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: String,
}

/// What is read of an answer: the definitions of a plugin are some 200 KB.
const ANSWER: usize = 8 << 20;
/// What is shown of a line.
const LINE: usize = 300;

pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().chars().take(LINE).collect()
}

impl Connect {
    /// Calls the workers behind `settings.url`.
    ///
    /// # Errors
    /// Says what is wrong with the file of authorities.
    pub fn new(settings: &StagingSettings) -> Result<Self, StagingError> {
        let made = client(settings.ca_file.as_deref(), &Proxies::new(None), settings.timeout);
        let client = made.map_err(StagingError::Settings)?;
        let credentials = settings.credentials.clone();
        Ok(Self { client, base: settings.url.clone(), credentials })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// The version of the worker that answers.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn version(&self) -> Result<String, StagingError> {
        let root: Option<Root> = self.call(Method::GET, &[], None).await?;
        root.map(|root| root.version).ok_or_else(|| self.unreadable())
    }

    /// What a connector is doing; `None` where there is none of this name.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn status(&self, name: &str) -> Result<Option<Status>, StagingError> {
        self.call(Method::GET, &["connectors", name, "status"], None).await
    }

    /// How a connector is configured; `None` where there is none of this name.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn config(&self, name: &str) -> Result<Option<ConnectorConfig>, StagingError> {
        self.call(Method::GET, &["connectors", name, "config"], None).await
    }

    /// What the plugin says of a configuration.
    ///
    /// # Errors
    /// Whatever keeps it from answering; an unknown plugin among it.
    pub async fn validate(
        &self,
        name: &str,
        config: &ConnectorConfig,
    ) -> Result<Validation, StagingError> {
        let class = config.get("connector.class").map_or("", String::as_str);
        let mut body = json!(config);
        body["name"] = Value::String(name.to_owned());
        let path = ["connector-plugins", class, "config", "validate"];
        let told: Option<ValidationBody> = self.call(Method::PUT, &path, Some(&body)).await?;
        let Some(told) = told else {
            let message = format!("it has no plugin {class}");
            return Err(StagingError::Refused { status: 404, message });
        };
        let mut validation = Validation::default();
        for KeyBody { definition, value: ValueBody { name, errors } } in told.configs {
            if !errors.is_empty() {
                validation.errors.insert(name.clone(), errors);
            }
            if let Some(definition) = definition {
                validation.declared.insert(name, definition.kind == "PASSWORD");
            }
        }
        Ok(validation)
    }

    /// Makes a connector, or gives it another configuration as a whole.
    ///
    /// # Errors
    /// Whatever keeps it from being done.
    pub async fn put(&self, name: &str, config: &ConnectorConfig) -> Result<(), StagingError> {
        let path = ["connectors", name, "config"];
        let put: Option<Value> = self.call(Method::PUT, &path, Some(&json!(config))).await?;
        put.map(|_| ()).ok_or_else(|| self.unreadable())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Option<T>, StagingError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = self.client.request(method, url);
        if let Some((user, password)) = &self.credentials {
            request = request.basic_auth(user, Some(password.expose_secret()));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let lost = |error| StagingError::NoAnswer { url: self.url(), why: word(&error) };
        let mut answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            text.extend_from_slice(&chunk);
            if text.len() > ANSWER {
                return Err(self.unreadable());
            }
        }
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(StagingError::Denied { url: self.url(), status: status.as_u16() })
            }
            status if !status.is_success() => {
                let said: ErrorBody = serde_json::from_slice(&text).unwrap_or_default();
                let message = first_line(&said.message);
                Err(StagingError::Refused { status: status.as_u16(), message })
            }
            _ => serde_json::from_slice(&text).map(Some).map_err(|_| self.unreadable()),
        }
    }

    fn unreadable(&self) -> StagingError {
        StagingError::Unreadable { url: self.url() }
    }
}
