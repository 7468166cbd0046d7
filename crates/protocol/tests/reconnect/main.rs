//! Reconnecting, in simulated time, against the core of the simulator: ours and the classics.

#![allow(unreachable_pub, reason = "the modules are shared with an example")]

#[path = "../platform/answers.rs"]
mod answers;
mod classic;
mod direct;
mod ours;
#[path = "../platform/requests.rs"]
mod requests;
mod scenario;
mod world;

use classic::Policy;
use direct::day;
use scenario::{Who, accept_then_close, outage, scarce_dials};

#[test]
fn after_ten_minutes_of_outage_twenty_channels_are_back_in_fifteen_seconds_without_a_429() {
    for seed in 1..=10 {
        let seen = outage(Who::Ours, 600, seed);
        let back = seen.all_back_secs.expect("never back");
        assert!(back < 15.0, "seed {seed}: {back} s");
        assert_eq!(seen.rate_limited, 0, "seed {seed}");
        assert!(seen.asked_meanwhile <= 200, "seed {seed}: {} requests", seen.asked_meanwhile);
    }
}

#[test]
fn a_server_that_accepts_and_closes_a_thousand_times_is_dialled_at_a_bounded_rate() {
    let seen = accept_then_close(Who::Ours, 1_000, 1);
    // nine tenths of 300 a minute for each of two clients, dials among them
    let per_minute = 60.0 * 1_000.0 / seen.trouble_secs;
    assert!(per_minute < 200.0, "{per_minute} dials a minute");
    assert!(seen.peak_per_minute <= 540, "{}", seen.peak_per_minute);
    assert_eq!(seen.rate_limited, 0);
    assert!(seen.all_back_secs.is_some());
}

#[test]
fn the_recommended_ten_attempts_do_not_outlive_a_ten_minute_outage() {
    let seen = outage(Who::Classic(Policy::Jitter), 600, 1);
    assert_eq!((seen.all_back_secs, seen.gave_up), (None, 20));
}

#[test]
fn dialling_again_every_second_asks_thousands_of_times_in_vain() {
    let seen = outage(Who::Classic(Policy::Plain), 600, 1);
    assert!(seen.asked_meanwhile > 10_000, "{}", seen.asked_meanwhile);
}

#[test]
fn where_dials_are_scarce_a_retry_after_that_is_obeyed_leads_back_and_one_that_is_not_does_not() {
    for seed in 1..=5 {
        let seen = scarce_dials(Who::Ours, 5, seed);
        let back = seen.all_back_secs.expect("never back");
        assert!(back < 240.0, "seed {seed}: {back} s");
        assert!(seen.rate_limited < 40, "seed {seed}: {}", seen.rate_limited);
    }
    for policy in [Policy::Plain, Policy::Jitter] {
        assert_eq!(scarce_dials(Who::Classic(policy), 5, 1).all_back_secs, None, "{policy:?}");
    }
}

#[test]
fn a_direct_url_that_is_closed_every_minute_is_listened_to_without_a_second_of_silence() {
    for seed in 1..=3 {
        let seen = day(Who::Ours, 2, seed);
        assert_eq!((seen.rate_limited, seen.missed, seen.deaf_secs), (0, 0, 0.0), "{seen:?}");
        assert!(seen.dials < 2 * 80, "{seen:?}");
        let plain = day(Who::Classic(Policy::Plain), 2, seed);
        assert!(plain.missed > 60, "{plain:?}");
    }
}

#[test]
fn equal_seeds_give_equal_runs() {
    assert_eq!(outage(Who::Ours, 60, 7), outage(Who::Ours, 60, 7));
}
