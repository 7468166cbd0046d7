//! The broker: enqueue and later learn the fate, read a topic, refuse a weak one.

pub mod admin;
pub mod behind;
pub mod look;
pub mod producer;
mod quiet;
pub mod reader;
pub mod rights;
pub mod settings;
pub mod tail;
mod why;

use trunkline_protocol::domain::Disposition;

/// The headers of a record.
pub trait Headers {
    /// How many there are.
    fn count(&self) -> usize;
    /// Shows each one, in order.
    fn each(&self, show: &mut dyn FnMut(&str, &[u8]));
}

/// What is handed to a broker.
#[derive(Clone, Copy)]
pub struct Handover<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition; the key chooses it where there is none.
    pub partition: Option<i32>,
    /// Key.
    pub key: &'a [u8],
    /// Value.
    pub value: &'a [u8],
    /// Headers.
    pub headers: &'a dyn Headers,
    /// The record's timestamp: the platform's time, milliseconds since 1970.
    pub at_ms: i64,
    /// Comes back with the fate.
    pub token: usize,
}

/// Why nothing can be handed over at all.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The client library refuses its settings.
    #[error("the Kafka client refuses its settings")]
    Settings(#[source] rdkafka::error::KafkaError),
    /// No broker answers.
    #[error("no broker of {bootstrap} answers within {seconds} s{why}")]
    Unreachable {
        /// Where it was looked for.
        bootstrap: Box<str>,
        /// For how long.
        seconds: u64,
        /// The reason after a colon, or nothing.
        why: Box<str>,
        /// What the client library says.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The topic does not exist.
    #[error("topic {topic} does not exist; create it, or set kafka.create_topics to true")]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// The topic is hidden from us.
    #[error("the brokers do not show topic {topic} to the user of kafka.security")]
    Hidden {
        /// The topic.
        topic: String,
    },
    /// The topic could not be created.
    #[error("topic {topic} cannot be created: {reason}")]
    NotCreated {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
    /// The topic forgets what it must keep.
    #[error("topic {topic} has cleanup.policy={found}; needed: {needed}")]
    Cleanup {
        /// The topic.
        topic: String,
        /// Its policy.
        found: String,
        /// The policy it must have.
        needed: &'static str,
    },
    /// The topic would lose what it acknowledged.
    #[error(
        "topic {topic} is weaker than promised: {problems}; repair it, or set kafka.durability to degraded_allowed"
    )]
    Weak {
        /// The topic.
        topic: String,
        /// Every setting with its value and what is needed.
        problems: String,
    },
    /// The offsets of a consumer group are not told.
    #[error("cannot ask for the offsets of group {group}")]
    Group {
        /// The group.
        group: String,
        /// What the client library says.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// Reading a topic failed.
    #[error("cannot read topic {topic}")]
    Read {
        /// The topic.
        topic: String,
        /// What the client library says.
        #[source]
        source: rdkafka::error::KafkaError,
    },
}

impl KafkaError {
    /// Whether the broker refuses the user, so that asking again is vain until somebody grants it.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        use rdkafka::error::RDKafkaErrorCode as Code;
        let refused = |error: &rdkafka::error::KafkaError| {
            matches!(
                error.rdkafka_error_code(),
                Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed)
            )
        };
        match self {
            Self::Hidden { .. } => true,
            Self::Read { source, .. } | Self::Group { source, .. } => refused(source),
            Self::Settings(_)
            | Self::Unreachable { .. }
            | Self::NoTopic { .. }
            | Self::NotCreated { .. }
            | Self::Cleanup { .. }
            | Self::Weak { .. } => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Settings(_) => Disposition::Escalate, // the same settings fail again
            Self::Unreachable { .. } => Disposition::Retry, // brokers come back
            Self::NoTopic { .. } | Self::NotCreated { .. } => Disposition::Escalate, // somebody must
            Self::Hidden { .. } => Disposition::Escalate, // somebody must grant it
            Self::Weak { .. } => Disposition::Escalate,   // a promise cannot be kept
            Self::Cleanup { .. } => Disposition::Escalate, // somebody must change it
            Self::Read { .. } | Self::Group { .. } => Disposition::Retry, // nothing was lost by it
        }
    }
}
