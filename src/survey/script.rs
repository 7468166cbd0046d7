//! What is done, one thing after the other. Whatever ends it, what is known by then is known.

mod channels;
mod conclude;
mod history;
mod platform;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::watch;
use trunkline_protocol::channel::CHANNELS_AT_MOST;
use trunkline_protocol::discovery::Sorted;
use trunkline_protocol::domain::Mono;
use trunkline_protocol::gate::{Endpoint, Outcome as Reported, Priority};
use trunkline_protocol::timings::Timings;

use super::ears::CHANNELS;
use super::findings::Findings;
use super::plan::REDIALS;
use super::report::Report;
use super::sockets::{Heard, read};
use super::window::Sample;
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::control::{Client, Control, Wanted};
use crate::errand::Errand;
use crate::error::{ExitCode, ProcessError};
use crate::genesys::PlatformError;
use crate::genesys::ask::Verb;
use crate::session::{RawSocket, Refusal, Transport};
use crate::supervisor::Supervisor;

/// The part of the client's requests that it takes: the rest is for a connector that uses the client too.
const SHARE: u32 = 4;

/// A channel of the survey's own. Id and URI are secrets.
struct Channel {
    id: String,
    uri: String,
    expires: Option<i64>,
    made: Mono,
}

/// A survey under way.
pub struct Survey {
    clock: Clock,
    client: Client,
    secret: (String, SecretString),
    transport: Transport,
    topics: BTreeSet<String>,
    shards: usize,
    queues: Vec<String>,
    users: Vec<String>,
    heard: Heard,
    channels: Vec<Channel>,
    stops: Vec<watch::Sender<bool>>,
    readers: Supervisor,
    samples: Arc<Mutex<Vec<Sample>>>,
    allowed: Arc<Mutex<Option<u32>>>,
    requests: u32,
    dials: u32,
    redials: u32,
    findings: Findings,
    /// The first channel was made with a token that lives until then.
    token_end: Option<Mono>,
    began: Mono,
    line: watch::Sender<String>,
    rng: rand::rngs::StdRng,
    _errand: Errand,
}

impl Survey {
    /// Logs in and looks whether there is room for its channels.
    ///
    /// # Errors
    /// When the client or a permission is refused, too few channels are left, or nothing would be subscribed.
    pub async fn start(config: &Config, timings: &Timings) -> Result<Self, ProcessError> {
        if config.genesys.mode != Mode::Channels {
            let mode = config.genesys.mode.as_str();
            let text =
                format!("genesys.mode is {mode}: a survey makes channels; allowed: channels");
            return Err(ProcessError::text(ExitCode::Config, text));
        }
        let share = config.genesys.requests_per_minute.div_ceil(SHARE);
        let errand = Errand::start(config, share, timings).await?;
        let (clock, client) = (errand.clock, errand.client.clone());
        let transport = Transport::new(
            config.genesys.ca_file.as_deref(),
            app::proxies(config)?,
            timings.connect_timeout,
        )
        .map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
        let settings = app::topic_settings(config);
        let asked = async {
            let wanted = Control::wanted(&settings, &client).await;
            let counted =
                client.call(Endpoint::Channels, Priority::Verify, |http, token| async move {
                    http.count_channels(&token).await
                });
            Ok((wanted, counted.await))
        };
        let (wanted, counted) = app::in_time(asked).await?;
        let failed = |error: PlatformError| app::platform_error(&error);
        let Wanted { plan, found } = wanted.map_err(failed)?;
        let used = counted.map_err(failed)?;
        let ours = u32::try_from(CHANNELS).unwrap_or(u32::MAX);
        if used + ours > CHANNELS_AT_MOST {
            let text = format!(
                "genesys.clients[0] has {used} of {CHANNELS_AT_MOST} channels and {ours} more are needed; a channel ends a day after its last use: wait, or use another client"
            );
            return Err(ProcessError::text(ExitCode::Unavailable, text));
        }
        let Some(topics) = plan.first().filter(|shard| !shard.is_empty()) else {
            let text = "nothing would be subscribed: name queues, users or topics in subscriptions";
            return Err(ProcessError::text(ExitCode::Config, text));
        };
        let ids = |sorted: &Option<Sorted>| -> Vec<String> {
            sorted.iter().flat_map(|s| &s.kept).map(|object| object.id.clone()).collect()
        };
        let first = config.genesys.clients.first();
        let id = first.and_then(|client| client.id.clone()).unwrap_or_default();
        let secret = first.and_then(|client| client.secret.as_ref());
        let secret = secret.map_or_else(|| SecretString::from(""), |secret| secret.secret());
        Ok(Self {
            clock,
            client,
            secret: (id, secret),
            transport,
            topics: topics.clone(),
            shards: plan.len(),
            queues: ids(&found.queues),
            users: ids(&found.users),
            heard: Heard::default(),
            channels: Vec::new(),
            stops: Vec::new(),
            readers: Supervisor::new(),
            samples: Arc::default(),
            allowed: Arc::default(),
            // login, organisation, listings, channels
            requests: 3 + found.requests,
            dials: 0,
            redials: 0,
            findings: Findings::default(),
            token_end: None,
            began: clock.mono(),
            line: watch::Sender::new(String::new()),
            rng: rand::rngs::StdRng::from_os_rng(),
            _errand: errand,
        })
    }

    /// Asks what there is to ask, then goes on listening. Never ends; drop it when the time is over.
    pub async fn run(&mut self) {
        self.ask_limits().await;
        self.ask_topics().await;
        if self.open_pair().await {
            self.fan_out().await;
            self.extend().await;
            self.take_over().await;
            self.unknown_channel().await;
            self.page_sizes().await;
            self.lag().await;
            self.too_many_topics().await;
            self.retention().await;
        }
        self.count_window().await;
        loop {
            self.rest(Duration::from_secs(1)).await;
        }
    }

    /// Takes every subscription away and closes every socket; says how many channels it made.
    pub async fn release(&mut self) -> usize {
        for stop in self.stops.drain(..) {
            stop.send_replace(true);
        }
        for at in 0..self.channels.len() {
            let path = self.subscriptions_of(at);
            self.ask(Endpoint::Subscriptions, Verb::Delete, &path, None).await.ok();
        }
        self.channels.len()
    }

    /// What is known: the questions that listening answers are answered now.
    pub fn report(&mut self) -> Report {
        self.conclude();
        let now = self.clock.mono();
        let ears = self.heard.ears();
        Report {
            findings: self.findings.clone(),
            at: self.clock.now().wall,
            seconds: now.since(self.began).as_secs(),
            requests: self.requests,
            dials: self.dials,
            channels: self.channels.len(),
            shards: self.shards,
            topics: self.topics.len(),
            frames: ears.frames,
            bytes: ears.bytes,
            classes: ears.classes.clone(),
            allowed: *self.allowed.lock().unwrap_or_else(PoisonError::into_inner),
            sorted_bodies: {
                let (_, orders) = ears.between(0, 1);
                (orders.of >= 10).then_some(orders.same < orders.of)
            },
        }
    }

    /// One line of how it goes, kept up while it runs.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<String> {
        self.line.subscribe()
    }

    fn tell(&self) {
        let (settled, frames) = (self.findings.settled(), self.heard.ears().frames);
        self.line.send_replace(format!(
            "{settled} settled  {frames} frames  {} requests",
            self.requests
        ));
    }

    async fn ask(
        &mut self,
        endpoint: Endpoint,
        verb: Verb,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, PlatformError> {
        self.ask_as(None, endpoint, verb, path, body).await
    }

    /// The same with a token of one's own.
    async fn ask_as(
        &mut self,
        own: Option<SecretString>,
        endpoint: Endpoint,
        verb: Verb,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, PlatformError> {
        self.requests += 1;
        self.tell();
        let (clock, samples) = (self.clock, Arc::clone(&self.samples));
        let allowed = Arc::clone(&self.allowed);
        let path = path.to_owned();
        let call = |http: crate::genesys::http::Http, token: SecretString| async move {
            let token = own.unwrap_or(token);
            let (answer, window) = http.ask(&token, verb, &path, body.as_ref()).await;
            if let Some(window) = window {
                let mut hasher = DefaultHasher::new();
                token.expose_secret().hash(&mut hasher);
                let (at, token) = (clock.mono(), hasher.finish());
                let sample = Sample { at, count: window.count, token };
                let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
                samples.push(sample); // requests are bounded
                *allowed.lock().unwrap_or_else(PoisonError::into_inner) = Some(window.allowed);
            }
            (answer, window)
        };
        self.client.call(endpoint, Priority::Verify, call).await
    }

    fn subscriptions_of(&self, channel: usize) -> String {
        let id = self.channels.get(channel).map_or("", |channel| &channel.id);
        format!("/api/v2/notifications/channels/{id}/subscriptions")
    }

    /// Opens a socket of a channel and reads it.
    async fn dial(&mut self, channel: usize) -> Result<watch::Sender<bool>, Refusal> {
        let uri = self.channels.get(channel).map_or_else(String::new, |c| c.uri.clone());
        let socket = self.dial_uri(&uri).await?;
        let (stop, stopped) = watch::channel(false);
        self.heard.opened(channel);
        let reader = read(socket, channel, self.heard.clone(), self.clock, stopped);
        self.readers.spawn_infallible(format!("channel {channel}"), reader);
        Ok(stop)
    }

    async fn dial_uri(&mut self, uri: &str) -> Result<RawSocket, Refusal> {
        self.dials += 1;
        let turn = self.client.dial_turn(Priority::Verify).await;
        let dialled = RawSocket::dial(&self.transport, uri).await;
        let answered = match &dialled {
            Ok(_) | Err(Refusal { status: Some(..500), .. }) => Reported::Answered,
            Err(_) => Reported::Failed,
        };
        turn.report(answered, None);
        dialled
    }

    /// Waits, and opens what ended by itself again.
    async fn rest(&mut self, span: Duration) {
        let until = self.clock.mono() + span;
        loop {
            for channel in 0..self.channels.len().min(2) {
                if !self.heard.is_open(channel) && self.redials < REDIALS {
                    self.redials += 1;
                    if let Ok(stop) = self.dial(channel).await {
                        self.stops.push(stop);
                    }
                }
            }
            self.tell();
            let now = self.clock.mono();
            if now >= until {
                return;
            }
            let step = until.since(now).min(Duration::from_millis(500));
            self.clock.sleep_until(Some(now + step)).await;
        }
    }

    /// Waits until something is heard that is asked for, or the time is over.
    async fn until(&mut self, span: Duration, mut is: impl FnMut(&Heard) -> bool) -> bool {
        let end = self.clock.mono() + span;
        while !is(&self.heard) {
            if self.clock.mono() >= end {
                return false;
            }
            self.rest(Duration::from_millis(200)).await;
        }
        true
    }

    /// Somebody else's word for the same length.
    fn made_up(&mut self, like: &str) -> String {
        let (kept, last) = match like.rfind(['-', '/']) {
            Some(at) => like.split_at(at + 1),
            None => ("", like),
        };
        let letters: Vec<char> = ('a'..='z').chain('0'..='9').collect();
        let other = last.chars().map(|_| letters[self.rng.random_range(0..letters.len())]);
        kept.chars().chain(other).collect()
    }
}

/// Why a call has no answer, in words that name the remedy.
fn why(error: &PlatformError) -> String {
    match error {
        PlatformError::Status { status: 403, missing, .. } => format!(
            "the client lacks a permission: {}",
            missing.as_deref().unwrap_or("the platform does not say which")
        ),
        PlatformError::Status { .. }
        | PlatformError::NoAnswer(_)
        | PlatformError::Unreadable(_) => error.to_string(),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn secs(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}
