//! Builds every part from the configuration and hands the tasks to the supervisor.

mod queue;
mod schemas;
mod staging;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use trunkline_protocol::budget::Budget;
use trunkline_protocol::dedupe::Window;
use trunkline_protocol::domain::{Dice, Mono, Wall, WriterId};
use trunkline_protocol::gate::{Endpoint, Priority};
use trunkline_protocol::history::Recent;
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::privacy::Policy;
use trunkline_protocol::producer::STALL;
use trunkline_protocol::seats::Seats;
use trunkline_protocol::standby::Roster;
use trunkline_protocol::timings::Timings;

use crate::admin::{About, Actions, Admin, AdminParts};
use crate::certify::{Certify, CertifySettings};
use crate::clock::Clock;
use crate::config::{Config, DurabilityWord, Ids, IdsWord, Mode, Schedule, Secret};
use crate::control::direct::{self, DirectSettings};
use crate::control::{Client, ClientSettings, Control, Hints, Source, TopicSettings, Wanted};
use crate::decode::open::Opener;
use crate::encode::proof::{ProofEncoder, ProofSource};
use crate::encode::schemas::{CONVERSATION_EVENT, COVERAGE_CERTIFICATE, GAP_RECORD};
use crate::encode::{Encoder, Provenance, read};
use crate::error::{ExitCode, ProcessError};
use crate::genesys::PlatformError;
use crate::genesys::http::Http;
use crate::genesys::regions::domain_of;
use crate::ground::Watcher;
use crate::kafka::KafkaError;
use crate::kafka::admin::{Durability, Remake, TopicCheck, TopicWant, check_topics};
use crate::kafka::look::Place;
use crate::kafka::settings::KafkaSettings;
use crate::kafka::tail::{self, From, Tail};
use crate::ledger::{self, Ledger, LedgerError, LedgerSettings};
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::observe::status::StatusBoard;
use crate::orders::Rotate;
use crate::pipeline::{self, Passed, Stages, Standby};
use crate::proxy::{Proxies, ProxySettings};
use crate::publish::router::Router;
use crate::publish::{self, StageSettings};
use crate::reconcile::{self, AuditParts, Reconcile, WriterParts};
use crate::sequence;
use crate::session::{SessionParts, Transport};
use crate::spool::{self, Spool, SpoolError, SpoolSettings};
use crate::supervisor::{Supervisor, Uninvited};

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

    async fn assemble(config: &Config, options: Options) -> Result<Self, ProcessError> {
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

/// What holding closed hours against history takes.
fn audit_parts(config: &Config, ledger: &Ledger) -> Option<Box<AuditParts>> {
    let wanted = config.reconcile.schedule == Schedule::Daily;
    wanted.then(|| {
        Box::new(AuditParts {
            looks: ledger.looks(),
            kafka: kafka_settings(config),
            events_topic: config.kafka.events_topic.clone(),
            whole_org: config.subscriptions.whole_org(),
        })
    })
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

/// What was heard, as it passes in the output topic; that of the window of duplicates first.
fn output_tail(config: &Config, clock: Clock, tasks: &mut Supervisor) -> Tail<Passed> {
    let window = Duration::from_secs(config.flow.dedupe_window_secs);
    let from = From::Time(clock.now().wall.minus(window).0, BTreeMap::new());
    let topic = config.kafka.events_topic.clone();
    let (tail, work) = tail::follow(kafka_settings(config), topic, from, |record| {
        // what no socket heard says nothing about sockets
        let unheard = ["backfill", "reconcile", "eventbridge"];
        let origin = record.header("trunkline-origin")?;
        let id = record.header("event_id").filter(|_| !unheard.contains(&origin))?.parse().ok()?;
        // whatever cannot be read is durable all the same
        let (topic, received) = read::heard(record.value()).unwrap_or(("", Wall(0)));
        Some(Passed { id, topic: topic.into(), received })
    });
    tasks.spawn("output tail", work);
    tail
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

/// The broker as configured.
#[must_use]
pub fn kafka_settings(config: &Config) -> KafkaSettings {
    let kafka = &config.kafka;
    let mut security = kafka.security.clone();
    if let Some(password) = &kafka.sasl_password {
        security.insert("sasl.password".to_owned(), password.expose().to_owned());
    }
    KafkaSettings {
        bootstrap_servers: kafka.bootstrap_servers.clone(),
        security,
        compression: kafka.compression.clone(),
        linger_ms: kafka.linger_ms,
        in_flight_records: kafka.in_flight_records,
        in_flight_bytes: kafka.in_flight_bytes,
        // the check of sizes is ours; the library's must leave room for headers
        max_record_bytes: kafka.max_record_bytes + (64 << 10),
        overrides: kafka.overrides.clone(),
    }
}

fn topic_check(config: &Config) -> TopicCheck {
    TopicCheck {
        topics: topics_wanted(config),
        durability: match config.kafka.durability {
            DurabilityWord::Required => Durability::Required,
            DurabilityWord::DegradedAllowed => Durability::DegradedAllowed,
        },
        create_partitions: config.kafka.create_topics.then_some(config.kafka.partitions),
        patience: Duration::from_secs(config.kafka.start_timeout_secs),
    }
}

/// Looks at the topics, and says of each that is weaker than promised.
async fn check_durability(
    config: &Config,
    kafka: &KafkaSettings,
    metrics: &Metrics,
    board: &StatusBoard,
) -> Result<(), ProcessError> {
    let weak = check(config, kafka).await?;
    metrics.publish.durability_degraded(!weak.is_empty());
    for problem in &weak {
        tracing::warn!(code = "degraded_durability", problem = %problem, "runs weaker than promised, as configured");
    }
    board.durability(weak);
    Ok(())
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

async fn check(config: &Config, settings: &KafkaSettings) -> Result<Vec<String>, ProcessError> {
    check_topics(settings, &topic_check(config)).await.map_err(|error| {
        let code = match error {
            KafkaError::Unreachable { .. } | KafkaError::Read { .. } | KafkaError::Group { .. } => {
                ExitCode::Unavailable
            }
            KafkaError::Hidden { .. } => ExitCode::Permission,
            KafkaError::Settings(_)
            | KafkaError::NoTopic { .. }
            | KafkaError::NotCreated { .. }
            | KafkaError::Cleanup { .. }
            | KafkaError::Weak { .. } => ExitCode::Config,
        };
        ProcessError::new(code, &error)
    })
}

/// Every topic that must be there, and what its content rests on.
#[must_use]
pub fn topics_wanted(config: &Config) -> Vec<TopicWant> {
    let kafka = &config.kafka;
    let want =
        |name: &String, cleanup, partitions| TopicWant { name: name.clone(), cleanup, partitions };
    let mut topics =
        vec![want(&kafka.events_topic, None, None), want(&kafka.quarantine_topic, None, None)];
    if config.genesys.mode == Mode::Eventbridge {
        return topics;
    }
    topics.push(want(&kafka.gaps_topic, Some("compact,delete"), Some(1)));
    if config.genesys.mode == Mode::Channels {
        topics.push(want(&kafka.certificates_topic, Some("compact"), Some(1)));
    }
    topics.push(want(&kafka.state_topic, Some("compact"), Some(kafka.state_partitions)));
    topics
}

/// Topics that are looked at while the service runs. Those of events have many partitions and records:
/// of them only is asked whether they are there, and with how many partitions.
fn places(config: &Config) -> Vec<Place> {
    let kafka = &config.kafka;
    let place = |role, name: &String, with_ends| Place { role, name: name.clone(), with_ends };
    let mut places = vec![
        place("events", &kafka.events_topic, false),
        place("quarantine", &kafka.quarantine_topic, false),
        place("gaps", &kafka.gaps_topic, true),
        place("certificates", &kafka.certificates_topic, true),
        place("state", &kafka.state_topic, true),
    ];
    places.retain(|place| place.role != "certificates" || config.genesys.mode == Mode::Channels);
    places
}

fn ledger_settings(
    config: &Config,
    kafka: KafkaSettings,
    source: &ProofSource,
    timings: &Timings,
) -> LedgerSettings {
    LedgerSettings {
        kafka,
        state_topic: config.kafka.state_topic.clone(),
        gaps_topic: config.kafka.gaps_topic.clone(),
        instance: source.instance.clone(),
        roster: Roster::new(&config.replica, config.replicas.iter().cloned()),
        org_id: source.org_id.clone(),
        writer_id: source.writer_id,
        timings: timings.clone(),
        proves: config.genesys.mode == Mode::Channels,
        // reading it whole takes longer than a broker's first answer
        patience: Duration::from_secs(config.kafka.start_timeout_secs.max(30)),
    }
}

async fn proof_encoder(
    config: &Config,
    provenance: &Provenance,
    ids: &mut SchemaIds,
    dice: &mut Dice,
) -> Result<ProofEncoder, ProcessError> {
    let (gaps, certificates) = (&config.kafka.gaps_topic, &config.kafka.certificates_topic);
    let gap_schema = ids.id(gaps, GAP_RECORD, dice).await?;
    let certificate_schema = ids.id(certificates, COVERAGE_CERTIFICATE, dice).await?;
    let source = ProofSource {
        org_id: provenance.org_id.clone(),
        instance: config.instance.clone(),
        writer_id: provenance.writer_id,
    };
    Ok(ProofEncoder { source, gap_schema, certificate_schema })
}

fn certify_settings(config: &Config, kafka: KafkaSettings, timings: &Timings) -> CertifySettings {
    let roster = Roster::new(&config.replica, config.replicas.iter().cloned());
    CertifySettings {
        kafka,
        state_topic: config.kafka.state_topic.clone(),
        events_topic: config.kafka.events_topic.clone(),
        quarantine_topic: config.kafka.quarantine_topic.clone(),
        certificates_topic: config.kafka.certificates_topic.clone(),
        timings: timings.clone(),
        place: u32::try_from(roster.place(0)).unwrap_or(u32::MAX),
        count: u32::try_from(roster.len()).unwrap_or(u32::MAX),
    }
}

fn ledger_error(error: &LedgerError) -> ProcessError {
    let code = match error {
        LedgerError::Kafka(_) | LedgerError::NoBarrier { .. } => ExitCode::Unavailable,
        LedgerError::Foreign { .. } | LedgerError::Newer { .. } => ExitCode::Config,
    };
    ProcessError::new(code, error)
}

/// The way out, as configured.
///
/// # Errors
/// When the address of the proxy is none; validation has looked at it.
pub fn proxies(config: &Config) -> Result<Proxies, ProcessError> {
    let proxy = &config.genesys.proxy;
    let Some(url) = &proxy.url else { return Ok(Proxies::new(None)) };
    let url = url::Url::parse(url)
        .map_err(|_| ProcessError::text(ExitCode::Config, "genesys.proxy.url is no URL"))?;
    let password = || proxy.password.as_ref().map_or_else(|| "".into(), Secret::secret);
    let credentials = proxy.username.clone().map(|user| (user, password()));
    Ok(Proxies::new(Some(ProxySettings { url, credentials, except: proxy.except.clone() })))
}

/// The platform as configured.
///
/// # Errors
/// When the region or the file of authorities is wrong.
pub fn http(config: &Config, timeout: Duration, clock: Clock) -> Result<Http, ProcessError> {
    let genesys = &config.genesys;
    let domain = genesys.region.as_deref().and_then(domain_of).unwrap_or_default();
    let base = |given: &Option<String>, host: &str| {
        let url = given.clone().unwrap_or_else(|| format!("https://{host}.{domain}"));
        url.trim_end_matches('/').to_owned()
    };
    let (login, api) = (base(&genesys.login_url, "login"), base(&genesys.api_url, "api"));
    let proxies = proxies(config)?;
    Http::new(&login, &api, genesys.ca_file.as_deref(), &proxies, timeout, clock).map_err(
        |problem| ProcessError::text(ExitCode::Config, format!("genesys.ca_file: {problem}")),
    )
}

/// Starts the OAuth clients.
pub fn clients(
    config: &Config,
    http: &Http,
    timings: &Timings,
    clock: Clock,
    metrics: &Metrics,
    dice: &mut Dice,
    supervisor: &mut Supervisor,
) -> Vec<Client> {
    let each = |(index, settings): (usize, ClientSettings)| {
        let (metrics, dice) = (metrics.control.clone(), Dice::new(dice.next_u64()));
        Client::start(index, settings, http.clone(), timings, clock, metrics, dice, supervisor)
    };
    client_settings(config).enumerate().map(each).collect()
}

fn client_settings(config: &Config) -> impl Iterator<Item = ClientSettings> {
    config.genesys.clients.iter().enumerate().map(|(index, client)| ClientSettings {
        id: client.id.clone().unwrap_or_default(),
        secret: client.secret.as_ref().map_or_else(|| SecretString::from(""), Secret::secret),
        requests_per_minute: config.genesys.requests_per_minute,
        processes: config.genesys.processes_per_client,
        held: config.spool.enabled.then(|| config.spool.dir.join(format!("held-{index}.json"))),
    })
}

/// The organisation's id, from the first client; waits for the platform as long as it takes.
///
/// # Errors
/// When the login host refuses a client.
pub async fn org_id(clients: &[Client]) -> Result<String, ProcessError> {
    for client in clients {
        client
            .proven()
            .await
            .map_err(|refused| ProcessError::new(ExitCode::Permission, &refused))?;
    }
    let Some(client) = clients.first() else {
        return Err(ProcessError::text(ExitCode::Config, "genesys.clients is empty"));
    };
    loop {
        let asked = client
            .call(Endpoint::Listing, Priority::StartReconnect, |http, token| async move {
                http.organization(&token).await
            })
            .await;
        match asked {
            Ok(org) => return Ok(org),
            Err(error) => {
                tracing::warn!(code = "organization_unknown", error = %error, "the organisation's id is not known yet");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Channels of so many shards, as this process gives them to its clients.
#[must_use]
pub fn seats(config: &Config, shards: usize) -> Seats {
    let genesys = &config.genesys;
    let (clients, processes) = (genesys.clients.len(), genesys.processes_per_client);
    let mut seats = Seats::new(genesys.channels_per_shard, clients, processes);
    seats.grow(u16::try_from(shards).unwrap_or(u16::MAX));
    seats
}

/// Topics as configured.
#[must_use]
pub fn topic_settings(config: &Config) -> TopicSettings {
    let source = |ids: &Ids| match ids {
        Ids::Word(IdsWord::Discover) => Source::Discover,
        Ids::Word(IdsWord::None) => Source::None,
        Ids::List(ids) => Source::Ids(ids.clone()),
    };
    let subscriptions = &config.subscriptions;
    TopicSettings {
        queues: source(&subscriptions.queues),
        users: source(&subscriptions.users),
        queue_filter: subscriptions.queue_filter.filter(),
        user_filter: subscriptions.user_filter.filter(),
        media: subscriptions.media.iter().map(|media| media.as_str()).collect(),
        extra: subscriptions.topics.clone(),
        refresh: Duration::from_secs(subscriptions.refresh_secs.max(1)),
        requests_per_minute: config.genesys.requests_per_minute
            / config.genesys.processes_per_client.max(1),
    }
}

/// What would be subscribed, by shard, and what of the listings it is.
///
/// # Errors
/// When a permission is refused, or the platform does not answer.
pub async fn plan(config: &Config, clients: &[Client]) -> Result<Wanted, ProcessError> {
    let Some(client) = clients.first() else {
        return Err(ProcessError::text(ExitCode::Config, "genesys.clients is empty"));
    };
    Control::wanted(&topic_settings(config), client).await.map_err(|error| platform_error(&error))
}

/// The exit code of a refusal of the platform.
#[must_use]
pub fn platform_error(error: &PlatformError) -> ProcessError {
    let denied = error.status() == Some(403);
    let code = if denied { ExitCode::Permission } else { ExitCode::Unavailable };
    ProcessError::new(code, error)
}

/// How long a command waits for the platform.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the platform was asked for, if it answers within a minute.
///
/// # Errors
/// When it does not.
pub async fn in_time<T>(
    asked: impl Future<Output = Result<T, ProcessError>>,
) -> Result<T, ProcessError> {
    let silent = || ProcessError::text(ExitCode::Unavailable, "the platform does not answer");
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(silent()))
}

/// Hears: over channels, or one configured URL.
///
/// # Errors
/// When the URL is none, or there is no client.
pub fn spawn_control(
    config: &Config,
    control: Control,
    clients: Vec<Client>,
    orders: mpsc::Receiver<Rotate>,
    stopping: watch::Receiver<bool>,
    supervisor: &mut Supervisor,
) -> Result<(), ProcessError> {
    match config.genesys.mode {
        Mode::Channels => {
            supervisor.spawn("control", control.run(clients, orders, stopping));
        }
        Mode::Direct => {
            let settings = direct_settings(config)?;
            let Some(client) = clients.into_iter().next() else {
                return Err(ProcessError::text(ExitCode::Config, "genesys.clients is empty"));
            };
            supervisor.spawn("control", direct::run(control, settings, client, stopping));
        }
        Mode::Eventbridge => {
            let text = "genesys.mode is eventbridge: nothing is heard on a socket; allowed: channels or direct";
            return Err(ProcessError::text(ExitCode::Config, text));
        }
    }
    Ok(())
}

fn direct_settings(config: &Config) -> Result<DirectSettings, ProcessError> {
    let direct = &config.genesys.direct;
    let url = direct.url.as_deref().unwrap_or_default();
    let url = url::Url::parse(url)
        .map_err(|_| ProcessError::text(ExitCode::Config, "genesys.direct.url is no URL"))?;
    Ok(DirectSettings {
        url,
        token_parameter: direct.token_parameter.clone(),
        lifetime: Duration::from_secs(direct.expected_lifetime_secs.max(1)),
        connections: direct.connections,
        dials_per_minute: direct.dials_per_minute,
        processes: config.genesys.processes_per_client,
        silence: Duration::from_secs(direct.silence_secs.max(2)),
    })
}
