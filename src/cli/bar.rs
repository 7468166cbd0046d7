//! Progress of long work, drawn on standard error where somebody looks.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use trunkline_protocol::history::Counts;

/// A bar of parts.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Draws nothing when standard error is no terminal, or `quiet`.
    pub(super) fn new(parts: usize, quiet: bool) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(4)
        };
        let bar = ProgressBar::with_draw_target(Some(parts as u64), target);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} parts  {msg}  {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// `done` parts were read with these counts, and of the next one so much.
    pub(super) fn show(&self, done: usize, before: &Counts, now: &Counts) {
        self.0.set_position(done as u64);
        self.0.set_message(format!(
            "{} rows, {} written, {} requests",
            before.rows + now.rows,
            before.written + now.written,
            before.requests + now.requests
        ));
    }

    /// Takes it away.
    pub(super) fn done(&self) {
        self.0.finish_and_clear();
    }
}
