//! Strangers' bytes into every place where the product takes them, and what has to hold afterwards.
//!
//! A target is a function that panics when a promise is broken; "it does not panic" is the least of
//! them. `targets/` hands each to libFuzzer, `tests/fuzz.rs` of the product replays what is kept in
//! `corpus/` through the same functions.

pub mod avro;
pub mod config;
pub mod envelope;
pub mod history;
pub mod privacy;
pub mod proof;
pub mod quarantine;
pub mod retry_after;
pub mod spool;
pub mod state;

mod dough;
mod record;

/// What is done with the bytes of a stranger.
pub type Target = fn(&[u8]);

/// Every target; its corpus is the folder of this name.
pub const TARGETS: &[(&str, Target)] = &[
    ("avro", avro::run),
    ("config", config::run),
    ("envelope", envelope::run),
    ("history", history::run),
    ("privacy", privacy::run),
    ("proof", proof::run),
    ("quarantine", quarantine::run),
    ("retry_after", retry_after::run),
    ("spool", spool::run),
    ("state", state::run),
];
