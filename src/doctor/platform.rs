//! The platform: logins, channels, topics, history, its clock.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use trunkline_protocol::channel::CHANNELS_AT_MOST as QUOTA;
use trunkline_protocol::domain::Dice;
use trunkline_protocol::seats::{Lacking, Seats};
use trunkline_protocol::subscriptions::expand;
use trunkline_protocol::timings::Timings;
use trunkline_protocol::topic::class_of;

use super::{Finding, PATIENCE, Verdict, Wish, limits};
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::control::{Control, Wanted};
use crate::genesys::PlatformError;
use crate::genesys::http::Http;
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::supervisor::Supervisor;

/// Places that are left free when a channel is made to find something out.
const SPARE: u32 = 4;
const CLOCK_MS: i64 = 10_000;

/// A client that was let in.
struct Known {
    index: usize,
    token: SecretString,
    free: u32,
}

pub(super) async fn examine(config: &Config, wish: Wish) -> Vec<Finding> {
    let clock = Clock::start();
    let http = match app::http(config, PATIENCE, clock) {
        Ok(http) => http,
        Err(error) => {
            return vec![Finding::fail("login", error.to_string(), "mend genesys.ca_file")];
        }
    };
    let mut findings = Vec::new();
    let way = app::proxies(config).ok();
    let proxy = way.zip(http.login().parse().ok()).and_then(|(way, url)| way.on_the_way(&url));
    findings.extend(proxy.map(|at| Finding::ok("proxy", format!("{at}, to {}", http.login()))));
    let mut known = Vec::new();
    for (index, client) in config.genesys.clients.iter().enumerate() {
        let id = client.id.clone().unwrap_or_default();
        let secret = client.secret.as_ref().map_or_else(|| SecretString::from(""), |s| s.secret());
        match http.token(&id, &secret).await.0 {
            Ok(token) => {
                let hours = token.life.as_secs() / 3_600;
                let text = format!("genesys.clients[{index}] gets a token for {hours} h");
                findings.push(Finding::ok("login", text));
                known.push(Known { index, token: token.text, free: 0 });
            }
            Err(error) => findings.push(refused(config, index, &error)),
        }
    }
    let Some(first) = known.first() else { return findings };
    findings.push(match http.organization(&first.token).await.0 {
        Ok(org) => Finding::ok("organization", org),
        Err(error) => unanswered("organization", &error, "a token of an OAuth client is needed"),
    });
    findings.push(clocks(clock));
    findings.push(limits::examine(&http, &first.token, config.genesys.requests_per_minute).await);
    if config.genesys.mode == Mode::Direct {
        return findings;
    }
    let Wanted { plan, found } = match wanted(config, &http, clock).await {
        Ok(wanted) => wanted,
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    let topics: usize = plan.iter().map(BTreeSet::len).sum();
    findings.push(match topics {
        0 => Finding::fail(
            "topics",
            "nothing would be subscribed",
            "name queues or users in subscriptions",
        ),
        topics => Finding::ok("topics", format!("{topics} topics in {} shards", plan.len())),
    });
    findings.extend(found.idle().into_iter().map(|(option, pattern, listed)| {
        Finding::warn(
            "topics",
            format!("{option} holds {pattern:?}, which matches none of {listed}"),
            "correct the pattern, or take it out",
        )
    }));
    let seats = app::seats(config, plan.len());
    let each = seats.each();
    for client in &mut known {
        let needed = each.get(client.index).copied().unwrap_or_default();
        findings.push(channels(&http, client, needed).await);
    }
    findings.extend(lacking(&seats));
    findings.extend(permissions(&http, &known, &plan, wish).await);
    if let Some(first) = known.first() {
        findings.push(history(&http, first).await);
    }
    findings
}

fn refused(config: &Config, index: usize, error: &PlatformError) -> Finding {
    let text = format!("genesys.clients[{index}]: {error}");
    let remedy = match error {
        PlatformError::Status { status: 400..=403, .. } => {
            "check the client's id and secret (or their files), and that its grant type is Client Credentials".to_owned()
        }
        PlatformError::NoAnswer(word) if word.contains("certificate") => {
            "the authority that signed it belongs into genesys.ca_file".to_owned()
        }
        PlatformError::Status { .. } | PlatformError::NoAnswer(_) | PlatformError::Unreadable(_) => {
            let region = config.genesys.region.as_deref().unwrap_or("not set");
            format!("genesys.region is {region}: check it, and the way to its login host, port 443, or genesys.proxy")
        }
    };
    Finding::fail("login", text, remedy)
}

fn unanswered(check: &'static str, error: &PlatformError, permission: &str) -> Finding {
    let (found, remedy) = match error {
        PlatformError::Status { status: 403, missing, .. } => {
            let said = missing.as_deref().unwrap_or("no permission is named");
            (
                format!("{error}: {said}"),
                format!("give a role of the OAuth client what is missing: {permission}"),
            )
        }
        PlatformError::Status { .. }
        | PlatformError::NoAnswer(_)
        | PlatformError::Unreadable(_) => (
            error.to_string(),
            "try again; if it stays, check the way to the API host, port 443".to_owned(),
        ),
    };
    Finding::fail(check, found, remedy)
}

fn clocks(clock: Clock) -> Finding {
    let ahead = clock.local_ahead_ms();
    let secs = ahead.unsigned_abs() as f64 / 1e3;
    let side = if ahead < 0 { "behind" } else { "ahead of" };
    let text = format!("the local clock is {secs:.1} s {side} the platform's");
    match ahead.abs() > CLOCK_MS {
        false => Finding::ok("clock", text),
        true => Finding::warn(
            "clock",
            text,
            "let NTP set it: records carry the platform's time, logs and metrics do not",
        ),
    }
}

/// What would be subscribed.
async fn wanted(config: &Config, http: &Http, clock: Clock) -> Result<Wanted, Finding> {
    let timings = Timings::default();
    let metrics = Metrics::new(Flow::new());
    let (mut tasks, mut dice) = (Supervisor::new(), Dice::new(0));
    let clients = app::clients(config, http, &timings, clock, &metrics, &mut dice, &mut tasks);
    let Some(client) = clients.first() else { return Ok(Wanted::default()) };
    let settings = app::topic_settings(config);
    let asked = tokio::time::timeout(PATIENCE * 3, Control::wanted(&settings, client)).await;
    match asked {
        Ok(Ok(wanted)) => Ok(wanted),
        Ok(Err(error)) => {
            let permission = "routing:queue:view for subscriptions.queues: discover, directory:user:view for users";
            Err(unanswered("topics", &error, permission))
        }
        Err(_) => {
            let text = "listing queues and users took more than half a minute";
            Err(Finding::new("topics", Verdict::Skip, text))
        }
    }
}

/// What does not fit.
fn lacking(seats: &Seats) -> Option<Finding> {
    let Lacking { channels, shards, clients } = seats.lacking();
    if channels == 0 {
        return None;
    }
    let remedy = format!(
        "add {clients} to genesys.clients, or set genesys.channels_per_shard to 1 where another replica hears as well"
    );
    Some(match shards {
        0 => Finding::warn(
            "channels",
            format!(
                "{channels} channels have no room: some shards are heard by fewer than genesys.channels_per_shard"
            ),
            remedy,
        ),
        shards => {
            Finding::fail("channels", format!("{shards} shards would be heard by nobody"), remedy)
        }
    })
}

async fn channels(http: &Http, client: &mut Known, needed: usize) -> Finding {
    let (index, needed) = (client.index, u32::try_from(needed).unwrap_or(u32::MAX));
    match http.count_channels(&client.token).await.0 {
        Err(error) => {
            unanswered("channels", &error, "notifications need no permission of their own")
        }
        Ok(used) => {
            client.free = QUOTA.saturating_sub(used);
            let text = format!(
                "genesys.clients[{index}] has {used} of {QUOTA} channels, those of a running trunkline among them; {needed} are needed"
            );
            match client.free < needed && used < needed || client.free == 0 {
                false => Finding::ok("channels", text),
                true => Finding::fail(
                    "channels",
                    text,
                    "a channel ends a day after its last use: stop whatever else uses this client, or give trunkline one of its own",
                ),
            }
        }
    }
}

/// Subscribes one topic of every class, each to where it would be subscribed.
async fn permissions(
    http: &Http,
    known: &[Known],
    plan: &[BTreeSet<String>],
    wish: Wish,
) -> Vec<Finding> {
    const CHECK: &str = "permissions";
    let Some(client) = known.iter().max_by_key(|client| client.free) else { return Vec::new() };
    let skip = |text: &str| vec![Finding::new(CHECK, Verdict::Skip, text)];
    if !wish.make_channel {
        return skip("not asked: it takes a channel, and --no-channel was given");
    }
    if client.free <= SPARE {
        return skip("not asked: it takes a channel, and too few are left");
    }
    let singles = plan.iter().flatten().flat_map(|topic| expand(topic));
    let classes: BTreeMap<String, String> =
        singles.map(|topic| (class_of(&topic), topic)).collect();
    let topics: BTreeSet<String> = classes.into_values().collect();
    let created = match http.create_channel(&client.token).await.0 {
        Ok(created) => created,
        Err(error) => {
            return vec![unanswered(CHECK, &error, "the right to make notification channels")];
        }
    };
    let answered = http.subscribe(&client.token, &created.id, &topics).await.0;
    http.subscribe(&client.token, &created.id, &BTreeSet::new()).await.0.ok(); // it would only listen
    let answered = match answered {
        Ok(answered) => answered,
        Err(error) => {
            return vec![unanswered(CHECK, &error, "the right to subscribe these topics")];
        }
    };
    let mut findings = Vec::new();
    for topic in answered {
        let class = class_of(&topic.topic);
        findings.push(if topic.permitted {
            Finding::ok(CHECK, format!("{class} may be subscribed"))
        } else {
            let missing = topic.missing_permissions.join(", ");
            let reason = topic.reason.unwrap_or_else(|| "no reason is given".to_owned());
            let text = format!("{class} is refused: {reason}; missing: {missing}");
            Finding::fail(CHECK, text, "add what is missing to a role of the OAuth client, for every division that is wanted")
        });
    }
    findings
}

/// Without history no gap is ever filled.
async fn history(http: &Http, client: &Known) -> Finding {
    match http.details_availability(&client.token).await.0 {
        Ok(Some(_)) => Finding::ok("history", "details can be read: gaps will be filled"),
        Ok(None) => Finding::warn(
            "history",
            "the platform does not say up to when it is complete",
            "gaps stay open until it does",
        ),
        Err(error) => {
            let finding = unanswered("history", &error, "analytics:conversationDetail:view");
            Finding { verdict: Verdict::Warn, ..finding }
        }
    }
}
