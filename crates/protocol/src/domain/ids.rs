//! Identifiers. All are drawn or derived by the caller; nothing here rolls dice.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The 32 lowercase hexadecimal digits that appear in records, headers and logs.
            #[must_use]
            pub fn to_hex(self) -> HexId {
                HexId::new(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.to_hex().as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.to_hex().as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let (pairs, rest) = text.as_bytes().as_chunks::<2>();
                let mut bytes = [0; 16];
                if pairs.len() != bytes.len() || !rest.is_empty() {
                    return Err(NotAnId);
                }
                for (byte, pair) in bytes.iter_mut().zip(pairs) {
                    *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
                }
                Ok(Self(bytes))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.to_hex().as_str())
            }
        }
    };
}

hex_id!(
    /// Identity of an event: first 16 bytes of BLAKE3 over length-prefixed org, topic and
    /// canonical body. Equal on every channel that carries the event.
    EventId
);
hex_id!(
    /// First 16 bytes of BLAKE3 over the canonical body alone: joins one change seen on two topics.
    BodyDigest
);
hex_id!(
    /// One coverage of a shard by one socket with a verified subscription. Random, never reused.
    EpochId
);
hex_id!(
    /// One incarnation of a process. Random, drawn at start.
    WriterId
);

hex_id!(
    /// A set of topics: first 16 bytes of BLAKE3 over the sorted names, each behind its length.
    SetDigest
);
hex_id!(
    /// A gap: first 16 bytes of BLAKE3 over shard, topic class and start. Whoever derives the same
    /// gap gives it the same name.
    GapId
);

/// A text is not the 32 lowercase hexadecimal digits of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 32 lowercase hexadecimal digits")]
pub struct NotAnId;

fn nibble(digit: u8) -> Result<u8, NotAnId> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotAnId),
    }
}

/// Thirty-two hexadecimal digits without an allocation.
#[derive(Clone, Copy)]
pub struct HexId([u8; 32]);

impl HexId {
    fn new(bytes: [u8; 16]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = [0_u8; 32];
        for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(out)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_32_lowercase_digits() {
        let id = EventId([0, 1, 0xab, 0xff, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(id.to_string(), "0001abff0405060708090a0b0c0d0e0f");
        assert_eq!("0001abff0405060708090a0b0c0d0e0f".parse(), Ok(id));
        for wrong in
            ["", "00", "0001ABFF0405060708090a0b0c0d0e0f", "0001abff0405060708090a0b0c0d0e0"]
        {
            assert_eq!(wrong.parse::<EventId>(), Err(NotAnId), "{wrong}");
        }
    }
}
