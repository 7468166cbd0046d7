//! Frame to event: the envelope is read and the identity taken; the body stays text.

use std::borrow::Cow;
use std::ops::Range;

use trunkline_protocol::domain::{
    BodyDigest, EpochId, Event, EventId, Frame, Now, Origin, Quarantined, RejectReason, TopicClass,
};
use trunkline_protocol::envelope::{self, Envelope};
use trunkline_protocol::identity::{self, Canonical};

/// An event, or the message with the reason why it is none, for the quarantine.
pub type Opened = Result<Event, Quarantined>;

/// Reads envelopes of one organisation and numbers the events.
#[derive(Debug)]
pub struct Opener {
    org: String,
    form: Canonical,
    sequence: u64,
}

impl Opener {
    /// Starts counting at 1.
    #[must_use]
    pub fn new(org: String, form: Canonical) -> Self {
        Self { org, form, sequence: 0 }
    }

    /// Whose events they are.
    #[must_use]
    pub fn org(&self) -> &str {
        &self.org
    }

    /// Reads the envelope of a message.
    ///
    /// # Errors
    /// The message with the reason, for the quarantine.
    #[expect(clippy::result_large_err, reason = "the raw message moves on; a box would copy it")]
    pub fn open(&mut self, frame: Frame) -> Opened {
        let mut one = self.open_all(&mut vec![frame]);
        one.pop().expect("one in, one out")
    }

    /// Reads the envelopes of messages, in their order; what is together is identified together.
    #[must_use]
    pub fn open_all(&mut self, frames: &mut Vec<Frame>) -> Vec<Opened> {
        let envelopes: Vec<_> = frames.iter().map(|frame| envelope::read(&frame.text)).collect();
        let subjects: Vec<(&str, Cow<'_, str>)> = frames
            .iter()
            .zip(&envelopes)
            .filter_map(|(frame, envelope)| {
                let parts = envelope.as_ref().ok()?;
                let part = |range: &Range<usize>| frame.text.get(range.clone()).unwrap_or_default();
                let body = part(&parts.body);
                let canonical = if parts.compact && self.form == Canonical::AsReceived {
                    Cow::Borrowed(body)
                } else {
                    identity::canonical_body(self.form, body)
                };
                Some((part(&parts.topic), canonical))
            })
            .collect();
        let mut ids = identity::identify_all(&self.org, &subjects).into_iter();
        let mut opened = Vec::with_capacity(frames.len());
        for (frame, envelope) in frames.drain(..).zip(envelopes) {
            opened.push(match envelope {
                Ok(parts) => Ok(self.event(frame, parts, ids.next().expect("one id an envelope"))),
                Err(refused) => {
                    let (received, epoch) = (frame.received, frame.epoch);
                    let raw = frame.text.into_bytes();
                    let quarantined = self.quarantined(raw, refused.reason, refused.detail);
                    Err(Quarantined { received, epoch, ..quarantined })
                }
            });
        }
        opened
    }

    fn event(
        &mut self,
        frame: Frame,
        parts: Envelope,
        (id, digest): (EventId, BodyDigest),
    ) -> Event {
        let topic = frame.text.get(parts.topic.clone()).unwrap_or_default();
        let class = TopicClass::of(topic);
        self.sequence += 1;
        Event {
            frame,
            id,
            digest,
            class,
            topic: parts.topic,
            body: parts.body,
            quotes: parts.quotes,
            correlation_id: parts.correlation_id,
            sequence: self.sequence,
            origin: Origin::Live,
            gap: None,
            takeover: false,
            altered: false,
        }
    }

    /// A binary message, which the platform never sends: raw to quarantine.
    #[must_use]
    pub fn binary(&self, raw: Vec<u8>, received: Now, epoch: EpochId) -> Quarantined {
        let detail = "a binary message where only text is expected".to_owned();
        let quarantined = self.quarantined(raw, RejectReason::Binary, detail);
        Quarantined { received, epoch, ..quarantined }
    }

    /// Bytes that are no event, under an identity of their own.
    #[must_use]
    pub fn quarantined(&self, raw: Vec<u8>, reason: RejectReason, detail: String) -> Quarantined {
        Quarantined {
            id: identity::identify_raw(&self.org, &raw),
            raw,
            reason,
            detail,
            topic: None,
            received: Now::default(),
            epoch: EpochId([0; 16]),
            withheld: false,
            altered: None,
        }
    }
}
