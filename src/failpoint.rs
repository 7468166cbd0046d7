//! Named places at which a test can end the process, or let something fail.
//!
//! Compiled in with the feature `failpoints` only, which a release build refuses. The environment
//! variable `FAILPOINTS` says what happens where, e.g. `spool.synced=5*off->return(kill)`: see the
//! crate `fail`. The places are listed in docs/failpoints.md.

#[cfg(feature = "failpoints")]
use std::time::Duration;

use trunkline_protocol::timings::Timings;

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("failpoints are for tests: never in a release build");

/// Reads `FAILPOINTS`; keep the result for as long as the process lives.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn arm() -> impl Sized {
    fail::FailScenario::setup()
}

/// Nothing can fail here.
#[cfg(not(feature = "failpoints"))]
pub const fn arm() {}

/// A place at which the process may be killed or a task may panic.
pub fn pass(name: &str) {
    _ = fails(name);
}

/// A place that may fail as well: whether it does. `return(kill)` ends the process at once, as SIGKILL
/// does; `return(late)` as soon as what was handed over before has had the time to arrive.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn fails(name: &str) -> bool {
    match fail::eval(name, |what| what) {
        Some(Some(what)) if what == "kill" || what == "late" => {
            if what == "late" {
                std::thread::sleep(Duration::from_millis(500));
            }
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .ok();
            true
        }
        Some(_) => true,
        None => false,
    }
}

/// Nothing fails here.
#[cfg(not(feature = "failpoints"))]
#[must_use]
pub const fn fails(_name: &str) -> bool {
    false
}

/// Those of the service; a test that kills a process again and again has no hours to wait.
#[cfg(feature = "failpoints")]
#[expect(clippy::disallowed_methods, reason = "set by a test run, no option of the product")]
#[must_use]
pub fn timings() -> Timings {
    match std::env::var("TRUNKLINE_TEST_SCALE").ok().and_then(|text| text.parse().ok()) {
        Some(scale) => Timings {
            ping_interval: Duration::from_secs(1),
            claim_cadence: Duration::from_millis(500),
            claim_fresh: Duration::from_secs(3),
            ..Timings::demo(scale)
        },
        None => Timings::default(),
    }
}

/// Those of the service.
#[cfg(not(feature = "failpoints"))]
#[must_use]
pub fn timings() -> Timings {
    Timings::default()
}
