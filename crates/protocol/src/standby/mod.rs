//! Which replica writes the events of a shard, and when another one does it in its place.
//!
//! Every replica hears everything. The *primary* of a shard, a hash of the configured names, writes at
//! once; the others hold what they hear and follow the output topic:
//!
//! ```text
//! heard ── seen in the topic ──► durable: settled, and may be claimed
//!   └───── not seen within T_defer ──► written: the primary is dead, or never heard it
//! ```
//! T_defer runs only while the topic is read to its end, and not while the primary works off what an
//! outage of the broker left behind. No election, no membership: two primaries cost repeats, a dead
//! one costs seconds, and nothing is ever claimed that was not seen in the log or acknowledged.

mod charge;
mod deferral;
mod roster;

pub use charge::Charge;
pub use deferral::{Deferral, DeferralTimings};
pub use roster::Roster;
