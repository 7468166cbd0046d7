//! Whether what was written arrives in S3: what Kafka Connect says of its sink, and what its consumer groups
//! have committed. States of tasks are told and never believed: a task that is RUNNING may write nothing.

pub mod connect;
pub mod difference;
mod judge;
mod look;
mod shipped;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use trunkline_protocol::domain::Disposition;
use url::Url;

pub use judge::{Advice, Grade, Retention, TopicLag, advise};
pub use look::{Letter, Looker, Seen, Sink};
pub use shipped::{Shipped, read};
pub use watch::watch;

/// What is looked at, and how.
#[derive(Clone, Debug)]
pub struct StagingSettings {
    /// Base URL of Kafka Connect's REST interface.
    pub url: Url,
    /// User and password.
    pub credentials: Option<(String, SecretString)>,
    /// Further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// Time for one request.
    pub timeout: Duration,
    /// Names of the connectors.
    pub connectors: Vec<String>,
    /// Consumer groups, where they are neither Connect's own nor what the connector says.
    pub groups: BTreeMap<String, String>,
    /// Topics that a sink may carry; looked at where Kafka Connect does not tell which.
    pub topics: Vec<String>,
    /// The longest outage of the sink that topics have to bear.
    pub longest_outage: Duration,
    /// Between two looks.
    pub every: Duration,
}

/// Why Kafka Connect does not do what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The client cannot be made.
    #[error("staging.ca_file: {0}")]
    Settings(String),
    /// Nobody answers.
    #[error("Kafka Connect at {url} does not answer: {why}")]
    NoAnswer {
        /// Where.
        url: String,
        /// A word for it.
        why: &'static str,
    },
    /// The credentials are refused.
    #[error("Kafka Connect at {url} answers {status}: staging.username or password is refused")]
    Denied {
        /// Where.
        url: String,
        /// 401 or 403.
        status: u16,
    },
    /// It refuses what was asked.
    #[error("Kafka Connect answers {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The first line of what it says.
        message: String,
    },
    /// What it says is not understood.
    #[error("Kafka Connect at {url} says what cannot be read; is it Kafka Connect?")]
    Unreadable {
        /// Where.
        url: String,
    },
}

impl StagingError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::NoAnswer { .. } => Disposition::Retry, // workers come back
            // it balances its tasks, or fails by itself
            Self::Refused { status: 409 | 500.., .. } => Disposition::Retry,
            Self::Settings(_)
            | Self::Denied { .. }
            | Self::Refused { .. }
            | Self::Unreadable { .. } => Disposition::Escalate, // the same question gets the same answer
        }
    }
}
