//! Takes home what the organisation sends: a file that the simulator plays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use trunkline_protocol::privacy::Preset;

use super::bar::Bar;
use super::hear::{Hearing, Told, hear, size};
use super::signals::Signals;
use super::{ConfigArgs, Output, configuration_for, runtime, say};
use crate::config::load::Purpose;
use crate::config::{Config, Ids, IdsWord, Mode};
use crate::error::{ExitCode, ProcessError};
use crate::failpoint;
use crate::listen::{Listening, Recording};

/// What is captured, and where to.
#[derive(Args, Clone, Debug)]
pub struct CaptureArgs {
    /// Configuration file, YAML; `genesys`, `subscriptions` and `privacy` are used of it.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How long, from the first live channel on; above 0, up to 1440.
    #[arg(long, value_name = "N")]
    minutes: f64,
    /// File to write; must not exist.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Listen to this topic, in place of those of the configuration; repeatable.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
}

/// One channel for each shard: what a second one would hear as well is wanted once.
const CHANNELS: u8 = 1;

pub(super) fn capture(args: &CaptureArgs, output: Output) -> Result<ExitCode, ProcessError> {
    if !(args.minutes > 0.0 && args.minutes <= 1_440.0) {
        let text = format!("--minutes is {}; allowed: above 0, up to 1440", args.minutes);
        return Err(ProcessError::text(ExitCode::Usage, text));
    }
    let config = configured(args)?;
    let mut recording = Recording::create(&args.to).map_err(|error| {
        let text = match error.kind() == std::io::ErrorKind::AlreadyExists {
            true => "is there already; allowed: a file that is not".to_owned(),
            false => format!("cannot be made: {error}"),
        };
        ProcessError::text(ExitCode::Usage, format!("--to is {}: it {text}", args.to.display()))
    })?;
    let heard = runtime()?.block_on(listen(&config, args, &mut recording, output));
    let finished = recording.finish().map_err(|error| disk(&args.to, &recording, &error));
    if recording.counts().total() == 0 {
        std::fs::remove_file(&args.to).ok(); // an empty one would not be played
    }
    let hearing = heard?;
    finished?;
    report(&config, args, &recording, hearing.as_ref(), output);
    let nothing = recording.counts().total() == 0;
    Ok(if nothing { ExitCode::Failed } else { ExitCode::Done })
}

/// With the topics of the command line, where there are some.
fn configured(args: &CaptureArgs) -> Result<Config, ProcessError> {
    let usage = |text: String| Err(ProcessError::text(ExitCode::Usage, text));
    let files = ConfigArgs { config: args.config.clone(), ..ConfigArgs::default() };
    let mut config = configuration_for(Purpose::Hear, &files)?;
    if args.topics.is_empty() {
        return Ok(config);
    }
    if config.genesys.mode == Mode::Direct {
        return usage(
            "--topic is for genesys.mode channels: a direct URL sends what it sends".into(),
        );
    }
    if let Some(wrong) = args.topics.iter().find(|topic| !topic.starts_with("v2.")) {
        return usage(format!(
            "--topic is {wrong:?}; allowed: a topic like v2.users.ID.conversations"
        ));
    }
    let subscriptions = &mut config.subscriptions;
    subscriptions.queues = Ids::Word(IdsWord::None);
    subscriptions.users = Ids::Word(IdsWord::None);
    subscriptions.topics.clone_from(&args.topics);
    Ok(config)
}

/// `None` when a signal came before a channel was there.
async fn listen(
    config: &Config,
    args: &CaptureArgs,
    recording: &mut Recording,
    output: Output,
) -> Result<Option<Hearing>, ProcessError> {
    let mut signals = Signals::new()?;
    let mut listening = tokio::select! {
        biased;
        () = signals.caught() => return Ok(None),
        listening = Listening::start(config, CHANNELS, failpoint::timings()) => listening?,
    };
    let span = Duration::from_secs_f64(args.minutes * 60.0);
    let bar = Bar::of_seconds(span, output == Output::Json);
    let mut flushed = listening.clock.mono();
    // this thread is the command's own: a disk that is slow makes the sockets wait, and nothing else
    let tell = |told: Told<'_>| match told {
        Told::Kept(kept) => recording.take(kept).map_err(|error| disk(&args.to, recording, &error)),
        Told::Goes(since, listening) => {
            bar.heard(since, &progress(recording, listening));
            let now = listening.clock.mono();
            if now.since(flushed) < FLUSH {
                return Ok(());
            }
            flushed = now;
            recording.flush().map_err(|error| disk(&args.to, recording, &error))
        }
    };
    let hearing = hear(&mut listening, span, &mut signals, tell).await;
    bar.done();
    hearing.map(Some)
}

/// What a kill costs.
const FLUSH: Duration = Duration::from_secs(1);

fn disk(path: &Path, recording: &Recording, error: &std::io::Error) -> ProcessError {
    let (path, frames) = (path.display(), recording.counts().total());
    let text = format!("{path} cannot be written: {error}; of {frames} frames it holds the first");
    ProcessError::text(ExitCode::Unavailable, text)
}

fn progress(recording: &Recording, listening: &Listening) -> String {
    let status = listening.status();
    let live = status.channels.iter().filter(|channel| channel.state == "live").count();
    let ends: u64 = status.reconnects.values().sum();
    let state = if live == 0 { "deaf" } else { "hears" };
    let (frames, topics) = (recording.counts().total(), recording.topics());
    format!("{state}  {frames} frames  {topics} topics  {ends} disconnects")
}

fn report(
    config: &Config,
    args: &CaptureArgs,
    recording: &Recording,
    hearing: Option<&Hearing>,
    output: Output,
) {
    let (counts, topics) = (recording.counts(), recording.topics());
    let preset = config.privacy.preset.unwrap_or(Preset::None).as_str();
    match output {
        Output::Json => {
            let mut line = hearing.map_or_else(|| json!({}), Hearing::json);
            line["file"] = args.to.display().to_string().into();
            line["frames"] = counts.total().into();
            line["topics"] = topics.into();
            line["bytes"] = recording.bytes().into();
            line["classes"] = json!(counts.frames);
            line["left_out"] = json!(counts.left_out);
            line["privacy"] = Value::from(preset);
            say(&line.to_string());
        }
        Output::Text => {
            let seconds = hearing.map_or(0, |hearing| hearing.span.as_secs());
            say(&match counts.total() {
                0 => format!("no frame in {seconds} s: no file is left"),
                frames => format!(
                    "{frames} frames of {topics} topics in {seconds} s, {}: {}",
                    size(recording.bytes()),
                    args.to.display()
                ),
            });
            counts.frames.iter().for_each(|(class, n)| say(&format!("{n:>9}  {class}")));
            for (reason, count) in &counts.left_out {
                say(&format!("{count:>9}  left out, since they cannot be played: {reason}"));
            }
            say(&format!("privacy.preset: {preset}"));
            hearing.into_iter().flat_map(Hearing::text).for_each(|line| say(&line));
        }
    }
}
