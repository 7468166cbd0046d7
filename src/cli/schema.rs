//! The schema: show, register, check.

use clap::Subcommand;
use serde_json::json;
use trunkline_protocol::domain::Dice;

use super::{ConfigArgs, Output, configuration, runtime, say};
use crate::app::{registry_error, registry_settings};
use crate::encode::{registry, schemas};
use crate::error::{ExitCode, ProcessError};

/// What to do with the schema.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Print the schema this version writes.
    Show,
    /// Register it under the subject of the events topic.
    Register(ConfigArgs),
    /// Compare it with the registered one.
    Check(ConfigArgs),
}

pub(super) fn schema(command: SchemaCommand, output: Output) -> Result<ExitCode, ProcessError> {
    let (args, mode) = match command {
        SchemaCommand::Show => {
            say(schemas::CONVERSATION_EVENT.trim_end());
            return Ok(ExitCode::Done);
        }
        SchemaCommand::Register(args) => (args, registry::Mode::Register),
        SchemaCommand::Check(args) => (args, registry::Mode::Require),
    };
    let config = configuration(&args)?;
    let settings = registry_settings(&config)?;
    let subject = schemas::subject_of(&config.kafka.events_topic);
    let text = schemas::CONVERSATION_EVENT;
    let id = runtime()?
        .block_on(registry::resolve(&settings, &subject, text, mode, &mut Dice::new(0)))
        .map_err(|error| registry_error(&error))?;
    match output {
        Output::Json => say(&json!({"subject": subject, "id": id}).to_string()),
        Output::Text => say(&format!("{subject} is schema {id}")),
    }
    Ok(ExitCode::Done)
}
