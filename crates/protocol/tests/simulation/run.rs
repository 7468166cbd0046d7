//! Many worlds: on all cores, for as long as there is time, and what is said of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::faults::{self, Planned};
use super::oracle::Verdict;
use super::world::{Outcome, Plan, run};

/// How much is simulated.
pub struct Budget {
    pub days: u64,
    pub secs: u64,
    pub events_a_day: f64,
}

/// What came of it.
#[derive(Default)]
pub struct Total {
    pub days: u64,
    worlds: u64,
    twice: u64,
    verdict: Verdict,
    faults: BTreeMap<&'static str, u64>,
    failed: Vec<(Plan, Outcome)>,
    unsteady: Vec<u64>,
    secs: f64,
}

const DAYS: u64 = 4;
/// In so many days everything has happened.
const RARE: u64 = 1_000;
/// Of so many seeds one is run twice.
const TWICE: u64 = 10;

/// A number from the environment.
#[expect(clippy::disallowed_methods, reason = "how long a run takes is no option of the product")]
pub fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Seeds that failed once are run first.
fn seeds() -> impl Iterator<Item = u64> {
    let old: Vec<u64> = include_str!("seeds.txt")
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().parse().ok())
        .collect();
    let begin = number("SIM_SEED", 1);
    old.into_iter().chain(begin..)
}

#[expect(clippy::disallowed_methods, reason = "how long it may take is no part of a world")]
pub fn many(budget: &Budget) -> Total {
    let began = Instant::now();
    let total = Mutex::new(Total::default());
    let seeds = Mutex::new(seeds());
    let started = AtomicU64::new(0);
    let first = number("SIM_STOP_AT_FIRST", 0) == 1;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while began.elapsed() < Duration::from_secs(budget.secs)
                    && started.fetch_add(DAYS, Ordering::Relaxed) < budget.days
                    && (!first || total.lock().expect("no panic").failed.is_empty())
                {
                    let seed = seeds.lock().expect("no panic").next().expect("endless");
                    let plan = Plan::new(seed, DAYS, budget.events_a_day);
                    let outcome = run(&plan);
                    let again = seed.is_multiple_of(TWICE).then(|| run(&plan).trace);
                    let mut total = total.lock().expect("no panic");
                    total.add(plan, outcome, again);
                    total.say(began.elapsed().as_secs());
                }
            });
        }
    });
    let mut total = total.into_inner().expect("no panic");
    total.secs = began.elapsed().as_secs_f64();
    total
}

impl Total {
    fn add(&mut self, plan: Plan, outcome: Outcome, again: Option<u64>) {
        self.worlds += 1;
        self.days += outcome.days;
        self.verdict.add(&outcome.verdict);
        for (name, n) in &outcome.faults {
            *self.faults.entry(name).or_default() += n;
        }
        if let Some(again) = again {
            self.twice += 1;
            self.unsteady.extend((again != outcome.trace).then_some(plan.seed));
        }
        if !outcome.verdict.is_clean() {
            self.failed.push((plan, outcome));
        }
    }

    /// Progress, where somebody looks.
    fn say(&self, secs: u64) {
        use std::io::IsTerminal as _;
        if std::io::stderr().is_terminal() {
            eprint!("\r{} days, {} events, {} s ", self.days, self.verdict.events, secs);
        }
    }

    /// The last line.
    fn line(&self) -> String {
        let v = &self.verdict;
        let faults: u64 = self.faults.values().sum();
        format!(
            "sim: {} days, {} events, {faults} faults: {} lost, {} silent, {} false certificates, \
             {} duplicates, {} inversions, {} over budget, {} stuck; {} worlds, {} run twice with \
             {} other traces; {:.1} days a second",
            self.days,
            v.events,
            v.lost,
            v.silent,
            v.false_certificates,
            v.duplicates,
            v.inversions,
            v.over_budget,
            v.stuck,
            self.worlds,
            self.twice,
            self.unsteady.len(),
            self.days as f64 / self.secs
        )
    }

    pub fn assert_clean(&self) {
        let v = &self.verdict;
        println!("sim: faults {:?}", self.faults);
        println!("sim: gaps {:?}, certificates {:?}", v.gaps, v.certificates);
        println!(
            "sim: {} durable, {} restored, {} missed on the wire, {} repeats, {} heard by nobody \
             while every ping was answered, {} that history never shows",
            v.durable, v.restored, v.missed, v.repeats, v.deaf, v.unshown
        );
        let (spans, rows) = v.audited;
        println!(
            "sim: {spans} closed spans and {rows} conversations held against history: of the {} \
             heard by nobody {} found and {} told by a later record, {} false misses",
            v.deaf, v.deaf_found, v.deaf_told, v.false_misses
        );
        println!("{}", self.line());
        for (plan, outcome) in &self.failed {
            println!(
                "sim: seed {} of {} faults: {:#?}",
                plan.seed,
                plan.faults.len(),
                outcome.verdict
            );
        }
        if let Some((plan, outcome)) = self.failed.first() {
            let (faults, outcome) = shrink(plan, outcome);
            println!("sim: seed {} fails with these faults alone: {faults:#?}", plan.seed);
            println!("sim: {:#?}", outcome.verdict);
        }
        let seeds: Vec<u64> = self.failed.iter().map(|(plan, _)| plan.seed).collect();
        assert!(seeds.is_empty(), "failing seeds, for seeds.txt: {seeds:?}");
        assert!(self.unsteady.is_empty(), "these seeds do not repeat: {:?}", self.unsteady);
        assert!(self.twice > 0 || self.worlds < TWICE, "no seed was run twice");
    }

    /// The world was what it should be: everything happened, every way out was taken.
    pub fn assert_complete(&self) {
        let least = number("SIM_LEAST_DAYS", 1_000);
        let faults: u64 = self.faults.values().sum();
        assert!(self.days >= least, "{} days: fewer than {least}", self.days);
        assert!(self.verdict.events >= least * 9_000, "{} events", self.verdict.events);
        assert!(faults >= least * 18, "{faults} faults");
        if self.days < RARE {
            return; // what is rare need not have happened yet
        }
        let missing: BTreeSet<&str> =
            faults::names().filter(|name| !self.faults.contains_key(name)).collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
        for outcome in ["covered", "reconciled", "partial", "lost_declared"] {
            assert!(self.verdict.gaps.contains_key(outcome), "no gap was closed as {outcome}");
        }
    }
}

/// The shortest list of faults found that still fails: halves first, then single ones.
#[expect(clippy::disallowed_methods, reason = "a failure is looked for as long as somebody waits")]
fn shrink(plan: &Plan, outcome: &Outcome) -> (Vec<Planned>, Outcome) {
    let (mut best, mut last) = (plan.clone(), outcome.clone());
    let mut size = (best.faults.len() / 2).max(1);
    let patience = Instant::now() + Duration::from_secs(number("SIM_SHRINK_SECONDS", 90));
    while Instant::now() < patience {
        let mut smaller = false;
        let mut at = 0;
        while at < best.faults.len() && Instant::now() < patience {
            let mut fewer = best.clone();
            fewer.faults.drain(at..(at + size).min(fewer.faults.len()));
            let seen = run(&fewer);
            if seen.verdict.is_clean() {
                at += size;
            } else {
                (best, last, smaller) = (fewer, seen, true);
            }
        }
        if size == 1 && !smaller {
            break;
        }
        size = (size / 2).max(1);
    }
    (best.faults, last)
}
