//! One OAuth client: its token, its waiting room, its calls.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use trunkline_protocol::budget::Budget;
use trunkline_protocol::domain::Dice;
use trunkline_protocol::gate::{Endpoint, Gate as Rules, Outcome, Priority};
use trunkline_protocol::timings::Timings;
use trunkline_protocol::twins::Crowd;

use super::held::Held;
use super::places::Places;
use super::tokens::{self, TokenSource};
use crate::clock::Clock;
use crate::genesys::PlatformError;
use crate::genesys::gate::{Gate, Turn};
use crate::genesys::http::{Answer, Http};
use crate::observe::metrics::ControlMetrics;
use crate::supervisor::Supervisor;

/// A client as configured.
#[derive(Clone)]
pub struct ClientSettings {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
    /// Requests per minute the platform allows it.
    pub requests_per_minute: u32,
    /// Processes that share it.
    pub processes: u32,
    /// Where a `Retry-After` is kept for the next process, if anywhere.
    pub held: Option<PathBuf>,
}

/// An OAuth client at work. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    index: usize,
    http: Http,
    gate: Gate,
    tokens: TokenSource,
    metrics: ControlMetrics,
    crowd: Arc<Mutex<Crowd>>,
    places: Places,
    processes: u32,
}

/// The platform does not accept the client: a configuration error.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("genesys.clients[{index}] is refused by the login host: {reason}")]
pub struct Refused {
    /// Position in the configuration.
    pub index: usize,
    /// What the platform said.
    pub reason: PlatformError,
}

impl Client {
    /// Starts the client's tasks in `supervisor`.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "a client's parts, handed over once")]
    pub fn start(
        index: usize,
        settings: ClientSettings,
        http: Http,
        timings: &Timings,
        clock: Clock,
        metrics: ControlMetrics,
        mut dice: Dice,
        supervisor: &mut Supervisor,
    ) -> Self {
        let budget = Budget::new(settings.requests_per_minute, settings.processes, clock.mono());
        let own = Dice::new(dice.next_u64());
        let rules = Rules::new(budget, timings.probe_cap, timings.retry_after_jitter, own);
        let gate = Gate::new(rules, clock);
        let client = settings.id.clone();
        if let Some(held) = settings.held.clone().map(|file| Held { file, client }) {
            let left = held.left(clock);
            if !left.is_zero() {
                let secs = left.as_secs();
                tracing::warn!(
                    code = "held_back",
                    client = index,
                    secs,
                    "the platform asked an earlier process to wait; this one does"
                );
                gate.hold(clock.mono() + left);
            }
            supervisor.spawn_infallible(format!("held {index}"), held.run(gate.clone(), clock));
        }
        supervisor.spawn_infallible(format!("gate {index}"), gate.clone().run());
        let processes = settings.processes;
        let crowd = Crowd::new(timings.twin_patience, timings.channel_life);
        let (source, keeper) = tokens::keeper(
            index,
            settings,
            http.clone(),
            gate.clone(),
            timings,
            clock,
            metrics.clone(),
            dice,
        );
        supervisor.spawn_infallible(format!("token {index}"), keeper.run());
        let crowd = Arc::new(Mutex::new(crowd));
        let places = Places::new(processes);
        Self { index, http, gate, tokens: source, metrics, crowd, places, processes }
    }

    /// Makes one call when it is this call's turn, with a valid token.
    ///
    /// # Errors
    /// What the platform said; a token it rejected is being replaced by then.
    pub async fn call<T, F>(
        &self,
        endpoint: Endpoint,
        priority: Priority,
        call: impl FnOnce(Http, SecretString) -> F,
    ) -> Result<T, PlatformError>
    where
        F: Future<Output = Answer<T>>,
    {
        let token = self.tokens.token().await;
        let turn = self.gate.turn(endpoint, priority).await;
        // the wait may have outlived the token
        let token = self.tokens.valid().unwrap_or(token);
        let (result, window) = call(self.http.clone(), token).await;
        let code = match &result {
            Ok(_) => "200".to_owned(),
            Err(error) => error.status().map_or("none".to_owned(), |status| status.to_string()),
        };
        self.metrics.api_request(endpoint, &code);
        let outcome = result.as_ref().map_or_else(PlatformError::outcome, |_| Outcome::Answered);
        turn.report(outcome, window);
        self.metrics.budget_remaining(self.index, self.gate.remaining());
        if let Err(PlatformError::Status { status: 401, .. }) = &result {
            self.tokens.rejected();
        }
        result
    }

    /// Takes up another secret and another budget; another id is another client, and waits for a restart.
    pub fn renew(&self, settings: ClientSettings) {
        self.gate.renew(settings.requests_per_minute, settings.processes);
        self.tokens.renew(settings.secret);
    }

    /// Reading history leaves so many requests to reconnects.
    pub fn reserve(&self, requests: u32) {
        self.gate.reserve(requests);
    }

    /// Waits for a turn to dial.
    pub async fn dial_turn(&self, priority: Priority) -> Turn {
        self.gate.turn(Endpoint::Dial, priority).await
    }

    /// A token that is valid now, waiting for one if need be.
    pub async fn token(&self) -> SecretString {
        self.tokens.token().await
    }

    /// A token that is valid for `span` more.
    pub async fn token_for(&self, span: Duration) -> SecretString {
        self.tokens.token_for(span).await
    }

    /// The platform revoked or refused the token at hand.
    pub fn token_rejected(&self) {
        self.tokens.rejected();
    }

    /// Waits until there is a token, or the login host refuses the client.
    ///
    /// # Errors
    /// [`Refused`] when the client is unknown, disabled or has another secret.
    pub async fn proven(&self) -> Result<(), Refused> {
        self.tokens.proven().await.map_err(|reason| Refused { index: self.index, reason })
    }

    /// What is known of the channels under the client.
    pub(super) fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where successors wait for their turn.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// How many processes share it, this one among them.
    pub(super) fn processes(&self) -> u32 {
        self.processes
    }

    /// Whether other processes use it as well, as configured.
    pub(super) fn is_shared(&self) -> bool {
        self.processes > 1
    }

    /// Position in the configuration.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}
