//! CPU per event, from a text read off a loopback WebSocket to Kafka's acknowledgement, against
//! librdkafka alone producing the same bytes with the same headers.
//!
//! Candidate and baseline are child processes; the parent holds the feeder and the mock broker,
//! whose time is not counted. A child counts its own user and system time between its first and
//! its last event.
#![expect(clippy::disallowed_methods, reason = "a measurement reads clocks and spawns its feeder")]
#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use genesys_sim::traffic::{Profile, Traffic};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use trunkline::clock::Clock;
use trunkline::decode::{body, open::Opener};
use trunkline::encode::{Encoder, Provenance};
use trunkline::kafka::Headers as _;
use trunkline::kafka::settings::KafkaSettings;
use trunkline::observe::flow::Flow;
use trunkline::observe::metrics::Metrics;
use trunkline::pipeline::{self, Stages};
use trunkline::publish::{self, StageSettings, router::Router};
use trunkline::sequence;
use trunkline::session::{SessionParts, SocketOrder, Transport, run_socket};
use trunkline::supervisor::Supervisor;
use trunkline_protocol::dedupe::{Dedupe, Window};
use trunkline_protocol::domain::{EpochId, Event, Frame, Leg, Mono, Now, WriterId};
use trunkline_protocol::envelope;
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::producer::STALL;
use trunkline_protocol::session::Liveness;
use trunkline_protocol::topic::class_of;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ORG: &str = "org";
const TOPIC: &str = "bench";
const ROUNDS: usize = 9;

/// Sizes of the notifications that are measured; the mean is 2.6 KB.
const SIZES: std::ops::Range<usize> = 2_300..2_900;

/// The same frames in every process.
fn frames(count: usize) -> Vec<String> {
    let profile = Profile { rate: 1e6, large: 0.0, ..Profile::default() };
    let mut traffic = Traffic::new(11, profile);
    let mut frames = Vec::with_capacity(count);
    while frames.len() < count {
        for notification in traffic.next(&|topic| topic.ends_with(".conversations")).notifications {
            if let Some(body) = notification.body {
                let text = format!(
                    "{{\"topicName\":\"{}\",\"version\":\"2\",\"eventBody\":{body},\"metadata\":{{\"CorrelationId\":\"3f8b6d2e-0000-4000-8000-000000000000\"}}}}",
                    notification.topic
                );
                if SIZES.contains(&text.len()) {
                    frames.push(text);
                }
            }
        }
    }
    frames.truncate(count);
    frames
}

fn frame(text: &str) -> Frame {
    let (epoch, leg) = (EpochId([1; 16]), Leg { shard: 0, ordinal: 0 });
    Frame { text: text.to_owned(), received: Now::default(), epoch, leg }
}

fn provenance() -> Provenance {
    Provenance { org_id: ORG.to_owned(), writer_id: WriterId([1; 16]) }
}

fn settings(bootstrap: &str) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers: bootstrap.to_owned(),
        in_flight_records: std::env::var("Q").ok().and_then(|w| w.parse().ok()).unwrap_or(20_000),
        ..KafkaSettings::default()
    }
}

/// User and system time of this process.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after = text.rsplit_once(')').expect("a command name").1;
    let fields: Vec<u64> = after.split_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
    Duration::from_millis((fields[11] + fields[12]) * 10)
}

/// Largest resident size of this process, MiB.
fn peak_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Microseconds of CPU per event, wall seconds, peak MiB.
#[derive(Clone, Copy)]
struct Figures {
    us: f64,
    secs: f64,
    mib: u64,
}

fn report(began: Instant, cpu_began: Duration, count: usize) {
    let us = (cpu() - cpu_began).as_secs_f64() * 1e6 / count as f64;
    println!("figures {us} {} {}", began.elapsed().as_secs_f64(), peak_mib());
}

async fn candidate(url: &str, bootstrap: &str, count: usize, channels: u8, ca: Option<&str>) {
    let clock = Clock::start();
    let flow = Flow::new();
    let metrics = Metrics::new(flow.clone());
    let stage = StageSettings {
        kafka: settings(bootstrap),
        events_topic: TOPIC.to_owned(),
        quarantine_topic: TOPIC.to_owned(),
        stall: STALL,
    };
    let (news, mut told) = mpsc::channel(1_024);
    let stages = Stages {
        clock,
        flush_deadline: Duration::from_secs(60),
        opener: Opener::new(ORG.to_owned(), Canonical::AsReceived),
        sequence: sequence::Stage::new(
            clock,
            Window::default(),
            &trunkline_protocol::timings::Timings::default(),
            metrics.sequence.clone(),
        ),
        encoder: Encoder::new(1, provenance(), true),
        router: Router::new(ORG),
        max_record_bytes: 1_000_000,
        publish: publish::Stage::new(stage, clock, metrics.publish.clone()).expect("a producer"),
        news,
        spool: None,
        flow: flow.clone(),
        standby: None,
    };
    let mut tasks = Supervisor::new();
    tasks.spawn_infallible("news", async move { while told.recv().await.is_some() {} });
    let heard = pipeline::join(stages, 1_024, &mut tasks);
    let transport =
        Transport::new(ca.map(std::path::Path::new), Duration::from_secs(15)).expect("TLS");
    let session = metrics.session.clone();
    let parts = SessionParts { clock, transport, heard, flow: flow.clone(), metrics: session };
    let second = Duration::from_secs(10);
    let liveness = Liveness::ApplicationPing { interval: second, timeout: second };
    let (events, mut told) = mpsc::channel(16);
    let mut keep = Vec::new();
    for ordinal in 0..channels {
        let order = SocketOrder {
            tag: 0,
            url: url.to_owned(),
            epoch: EpochId([ordinal; 16]),
            leg: Leg { shard: 0, ordinal },
            joining: false,
            liveness,
        };
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
    report(began, cpu_began, count);
    std::process::exit(0);
}

struct Counter(std::sync::atomic::AtomicUsize);

impl rdkafka::ClientContext for Counter {}

impl ProducerContext for Counter {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, _token: usize) {
        assert!(result.is_ok(), "a delivery failed");
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

fn baseline(bootstrap: &str, count: usize, per_sec: u64) {
    let mut opener = Opener::new(ORG.to_owned(), Canonical::AsReceived);
    let mut encoder = Encoder::new(1, provenance(), true);
    let mut router = Router::new(ORG);
    let records: Vec<_> = frames(count)
        .iter()
        .map(|text| {
            let event = opener.open(frame(text)).expect("an envelope");
            let facts = body::read(&event).expect("a body");
            let value = encoder.encode(&event, &facts, class_of).to_vec();
            let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
            router
                .headers(&event, &facts)
                .each(&mut |key, value| headers.push((key.to_owned(), value.to_vec())));
            (router.key(&event, &facts).to_vec(), value, headers)
        })
        .collect();
    let producer: ThreadedProducer<Counter> =
        settings(bootstrap).producer().create_with_context(Counter(0.into())).expect("a producer");
    let (began, cpu_began) = (Instant::now(), cpu());
    for (index, (key, value, headers)) in records.iter().enumerate() {
        if per_sec > 0 && index.is_multiple_of(32) {
            let due = Duration::from_secs_f64(index as f64 / per_sec as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        loop {
            let mut all = OwnedHeaders::new_with_capacity(headers.len());
            for (key, value) in headers {
                all = all.insert(Header { key, value: Some(value) });
            }
            let record =
                BaseRecord::with_opaque_to(TOPIC, index).key(key).payload(value).headers(all);
            if producer.send(record).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    producer.flush(Duration::from_secs(60)).expect("everything is acknowledged");
    assert_eq!(producer.context().0.load(std::sync::atomic::Ordering::Relaxed), count);
    report(began, cpu_began, count);
}

/// Sends the frames to everybody who connects, and answers pings.
async fn feed(listener: TcpListener, frames: Arc<Vec<String>>, per_sec: u64) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        stream.set_nodelay(true).ok();
        let frames = Arc::clone(&frames);
        tokio::spawn(async move {
            let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
            let (mut out, mut into) = socket.split();
            let (pongs_in, mut pongs) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Some(Ok(message)) = into.next().await {
                    if message.is_text() {
                        pongs_in.send(()).ok();
                    }
                }
            });
            let began = Instant::now();
            for (index, text) in frames.iter().enumerate() {
                if per_sec > 0 && index.is_multiple_of(32) {
                    let due = Duration::from_secs_f64(index as f64 / per_sec as f64);
                    tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
                    out.flush().await.ok();
                }
                if pongs.try_recv().is_ok() {
                    let pong = r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#;
                    out.feed(Message::text(pong)).await.ok();
                }
                if out.feed(Message::text(text.as_str())).await.is_err() {
                    return;
                }
            }
            out.flush().await.ok();
            while pongs.recv().await.is_some() {
                let pong = r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#;
                out.send(Message::text(pong)).await.ok();
            }
        });
    }
}

fn child(args: &[&str]) -> Figures {
    let me = std::env::current_exe().expect("a path");
    let out = Command::new(me).args(args).stderr(Stdio::inherit()).output().expect("a child");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stdout));
    let text = String::from_utf8(out.stdout).expect("text");
    let line = text.lines().find_map(|l| l.strip_prefix("figures ")).expect("figures");
    let mut words = line.split(' ').map(|word| word.parse::<f64>().expect("a number"));
    let mut next = || words.next().expect("three numbers");
    Figures { us: next(), secs: next(), mib: next() as u64 }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs candidate and baseline in turn; prints one line; returns the median ratio.
fn compare(name: &str, broker: &str, count: usize, channels: u8, per_sec: u64) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    runtime.spawn(feed(listener, Arc::new(frames(count)), per_sec));
    let (count_text, channels) = (count.to_string(), channels.to_string());
    let rounds = if per_sec > 0 { 1 } else { ROUNDS };
    let (mut ours, mut alone, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let a = child(&["candidate", &url, broker, &count_text, &channels]);
        let b = child(&["baseline", broker, &count_text, &per_sec.to_string()]);
        ratios.push(a.us / b.us);
        ours.push(a);
        alone.push(b);
    }
    let of = |all: &[Figures], what: fn(&Figures) -> f64| median(all.iter().map(what).collect());
    let ratio = median(ratios);
    println!(
        "| {name} | {:.1} | {:.1} | {ratio:.2} | {:.0} | {:.0} | {:.0} |",
        of(&ours, |f| f.us),
        of(&alone, |f| f.us),
        count as f64 / of(&ours, |f| f.secs),
        count as f64 / of(&alone, |f| f.secs),
        of(&ours, |f| f.mib as f64),
    );
    ratio
}

fn single_stages() {
    let texts = frames(20_000);
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("\nsingle stages, {} bytes a frame\n\n| stage | ns |\n|---|---|", bytes / texts.len());
    let time = |name: &str, work: &mut dyn FnMut(usize)| {
        let best = (0..5)
            .map(|_| {
                let began = Instant::now();
                (0..texts.len()).for_each(&mut *work);
                began.elapsed().as_nanos() / texts.len() as u128
            })
            .min();
        println!("| {name} | {} |", best.unwrap_or(0));
    };
    time("sniff", &mut |n| _ = std::hint::black_box(envelope::sniff(&texts[n])));
    let mut opener = Opener::new(ORG.to_owned(), Canonical::AsReceived);
    time("copy, envelope and identity, 64 at once", &mut |n| {
        if n.is_multiple_of(64) {
            let mut some = texts[n..].iter().take(64).map(|text| frame(text)).collect();
            drop(std::hint::black_box(opener.open_all(&mut some)));
        }
    });
    time("copy, envelope and identity, one alone", &mut |n| {
        drop(std::hint::black_box(opener.open(frame(&texts[n]))));
    });
    let events: Vec<Event> =
        texts.iter().map(|t| opener.open(frame(t)).expect("an event")).collect();
    let mut dedupe = Dedupe::new(Window::default());
    time("dedupe", &mut |n| {
        std::hint::black_box(dedupe.offer(events[n].id, n as u64, 0, Mono(1)));
    });
    time("body to facts", &mut |n| drop(std::hint::black_box(body::read(&events[n]))));
    let facts: Vec<_> = events.iter().map(|event| body::read(event).expect("facts")).collect();
    let mut encoder = Encoder::new(1, provenance(), true);
    time("facts to Avro", &mut |n| {
        std::hint::black_box(encoder.encode(&events[n], &facts[n], class_of));
    });
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match words.as_slice() {
        ["candidate", url, broker, count, channels] => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(std::env::var("W").ok().and_then(|w| w.parse().ok()).unwrap_or(2))
                .enable_all()
                .build()
                .expect("a runtime");
            let (count, channels) = (number(count) as usize, number(channels) as u8);
            runtime.block_on(candidate(url, broker, count, channels, None));
        }
        ["baseline", broker, count, per_sec] => {
            baseline(broker, number(count) as usize, number(per_sec));
        }
        ["stages"] => single_stages(),
        _ => {
            let cluster = MockCluster::new(1).expect("a mock cluster");
            cluster.create_topic(TOPIC, 6, 1).expect("a topic");
            let broker = cluster.bootstrap_servers();
            println!(
                "| end to end | µs CPU an event | librdkafka alone | ratio | events/s | alone | peak MiB |\n|---|---|---|---|---|---|---|"
            );
            let ratio = compare("saturated, one channel", &broker, 120_000, 1, 0);
            compare("saturated, two hot channels", &broker, 120_000, 2, 0);
            compare("paced 5,000/s, one channel", &broker, 30_000, 1, 5_000);
            compare("paced 1,000/s, one channel", &broker, 5_000, 1, 1_000);
            single_stages();
            println!("\nend to end … {ratio:.2}x librdkafka alone");
        }
    }
}
