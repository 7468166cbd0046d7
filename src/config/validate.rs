//! What a type cannot say: required fields, ranges, files that hold secrets.

mod eventbridge;
mod staging;
mod subscriptions;

use std::path::Path;

use super::load::{Mistake, Purpose};
use super::{Config, Mode, Proxy, Secret};
use crate::genesys::regions::{REGIONS, domain_of};
use crate::kafka::settings::{FIXED, KafkaSettings};

/// Characters of an admin token: nobody guesses as many.
const TOKEN_LEAST: usize = 16;

/// Checks a configuration and reads the files it names.
pub(super) fn check(
    config: &mut Config,
    purpose: Purpose,
    source: &str,
    mistakes: &mut Vec<Mistake>,
) {
    let mut wrong = |field: &str, problem: String| {
        let (source, field) = (source.to_owned(), field.to_owned());
        mistakes.push(Mistake { source, field, problem });
    };
    if config.genesys.mode == Mode::Eventbridge {
        eventbridge::check(config, &mut wrong);
    } else {
        genesys(config, &mut wrong);
        clients(config, &mut wrong);
    }
    if purpose == Purpose::Run {
        kafka(config, &mut wrong);
        registry(config, &mut wrong);
        staging::check(&mut config.staging, &mut wrong);
    }
    subscriptions::check(config, &mut wrong);
    proxy(&mut config.genesys.proxy, &mut wrong);
    if config.privacy.preset.is_none() {
        wrong(
            "privacy.preset",
            "is required; allowed: none (everything leaves as it came, personal data included), pseudonymous (hashed), strict (masked or dropped)"
                .to_owned(),
        );
    }
    let privacy = &mut config.privacy;
    let (key, file) = (&mut privacy.hash_key, privacy.hash_key_file.as_deref());
    secret(key, file, "privacy.hash_key_file", &mut wrong);
    let admin = &mut config.admin;
    secret(&mut admin.token, admin.token_file.as_deref(), "admin.token_file", &mut wrong);
    if admin.token.as_ref().is_some_and(|token| token.expose().len() < TOKEN_LEAST) {
        let field = if admin.token_file.is_some() { "admin.token_file" } else { "admin.token" };
        wrong(field, format!("is too short; allowed: {TOKEN_LEAST} characters and more"));
    }
    _ = config.policy(&mut wrong);
    let spool = &config.spool;
    if spool.segment_bytes < 1 << 20 || spool.max_bytes / 4 < spool.segment_bytes {
        wrong(
            "spool.max_bytes",
            "must be 4 times segment_bytes or more, and segment_bytes 1048576 or more".to_owned(),
        );
    }
    let others = !config.replicas.is_empty();
    if others && !config.replicas.contains(&config.replica) {
        let (one, all) = (&config.replica, config.replicas.join(", "));
        wrong("replica", format!("is {one}; allowed: one of replicas ({all})"));
    }
    if config.replicas.len() > 1 && !spool.enabled {
        wrong(
            "spool.enabled",
            "is false; allowed with several replicas: true (a standby holds on the disk what it hears)"
                .to_owned(),
        );
    }
    if config.replicas.len() > 1 && config.genesys.mode == Mode::Direct {
        wrong("replicas", "are for mode channels; direct mode runs alone".to_owned());
    }
    if config.replicas.len() > 1 && config.genesys.mode == Mode::Eventbridge {
        wrong(
            "replicas",
            "are for mode channels; any number of processes may take from one queue".to_owned(),
        );
    }
    let flow = &config.flow;
    if flow.dedupe_window_secs < 900 {
        let value = flow.dedupe_window_secs;
        wrong("flow.dedupe_window_secs", format!("is {value}; allowed: 900 and more"));
    }
    if !(16..=1_000_000).contains(&flow.queue_events) {
        let value = flow.queue_events;
        wrong("flow.queue_events", format!("is {value}; allowed: 16 to 1000000"));
    }
    if flow.dedupe_max_events < 10_000 {
        let value = flow.dedupe_max_events;
        wrong("flow.dedupe_max_events", format!("is {value}; allowed: 10000 and more"));
    }
}

fn genesys(config: &Config, wrong: &mut impl FnMut(&str, String)) {
    let genesys = &config.genesys;
    match &genesys.region {
        Some(region) if domain_of(region).is_none() => {
            let names: Vec<&str> = REGIONS.iter().map(|(name, _)| *name).collect();
            wrong(
                "genesys.region",
                format!("is {region:?}; allowed: {}, or their domains", names.join(", ")),
            );
        }
        None if genesys.login_url.is_none() || genesys.api_url.is_none() => {
            wrong(
                "genesys.region",
                "is required, unless login_url and api_url are both given".to_owned(),
            );
        }
        Some(_) | None => {}
    }
    for (field, value) in
        [("genesys.login_url", &genesys.login_url), ("genesys.api_url", &genesys.api_url)]
    {
        if let Some(text) = value
            && !matches!(
                url::Url::parse(text).map(|url| url.scheme().to_owned()).as_deref(),
                Ok("http" | "https")
            )
        {
            wrong(field, format!("is {text:?}; allowed: a URL with http or https"));
        }
    }
    if !(1..=4).contains(&genesys.channels_per_shard) {
        let value = genesys.channels_per_shard;
        wrong("genesys.channels_per_shard", format!("is {value}; allowed: 1 to 4"));
    }
    if genesys.requests_per_minute == 0 || genesys.processes_per_client == 0 {
        wrong("genesys.requests_per_minute", "and processes_per_client must be above 0".to_owned());
    }
    let direct = &genesys.direct;
    if genesys.mode == Mode::Direct {
        let scheme = direct.url.as_deref().map(url::Url::parse);
        match scheme {
            None => wrong("genesys.direct.url", "is required in mode direct".to_owned()),
            Some(Ok(url)) if matches!(url.scheme(), "ws" | "wss") => {}
            Some(_) => wrong("genesys.direct.url", "is no URL with ws or wss".to_owned()),
        }
        if !(1..=2).contains(&direct.connections) {
            let value = direct.connections;
            wrong("genesys.direct.connections", format!("is {value}; allowed: 1 or 2"));
        }
    }
}

fn proxy(proxy: &mut Proxy, wrong: &mut impl FnMut(&str, String)) {
    let file = proxy.password_file.clone();
    secret(&mut proxy.password, file.as_deref(), "genesys.proxy.password_file", wrong);
    let Some(text) = &proxy.url else {
        if proxy.username.is_some() || !proxy.except.is_empty() {
            wrong(
                "genesys.proxy.url",
                "is required with genesys.proxy.username or except".to_owned(),
            );
        }
        return;
    };
    let allowed = "allowed: http://host:port, with username and password_file beside it";
    match url::Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() && url.username().is_empty() => {}
        // it may hold a password
        Ok(url) if !url.username().is_empty() => {
            wrong("genesys.proxy.url", format!("holds credentials; {allowed}"));
        }
        Ok(_) | Err(_) => wrong("genesys.proxy.url", format!("is \"{text}\"; {allowed}")),
    }
}

fn clients(config: &mut Config, wrong: &mut impl FnMut(&str, String)) {
    if config.genesys.clients.is_empty() {
        wrong(
            "genesys.clients",
            "is required: at least one OAuth client with id and secret_file".to_owned(),
        );
    }
    for (index, client) in config.genesys.clients.iter_mut().enumerate() {
        let field = |name: &str| format!("genesys.clients[{index}].{name}");
        if let Some(path) = &client.id_file {
            match std::fs::read_to_string(path) {
                Ok(text) => client.id = Some(text.trim().to_owned()),
                Err(error) => wrong(&field("id_file"), format!("is {}: {error}", path.display())),
            }
        } else if client.id.as_deref().is_none_or(str::is_empty) {
            wrong(&field("id"), "is required, or id_file".to_owned());
        }
        secret(&mut client.secret, client.secret_file.as_deref(), &field("secret_file"), wrong);
        if client.secret.is_none() && client.secret_file.is_none() {
            wrong(&field("secret_file"), "is required, or secret from the environment".to_owned());
        }
    }
}

fn kafka(config: &mut Config, wrong: &mut impl FnMut(&str, String)) {
    let kafka = &mut config.kafka;
    if kafka.bootstrap_servers.is_empty() {
        wrong("kafka.bootstrap_servers", "is required, e.g. broker:9092".to_owned());
    }
    for server in kafka.bootstrap_servers.split(',').filter(|server| !server.is_empty()) {
        let port = server.rsplit_once(':').and_then(|(_, port)| port.trim().parse::<u16>().ok());
        if port.is_none() {
            wrong(
                "kafka.bootstrap_servers",
                format!("holds {server:?}; allowed: host:port, separated by commas"),
            );
        }
    }
    let codecs = ["lz4", "zstd", "snappy", "gzip", "none"];
    if !codecs.contains(&kafka.compression.as_str()) {
        wrong(
            "kafka.compression",
            format!("is {:?}; allowed: {}", kafka.compression, codecs.join(", ")),
        );
    }
    if !(10_000..=100_000_000).contains(&kafka.max_record_bytes) {
        wrong(
            "kafka.max_record_bytes",
            format!("is {}; allowed: 10000 to 100000000", kafka.max_record_bytes),
        );
    }
    if kafka.in_flight_records < 100 || kafka.in_flight_bytes < 1 << 20 {
        wrong(
            "kafka.in_flight_records",
            "must be 100 or more, and in_flight_bytes 1048576 or more".to_owned(),
        );
    }
    let settings = KafkaSettings { overrides: kafka.overrides.clone(), ..KafkaSettings::default() };
    for (key, reason) in settings.refused_overrides() {
        let value = FIXED.iter().find(|(fixed, _, _)| *fixed == key).map_or("", |fixed| fixed.1);
        wrong(&format!("kafka.overrides.{key}"), format!("is fixed at {value}: {reason}"));
    }
    secret(
        &mut kafka.sasl_password,
        kafka.sasl_password_file.as_deref(),
        "kafka.sasl_password_file",
        wrong,
    );
}

fn registry(config: &mut Config, wrong: &mut impl FnMut(&str, String)) {
    let registry = &mut config.schema_registry;
    if registry.url.is_empty() {
        wrong("schema_registry.url", "is required, e.g. http://registry:8081".to_owned());
    }
    let file = registry.password_file.as_deref();
    secret(&mut registry.password, file, "schema_registry.password_file", wrong);
    let file = registry.token_file.as_deref();
    secret(&mut registry.token, file, "schema_registry.token_file", wrong);
    let has_token = registry.token.is_some() || registry.token_file.is_some();
    if has_token && registry.username.is_some() {
        let field = if registry.token_file.is_some() { "token_file" } else { "token" };
        let text = "and username are both there; allowed: one way to authenticate".to_owned();
        wrong(&format!("schema_registry.{field}"), text);
    }
    let is_bad = |token: &Secret| !token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if registry.token.as_ref().is_some_and(is_bad) {
        let field = if registry.token_file.is_some() { "token_file" } else { "token" };
        let text =
            "holds what no header may hold; allowed: visible ASCII without spaces".to_owned();
        wrong(&format!("schema_registry.{field}"), text);
    }
}

/// A secret from its file, without the line's end.
fn secret(
    secret: &mut Option<Secret>,
    file: Option<&Path>,
    field: &str,
    wrong: &mut impl FnMut(&str, String),
) {
    let Some(path) = file else { return };
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => {
            wrong(field, format!("is {}: it is empty", path.display()))
        }
        Ok(text) => *secret = Some(Secret::new(text.trim().to_owned())),
        Err(error) => wrong(field, format!("is {}: {error}", path.display())),
    }
}
