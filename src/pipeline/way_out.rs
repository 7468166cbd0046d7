//! WRITE DOWN and HAND OVER, wherever a message was heard.

use trunkline_protocol::domain::{Event, Quarantined};
use trunkline_protocol::privacy::Policy;

use super::write_down;
use crate::encode::Encoder;
use crate::observe::flow::InFlight;
use crate::publish::{self, Destination, Parcel, Record, quarantine, router::Router};

/// What a message that is kept passes on its way to the last stage.
pub struct WayOut<'a> {
    /// Organisation.
    pub org: &'a str,
    /// What may be written down.
    pub policy: &'a Policy,
    /// Writes records.
    pub encoder: &'a mut Encoder,
    /// Chooses keys and headers.
    pub router: &'a mut Router,
    /// The last stage.
    pub publish: &'a mut publish::Stage,
    /// A record is no longer.
    pub max_record_bytes: usize,
}

impl WayOut<'_> {
    /// An event as a record, or quarantined when it cannot be one; whether it is a record.
    pub fn record(&mut self, event: &Event, ticket: InFlight, number: u64) -> bool {
        let whose = (self.org, self.policy);
        let (facts, value) = match write_down(event, whose, self.encoder, self.max_record_bytes) {
            Ok(written) => written,
            Err(rejected) => {
                self.reject(&rejected, ticket, number);
                return false;
            }
        };
        let record = Record {
            destination: Destination::Events,
            number: Some(number),
            received: event.frame.received,
            event_time: facts.event_time.or(facts.version),
            ticket: Some(ticket),
        };
        let key = self.router.key(event, &facts);
        let headers = self.router.headers(event, &facts);
        self.publish.take(record, Parcel { key, value, headers: &headers });
        true
    }

    /// What cannot be a record, into the quarantine.
    pub fn reject(&mut self, rejected: &Quarantined, ticket: InFlight, number: u64) {
        quarantine::parts(rejected, number, ticket, self.max_record_bytes, |record, parcel| {
            self.publish.take(record, parcel);
        });
    }
}
