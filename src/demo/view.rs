//! What a person sees while the demo runs: a live picture on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One look at the running demo.
#[derive(Clone, Debug, Default)]
pub(super) struct Glimpse {
    /// Events the simulator generated on wanted topics.
    pub generated: u64,
    /// Records acknowledged by Kafka.
    pub published: u64,
    /// Copies recognised.
    pub deduplicated: u64,
    /// Events between socket and acknowledgement.
    pub in_flight: u64,
    /// One line per hot channel, e.g. `shard 0 leg 1  live  reconnects 3 (last: reset)`.
    pub channels: Vec<String>,
    /// 429 answers so far.
    pub rate_limited: u64,
}

/// Draws glimpses and tells of faults and reconnects as they happen.
pub(super) struct View {
    lines: Option<Picture>,
    last_line: Option<Duration>,
    target: u64,
}

struct Picture {
    area: MultiProgress,
    bar: ProgressBar,
    flow: ProgressBar,
    channels: Vec<ProgressBar>,
}

/// How often plain lines tell the progress when there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

impl View {
    /// Draws on standard error when it is a terminal; `quiet` draws nothing.
    #[must_use]
    pub(super) fn new(target: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let last_line = (!quiet).then_some(Duration::ZERO);
        Self { lines: terminal.then(|| Picture::new(target)), last_line, target }
    }

    /// Says something that stays on the screen: a fault, a reconnect, a stage.
    pub(super) fn tell(&self, at: Duration, text: &str) {
        if self.last_line.is_none() {
            return;
        }
        let line = format!("{:>6.1} s  {text}", at.as_secs_f64());
        match &self.lines {
            Some(picture) => drop(picture.area.println(line)),
            None => say(&line),
        }
    }

    /// Draws the state of `at`.
    pub(super) fn draw(&mut self, at: Duration, glimpse: &Glimpse) {
        if let Some(picture) = &mut self.lines {
            picture.draw(glimpse);
        } else if let Some(last) = self.last_line
            && at >= last + PLAIN_EVERY
        {
            self.last_line = Some(at);
            say(&format!(
                "{:>6.1} s  {} of {} events in Kafka, {} copies recognised, {} in flight",
                at.as_secs_f64(),
                glimpse.published,
                self.target,
                glimpse.deduplicated,
                glimpse.in_flight
            ));
        }
    }

    /// Wipes the live picture; told lines stay.
    pub(super) fn finish(self) {
        if let Some(picture) = self.lines {
            drop(picture.area.clear());
        }
    }
}

impl Picture {
    fn new(target: u64) -> Self {
        let area = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let bar = area.add(ProgressBar::new(target));
        bar.set_style(
            ProgressStyle::with_template("{bar:40} {pos}/{len} events in Kafka  {per_sec}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let flow = area.add(text_line());
        Self { area, bar, flow, channels: Vec::new() }
    }

    fn draw(&mut self, glimpse: &Glimpse) {
        self.bar.set_position(glimpse.published);
        self.flow.set_message(format!(
            "generated {}  copies recognised {}  in flight {}  429s {}",
            glimpse.generated, glimpse.deduplicated, glimpse.in_flight, glimpse.rate_limited
        ));
        while self.channels.len() < glimpse.channels.len() {
            self.channels.push(self.area.add(text_line()));
        }
        for (line, text) in self.channels.iter().zip(&glimpse.channels) {
            line.set_message(text.clone());
        }
    }
}

fn text_line() -> ProgressBar {
    let line = ProgressBar::new_spinner();
    line.set_style(
        ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    line
}

/// A closed standard error must not end the demo.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
