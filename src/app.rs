//! Builds every part from the configuration and hands the tasks to the supervisor.

mod brokers;
mod platform;
mod proof;
mod queue;
mod schemas;
mod staging;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use tokio::sync::{mpsc, watch};
use trunkline_protocol::budget::Budget;
use trunkline_protocol::dedupe::Window;
use trunkline_protocol::domain::{Dice, Mono, WriterId};
use trunkline_protocol::history::Recent;
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::privacy::Policy;
use trunkline_protocol::producer::STALL;
use trunkline_protocol::standby::Roster;
use trunkline_protocol::timings::Timings;

use crate::admin::{About, Actions, Admin, AdminParts};
use crate::certify::Certify;
use crate::clock::Clock;
use crate::config::{Config, Mode, Secret};
use crate::control::{Client, Control, Hints, TopicSettings};
use crate::decode::open::Opener;
use crate::encode::schemas::CONVERSATION_EVENT;
use crate::encode::{Encoder, Provenance};
use crate::error::{ExitCode, ProcessError};
use crate::ground::Watcher;
use crate::kafka::admin::Remake;
use crate::ledger::{self, Ledger};
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::observe::status::StatusBoard;
use crate::orders::Rotate;
use crate::pipeline::{self, Stages, Standby};
use crate::publish::router::Router;
use crate::publish::{self, StageSettings};
use crate::reconcile::{self, Reconcile, WriterParts};
use crate::sequence;
use crate::session::{SessionParts, Transport};
use crate::spool::{self, Spool, SpoolError, SpoolSettings};
use crate::supervisor::{Supervisor, Uninvited};

use brokers::{check_durability, output_tail, places, topic_check};
pub use brokers::{kafka_settings, topics_wanted};
use platform::client_settings;
pub use platform::{
    clients, http, in_time, org_id, plan, platform_error, proxies, seats, spawn_control,
    topic_settings,
};
use proof::{audit_parts, certify_settings, ledger_error, ledger_settings, proof_encoder};
pub use queue::{queue, queue_error};
use schemas::SchemaIds;
pub use schemas::{registry_error, registry_settings, schema_id};
pub use staging::staging_settings;

/// What differs between the service and the demo.
#[derive(Clone, Debug)]
pub struct Options {
    /// Durations of the protocol.
    pub timings: Timings,
    /// Check topics at start; a broker that lives in this process cannot be asked.
    pub check_topics: bool,
    /// The word for the mode on the status page.
    pub mode: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { timings: Timings::default(), check_topics: true, mode: "channels" }
    }
}

/// News about coverage that wait for the ledger.
const NEWS: usize = 4_096;
/// Orders of operators that wait.
const ORDERS: usize = 8;
/// Conversations remembered to find out whether history is complete, about 100 bytes each.
const RECENT: usize = 100_000;

/// The running service.
pub struct App {
    supervisor: Supervisor,
    background: Supervisor,
    stop: watch::Sender<bool>,
    admin: SocketAddr,
    metrics: Metrics,
    board: StatusBoard,
    grace: Duration,
    clients: Vec<Client>,
    topics: watch::Sender<TopicSettings>,
}

impl App {
    /// Starts everything. Refuses what cannot work: after this, nothing is terminal.
    ///
    /// # Errors
    /// The part that cannot start, with its exit code.
    pub async fn start(config: &Config, options: Options) -> Result<Self, ProcessError> {
        // every part lies in this future once
        match config.genesys.mode {
            Mode::Channels | Mode::Direct => Box::pin(Self::assemble(config, options)).await,
            Mode::Eventbridge => Box::pin(queue::assemble(config, options)).await,
        }
    }

    async fn assemble(config: &Config, mut options: Options) -> Result<Self, ProcessError> {
        options.timings.canary = config.subscriptions.canary_secs.map(Duration::from_secs);
        let policy = policy(config)?;
        let clock = Clock::start();
        let mut rng = rand::rngs::StdRng::from_os_rng();
        let mut dice = Dice::new(rng.random());
        let flow = Flow::new();
        let metrics = Metrics::new(flow.clone());
        let board = StatusBoard::new(options.mode, metrics.clone());
        let mut background = Supervisor::new();

        let kafka = kafka_settings(config);
        if options.check_topics {
            check_durability(config, &kafka, &metrics, &board).await?;
        }
        let mut ids = SchemaIds::new(config)?;
        let events_schema =
            ids.id(&config.kafka.events_topic, CONVERSATION_EVENT, &mut dice).await?;
        let stage_settings = StageSettings {
            kafka: kafka.clone(),
            events_topic: config.kafka.events_topic.clone(),
            quarantine_topic: config.kafka.quarantine_topic.clone(),
            stall: STALL,
        };
        let publish = publish::Stage::new(stage_settings.clone(), clock, metrics.publish.clone())
            .map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
        let transport = Transport::new(
            config.genesys.ca_file.as_deref(),
            proxies(config)?,
            options.timings.connect_timeout,
        )
        .map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
        let http = http(config, options.timings.request_timeout, clock)?;
        // before the first socket: what an earlier process left is sent first
        let roster = Roster::new(&config.replica, config.replicas.iter().cloned());
        let spool = open_spool(config, &roster, clock, &metrics, &board, &mut dice).await?;

        let (orders, ordered) = mpsc::channel(ORDERS);
        let admin_address =
            serve_admin(config, &options.timings, clock, &metrics, &board, orders, &mut background)
                .await?;
        board.check("channels", false, "no channel is live yet");

        let clients =
            clients(config, &http, &options.timings, clock, &metrics, &mut dice, &mut background);
        let org_id = tokio::select! {
            org_id = org_id(&clients) => org_id?,
            Some(ended) = background.next() => {
                return Err(ProcessError::new(ExitCode::Internal, &Uninvited::from(ended)));
            }
        };

        let mut supervisor = Supervisor::new();
        let provenance = Provenance { org_id: org_id.clone(), writer_id: WriterId(dice.bytes16()) };
        let (news, told) = mpsc::channel(NEWS);
        let encoder = Encoder::new(events_schema, provenance.clone(), config.privacy.keep_payload);
        let (stop, stopping) = watch::channel(false);
        let proof_encoder = proof_encoder(config, &provenance, &mut ids, &mut dice).await?;
        ids.keep();
        background.spawn("schema registry", ids.confirm(Dice::new(rng.random())));
        let settings =
            ledger_settings(config, kafka.clone(), &proof_encoder.source, &options.timings);
        let (proof, shown) = (metrics.proof.clone(), board.clone());
        let timings = &options.timings;
        let keep = timings.margin * 2 + timings.gap_patience * 3 + timings.claim_fresh * 3;
        let recent = Arc::new(Mutex::new(Recent::new(keep, RECENT)));
        let encoder_of_proof = proof_encoder.clone();
        // a direct URL proves nothing, so there is nothing to certify and nothing to audit
        let proves = config.genesys.mode == Mode::Channels;
        let certify = proves.then(|| {
            let settings = certify_settings(config, kafka, &options.timings);
            Certify::new(settings, clock, encoder_of_proof, proof.clone(), Arc::clone(&recent))
                .map_err(|error| ProcessError::new(ExitCode::Config, &error))
        });
        let certify = certify.transpose()?;
        let ledger =
            Ledger::start(settings, clock, proof_encoder, proof, shown, &mut background).await;
        let ledger = ledger.map_err(|error| ledger_error(&error))?;
        let past = ledger::past::show(ledger.looks(), board.clone(), clock, timings.clone());
        background.spawn_infallible("past", past);
        if proves {
            let slo = metrics.slo.clone();
            let levels = ledger::levels::count(ledger.looks(), slo, clock, timings.clone());
            background.spawn_infallible("levels", levels);
        }
        let earlier = ledger.plan();
        if let Some(client) = clients.first().cloned() {
            let publish = publish::Stage::new(stage_settings, clock, metrics.backfill.clone())
                .map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
            let parts = WriterParts {
                clock,
                org_id: org_id.clone(),
                policy: policy.clone(),
                encoder: encoder.clone(),
                router: Router::new(&org_id),
                max_record_bytes: config.kafka.max_record_bytes,
                publish,
                flow: flow.clone(),
                live_in_flight: config.kafka.in_flight_records as u64 / 4,
            };
            let reconcile = Reconcile {
                clock,
                timings: options.timings.clone(),
                client,
                gaps: ledger.gaps(),
                written: ledger.written(),
                recent,
                news: news.clone(),
                writer: reconcile::Writer::new(parts),
                metrics: metrics.proof.clone(),
                board: board.clone(),
                audit: audit_parts(config, &ledger).filter(|_| proves),
            };
            supervisor.spawn("reconcile", reconcile.run(stopping.clone()));
        }
        let kafka = kafka_settings(config);
        let remake = Remake::new(&kafka, topic_check(config));
        let remake = remake.map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
        let watcher = Watcher::new(
            &kafka,
            places(config),
            ledger.ground(),
            remake,
            metrics.ground.clone(),
            board.clone(),
        );
        let watcher = watcher.map_err(|error| ProcessError::new(ExitCode::Config, &error))?;
        if let Some(certify) = certify {
            background.spawn("certify", certify.run(watcher.standing()));
        }
        supervisor.spawn_infallible("ledger", ledger.run(told, watcher.standing()));
        background.spawn_infallible("ground", watcher.run());
        let window = Window {
            span: Duration::from_secs(config.flow.dedupe_window_secs),
            cap: config.flow.dedupe_max_events,
        };
        let form =
            if config.flow.sorted_bodies { Canonical::Sorted } else { Canonical::AsReceived };
        let (spool, writer) = spool.unzip();
        let plan = watch::Sender::default();
        let standby = spool.as_ref().filter(|_| !roster.is_alone()).map(|spool| {
            let tail = output_tail(config, clock, &mut background);
            let plan = plan.subscribe();
            Standby::new(roster, tail, plan, spool, metrics.standby.clone(), clock.mono())
        });
        let sequence =
            sequence::Stage::new(clock, window, &options.timings, metrics.sequence.clone());
        let stages = Stages {
            clock,
            flush_deadline: Duration::from_secs(config.kafka.flush_timeout_secs),
            opener: Opener::new(org_id.clone(), form),
            policy,
            sequence: match &spool {
                Some(spool) => sequence.resuming(spool.journal()),
                None => sequence,
            },
            encoder,
            router: Router::new(&org_id),
            max_record_bytes: config.kafka.max_record_bytes,
            publish,
            news: news.clone(),
            spool,
            flow: flow.clone(),
            standby,
        };
        let suspects = stages.sequence.suspects();
        if let Some(writer) = writer {
            supervisor.spawn_infallible("spool", writer.run());
        }
        let heard = pipeline::join(stages, config.flow.queue_events, &mut supervisor);
        let topics = watch::Sender::new(topic_settings(config));
        let control = Control {
            clock,
            timings: options.timings,
            channels_per_shard: config.genesys.channels_per_shard,
            topics: topics.subscribe(),
            session: SessionParts {
                clock,
                transport,
                heard,
                flow,
                metrics: metrics.session.clone(),
            },
            metrics: metrics.control.clone(),
            board: board.clone(),
            news,
            earlier,
            plan,
            suspects,
            hints: config.spool.enabled.then(|| Hints::load(&config.spool.dir)),
            seed: rng.random(),
        };
        spawn_control(config, control, clients.clone(), ordered, stopping, &mut supervisor)?;
        background.spawn_infallible("readiness", readiness(board.clone()));
        staging::spawn(config, clock, &metrics, &mut background)?;
        tracing::info!(code = "started", mode = options.mode, admin = %admin_address, "started");
        let grace = Duration::from_secs(config.kafka.flush_timeout_secs + 10);
        Ok(Self {
            supervisor,
            background,
            stop,
            admin: admin_address,
            metrics,
            board,
            grace,
            clients,
            topics,
        })
    }

    /// Takes up what [`Change`](crate::config::Change) says can be taken up of another configuration.
    pub fn renew(&self, config: &Config) {
        for (client, settings) in self.clients.iter().zip(client_settings(config)) {
            client.renew(settings);
        }
        let topics = topic_settings(config);
        self.topics.send_if_modified(|known| {
            let differs = *known != topics;
            *known = topics;
            differs
        });
    }

    /// Where the admin server listens.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Everything that is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The board everybody posts on.
    #[must_use]
    pub fn board(&self) -> &StatusBoard {
        &self.board
    }

    /// Runs until a task ends uninvited.
    pub async fn failed(&mut self) -> ProcessError {
        let ended = tokio::select! {
            Some(ended) = self.supervisor.next() => ended,
            Some(ended) = self.background.next() => ended,
        };
        let why = ended.failure.unwrap_or_else(|| "ended uninvited".to_owned());
        ProcessError::text(ExitCode::Internal, format!("{}: {why}", ended.name))
    }

    /// Ends everything at once, as a kill of the process would: nothing is flushed, nothing is said.
    pub async fn kill(mut self) {
        for tasks in [&mut self.supervisor, &mut self.background] {
            tasks.abort_all();
            while tasks.next().await.is_some() {}
        }
    }

    /// Stops sources first; everything downstream ends because its input does. Returns when the
    /// last record is acknowledged.
    ///
    /// # Errors
    /// What was still open when the grace period ended.
    pub async fn stop(mut self) -> Result<(), ProcessError> {
        tracing::info!(
            code = "stopping",
            "stopping: sockets close, then everything heard is written"
        );
        self.board.check("running", false, "the service is stopping");
        self.stop.send_replace(true);
        let drained = async {
            let mut failure = None;
            while let Some(ended) = self.supervisor.next().await {
                if let Some(why) = ended.failure {
                    failure.get_or_insert(format!("{}: {why}", ended.name));
                }
            }
            failure
        };
        let result = match tokio::time::timeout(self.grace, drained).await {
            Ok(None) => Ok(()),
            Ok(Some(failure)) => Err(ProcessError::text(ExitCode::Internal, failure)),
            Err(_) => {
                let open = self.supervisor.running().join(", ");
                let text = format!("still running after {} s: {open}", self.grace.as_secs());
                Err(ProcessError::text(ExitCode::Internal, text))
            }
        };
        let unacked = self.metrics.flow().snapshot().in_flight;
        tracing::info!(code = "stopped", in_flight = unacked, "stopped");
        result
    }
}

/// What the status page shows of the configuration.
fn about(config: &Config, timings: &Timings) -> About {
    let genesys = &config.genesys;
    let budget = Budget::new(genesys.requests_per_minute, genesys.processes_per_client, Mono(0));
    About {
        instance: config.instance.clone(),
        replica: config.replica.clone(),
        timings: timings.clone(),
        burst: vec![budget.burst(); genesys.clients.len()],
        spool_bytes: config.spool.enabled.then_some(config.spool.max_bytes),
    }
}

/// The privacy policy as configured.
///
/// # Errors
/// Names the option; a configuration that was loaded has none.
pub fn policy(config: &Config) -> Result<Policy, ProcessError> {
    let mut first = None;
    let policy = config.policy(&mut |field, problem| {
        first.get_or_insert(format!("{field}: {problem}"));
    });
    first.map_or(Ok(policy), |text| Err(ProcessError::text(ExitCode::Config, text)))
}

/// The spool as configured.
async fn open_spool(
    config: &Config,
    roster: &Roster,
    clock: Clock,
    metrics: &Metrics,
    board: &StatusBoard,
    dice: &mut Dice,
) -> Result<Option<(Spool, spool::Writer)>, ProcessError> {
    let wanted = &config.spool;
    if !wanted.enabled {
        return Ok(None);
    }
    let settings = SpoolSettings {
        dir: wanted.dir.clone(),
        limits: spool::limits(wanted.max_bytes, wanted.segment_bytes),
        seed: (dice.next_u64() >> 32) as u32,
        roster: roster.clone(),
    };
    let opened = Spool::open(settings, clock, metrics.spool.clone(), board.clone()).await;
    opened.map(Some).map_err(|error| {
        let code = match error {
            SpoolError::Held { .. } | SpoolError::Folder { .. } | SpoolError::Recover { .. } => {
                ExitCode::Config
            }
            SpoolError::Unreadable(_) => ExitCode::Internal,
        };
        ProcessError::new(code, &error)
    })
}

/// Ready when every leg is live.
async fn readiness(board: StatusBoard) {
    board.check("running", true, "");
    loop {
        let status = board.snapshot();
        let down: Vec<String> = status
            .channels
            .iter()
            .filter(|line| !matches!(line.state, "live" | "spare"))
            .map(|line| format!("shard {} leg {} is {}", line.shard, line.leg, line.state))
            .collect();
        let none = status.channels.is_empty();
        let unheard = status.channels_lacking.shards;
        let detail = match (none, unheard) {
            (true, _) => "no channel yet".to_owned(),
            (false, 0) => down.join(", "),
            (false, shards) => format!("{shards} shards have no channel: add OAuth clients"),
        };
        board.check("channels", !none && down.is_empty() && unheard == 0, detail);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Starts the admin server; where it listens.
async fn serve_admin(
    config: &Config,
    timings: &Timings,
    clock: Clock,
    metrics: &Metrics,
    board: &StatusBoard,
    orders: mpsc::Sender<Rotate>,
    background: &mut Supervisor,
) -> Result<SocketAddr, ProcessError> {
    let parts = AdminParts {
        clock,
        metrics: metrics.clone(),
        board: board.clone(),
        about: about(config, timings),
        actions: Actions::new(config.admin.token.as_ref().map(Secret::expose), orders),
    };
    let admin = Admin::bind(config.admin.listen, parts)
        .await
        .map_err(|error| ProcessError::new(ExitCode::Unavailable, &error))?;
    let address = admin.address().map_err(|error| ProcessError::new(ExitCode::Internal, &error))?;
    background.spawn("admin", admin.run());
    Ok(address)
}
