//! Everything a scenario needs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use genesys_sim::Settings;
use genesys_sim::faults::{Args, Fault, What, Whom};
use genesys_sim::server::{Running, ServeSettings};
use genesys_sim::traffic::Profile;
use trunkline::app::{App, Options, kafka_settings};
use trunkline::config::{Config, DurabilityWord, OAuthClient, Schedule, Secret, load};
use trunkline::demo::stand::Stand;
use trunkline::encode::read::{self, EventRow, GapRow};
use trunkline::kafka::reader::{ReadTopic, read_topic};
use trunkline_protocol::certifier::Certificate;
use trunkline_protocol::privacy::Preset;
use trunkline_protocol::timings::Timings;

const SCALE: u32 = 6_000;
const REQUESTS: u32 = 3_000;

pub(crate) struct World {
    sim: Running,
    stand: Stand,
    config: Config,
    _spool: tempfile::TempDir,
    app: Option<App>,
}

impl World {
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::scheduled(settings, Schedule::Never).await
    }

    /// With closed spans held against history.
    pub(crate) async fn audited_daily(settings: Settings) -> Self {
        Self::scheduled(settings, Schedule::Daily).await
    }

    async fn scheduled(settings: Settings, schedule: Schedule) -> Self {
        let kafka = Config::default().kafka;
        let topics = [
            (kafka.events_topic.as_str(), 4),
            (kafka.quarantine_topic.as_str(), 1),
            (kafka.gaps_topic.as_str(), 1),
            (kafka.certificates_topic.as_str(), 1),
            (kafka.state_topic.as_str(), 2),
        ];
        let stand = Stand::start(&topics).await.expect("a broker and a registry");
        let serve = ServeSettings {
            settings: Settings { requests_per_minute: REQUESTS, ..settings.scaled(SCALE) },
            profile: Profile { rate: 60.0, queues: 3, users: 4, alive: 60, ..Profile::default() },
            wait_for_channels: 2,
            ..ServeSettings::default()
        };
        let sim = genesys_sim::server::start(serve).await.expect("a simulator");
        let spool = tempfile::tempdir().expect("a folder");
        let mut config = config(&sim, &stand, spool.path());
        config.reconcile.schedule = schedule;
        if schedule == Schedule::Daily {
            config.kafka.in_flight_records = 100; // the rest of an outage waits in the spool
        }
        let mut world = Self { sim, stand, config, _spool: spool, app: None };
        world.begin().await;
        // something has to be proven before a hole can be told from a beginning
        let proven = |world: &Self| {
            let shards = world.app().board().snapshot().coverage;
            !shards.is_empty() && shards.values().all(|shard| shard.proven_to_ms.is_some())
        };
        world.until(60, "coverage to be proven", proven).await;
        world
    }

    async fn begin(&mut self) {
        let timings = Timings::demo(SCALE);
        let options = Options { timings, check_topics: false, mode: "demo" };
        self.app = Some(App::start(&self.config, options).await.expect("a connector"));
    }

    fn app(&self) -> &App {
        self.app.as_ref().expect("one runs")
    }

    async fn until(&self, seconds: u64, what: &str, reached: impl Fn(&Self) -> bool) {
        let reached = async {
            while !reached(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(seconds), reached).await;
        assert!(waited.is_ok(), "waited {seconds} s for {what}");
    }

    fn open_gaps(&self) -> usize {
        self.app().board().snapshot().coverage.values().map(|shard| shard.gaps.len()).sum()
    }

    /// The whole platform is away; returns when the gap is recorded.
    pub(crate) async fn outage(&self, for_ms: u64) {
        let fault =
            Fault { at_ms: 0, what: What::Outage, whom: Whom::All, for_ms, args: Args::default() };
        self.sim.inject(fault);
        self.until(60, "a gap", |world| world.open_gaps() > 0).await;
    }

    /// Every gap is closed, and every channel hears again.
    async fn closed(&self, seconds: u64) {
        let reached = |world: &Self| {
            let status = world.app().board().snapshot();
            let live = status.channels.iter().all(|line| line.state == "live");
            live && !status.channels.is_empty() && world.open_gaps() == 0
        };
        self.until(seconds, "every gap to be closed", reached).await;
    }

    /// Every gap that was recorded, once all of them are closed; another one may open meanwhile.
    pub(crate) async fn closed_gaps(&self, seconds: u64) -> Vec<GapRow> {
        let closed = async {
            loop {
                self.closed(seconds).await;
                let gaps = self.gaps().await;
                if gaps.iter().all(|gap| gap.outcome.is_some()) {
                    return gaps;
                }
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(seconds), closed).await;
        waited.expect("every gap is closed in time")
    }

    /// History is being read.
    pub(crate) async fn reading(&self, seconds: u64) {
        let reached = |world: &Self| world.app().board().snapshot().backfill.is_some();
        self.until(seconds, "a reading of history", reached).await;
    }

    /// The connector ends without a word and another one starts.
    pub(crate) async fn kill(&mut self) {
        self.app.take().expect("one runs").kill().await;
        self.begin().await;
    }

    pub(crate) async fn stop(mut self) {
        self.app.take().expect("one runs").stop().await.expect("an orderly end");
    }

    pub(crate) fn scrape(&self) -> String {
        self.app().metrics().render()
    }

    async fn read(&self, topic: &str) -> ReadTopic {
        let (settings, topic) = (kafka_settings(&self.config), topic.to_owned());
        let read = tokio::task::spawn_blocking(move || read_topic(&settings, &topic)).await;
        read.expect("no panic").expect("a topic")
    }

    /// The newest record of every gap.
    pub(crate) async fn gaps(&self) -> Vec<GapRow> {
        let topic = self.read(&self.config.kafka.gaps_topic).await;
        let rows =
            topic.records.iter().filter_map(|raw| read::gap(&raw.value, &self.config.instance));
        let newest: BTreeMap<String, GapRow> = rows.map(|gap| (gap.gap_id.clone(), gap)).collect();
        newest.into_values().collect()
    }

    /// The broker is away.
    pub(crate) async fn broker_away(&mut self, for_ms: u64) {
        self.stand.obey(&format!("away {for_ms}")).await;
    }

    /// Every channel answers pings and hears nothing.
    pub(crate) async fn silence(&self, for_ms: u64) {
        let fault =
            Fault { at_ms: 0, what: What::Silence, whom: Whom::All, for_ms, args: Args::default() };
        self.sim.inject(fault);
        tokio::time::sleep(Duration::from_millis(for_ms)).await;
    }

    /// A counter, its labels as written.
    pub(crate) fn count(&self, series: &str) -> u64 {
        let metrics = self.scrape();
        let value = metrics.lines().find_map(|line| line.strip_prefix(series));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {series}"))
    }

    /// Closed spans are held against history, so many of them.
    pub(crate) async fn audited(&self, spans: u64, seconds: u64) {
        let series = "trunkline_audits_total{outcome=\"done\"}";
        self.until(seconds, "closed spans to be audited", |world| world.count(series) >= spans)
            .await;
    }

    /// Every certificate that was published, in order.
    pub(crate) async fn certificates(&self) -> Vec<Certificate> {
        let topic = self.read(&self.config.kafka.certificates_topic).await;
        let rows = topic.records.iter();
        rows.filter_map(|raw| read::certificate(&raw.value, &self.config.instance)).collect()
    }

    /// Records that history gave.
    pub(crate) async fn backfilled(&self) -> Vec<EventRow> {
        self.of_origin("backfill").await
    }

    /// Records of an origin.
    pub(crate) async fn of_origin(&self, origin: &str) -> Vec<EventRow> {
        let topic = self.read(&self.config.kafka.events_topic).await;
        let rows = topic.records.iter();
        let rows = rows.filter_map(|raw| read::event(raw.partition, raw.offset, &raw.value));
        rows.filter(|row| row.origin == origin).collect()
    }
}

pub(crate) fn outcomes(gaps: &[GapRow]) -> BTreeSet<String> {
    gaps.iter().map(|gap| gap.outcome.clone().unwrap_or_else(|| "open".to_owned())).collect()
}

fn config(sim: &Running, stand: &Stand, spool: &std::path::Path) -> Config {
    let pairs = [
        ("GENESYS__REGION", "us_east_1"),
        ("GENESYS__CLIENTS__0__ID", "x"),
        ("GENESYS__CLIENTS__0__SECRET", "x"),
        ("KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("SCHEMA_REGISTRY__URL", "http://127.0.0.1:1"),
        ("PRIVACY__PRESET", "none"),
    ];
    let required =
        pairs.into_iter().map(|(key, value)| (format!("TRUNKLINE__{key}"), value.to_owned()));
    let mut config = load(None, &required.collect()).expect("a configuration");
    config.genesys.login_url = Some(sim.url());
    config.genesys.api_url = Some(sim.url());
    config.genesys.clients = vec![OAuthClient {
        id: Some("sim-client".to_owned()),
        secret: Some(Secret::new("sim-secret".to_owned())),
        ..OAuthClient::default()
    }];
    config.genesys.requests_per_minute = REQUESTS;
    config.kafka.bootstrap_servers = stand.bootstrap_servers();
    config.kafka.durability = DurabilityWord::DegradedAllowed;
    config.schema_registry.url = stand.registry_url().to_owned();
    config.admin.listen.set_port(0);
    config.spool.dir = spool.to_owned();
    config.privacy.preset = Some(Preset::None);
    config
}
