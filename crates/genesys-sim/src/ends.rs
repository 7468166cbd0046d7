//! How sockets ended: the last ones, and how often each way.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// Ends that are kept; older ones are counted only.
const KEPT: usize = 50;

/// Which way a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// A close frame with this code.
    Close(u16),
    /// Without a close frame.
    Reset,
    /// The client went.
    Client,
    /// The client left too much unread.
    Unread,
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Close(code) => write!(f, "close {code}"),
            Self::Reset => f.write_str("reset"),
            Self::Client => f.write_str("by the client"),
            Self::Unread => f.write_str("too much unread"),
        }
    }
}

impl Serialize for How {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One end of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    /// When.
    pub at_ms: u64,
    /// Number of the channel, as in the ledger.
    pub channel: u64,
    /// Which way.
    pub how: How,
    /// The reason in the close frame; empty for none.
    pub reason: String,
    /// How long it had been open.
    pub lasted_ms: u64,
}

/// All ends, the old ones as counts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ends {
    /// How often each way.
    pub counts: BTreeMap<How, u64>,
    /// The last ones, oldest first.
    pub last: VecDeque<End>,
}

impl Ends {
    /// Puts an end on record.
    pub fn note(&mut self, end: End) {
        *self.counts.entry(end.how).or_default() += 1;
        if self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_ends_are_counted_and_no_longer_kept() {
        let mut ends = Ends::default();
        for at_ms in 0..60 {
            let how = if at_ms < 20 { How::Close(1001) } else { How::Client };
            ends.note(End { at_ms, channel: 1, how, reason: String::new(), lasted_ms: 0 });
        }
        assert_eq!((ends.last.len(), ends.last[0].at_ms), (50, 10));
        let json = serde_json::to_value(&ends).unwrap();
        assert_eq!(json["counts"], serde_json::json!({"close 1001": 20, "by the client": 40}));
    }
}
