//! Studies a live organisation, without harm, and writes down what it found.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::bar::Bar;
use super::signals::Signals;
use super::{ConfigArgs, Output, configuration_for, runtime, say};
use crate::config::Config;
use crate::config::load::Purpose;
use crate::error::{ExitCode, ProcessError};
use crate::failpoint;
use crate::survey::{CHANNELS, QUESTIONS, Report, STEPS, Survey, most};

/// For how long, and where to.
#[derive(Args, Clone, Debug)]
pub struct SurveyArgs {
    /// Configuration file, YAML; `genesys`, `subscriptions` and `privacy` are used of it.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How long; above 0, up to 1440. What takes longer is left open.
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    minutes: f64,
    /// Folder for report.md, simulator.json and trunkline.yaml; made if missing.
    #[arg(long, value_name = "DIR", default_value = "survey")]
    to: PathBuf,
    /// Print what would be asked, and what it costs; ask nothing.
    #[arg(long)]
    dry_run: bool,
}

const FILES: [&str; 3] = ["report.md", "simulator.json", "trunkline.yaml"];
/// Until the subscriptions are taken away.
const RELEASING: Duration = Duration::from_secs(15);

pub(super) fn survey(args: &SurveyArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let usage = |text: String| Err(ProcessError::text(ExitCode::Usage, text));
    if !(args.minutes > 0.0 && args.minutes <= 1_440.0) {
        return usage(format!("--minutes is {}; allowed: above 0, up to 1440", args.minutes));
    }
    if args.dry_run {
        plan(output);
        return Ok(ExitCode::Done);
    }
    if let Some(file) = FILES.iter().find(|file| args.to.join(file).exists()) {
        let to = args.to.display();
        return usage(format!("--to is {to}: it holds {file}; allowed: a folder without one"));
    }
    let files = ConfigArgs { config: args.config.clone(), ..ConfigArgs::default() };
    let config = configuration_for(Purpose::Hear, &files)?;
    let Some(report) = runtime()?.block_on(Box::pin(listen(&config, args, output)))? else {
        return Ok(ExitCode::Failed);
    };
    write(&args.to, &report).map_err(|error| {
        let text = format!("--to is {}: it cannot be written: {error}", args.to.display());
        ProcessError::text(ExitCode::Unavailable, text)
    })?;
    told(&report, &args.to, output);
    Ok(if report.findings.settled() == 0 { ExitCode::Failed } else { ExitCode::Done })
}

/// Between two looks at how it goes.
const EVERY: Duration = Duration::from_secs(1);

/// `None` when a signal came before it could begin.
async fn listen(
    config: &Config,
    args: &SurveyArgs,
    output: Output,
) -> Result<Option<Report>, ProcessError> {
    let mut signals = Signals::new()?;
    let timings = failpoint::timings();
    let mut survey = tokio::select! {
        biased;
        () = signals.caught() => return Ok(None),
        survey = Box::pin(Survey::start(config, &timings)) => survey?,
    };
    let span = Duration::from_secs_f64(args.minutes * 60.0);
    let bar = Bar::of_seconds(span, output == Output::Json);
    let mut end = Box::pin(tokio::time::sleep(span));
    let (line, mut seconds) = (survey.progress(), tokio::time::interval(EVERY));
    let mut passed = Duration::ZERO;
    {
        let mut run = Box::pin(survey.run());
        loop {
            tokio::select! {
                biased;
                () = signals.caught() => break,
                () = &mut end => break,
                _ = seconds.tick() => {
                    bar.heard(Some(passed), &line.borrow());
                    passed += EVERY;
                }
                () = &mut run => break,
            }
        }
    }
    bar.done();
    let report = survey.report();
    // a platform that does not answer any more lets channels end by themselves, a day later
    let released = tokio::time::timeout(RELEASING, survey.release()).await;
    if released.is_err() {
        tracing::warn!(
            code = "survey_unreleased",
            "the channels of the survey could not be released; they end by themselves within a day"
        );
    }
    Ok(Some(report))
}

fn write(folder: &Path, report: &Report) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let texts = [report.markdown(), report.simulator(), report.config()];
    for (name, text) in FILES.into_iter().zip(texts) {
        let mut options = File::options();
        let mut file = options.write(true).create_new(true).mode(0o600).open(folder.join(name))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    Ok(())
}

fn told(report: &Report, to: &Path, output: Output) {
    match output {
        Output::Json => {
            let mut line = report.json();
            line["to"] = to.display().to_string().into();
            say(&line.to_string());
        }
        Output::Text => {
            let (settled, asked) = (report.findings.settled(), QUESTIONS.len());
            say(&format!("{settled} of {asked} questions settled in {} s", report.seconds));
            say(&format!("{}: {}", to.display(), FILES.join(", ")));
        }
    }
}

/// What would be done.
fn plan(output: Output) {
    let (requests, dials) = most();
    match output {
        Output::Json => {
            let steps = STEPS.iter().map(|step| {
                json!({"what": step.what, "requests": step.requests, "dials": step.dials, "questions": step.questions})
            });
            let line = json!({
                "channels": CHANNELS, "requests": requests, "dials": dials,
                "steps": steps.collect::<Vec<_>>(),
            });
            say(&line.to_string());
        }
        Output::Text => {
            say("requests  dials  what it does [questions]");
            for step in &STEPS {
                let questions = if step.questions.is_empty() { "-" } else { step.questions };
                say(&format!(
                    "{:>8}  {:>5}  {} [{questions}]",
                    step.requests, step.dials, step.what
                ));
            }
            say(&format!(
                "at most {requests} requests, one more for every 100 queues and 100 users, within a quarter of genesys.requests_per_minute; {dials} dials and {CHANNELS} channels"
            ));
        }
    }
}
