//! What is seen from outside: metrics, logs, health, status.

pub mod flow;
