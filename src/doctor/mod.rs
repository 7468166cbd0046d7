//! Asks everything that the service will need, once and before it is needed, and says of each what is
//! found and what to do.

mod disk;
mod kafka;
mod limits;
mod platform;
mod queue;
mod staging;

use std::time::Duration;

use crate::config::{Config, Mode};

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it is needed.
    Ok,
    /// The service runs, and somebody should look.
    Warn,
    /// The service cannot do its work.
    Fail,
    /// Not asked; the text says why.
    Skip,
}

/// One thing that was asked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was asked, one word.
    pub check: &'static str,
    /// How it was found.
    pub verdict: Verdict,
    /// What was found, in a sentence. Holds no secret.
    pub found: String,
    /// What to do next, where something is to be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { check, verdict, found: found.into(), remedy: None }
    }

    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, found)
    }

    fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Verdict::Warn, found) }
    }

    fn fail(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Verdict::Fail, found) }
    }
}

/// What may be done to find out.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Make one notification channel, which lives for a day among the client's twenty, and subscribe it to
    /// one topic of each class: nothing else tells which permissions are missing.
    pub make_channel: bool,
}

/// Nobody is waited for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks everything, and shows each finding as it comes.
pub async fn examine(config: &Config, wish: Wish, mut show: impl FnMut(&Finding)) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut tell = |findings: Vec<Finding>| {
        findings.iter().for_each(&mut show);
        all.extend(findings);
    };
    let queued = config.genesys.mode == Mode::Eventbridge;
    match queued {
        true => tell(queue::examine(config).await),
        false => tell(platform::examine(config, wish).await),
    }
    tell(schemas(config).await.0);
    let (findings, topics) = kafka::topics(config).await;
    tell(findings);
    tell(kafka::rights(config, &topics).await);
    if !queued {
        tell(disk::examine(config));
    }
    tell(staging::examine(config).await);
    all
}

/// Asks the registry for the three schemas; and whether it answers.
pub async fn schemas(config: &Config) -> (Vec<Finding>, bool) {
    kafka::registry(config).await
}
