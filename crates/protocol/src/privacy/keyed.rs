//! Keyed hashes: equal values have equal hashes, and who lacks the key cannot try out values.
//!
//! HMAC-SHA-256 rather than the keyed mode of the function identities are made with: every language's
//! own library and `openssl dgst` can compute it, so whoever looks for one person needs no tool of ours.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// A key is so long, or longer.
pub const KEY_BYTES: usize = 32;
/// What a hash begins with.
const MARK: &str = "hash:";
/// Digits that tell which key it was.
const LABEL: usize = 4;
/// Digits of the hash itself: 128 bits.
const DIGITS: usize = 32;

/// A key that hashes. Never shown.
#[derive(Clone)]
pub struct HashKey {
    ready: Hmac<Sha256>,
    prefix: String,
}

impl HashKey {
    /// `None` with fewer than [`KEY_BYTES`] bytes, or when they are all the same.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let first = bytes.first()?;
        if bytes.len() < KEY_BYTES || bytes.iter().all(|byte| byte == first) {
            return None;
        }
        let ready = Hmac::<Sha256>::new_from_slice(bytes).ok()?;
        let label = digits(&ready, b"trunkline key label", LABEL);
        Some(Self { prefix: format!("{MARK}{label}:"), ready })
    }

    /// What every hash under this key begins with, so that those of two keys are told apart.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `hash:`, four digits that name the key, `:`, and the first 32 hexadecimal digits of HMAC-SHA-256
    /// over the value's UTF-8.
    #[must_use]
    pub fn hash(&self, value: &str) -> String {
        [self.prefix.as_str(), &digits(&self.ready, value.as_bytes(), DIGITS)].concat()
    }
}

fn digits(ready: &Hmac<Sha256>, value: &[u8], count: usize) -> String {
    const DIGIT: &[u8; 16] = b"0123456789abcdef";
    let mut mac = ready.clone();
    mac.update(value);
    let hash = mac.finalize().into_bytes();
    let pair = |byte: &u8| [byte >> 4, byte & 15];
    hash.iter()
        .flat_map(pair)
        .take(count)
        .map(|half| char::from(DIGIT[usize::from(half)]))
        .collect()
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether a text has the form of a hash, under whatever key: it is not hashed once more.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parts = text.strip_prefix(MARK).and_then(|rest| rest.split_once(':'));
    parts.is_some_and(|(label, hash)| {
        label.len() == LABEL && hash.len() == DIGITS && is_hex(label) && is_hex(hash)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_everybody_computes() {
        assert!(HashKey::new(&[0xaa; 131]).is_none(), "one byte repeated is no key");
        // printf %s +4930123456 | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1e1f
        let key: Vec<u8> = (0..32).collect();
        let key = HashKey::new(&key).expect("long enough");
        let hash = key.hash("+4930123456");
        assert!(is_hash(&hash) && hash.starts_with(key.prefix()), "{hash}");
        assert!(hash.ends_with("a8e7e7332706acefdd8dc40317e591cf"), "{hash}");
    }

    #[test]
    fn short_keys_are_refused_and_no_key_is_shown() {
        let bytes: Vec<u8> = (0..32).collect();
        assert!(HashKey::new(&bytes[..31]).is_none());
        assert_eq!(format!("{:?}", HashKey::new(&bytes).expect("long enough")), "***");
    }

    #[test]
    fn two_keys_are_told_apart_and_equal_values_are_equal() {
        let of = |first: u8| HashKey::new(&(first..first + 32).collect::<Vec<_>>()).expect("a key");
        let (one, two) = (of(0), of(1));
        assert_eq!(one.hash("é"), one.hash("é"));
        assert_ne!(one.hash("a"), one.hash("A"));
        assert_ne!(one.prefix(), two.prefix());
        assert_ne!(one.hash("a").split(':').next_back(), two.hash("a").split(':').next_back());
        for no in ["", "hash:", "hash:12ab:", "hash:12AB:0123456789abcdef0123456789abcdef", "x"] {
            assert!(!is_hash(no), "{no}");
        }
    }
}
