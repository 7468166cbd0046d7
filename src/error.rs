//! The process-level error: which part, which cause, which exit code.

use std::fmt;

use crate::causes::chain;

/// Exit codes, as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// A verdict is not `pass`.
    Failed = 1,
    /// Wrong arguments.
    Usage = 64,
    /// Wrong configuration or data.
    Config = 65,
    /// A service is not available at start.
    Unavailable = 69,
    /// A fault of our own.
    Internal = 70,
    /// Somebody must grant something.
    Permission = 77,
}

/// Why a command failed.
#[derive(Debug)]
pub struct ProcessError {
    /// What it means for whoever called.
    pub code: ExitCode,
    /// One line per mistake; no secrets.
    pub text: String,
}

impl ProcessError {
    /// An error with its causes.
    pub fn new(code: ExitCode, error: &dyn std::error::Error) -> Self {
        Self { code, text: chain(error) }
    }

    /// An error in own words.
    pub fn text(code: ExitCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ProcessError {}
