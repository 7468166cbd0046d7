//! The calls over reqwest: SQS's JSON protocol, signed.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use trunkline_protocol::domain::Wall;
use trunkline_protocol::queue::Entry;

use super::credentials::Provider;
use super::{Attributes, Failed, Message, SqsError};
use crate::clock::Clock;
use crate::genesys::http::word;

/// Which queue.
#[derive(Clone, Debug)]
pub struct SqsSettings {
    /// As AWS shows it.
    pub queue_url: String,
    /// Goes into signatures.
    pub region: String,
}

/// Speaks to one queue. Cheap to clone.
#[derive(Clone)]
pub struct Sqs {
    client: reqwest::Client,
    clock: Clock,
    settings: Arc<SqsSettings>,
    endpoint: String,
    provider: Arc<Provider>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    #[serde(default)]
    messages: Vec<MessageBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MessageBody {
    message_id: String,
    receipt_handle: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    attributes: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    #[serde(default)]
    failed: Vec<FailedBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailedBody {
    id: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    sender_fault: bool,
}

#[derive(Deserialize)]
struct AttributesBody {
    #[serde(rename = "Attributes", default)]
    attributes: Value,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(rename = "__type", default)]
    kind: String,
}

/// A request for messages waits so long for one.
const LONG_POLL: Duration = Duration::from_secs(20);
/// What a request may take: that, and the way.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

impl Sqs {
    /// Calls the host in the queue's URL, with a client that leaves a request half a minute.
    #[must_use]
    pub fn new(
        settings: SqsSettings,
        provider: Provider,
        client: reqwest::Client,
        clock: Clock,
    ) -> Self {
        let endpoint = url::Url::parse(&settings.queue_url)
            .ok()
            .and_then(|url| url.join("/").ok())
            .map_or_else(|| settings.queue_url.clone(), String::from);
        Self { client, clock, settings: Arc::new(settings), endpoint, provider: Arc::new(provider) }
    }

    /// What a request may take.
    #[must_use]
    pub fn timeout() -> Duration {
        TIMEOUT
    }

    /// The queue's URL.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.settings.queue_url
    }

    /// Who signs, in words.
    #[must_use]
    pub fn signs(&self) -> String {
        self.provider.shown()
    }

    /// Messages, so many at most, hidden for `visibility`; waits for one for a while where `wait` says so.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn receive(
        &self,
        count: usize,
        visibility: Duration,
        wait: bool,
    ) -> Result<Vec<Message>, SqsError> {
        let body = json!({
            "QueueUrl": self.queue(),
            "MaxNumberOfMessages": count,
            "WaitTimeSeconds": if wait { LONG_POLL.as_secs() } else { 0 },
            "VisibilityTimeout": visibility.as_secs(),
            "MessageSystemAttributeNames": ["SentTimestamp", "ApproximateReceiveCount"],
        });
        let given: Given = self.call("ReceiveMessage", &body).await?;
        let now = self.clock.now().wall.0;
        let message = |message: MessageBody| Message {
            sent: Wall(number(&message.attributes, "SentTimestamp").unwrap_or(now)),
            receives: number(&message.attributes, "ApproximateReceiveCount").unwrap_or(1),
            id: message.message_id,
            handle: message.receipt_handle,
            body: message.body,
        };
        Ok(given.messages.into_iter().map(message).collect())
    }

    /// Deletes messages; returns those it did not delete.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn delete(&self, entries: &[Entry]) -> Result<Vec<Failed>, SqsError> {
        let each =
            |entry: &Entry| json!({"Id": entry.number.to_string(), "ReceiptHandle": entry.handle});
        self.batch("DeleteMessageBatch", entries, each).await
    }

    /// Hides messages for so long from now on; returns those it did not hide.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn extend(
        &self,
        entries: &[Entry],
        visibility: Duration,
    ) -> Result<Vec<Failed>, SqsError> {
        let each = |entry: &Entry| json!({"Id": entry.number.to_string(), "ReceiptHandle": entry.handle, "VisibilityTimeout": visibility.as_secs()});
        self.batch("ChangeMessageVisibilityBatch", entries, each).await
    }

    async fn batch(
        &self,
        action: &'static str,
        entries: &[Entry],
        each: impl Fn(&Entry) -> Value,
    ) -> Result<Vec<Failed>, SqsError> {
        let entries: Vec<Value> = entries.iter().map(each).collect();
        let body = json!({"QueueUrl": self.queue(), "Entries": entries});
        let answer: Batch = self.call(action, &body).await?;
        let failed = |failed: FailedBody| {
            Some(Failed {
                number: failed.id.parse().ok()?,
                code: failed.code,
                sender: failed.sender_fault,
            })
        };
        Ok(answer.failed.into_iter().filter_map(failed).collect())
    }

    /// What is set of the queue.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn attributes(&self) -> Result<Attributes, SqsError> {
        let body = json!({"QueueUrl": self.queue(), "AttributeNames": ["All"]});
        let AttributesBody { attributes } = self.call("GetQueueAttributes", &body).await?;
        let seconds = |name| number(&attributes, name).map(Duration::from_secs).unwrap_or_default();
        let redrive = attributes.get("RedrivePolicy").and_then(Value::as_str).unwrap_or_default();
        let redrive: Value = serde_json::from_str(redrive).unwrap_or_default();
        let dead_letters = redrive.get("deadLetterTargetArn").and_then(Value::as_str);
        let name = dead_letters.and_then(|arn| arn.rsplit(':').next());
        Ok(Attributes {
            retention: seconds("MessageRetentionPeriod"),
            visibility: seconds("VisibilityTimeout"),
            dead_letters: name
                .map(|name| (name.to_owned(), number(&redrive, "maxReceiveCount").unwrap_or(0))),
            waiting: number(&attributes, "ApproximateNumberOfMessages").unwrap_or(0),
            hidden: number(&attributes, "ApproximateNumberOfMessagesNotVisible").unwrap_or(0),
        })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        action: &'static str,
        body: &Value,
    ) -> Result<T, SqsError> {
        let body = body.to_string();
        let target = format!("AmazonSQS.{action}");
        let headers =
            [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let mut request = self.client.post(&self.endpoint);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in self.signature(&headers, body.as_bytes()).await? {
            request = request.header(name, value);
        }
        let host = || {
            let url = url::Url::parse(&self.endpoint).ok();
            url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
        };
        let no_answer =
            |error: reqwest::Error| SqsError::NoAnswer { host: host(), word: word(&error) };
        let answer = request.body(body).send().await.map_err(no_answer)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(no_answer)?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|_| SqsError::Unreadable(action));
        }
        let said: ErrorBody = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(refusal(action, self.queue(), status.as_u16(), &said.kind))
    }

    async fn signature(
        &self,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>, SqsError> {
        let unsigned = |error: &dyn std::error::Error| {
            SqsError::Credentials(format!("a request cannot be signed: {error}"))
        };
        let identity = self.provider.get().await?.into();
        let wall = u64::try_from(self.clock.now().wall.0).unwrap_or_default();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.settings.region)
            .name("sqs")
            .time(UNIX_EPOCH + Duration::from_millis(wall))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let (headers, body) = (headers.iter().copied(), SignableBody::Bytes(body));
        let request = SignableRequest::new("POST", &self.endpoint, headers, body)
            .map_err(|error| unsigned(&error))?;
        let (instructions, _) =
            sign(request, &params).map_err(|error| unsigned(&error))?.into_parts();
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(instructions.headers().map(own).collect())
    }
}

/// What an error answer means. Codes stand behind a name space.
fn refusal(action: &'static str, queue: &str, status: u16, kind: &str) -> SqsError {
    let code = kind.rsplit('#').next().filter(|code| !code.is_empty());
    let code = code.map_or_else(|| status.to_string(), str::to_owned);
    let queue = queue.to_owned();
    let denied = ["AccessDenied", "Signature", "Token", "Security", "UnrecognizedClient"];
    if code.contains("QueueDoesNotExist") || code.contains("NonExistentQueue") {
        SqsError::NoQueue { queue }
    } else if status == 403 || denied.iter().any(|word| code.contains(word)) {
        SqsError::Denied { action, queue, code }
    } else {
        SqsError::Refused { action, queue, status, code }
    }
}

/// A number, which SQS writes as a string.
fn number<T: std::str::FromStr>(of: &Value, name: &str) -> Option<T> {
    let value = of.get(name)?;
    match value.as_str() {
        Some(text) => text.parse().ok(),
        None => value.to_string().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_answer_says_what_stands_in_the_way() {
        let of = |status, kind| refusal("ReceiveMessage", "q", status, kind);
        let none = SqsError::NoQueue { queue: "q".to_owned() };
        assert_eq!(of(400, "com.amazonaws.sqs#QueueDoesNotExist"), none);
        assert_eq!(of(400, "AWS.SimpleQueueService.NonExistentQueue"), none);
        for kind in ["com.amazon.coral.service#AccessDeniedException", "InvalidClientTokenId", ""] {
            assert!(matches!(of(403, kind), SqsError::Denied { .. }), "{kind}");
        }
        assert!(matches!(of(400, "ExpiredTokenException"), SqsError::Denied { .. }));
        let throttled = of(400, "com.amazonaws.sqs#RequestThrottled");
        assert_eq!(throttled.disposition(), trunkline_protocol::domain::Disposition::Retry);
    }

    #[test]
    fn numbers_come_as_strings_and_as_numbers() {
        let value = json!({"a": "7", "b": 8, "c": "x"});
        assert_eq!(number::<u32>(&value, "a"), Some(7));
        assert_eq!(number::<u32>(&value, "b"), Some(8));
        assert_eq!(number::<u32>(&value, "c"), None);
        assert_eq!(number::<u32>(&value, "d"), None);
    }
}
