//! The delivery rules of trunkline, as state machines that never wait.
//!
//! No clock, no randomness, no I/O: time, dice and ids are arguments. Everything that waits lives
//! in the `trunkline` package and only carries out what is decided here.
//!
//! Every machine has the same verbs: `handle` (something happened), `poll` (what to do next,
//! until `None`), `poll_timeout` (when to call `handle_timeout`), `handle_timeout` (time passed).
//!
//! | noun | machines and rules |
//! |---|---|
//! | a message | [`envelope`], [`eventbridge`], [`cursor`], [`identity`], [`dedupe`], [`splice`], [`sequence`], [`privacy`], [`replay`] |
//! | a socket | [`heartbeat`], [`session`] |
//! | a channel | [`channel`], [`rotation`], [`subscriptions`], [`token`] |
//! | requests | [`gate`], [`budget`], [`breaker`], [`backoff`]; whether somebody else has our name or our client: [`twins`] |
//! | a queue | [`queue`] |
//! | records | [`ground`], [`producer`], [`journal`], [`spool`], [`standby`] |
//! | proof | [`server_time`], [`watermark`], [`ledger`], [`gaps`], [`history`], [`audit`], [`certificate`], [`certifier`], [`strip`], [`tally`], [`slo`] |

pub mod audit;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod certificate;
pub mod certifier;
pub mod channel;
pub mod cursor;
pub mod dedupe;
pub mod direct;
pub mod discovery;
pub mod domain;
pub mod envelope;
pub mod eventbridge;
pub mod gaps;
pub mod gate;
pub mod ground;
pub mod heartbeat;
pub mod history;
pub mod identity;
pub mod journal;
pub mod ledger;
pub mod privacy;
pub mod producer;
pub mod queue;
pub mod replay;
pub mod rotation;
mod scan;
pub mod seats;
pub mod seeded;
pub mod sequence;
pub mod server_time;
pub mod session;
pub mod slo;
pub mod splice;
pub mod spool;
pub mod standby;
pub mod strip;
pub mod subscriptions;
pub mod tally;
pub mod text;
pub mod timings;
pub mod token;
pub mod topic;
pub mod twins;
pub mod watermark;
