//! Canonical body to a 128-bit identity.
//!
//! BLAKE3 rather than a fast non-cryptographic hash: bodies hold text that outsiders choose, and a
//! forced collision would be a lost event. Taken before any privacy policy, so that a change of
//! policy duplicates nothing.

mod lanes;

use std::borrow::Cow;

use crate::domain::{BodyDigest, EventId};
use crate::scan;

/// How a body is brought into the form that is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canonical {
    /// Whitespace outside strings is removed, the order of keys is kept. Assumes that all channels
    /// carry a body with the same order.
    #[default]
    AsReceived,
    /// Keys are sorted as well, for a platform that shuffles them.
    Sorted,
}

/// Derives the identity of an event and the digest of its body.
#[must_use]
pub fn identify(form: Canonical, org: &str, topic: &str, body: &str) -> (EventId, BodyDigest) {
    identify_canonical(org, topic, &canonical_body(form, body))
}

/// The same for many (topic, canonical body) of one organisation, side by side.
#[must_use]
pub fn identify_all(org: &str, subjects: &[(&str, Cow<'_, str>)]) -> Vec<(EventId, BodyDigest)> {
    if let [(topic, canonical)] = subjects {
        return vec![identify_canonical(org, topic, canonical)];
    }
    let mut all = Vec::with_capacity(subjects.len());
    let mut joined = Vec::new();
    for group in subjects.chunks(TOGETHER) {
        joined.clear();
        let ends: Vec<usize> = group
            .iter()
            .map(|(topic, canonical)| {
                join_parts([org.as_bytes(), topic.as_bytes(), canonical.as_bytes()], &mut joined);
                joined.len()
            })
            .collect();
        let mut messages = Vec::with_capacity(2 * TOGETHER);
        let mut start = 0;
        for ((_, canonical), end) in group.iter().zip(ends) {
            messages.extend([&joined[start..end], canonical.as_bytes()]);
            start = end;
        }
        let hashes = lanes::hash_all(&messages);
        let half = |hash: [u8; 32]| first_half(&hash.into());
        all.extend(
            hashes
                .as_chunks()
                .0
                .iter()
                .map(|&[id, body]| (EventId(half(id)), BodyDigest(half(body)))),
        );
    }
    all
}

/// How many events are hashed together: their bytes stay within the second cache.
const TOGETHER: usize = 64;

fn identify_canonical(org: &str, topic: &str, canonical: &str) -> (EventId, BodyDigest) {
    let parts = [org.as_bytes(), topic.as_bytes(), canonical.as_bytes()];
    (EventId(first_half(&hash_parts(parts))), digest(canonical))
}

/// One buffer and one call: the hash function works on whole chunks side by side.
fn hash_parts(parts: [&[u8]; 3]) -> blake3::Hash {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    join_parts(parts, &mut bytes);
    blake3::hash(&bytes)
}

/// Each part behind its length, so that parts cannot flow into each other.
fn join_parts(parts: [&[u8]; 3], bytes: &mut Vec<u8>) {
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
}

/// Identity of bytes that are no envelope: the same message heard twice has the same one.
#[must_use]
pub fn identify_raw(org: &str, raw: &[u8]) -> EventId {
    EventId(first_half(&hash_parts([org.as_bytes(), b"", raw])))
}

fn digest(canonical: &str) -> BodyDigest {
    BodyDigest(first_half(&blake3::hash(canonical.as_bytes())))
}

pub(crate) fn first_half(hash: &blake3::Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    half
}

/// The form of a body that is hashed. Borrows when nothing has to change.
#[must_use]
pub fn canonical_body(form: Canonical, body: &str) -> Cow<'_, str> {
    match form {
        Canonical::AsReceived => without_whitespace(body),
        Canonical::Sorted => match serde_json::from_str::<serde_json::Value>(body) {
            // serde_json keeps object keys in a BTreeMap, so writing sorts them
            Ok(value) => Cow::Owned(value.to_string()),
            Err(_) => without_whitespace(body),
        },
    }
}

fn without_whitespace(body: &str) -> Cow<'_, str> {
    let bytes = body.as_bytes();
    let Some(first) = scan::whitespace(bytes, 0) else {
        return Cow::Borrowed(body);
    };
    let mut out = Vec::with_capacity(bytes.len());
    let (mut from, mut space) = (0, first);
    loop {
        out.extend_from_slice(&bytes[from..space]);
        from = space + 1;
        match scan::whitespace(bytes, from) {
            Some(next) => space = next,
            None => break,
        }
    }
    out.extend_from_slice(&bytes[from..]);
    Cow::Owned(String::from_utf8(out).expect("removing ASCII from UTF-8 leaves UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitespace_is_removed_outside_strings_only() {
        let body = "{ \"a b\" : [1,\n 2],\t\"c\\\" d\": \" e \\\\\" }";
        let canonical = canonical_body(Canonical::AsReceived, body);
        assert_eq!(canonical, "{\"a b\":[1,2],\"c\\\" d\":\" e \\\\\"}");
        assert!(matches!(canonical_body(Canonical::AsReceived, &canonical), Cow::Borrowed(_)));
    }

    #[test]
    fn parts_cannot_flow_into_each_other() {
        let id = |org, topic| identify(Canonical::AsReceived, org, topic, "{}").0;
        assert_ne!(id("ab", "c"), id("a", "bc"));
    }

    #[test]
    fn many_have_the_identities_they_have_alone() {
        let bodies: Vec<String> =
            (0..20).map(|n| format!("{{\"a\":\"{}\"}}", "x".repeat(n * 300))).collect();
        let subjects: Vec<_> = bodies.iter().map(|body| ("t", Cow::Borrowed(&**body))).collect();
        for count in [0, 1, 2, 8, 9, 20] {
            let alone: Vec<_> = bodies[..count]
                .iter()
                .map(|body| identify(Canonical::AsReceived, "o", "t", body))
                .collect();
            assert_eq!(identify_all("o", &subjects[..count]), alone);
        }
    }

    /// The vectors that fix what an identity is; `tests/journey` checks them in another language.
    #[test]
    fn every_vector_has_its_identity_and_its_digest_alone_and_in_company() {
        let text = include_str!("../../../tests/fixtures/ids.json");
        let vectors: Vec<std::collections::BTreeMap<String, String>> =
            serde_json::from_str(text).unwrap();
        assert!(vectors.len() >= 12);
        for vector in &vectors {
            let (org, topic, body) = (&vector["org"], &*vector["topic"], &vector["body"]);
            let (id, digest) = identify(Canonical::AsReceived, org, topic, body);
            assert_eq!(id.to_string(), vector["event_id"], "{}", vector["what"]);
            assert_eq!(digest.to_string(), vector["body_digest"], "{}", vector["what"]);
            let canonical = canonical_body(Canonical::AsReceived, body);
            let other = (topic, Cow::Borrowed("{\"other\":true}"));
            let together = identify_all(org, &[other.clone(), (topic, canonical), other]);
            assert_eq!(together[1], (id, digest), "{}", vector["what"]);
        }
    }

    #[test]
    fn sorted_form_ignores_the_order_of_keys() {
        let id = |body| identify(Canonical::Sorted, "o", "t", body);
        assert_eq!(id(r#"{"b":1,"a":{"d":2,"c":3}}"#), id(r#"{"a":{"c":3,"d":2},"b":1}"#));
    }
}
