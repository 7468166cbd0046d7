//! Policies applied to messages: to events before they are kept on the disk or written down, and to
//! what is quarantined.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::domain::{Event, Frame, Quarantined, RejectReason};

/// What is quarantined in place of a message that could not be read.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    /// Why, as in the header.
    reason: String,
    /// What the parser said; names positions and types, never content.
    detail: String,
    /// Of the message.
    length: usize,
    /// BLAKE3 over the message, hexadecimal.
    digest: String,
}

impl Policy {
    /// An event with the policy applied to its body; its identity stays. What the envelope holds
    /// beside topic, body and correlation id goes.
    ///
    /// # Errors
    /// For the quarantine, when the body cannot be read.
    #[expect(clippy::result_large_err, reason = "the message moves on; a box would copy it")]
    pub fn event(&self, event: Event) -> Result<Event, Quarantined> {
        if self.is_none() {
            return Ok(event);
        }
        match self.apply(event.body()) {
            Ok(body) => {
                let altered = event.altered || matches!(body, Cow::Owned(_));
                let (text, topic, at, correlation_id) = enveloped(&event, &body);
                Ok(Event {
                    topic,
                    quotes: event.quotes.filter(|_| !altered),
                    correlation_id,
                    body: at,
                    altered,
                    frame: Frame { text, ..event.frame },
                    ..event
                })
            }
            Err(problem) => Err(self.rejected(Quarantined {
                topic: Some(event.topic().to_owned()),
                raw: event.frame.text.into_bytes(),
                reason: RejectReason::BadBody,
                detail: problem.to_string(),
                id: event.id,
                received: event.frame.received,
                epoch: event.frame.epoch,
                withheld: false,
                altered: None,
            })),
        }
    }

    /// What is quarantined. Under a policy, a message that could not be read goes as its length and
    /// digest, unless it is to be kept.
    #[must_use]
    pub fn rejected(&self, quarantined: Quarantined) -> Quarantined {
        let unread = match quarantined.reason {
            RejectReason::Malformed
            | RejectReason::NoEnvelope
            | RejectReason::BadBody
            | RejectReason::Binary => true,
            // the rules were applied to these
            RejectReason::TooLarge | RejectReason::Unencodable | RejectReason::Refused => false,
        };
        let withholds = self.0.as_ref().is_some_and(|rules| !rules.keep_raw);
        if !unread || !withholds || quarantined.withheld {
            return quarantined;
        }
        let note = Note {
            reason: quarantined.reason.as_str().to_owned(),
            detail: quarantined.detail.clone(),
            length: quarantined.raw.len(),
            digest: blake3::hash(&quarantined.raw).to_hex().to_string(),
        };
        let raw = serde_json::to_vec(&note).unwrap_or_default();
        Quarantined { raw, withheld: true, altered: None, ..quarantined }
    }
}

/// The message written anew: text, topic, body and correlation id.
type Written = (String, Range<usize>, Range<usize>, Option<Range<usize>>);

fn enveloped(event: &Event, body: &str) -> Written {
    let mut text = String::with_capacity(event.topic().len() + body.len() + 128);
    let mut put = |parts: [&str; 2]| {
        text.push_str(parts[0]);
        let start = text.len();
        text.push_str(parts[1]);
        start..text.len()
    };
    let topic = put(["{\"topicName\":\"", event.topic()]);
    let body = put(["\",\"eventBody\":", body]);
    let correlation_id =
        event.correlation_id().map(|id| put([",\"metadata\":{\"CorrelationId\":\"", id]));
    text.push_str(if correlation_id.is_some() { "\"}}" } else { "}" });
    (text, topic, body, correlation_id)
}

/// Reason and detail of a message that was withheld, from what is quarantined in its place.
#[must_use]
pub fn read_withheld(raw: &[u8]) -> Option<(RejectReason, String)> {
    let note: Note = serde_json::from_slice(raw).ok()?;
    let reason = RejectReason::ALL.into_iter().find(|reason| reason.as_str() == note.reason)?;
    Some((reason, note.detail))
}
