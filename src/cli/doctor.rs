//! What stands in the way, before the service runs.

use clap::Args;
use serde_json::json;

use super::{ConfigArgs, Output, configuration, runtime, say};
use crate::doctor::{self, Finding, Verdict, Wish};
use crate::error::{ExitCode, ProcessError};

/// How to look.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Make no notification channel; permissions of topics stay unknown then.
    #[arg(long)]
    no_channel: bool,
}

pub(super) fn doctor(args: &DoctorArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let config = configuration(&args.config)?;
    let wish = Wish { make_channel: !args.no_channel };
    let show = |finding: &Finding| {
        if output == Output::Text {
            say(&line(finding));
        }
    };
    let runtime = runtime()?;
    let findings = runtime.block_on(doctor::examine(&config, wish, show));
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (failed, warned) = (count(Verdict::Fail), count(Verdict::Warn));
    match output {
        Output::Json => say(&json!({"ok": failed == 0, "findings": findings}).to_string()),
        Output::Text => say(&format!(
            "{} things asked: {failed} failed, {warned} to look at, {} not asked",
            findings.len(),
            count(Verdict::Skip)
        )),
    }
    Ok(if failed == 0 { ExitCode::Done } else { ExitCode::Failed })
}

/// A finding for people.
pub(super) fn line(finding: &Finding) -> String {
    let verdict = match finding.verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
        Verdict::Skip => "-",
    };
    let Finding { check, found, remedy, .. } = finding;
    let remedy = remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    // one line for each, whatever the other side says
    let text: Vec<String> =
        format!("{found}{remedy}").lines().map(|line| line.trim().to_owned()).collect();
    format!("{verdict:<4}  {check:<12}  {}", text.join("; "))
}
