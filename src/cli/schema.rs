//! The schemas: show, register, check.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use trunkline_protocol::domain::Dice;

use super::{ConfigArgs, Output, configuration, runtime, say};
use crate::app::{registry_error, registry_settings};
use crate::encode::registry::Registered;
use crate::encode::schemas::{Subject, Topic};
use crate::encode::{registry, schemas};
use crate::error::{ExitCode, ProcessError};

/// What to do with the schemas.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Print a schema as this version writes it.
    Show {
        /// Which one.
        #[arg(value_parser = names(), default_value = "conversation_event")]
        name: String,
    },
    /// Register each one under the subject of its topic.
    Register(ConfigArgs),
    /// Compare each one with what is registered.
    Check(ConfigArgs),
}

fn names() -> PossibleValuesParser {
    schemas::SUBJECTS.map(|subject| subject.name).into()
}

pub(super) fn schema(command: SchemaCommand, output: Output) -> Result<ExitCode, ProcessError> {
    let (args, mode) = match command {
        SchemaCommand::Show { name } => {
            let shown = schemas::SUBJECTS.iter().find(|subject| subject.name == name);
            shown.iter().for_each(|subject| say(subject.text.trim_end()));
            return Ok(ExitCode::Done);
        }
        SchemaCommand::Register(args) => (args, registry::Mode::Register),
        SchemaCommand::Check(args) => (args, registry::Mode::Require),
    };
    let config = configuration(&args)?;
    let settings = registry_settings(&config)?;
    let runtime = runtime()?;
    for Subject { text, topic, .. } in schemas::SUBJECTS {
        let kafka = &config.kafka;
        let subject = schemas::subject_of(match topic {
            Topic::Events => &kafka.events_topic,
            Topic::Gaps => &kafka.gaps_topic,
            Topic::Certificates => &kafka.certificates_topic,
        });
        let Registered { id, is_spelled_ours } = runtime
            .block_on(registry::resolve(&settings, &subject, text, mode, &mut Dice::new(0)))
            .map_err(|error| registry_error(&error))?;
        match output {
            Output::Json => {
                say(&json!({"subject": subject, "id": id, "is_spelled_ours": is_spelled_ours})
                    .to_string())
            }
            Output::Text if is_spelled_ours => say(&format!("{subject} is schema {id}")),
            Output::Text => say(&format!(
                "{subject} is schema {id}, spelled otherwise: `trunkline schema register` spells it as Avro for Java does"
            )),
        }
    }
    Ok(ExitCode::Done)
}
