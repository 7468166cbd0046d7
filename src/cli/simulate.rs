//! The simulator alone.

use clap::Args;
use genesys_sim::cli::ServeArgs;

use super::{Output, runtime, say};
use crate::error::{ExitCode, ProcessError};

/// Flags of `genesys-sim serve`.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) fn simulate(args: SimulateArgs, output: Output) -> Result<ExitCode, ProcessError> {
    runtime()?.block_on(async {
        let running = args
            .serve
            .start()
            .await
            .map_err(|error| ProcessError::text(ExitCode::Config, format!("{error:#}")))?;
        let (url, direct) = (running.url(), running.direct_url());
        match output {
            Output::Json => say(&serde_json::json!({"url": url, "direct_url": direct, "page_url": format!("{url}/sim/")}).to_string()),
            Output::Text => say(&format!(
                "a simulated Genesys Cloud on {url}\n  login_url and api_url: {url}\n  direct url: {direct}\n  page, with a button for each fault: {url}/sim/\n  control: {url}/sim/faults, {url}/sim/ledger, {url}/sim/counters"
            )),
        }
        tokio::signal::ctrl_c()
            .await
            .map_err(|error| ProcessError::new(ExitCode::Internal, &error))?;
        Ok(ExitCode::Done)
    })
}
