//! One JSON object per line with a stable event code, or text for people.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::reload::Handle;

/// How logs are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// JSON lines, else text.
    pub json: bool,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter of the tracing library.
    pub level: String,
}

/// What is logged from here on.
pub struct Level(Box<dyn Fn(EnvFilter) -> Result<(), String>>);

impl Level {
    fn of<S: 'static>(handle: Handle<EnvFilter, S>) -> Self {
        Self(Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())))
    }

    /// Another one.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn set(&self, level: &str) -> Result<(), String> {
        (self.0)(filter(level)?)
    }
}

/// Starts logging to standard error.
///
/// # Errors
/// Says what is wrong with the level.
pub fn start(settings: &LogSettings) -> Result<Level, String> {
    let filter = filter(&settings.level)?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(Patient).with_target(false);
    let (level, started) = if settings.json {
        let builder = builder.json().flatten_event(true).with_filter_reloading();
        (Level::of(builder.reload_handle()), builder.try_init())
    } else {
        let builder = builder.with_ansi(false).with_filter_reloading();
        (Level::of(builder.reload_handle()), builder.try_init())
    };
    started.map_err(|error| error.to_string())?;
    Ok(level)
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(level).map_err(|error| format!("log.level is {level:?}: {error}"))
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
