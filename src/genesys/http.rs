//! The calls over reqwest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::causes;
use crate::clock::Clock;
use crate::proxy::{Proxies, ProxySettings};

use super::headers::{self, Window};
use super::{Created, Listed, PlatformError, Subscribed, Token};
use trunkline_protocol::discovery::{Division, Object};
use trunkline_protocol::subscriptions::Answered;

/// Speaks to one platform. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    pub(super) clock: Clock,
    login: String,
    api: String,
}

/// A result, and what the headers say about the window.
pub type Answer<T> = (Result<T, PlatformError>, Option<Window>);

#[derive(Deserialize)]
struct TokenBody {
    access_token: SecretString,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct ChannelBody {
    id: String,
    #[serde(rename = "connectUri")]
    uri: String,
    expires: Option<String>,
}

#[derive(Deserialize)]
struct Limit {
    key: String,
    value: Option<u64>,
}

#[derive(Deserialize)]
struct Entities<T> {
    #[serde(default = "Vec::new")]
    entities: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopicBody {
    id: String,
    state: Option<String>,
    rejection_reason: Option<String>,
    #[serde(default)]
    missing_permissions: Vec<String>,
}

#[derive(Deserialize)]
struct IdBody {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageBody {
    #[serde(default)]
    entities: Vec<ObjectBody>,
    page_count: Option<u32>,
}

#[derive(Deserialize)]
struct ObjectBody {
    id: String,
    name: Option<String>,
    division: Option<DivisionBody>,
}

#[derive(Deserialize)]
struct DivisionBody {
    id: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct TokenInfo {
    organization: Option<IdBody>,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    code: Option<String>,
    error: Option<String>,
    message: Option<String>,
}

const DAY: Duration = Duration::from_secs(86_400);

fn proxy(own: &ProxySettings) -> Result<reqwest::Proxy, reqwest::Error> {
    let proxy = reqwest::Proxy::all(own.url.as_str())?;
    let proxy = match &own.credentials {
        Some((user, password)) => proxy.basic_auth(user, password.expose_secret()),
        None => proxy,
    };
    Ok(proxy.no_proxy(reqwest::NoProxy::from_string(&own.except.join(","))))
}

/// A client of requests that takes so long at most for one.
///
/// # Errors
/// Says what is wrong with the file of authorities or the proxy.
pub fn client(
    ca_file: Option<&Path>,
    proxies: &Proxies,
    timeout: Duration,
) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .user_agent(concat!("trunkline/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_file {
        let shown = path.display();
        let pem = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| format!("{shown} holds no PEM certificate: {error}"))?;
        if certificates.is_empty() {
            return Err(format!("{shown} holds no PEM certificate"));
        }
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let Some(own) = proxies.own() {
        builder = builder.proxy(proxy(own).map_err(|error| error.to_string())?);
    }
    builder.build().map_err(|error| causes::unmade(&error))
}

impl Http {
    /// Calls `login` and `api`, base URLs without a slash at the end.
    ///
    /// # Errors
    /// Says what is wrong with the file of authorities; a start-up error.
    pub fn new(
        login: &str,
        api: &str,
        ca_file: Option<&Path>,
        proxies: &Proxies,
        timeout: Duration,
        clock: Clock,
    ) -> Result<Self, String> {
        let client = client(ca_file, proxies, timeout)?;
        Ok(Self { client, clock, login: login.to_owned(), api: api.to_owned() })
    }

    /// Base URL of the login host.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// `POST /oauth/token`.
    pub async fn token(&self, id: &str, secret: &SecretString) -> Answer<Token> {
        let request = self
            .client
            .post(format!("{}/oauth/token", self.login))
            .basic_auth(id, Some(secret.expose_secret()))
            .form(&[("grant_type", "client_credentials")]);
        let (body, window) = json::<TokenBody>(self.clock, request).await;
        let token = body.map(|(body, _)| Token {
            text: body.access_token,
            life: body.expires_in.map_or(DAY, Duration::from_secs),
        });
        (token, window)
    }

    /// `GET /api/v2/tokens/me`: the organisation's id.
    pub async fn organization(&self, token: &SecretString) -> Answer<String> {
        let request = self.api(Method::GET, "/api/v2/tokens/me", token);
        let (body, window) = json::<TokenInfo>(self.clock, request).await;
        let org = body.and_then(|(body, _)| {
            let org = body.organization.ok_or(PlatformError::Unreadable("no organization"))?;
            Ok(org.id)
        });
        (org, window)
    }

    /// `GET …/limits/namespaces/{namespace}`: what is in force, by key. The reply's field names are documented by
    /// the platform's own clients, its keys by what they were seen to be.
    pub async fn limits(
        &self,
        token: &SecretString,
        namespace: &str,
    ) -> Answer<BTreeMap<String, u64>> {
        let path = format!("/api/v2/organizations/limits/namespaces/{namespace}");
        let request = self.api(Method::GET, &path, token);
        let (body, window) = json::<Entities<Limit>>(self.clock, request).await;
        let value = |limit: Limit| Some((limit.key, limit.value?));
        (body.map(|(body, _)| body.entities.into_iter().filter_map(value).collect()), window)
    }

    /// `GET …/channels?includechannels=oauthclient`: how many there are.
    pub async fn count_channels(&self, token: &SecretString) -> Answer<u32> {
        let path = "/api/v2/notifications/channels?includechannels=oauthclient";
        let (body, window) =
            json::<Entities<serde::de::IgnoredAny>>(self.clock, self.api(Method::GET, path, token))
                .await;
        (body.map(|(body, _)| u32::try_from(body.entities.len()).unwrap_or(u32::MAX)), window)
    }

    /// `POST …/channels`.
    pub async fn create_channel(&self, token: &SecretString) -> Answer<Created> {
        let request = self.api(Method::POST, "/api/v2/notifications/channels", token);
        let (body, window) = json::<ChannelBody>(self.clock, request).await;
        let created = body.map(|(body, date)| {
            let life =
                body.expires.as_deref().and_then(|expires| headers::life(expires, date.as_deref()));
            Created { id: body.id, uri: body.uri, life: life.unwrap_or(DAY) }
        });
        (created, window)
    }

    /// `PUT …/subscriptions?ignoreErrors=true`: the whole list.
    pub async fn subscribe(
        &self,
        token: &SecretString,
        channel: &str,
        topics: &BTreeSet<String>,
    ) -> Answer<Subscribed> {
        let path =
            format!("/api/v2/notifications/channels/{channel}/subscriptions?ignoreErrors=true");
        let list: Vec<serde_json::Value> =
            topics.iter().map(|topic| serde_json::json!({"id": topic})).collect();
        let request = self.api(Method::PUT, &path, token).json(&list);
        let (body, window) = json::<Entities<TopicBody>>(self.clock, request).await;
        let answered = |entity: TopicBody| Answered {
            permitted: entity.state.as_deref().is_none_or(|state| state == "Permitted"),
            topic: entity.id,
            reason: entity.rejection_reason,
            missing_permissions: entity.missing_permissions,
        };
        (body.map(|(body, _)| body.entities.into_iter().map(answered).collect()), window)
    }

    /// `GET …/subscriptions`.
    pub async fn subscriptions(&self, token: &SecretString, channel: &str) -> Answer<Listed> {
        let path = format!("/api/v2/notifications/channels/{channel}/subscriptions");
        let (body, window) =
            json::<Entities<IdBody>>(self.clock, self.api(Method::GET, &path, token)).await;
        (body.map(|(body, _)| body.entities.into_iter().map(|topic| topic.id).collect()), window)
    }

    /// One page of a listing, e.g. `/api/v2/routing/queues`; and whether it is the last.
    pub async fn page(
        &self,
        token: &SecretString,
        path: &str,
        page: u32,
    ) -> Answer<(Vec<Object>, bool)> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}pageSize=100&pageNumber={page}");
        let (body, window) =
            json::<PageBody>(self.clock, self.api(Method::GET, &path, token)).await;
        let objects = body.map(|(body, _)| {
            let last =
                body.page_count.is_none_or(|count| page >= count) || body.entities.is_empty();
            (body.entities.into_iter().map(object).collect(), last)
        });
        (objects, window)
    }

    pub(super) fn api(&self, method: Method, path: &str, token: &SecretString) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.api))
            .bearer_auth(token.expose_secret())
    }
}

fn object(body: ObjectBody) -> Object {
    let division = body
        .division
        .map(|division| Division { id: division.id, name: division.name.unwrap_or_default() });
    Object { id: body.id, name: body.name.unwrap_or_default(), division }
}

pub(super) async fn json<T: DeserializeOwned>(
    clock: Clock,
    request: RequestBuilder,
) -> Answer<(T, Option<String>)> {
    let (answer, window) = answered(clock, request).await;
    let read = answer.and_then(|(body, date)| {
        let read = serde_json::from_slice(&body);
        let read = read.map_err(|_| PlatformError::Unreadable("unexpected shape"))?;
        Ok((read, date))
    });
    (read, window)
}

/// The body of an answer that is no error, and its date.
pub(super) async fn answered(
    clock: Clock,
    request: RequestBuilder,
) -> Answer<(Bytes, Option<String>)> {
    let sent = clock.mono();
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return (Err(PlatformError::NoAnswer(word(&error))), None),
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let window = headers::window(&headers);
    let date = headers::date(&headers).map(str::to_owned);
    if let Some(shown) = date.as_deref().and_then(headers::instant)
        && clock.server_answered(sent, clock.mono(), shown)
    {
        tracing::warn!(code = "clock_stepped", "the platform's clock or ours was set");
    }
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return (Err(PlatformError::NoAnswer(word(&error))), window),
    };
    if !status.is_success() {
        let said: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
        let hint = headers::hint(&headers);
        let missing = said.message.filter(|_| status == 403);
        let code = said.code.or(said.error);
        let status = status.as_u16();
        return (Err(PlatformError::Status { status, code, missing, hint }), window);
    }
    (Ok((body, date)), window)
}

/// The kind of failure; the library's own text may hold a URL.
#[must_use]
pub fn word(error: &reqwest::Error) -> &'static str {
    let mut causes = std::iter::successors(std::error::Error::source(error), |e| e.source());
    if causes.any(|cause| cause.to_string().contains("certificate")) {
        "its certificate is not accepted"
    } else if error.is_timeout() {
        "time-out"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "connection lost"
    }
}
