//! The platform: the calls we make, as typed requests and answers.

pub mod ask;
pub mod gate;
pub mod headers;
pub mod history;
pub mod http;
pub mod regions;

use std::collections::BTreeSet;
use std::time::Duration;

use trunkline_protocol::backoff::Hint;
use trunkline_protocol::domain::Disposition;
use trunkline_protocol::gate::Outcome;
use trunkline_protocol::subscriptions::Answered;

/// A token as granted. The text is a secret.
#[derive(Clone)]
pub struct Token {
    /// Goes into `Authorization: Bearer`.
    pub text: secrecy::SecretString,
    /// How long it serves.
    pub life: Duration,
}

/// A channel as created. Id and URI are secrets.
#[derive(Clone)]
pub struct Created {
    /// Names it in requests.
    pub id: String,
    /// Where its socket is opened.
    pub uri: String,
    /// How long it lives, by the platform's own clock.
    pub life: Duration,
}

/// Topics of a channel as read back.
pub type Listed = BTreeSet<String>;

/// What the platform says about each topic.
pub type Subscribed = Vec<Answered>;

/// Why a call has no result. Never holds a token, a channel id or a body.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlatformError {
    /// An error answer.
    #[error("the platform answered {status}{}", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Status {
        /// HTTP status.
        status: u16,
        /// `code` or `error` of the body.
        code: Option<String>,
        /// Permissions named in the body.
        missing: Option<String>,
        /// `Retry-After`, if it is usable.
        hint: Hint,
    },
    /// No answer: DNS, TCP, TLS, time-out.
    #[error("the platform gave no answer ({0})")]
    NoAnswer(&'static str),
    /// An answer in an unknown shape.
    #[error("the platform's answer cannot be read ({0})")]
    Unreadable(&'static str),
}

impl PlatformError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::NoAnswer(_) => Disposition::Retry,   // networks heal
            Self::Unreadable(_) => Disposition::Retry, // a proxy's page, most likely
            Self::Status { status, .. } => match status {
                401 => Disposition::Renew,                   // another token
                404 => Disposition::Renew,                   // another channel
                408 | 429 | 500..=599 => Disposition::Retry, // said to pass
                _ => Disposition::Escalate,                  // somebody must grant or repair
            },
        }
    }

    /// What the gate has to know.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Status { status: 429, hint, .. } => Outcome::RateLimited(*hint),
            Self::Status { status, .. } if *status < 500 => Outcome::Answered,
            Self::Status { .. } | Self::NoAnswer(_) | Self::Unreadable(_) => Outcome::Failed,
        }
    }

    /// HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::NoAnswer(_) | Self::Unreadable(_) => None,
        }
    }
}
