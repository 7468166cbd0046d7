//! What to do about a failure.

/// The answer every error owes: nothing is terminal once the service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// Again; the back-off says when, never whether.
    Retry,
    /// New token, channel or producer, then again.
    Renew,
    /// Raw bytes and reason to the quarantine topic, count, go on.
    Quarantine,
    /// An operator must look: alert now, and still try again at the delay cap.
    Escalate,
}

impl Disposition {
    /// The word used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Renew => "renew",
            Self::Quarantine => "quarantine",
            Self::Escalate => "escalate",
        }
    }
}
