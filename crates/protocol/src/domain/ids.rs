//! Identifiers. All are drawn or derived by the caller; nothing here rolls dice.

use std::fmt;

use serde::{Serialize, Serializer};

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
    }
}
