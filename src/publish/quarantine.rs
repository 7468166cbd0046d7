//! The dead-letter topic for what cannot go on: raw bytes and the reason.

use trunkline_protocol::domain::{Event, Quarantined, RejectReason};

use super::{Destination, Outgoing};
use crate::observe::flow::InFlight;

/// A quarantined message as a record: the bytes as they came, everything else in headers.
#[must_use]
pub fn outgoing(quarantined: Quarantined, ticket: InFlight) -> Outgoing {
    let id = quarantined.id.to_hex().as_str().as_bytes().to_vec();
    let mut headers = vec![
        ("event_id", id.clone()),
        ("trunkline-reason", quarantined.reason.as_str().as_bytes().to_vec()),
        ("trunkline-detail", quarantined.detail.into_bytes()),
        ("trunkline-received-at", quarantined.received.wall.0.to_string().into_bytes()),
        ("trunkline-epoch", quarantined.epoch.to_string().into_bytes()),
    ];
    if let Some(topic) = &quarantined.topic {
        headers.push(("trunkline-topic", topic.clone().into_bytes()));
    }
    Outgoing {
        destination: Destination::Quarantine(quarantined.reason),
        key: quarantined.topic.map_or(id, String::into_bytes),
        value: quarantined.raw,
        headers,
        id: quarantined.id,
        received: quarantined.received,
        event_time: None,
        ticket,
    }
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
