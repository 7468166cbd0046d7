//! The delivery rules of trunkline, as state machines that never wait.
//!
//! No clock, no randomness, no I/O: time, dice and ids are arguments. Everything that waits lives
//! in the `trunkline` package and only carries out what is decided here.
//!
//! Every machine has the same four verbs: `handle` (something happened), `poll` (what to do next,
//! until `None`), `poll_timeout` (when to call `handle_timeout`), `handle_timeout` (time passed).

pub mod domain;
