//! Frame to event: the envelope is read and the identity taken; the body stays text.

use trunkline_protocol::domain::{
    EpochId, Event, Frame, Now, Origin, Quarantined, RejectReason, TopicClass,
};
use trunkline_protocol::envelope;
use trunkline_protocol::identity::{self, Canonical};

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

    /// Reads the envelope of a message.
    ///
    /// # Errors
    /// The message with the reason, for the quarantine.
    #[expect(clippy::result_large_err, reason = "the raw message moves on; a box would copy it")]
    pub fn open(&mut self, frame: Frame) -> Result<Event, Quarantined> {
        let parts = match envelope::read(&frame.text) {
            Ok(parts) => parts,
            Err(refused) => {
                let raw = frame.text.into_bytes();
                let quarantined = self.quarantined(raw, refused.reason, refused.detail);
                return Err(Quarantined {
                    received: frame.received,
                    epoch: frame.epoch,
                    ..quarantined
                });
            }
        };
        let part =
            |range: &std::ops::Range<usize>| frame.text.get(range.clone()).unwrap_or_default();
        let (topic, body) = (part(&parts.topic), part(&parts.body));
        let (id, digest) = identity::identify(self.form, &self.org, topic, body);
        let class = TopicClass::of(topic);
        self.sequence += 1;
        Ok(Event {
            frame,
            id,
            digest,
            class,
            topic: parts.topic,
            body: parts.body,
            correlation_id: parts.correlation_id,
            sequence: self.sequence,
            origin: Origin::Live,
            takeover: false,
        })
    }

    /// A binary message, which the platform never sends: raw to quarantine.
    #[must_use]
    pub fn binary(&self, raw: Vec<u8>, received: Now, epoch: EpochId) -> Quarantined {
        let detail = "a binary message where only text is expected".to_owned();
        let quarantined = self.quarantined(raw, RejectReason::Binary, detail);
        Quarantined { received, epoch, ..quarantined }
    }

    fn quarantined(&self, raw: Vec<u8>, reason: RejectReason, detail: String) -> Quarantined {
        Quarantined {
            id: identity::identify_raw(&self.org, &raw),
            raw,
            reason,
            detail,
            topic: None,
            received: Now::default(),
            epoch: EpochId([0; 16]),
        }
    }
}
