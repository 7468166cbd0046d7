//! Acknowledgements and pongs to the durable watermark of a socket.
//!
//! A socket is first in, first out (assumed: A1), and the platform queues its pong behind the events
//! it had queued before: so everything fanned out before ping k was *sent* has arrived when pong k
//! has. The watermark is the send time of the newest ping whose pong arrived and before whose pong
//! everything that had arrived is durable. The receive time of the oldest event without an
//! acknowledgement would be unsound: that event was fanned out before it was received.
//!
//! ```text
//! heard 1, 2   pong(a)   heard 3   pong(b)   heard 4
//! ─────────────┴─────────────────┴──────────────────►   durable below 2: w = a; below 4: w = b
//! ```

use std::collections::VecDeque;

use crate::domain::Wall;
use crate::seeded::{Bug, planted};

/// Watermark of one socket. Its parcels must be shown in the order in which they arrived.
#[derive(Clone, Debug, Default)]
pub struct Watermark {
    barriers: VecDeque<Barrier>,
    /// Everything heard so far is durable when the journal's prefix is beyond this.
    needs: u64,
    proven: Option<Wall>,
}

#[derive(Clone, Copy, Debug)]
struct Barrier {
    /// Send time of the ping, the earliest it may have been.
    sent: Wall,
    needs: u64,
}

impl Watermark {
    /// Nothing has arrived.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An event arrived whose kept copy has this number in the [`Journal`](crate::journal::Journal).
    pub fn heard(&mut self, number: u64) {
        self.needs = self.needs.max(number + 1);
    }

    /// The pong to the ping sent at `sent` arrived.
    pub fn pong(&mut self, sent: Wall) {
        let needs = if planted(Bug::ClaimBeforeAck) { 0 } else { self.needs };
        self.barriers.push_back(Barrier { sent, needs });
    }

    /// Everything below is durable. Returns the watermark if it moved.
    pub fn durable_below(&mut self, number: u64) -> Option<Wall> {
        let before = self.proven;
        while let Some(barrier) = self.barriers.front().filter(|barrier| barrier.needs <= number) {
            self.proven = self.proven.max(Some(barrier.sent));
            self.barriers.pop_front();
        }
        self.proven.filter(|_| self.proven != before)
    }

    /// The watermark.
    #[must_use]
    pub fn proven(&self) -> Option<Wall> {
        self.proven
    }

    /// Send time of the newest ping that was answered.
    #[must_use]
    pub fn alive(&self) -> Option<Wall> {
        self.barriers.back().map(|barrier| barrier.sent).max(self.proven)
    }

    /// Whether the watermark has reached all it can.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.barriers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_is_the_send_time_of_a_ping_and_waits_for_what_came_before_its_pong() {
        let mut mark = Watermark::new();
        mark.heard(0);
        mark.heard(1);
        mark.pong(Wall(100));
        mark.heard(2);
        mark.pong(Wall(200));
        mark.heard(3);
        assert_eq!(mark.durable_below(1), None, "event 1 is not durable");
        assert_eq!(mark.durable_below(2), Some(Wall(100)));
        assert_eq!(mark.durable_below(2), None, "nothing moved");
        assert_eq!((mark.proven(), mark.alive()), (Some(Wall(100)), Some(Wall(200))));
        assert_eq!(mark.durable_below(3), Some(Wall(200)), "event 3 came after the pong");
        assert!(mark.is_settled());
    }

    #[test]
    fn a_duplicate_waits_for_the_copy_that_was_kept() {
        let mut mark = Watermark::new();
        mark.heard(7); // kept long ago from another channel, not durable
        mark.pong(Wall(100));
        assert_eq!(mark.durable_below(7), None);
        assert_eq!(mark.durable_below(8), Some(Wall(100)));
    }

    #[test]
    fn silence_with_pongs_moves_it_too() {
        let mut mark = Watermark::new();
        mark.pong(Wall(100));
        assert_eq!(mark.durable_below(0), Some(Wall(100)));
    }
}
