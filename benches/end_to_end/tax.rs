//! What safety costs: the same stages with spool and claims and without, in turn.

use crate::feed;
use crate::measure::{Figures, child, median};

const LINES: [(&str, usize, u64, usize); 3] = [
    ("saturated", 600_000, 0, 5),
    ("paced 5,000/s", 50_000, 5_000, 5),
    ("paced 1,000/s", 15_000, 1_000, 5),
];

/// Prints CPU and p99 of both at full speed and at two paces, or of the line `only`.
pub(crate) fn table(broker: &str, only: Option<&&str>) {
    println!(
        "\n| spool and claims | µs CPU an event | without | ratio | p99 ms | without | events/s | without |\n|---|---|---|---|---|---|---|---|"
    );
    for (name, count, per_sec, rounds) in LINES {
        if only.is_none_or(|only| name.contains(only)) {
            line(name, broker, count, per_sec, rounds);
        }
    }
}

fn line(name: &str, broker: &str, count: usize, per_sec: u64, rounds: usize) {
    let (url, _feeder) = feed::start(count, per_sec);
    let dir = std::env::temp_dir().join(format!("trunkline-bench-{}", std::process::id()));
    let spool = dir.to_string_lossy().into_owned();
    let (count_text, channels) = (count.to_string(), "1");
    let plain = ["candidate", &url, broker, &count_text, channels];
    let safe = ["candidate", &url, broker, &count_text, channels, &spool];
    let (mut with, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let a = child(&safe);
        std::fs::remove_dir_all(&dir).ok(); // the next one begins with an empty folder
        let b = child(&plain);
        ratios.push(a.us / b.us);
        with.push(a);
        without.push(b);
    }
    let of = |all: &[Figures], what: fn(&Figures) -> f64| median(all.iter().map(what).collect());
    println!(
        "| {name} | {:.1} | {:.1} | {:.2} | {:.1} | {:.1} | {:.0} | {:.0} |",
        of(&with, |f| f.us),
        of(&without, |f| f.us),
        median(ratios),
        of(&with, |f| f.p99),
        of(&without, |f| f.p99),
        count as f64 / of(&with, |f| f.secs),
        count as f64 / of(&without, |f| f.secs),
    );
}
