//! The service.

use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::dry_run::dry_run;
use super::reload::{self, Reload};
use super::signals::Signals;
use super::{ConfigArgs, Output, configuration, service_runtime};
use crate::app::{App, Options};
use crate::config::{Config, LogFormat};
use crate::error::{ExitCode, ProcessError};
use crate::failpoint;
use crate::observe::logging::{self, LogSettings};

/// How it runs.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Do everything but Kafka and the spool for a while; say what would be written.
    #[arg(long)]
    dry_run: bool,
    /// How long a dry run listens, from the first live channel on.
    #[arg(long, value_name = "N", default_value_t = 30, requires = "dry_run", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

pub(super) fn run(args: &RunArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let _armed = failpoint::arm();
    let config = configuration(&args.config)?;
    let settings =
        LogSettings { json: config.log.format == LogFormat::Json, level: config.log.level.clone() };
    let level = logging::start(&settings)
        .map_err(|problem| ProcessError::text(ExitCode::Config, problem))?;
    if args.dry_run {
        return dry_run(&config, args.seconds, output);
    }
    let reload = Reload::new(&args.config, config.clone(), level);
    let runtime = service_runtime()?;
    let result = runtime.block_on(serve(&config, reload));
    // whatever still blocks a thread must not keep the process alive
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn serve(config: &Config, mut reload: Reload) -> Result<ExitCode, ProcessError> {
    let mut signals = Signals::new()?;
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|error| ProcessError::new(ExitCode::Internal, &error))?;
    let mode = config.genesys.mode.as_str();
    let options = Options { mode, timings: failpoint::timings(), ..Options::default() };
    let mut app = tokio::select! {
        biased;
        () = signals.caught() => return Ok(ExitCode::Done),
        app = App::start(config, options) => app?,
    };
    failpoint::pass("start.done");
    let failure = loop {
        tokio::select! {
            biased;
            () = signals.caught() => break None,
            failure = app.failed() => break Some(failure),
            _ = hangup.recv() => reload.look(&app, true),
            () = tokio::time::sleep(reload::EVERY) => reload.look(&app, false),
        }
    };
    if let Some(failure) = failure {
        tracing::error!(code = "task_ended", error = %failure, "a task ended uninvited");
        return Err(failure);
    }
    failpoint::pass("term.signal");
    tokio::select! {
        biased;
        stopped = app.stop() => stopped.map(|()| ExitCode::Done),
        () = signals.caught() => Err(forced()),
    }
}

fn forced() -> ProcessError {
    ProcessError::text(
        ExitCode::Internal,
        "stopped by a second signal before everything was written",
    )
}
