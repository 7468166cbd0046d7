//! Amazon SQS: the calls we make of one queue, as typed requests and answers.

pub mod credentials;
mod http;

use std::time::Duration;

use trunkline_protocol::domain::{Disposition, Wall};

pub use http::{Sqs, SqsSettings};

/// A message as it was given.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name, the same each time it is given.
    pub id: String,
    /// What deletes it, another one each time.
    pub handle: String,
    /// Its text.
    pub body: String,
    /// When it was put into the queue.
    pub sent: Wall,
    /// How often it was given, this time included.
    pub receives: u32,
}

/// What is set of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// How long a message is kept that nobody deletes.
    pub retention: Duration,
    /// How long one stays hidden unless a request says otherwise.
    pub visibility: Duration,
    /// Where messages go that were given too often: its name, and how often that is.
    pub dead_letters: Option<(String, u32)>,
    /// Messages that wait, about.
    pub waiting: u64,
    /// Messages that were given and not deleted, about.
    pub hidden: u64,
}

/// Why one message of a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// As it was named in the request.
    pub number: u64,
    /// The code.
    pub code: String,
    /// The request is at fault: nothing comes of sending it again.
    pub sender: bool,
}

/// Why a call has no result. Never holds a credential or a message.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SqsError {
    /// There is no such queue.
    #[error("there is no queue {queue}")]
    NoQueue {
        /// Its URL.
        queue: String,
    },
    /// The credentials are refused, or may not do it.
    #[error("{action} on {queue} is denied ({code})")]
    Denied {
        /// What was asked.
        action: &'static str,
        /// The queue's URL.
        queue: String,
        /// The code of the answer.
        code: String,
    },
    /// Another error answer.
    #[error("{action} on {queue}: the answer is {status} ({code})")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// The queue's URL.
        queue: String,
        /// HTTP status.
        status: u16,
        /// Its code.
        code: String,
    },
    /// No answer: DNS, TCP, TLS, time-out.
    #[error("{host} gave no answer ({word})")]
    NoAnswer {
        /// Who.
        host: String,
        /// Why.
        word: &'static str,
    },
    /// An answer in an unknown shape.
    #[error("the answer to {0} cannot be read")]
    Unreadable(&'static str),
    /// Nothing to sign with.
    #[error("no AWS credentials: {0}")]
    Credentials(String),
}

impl SqsError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::NoQueue { .. } | Self::Denied { .. } => Disposition::Escalate,
            Self::Refused { status: 400..=499, code, .. } if !code.contains("hrottl") => {
                Disposition::Escalate
            }
            Self::Refused { .. } | Self::NoAnswer { .. } | Self::Unreadable(_) => {
                Disposition::Retry
            }
            // a mounted token or a metadata service may come late
            Self::Credentials(_) => Disposition::Retry,
        }
    }
}

/// What the service does with a queue, as a policy names it.
pub const ACTIONS: [&str; 4] = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
];

/// The region that a queue's URL names.
#[must_use]
pub fn region_of(queue_url: &str) -> Option<String> {
    let url = url::Url::parse(queue_url).ok()?;
    let labels: Vec<&str> = url.host_str()?.split('.').collect();
    if !labels.contains(&"amazonaws") {
        return None;
    }
    let at = labels.iter().position(|label| *label == "sqs")?;
    labels.get(at + 1).filter(|region| region.contains('-')).map(|region| (*region).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_queue_names_its_region() {
        let region = |url| region_of(url);
        assert_eq!(
            region("https://sqs.eu-central-1.amazonaws.com/1/q").as_deref(),
            Some("eu-central-1")
        );
        let china = "https://sqs.cn-north-1.amazonaws.com.cn/1/q";
        assert_eq!(region(china).as_deref(), Some("cn-north-1"));
        let own = "https://vpce-1-a.sqs.us-east-1.vpce.amazonaws.com/1/q";
        assert_eq!(region(own).as_deref(), Some("us-east-1"));
        assert_eq!(region("http://127.0.0.1:5000/1/q"), None);
        assert_eq!(region("https://sqs.example.com/1/q"), None);
        assert_eq!(region("no url"), None);
    }
}
