//! The dead-letter topic for what cannot go on: raw bytes and the reason.

use bytes::Bytes;
use trunkline_protocol::domain::{Event, Quarantined, RejectReason};

use super::{Destination, Outgoing};
use crate::observe::flow::InFlight;

/// A quarantined message as records: the bytes as they came, everything else in headers. More bytes
/// than fit into `max_bytes` go in parts, numbered in the header `trunkline-part`.
#[must_use]
pub fn outgoing(quarantined: Quarantined, ticket: InFlight, max_bytes: usize) -> Vec<Outgoing> {
    let id = Bytes::copy_from_slice(quarantined.id.to_hex().as_str().as_bytes());
    let mut headers = vec![
        ("event_id", id.clone()),
        ("trunkline-reason", Bytes::from_static(quarantined.reason.as_str().as_bytes())),
        ("trunkline-detail", quarantined.detail.into()),
        ("trunkline-received-at", quarantined.received.wall.0.to_string().into()),
        ("trunkline-epoch", quarantined.epoch.to_string().into()),
    ];
    if let Some(topic) = &quarantined.topic {
        headers.push(("trunkline-topic", topic.clone().into()));
    }
    // room for the headers and the client library's own overhead
    let room = max_bytes.saturating_sub(8 << 10).max(1 << 10);
    let count = quarantined.raw.len().div_ceil(room).max(1);
    let mut ticket = Some(ticket);
    let part = |index: usize| {
        let last = index + 1 == count;
        let mut headers = headers.clone();
        if count > 1 {
            headers.push(("trunkline-part", format!("{}/{count}", index + 1).into()));
        }
        let end = ((index + 1) * room).min(quarantined.raw.len());
        Outgoing {
            destination: Destination::Quarantine(quarantined.reason),
            key: id.to_vec(), // one key, so that the parts stay together and in order
            value: quarantined.raw.get(index * room..end).unwrap_or_default().to_vec(),
            headers,
            id: quarantined.id,
            received: quarantined.received,
            event_time: None,
            ticket: if last { ticket.take() } else { None },
        }
    };
    (0..count).map(part).collect()
}

/// An event whose body cannot be used: the whole message as it came.
#[must_use]
pub fn of_event(event: &Event, reason: RejectReason, detail: String) -> Quarantined {
    Quarantined {
        raw: event.frame.text.clone().into_bytes(),
        reason,
        detail,
        topic: Some(event.topic().to_owned()),
        id: event.id,
        received: event.frame.received,
        epoch: event.frame.epoch,
    }
}
