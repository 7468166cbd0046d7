//! Arguments of the commands that read a range from history.

use std::path::PathBuf;

use clap::Args;
use trunkline_protocol::domain::{Interval, Origin, Wall};
use trunkline_protocol::history::{Asked, Have, Progress, Unreadable, readable};
use trunkline_protocol::timings::Timings;

use super::proof::{Range, at};
use super::state::StateFile;
use super::{ConfigArgs, configuration};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{ExitCode, ProcessError};
use crate::failpoint;

/// Which range, and how it is read.
#[derive(Args, Debug)]
pub(super) struct ReadArgs {
    #[command(flatten)]
    range: Range,
    /// Say what it would cost, and read nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Note in this file how far it is; go on from there when the file exists.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Part of the client's requests per minute that it may use, above 0, up to 1.
    #[arg(long, value_name = "PART", default_value_t = 0.25)]
    share: f64,
    #[command(flatten)]
    config: ConfigArgs,
}

/// What is wanted of the range.
pub(super) struct Wish {
    pub command: &'static str,
    pub origin: Origin,
    pub have: Have,
    pub publish: bool,
    /// Keep what was found missing, to print it.
    pub list: bool,
    /// Add what was read of the time before topics were covered to the facts.
    pub certify: bool,
    /// Stay until that was read twice.
    pub wait: bool,
}

/// Arguments that were understood.
pub(super) struct Reading {
    pub config: Config,
    pub timings: Timings,
    pub range: Interval,
    pub asked: Asked,
    pub limit: u32,
    pub state: Option<(StateFile, Option<Progress>)>,
    pub dry_run: bool,
}

/// Reads arguments and configuration.
pub(super) fn understand(args: &ReadArgs, wish: &Wish) -> Result<Reading, ProcessError> {
    let usage = |text: String| ProcessError::text(ExitCode::Usage, text);
    if !(args.share > 0.0 && args.share <= 1.0) {
        return Err(usage(format!("--share is {}; allowed: above 0, up to 1", args.share)));
    }
    let timings = failpoint::timings();
    let now = Clock::start().now().wall;
    let (from, to) = args.range.millis(now.0)?;
    let state = args.resume.clone().map(StateFile::open).transpose()?;
    let earlier = state.as_ref().and_then(|(_, progress)| progress.as_ref());
    let range = match earlier {
        Some(progress) => progress.range,
        None => readable(Interval::new(Wall(from), Wall(to)), now, &timings)
            .map_err(|why| usage(refusal(why, from, to, &timings)))?,
    };
    let config = configuration(&args.config)?;
    let limit = f64::from(config.genesys.requests_per_minute) * args.share;
    Ok(Reading {
        timings,
        range,
        asked: Asked {
            command: wish.command.to_owned(),
            from: args.range.from.clone(),
            to: args.range.to.clone().unwrap_or_else(|| "now".to_owned()),
            have: wish.have.digest(),
            repair: wish.publish,
            org_id: String::new(),
        },
        // below one request a minute nothing would ever be read
        limit: (limit as u32).max(1),
        config,
        state,
        dry_run: args.dry_run,
    })
}

fn refusal(why: Unreadable, from: i64, to: i64, timings: &Timings) -> String {
    let days = timings.history_reach.as_secs() / 86_400;
    match why {
        Unreadable::Future => format!("--to is {}; allowed: up to now", at(to)),
        Unreadable::TooOld(oldest) => format!(
            "--from is {}; allowed: {} and later (history reaches back {days} days)",
            at(from),
            at(oldest.0)
        ),
        Unreadable::TooFresh(newest) => format!(
            "--from is {}; allowed: before {} (what is newer still changes in history)",
            at(from),
            at(newest.0)
        ),
    }
}
