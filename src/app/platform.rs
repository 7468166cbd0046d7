//! What the configuration means for the platform: the way there, clients, topics, sockets.

use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use trunkline_protocol::domain::Dice;
use trunkline_protocol::gate::{Endpoint, Priority};
use trunkline_protocol::seats::Seats;
use trunkline_protocol::timings::Timings;

use crate::clock::Clock;
use crate::config::{Config, Ids, IdsWord, Mode, Secret};
use crate::control::direct::{self, DirectSettings};
use crate::control::{Client, ClientSettings, Control, Source, TopicSettings, Wanted};
use crate::error::{ExitCode, ProcessError};
use crate::genesys::PlatformError;
use crate::genesys::http::Http;
use crate::genesys::regions::domain_of;
use crate::observe::metrics::Metrics;
use crate::orders::Rotate;
use crate::proxy::{Proxies, ProxySettings};
use crate::supervisor::Supervisor;

/// The way out, as configured.
///
/// # Errors
/// When the address of the proxy is none; validation has looked at it.
pub fn proxies(config: &Config) -> Result<Proxies, ProcessError> {
    let proxy = &config.genesys.proxy;
    let Some(url) = &proxy.url else { return Ok(Proxies::new(None)) };
    let url = url::Url::parse(url)
        .map_err(|_| ProcessError::text(ExitCode::Config, "genesys.proxy.url is no URL"))?;
    let password = || proxy.password.as_ref().map_or_else(|| "".into(), Secret::secret);
    let credentials = proxy.username.clone().map(|user| (user, password()));
    Ok(Proxies::new(Some(ProxySettings { url, credentials, except: proxy.except.clone() })))
}

/// The platform as configured.
///
/// # Errors
/// When the region or the file of authorities is wrong.
pub fn http(config: &Config, timeout: Duration, clock: Clock) -> Result<Http, ProcessError> {
    let genesys = &config.genesys;
    let domain = genesys.region.as_deref().and_then(domain_of).unwrap_or_default();
    let base = |given: &Option<String>, host: &str| {
        let url = given.clone().unwrap_or_else(|| format!("https://{host}.{domain}"));
        url.trim_end_matches('/').to_owned()
    };
    let (login, api) = (base(&genesys.login_url, "login"), base(&genesys.api_url, "api"));
    let proxies = proxies(config)?;
    Http::new(&login, &api, genesys.ca_file.as_deref(), &proxies, timeout, clock).map_err(
        |problem| ProcessError::text(ExitCode::Config, format!("genesys.ca_file: {problem}")),
    )
}

/// Starts the OAuth clients.
pub fn clients(
    config: &Config,
    http: &Http,
    timings: &Timings,
    clock: Clock,
    metrics: &Metrics,
    dice: &mut Dice,
    supervisor: &mut Supervisor,
) -> Vec<Client> {
    let each = |(index, settings): (usize, ClientSettings)| {
        let (metrics, dice) = (metrics.control.clone(), Dice::new(dice.next_u64()));
        Client::start(index, settings, http.clone(), timings, clock, metrics, dice, supervisor)
    };
    client_settings(config).enumerate().map(each).collect()
}

pub(super) fn client_settings(config: &Config) -> impl Iterator<Item = ClientSettings> {
    config.genesys.clients.iter().enumerate().map(|(index, client)| ClientSettings {
        id: client.id.clone().unwrap_or_default(),
        secret: client.secret.as_ref().map_or_else(|| SecretString::from(""), Secret::secret),
        requests_per_minute: config.genesys.requests_per_minute,
        processes: config.genesys.processes_per_client,
        held: config.spool.enabled.then(|| config.spool.dir.join(format!("held-{index}.json"))),
    })
}

/// The organisation's id, from the first client; waits for the platform as long as it takes.
///
/// # Errors
/// When the login host refuses a client.
pub async fn org_id(clients: &[Client]) -> Result<String, ProcessError> {
    for client in clients {
        client
            .proven()
            .await
            .map_err(|refused| ProcessError::new(ExitCode::Permission, &refused))?;
    }
    let Some(client) = clients.first() else {
        return Err(ProcessError::text(ExitCode::Config, "genesys.clients is empty"));
    };
    loop {
        let asked = client
            .call(Endpoint::Listing, Priority::StartReconnect, |http, token| async move {
                http.organization(&token).await
            })
            .await;
        match asked {
            Ok(org) => return Ok(org),
            Err(error) => {
                tracing::warn!(code = "organization_unknown", error = %error, "the organisation's id is not known yet");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Channels of so many shards, as this process gives them to its clients.
#[must_use]
pub fn seats(config: &Config, shards: usize) -> Seats {
    let genesys = &config.genesys;
    let (clients, processes) = (genesys.clients.len(), genesys.processes_per_client);
    let mut seats = Seats::new(genesys.channels_per_shard, clients, processes);
    seats.grow(u16::try_from(shards).unwrap_or(u16::MAX));
    seats
}

/// Topics as configured.
#[must_use]
pub fn topic_settings(config: &Config) -> TopicSettings {
    let source = |ids: &Ids| match ids {
        Ids::Word(IdsWord::Discover) => Source::Discover,
        Ids::Word(IdsWord::None) => Source::None,
        Ids::List(ids) => Source::Ids(ids.clone()),
    };
    let subscriptions = &config.subscriptions;
    TopicSettings {
        queues: source(&subscriptions.queues),
        users: source(&subscriptions.users),
        queue_filter: subscriptions.queue_filter.filter(),
        user_filter: subscriptions.user_filter.filter(),
        media: subscriptions.media.iter().map(|media| media.as_str()).collect(),
        extra: subscriptions.topics.clone(),
        refresh: Duration::from_secs(subscriptions.refresh_secs.max(1)),
        requests_per_minute: config.genesys.requests_per_minute
            / config.genesys.processes_per_client.max(1),
    }
}

/// What would be subscribed, by shard, and what of the listings it is.
///
/// # Errors
/// When a permission is refused, or the platform does not answer.
pub async fn plan(config: &Config, clients: &[Client]) -> Result<Wanted, ProcessError> {
    let Some(client) = clients.first() else {
        return Err(ProcessError::text(ExitCode::Config, "genesys.clients is empty"));
    };
    Control::wanted(&topic_settings(config), client).await.map_err(|error| platform_error(&error))
}

/// The exit code of a refusal of the platform.
#[must_use]
pub fn platform_error(error: &PlatformError) -> ProcessError {
    let denied = error.status() == Some(403);
    let code = if denied { ExitCode::Permission } else { ExitCode::Unavailable };
    ProcessError::new(code, error)
}

/// How long a command waits for the platform.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the platform was asked for, if it answers within a minute.
///
/// # Errors
/// When it does not.
pub async fn in_time<T>(
    asked: impl Future<Output = Result<T, ProcessError>>,
) -> Result<T, ProcessError> {
    let silent = || ProcessError::text(ExitCode::Unavailable, "the platform does not answer");
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(silent()))
}

/// Hears: over channels, or one configured URL.
///
/// # Errors
/// When the URL is none, or there is no client.
pub fn spawn_control(
    config: &Config,
    control: Control,
    clients: Vec<Client>,
    orders: mpsc::Receiver<Rotate>,
    stopping: watch::Receiver<bool>,
    supervisor: &mut Supervisor,
) -> Result<(), ProcessError> {
    match config.genesys.mode {
        Mode::Channels => {
            supervisor.spawn("control", control.run(clients, orders, stopping));
        }
        Mode::Direct => {
            let settings = direct_settings(config)?;
            let Some(client) = clients.into_iter().next() else {
                return Err(ProcessError::text(ExitCode::Config, "genesys.clients is empty"));
            };
            supervisor.spawn("control", direct::run(control, settings, client, stopping));
        }
        Mode::Eventbridge => {
            let text = "genesys.mode is eventbridge: nothing is heard on a socket; allowed: channels or direct";
            return Err(ProcessError::text(ExitCode::Config, text));
        }
    }
    Ok(())
}

pub(super) fn direct_settings(config: &Config) -> Result<DirectSettings, ProcessError> {
    let direct = &config.genesys.direct;
    let url = direct.url.as_deref().unwrap_or_default();
    let url = url::Url::parse(url)
        .map_err(|_| ProcessError::text(ExitCode::Config, "genesys.direct.url is no URL"))?;
    Ok(DirectSettings {
        url,
        token_parameter: direct.token_parameter.clone(),
        lifetime: Duration::from_secs(direct.expected_lifetime_secs.max(1)),
        connections: direct.connections,
        dials_per_minute: direct.dials_per_minute,
        processes: config.genesys.processes_per_client,
        silence: Duration::from_secs(direct.silence_secs.max(2)),
    })
}
