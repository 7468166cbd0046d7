//! CPU per event, from a text read off a loopback WebSocket to Kafka's acknowledgement, against
//! librdkafka alone producing the same bytes with the same headers; and what safety (spool and
//! claims) costs, against the same stages without it.
//!
//! Candidate and baseline are child processes; the parent holds the feeder and the mock broker,
//! whose time is not counted. A child counts its own user and system time between its first and
//! its last event.
#![expect(clippy::disallowed_methods, reason = "a measurement reads clocks and spawns its feeder")]
#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]

mod baseline;
mod candidate;
mod corpus;
mod feed;
mod measure;
mod safety;
mod stages;
mod tax;

use std::path::Path;

use rdkafka::mocking::MockCluster;

use candidate::Order;
use corpus::TOPIC;
use measure::{Figures, child, median};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;

/// Runs candidate and baseline in turn; prints one line; returns the median ratio.
fn compare(name: &str, broker: &str, count: usize, channels: u8, per_sec: u64) -> f64 {
    let (url, _feeder) = feed::start(count, per_sec);
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

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match words.as_slice() {
        ["candidate", url, bootstrap, count, channels, rest @ ..] => {
            let workers = std::env::var("W").ok().and_then(|w| w.parse().ok()).unwrap_or(2);
            let (count, channels) = (number(count) as usize, number(channels) as u8);
            let safe = rest.first().map(Path::new);
            let order = Order { url, bootstrap, count, channels, safe };
            feed::runtime(workers).block_on(candidate::candidate(order));
        }
        ["baseline", broker, count, per_sec] => {
            baseline::baseline(broker, number(count) as usize, number(per_sec));
        }
        ["stages"] => stages::single_stages(),
        ["tax", only @ ..] => tax::table(&broker().bootstrap_servers(), only.first()),
        _ => {
            let cluster = broker();
            let broker = cluster.bootstrap_servers();
            println!(
                "| end to end | µs CPU an event | librdkafka alone | ratio | events/s | alone | peak MiB |\n|---|---|---|---|---|---|---|"
            );
            let ratio = compare("saturated, one channel", &broker, 120_000, 1, 0);
            compare("saturated, two hot channels", &broker, 120_000, 2, 0);
            compare("paced 5,000/s, one channel", &broker, 30_000, 1, 5_000);
            compare("paced 1,000/s, one channel", &broker, 5_000, 1, 1_000);
            tax::table(&broker, None);
            stages::single_stages();
            println!("\nend to end … {ratio:.2}x librdkafka alone");
        }
    }
}

/// A broker whose time is not counted.
fn broker() -> MockCluster<'static, rdkafka::producer::DefaultProducerContext> {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    for (topic, partitions) in [(TOPIC, 6), (safety::STATE, 1), (safety::GAPS, 1)] {
        cluster.create_topic(topic, partitions, 1).expect("a topic");
    }
    cluster
}
