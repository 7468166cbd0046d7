//! The demo: simulator, broker, registry and the real connector in one process; faults; every
//! event accounted for at the end.

mod broker;
mod dump;
pub mod registry;
mod running;
pub mod stand;
pub mod verify;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use genesys_sim::faults::{Fault, read_timeline};
use genesys_sim::server::{Embedded, Running, ServeSettings, TrafficState};
use genesys_sim::traffic::Profile;
use tokio::net::TcpListener;
use trunkline_protocol::domain::Mono;
use trunkline_protocol::privacy::Preset;
use trunkline_protocol::timings::Timings;

use crate::app::{App, Options, kafka_settings};
use crate::clock::Clock;
use crate::config::{Config, DurabilityWord, Ids, IdsWord, OAuthClient, Schedule, Secret, load};
use crate::error::{ExitCode, ProcessError};
use crate::kafka::reader::read_topic;
use crate::supervisor::Supervisor;
use broker::Broker;
use registry::Registry;
use running::Connector;
use verify::{Evidence, Verdict};
use view::{Glimpse, View};

/// Which faults happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// None.
    None,
    /// One of each kind that leaves a channel standing.
    Default,
    /// A timeline file.
    File(PathBuf),
}

/// What to show.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Events to generate.
    pub events: u64,
    /// Events per second; without it as many as last until the faults are over.
    pub rate: Option<f64>,
    /// Seed of the traffic.
    pub seed: u64,
    /// Faults.
    pub script: Script,
    /// Where topics, schemas and ledger are written.
    pub dump: Option<PathBuf>,
    /// Go on until interrupted after the verdict.
    pub hold: bool,
    /// Draw nothing while it runs.
    pub quiet: bool,
}

/// Lives of tokens and channels run so many times as fast.
const SCALE: u32 = 2_000;
/// Requests per minute: four times the platform's, since gaps that take days are closed in a minute.
const REQUESTS: u32 = 1_200;
/// Partitions of the events topic: at most 2 MiB each for 100,000 events.
const PARTITIONS: i32 = 64;
/// Events per second.
const RATE: f64 = 550.0;
const EVENTS: &str = "genesys.conversation.events";
const QUARANTINE: &str = "genesys.conversation.quarantine";
const GAPS: &str = "genesys.conversation.gaps";
const CERTIFICATES: &str = "genesys.conversation.certificates";
const STATE: &str = "trunkline.state";

/// How long history may take to close the gaps that are left.
const HISTORY: Duration = Duration::from_secs(60);

/// Seconds by which the connector's idea of the time may be ahead of the local clock.
const MOMENT: f64 = 1.5;

/// Everything that runs beside the connector.
struct Stage {
    sim: Running,
    broker: Broker,
    registry: Registry,
    tasks: Supervisor,
    /// Gone with the demo.
    spool: tempfile::TempDir,
}

/// Runs the demo and returns the verdict.
///
/// # Errors
/// When a part cannot start; a bad end is a verdict, not an error.
pub async fn run(options: DemoOptions) -> Result<Verdict, ProcessError> {
    let clock = Clock::start();
    let started = clock.mono();
    let faults = script(&options.script)?;
    let rate = pace(&options, &faults)?;
    let mut view = View::new(options.events, options.quiet);
    let at = |clock: &Clock| clock.mono().since(started);
    view.tell(at(&clock), &format!("starting simulator, broker, registry and connector in one process; lives of tokens and channels run {SCALE} times as fast"));
    let mut stage = Stage::start(&options, rate, &faults).await?;
    let config = stage.config().await?;
    let app_options = Options { timings: Timings::demo(SCALE), check_topics: false, mode: "demo" };
    let mut connector = Connector::start(config.clone(), app_options).await?;
    view.tell(at(&clock), &format!("admin server on http://{}", connector.app().admin()));
    play(&mut stage, &mut connector, &mut view, &clock, started).await?;
    view.tell(at(&clock), "all events generated and written; reading everything back");
    view.finish();
    let totals = connector.totals();
    let mut faults_seen = faults_seen(&stage.sim, &faults);
    if options.script == Script::Default {
        let renewals = totals.tokens.saturating_sub(1 + totals.kills);
        faults_seen.insert("token_renewal".to_owned(), renewals);
    }
    if options.hold {
        hold(connector.app()).await;
    }
    connector.stop().await?;
    let kafka = kafka_settings(&config);
    let read = move |topic: &'static str| {
        let kafka = kafka.clone();
        tokio::task::spawn_blocking(move || read_topic(&kafka, topic))
    };
    let internal = |error: &dyn std::error::Error| ProcessError::new(ExitCode::Internal, error);
    let events = read(EVENTS).await.map_err(|e| internal(&e))?.map_err(|e| internal(&e))?;
    let quarantine = read(QUARANTINE).await.map_err(|e| internal(&e))?.map_err(|e| internal(&e))?;
    let mut proof = Vec::new();
    for topic in [GAPS, CERTIFICATES, STATE] {
        let read = read(topic).await.map_err(|e| internal(&e))?.map_err(|e| internal(&e))?;
        proof.push((topic, read));
    }
    let ledger = stage.sim.ledger_lines();
    let evidence = Evidence {
        org_id: stage.sim.org_id(),
        origin_ms: i64::try_from(stage.sim.origin_ms()).unwrap_or(0),
        read_spacing_ms: u64::try_from(Timings::demo(SCALE).read_spacing.as_millis()).unwrap_or(0),
        kills: totals.kills,
        from_spool: totals.from_spool,
        events,
        quarantine,
        proof,
        schemas: stage.registry.schemas(),
        ledger: ledger
            .map_err(|error| ProcessError::text(ExitCode::Internal, error.to_string()))?,
        faults: faults_seen,
        reconnects: totals.reconnects,
        http_429: totals.rate_limited,
        seconds: at(&clock).as_secs_f64(),
    };
    let verdict = verify::reckon(&evidence);
    if let Some(dir) = &options.dump {
        dump::write(dir, &evidence, &verdict, [EVENTS, QUARANTINE]).map_err(|error| {
            ProcessError::text(ExitCode::Config, format!("--dump {}: {error}", dir.display()))
        })?;
    }
    Ok(verdict)
}

/// Events per second. What happens after the last event meets none and proves nothing, least of all
/// that a silent channel is noticed.
fn pace(options: &DemoOptions, faults: &[Fault]) -> Result<f64, ProcessError> {
    let over = faults.iter().map(|fault| fault.at_ms + fault.for_ms).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "counts and milliseconds of a demo")]
    let (events, seconds) = (options.events as f64, over as f64 / 1_000.0);
    match options.rate {
        None if seconds > 0.0 => Ok(RATE.min(events / seconds).max(0.1)),
        None => Ok(RATE),
        Some(rate) if events / rate < seconds => {
            let lasts = events / rate;
            let text = format!(
                "--events {events} at --rate {rate} last {lasts:.0} s, the faults {seconds:.0} s: leave out --rate, or use --faults none"
            );
            Err(ProcessError::text(ExitCode::Usage, text))
        }
        Some(rate) => Ok(rate),
    }
}

fn script(script: &Script) -> Result<Vec<Fault>, ProcessError> {
    let (name, text) = match script {
        Script::None => return Ok(Vec::new()),
        Script::Default => ("faults.json".to_owned(), include_str!("faults.json").to_owned()),
        Script::File(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                ProcessError::text(ExitCode::Config, format!("{name}: {error}"))
            })?;
            (name, text)
        }
    };
    read_timeline(&text)
        .map_err(|error| ProcessError::text(ExitCode::Config, format!("{name}: {error}")))
}

impl Stage {
    async fn start(
        options: &DemoOptions,
        rate: f64,
        faults: &[Fault],
    ) -> Result<Self, ProcessError> {
        let serve = ServeSettings {
            settings: genesys_sim::Settings {
                requests_per_minute: REQUESTS,
                ..genesys_sim::Settings::default().scaled(SCALE)
            },
            profile: Profile { rate, ..Profile::default() },
            seed: options.seed,
            events: options.events,
            wait_for_channels: 2,
            faults: faults.to_vec(),
            ..ServeSettings::default()
        };
        let sim = genesys_sim::server::start(serve)
            .await
            .map_err(|error| ProcessError::text(ExitCode::Internal, error.to_string()))?;
        let broker = Broker::start(&[
            (EVENTS, PARTITIONS),
            (QUARANTINE, 4),
            (GAPS, 1),
            (CERTIFICATES, 1),
            (STATE, 4),
        ])?;
        let spool = tempfile::tempdir().map_err(|error| {
            ProcessError::text(ExitCode::Internal, format!("a folder: {error}"))
        })?;
        Ok(Self { sim, broker, registry: Registry::default(), tasks: Supervisor::new(), spool })
    }

    async fn config(&mut self) -> Result<Config, ProcessError> {
        let failed = |error: std::io::Error| ProcessError::new(ExitCode::Internal, &error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let registry = listener.local_addr().map_err(failed)?;
        self.tasks.spawn("registry", self.registry.clone().serve(listener));
        let mut config =
            load(None, &required()).map_err(|e| ProcessError::new(ExitCode::Internal, &e))?;
        config.genesys.login_url = Some(self.sim.url());
        config.genesys.api_url = Some(self.sim.url());
        config.genesys.clients = vec![OAuthClient {
            id: Some("sim-client".to_owned()),
            secret: Some(Secret::new("sim-secret".to_owned())),
            ..OAuthClient::default()
        }];
        config.genesys.requests_per_minute = REQUESTS;
        config.subscriptions.queues = Ids::Word(IdsWord::Discover);
        config.kafka.bootstrap_servers = self.broker.bootstrap_servers();
        config.kafka.durability = DurabilityWord::DegradedAllowed;
        config.schema_registry.url = format!("http://{registry}");
        config.admin.listen.set_port(0);
        // the script's outage of the broker lasts longer than this and what memory holds
        config.kafka.in_flight_records = 500;
        config.spool.dir = self.spool.path().to_owned();
        config.privacy.preset = Some(Preset::None);
        config.reconcile.schedule = Schedule::Never;
        Ok(config)
    }
}

/// What the loader insists on; replaced by addresses that are known only now.
fn required() -> BTreeMap<String, String> {
    let pairs = [
        ("GENESYS__REGION", "us_east_1"),
        ("GENESYS__CLIENTS__0__ID", "demo"),
        ("GENESYS__CLIENTS__0__SECRET", "demo"),
        ("KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("SCHEMA_REGISTRY__URL", "http://127.0.0.1:1"),
        ("PRIVACY__PRESET", "none"),
    ];
    pairs.into_iter().map(|(key, value)| (format!("TRUNKLINE__{key}"), value.to_owned())).collect()
}

/// Lets it run until everything is generated, every fault is over and every event is written.
async fn play(
    stage: &mut Stage,
    connector: &mut Connector,
    view: &mut View,
    clock: &Clock,
    started: Mono,
) -> Result<(), ProcessError> {
    let traffic = stage.sim.traffic();
    let mut told = Told::default();
    let mut broker_back: Option<Mono> = None;
    let mut quiet_since: Option<Mono> = None;
    let mut waits_until: Option<Mono> = None;
    let mut closed_at: Option<f64> = None;
    loop {
        let now = clock.mono();
        let at = now.since(started);
        told.news(stage, connector.app(), view, at);
        let (_, covered) = stage.sim.generated();
        let totals = connector.totals();
        let app = connector.app();
        let in_flight = app.metrics().flow().snapshot().in_flight;
        let glimpse = Glimpse {
            generated: covered,
            published: totals.published,
            deduplicated: totals.deduplicated,
            in_flight,
            channels: channels(app),
            rate_limited: totals.rate_limited,
        };
        view.draw(at, &glimpse);
        let done = *traffic.borrow() == TrafficState::Done
            && stage.sim.waiting_faults() == 0
            && broker_back.is_none_or(|back| back <= now)
            && in_flight == 0;
        let open = gaps_open(app);
        if done && open > 0 && waits_until.is_none() {
            view.tell(at, &format!("everything heard is written; {open} gaps wait for history"));
        }
        let until = done.then(|| *waits_until.get_or_insert(now + HISTORY));
        if !done || open > 0 {
            closed_at = None;
        }
        let closed = *closed_at.get_or_insert(clock.now().wall.0 as f64 / 1000.0 + MOMENT);
        let proven = open == 0 && app.metrics().proof.up_to_date_at() >= closed;
        let done = until.is_some_and(|until| proven || until <= now);
        match (done, quiet_since) {
            (false, _) => quiet_since = None,
            (true, None) => quiet_since = Some(now),
            (true, Some(since)) if now.since(since) >= Duration::from_millis(700) => return Ok(()),
            (true, Some(_)) => {}
        }
        tokio::select! {
            failure = app.failed() => return Err(failure),
            fault = stage.sim.embedded() => match fault {
                Embedded::BrokerDown(duration) => {
                    broker_back = Some(clock.mono() + duration);
                    view.tell(at, &format!("fault     broker_down for {} s", duration.as_secs()));
                    stage.broker.away(duration).await?;
                    view.tell(clock.mono().since(started), "broker is back");
                }
                Embedded::Kill => {
                    view.tell(at, "fault     kill: the connector ends without a word");
                    connector.kill().await?;
                    told.ends = 0;
                    view.tell(clock.mono().since(started), "another connector has started");
                }
            },
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
}

fn gaps_open(app: &App) -> usize {
    app.board().snapshot().coverage.values().map(|shard| shard.gaps.len()).sum()
}

fn channels(app: &App) -> Vec<String> {
    let line = |line: &crate::observe::status::ChannelStatus| {
        let last =
            line.last_end.map_or(String::new(), |reason| format!(" (last: {})", reason.as_str()));
        format!(
            "shard {} leg {}  {:<9}  ends {}{last}",
            line.shard, line.leg, line.state, line.ends
        )
    };
    app.board().snapshot().channels.iter().map(line).collect()
}

/// What has been told already.
#[derive(Default)]
struct Told {
    faults: usize,
    ends: usize,
}

impl Told {
    fn news(&mut self, stage: &Stage, app: &App, view: &View, at: Duration) {
        let applied = stage.sim.applied();
        for fault in applied.iter().skip(self.faults) {
            if fault.what.as_str() != "broker_down" {
                view.tell(at, &format!("fault     {}", fault.what.as_str()));
            }
        }
        self.faults = applied.len();
        let timeline = app.board().snapshot().timeline;
        for end in timeline.iter().skip(self.ends) {
            let (shard, leg, reason) = (end.shard, end.leg, end.reason.as_str());
            view.tell(at, &format!("reconnect shard {shard} leg {leg}: {reason}"));
        }
        self.ends = timeline.len();
    }
}

/// How often each scripted fault took effect.
fn faults_seen(sim: &Running, script: &[Fault]) -> BTreeMap<String, u64> {
    let mut seen: BTreeMap<String, u64> =
        script.iter().map(|fault| (fault.what.as_str().to_owned(), 0)).collect();
    for applied in sim.applied() {
        *seen.entry(applied.what.as_str().to_owned()).or_default() += applied.effects;
    }
    seen
}

async fn hold(app: &App) {
    use std::io::Write as _;
    let text = format!("holding; admin server on http://{}; Ctrl-C ends\n", app.admin());
    std::io::stderr().write_all(text.as_bytes()).ok(); // nobody may be reading
    tokio::signal::ctrl_c().await.ok(); // without a signal handler there is nothing to hold for
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(events: u64, rate: Option<f64>) -> DemoOptions {
        let script = Script::Default;
        DemoOptions { events, rate, seed: 1, script, dump: None, hold: false, quiet: true }
    }

    #[test]
    fn few_events_last_as_long_as_the_faults() {
        let faults = script(&Script::Default).expect("a script");
        let rate = |events, rate| pace(&options(events, rate), &faults);
        assert_eq!(rate(7_000, None).expect("a rate"), 100.0);
        assert_eq!(rate(1_000_000, None).expect("a rate"), RATE);
        assert_eq!(rate(7_000, Some(90.0)).expect("a rate"), 90.0);
        let refused = rate(7_000, Some(200.0)).expect_err("too fast").to_string();
        assert!(refused.contains("last 35 s, the faults 70 s"), "{refused}");
        assert_eq!(pace(&options(10, None), &[]).expect("a rate"), RATE);
    }
}
