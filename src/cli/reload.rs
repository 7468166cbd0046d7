//! Takes up what changes in the configuration while the service runs: its file, the files it names.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::ConfigArgs;
use crate::app::App;
use crate::config::{Change, Config, load};
use crate::observe::logging::Level;
use crate::observe::status::Configured;

/// Between two looks; mounted secrets are exchanged without a signal.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// Compares what runs with what is written.
pub(super) struct Reload {
    path: Option<PathBuf>,
    environment: BTreeMap<String, String>,
    running: Config,
    level: Level,
    /// As it was shown last.
    shown: Configured,
}

impl Reload {
    /// Begins with what the service was started with.
    pub(super) fn new(args: &ConfigArgs, running: Config, level: Level) -> Self {
        let (path, environment) = (args.config.clone(), super::environment(args));
        Self { path, environment, running, level, shown: Configured::default() }
    }

    /// Reads everything again. What is wrong changes nothing; when somebody `asked`, it is said again.
    pub(super) fn look(&mut self, app: &App, asked: bool) {
        let loaded = tokio::task::block_in_place(|| load(self.path.as_deref(), &self.environment));
        let taken =
            loaded.map_err(|mistakes| mistakes.to_string()).and_then(|new| self.take_up(app, &new));
        let now = match taken {
            Ok(change) => {
                if asked || !change.taken.is_empty() {
                    let fields = words(change.taken);
                    tracing::info!(
                        code = "config_taken_up",
                        fields,
                        "the configuration was read again, and what differed is in force"
                    );
                }
                Configured { refused: None, waiting: change.waiting }
            }
            Err(problem) => {
                Configured { refused: Some(problem), waiting: self.shown.waiting.clone() }
            }
        };
        if let Some(problem) =
            now.refused.as_ref().filter(|_| asked || now.refused != self.shown.refused)
        {
            tracing::error!(
                code = "config_refused",
                problem,
                "the changed configuration is refused; the one before stays in force"
            );
        }
        if !now.waiting.is_empty() && (asked || now.waiting != self.shown.waiting) {
            let fields = words(now.waiting.clone());
            tracing::warn!(
                code = "config_waits",
                fields,
                "the configuration was changed where only a restart takes it up"
            );
        }
        if now != self.shown {
            app.board().configured(now.clone());
            self.shown = now;
        }
    }

    fn take_up(&mut self, app: &App, new: &Config) -> Result<Change, String> {
        let change = Change::between(&self.running, new);
        if !change.taken.is_empty() {
            self.level.set(&new.log.level)?;
            Change::take_up(&mut self.running, new);
            app.renew(&self.running);
        }
        Ok(change)
    }
}

fn words(fields: impl IntoIterator<Item = String>) -> String {
    fields.into_iter().collect::<Vec<_>>().join(", ")
}
