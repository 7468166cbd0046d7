//! trunkline: hear, understand, keep once, write down, hand over, prove.
//!
//! ```text
//! Genesys Cloud ── wss ──► session ──► decode ──► sequence ──► encode ──► publish ──► Kafka
//!        ▲                                                                  │ acks
//!        └── control: token, channels, subscriptions, budget ◄──────────────┘
//! ```
//! The rules of each step are pure state machines in `trunkline-protocol`; the rooms here are the
//! shells that wait.

pub mod clock;
pub mod observe;
pub mod supervisor;
