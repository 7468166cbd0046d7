//! What an operator asks of the part that holds the channels, and what it answers.

use tokio::sync::{mpsc, oneshot};
use trunkline_protocol::domain::Leg;

/// Replace a channel by a successor that is live before the old one goes.
#[derive(Debug)]
pub struct Rotate {
    /// Which.
    pub leg: Leg,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Rotated>,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The leg was told: a successor comes as soon as a sibling is live, if there is one.
    Told,
    /// There is no such channel in this process.
    Unknown,
}

/// Where orders are given.
pub type Orders = mpsc::Sender<Rotate>;
