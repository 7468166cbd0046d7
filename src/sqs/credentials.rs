//! Where the credentials come from that sign requests: the configuration, the environment, a web
//! identity (a service account of EKS), or the endpoint of a container (ECS, EKS Pod Identity).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::Credentials;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use trunkline_protocol::domain::Wall;

use super::SqsError;
use crate::clock::Clock;
use crate::genesys::http::word;

/// Where from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Keys that stay.
    Keys {
        /// The id.
        id: String,
        /// The secret.
        secret: SecretString,
        /// Of a session.
        token: Option<SecretString>,
    },
    /// A token in a file is exchanged for keys of a role.
    WebIdentity {
        /// The file, written anew by whoever mounts it.
        file: PathBuf,
        /// The role's name.
        role: String,
        /// Names the session in logs of AWS.
        session: String,
        /// Base URL of the token service.
        endpoint: String,
    },
    /// Keys of a task or pod.
    Container {
        /// Where they are given.
        url: String,
        /// A file with what must be shown for them.
        file: Option<PathBuf>,
        /// The same, as a text.
        token: Option<SecretString>,
    },
}

impl Source {
    /// The first that the environment has, as AWS's own tools take them, those of files in a home folder and of
    /// an EC2 instance excepted.
    #[must_use]
    pub fn of(environment: &BTreeMap<String, String>, region: &str) -> Option<Self> {
        let get = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        let secret = |name: &str| get(name).map(SecretString::from);
        if let Some((id, key)) = get("AWS_ACCESS_KEY_ID").zip(secret("AWS_SECRET_ACCESS_KEY")) {
            return Some(Self::Keys { id, secret: key, token: secret("AWS_SESSION_TOKEN") });
        }
        if let Some((file, role)) = get("AWS_WEB_IDENTITY_TOKEN_FILE").zip(get("AWS_ROLE_ARN")) {
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            let own = get("AWS_ENDPOINT_URL_STS").or_else(|| get("AWS_ENDPOINT_URL"));
            let endpoint =
                own.unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com{suffix}"));
            let session = get("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "trunkline".to_owned());
            return Some(Self::WebIdentity { file: file.into(), role, session, endpoint });
        }
        let relative = get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let url = relative
            .map(|path| format!("http://169.254.170.2{path}"))
            .or_else(|| get("AWS_CONTAINER_CREDENTIALS_FULL_URI"))?;
        let file = get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from);
        Some(Self::Container { url, file, token: secret("AWS_CONTAINER_AUTHORIZATION_TOKEN") })
    }

    /// In words, without a secret.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Keys { id, .. } => format!("access key {id}"),
            Self::WebIdentity { role, .. } => format!("web identity for {role}"),
            Self::Container { url, .. } => format!("the container's credentials of {url}"),
        }
    }
}

/// What is said when there is none.
pub const NONE: &str = "allowed: genesys.eventbridge.access_key_id with secret_access_key_file, or from the environment AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, or AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// Keys that end are asked for again so long before.
const AHEAD: Duration = Duration::from_secs(300);

/// Gives credentials that are good for the next request.
pub struct Provider {
    source: Source,
    client: reqwest::Client,
    clock: Clock,
    known: Mutex<Option<(Credentials, Wall)>>,
}

impl Provider {
    /// Asks with this client.
    #[must_use]
    pub fn new(source: Source, client: reqwest::Client, clock: Clock) -> Self {
        Self { source, client, clock, known: Mutex::new(None) }
    }

    /// In words, without a secret.
    #[must_use]
    pub fn shown(&self) -> String {
        self.source.shown()
    }

    /// Those in force.
    ///
    /// # Errors
    /// When there are none, and why.
    pub async fn get(&self) -> Result<Credentials, SqsError> {
        if let Source::Keys { id, secret, token } = &self.source {
            let token = token.as_ref().map(|token| token.expose_secret().to_owned());
            let secret = secret.expose_secret();
            return Ok(Credentials::new(id, secret, token, None, "trunkline"));
        }
        let mut known = self.known.lock().await;
        let now = self.clock.now().wall;
        if let Some((credentials, until)) = known.as_ref()
            && now < until.minus(AHEAD)
        {
            return Ok(credentials.clone());
        }
        match self.ask().await {
            Ok(fresh) => Ok(known.insert(fresh).0.clone()),
            // those at hand serve to their end
            Err(error) => match known.as_ref().filter(|(_, until)| now < *until) {
                Some((credentials, _)) => Ok(credentials.clone()),
                None => Err(error),
            },
        }
    }

    async fn ask(&self) -> Result<(Credentials, Wall), SqsError> {
        let request = match &self.source {
            Source::Keys { .. } => return Err(SqsError::Credentials(NONE.to_owned())),
            Source::WebIdentity { file, role, session, endpoint } => {
                let token = read(file)?;
                self.client.post(endpoint).form(&[
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", role),
                    ("RoleSessionName", session),
                    ("WebIdentityToken", &token),
                ])
            }
            Source::Container { url, file, token } => {
                let request = self.client.get(url);
                let text = match (file, token) {
                    (Some(file), _) => Some(read(file)?),
                    (None, token) => token.as_ref().map(|token| token.expose_secret().to_owned()),
                };
                match text {
                    Some(text) => request.header("Authorization", text),
                    None => request,
                }
            }
        };
        let shown = self.shown();
        let failed = |text: &str| SqsError::Credentials(format!("{shown}: {text}"));
        let answer = request.send().await.map_err(|error| failed(word(&error)))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| failed(word(&error)))?;
        if !status.is_success() {
            let code = tag(&text, "Code").unwrap_or_default();
            return Err(failed(&format!("the answer is {} {code}", status.as_u16())));
        }
        let granted = match text.trim_start().starts_with('<') {
            true => Granted::of_xml(&text),
            false => serde_json::from_str(&text).ok(),
        };
        let granted = granted.ok_or_else(|| failed("the answer cannot be read"))?;
        let until: jiff::Timestamp =
            granted.expiration.parse().map_err(|_| failed("it does not say when they end"))?;
        let keys =
            Credentials::new(granted.id, granted.secret, Some(granted.token), None, "trunkline");
        Ok((keys, Wall(until.as_millisecond())))
    }
}

#[derive(Deserialize)]
struct Granted {
    #[serde(rename = "AccessKeyId")]
    id: String,
    #[serde(rename = "SecretAccessKey")]
    secret: String,
    #[serde(rename = "Token")]
    token: String,
    #[serde(rename = "Expiration")]
    expiration: String,
}

impl Granted {
    /// The token service answers in XML.
    fn of_xml(text: &str) -> Option<Self> {
        let of = |name| tag(text, name).map(str::to_owned);
        Some(Self {
            id: of("AccessKeyId")?,
            secret: of("SecretAccessKey")?,
            token: of("SessionToken")?,
            expiration: of("Expiration")?,
        })
    }
}

/// What stands in an element of this name, the first one.
fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(inside, _)| inside.trim())
}

fn read(file: &std::path::Path) -> Result<String, SqsError> {
    let text = std::fs::read_to_string(file);
    text.map(|text| text.trim().to_owned())
        .map_err(|error| SqsError::Credentials(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Option<String> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Source::of(&pairs.collect(), "eu-central-1").map(|source| source.shown())
    }

    #[test]
    fn the_environment_names_keys_before_a_role_and_a_role_before_a_container() {
        let keys = [("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "s3cret")];
        let role =
            [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")];
        let pod = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")];
        let all = [&keys[..], &role, &pod].concat();
        assert_eq!(of(&all).as_deref(), Some("access key AKIA1"));
        let some = [&role[..], &pod].concat();
        assert_eq!(of(&some).as_deref(), Some("web identity for arn:aws:iam::1:role/r"));
        let url = "the container's credentials of http://169.254.170.2/v2/x";
        assert_eq!(of(&pod).as_deref(), Some(url));
        assert_eq!(of(&keys[..1]), None, "half a key is none");
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_the_token_service_grants_is_read() {
        let text = "<R><Credentials><SessionToken> t/1== </SessionToken><SecretAccessKey>s</SecretAccessKey>\
            <Expiration>2026-11-28T08:00:00Z</Expiration><AccessKeyId>ASIA</AccessKeyId></Credentials></R>";
        let granted = Granted::of_xml(text).unwrap();
        assert_eq!((&*granted.id, &*granted.token), ("ASIA", "t/1=="));
        assert!(Granted::of_xml("<Error><Code>AccessDenied</Code></Error>").is_none());
    }
}
