//! One JSON object per line with a stable event code, or text for people.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How logs are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// JSON lines, else text.
    pub json: bool,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter of the tracing library.
    pub level: String,
}

/// Starts logging to standard error.
///
/// # Errors
/// Says what is wrong with the level.
pub fn start(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.level)
        .map_err(|error| format!("log.level is {:?}: {error}", settings.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Patient);
    let started = if settings.json {
        builder.json().flatten_event(true).with_target(false).try_init()
    } else {
        builder.with_target(false).with_ansi(false).try_init()
    };
    started.map_err(|error| error.to_string())
}

/// Standard error that nobody reads, or a full disk behind it, must not end or stop the service.
struct Patient;

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(bytes).ok();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Patient {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
