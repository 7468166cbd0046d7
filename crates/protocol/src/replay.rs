//! Messages of the quarantine: put together from their parts, chosen, and told from those of another
//! organisation, so that they can be tried once more.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Altered, EpochId, EventId, Interval, RejectReason, Wall};
use crate::envelope;
use crate::identity::{Canonical, identify, identify_raw};

/// A record of the quarantine topic: a message, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What all parts of a message and all its copies have in common.
    pub id: EventId,
    /// Which of how many, as its header says, e.g. `2/3`; `None` for a whole message.
    pub part: Option<String>,
    /// Why it is there.
    pub reason: RejectReason,
    /// Topic name, where the envelope could be read.
    pub topic: Option<String>,
    /// When it was heard.
    pub received: Wall,
    /// The coverage it was heard in.
    pub epoch: EpochId,
    /// When it was quarantined.
    pub at: Wall,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// They are length and digest only.
    pub withheld: bool,
    /// What can no longer be told from them, where the privacy policy changed them.
    pub altered: Option<Altered>,
}

/// Which messages are meant; an empty set means all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// By identity.
    pub ids: BTreeSet<EventId>,
    /// By reason.
    pub reasons: BTreeSet<RejectReason>,
    /// By the time at which they were quarantined.
    pub range: Interval,
}

impl Choice {
    /// Whether a record is meant. Parts of a message have one id and one reason; its time is that of
    /// each part.
    #[must_use]
    pub fn takes(&self, id: EventId, reason: RejectReason, at: Wall) -> bool {
        (self.ids.is_empty() || self.ids.contains(&id))
            && (self.reasons.is_empty() || self.reasons.contains(&reason))
            && self.range.contains(at)
    }
}

/// Whole messages, oldest first, and how many lack parts. Several replicas quarantine one message
/// each under the same id: it is one message here.
#[must_use]
pub fn assemble(pieces: Vec<Piece>) -> (Vec<Piece>, usize) {
    let mut messages: BTreeMap<EventId, BTreeMap<usize, BTreeMap<usize, Piece>>> = BTreeMap::new();
    for piece in pieces {
        let Some((number, count)) = place(piece.part.as_deref()) else { continue };
        let cuts = messages.entry(piece.id).or_default();
        cuts.entry(count).or_default().entry(number).or_insert(piece);
    }
    let (mut whole, mut incomplete) = (Vec::new(), 0);
    for cuts in messages.into_values() {
        // a replica with another limit cuts into another number of parts
        match cuts.into_iter().find(|(count, parts)| parts.len() == *count) {
            Some((_, parts)) => whole.extend(join(parts)),
            None => incomplete += 1,
        }
    }
    whole.sort_by_key(|message| (message.received, message.at, message.id));
    (whole, incomplete)
}

fn join(parts: BTreeMap<usize, Piece>) -> Option<Piece> {
    let joined = parts.into_values().reduce(|mut first, next| {
        first.bytes.extend(next.bytes);
        first
    });
    joined.map(|message| Piece { part: None, ..message })
}

/// Number, from 1, and count.
fn place(part: Option<&str>) -> Option<(usize, usize)> {
    let Some(text) = part else { return Some((1, 1)) };
    let (number, count) = text.split_once('/')?;
    let (number, count) = (number.parse().ok()?, count.parse().ok()?);
    (1..=count).contains(&number).then_some((number, count))
}

/// Whether what is read from the interfaces of history goes by this name.
#[must_use]
pub fn is_of_history(topic: &str) -> bool {
    topic.starts_with("analytics.conversations.details.")
}

/// The message as an envelope. A row of history that could not be read was quarantined without one;
/// everything else comes as it is.
#[must_use]
pub fn enveloped(text: String, topic: Option<&str>) -> String {
    match topic.filter(|topic| is_of_history(topic)) {
        Some(topic) if envelope::read(&text).is_err() => {
            format!(r#"{{"topicName":"{topic}","eventBody":{text}}}"#)
        }
        Some(_) | None => text,
    }
}

/// Whether an id is that of this message in this organisation: over the bytes when nothing of it
/// could be read, else over topic and body, in either canonical form.
#[must_use]
pub fn is_of(org: &str, id: EventId, raw: &[u8], topic: &str, body: &str) -> bool {
    let forms = [Canonical::AsReceived, Canonical::Sorted];
    id == identify_raw(org, raw)
        || forms.iter().any(|form| id == identify(*form, org, topic, body).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(id: u8, part: Option<&str>, bytes: &str) -> Piece {
        Piece {
            id: EventId([id; 16]),
            part: part.map(str::to_owned),
            reason: RejectReason::TooLarge,
            topic: None,
            received: Wall(100 - i64::from(id)),
            epoch: EpochId([0; 16]),
            at: Wall(200),
            bytes: bytes.as_bytes().to_vec(),
            withheld: false,
            altered: None,
        }
    }

    #[test]
    fn parts_of_several_replicas_make_one_message() {
        let (whole, incomplete) = assemble(vec![
            piece(1, Some("2/2"), "b"),
            piece(1, Some("1/2"), "a"),
            piece(1, Some("1/2"), "a"),
            piece(1, Some("1/3"), "x"),
            piece(2, None, "whole"),
            piece(2, None, "whole"),
            piece(3, Some("1/2"), "half"),
            piece(4, Some("3/2"), "no place"),
        ]);
        let texts: Vec<(u8, &[u8])> = whole.iter().map(|m| (m.id.0[0], &m.bytes[..])).collect();
        assert_eq!(texts, [(2, &b"whole"[..]), (1, &b"ab"[..])], "oldest first");
        assert_eq!(incomplete, 1);
    }

    #[test]
    fn what_is_chosen_is_chosen_by_everything_that_was_named() {
        let range = Interval::new(Wall(0), Wall(10));
        let all = Choice { ids: BTreeSet::new(), reasons: BTreeSet::new(), range };
        let (one, two) = (EventId([1; 16]), EventId([2; 16]));
        assert!(all.takes(one, RejectReason::Binary, Wall(0)));
        assert!(!all.takes(one, RejectReason::Binary, Wall(10)));
        let some = Choice {
            ids: [one].into(),
            reasons: [RejectReason::BadBody, RejectReason::TooLarge].into(),
            range,
        };
        assert!(some.takes(one, RejectReason::BadBody, Wall(5)));
        assert!(!some.takes(two, RejectReason::BadBody, Wall(5)));
        assert!(!some.takes(one, RejectReason::Binary, Wall(5)));
    }

    #[test]
    fn a_bare_row_of_history_gets_an_envelope_and_nothing_else_does() {
        let topic = "analytics.conversations.details.query";
        let row = r#"{"conversationId":"c"}"#;
        let text = enveloped(row.to_owned(), Some(topic));
        let read = envelope::read(&text).expect("an envelope");
        assert_eq!((text.get(read.topic), text.get(read.body)), (Some(topic), Some(row)));
        assert_eq!(enveloped(text.clone(), Some(topic)), text);
        assert_eq!(enveloped(row.to_owned(), Some("v2.users.u.conversations")), row);
        assert_eq!(enveloped(row.to_owned(), None), row);
    }

    #[test]
    fn a_message_of_another_organisation_is_told_by_its_id() {
        let (topic, body) = ("v2.users.u.conversations", r#"{"b":1,"a":2}"#);
        for form in [Canonical::AsReceived, Canonical::Sorted] {
            let id = identify(form, "org", topic, body).0;
            assert!(is_of("org", id, b"raw", topic, body));
            assert!(!is_of("another", id, b"raw", topic, body));
        }
        assert!(is_of("org", identify_raw("org", b"raw"), b"raw", "", ""));
    }
}
