//! What was heard and is not acknowledged, on disk beside the send and never in front of it.
//!
//! One log in segments. Events go to its end, and so do acknowledgements: what has to be sent again
//! is every event that no acknowledgement follows. There is no second file that could disagree, and
//! every mistake of a disk errs towards a repeat under the same id, except a damaged event, which is
//! counted.
//!
//! ```text
//! 0000000000000003-5c1f22a9.spool          0000000000000004-5c1f22a9.spool
//! ┌────────┬─────┬─────┬──────────┬─────┐  ┌────────┬─────┬──────────┐
//! │ header │ e 7 │ e 8 │ acked 5,7│ e 9 │  │ header │ e 10│ acked 8,9│  → open: 10
//! └────────┴─────┴─────┴──────────┴─────┘  └────────┴─────┴──────────┘
//! ```
//! [`Log`] gathers appends into groups of a few milliseconds; a [`Batch`] is written, synced, and
//! only then are segments unlinked that it made superfluous ([`carry_out`] knows the order, over a
//! [`Disk`]). A missing segment counts as deleted. A new process never writes into an old segment,
//! so a torn tail needs no knife. [`Reader`] reads back what memory had no room for.
//!
//! The spool is never the base of a claim: it only saves reading history again. It carries no gap
//! records, so it reserves no space for them: an interval is a gap as long as no claim in Kafka
//! covers it, and events that only lie on a disk move no claim.

mod ages;
mod disk;
mod log;
mod reader;
mod record;
mod recovery;
mod segment;
mod settled;

pub use disk::{Disk, DiskError, carry_out};
pub use log::{Batch, GROUP_WAIT, Limits, Log, PROBE};
pub use reader::{Read, Reader, Vanished};
pub use record::{Kind, Spooled};
pub use recovery::{Damage, RecoverError, Report, recover};
