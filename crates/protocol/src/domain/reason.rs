//! Why a socket ended: one vocabulary for metric label, log and report.

use serde::Serialize;

/// Cause of the end of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The TCP connection broke without a close frame (1006, RST, read error).
    Reset,
    /// Close frame 1000: planned, or asked for.
    #[serde(rename = "close_1000")]
    Close1000,
    /// Close frame 1001: going away, idle time-out, maintenance.
    #[serde(rename = "close_1001")]
    Close1001,
    /// Any other close code, or a close frame without one.
    CloseOther,
    /// No pong within the time-out although the socket looked open.
    HalfOpen,
    /// `v2.system.socket_closing` was heard and the socket was replaced or closed.
    ClosingNotice,
    /// Somebody else took the channel (`no_longer_subscribed`, `duplicate_id`), or it was evicted.
    Kicked,
    /// The channel reached the end of its life.
    Expiry,
    /// The token expired or was revoked.
    Token,
    /// Replaced on purpose by a successor that is live.
    Rotation,
}

impl EndReason {
    /// Every reason, in the order they are shown.
    pub const ALL: [Self; 10] = [
        Self::Reset,
        Self::Close1000,
        Self::Close1001,
        Self::CloseOther,
        Self::HalfOpen,
        Self::ClosingNotice,
        Self::Kicked,
        Self::Expiry,
        Self::Token,
        Self::Rotation,
    ];

    /// The word used in logs, metrics and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Close1000 => "close_1000",
            Self::Close1001 => "close_1001",
            Self::CloseOther => "close_other",
            Self::HalfOpen => "half_open",
            Self::ClosingNotice => "closing_notice",
            Self::Kicked => "kicked",
            Self::Expiry => "expiry",
            Self::Token => "token",
            Self::Rotation => "rotation",
        }
    }
}
