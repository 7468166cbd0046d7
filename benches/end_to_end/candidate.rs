//! The shipped stages from the socket to the acknowledgement, with or without what makes them safe.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use trunkline::clock::Clock;
use trunkline::decode::open::Opener;
use trunkline::encode::Encoder;
use trunkline::observe::flow::Flow;
use trunkline::observe::metrics::Metrics;
use trunkline::pipeline::{self, Stages};
use trunkline::proxy::Proxies;
use trunkline::publish::{self, StageSettings, router::Router};
use trunkline::sequence;
use trunkline::session::{SessionParts, SocketOrder, Transport, run_socket};
use trunkline::supervisor::Supervisor;
use trunkline_protocol::dedupe::Window;
use trunkline_protocol::domain::{EpochId, Leg};
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::producer::STALL;
use trunkline_protocol::session::Liveness;
use trunkline_protocol::timings::Timings;

use crate::corpus::{ORG, TOPIC, policy, preset, provenance, settings};
use crate::measure::{cpu, report_with};
use crate::safety;

/// What is measured.
pub(crate) struct Order<'a> {
    pub(crate) url: &'a str,
    pub(crate) bootstrap: &'a str,
    pub(crate) count: usize,
    pub(crate) channels: u8,
    /// Folder of the spool; without one there is neither a spool nor a ledger.
    pub(crate) safe: Option<&'a Path>,
}

/// Several claims are made in the seconds that a measurement takes.
const PING: Duration = Duration::from_secs(1);

pub(crate) async fn candidate(order: Order<'_>) {
    let Order { url, bootstrap, count, channels, safe } = order;
    let clock = Clock::start();
    // a claim is made in the platform's time
    clock.server_answered(clock.mono(), clock.mono(), clock.now().wall);
    let flow = Flow::new();
    let metrics = Metrics::new(flow.clone());
    let stage = StageSettings {
        kafka: settings(bootstrap),
        events_topic: TOPIC.to_owned(),
        quarantine_topic: TOPIC.to_owned(),
        stall: STALL,
    };
    let (news, mut told) = mpsc::channel(1_024);
    let mut tasks = Supervisor::new();
    let (spool, writer) = match safe {
        Some(dir) => Some(safety::spool(dir, clock, &metrics).await).unzip(),
        None => (None, None),
    };
    if let Some(writer) = writer {
        tasks.spawn_infallible("spool", writer.run());
    }
    let sequence = sequence::Stage::new(
        clock,
        Window::default(),
        &Timings::default(),
        metrics.sequence.clone(),
    );
    let stages = Stages {
        clock,
        flush_deadline: Duration::from_secs(60),
        opener: Opener::new(ORG.to_owned(), Canonical::AsReceived),
        policy: policy(preset()),
        sequence: match &spool {
            Some(spool) => sequence.resuming(spool.journal()),
            None => sequence,
        },
        encoder: Encoder::new(1, provenance(), true),
        router: Router::new(ORG),
        max_record_bytes: 1_000_000,
        publish: publish::Stage::new(stage, clock, metrics.publish.clone()).expect("a producer"),
        news: news.clone(),
        spool,
        flow: flow.clone(),
        standby: None,
    };
    let legs: Vec<_> = (0..channels)
        .map(|ordinal| (EpochId([ordinal + 1; 16]), Leg { shard: 0, ordinal }))
        .collect();
    if safe.is_some() {
        safety::begin(&news, &legs, clock).await;
        safety::ledger(bootstrap, clock, &metrics, told, &mut tasks).await;
    } else {
        tasks.spawn_infallible("news", async move { while told.recv().await.is_some() {} });
    }
    let heard = pipeline::join(stages, 1_024, &mut tasks);
    let transport = Transport::new(None, Proxies::new(None), Duration::from_secs(15)).expect("TLS");
    let session = metrics.session.clone();
    let parts = SessionParts { clock, transport, heard, flow: flow.clone(), metrics: session };
    let liveness = Liveness::ApplicationPing { interval: PING, timeout: Duration::from_secs(30) };
    let (events, mut told) = mpsc::channel(16);
    let mut keep = Vec::new();
    for (epoch, leg) in legs {
        let url = url.to_owned();
        let order = SocketOrder { tag: 0, url, epoch, leg, joining: false, liveness };
        let (commands, receiver) = mpsc::channel(1);
        keep.push(commands);
        tokio::spawn(run_socket(order, parts.clone(), receiver, events.clone()));
    }
    drop(parts);
    told.recv().await.expect("an open socket");
    let (began, cpu_began) = (Instant::now(), cpu());
    let published = || flow.snapshot().published.iter().sum::<u64>();
    while published() < count as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    report_with(began, cpu_began, count, safety::p99_ms(&metrics.render()));
    if safe.is_some() {
        safety::assert_worked(&metrics.render());
    }
    std::process::exit(0);
}
