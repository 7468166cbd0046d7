//! What goes to the disk beside the send, and in what form.

use trunkline_protocol::domain::{Event, Leg, Quarantined, RejectReason, TopicClass, Wall};
use trunkline_protocol::envelope::{self, Sniff};
use trunkline_protocol::privacy::Policy;
use trunkline_protocol::spool::{Kind, Spooled};

use crate::decode::body::{self, BodyError};
use crate::publish::quarantine;
use crate::sequence::Kept;
use crate::spool::NO_SHARD;

pub(super) fn number(kept: &Kept) -> u64 {
    match kept {
        Kept::Event(_, _, number) | Kept::Rejected(_, _, number) => *number,
    }
}

pub(super) fn heard_at(kept: &Kept) -> Wall {
    match kept {
        Kept::Event(event, ..) => event.frame.received.wall,
        Kept::Rejected(rejected, ..) => rejected.received.wall,
    }
}

pub(super) fn size(kept: &Kept) -> usize {
    match kept {
        Kept::Event(event, ..) => event.frame.text.len(),
        Kept::Rejected(rejected, ..) => rejected.raw.len(),
    }
}

/// As the session took it for.
pub(super) fn class_heard(text: &str) -> TopicClass {
    match envelope::sniff(text) {
        Sniff::Event(class) => class,
        Sniff::Unreadable
        | Sniff::Pong
        | Sniff::System(_)
        | Sniff::Heartbeat
        | Sniff::SocketReply => TopicClass::Other,
    }
}

/// The message with the privacy policy applied, before anything keeps it or writes it down. A body that
/// is no conversation has a shape that no rule was made for: that is found out here, before the disk,
/// and while it still is what was heard.
#[must_use]
pub fn governed(policy: &Policy, org: &str, kept: Kept) -> Kept {
    let (event, ticket, number) = match kept {
        kept if policy.is_none() => return kept,
        Kept::Event(event, ticket, number) => (event, ticket, number),
        Kept::Rejected(rejected, ticket, number) => {
            return Kept::Rejected(policy.rejected(rejected), ticket, number);
        }
    };
    let unread = body::read(&event).err();
    match unread.map(|error| unreadable(policy, org, &event, &error)) {
        Some(rejected) => Kept::Rejected(rejected, ticket, number),
        None => match policy.event(event) {
            Ok(event) => Kept::Event(event, ticket, number),
            Err(rejected) => Kept::Rejected(rejected, ticket, number),
        },
    }
}

/// What is quarantined of an event whose body is no conversation.
pub(super) fn unreadable(
    policy: &Policy,
    org: &str,
    event: &Event,
    error: &BodyError,
) -> Quarantined {
    let (reason, detail) = (RejectReason::BadBody, error.to_string());
    policy.rejected(quarantine::of_event(event, org, reason, detail))
}

/// The message as it goes to the disk.
pub(super) fn spooled(kept: &Kept) -> Spooled<'_> {
    match kept {
        Kept::Event(event, _, number) => Spooled {
            number: *number,
            kind: if event.altered { Kind::Altered(event.digest) } else { Kind::Text },
            received: event.frame.received.wall,
            epoch: event.frame.epoch,
            leg: event.frame.leg,
            id: event.id,
            raw: event.frame.text.as_bytes(),
        },
        Kept::Rejected(rejected, _, number) => Spooled {
            number: *number,
            kind: match rejected.reason {
                _ if rejected.withheld => Kind::Withheld,
                RejectReason::Binary => Kind::Binary,
                RejectReason::Malformed
                | RejectReason::NoEnvelope
                | RejectReason::BadBody
                | RejectReason::TooLarge
                | RejectReason::Unencodable
                | RejectReason::Refused => Kind::Text,
            },
            received: rejected.received.wall,
            epoch: rejected.epoch,
            // a message that is none has no place in the record
            leg: Leg { shard: NO_SHARD, ordinal: 0 },
            id: rejected.id,
            raw: &rejected.raw,
        },
    }
}
