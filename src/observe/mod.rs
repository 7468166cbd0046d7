//! What is seen from outside: metrics, logs, status.

pub mod flow;
pub mod logging;
pub mod metrics;
pub mod names;
pub mod status;
pub mod story;
