//! What would be written of what is kept: encoded as the service does, counted, and let go.

use std::collections::BTreeMap;

use serde::Serialize;
use trunkline_protocol::domain::{Event, Quarantined, WriterId};
use trunkline_protocol::privacy::Policy;
use trunkline_protocol::topic::class_of;

use super::Kept;
use crate::app;
use crate::config::Config;
use crate::encode::{Encoder, Provenance};
use crate::error::ProcessError;
use crate::pipeline::write_down;

/// Writes records into memory, one at a time.
pub struct Rehearsal {
    org_id: String,
    policy: Policy,
    encoder: Encoder,
    max_record_bytes: usize,
    written: Written,
}

/// What would be written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Records by class of topics.
    pub records: BTreeMap<String, Records>,
    /// What would be quarantined, by reason and detail.
    pub quarantined: BTreeMap<&'static str, Refused>,
}

/// Records of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// How many.
    pub count: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
}

/// Messages that would be quarantined for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// What was said of the first one; names fields, never values.
    pub detail: String,
}

impl Rehearsal {
    /// Writes for an organisation, under the policy and within the limits as configured.
    ///
    /// # Errors
    /// When the privacy policy cannot be made.
    pub fn new(config: &Config, org_id: &str) -> Result<Self, ProcessError> {
        let provenance = Provenance { org_id: org_id.to_owned(), writer_id: WriterId([0; 16]) };
        Ok(Self {
            org_id: org_id.to_owned(),
            policy: app::policy(config)?,
            // the id of a schema takes the same room whichever it is
            encoder: Encoder::new(0, provenance, config.privacy.keep_payload),
            max_record_bytes: config.kafka.max_record_bytes,
            written: Written::default(),
        })
    }

    /// Writes one.
    pub fn take(&mut self, kept: &Kept) {
        match kept {
            Kept::Event(event, ..) => self.event(event),
            Kept::Rejected(rejected, ..) => self.written.reject(rejected),
        }
    }

    fn event(&mut self, event: &Event) {
        let whose = (self.org_id.as_str(), &self.policy);
        match write_down(event, whose, &mut self.encoder, self.max_record_bytes) {
            Ok((_, value)) => {
                let bytes = value.len() as u64;
                let records = self.written.records.entry(class_of(event.topic())).or_default();
                records.count += 1;
                records.bytes += bytes;
            }
            Err(rejected) => self.written.reject(&rejected),
        }
    }

    /// What would have been written so far.
    #[must_use]
    pub fn written(&self) -> &Written {
        &self.written
    }
}

impl Written {
    fn reject(&mut self, rejected: &Quarantined) {
        let refused = self.quarantined.entry(rejected.reason.as_str()).or_default();
        refused.count += 1;
        if refused.detail.is_empty() {
            refused.detail.clone_from(&rejected.detail);
        }
    }

    /// Records in all, and their bytes.
    #[must_use]
    pub fn total(&self) -> Records {
        let add = |a: Records, b: &Records| Records {
            count: a.count + b.count,
            bytes: a.bytes + b.bytes,
        };
        self.records.values().fold(Records::default(), add)
    }
}
