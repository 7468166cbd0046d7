//! Studies a live organisation without harm: on channels of its own, with few requests, it settles what no
//! document says, and writes down how it knows.

mod ears;
mod findings;
mod plan;
mod report;
mod script;
mod sockets;
mod times;
mod window;

pub use ears::CHANNELS;
pub use findings::{Findings, Outcome, QUESTIONS, Question};
pub use plan::{STEPS, Step, most};
pub use report::Report;
pub use script::Survey;
