//! Reads a channel's socket and pings it, both ways.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::ears::{CHANNELS, Ears, NONCE};
use crate::clock::Clock;
use crate::session::{Raw, RawSocket};

/// What all sockets write into. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Heard {
    ears: Arc<Mutex<Ears>>,
    open: Arc<Mutex<[u32; CHANNELS]>>,
}

/// Between two pings, as the service sends them.
const PING: Duration = Duration::from_secs(10);

impl Heard {
    pub(super) fn ears(&self) -> MutexGuard<'_, Ears> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, [u32; CHANNELS]> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a socket of the channel is open.
    pub(super) fn is_open(&self, channel: usize) -> bool {
        self.open()[channel] > 0
    }

    /// A socket of the channel is about to be read.
    pub(super) fn opened(&self, channel: usize) {
        self.open()[channel] += 1;
    }
}

/// Reads it to its end, or until `stop` changes: such an end is not recorded.
pub(super) async fn read(
    mut socket: RawSocket,
    channel: usize,
    heard: Heard,
    clock: Clock,
    mut stop: watch::Receiver<bool>,
) {
    let (mut ping_at, mut protocol_ping) = (clock.mono() + Duration::from_secs(2), None);
    loop {
        tokio::select! {
            biased;
            _ = stop.changed() => {
                heard.open()[channel] -= 1;
                socket.close().await;
                return;
            }
            () = clock.sleep_until(Some(ping_at)) => {
                let now = clock.mono();
                ping_at = now + PING;
                heard.ears().pinged(channel, now);
                let more = if channel == 1 { format!(",\"nonce\":\"{NONCE}\"") } else { String::new() };
                socket.say(&format!("{{\"message\":\"ping\"{more}}}")).await;
                if channel == 1 {
                    protocol_ping = Some(clock.mono());
                    socket.ping().await;
                }
            }
            raw = socket.next() => match raw {
                Raw::Text(text) => heard.ears().text(channel, &text, clock.now()),
                Raw::Pong => {
                    if let Some(sent) = protocol_ping.take() {
                        heard.ears().protocol_pong(sent, clock.mono());
                    }
                }
                Raw::Closed(code) => {
                    heard.open()[channel] -= 1;
                    heard.ears().ended(channel, code, clock.mono());
                    socket.close().await;
                    return;
                }
                Raw::Lost => {
                    heard.open()[channel] -= 1;
                    heard.ears().ended(channel, None, clock.mono());
                    return;
                }
            },
        }
    }
}
