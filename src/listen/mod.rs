//! Hears for a command, without brokers and registry: on channels of its own, under the rules that the
//! service hears by, and says how long nobody heard.

mod recording;
mod rehearsal;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::watch;
use trunkline_protocol::channel::CHANNELS_AT_MOST;
use trunkline_protocol::dedupe::Window;
use trunkline_protocol::domain::{Dice, IntervalSet, WriterId};
use trunkline_protocol::gate::{Endpoint, Priority};
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::ledger::{Keeper, News};
use trunkline_protocol::subscriptions::expand;
use trunkline_protocol::timings::Timings;

use crate::app;
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::control::{Client, Control, TopicSettings, Wanted};
use crate::decode::open::Opener;
use crate::error::{ExitCode, ProcessError};
use crate::observe::flow::{Flow, FlowSnapshot};
use crate::observe::metrics::Metrics;
use crate::observe::status::{Status, StatusBoard};
use crate::pipeline::Ear;
use crate::sequence;
use crate::session::{SessionParts, Transport};
use crate::supervisor::{Supervisor, TaskEnd, Uninvited};

pub use crate::sequence::Kept;
pub use recording::{Captured, Recording};
pub use rehearsal::{Rehearsal, Written};

/// A command that hears.
pub struct Listening {
    /// Time.
    pub clock: Clock,
    /// Organisation, as the platform says.
    pub org_id: String,
    ear: Ear,
    news: Receiver<News>,
    keeper: Keeper,
    control: Supervisor,
    background: Supervisor,
    stop: watch::Sender<bool>,
    board: StatusBoard,
    flow: Flow,
}

/// News about coverage that wait to be looked at.
const NEWS: usize = 4_096;
/// The part of a client's requests that it takes: the rest is for a connector that uses the client too.
const SHARE: u32 = 4;

impl Listening {
    /// Logs in, asks what is wanted, and begins to open `channels_per_shard` channels for each shard. What
    /// is wanted stays as it was found.
    ///
    /// # Errors
    /// When a client or a permission is refused, too few channels are left, or the platform does not answer.
    pub async fn start(
        config: &Config,
        channels_per_shard: u8,
        timings: Timings,
    ) -> Result<Self, ProcessError> {
        // every part lies in this future once
        Box::pin(Self::assemble(config, channels_per_shard, timings)).await
    }

    async fn assemble(
        config: &Config,
        channels_per_shard: u8,
        timings: Timings,
    ) -> Result<Self, ProcessError> {
        if config.genesys.mode == Mode::Eventbridge {
            let text = "genesys.mode is eventbridge: this command hears on sockets; allowed: channels or direct";
            return Err(ProcessError::text(ExitCode::Config, text));
        }
        let mut config = config.clone();
        config.genesys.requests_per_minute = config.genesys.requests_per_minute.div_ceil(SHARE);
        config.genesys.channels_per_shard = channels_per_shard;
        let config = &config;
        let policy = app::policy(config)?;
        let clock = Clock::start();
        let mut rng = rand::rngs::StdRng::from_os_rng();
        let mut dice = Dice::new(rng.random());
        let flow = Flow::new();
        let metrics = Metrics::new(flow.clone());
        let direct = config.genesys.mode == Mode::Direct;
        let board = StatusBoard::new(config.genesys.mode.as_str(), metrics.clone());
        let transport = Transport::new(
            config.genesys.ca_file.as_deref(),
            app::proxies(config)?,
            timings.connect_timeout,
        )
        .map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
        let http = app::http(config, timings.request_timeout, clock)?;
        let mut background = Supervisor::new();
        let clients =
            app::clients(config, &http, &timings, clock, &metrics, &mut dice, &mut background);
        let org_id = app::in_time(app::org_id(&clients)).await?;
        let topics = if direct { nothing() } else { wanted(config, &clients).await? };
        let window = Window {
            span: Duration::from_secs(config.flow.dedupe_window_secs),
            cap: config.flow.dedupe_max_events,
        };
        let form =
            if config.flow.sorted_bodies { Canonical::Sorted } else { Canonical::AsReceived };
        let sequence = sequence::Stage::new(clock, window, &timings, metrics.sequence.clone());
        let suspects = sequence.suspects();
        let opener = Opener::new(org_id.clone(), form);
        let (heard, ear) = Ear::new(clock, opener, policy, sequence, config.flow.queue_events);
        let (news_in, news) = mpsc::channel(NEWS);
        // nothing is certified here: a socket counts from the moment it is open
        let counted = Timings { join_margin: Duration::ZERO, ..timings.clone() };
        let keeper = Keeper::new(WriterId(dice.bytes16()), counted);
        let (stop, stopping) = watch::channel(false);
        let control = Control {
            clock,
            timings,
            channels_per_shard,
            topics: watch::Sender::new(topics).subscribe(),
            session: SessionParts {
                clock,
                transport,
                heard,
                flow: flow.clone(),
                metrics: metrics.session.clone(),
            },
            metrics: metrics.control.clone(),
            board: board.clone(),
            news: news_in,
            earlier: Vec::new(),
            plan: watch::Sender::default(),
            suspects,
            // those are the service's, which may be running
            hints: None,
            seed: rng.random(),
        };
        let mut tasks = Supervisor::new();
        // nobody orders anything of a command
        let (_, orders) = mpsc::channel(1);
        app::spawn_control(config, control, clients, orders, stopping, &mut tasks)?;
        Ok(Self { clock, org_id, ear, news, keeper, control: tasks, background, stop, board, flow })
    }

    /// Waits for what is kept next, and puts it behind `kept`. False when every socket is closed after
    /// [`Self::stop`]. Safe to drop and call again.
    ///
    /// # Errors
    /// When a task ends that should have gone on.
    pub async fn next(&mut self, kept: &mut VecDeque<Kept>) -> Result<bool, ProcessError> {
        loop {
            let due = self.keeper.poll_timeout().map(|at| {
                let now = self.clock.now();
                now.mono + at.since(now.wall)
            });
            tokio::select! {
                biased;
                Some(ended) = self.background.next() => return Err(uninvited(ended)),
                Some(ended) = self.control.next() => {
                    if ended.failure.is_some() || !*self.stop.borrow() {
                        return Err(uninvited(ended));
                    }
                }
                Some(news) = self.news.recv() => self.told(news),
                goes_on = self.ear.listen(kept) => {
                    while let Some(news) = self.ear.poll_news() {
                        self.told(news);
                    }
                    return Ok(goes_on);
                }
                () = self.clock.sleep_until(due) => self.keeper.handle_timeout(self.clock.now().wall),
            }
            // nobody writes facts down: the keeper remembers them
            while self.keeper.poll().is_some() {}
        }
    }

    fn told(&mut self, news: News) {
        self.keeper.handle(news, self.clock.now().wall);
    }

    /// Whoever took these has them safe.
    pub fn durable<'k>(&mut self, kept: impl Iterator<Item = &'k Kept>) {
        self.ear.durable(kept);
    }

    /// Closes every socket; what they have heard still comes.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
    }

    /// Channels, topics, ends of sockets.
    #[must_use]
    pub fn status(&self) -> Status {
        self.board.snapshot()
    }

    /// What was heard, and what of it were copies.
    #[must_use]
    pub fn flow(&self) -> FlowSnapshot {
        self.flow.snapshot()
    }

    /// When some wanted topic was perhaps not heard, from the first time on that it was, up to now: from
    /// the last proof that a socket lived until the next one was open.
    #[must_use]
    pub fn deaf(&self) -> IntervalSet {
        let now = self.clock.now().wall;
        let mut deaf = IntervalSet::new();
        for (shard, ledger) in self.keeper.shards() {
            let mut living = self.keeper.living(*shard, now);
            for alive in &mut living {
                // claims follow a watermark some seconds later
                let Some(known) = ledger.epochs().get(&alive.epoch) else { continue };
                let claimed = known.claim.map(|claim| claim.to);
                let from = claimed.or(known.start.map(|start| start.from));
                alive.from = from.map_or(alive.from, |from| from.min(alive.from));
            }
            ledger.holes(&living, now).into_iter().for_each(|hole| deaf.insert(hole.interval));
        }
        deaf
    }
}

fn uninvited(ended: TaskEnd) -> ProcessError {
    ProcessError::new(ExitCode::Internal, &Uninvited::from(ended))
}

/// Nothing is listed, and nothing looked at again.
fn nothing() -> TopicSettings {
    TopicSettings { refresh: Duration::from_secs(3_600), ..TopicSettings::default() }
}

/// What is wanted now, by name, if there are channels left for it.
async fn wanted(config: &Config, clients: &[Client]) -> Result<TopicSettings, ProcessError> {
    let Wanted { plan, found } = app::plan(config, clients).await?;
    let extra: BTreeSet<String> = plan.iter().flatten().flat_map(|topic| expand(topic)).collect();
    if extra.is_empty() {
        let mut text =
            "nothing would be subscribed: name queues, users or topics in subscriptions".to_owned();
        for (option, pattern, listed) in found.idle() {
            text.push_str(&format!("; {option}: {pattern:?} matches none of {listed}"));
        }
        return Err(ProcessError::text(ExitCode::Config, text));
    }
    for (index, (client, needed)) in
        clients.iter().zip(app::seats(config, plan.len()).each()).enumerate()
    {
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let counted = client.call(Endpoint::Channels, Priority::Verify, |http, token| async move {
            http.count_channels(&token).await
        });
        let used = counted.await.map_err(|error| app::platform_error(&error))?;
        if used + needed > CHANNELS_AT_MOST {
            let text = format!(
                "genesys.clients[{index}] has {used} of {CHANNELS_AT_MOST} channels and {needed} more are needed; a channel ends a day after its last use: wait, or use another client"
            );
            return Err(ProcessError::text(ExitCode::Unavailable, text));
        }
    }
    Ok(TopicSettings { extra: extra.into_iter().collect(), ..nothing() })
}
