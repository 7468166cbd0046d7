//! What goes wrong in a world, and how often: each seed draws its own mix.

use std::collections::BTreeMap;

use genesys_sim::faults::{Args, Fault, What, Whom};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A fault that is to happen.
#[derive(Clone, Debug)]
pub struct Planned {
    pub at_ms: u64,
    pub name: &'static str,
    pub hit: Hit,
}

#[derive(Clone, Debug)]
pub enum Hit {
    /// Of the platform.
    Platform(Fault),
    /// Of the process with this number: killed, and started again after so long.
    Crash { who: usize, for_ms: u64 },
    /// All processes at once.
    CrashAll { for_ms: u64 },
    /// Stopped and let go.
    Freeze { who: usize, for_ms: u64 },
    /// An orderly restart.
    Restart { who: usize },
    /// Kafka takes nothing.
    Broker { for_ms: u64 },
    /// The registry does not answer: events are not taken, facts are.
    Registry { for_ms: u64 },
    /// The disk takes nothing.
    Disk { who: usize, for_ms: u64 },
    /// The producer is past help.
    Producer { who: usize },
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
pub const DAY: u64 = 24 * 60 * MINUTE;

/// A kind of trouble: name, times a day, and what it is.
type Kind = (&'static str, f64, fn(&mut StdRng, usize) -> Hit);

const KINDS: [Kind; 26] = [
    ("reset", 4.0, |rng, _| platform(rng, What::Reset, 0, Args::default())),
    ("close", 2.0, |rng, _| {
        let code = [1000, 1001, 1006, 1011, 1012][rng.random_range(0..5)];
        platform(rng, What::Close, 0, Args { code: Some(code), ..Args::default() })
    }),
    ("idle_close", 1.0, |rng, _| platform(rng, What::IdleClose, 0, Args::default())),
    ("half_open", 1.0, |rng, _| platform(rng, What::HalfOpen, 0, Args::default())),
    ("closing_notice", 1.0, |rng, _| platform(rng, What::SocketClosing, 0, Args::default())),
    ("closing_without_notice", 0.3, |rng, _| {
        platform(rng, What::SocketClosing, 0, Args { notice: Some(false), ..Args::default() })
    }),
    ("accept_close", 0.3, |rng, _| {
        let count = Some(rng.random_range(1..12));
        platform(rng, What::AcceptClose, 0, Args { count, ..Args::default() })
    }),
    ("silence", 0.5, |rng, _| {
        let for_ms = rng.random_range(10..600) * SECOND;
        let fault =
            Fault { at_ms: 0, what: What::Silence, whom: one(rng), for_ms, args: Args::default() };
        Hit::Platform(fault)
    }),
    ("lost_pong", 1.0, |rng, _| {
        let count = Some(rng.random_range(1..4));
        platform(rng, What::LostPong, 0, Args { count, ..Args::default() })
    }),
    ("late_pong", 0.5, |rng, _| {
        let delay_ms = Some(rng.random_range(1..30) * SECOND);
        platform(rng, What::LostPong, 0, Args { delay_ms, ..Args::default() })
    }),
    ("storm_429", 0.5, |rng, _| {
        let retry_after = ["0", "1", "30", "120", "soon"][rng.random_range(0..5)];
        let args = Args {
            status: Some(429),
            retry_after: Some(retry_after.to_owned()),
            ..Args::default()
        };
        let for_ms = rng.random_range(5..300) * SECOND;
        platform(rng, What::HttpStatus, for_ms, args)
    }),
    ("http_error", 0.5, |rng, _| {
        let status = [0, 500, 502, 503, 504][rng.random_range(0..5)];
        let for_ms = rng.random_range(5..600) * SECOND;
        platform(rng, What::HttpStatus, for_ms, Args { status: Some(status), ..Args::default() })
    }),
    ("token_host_down", 0.2, |rng, _| {
        let args =
            Args { status: Some(503), path: Some("/oauth/token".to_owned()), ..Args::default() };
        let for_ms = rng.random_range(1..20) * MINUTE;
        platform(rng, What::HttpStatus, for_ms, args)
    }),
    ("revoke", 0.2, |rng, _| platform(rng, What::Revoke, 0, Args::default())),
    ("evict", 0.3, |rng, _| platform(rng, What::Evict, 0, Args::default())),
    ("expire", 0.3, |rng, _| platform(rng, What::Expire, 0, Args::default())),
    ("outage", 0.5, |rng, _| {
        let for_ms = rng.random_range(2..900) * SECOND;
        platform(rng, What::Outage, for_ms, Args::default())
    }),
    ("long_outage", 0.03, |rng, _| {
        let for_ms = rng.random_range(1..240) * MINUTE;
        platform(rng, What::Outage, for_ms, Args::default())
    }),
    ("crash", 1.0, |rng, nodes| Hit::Crash {
        who: rng.random_range(0..nodes),
        for_ms: rng.random_range(1..60) * SECOND,
    }),
    ("crash_all", 0.2, |rng, _| Hit::CrashAll { for_ms: rng.random_range(1..600) * SECOND }),
    ("freeze", 0.2, |rng, nodes| Hit::Freeze {
        who: rng.random_range(0..nodes),
        for_ms: rng.random_range(1..300) * SECOND,
    }),
    ("restart", 0.5, |rng, nodes| Hit::Restart { who: rng.random_range(0..nodes) }),
    ("broker_down", 0.3, |rng, _| {
        let minutes = if rng.random_bool(0.1) { 360 } else { 10 };
        Hit::Broker { for_ms: rng.random_range(SECOND..minutes * MINUTE) }
    }),
    ("registry_down", 0.4, |rng, _| Hit::Registry {
        for_ms: rng.random_range(SECOND..30 * MINUTE),
    }),
    ("disk_full", 0.1, |rng, nodes| Hit::Disk {
        who: rng.random_range(0..nodes),
        for_ms: rng.random_range(SECOND..30 * MINUTE),
    }),
    ("producer_lost", 0.3, |rng, nodes| Hit::Producer { who: rng.random_range(0..nodes) }),
];

/// Names of every kind.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(name, ..)| *name)
}

fn one(rng: &mut StdRng) -> Whom {
    if rng.random_bool(0.5) { Whom::Oldest } else { Whom::Newest }
}

fn platform(rng: &mut StdRng, what: What, for_ms: u64, args: Args) -> Hit {
    let whom = match rng.random_range(0..20) {
        0 => Whom::All,
        1..=10 => Whom::Oldest,
        _ => Whom::Newest,
    };
    Hit::Platform(Fault { at_ms: 0, what, whom, for_ms, args })
}

/// The faults of a world of so many days, in order. Each kind is off, rare, usual or frequent.
pub fn draw(seed: u64, days: u64, nodes: usize) -> Vec<Planned> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0xfa17);
    let mut all = Vec::new();
    for (name, a_day, make) in KINDS {
        let mix = [0.0, 0.3, 1.0, 1.0, 3.0][rng.random_range(0..5)];
        let expected = a_day * days as f64 * mix;
        let mut count = expected.trunc() as usize;
        count += usize::from(rng.random_bool(expected.fract()));
        for _ in 0..count {
            let at_ms = rng.random_range(10 * MINUTE..days * DAY - 30 * MINUTE);
            all.push(Planned { at_ms, name, hit: make(&mut rng, nodes) });
        }
    }
    // troubles seldom come alone
    let times: Vec<u64> = all.iter().map(|planned| planned.at_ms).collect();
    for planned in &mut all {
        if !times.is_empty() && rng.random_bool(0.3) {
            let near = times[rng.random_range(0..times.len())];
            planned.at_ms = near + rng.random_range(0..40 * SECOND);
        }
    }
    // and nothing is worse than to die while what was heard cannot be written
    let outages: Vec<(u64, u64)> = all
        .iter()
        .filter_map(|planned| match &planned.hit {
            Hit::Broker { for_ms } | Hit::Registry { for_ms } => Some((planned.at_ms, *for_ms)),
            Hit::Platform(_)
            | Hit::Crash { .. }
            | Hit::CrashAll { .. }
            | Hit::Freeze { .. }
            | Hit::Restart { .. }
            | Hit::Disk { .. }
            | Hit::Producer { .. } => None,
        })
        .collect();
    for planned in &mut all {
        let dies = matches!(planned.hit, Hit::Crash { .. } | Hit::CrashAll { .. });
        if dies && !outages.is_empty() && rng.random_bool(0.5) {
            let (at_ms, for_ms) = outages[rng.random_range(0..outages.len())];
            planned.at_ms = at_ms + rng.random_range(0..for_ms);
        }
    }
    all.sort_by_key(|planned| planned.at_ms);
    all
}

/// How many of each kind.
pub fn count(faults: &[Planned]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    faults.iter().for_each(|planned| *counts.entry(planned.name).or_default() += 1);
    counts
}
