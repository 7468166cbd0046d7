//! 2 UNDERSTAND: bytes to events, events to facts, or a reason why not.

pub mod body;
mod conversation;
mod detail;
pub mod history;
pub mod open;
mod party;
mod time;
mod word;
