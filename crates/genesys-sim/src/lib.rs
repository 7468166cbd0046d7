//! A Genesys Cloud that fits in a process: OAuth, REST, notification channels, traffic and faults.
//!
//! The core does no I/O and reads no clock: [`Cloud`] takes requests, client frames and ticks, and
//! gives answers and frames. The feature `server` puts it behind HTTP and WebSocket. It shares no
//! code with any client, so it cannot share a client's misreadings.

#[cfg(test)]
mod bench;
pub mod channels;
#[cfg(feature = "server")]
pub mod cli;
pub mod cloud;
pub mod dials;
pub mod ends;
pub mod faults;
pub mod history;
pub mod http;
pub mod json;
pub mod ledger;
pub mod limits;
pub mod look;
#[cfg(test)]
mod manual;
pub mod oauth;
#[cfg(feature = "server")]
pub mod page;
pub mod replay;
mod rest;
pub use rest::Kind;
#[cfg(feature = "server")]
#[expect(clippy::disallowed_methods, reason = "the front end owns its clock and its tasks")]
pub mod server;
pub mod settings;
mod streaming;
mod strike;
mod topics;
pub mod traffic;

pub use cloud::{Cloud, Output};
pub use settings::Settings;
