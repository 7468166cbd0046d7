//! What no claim covers: why, and what became of it.

use serde::{Deserialize, Serialize};

use super::EndReason;

/// Why coverage was not proven: field of the gap record and metric label, so a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The socket was closed or broke.
    Close,
    /// The socket looked open and was dead.
    HalfOpen,
    /// The platform closed what it had announced to close.
    ClosingNotice,
    /// Somebody else took the channel.
    Kicked,
    /// The channel reached the end of its life.
    Expiry,
    /// The token ended.
    Token,
    /// The platform evicted the channel.
    Quota,
    /// A message was too large to be read.
    Oversize,
    /// The spool was full.
    SpoolFull,
    /// The process ended without a word.
    Crash,
    /// The process was stopped for longer than a socket may be trusted.
    Zombie,
    /// The channel did not hear what its sibling heard.
    Suspect,
    /// The topic appeared between two looks at the platform's lists.
    LateTopic,
    /// The platform answered nobody.
    ProviderOutage,
    /// The configuration asked for less.
    Config,
    /// No topic of the class had been covered yet: recorded only where somebody asked for it.
    BeforeActivation,
    /// None of the others is known to be true.
    Unknown,
}

impl GapCause {
    /// Every cause, in the order they are shown.
    pub const ALL: [Self; 17] = [
        Self::Close,
        Self::HalfOpen,
        Self::ClosingNotice,
        Self::Kicked,
        Self::Expiry,
        Self::Token,
        Self::Quota,
        Self::Oversize,
        Self::SpoolFull,
        Self::Crash,
        Self::Zombie,
        Self::Suspect,
        Self::LateTopic,
        Self::ProviderOutage,
        Self::Config,
        Self::BeforeActivation,
        Self::Unknown,
    ];

    /// The word used in records, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::HalfOpen => "half_open",
            Self::ClosingNotice => "closing_notice",
            Self::Kicked => "kicked",
            Self::Expiry => "expiry",
            Self::Token => "token",
            Self::Quota => "quota",
            Self::Oversize => "oversize",
            Self::SpoolFull => "spool_full",
            Self::Crash => "crash",
            Self::Zombie => "zombie",
            Self::Suspect => "suspect",
            Self::LateTopic => "late_topic",
            Self::ProviderOutage => "provider_outage",
            Self::Config => "config",
            Self::BeforeActivation => "before_activation",
            Self::Unknown => "unknown",
        }
    }
}

impl From<EndReason> for GapCause {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Reset
            | EndReason::Close1000
            | EndReason::Close1001
            | EndReason::CloseOther
            | EndReason::Rotation => Self::Close,
            EndReason::HalfOpen => Self::HalfOpen,
            EndReason::ClosingNotice => Self::ClosingNotice,
            EndReason::Kicked => Self::Kicked,
            EndReason::Expiry => Self::Expiry,
            EndReason::Token => Self::Token,
        }
    }
}

/// How a gap was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Acknowledgements that came late proved the interval after all.
    Covered,
    /// Two equal readings of complete history.
    Reconciled,
    /// History is known to be incomplete.
    Partial,
    /// There is no history to read.
    LostDeclared,
}

impl Outcome {
    /// Every outcome, in the order they are shown.
    pub const ALL: [Self; 4] = [Self::Covered, Self::Reconciled, Self::Partial, Self::LostDeclared];

    /// The word used in records, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Reconciled => "reconciled",
            Self::Partial => "partial",
            Self::LostDeclared => "lost_declared",
        }
    }
}
