//! Days in the life of the rules: every machine of the crate together, against the core of the
//! simulator, with topics, disks and everything that goes wrong, in simulated time.
//!
//! `cargo test` runs some weeks; `make sim` a thousand days and more. A world that fails is
//! run again with fewer and fewer faults, and printed with what is left of them.

#![allow(unreachable_pub, reason = "modules of one test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a run says what it saw")]
#![allow(clippy::string_slice, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "../platform/answers.rs"]
mod answers;
mod audit;
mod certify;
mod client;
mod faults;
mod kafka;
mod node;
mod oracle;
mod platform;
mod reading;
#[path = "../platform/requests.rs"]
mod requests;
mod run;
mod world;

/// Worlds are made of small things that come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use run::{Budget, many, number};
use world::{Plan, run};

#[test]
fn a_month_and_more_holds_no_silent_loss() {
    let total = many(&Budget { days: 40, secs: 90, events_a_day: 500.0 });
    total.assert_clean();
    assert!(total.days >= 8, "{} days", total.days);
}

#[test]
#[ignore = "half an hour: make sim"]
fn as_many_days_as_there_is_time_for() {
    let (days, secs) = (number("SIM_DAYS", 1_120), number("SIM_SECONDS", 3_600));
    let total = many(&Budget { days, secs, events_a_day: 13_000.0 });
    total.assert_clean();
    total.assert_complete();
}

/// A checker that cannot fail proves nothing: where coverage begins without the margin of joining, the
/// world of this seed is not clean.
#[cfg(feature = "seeded-bugs")]
#[test]
#[ignore = "some seconds: make sim"]
fn a_mistake_made_on_purpose_is_found() {
    const NO_MARGIN: &str = "6";
    let itself = std::env::current_exe().expect("a path");
    let seen = std::process::Command::new(&itself)
        .args(["as_many_days_as_there_is_time_for", "--exact", "--ignored", "--nocapture"])
        .env("TRUNKLINE_SEEDED_BUG", NO_MARGIN)
        .envs([("SIM_STOP_AT_FIRST", "1"), ("SIM_SHRINK_SECONDS", "0"), ("SIM_SEED", "16")])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&seen.stdout);
    assert!(text.contains("silent (") && !seen.status.success(), "{text}");
}

/// One world, for looking at: `SEED=7 cargo test --profile sim --test simulation one_world -- --ignored`.
#[test]
#[ignore = "for looking at one seed"]
fn one_world() {
    let days = number("SIM_DAYS", 4);
    let plan = Plan::new(number("SEED", 1), days, number("SIM_EVENTS", 13_000) as f64);
    let outcome = run(&plan);
    println!("seed {}: {days} days, trace {:016x}", plan.seed, outcome.trace);
    assert!(outcome.verdict.is_clean(), "{outcome:#?}");
}
