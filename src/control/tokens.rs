//! Keeps a token fresh; one renewal serves every waiter.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Notify, watch};
use trunkline_protocol::domain::{Dice, Mono};
use trunkline_protocol::gate::{Endpoint, Outcome, Priority};
use trunkline_protocol::timings::Timings;
use trunkline_protocol::token::TokenClock;

use super::client::ClientSettings;
use crate::clock::Clock;
use crate::failpoint;
use crate::genesys::PlatformError;
use crate::genesys::gate::Gate;
use crate::genesys::http::Http;
use crate::observe::metrics::ControlMetrics;

/// Where tokens come from. Cheap to clone.
#[derive(Clone)]
pub(super) struct TokenSource {
    clock: Clock,
    state: watch::Receiver<State>,
    wishes: Arc<Wishes>,
}

struct Wishes {
    rejected: Notify,
    longer: Notify,
    /// Another secret was set.
    secret: watch::Sender<SecretString>,
}

#[derive(Clone, Default)]
struct State {
    token: Option<(SecretString, Mono)>,
    refusal: Option<PlatformError>,
}

/// Renews the token.
pub(super) struct Keeper {
    index: usize,
    settings: ClientSettings,
    http: Http,
    gate: Gate,
    clock: Clock,
    rules: TokenClock,
    state: watch::Sender<State>,
    wishes: Arc<Wishes>,
    metrics: ControlMetrics,
    dice: Dice,
}

/// Slack for clocks and the way to the server.
const LAST_USE: Duration = Duration::from_secs(1);

#[expect(clippy::too_many_arguments, reason = "a task's parts, handed over once")]
pub(super) fn keeper(
    index: usize,
    settings: ClientSettings,
    http: Http,
    gate: Gate,
    timings: &Timings,
    clock: Clock,
    metrics: ControlMetrics,
    dice: Dice,
) -> (TokenSource, Keeper) {
    let (state, receiver) = watch::channel(State::default());
    let secret = watch::Sender::new(settings.secret.clone());
    let wishes = Arc::new(Wishes { rejected: Notify::new(), longer: Notify::new(), secret });
    let rules = TokenClock::new(timings.token_lead, timings.backoff_cap, clock.mono());
    let source = TokenSource { clock, state: receiver, wishes: Arc::clone(&wishes) };
    let keeper = Keeper { index, settings, http, gate, clock, rules, state, wishes, metrics, dice };
    (source, keeper)
}

impl TokenSource {
    /// The token at hand, if it is still good.
    pub(super) fn valid(&self) -> Option<SecretString> {
        self.valid_for(Duration::ZERO)
    }

    fn valid_for(&self, span: Duration) -> Option<SecretString> {
        let now = self.clock.mono();
        let state = self.state.borrow();
        let (token, until) = state.token.as_ref()?;
        (now + span + LAST_USE < *until).then(|| token.clone())
    }

    /// Waits for a token that is good now.
    pub(super) async fn token(&self) -> SecretString {
        self.token_for(Duration::ZERO).await
    }

    /// Waits for a token that is good for `span` more.
    pub(super) async fn token_for(&self, span: Duration) -> SecretString {
        let mut state = self.state.clone();
        loop {
            state.borrow_and_update();
            if let Some(token) = self.valid_for(span) {
                return token;
            }
            self.wishes.longer.notify_one();
            // a token that has just ended is noticed by the keeper's own clock
            if state.changed().await.is_err() {
                std::future::pending::<()>().await; // the process is stopping
            }
        }
    }

    /// The platform said no to it.
    pub(super) fn rejected(&self) {
        self.wishes.rejected.notify_one();
    }

    /// Another secret, from here on; one that is known already changes nothing.
    pub(super) fn renew(&self, secret: SecretString) {
        self.wishes.secret.send_if_modified(|known| {
            let differs = known.expose_secret() != secret.expose_secret();
            *known = secret;
            differs
        });
    }

    /// Waits until the login host has accepted or refused the client.
    pub(super) async fn proven(&self) -> Result<(), PlatformError> {
        let mut state = self.state.clone();
        let seen = state.wait_for(|state| state.token.is_some() || state.refusal.is_some()).await;
        match seen {
            Ok(state) if state.token.is_some() => Ok(()),
            Ok(state) => state.refusal.clone().map_or(Ok(()), Err),
            Err(_) => Ok(()),
        }
    }
}

impl Keeper {
    pub(super) async fn run(mut self) {
        let mut secret = self.wishes.secret.subscribe();
        loop {
            let now = self.clock.mono();
            if self.rules.poll(now) {
                self.renew().await;
                continue;
            }
            let due = self.rules.poll_timeout();
            tokio::select! {
                biased;
                () = self.wishes.rejected.notified() => self.reject(),
                () = self.wishes.longer.notified() => self.wish(),
                Ok(()) = secret.changed() => {
                    self.settings.secret = secret.borrow_and_update().clone();
                    self.rules.renewed(self.clock.mono());
                }
                () = self.clock.sleep_until(due) => {}
            }
        }
    }

    fn reject(&mut self) {
        self.rules.rejected(self.clock.mono());
        self.state.send_modify(|state| state.token = None);
    }

    /// Somebody needs a token that lives longer than the one at hand.
    fn wish(&mut self) {
        let now = self.clock.mono();
        if self.rules.poll_timeout().is_some_and(|due| due > now) && self.rules.is_valid(now) {
            self.rules.rejected(now); // the old one goes on serving whoever holds it
        }
    }

    async fn renew(&mut self) {
        let turn = self.gate.turn(Endpoint::Token, Priority::Token).await;
        let (result, window) = self.http.token(&self.settings.id, &self.settings.secret).await;
        let outcome = result.as_ref().map_or_else(PlatformError::outcome, |_| Outcome::Answered);
        turn.report(outcome, window);
        let code = match &result {
            Ok(_) => "200".to_owned(),
            Err(error) => error.status().map_or("none".to_owned(), |status| status.to_string()),
        };
        self.metrics.api_request(Endpoint::Token, &code);
        self.metrics.token_renewed(result.is_ok());
        let now = self.clock.now();
        match result {
            Ok(token) => {
                failpoint::pass("ch.token.answered");
                self.rules.granted(token.life, now.mono, &mut self.dice);
                self.metrics.token_expires(self.index, now.wall.plus(token.life));
                let until = now.mono + token.life;
                let state = State { token: Some((token.text, until)), refusal: None };
                self.state.send_replace(state);
            }
            Err(error) => {
                self.rules.failed(now.mono, &mut self.dice);
                // 400 and 401 of the login host are mistakes of the configuration (seen in the field)
                if let Some(400 | 401 | 403) = error.status() {
                    tracing::error!(code = "client_refused", client = self.index, error = %error, "the login host refuses the OAuth client");
                    self.state.send_modify(|state| state.refusal = Some(error));
                } else {
                    tracing::warn!(code = "token_unavailable", client = self.index, error = %error, "no token this time");
                }
            }
        }
    }
}
