//! Direct mode: one configured URL with the token on its query string.
//!
//! The endpoint is documented nowhere; what is relied on was reported by its users. Coverage is at
//! most "connected", never proven.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::sync::{mpsc, watch};
use trunkline_protocol::backoff::{Backoff, Hint};
use trunkline_protocol::domain::{Dice, EndReason, EpochId, Leg};
use trunkline_protocol::gate::{Outcome, Priority};
use trunkline_protocol::session::Liveness;

use super::{Client, Control, LiveLegs};
use crate::session::{Refusal, SocketCommand, SocketEvent, SocketOrder, run_socket};
use crate::supervisor::{Supervisor, Uninvited};

/// The endpoint and what is expected of it.
#[derive(Clone, Debug)]
pub struct DirectSettings {
    /// `wss://…`; query parameters are kept.
    pub url: url::Url,
    /// Name of the query parameter that carries the token.
    pub token_parameter: String,
    /// How long a connection is expected to last.
    pub lifetime: Duration,
    /// Connections side by side, staggered.
    pub connections: u8,
    /// Silence after which a connection counts as half-open.
    pub silence: Duration,
}

/// Runs until `stop` turns true and every socket is closed.
///
/// # Errors
/// When a connection's task ends before that.
pub async fn run(
    control: Control,
    settings: DirectSettings,
    client: Client,
    stop: watch::Receiver<bool>,
) -> Result<(), Uninvited> {
    let (live, _) = watch::channel(BTreeSet::new());
    let mut legs = Supervisor::new();
    for ordinal in 0..settings.connections {
        let leg = Connection {
            control: control.clone(),
            settings: settings.clone(),
            client: client.clone(),
            leg: Leg { shard: 0, ordinal },
            live: live.clone(),
            dice: Dice::new(control.seed ^ u64::from(ordinal)),
        };
        legs.spawn_infallible(format!("direct {ordinal}"), leg.run(stop.clone()));
    }
    while let Some(ended) = legs.next().await {
        if ended.failure.is_some() {
            return Err(ended.into());
        }
    }
    Ok(())
}

struct Connection {
    control: Control,
    settings: DirectSettings,
    client: Client,
    leg: Leg,
    live: LiveLegs,
    dice: Dice,
}

/// A token must outlive a connection by this much.
const MARGIN: Duration = Duration::from_secs(5);

enum Ended {
    Over(EndReason),
    Refused(Refusal),
    Stopped,
}

impl Connection {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(self.control.timings.backoff_cap);
        // connections side by side start half a lifetime apart, so that one always lives
        let count = u32::from(self.settings.connections.max(1));
        let mut wait = self.settings.lifetime / count * u32::from(self.leg.ordinal);
        loop {
            self.post("waiting", None);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(wait) => {}
            }
            let opened = self.control.clock.mono();
            match self.connect(&mut stop).await {
                Ended::Stopped => return,
                Ended::Over(reason) => {
                    let lived = self.control.clock.mono().since(opened);
                    // an endpoint that closes every minute is used as it is meant to be
                    if lived >= self.settings.lifetime / 2 {
                        backoff.reset();
                    }
                    // 1000 is ambiguous by itself; the token's own end decides
                    let ended_token =
                        reason == EndReason::Close1000 && !self.client_is_fresh().await;
                    let reason = if ended_token { EndReason::Token } else { reason };
                    let now = self.control.clock.now();
                    self.control.metrics.ended(reason);
                    self.control.board.ended(self.leg, reason, now.wall);
                    tracing::info!(
                        code = "channel_down",
                        leg = self.leg.ordinal,
                        reason = reason.as_str(),
                        "direct connection down"
                    );
                    wait = backoff.next(&mut self.dice);
                }
                Ended::Refused(refusal) => {
                    self.control.metrics.refused(refusal.status);
                    match refusal.status {
                        Some(401) => self.client.token_rejected(),
                        Some(403) => tracing::error!(
                            code = "direct_forbidden",
                            "the endpoint refuses the client: a permission or scope is missing"
                        ),
                        Some(_) | None => {}
                    }
                    wait = backoff.next(&mut self.dice).max(Duration::from_millis(500));
                }
            }
        }
    }

    /// Whether the token at hand outlives the next connection.
    async fn client_is_fresh(&self) -> bool {
        let fresh = self.client.token_for(MARGIN);
        tokio::time::timeout(Duration::from_millis(1), fresh).await.is_ok()
    }

    async fn connect(&mut self, stop: &mut watch::Receiver<bool>) -> Ended {
        let span = self.settings.lifetime + MARGIN;
        let prepared = async {
            let turn = self.client.dial_turn(Priority::FinishReconnect).await;
            (self.client.token_for(span).await, turn)
        };
        self.post("connect", None);
        let (token, turn) = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
            prepared = prepared => prepared,
        };
        let mut url = self.settings.url.clone();
        url.query_pairs_mut().append_pair(&self.settings.token_parameter, token.expose_secret());
        let epoch = EpochId(self.dice.bytes16());
        let order = SocketOrder {
            tag: 0,
            url: url.into(),
            epoch,
            leg: self.leg,
            joining: self.live.borrow().iter().any(|leg| *leg != self.leg),
            liveness: Liveness::Silence { limit: self.settings.silence },
        };
        let (commands, receiver) = mpsc::channel(4);
        let (events_in, mut events) = mpsc::channel(16);
        let mut task = Supervisor::new();
        task.spawn_infallible(
            "socket",
            run_socket(order, self.control.session.clone(), receiver, events_in),
        );
        let mut turn = Some(turn);
        let mut stopped = false;
        loop {
            let event = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if !stopped => {
                    stopped = true;
                    commands.try_send(SocketCommand::Close(EndReason::Rotation)).ok(); // or it ended
                    continue;
                }
                event = events.recv() => event,
            };
            match event {
                Some((_, SocketEvent::Open)) => {
                    turn.take().into_iter().for_each(|turn| turn.report(Outcome::Answered, None));
                    self.control.metrics.connected();
                }
                Some((_, SocketEvent::Live)) => self.post("live", Some(epoch)),
                Some((_, SocketEvent::Notice(_))) => {}
                Some((_, SocketEvent::Refused(refusal))) => {
                    let outcome = match refusal.status {
                        Some(429) => {
                            Outcome::RateLimited(Hint::parse(refusal.retry_after.as_deref()))
                        }
                        Some(status) if status < 500 => Outcome::Answered,
                        Some(_) | None => Outcome::Failed,
                    };
                    turn.take().into_iter().for_each(|turn| turn.report(outcome, None));
                    return Ended::Refused(refusal);
                }
                Some((_, SocketEvent::Ended(_))) if stopped => return Ended::Stopped,
                Some((_, SocketEvent::Ended(reason))) => {
                    self.post("waiting", None);
                    return Ended::Over(reason);
                }
                None if stopped => return Ended::Stopped,
                None => return Ended::Over(EndReason::Reset),
            }
        }
    }

    fn post(&self, phase: &'static str, epoch: Option<EpochId>) {
        let (leg, is_live) = (self.leg, epoch.is_some());
        self.live.send_if_modified(
            |live| {
                if is_live { live.insert(leg) } else { live.remove(&leg) }
            },
        );
        self.control.metrics.live_channels(leg.shard, self.live.borrow().len());
        self.control.board.channel(leg, phase, epoch, self.control.clock.now().wall);
    }
}
