//! The dead-letter topic for what cannot go on: the reason, and the bytes as far as the privacy policy
//! lets them.

use bytes::Bytes;
use trunkline_protocol::domain::{Altered, Event, Quarantined, RejectReason};

use super::router::FreeHeaders;
use super::{Destination, Parcel, Record};
use crate::observe::flow::InFlight;

/// A quarantined message as records: the bytes, everything else in headers. More bytes than fit into `max_bytes` go in parts, numbered in the header `trunkline-part`; `take` gets them
/// in order.
pub fn parts(
    quarantined: &Quarantined,
    number: u64,
    ticket: InFlight,
    max_bytes: usize,
    mut take: impl FnMut(Record, Parcel<'_>),
) {
    let id = quarantined.id.to_hex();
    let id = id.as_str().as_bytes();
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let mut headers = FreeHeaders::default();
    headers.add("event_id", Bytes::copy_from_slice(id));
    headers.add("trunkline-reason", text(quarantined.reason.as_str()));
    headers.add("trunkline-detail", text(&quarantined.detail));
    headers.add("trunkline-received-at", text(&quarantined.received.wall.0.to_string()));
    headers.add("trunkline-epoch", text(&quarantined.epoch.to_string()));
    if let Some(topic) = &quarantined.topic {
        headers.add("trunkline-topic", text(topic));
    }
    if quarantined.withheld {
        headers.add("trunkline-withheld", text("true"));
    }
    // whose it is can no longer be told from the bytes
    if let Some(altered) = &quarantined.altered {
        headers.add("trunkline-org", text(&altered.org_id));
        headers.add("trunkline-body-digest", text(&altered.digest.to_string()));
    }
    // room for the headers and the client library's own overhead
    let room = max_bytes.saturating_sub(8 << 10).max(1 << 10);
    let count = quarantined.raw.len().div_ceil(room).max(1);
    let mut ticket = Some(ticket);
    for index in 0..count {
        let mut headers = headers.clone();
        if count > 1 {
            headers.add("trunkline-part", text(&format!("{}/{count}", index + 1)));
        }
        let end = ((index + 1) * room).min(quarantined.raw.len());
        let record = Record {
            destination: Destination::Quarantine(quarantined.reason),
            number: (index + 1 == count).then_some(number),
            received: quarantined.received,
            event_time: None,
            ticket: if index + 1 == count { ticket.take() } else { None },
        };
        // one key, so that the parts stay together and in order
        let value = quarantined.raw.get(index * room..end).unwrap_or_default();
        take(record, Parcel { key: id, value, headers: &headers });
    }
}

/// An event of an organisation whose body cannot be used: the whole message.
#[must_use]
pub fn of_event(event: &Event, org: &str, reason: RejectReason, detail: String) -> Quarantined {
    let altered = event.altered.then(|| Altered { org_id: org.to_owned(), digest: event.digest });
    Quarantined {
        raw: event.frame.text.clone().into_bytes(),
        reason,
        detail,
        topic: Some(event.topic().to_owned()),
        id: event.id,
        received: event.frame.received,
        epoch: event.frame.epoch,
        withheld: false,
        altered,
    }
}
