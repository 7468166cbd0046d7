//! Progress of long work, drawn on standard error where somebody looks.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use trunkline_protocol::history::Counts;

/// A bar of parts.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Draws nothing when standard error is no terminal, or `quiet`.
    pub(super) fn new(parts: usize, quiet: bool) -> Self {
        Self::styled(parts as u64, "{bar:30} {pos}/{len} parts  {msg}  {elapsed}", quiet)
    }

    /// One that goes with the time.
    pub(super) fn of_seconds(span: Duration, quiet: bool) -> Self {
        Self::styled(span.as_secs().max(1), "{bar:20} {pos}/{len} s  {msg}", quiet)
    }

    fn styled(length: u64, template: &str, quiet: bool) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(4)
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// So much time has passed since something was heard first, if it was.
    pub(super) fn heard(&self, since: Option<Duration>, message: &str) {
        self.0.set_position(since.map_or(0, |since| since.as_secs()));
        self.0.set_message(message.to_owned());
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
