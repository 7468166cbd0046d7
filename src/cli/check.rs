//! The configuration, offline.

use serde_json::json;

use super::{ConfigArgs, Output, configuration, environment, say};
use crate::config::{Config, load};
use crate::error::{ExitCode, ProcessError};

pub(super) fn check(args: &ConfigArgs, output: Output) -> Result<ExitCode, ProcessError> {
    match (load(args.config.as_deref(), &environment(args)), output) {
        (Ok(config), Output::Text) => {
            say(&format!("the configuration is good\n{}", leaving(&config)));
            Ok(ExitCode::Done)
        }
        (Ok(config), Output::Json) => {
            say(&json!({"ok": true, "mistakes": [], "leaving": leaving(&config)}).to_string());
            Ok(ExitCode::Done)
        }
        (Err(mistakes), Output::Text) => {
            let text = format!("{} mistakes\n{mistakes}", mistakes.0.len());
            Err(ProcessError::text(ExitCode::Config, text))
        }
        (Err(mistakes), Output::Json) => {
            say(&json!({"ok": false, "mistakes": mistakes.0}).to_string());
            Ok(ExitCode::Config)
        }
    }
}

/// Which fields leave the process under the privacy preset.
fn leaving(config: &Config) -> String {
    let payload = if config.privacy.keep_payload { "with" } else { "without" };
    format!(
        "privacy.preset none: every field leaves as it came, ani, dnis, attributes and wrap-up notes included; records go {payload} the raw body"
    )
}

pub(super) fn print_config(args: &ConfigArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let config = configuration(args)?;
    let failed = |error: &dyn std::error::Error| ProcessError::new(ExitCode::Internal, error);
    match output {
        Output::Text => say(serde_yaml_ng::to_string(&config).map_err(|e| failed(&e))?.trim_end()),
        Output::Json => say(&serde_json::to_string_pretty(&config).map_err(|e| failed(&e))?),
    }
    Ok(ExitCode::Done)
}
