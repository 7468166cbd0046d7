//! The nouns: what the stages hand to each other. Types first, no behaviour that could wait.

pub mod dice;
pub mod disposition;
pub mod event;
pub mod facts;
pub mod frame;
pub mod gap;
pub mod ids;
pub mod interval;
pub mod now;
pub mod reason;
pub mod timeline;

pub use dice::Dice;
pub use disposition::Disposition;
pub use event::{Altered, Event, Origin, Quarantined, RejectReason, TopicClass};
pub use frame::{Frame, Leg};
pub use gap::{GapCause, Outcome};
pub use ids::{BodyDigest, EpochId, EventId, GapId, SetDigest, WriterId};
pub use interval::{Interval, IntervalSet};
pub use now::{Mono, Now, Wall};
pub use reason::EndReason;
pub use timeline::Timeline;
