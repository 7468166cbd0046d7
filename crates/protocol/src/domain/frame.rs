//! A message as heard.

use super::{EpochId, Now};

/// Which of a shard's hot channels a socket serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg {
    /// Ordinal of the shard, from 0.
    pub shard: u16,
    /// Ordinal of the hot channel within the shard, from 0.
    pub ordinal: u8,
}

/// One text message of one socket, not yet understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The message as it came, byte for byte.
    pub text: String,
    /// When its last byte was read.
    pub received: Now,
    /// The coverage it was heard in.
    pub epoch: EpochId,
    /// The place it was heard at.
    pub leg: Leg,
}
