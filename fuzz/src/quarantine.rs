//! Records of the quarantine topic, as they come back: put together from parts, in whatever order and
//! number, then tried once more as envelopes.

use trunkline::decode::open::Opener;
use trunkline_protocol::domain::{EpochId, EventId, RejectReason, Wall};
use trunkline_protocol::envelope;
use trunkline_protocol::identity::{Canonical, identify_raw};
use trunkline_protocol::privacy::read_withheld;
use trunkline_protocol::replay::{Piece, assemble, enveloped, is_of, is_of_history};

use super::dough::Dough;
use super::envelope::{ORG, facts, frame};

const ROWS: &str = "analytics.conversations.details.jobs";

/// Pieces: id, its part as a text behind its length, bytes behind theirs.
pub fn run(bytes: &[u8]) {
    let mut dough = Dough::new(bytes);
    let mut pieces = Vec::new();
    while !dough.is_empty() && pieces.len() < 64 {
        let id = EventId([dough.byte() % 4; 16]);
        let at = Wall(i64::from(dough.byte()));
        let length = usize::from(dough.byte() % 16);
        let part = String::from_utf8_lossy(dough.bytes(length)).into_owned();
        let length = dough.short();
        pieces.push(Piece {
            id,
            part: (!part.is_empty()).then_some(part),
            reason: RejectReason::TooLarge,
            topic: (at.0 % 2 == 0).then(|| ROWS.to_owned()),
            received: at,
            epoch: EpochId([7; 16]),
            at,
            bytes: dough.bytes(length).to_vec(),
            withheld: false,
            altered: None,
        });
    }
    assembled(pieces);
}

fn assembled(pieces: Vec<Piece>) {
    let ids: std::collections::BTreeSet<EventId> = pieces.iter().map(|piece| piece.id).collect();
    let bytes: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    let (whole, incomplete) = assemble(pieces);
    assert!(whole.len() + incomplete <= ids.len(), "more messages than identities");
    assert!(whole.is_sorted_by_key(|message| message.received), "oldest first");
    assert!(whole.iter().map(|message| message.bytes.len()).sum::<usize>() <= bytes);
    for message in whole {
        assert_eq!(message.part, None);
        again(message);
    }
}

fn again(message: Piece) {
    _ = read_withheld(&message.bytes);
    let id = identify_raw(ORG, &message.bytes);
    assert!(
        is_of(ORG, id, &message.bytes, "", "") && !is_of("another", id, &message.bytes, "", "")
    );
    let Ok(text) = String::from_utf8(message.bytes) else { return };
    let topic = message.topic.as_deref();
    let wrapped = enveloped(text.clone(), topic);
    let rewrapped = enveloped(wrapped.clone(), topic);
    assert!(rewrapped == wrapped || envelope::read(&wrapped).is_err(), "wrapped twice");
    let Ok(event) = Opener::new(ORG.to_owned(), Canonical::Sorted).open(frame(&wrapped)) else {
        return;
    };
    assert!(wrapped == text || is_of_history(event.topic()), "{}", event.topic());
    facts(&event);
    assert!(is_of(ORG, event.id, b"", event.topic(), event.body()));
}
