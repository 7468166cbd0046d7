//! What would be subscribed.

use serde_json::json;
use trunkline_protocol::domain::Dice;
use trunkline_protocol::subscriptions::expand;
use trunkline_protocol::timings::Timings;

use super::{ConfigArgs, Output, configuration, runtime, say};
use crate::app;
use crate::clock::Clock;
use crate::error::{ExitCode, ProcessError};
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::supervisor::Supervisor;

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
        app::in_time(async {
            app::org_id(&clients).await?;
            app::plan(&config, &clients).await
        })
        .await
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
