//! What a child process counts of itself, and how its parent reads it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// User and system time of this process.
pub(crate) fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after = text.rsplit_once(')').expect("a command name").1;
    let fields: Vec<u64> = after.split_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
    Duration::from_millis((fields[11] + fields[12]) * 10)
}

/// Largest resident size of this process, MiB.
pub(crate) fn peak_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Microseconds of CPU per event, wall seconds, peak MiB.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) us: f64,
    pub(crate) secs: f64,
    pub(crate) mib: u64,
    /// p99 from the last byte read to the acknowledgement, milliseconds; 0 where nothing is read.
    pub(crate) p99: f64,
}

pub(crate) fn report(began: Instant, cpu_began: Duration, count: usize) {
    report_with(began, cpu_began, count, 0.0);
}

pub(crate) fn report_with(began: Instant, cpu_began: Duration, count: usize, p99: f64) {
    let us = (cpu() - cpu_began).as_secs_f64() * 1e6 / count as f64;
    println!("figures {us} {} {} {p99}", began.elapsed().as_secs_f64(), peak_mib());
}

pub(crate) fn child(args: &[&str]) -> Figures {
    let me = std::env::current_exe().expect("a path");
    let out = Command::new(me).args(args).stderr(Stdio::inherit()).output().expect("a child");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stdout));
    let text = String::from_utf8(out.stdout).expect("text");
    let line = text.lines().find_map(|l| l.strip_prefix("figures ")).expect("figures");
    let mut words = line.split(' ').map(|word| word.parse::<f64>().expect("a number"));
    let mut next = || words.next().expect("four numbers");
    Figures { us: next(), secs: next(), mib: next() as u64, p99: next() }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
