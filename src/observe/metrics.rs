//! One struct per stage with methods that say what happened, on a registry that is handed in.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::local::LocalHistogram;
use prometheus::{
    CounterVec, Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec,
    Opts, Registry, TextEncoder,
};
use trunkline_protocol::audit::Check;
use trunkline_protocol::certificate::Level;
use trunkline_protocol::domain::{
    EndReason, GapCause, Leg, Outcome, RejectReason, TopicClass, Wall,
};
use trunkline_protocol::gate::Endpoint;
use trunkline_protocol::ledger::Source;
use trunkline_protocol::producer::RebuildCause;
use trunkline_protocol::slo::Certain;

use super::flow::Flow;
use super::names::{self, Metric};
use super::status::Conflict;

/// Why what is written is not what runs.
const STALE: [&str; 2] = ["refused", "restart"];

/// Everything that is counted.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    flow: Flow,
    ready: GaugeVec,
    conflict: GaugeVec,
    stale: GaugeVec,
    actions: IntCounterVec,
    /// Of sockets.
    pub session: SessionMetrics,
    /// Of channels, tokens and requests.
    pub control: ControlMetrics,
    /// Of duplicates and splices.
    pub sequence: SequenceMetrics,
    /// Of the broker.
    pub publish: PublishMetrics,
    /// Of what topics stand on.
    pub ground: GroundMetrics,
    /// Of the disk.
    pub spool: SpoolMetrics,
    /// Of what other replicas write.
    pub standby: StandbyMetrics,
    /// Of the sink behind the topics.
    pub staging: StagingMetrics,
    /// Of the queue that EventBridge feeds.
    pub queue: QueueMetrics,
    /// Of the broker, where history is written; shown nowhere, lest it hide the journey's.
    pub backfill: PublishMetrics,
    /// Of coverage and its gaps.
    pub proof: ProofMetrics,
    /// Of service levels.
    pub slo: SloMetrics,
}

impl Metrics {
    /// Registers everything at 0.
    #[must_use]
    pub fn new(flow: Flow) -> Self {
        let registry = Registry::new();
        let make = Make(&registry);
        let conflict = make.gauges(names::CONFLICT);
        Conflict::ALL.iter().for_each(|kind| drop(conflict.with_label_values(&[kind.as_str()])));
        let stale = make.gauges(names::CONFIG_STALE);
        STALE.iter().for_each(|why| drop(stale.with_label_values(&[why])));
        let actions = make.counters(names::ADMIN_ACTIONS);
        let outcomes = ["ordered", "refused"];
        outcomes.iter().for_each(|outcome| drop(actions.with_label_values(&["rotate", outcome])));
        let slo = SloMetrics::new(&make);
        make.gauges(names::BUILD_INFO).with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        Self {
            ready: make.gauges(names::READY),
            conflict,
            stale,
            actions,
            session: SessionMetrics::new(&make),
            control: ControlMetrics::new(&make),
            sequence: SequenceMetrics::new(&make),
            publish: PublishMetrics::new(&make, slo.clone()),
            ground: GroundMetrics::new(&make),
            spool: SpoolMetrics::new(&make),
            standby: StandbyMetrics::new(&make),
            staging: StagingMetrics::new(&make),
            queue: QueueMetrics::new(&make),
            backfill: {
                let nowhere = Registry::new();
                let make = Make(&nowhere);
                PublishMetrics::new(&make, SloMetrics::new(&make))
            },
            proof: ProofMetrics::new(&make),
            slo,
            registry,
            flow,
        }
    }

    /// A check of readiness passed or failed.
    pub fn ready(&self, check: &str, ok: bool) {
        self.ready.with_label_values(&[check]).set(f64::from(u8::from(ok)));
    }

    /// Another process has what is this one's alone, or does not any more.
    pub fn conflict(&self, kind: Conflict, is_there: bool) {
        self.conflict.with_label_values(&[kind.as_str()]).set(f64::from(u8::from(is_there)));
    }

    /// An action was asked of the admin server.
    pub fn action(&self, action: &str, outcome: &str) {
        self.actions.with_label_values(&[action, outcome]).inc();
    }

    /// The configuration on disk is refused, or waits for a restart.
    pub fn configured(&self, refused: bool, waits: bool) {
        for (why, is_so) in STALE.iter().zip([refused, waits]) {
            self.stale.with_label_values(&[why]).set(f64::from(u8::from(is_so)));
        }
    }

    /// Everything as text; the flow counters belong to one instant.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        // writing to memory fails only for a metric family without metrics, which is none of ours
        TextEncoder::new().encode(&self.registry.gather(), &mut text).ok();
        let mut text = String::from_utf8(text).unwrap_or_default();
        self.render_flow(&mut text);
        text
    }

    fn render_flow(&self, text: &mut String) {
        let seen = self.flow.snapshot();
        let mut family = |metric: Metric, values: &[(&str, u64)]| {
            let kind = if metric.kind == names::Kind::Gauge { "gauge" } else { "counter" };
            let name = metric.name;
            write!(text, "# HELP {name} {}\n# TYPE {name} {kind}\n", metric.help).ok();
            for (value, count) in values {
                match metric.labels.first() {
                    Some(label) => writeln!(text, "{name}{{{label}=\"{value}\"}} {count}").ok(),
                    None => writeln!(text, "{name} {count}").ok(),
                };
            }
        };
        let class = |counts: [u64; TopicClass::ALL.len()]| {
            TopicClass::ALL.map(|class| (class.as_str(), counts[class.index()]))
        };
        family(names::EVENTS_RECEIVED, &class(seen.received));
        family(names::EVENTS_PUBLISHED, &class(seen.published));
        family(names::EVENTS_DEDUPLICATED, &[("", seen.deduplicated)]);
        let reasons: Vec<(&str, u64)> =
            RejectReason::ALL.iter().map(|r| (r.as_str(), seen.quarantined[*r as usize])).collect();
        family(names::EVENTS_QUARANTINED, &reasons);
        family(names::EVENTS_IN_FLIGHT, &[("", seen.in_flight)]);
    }

    /// The counters of events, for reports.
    #[must_use]
    pub fn flow(&self) -> &Flow {
        &self.flow
    }
}

struct Make<'a>(&'a Registry);

impl Make<'_> {
    fn register<T: Collector + Clone + 'static>(&self, collector: T) -> T {
        self.0.register(Box::new(collector.clone())).expect("each name is registered once");
        collector
    }

    fn opts(metric: Metric) -> Opts {
        Opts::new(metric.name, metric.help)
    }

    fn counter(&self, metric: Metric) -> IntCounter {
        self.register(IntCounter::with_opts(Self::opts(metric)).expect("names are legal"))
    }

    fn counters(&self, metric: Metric) -> IntCounterVec {
        let made = IntCounterVec::new(Self::opts(metric), metric.labels);
        self.register(made.expect("names are legal"))
    }

    fn amounts(&self, metric: Metric) -> CounterVec {
        let made = CounterVec::new(Self::opts(metric), metric.labels);
        self.register(made.expect("names are legal"))
    }

    fn gauge(&self, metric: Metric) -> Gauge {
        self.register(Gauge::with_opts(Self::opts(metric)).expect("names are legal"))
    }

    fn gauges(&self, metric: Metric) -> GaugeVec {
        let made = GaugeVec::new(Self::opts(metric), metric.labels);
        self.register(made.expect("names are legal"))
    }

    fn histogram(&self, metric: Metric) -> Histogram {
        let opts = HistogramOpts::new(metric.name, metric.help).buckets(names::SECONDS.to_vec());
        self.register(Histogram::with_opts(opts).expect("names are legal"))
    }
}

fn seconds(wall: Wall) -> f64 {
    wall.0 as f64 / 1000.0
}

fn place(leg: Leg) -> [String; 2] {
    [leg.shard.to_string(), leg.ordinal.to_string()]
}

/// Of sockets.
#[derive(Clone)]
pub struct SessionMetrics {
    last_frame: GaugeVec,
    last_pong: GaugeVec,
    rtt: Histogram,
}

impl SessionMetrics {
    fn new(make: &Make<'_>) -> Self {
        Self {
            last_frame: make.gauges(names::WS_LAST_FRAME),
            last_pong: make.gauges(names::WS_LAST_PONG),
            rtt: make.histogram(names::WS_PING_RTT),
        }
    }

    /// The gauge of a leg's last event: looked up once per socket, set for every event.
    #[must_use]
    pub fn last_frame(&self, leg: Leg) -> LastFrame {
        LastFrame(self.last_frame.with_label_values(&place(leg)))
    }

    /// A pong arrived.
    pub fn pong(&self, leg: Leg, rtt: Duration, at: Wall) {
        self.last_pong.with_label_values(&place(leg)).set(seconds(at));
        self.rtt.observe(rtt.as_secs_f64());
    }
}

/// When a leg last heard an event.
pub struct LastFrame(Gauge);

impl LastFrame {
    /// An event was heard.
    pub fn heard(&self, at: Wall) {
        self.0.set(seconds(at));
    }
}

/// Of channels, tokens and requests.
#[derive(Clone)]
pub struct ControlMetrics {
    connects: IntCounter,
    disconnects: IntCounterVec,
    refused: IntCounterVec,
    reconnect: Histogram,
    epoch_start: GaugeVec,
    live: GaugeVec,
    lacking: Gauge,
    subscriptions: GaugeVec,
    requests: IntCounterVec,
    rate_limited: IntCounterVec,
    budget: GaugeVec,
    renewals: IntCounterVec,
    expiry: GaugeVec,
}

impl ControlMetrics {
    fn new(make: &Make<'_>) -> Self {
        let made = Self {
            connects: make.counter(names::WS_CONNECTS),
            disconnects: make.counters(names::WS_DISCONNECTS),
            refused: make.counters(names::WS_REFUSED),
            reconnect: make.histogram(names::WS_RECONNECT),
            epoch_start: make.gauges(names::EPOCH_START),
            live: make.gauges(names::SHARD_LIVE),
            lacking: make.gauge(names::CHANNELS_LACKING),
            subscriptions: make.gauges(names::SUBSCRIPTIONS),
            requests: make.counters(names::API_REQUESTS),
            rate_limited: make.counters(names::API_RATE_LIMITED),
            budget: make.gauges(names::API_BUDGET),
            renewals: make.counters(names::OAUTH_RENEWALS),
            expiry: make.gauges(names::OAUTH_EXPIRY),
        };
        EndReason::ALL.iter().for_each(|r| drop(made.disconnects.with_label_values(&[r.as_str()])));
        Endpoint::ALL.iter().for_each(|e| drop(made.rate_limited.with_label_values(&[e.as_str()])));
        ["none", "401", "403", "404", "429", "5xx", "other"]
            .iter()
            .for_each(|status| drop(made.refused.with_label_values(&[*status])));
        ["ok", "failed"].iter().for_each(|o| drop(made.renewals.with_label_values(&[*o])));
        ["wanted", "permitted", "refused"]
            .iter()
            .for_each(|state| drop(made.subscriptions.with_label_values(&[*state])));
        made
    }

    /// A socket opened.
    pub fn connected(&self) {
        self.connects.inc();
    }

    /// A socket ended.
    pub fn ended(&self, reason: EndReason) {
        self.disconnects.with_label_values(&[reason.as_str()]).inc();
    }

    /// A dial ended without a socket.
    pub fn refused(&self, status: Option<u16>) {
        let label = match status {
            None => "none",
            Some(401) => "401",
            Some(403) => "403",
            Some(404) => "404",
            Some(429) => "429",
            Some(500..=599) => "5xx",
            Some(_) => "other",
        };
        self.refused.with_label_values(&[label]).inc();
    }

    /// A leg is live again so long after its socket ended.
    pub fn reconnected_after(&self, gap: Duration) {
        self.reconnect.observe(gap.as_secs_f64());
    }

    /// A leg's coverage began, or is none.
    pub fn epoch(&self, leg: Leg, since: Option<Wall>) {
        self.epoch_start.with_label_values(&place(leg)).set(since.map_or(0.0, seconds));
    }

    /// So many channels of a shard are live.
    pub fn live_channels(&self, shard: u16, count: usize) {
        self.live.with_label_values(&[&shard.to_string()]).set(count as f64);
    }

    /// So many channels have no room.
    pub fn lacking(&self, channels: usize) {
        self.lacking.set(channels as f64);
    }

    /// Topics by state.
    pub fn subscriptions(&self, wanted: usize, refused: usize) {
        let set =
            |state: &str, n: usize| self.subscriptions.with_label_values(&[state]).set(n as f64);
        set("wanted", wanted);
        set("refused", refused);
        set("permitted", wanted.saturating_sub(refused));
    }

    /// A request was answered; `code` is the status or a word for there being none.
    pub fn api_request(&self, endpoint: Endpoint, code: &str) {
        self.requests.with_label_values(&[endpoint.as_str(), code]).inc();
        if code == "429" {
            self.rate_limited.with_label_values(&[endpoint.as_str()]).inc();
        }
    }

    /// 429 answers so far.
    #[must_use]
    pub fn rate_limited(&self) -> u64 {
        Endpoint::ALL.iter().map(|e| self.rate_limited.with_label_values(&[e.as_str()]).get()).sum()
    }

    /// So many requests could be sent at once.
    pub fn budget_remaining(&self, client: usize, remaining: f64) {
        self.budget.with_label_values(&[&client.to_string()]).set(remaining);
    }

    /// What [`Self::budget_remaining`] was told last.
    #[must_use]
    pub fn budget(&self, client: usize) -> f64 {
        self.budget.with_label_values(&[&client.to_string()]).get()
    }

    /// A token was asked for.
    pub fn token_renewed(&self, ok: bool) {
        self.renewals.with_label_values(&[if ok { "ok" } else { "failed" }]).inc();
    }

    /// Tokens granted so far.
    #[must_use]
    pub fn tokens_granted(&self) -> u64 {
        self.renewals.with_label_values(&["ok"]).get()
    }

    /// When a client's token ends.
    pub fn token_expires(&self, client: usize, at: Wall) {
        self.expiry.with_label_values(&[&client.to_string()]).set(seconds(at));
    }
}

/// Of what topics stand on.
#[derive(Clone)]
pub struct GroundMetrics {
    missing: GaugeVec,
    changes: IntCounterVec,
}

impl GroundMetrics {
    fn new(make: &Make<'_>) -> Self {
        let made = Self {
            missing: make.gauges(names::TOPIC_MISSING),
            changes: make.counters(names::GROUND_CHANGES),
        };
        for change in ["cluster", "partitions", "gone", "back", "anew"] {
            drop(made.changes.with_label_values(&[change]));
        }
        made
    }

    /// Whether a topic does not exist.
    pub fn missing(&self, topic: &str, is_missing: bool) {
        self.missing.with_label_values(&[topic]).set(f64::from(u8::from(is_missing)));
    }

    /// Something was found otherwise.
    pub fn changed(&self, change: &str) {
        self.changes.with_label_values(&[change]).inc();
    }
}

/// Of duplicates and splices.
#[derive(Clone)]
pub struct SequenceMetrics {
    window: Gauge,
    evicted: IntCounter,
    held: Gauge,
    doubts: IntCounterVec,
}

impl SequenceMetrics {
    fn new(make: &Make<'_>) -> Self {
        Self {
            window: make.gauge(names::DEDUPE_WINDOW),
            evicted: make.counter(names::DEDUPE_EVICTED),
            held: make.gauge(names::SPLICE_HELD),
            doubts: Self::doubts(make),
        }
    }

    fn doubts(make: &Make<'_>) -> IntCounterVec {
        let doubts = make.counters(names::DOUBTS);
        for check in [Check::CrossChannel, Check::Canary] {
            drop(doubts.with_label_values(&[check.as_str()]));
        }
        doubts
    }

    /// A coverage was taken back.
    pub fn doubted(&self, check: &str) {
        self.doubts.with_label_values(&[check]).inc();
    }

    /// So many ids are remembered.
    pub fn window_events(&self, count: usize) {
        self.window.set(count as f64);
    }

    /// A generation was forgotten before its time.
    pub fn evicted_generation(&self) {
        self.evicted.inc();
    }

    /// So many events wait for the splice.
    pub fn held(&self, count: usize) {
        self.held.set(count as f64);
    }
}

/// Of the broker.
#[derive(Clone)]
pub struct PublishMetrics {
    latency: Histogram,
    lag: Histogram,
    errors: IntCounterVec,
    rebuilds: IntCounterVec,
    oldest: Gauge,
    degraded: Gauge,
    slo: SloMetrics,
}

impl PublishMetrics {
    fn new(make: &Make<'_>, slo: SloMetrics) -> Self {
        let made = Self {
            latency: make.histogram(names::PUBLISH_LATENCY),
            lag: make.histogram(names::EVENT_LAG),
            errors: make.counters(names::PRODUCE_ERRORS),
            rebuilds: make.counters(names::PRODUCER_REBUILDS),
            oldest: make.gauge(names::OLDEST_UNACKED),
            degraded: make.gauge(names::DURABILITY_DEGRADED),
            slo,
        };
        ["retriable", "refused", "fatal"]
            .iter()
            .for_each(|class| drop(made.errors.with_label_values(&[*class])));
        RebuildCause::ALL.iter().for_each(|c| drop(made.rebuilds.with_label_values(&[c.as_str()])));
        made
    }

    /// Where acknowledgements are counted before a round of them is shown.
    #[must_use]
    pub fn acks(&self) -> Acks {
        let (latency, lag, slo) = (self.latency.local(), self.lag.local(), self.slo.clone());
        Acks { latency, lag, slo, all: 0, fresh: 0 }
    }

    /// A delivery failed.
    pub fn produce_error(&self, class: &'static str) {
        self.errors.with_label_values(&[class]).inc();
    }

    /// A producer was replaced.
    pub fn rebuilt(&self, cause: &'static str) {
        self.rebuilds.with_label_values(&[cause]).inc();
    }

    /// When the oldest un-acked event was heard.
    pub fn oldest_unacked(&self, at: Option<Wall>) {
        self.oldest.set(at.map_or(0.0, seconds));
    }

    /// What [`Self::oldest_unacked`] was told last.
    #[must_use]
    pub fn oldest_unacked_at(&self) -> Option<Wall> {
        Some(self.oldest.get()).filter(|at| *at > 0.0).map(|at| Wall((at * 1000.0) as i64))
    }

    /// Whether a topic is weaker than promised.
    pub fn durability_degraded(&self, degraded: bool) {
        self.degraded.set(f64::from(u8::from(degraded)));
    }
}

/// Acknowledgements of one round.
#[derive(Debug)]
pub struct Acks {
    latency: LocalHistogram,
    lag: LocalHistogram,
    slo: SloMetrics,
    all: u32,
    fresh: u32,
}

impl Acks {
    /// A record was acknowledged.
    pub fn observe(&mut self, latency: Duration, lag: Option<Duration>) {
        self.latency.observe(latency.as_secs_f64());
        if let Some(lag) = lag {
            self.lag.observe(lag.as_secs_f64());
        }
        self.all += 1;
        // what does not say when it happened is as old as its reading
        self.fresh += u32::from(lag.unwrap_or(latency) <= FRESH);
    }

    /// Shows them.
    pub fn flush(&mut self) {
        self.latency.flush();
        self.lag.flush();
        self.slo.add("freshness", std::mem::take(&mut self.all), std::mem::take(&mut self.fresh));
    }
}

/// A record that is acknowledged so long after its own time is fresh.
const FRESH: Duration = Duration::from_secs(10);

/// Of service levels.
#[derive(Clone, Debug)]
pub struct SloMetrics {
    events: CounterVec,
    good: CounterVec,
}

impl SloMetrics {
    fn new(make: &Make<'_>) -> Self {
        let made =
            Self { events: make.amounts(names::SLO_EVENTS), good: make.amounts(names::SLO_GOOD) };
        ["freshness", "coverage", "gap_closed"].iter().for_each(|slo| made.add(slo, 0, 0));
        made
    }

    fn add(&self, slo: &str, events: impl Into<f64>, good: impl Into<f64>) {
        self.events.with_label_values(&[slo]).inc_by(events.into());
        self.good.with_label_values(&[slo]).inc_by(good.into());
    }

    /// Time of a shard became certain.
    pub fn certain(&self, certain: &Certain) {
        let [wanted, live] = [certain.wanted, certain.live].map(|span| span.as_secs_f64());
        let [closed, repaired] = [certain.closed, certain.repaired].map(|span| span.as_secs_f64());
        self.add("coverage", wanted, live);
        self.add("gap_closed", closed, repaired);
    }
}

/// Of the disk.
#[derive(Clone)]
pub struct SpoolMetrics {
    bytes: Gauge,
    capacity: Gauge,
    oldest: Gauge,
    sync: Histogram,
    failed: Gauge,
    waiting: Gauge,
    replayed: IntCounter,
    read_back: IntCounter,
    damaged: IntCounter,
}

impl SpoolMetrics {
    fn new(make: &Make<'_>) -> Self {
        Self {
            bytes: make.gauge(names::SPOOL_BYTES),
            capacity: make.gauge(names::SPOOL_CAPACITY),
            oldest: make.gauge(names::SPOOL_OLDEST),
            sync: make.histogram(names::SPOOL_SYNC),
            failed: make.gauge(names::SPOOL_FAILED),
            waiting: make.gauge(names::SPOOL_WAITING),
            replayed: make.counter(names::SPOOL_REPLAYED),
            read_back: make.counter(names::SPOOL_READ_BACK),
            damaged: make.counter(names::SPOOL_DAMAGED),
        }
    }

    /// An event was read back.
    pub fn read_back(&self) {
        self.read_back.inc();
    }

    /// Events that were read back.
    #[must_use]
    pub fn events_read_back(&self) -> u64 {
        self.read_back.get()
    }

    /// What an earlier process left.
    pub fn recovered(&self, events: u64, damaged: u64, capacity: u64) {
        self.replayed.inc_by(events);
        self.damaged.inc_by(damaged);
        self.capacity.set(capacity as f64);
    }

    /// A group is durable.
    pub fn synced(&self, took: Duration) {
        self.sync.observe(took.as_secs_f64());
    }

    /// How it stands.
    pub fn look(&self, bytes: u64, oldest: Option<Wall>, waiting: usize, failed: bool) {
        self.bytes.set(bytes as f64);
        self.oldest.set(oldest.map_or(0.0, seconds));
        self.waiting.set(waiting as f64);
        self.failed.set(f64::from(u8::from(failed)));
    }
}

/// Of what other replicas write.
#[derive(Clone)]
pub struct StandbyMetrics {
    held: Gauge,
    seen: IntCounter,
    stood_in: IntCounter,
}

impl StandbyMetrics {
    fn new(make: &Make<'_>) -> Self {
        Self {
            held: make.gauge(names::STANDBY_HELD),
            seen: make.counter(names::STANDBY_SEEN),
            stood_in: make.counter(names::STANDBY_WRITTEN),
        }
    }

    /// So many are held.
    pub fn held(&self, count: usize) {
        self.held.set(count as f64);
    }

    /// Another replica wrote an event that was held.
    pub fn seen(&self) {
        self.seen.inc();
    }

    /// An event is written in another replica's place.
    pub fn stood_in(&self) {
        self.stood_in.inc();
    }
}

/// Of the sink behind the topics; nothing where none is looked at.
#[derive(Clone)]
pub struct StagingMetrics {
    up: GaugeVec,
    checked: GaugeVec,
    records: GaugeVec,
    waited: GaugeVec,
    headroom: GaugeVec,
    lost: GaugeVec,
    letters: GaugeVec,
}

impl StagingMetrics {
    fn new(make: &Make<'_>) -> Self {
        Self {
            up: make.gauges(names::STAGING_UP),
            checked: make.gauges(names::STAGING_CHECKED),
            records: make.gauges(names::STAGING_LAG_RECORDS),
            waited: make.gauges(names::STAGING_LAG_SECONDS),
            headroom: make.gauges(names::STAGING_HEADROOM),
            lost: make.gauges(names::STAGING_LOST),
            letters: make.gauges(names::STAGING_LETTERS),
        }
    }

    /// Whether a connector and its tasks say that they run.
    pub fn up(&self, connector: &str, is_up: bool) {
        self.up.with_label_values(&[connector]).set(f64::from(u8::from(is_up)));
    }

    /// It was known how far a connector is.
    pub fn checked(&self, connector: &str, at: Wall) {
        self.checked.with_label_values(&[connector]).set(seconds(at));
    }

    /// Records of a topic that a connector has not committed, and how many it never can.
    pub fn behind(&self, connector: &str, topic: &str, records: i64, lost: i64) {
        self.records.with_label_values(&[connector, topic]).set(records as f64);
        self.lost.with_label_values(&[connector, topic]).set(lost as f64);
    }

    /// How long the oldest of them has waited, and until it may be deleted; `None` where there is no telling.
    pub fn waits(
        &self,
        connector: &str,
        topic: &str,
        waited: Option<Duration>,
        headroom: Option<Duration>,
    ) {
        for (gauge, span) in [(&self.waited, waited), (&self.headroom, headroom)] {
            match span {
                Some(span) => {
                    gauge.with_label_values(&[connector, topic]).set(span.as_secs_f64());
                }
                // fails where there was none before
                None => _ = gauge.remove_label_values(&[connector, topic]).ok(),
            }
        }
    }

    /// Dead letters of a connector so far.
    pub fn letters(&self, connector: &str, written: i64) {
        self.letters.with_label_values(&[connector]).set(written as f64);
    }
}

/// Of the queue that EventBridge feeds.
#[derive(Clone)]
pub struct QueueMetrics {
    received: IntCounter,
    redelivered: IntCounter,
    in_flight: Gauge,
    oldest: Gauge,
    deletes: IntCounterVec,
}

impl QueueMetrics {
    fn new(make: &Make<'_>) -> Self {
        let deletes = make.counters(names::QUEUE_DELETES);
        ["done", "failed"].iter().for_each(|outcome| drop(deletes.with_label_values(&[outcome])));
        Self {
            received: make.counter(names::QUEUE_RECEIVED),
            redelivered: make.counter(names::QUEUE_REDELIVERED),
            in_flight: make.gauge(names::QUEUE_IN_FLIGHT),
            oldest: make.gauge(names::QUEUE_OLDEST),
            deletes,
        }
    }

    /// A message was given, perhaps not for the first time.
    pub fn received(&self, again: bool) {
        self.received.inc();
        self.redelivered.inc_by(u64::from(again));
    }

    /// So many are held, the oldest of which was put into the queue then.
    pub fn look(&self, held: usize, oldest: Option<Wall>) {
        self.in_flight.set(held as f64);
        self.oldest.set(oldest.map_or(0.0, seconds));
    }

    /// The queue deleted a message.
    pub fn deleted(&self) {
        self.deletes.with_label_values(&["done"]).inc();
    }

    /// It did not.
    pub fn not_deleted(&self) {
        self.deletes.with_label_values(&["failed"]).inc();
    }
}

/// Of coverage and its gaps.
#[derive(Clone)]
pub struct ProofMetrics {
    watermark: GaugeVec,
    open: GaugeVec,
    gaps: IntCounterVec,
    oldest: Gauge,
    recovered: IntCounter,
    reads: IntCounterVec,
    clock_error: Gauge,
    clock_ahead: Gauge,
    violations: IntCounterVec,
    certificates: IntCounterVec,
    certified_at: Gauge,
    audits: IntCounterVec,
    audit_rows: IntCounterVec,
    audited_to: Gauge,
}

/// The rules of delivery that are watched, by their numbers in `docs/delivery.md`.
const INVARIANTS: [&str; 19] = [
    "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "I14", "I15",
    "L1", "L2", "L3", "L4",
];

impl ProofMetrics {
    fn new(make: &Make<'_>) -> Self {
        let made = Self {
            watermark: make.gauges(names::COVERAGE_WATERMARK),
            open: make.gauges(names::GAPS_OPEN),
            gaps: make.counters(names::GAPS),
            oldest: make.gauge(names::GAP_OLDEST),
            recovered: make.counter(names::GAP_RECOVERED),
            reads: make.counters(names::HISTORY_READS),
            clock_error: make.gauge(names::CLOCK_ERROR),
            clock_ahead: make.gauge(names::CLOCK_AHEAD),
            violations: make.counters(names::INVARIANT_VIOLATIONS),
            certificates: make.counters(names::CERTIFICATES),
            certified_at: make.gauge(names::CERTIFIED_AT),
            audits: make.counters(names::AUDITS),
            audit_rows: make.counters(names::AUDIT_ROWS),
            audited_to: make.gauge(names::AUDITED_TO),
        };
        for outcome in ["done", "failed", "impossible"] {
            drop(made.audits.with_label_values(&[outcome]));
        }
        for finding in ["carried", "missed", "uncovered", "rewritten"] {
            drop(made.audit_rows.with_label_values(&[finding]));
        }
        for cause in GapCause::ALL {
            let outcomes = Outcome::ALL.iter().map(|outcome| outcome.as_str());
            for outcome in outcomes.chain(["opened"]) {
                drop(made.gaps.with_label_values(&[cause.as_str(), outcome]));
            }
        }
        for source in [Source::Query, Source::Jobs] {
            for outcome in ["whole", "failed"] {
                drop(made.reads.with_label_values(&[source.as_str(), outcome]));
            }
        }
        for level in Level::ALL {
            for revision in ["first", "later"] {
                drop(made.certificates.with_label_values(&[level.as_str(), revision]));
            }
        }
        INVARIANTS.iter().for_each(|rule| drop(made.violations.with_label_values(&[*rule])));
        made
    }

    /// Everything a shard wants is proven up to here.
    pub fn watermark(&self, shard: u16, at: Wall) {
        self.watermark.with_label_values(&[shard.to_string()]).set(seconds(at));
    }

    /// A gap was recorded, or closed with this outcome.
    pub fn gap(&self, cause: GapCause, outcome: Option<Outcome>) {
        let outcome = outcome.map_or("opened", |outcome| outcome.as_str());
        self.gaps.with_label_values(&[cause.as_str(), outcome]).inc();
    }

    /// So many gaps of a shard are not closed.
    pub fn open_gaps(&self, shard: u16, count: usize) {
        self.open.with_label_values(&[shard.to_string()]).set(count as f64);
    }

    /// Start of the oldest gap that is not closed.
    pub fn oldest_gap(&self, from: Option<Wall>) {
        self.oldest.set(from.map_or(0.0, seconds));
    }

    /// History was read for a gap, and gave so many records for it.
    pub fn history_read(&self, source: Source, written: u64) {
        self.reads.with_label_values(&[source.as_str(), "whole"]).inc();
        self.recovered.inc_by(written);
    }

    /// A reading of history failed.
    pub fn history_failed(&self, source: Source) {
        self.reads.with_label_values(&[source.as_str(), "failed"]).inc();
    }

    /// A closed span was held against history, or was not.
    pub fn audited(&self, outcome: &str) {
        self.audits.with_label_values(&[outcome]).inc();
    }

    /// So many conversations of history were held against records, and this was found.
    pub fn held_against(&self, finding: &str, count: u64) {
        self.audit_rows.with_label_values(&[finding]).inc_by(count);
    }

    /// Everything that could be judged was, up to here.
    pub fn audited_to(&self, at: Wall) {
        self.audited_to.set(self.audited_to.get().max(seconds(at)));
    }

    /// How well the platform's clock is known, and how far ours is ahead of it.
    pub fn clock(&self, error: Option<Duration>, ahead_ms: i64) {
        self.clock_error.set(error.map_or(f64::INFINITY, |error| error.as_secs_f64()));
        self.clock_ahead.set(ahead_ms as f64 / 1000.0);
    }

    /// Certificates say all that was known by then.
    pub fn up_to_date(&self, at: Wall) {
        self.certified_at.set(seconds(at));
    }

    /// Certificates say all that was known by then, seconds since 1970.
    #[must_use]
    pub fn up_to_date_at(&self) -> f64 {
        self.certified_at.get()
    }

    /// A certificate was published.
    pub fn certified(&self, level: Level, revision: u32) {
        let revision = if revision == 1 { "first" } else { "later" };
        self.certificates.with_label_values(&[level.as_str(), revision]).inc();
    }

    /// A rule was found broken.
    pub fn violated(&self, rule: &str) {
        self.violations.with_label_values(&[rule]).inc();
    }
}
