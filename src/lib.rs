//! trunkline: hear, understand, keep once, write down, hand over, prove.
//!
//! ```text
//! Genesys Cloud ── wss ──► session ──► decode ──► sequence ──► encode ──► publish ──► Kafka
//!        ▲                                                                  │ acks
//!        └── control: token, channels, subscriptions, budget ◄──────────────┘
//! ```
//! The rules of each step are pure state machines in `trunkline-protocol`; the rooms here are the
//! shells that wait.

pub mod decode;
pub mod demo;
pub mod encode;
pub mod ledger;
pub mod proxy;
pub mod publish;
pub mod reconcile;
pub mod replay;
pub mod sequence;
pub mod session;
pub mod spool;

pub mod admin;
pub mod beside;
pub mod causes;
pub mod certify;
pub mod clock;
pub mod config;
pub mod control;
pub mod genesys;
pub mod ground;
pub mod kafka;
pub mod observe;
pub mod orders;
pub mod sqs;
pub mod staging;
pub mod supervisor;

pub mod app;
pub mod cli;
pub mod doctor;
pub mod errand;
pub mod error;
pub mod eventbridge;
pub mod failpoint;
pub mod listen;
pub mod pipeline;
pub mod survey;
