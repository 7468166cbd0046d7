//! SIGTERM and SIGINT: whoever sends one wants an end, not a crash.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{ExitCode, ProcessError};

/// Waits for either.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on neither ends the process by itself.
    pub(super) fn new() -> Result<Self, ProcessError> {
        let failed = |error: std::io::Error| ProcessError::new(ExitCode::Internal, &error);
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for the next one. Safe to drop and call again.
    pub(super) async fn caught(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
