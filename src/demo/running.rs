//! The connector of the demo, which may be killed and started anew; counts go on.

use std::collections::BTreeMap;

use crate::app::{App, Options};
use crate::config::Config;
use crate::error::ProcessError;

/// A connector, and what the killed ones before it had counted.
pub(super) struct Connector {
    config: Config,
    options: Options,
    app: Option<App>,
    before: Totals,
}

/// What is reported at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// Ends of sockets, by reason.
    pub(super) reconnects: BTreeMap<&'static str, u64>,
    /// 429 answers.
    pub(super) rate_limited: u64,
    /// Tokens granted.
    pub(super) tokens: u64,
    /// Records acknowledged.
    pub(super) published: u64,
    /// Copies recognised.
    pub(super) deduplicated: u64,
    /// Events that went to the broker by way of the disk.
    pub(super) from_spool: u64,
    /// Times the connector was killed.
    pub(super) kills: u64,
}

impl Connector {
    /// Starts the first one.
    pub(super) async fn start(config: Config, options: Options) -> Result<Self, ProcessError> {
        let app = App::start(&config, options.clone()).await?;
        Ok(Self { config, options, app: Some(app), before: Totals::default() })
    }

    /// The one that runs.
    pub(super) fn app(&mut self) -> &mut App {
        self.app.as_mut().expect("one runs except while it is replaced")
    }

    /// Kills it and starts another one.
    pub(super) async fn kill(&mut self) -> Result<(), ProcessError> {
        self.before = Totals { kills: self.before.kills + 1, ..self.totals() };
        if let Some(app) = self.app.take() {
            app.kill().await;
        }
        self.app = Some(App::start(&self.config, self.options.clone()).await?);
        Ok(())
    }

    /// Stops it in order.
    pub(super) async fn stop(mut self) -> Result<(), ProcessError> {
        match self.app.take() {
            Some(app) => app.stop().await,
            None => Ok(()),
        }
    }

    /// Counts of all of them.
    pub(super) fn totals(&mut self) -> Totals {
        let mut totals = self.before.clone();
        let app = self.app();
        for (reason, count) in app.board().snapshot().reconnects {
            *totals.reconnects.entry(reason).or_default() += count;
        }
        let flow = app.metrics().flow().snapshot();
        totals.published += flow.published.iter().sum::<u64>();
        totals.from_spool += app.metrics().spool.events_read_back();
        totals.deduplicated += flow.deduplicated;
        totals.rate_limited += app.metrics().control.rate_limited();
        totals.tokens += app.metrics().control.tokens_granted();
        totals
    }
}
