//! What would be subscribed.

use std::time::Duration;

use serde_json::json;
use trunkline_protocol::domain::Dice;
use trunkline_protocol::subscriptions::expand;
use trunkline_protocol::timings::Timings;

use super::{ConfigArgs, Output, configuration, runtime, say};
use crate::app;
use crate::clock::Clock;
use crate::control::Control;
use crate::error::{ExitCode, ProcessError};
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::supervisor::Supervisor;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn subscriptions(args: &ConfigArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let config = configuration(args)?;
    let shards = runtime()?.block_on(async {
        let timings = Timings::default();
        let clock = Clock::start();
        let http = app::http(&config, timings.request_timeout, clock)?;
        let mut tasks = Supervisor::new();
        let metrics = Metrics::new(Flow::new());
        let mut dice = Dice::new(0);
        let clients =
            app::clients(&config, &http, &timings, clock, &metrics, &mut dice, &mut tasks);
        let asked = async {
            app::org_id(&clients).await?;
            let Some(client) = clients.first() else {
                return Err(ProcessError::text(ExitCode::Config, "genesys.clients is empty"));
            };
            Control::wanted(&app::topic_settings(&config), client).await.map_err(|error| {
                let denied = error.status() == Some(403);
                let code = if denied { ExitCode::Permission } else { ExitCode::Unavailable };
                ProcessError::new(code, &error)
            })
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
            Err(ProcessError::text(ExitCode::Unavailable, "the platform does not answer"))
        })
    })?;
    match output {
        Output::Json => say(&json!({"shards": shards}).to_string()),
        Output::Text => {
            for (index, shard) in shards.iter().enumerate() {
                say(&format!("shard {index}: {} topics", shard.len()));
                shard
                    .iter()
                    .flat_map(|topic| expand(topic))
                    .for_each(|topic| say(&format!("  {topic}")));
            }
        }
    }
    Ok(ExitCode::Done)
}
