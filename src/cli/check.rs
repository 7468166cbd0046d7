//! The configuration, offline.

use serde_json::json;

use super::leaving::Leaving;
use super::{ConfigArgs, Output, configuration, environment, say};
use crate::config::load;
use crate::error::{ExitCode, ProcessError};

pub(super) fn check(args: &ConfigArgs, output: Output) -> Result<ExitCode, ProcessError> {
    match (load(args.config.as_deref(), &environment(args)), output) {
        (Ok(config), Output::Text) => {
            say(&format!("the configuration is good\n{}", Leaving::of(&config)?.text()));
            Ok(ExitCode::Done)
        }
        (Ok(config), Output::Json) => {
            let leaving = Leaving::of(&config)?;
            say(&json!({"ok": true, "mistakes": [], "leaving": leaving}).to_string());
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

pub(super) fn print_config(args: &ConfigArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let config = configuration(args)?;
    let failed = |error: &dyn std::error::Error| ProcessError::new(ExitCode::Internal, error);
    match output {
        Output::Text => say(serde_yaml_ng::to_string(&config).map_err(|e| failed(&e))?.trim_end()),
        Output::Json => say(&serde_json::to_string_pretty(&config).map_err(|e| failed(&e))?),
    }
    Ok(ExitCode::Done)
}
