//! 1 HEAR: several sockets side by side into one queue.
//!
//! A session reads one socket and drives `trunkline_protocol::session`. It does not dial twice and
//! decides nothing about reconnecting: that is control's.

mod driver;
mod raw;
mod transport;

use std::fmt;

use tokio::sync::mpsc;
use trunkline_protocol::domain::{EndReason, EpochId, Frame, Leg, Now, Wall};
use trunkline_protocol::envelope::SystemNotice;
use trunkline_protocol::session::Liveness;

use crate::clock::Clock;
use crate::observe::flow::{Flow, InFlight};
use crate::observe::metrics::SessionMetrics;

pub use driver::run_socket;
pub use raw::{Raw, RawSocket};
pub use transport::{Transport, TransportError};

/// What is heard, in the order of the socket.
#[derive(Debug)]
pub enum Heard {
    /// A socket is open under a verified subscription.
    Opened {
        /// The coverage that begins.
        epoch: EpochId,
        /// Where.
        leg: Leg,
        /// Another channel of the shard is live, so the new one's events wait for the splice.
        joining: bool,
    },
    /// An event, or a text that is none.
    Frame(Frame, InFlight),
    /// A binary message, which the platform never sends.
    Binary {
        /// Its bytes.
        raw: Vec<u8>,
        /// When.
        received: Now,
        /// The coverage it was heard in.
        epoch: EpochId,
        /// Its ticket.
        ticket: InFlight,
    },
    /// The barrier: everything that the platform had queued for the socket before it was asked has
    /// arrived.
    Pong {
        /// The coverage that is proven to live.
        epoch: EpochId,
        /// When the ping was sent, at the earliest, by the platform's clock.
        sent: Wall,
    },
    /// A socket is over.
    Ended {
        /// The coverage that ends.
        epoch: EpochId,
        /// Where.
        leg: Leg,
        /// Why.
        reason: EndReason,
    },
}

/// A socket to open.
pub struct SocketOrder {
    /// Comes back with every [`SocketEvent`].
    pub tag: u64,
    /// Where; a bearer secret.
    pub url: String,
    /// The coverage to begin.
    pub epoch: EpochId,
    /// Where it counts.
    pub leg: Leg,
    /// See [`Heard::Opened`].
    pub joining: bool,
    /// How it proves that it lives.
    pub liveness: Liveness,
}

impl fmt::Debug for SocketOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketOrder").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// What an owner may order of an open socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketCommand {
    /// Close politely and end with this reason.
    Close(EndReason),
}

/// What an owner is told; few per life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketEvent {
    /// The upgrade succeeded.
    Open,
    /// The first proof of life arrived.
    Live,
    /// The platform spoke about the channel.
    Notice(SystemNotice),
    /// It is over.
    Ended(EndReason),
    /// There never was a socket.
    Refused(Refusal),
}

/// Why a dial failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// `Retry-After` as sent.
    pub retry_after: Option<String>,
}

/// What every session needs.
#[derive(Clone)]
pub struct SessionParts {
    /// Time.
    pub clock: Clock,
    /// Opens sockets.
    pub transport: Transport,
    /// Where events go.
    pub heard: mpsc::Sender<Heard>,
    /// Hands out tickets.
    pub flow: Flow,
    /// Counts.
    pub metrics: SessionMetrics,
}
