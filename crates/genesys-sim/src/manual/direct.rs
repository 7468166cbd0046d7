//! Direct connections.

use crate::bench::Bench;
use crate::settings::{DirectFrames, Settings};

fn dial(bench: &mut Bench, now_ms: u64) -> Result<u64, crate::http::Answer> {
    let token = bench.token.clone();
    bench.cloud.upgrade_direct(Some(&token), now_ms)
}

#[test]
fn the_eleventh_dial_of_a_minute_is_refused_with_a_hint_unless_set() {
    for direct_retry_after in [true, false] {
        let mut bench = Bench::new(Settings { direct_retry_after, ..Settings::default() });
        for now_ms in 0..10 {
            let socket = dial(&mut bench, now_ms).unwrap();
            bench.cloud.socket_gone(socket, now_ms);
        }
        let refusal = dial(&mut bench, 20_000).unwrap_err();
        let hint = refusal.headers.iter().find(|(name, _)| *name == "Retry-After");
        assert_eq!((refusal.status, hint.is_some()), (429, direct_retry_after));
        assert!(dial(&mut bench, 60_000).is_ok());
    }
}

#[test]
fn a_direct_connection_has_no_heartbeat_and_hears_nothing_of_the_time_before() {
    let mut bench = Bench::new(Settings { direct_life_ms: 6_000_000, ..Settings::default() });
    let topic = "v2.detail.events.conversation.c.customer.start";
    bench.event(topic, 1, 0);
    let first = dial(&mut bench, 1).unwrap();
    bench.cloud.tick(3_000_000);
    assert!(bench.outputs().is_empty(), "neither an event nor a heartbeat");
    bench.event(topic, 2, 3_000_001);
    bench.cloud.socket_gone(first, 3_000_002);
    bench.event(topic, 3, 3_000_003);
    dial(&mut bench, 3_000_004).unwrap();
    assert_eq!(bench.outputs(), [format!("{first} event 2")]);
}

#[test]
fn maintenance_of_a_direct_connection_comes_without_a_warning_unless_asked_for() {
    let mut bench = Bench::new(Settings::default());
    let first = dial(&mut bench, 0).unwrap();
    bench.fault(r#"{"what":"socket_closing","for_ms":10}"#, 1);
    bench.cloud.tick(11);
    assert_eq!(bench.outputs(), [format!("{first} close 1001 maintenance")]);
    let second = dial(&mut bench, 20).unwrap();
    bench.fault(r#"{"what":"socket_closing","for_ms":10,"args":{"notice":true}}"#, 21);
    assert_eq!(bench.outputs(), [format!("{second} v2.system.socket_closing")]);
}

#[test]
fn a_direct_connection_closes_with_the_code_that_is_set_and_carries_bare_events_if_asked() {
    let mut bench = Bench::new(Settings {
        direct_close_code: 1006,
        direct_life_ms: 1_200,
        direct_frames: DirectFrames::Bare,
        ..Settings::default()
    });
    let socket = dial(&mut bench, 0).unwrap();
    let topic = "v2.detail.events.conversation.c.customer.start";
    bench.event(topic, 1, 1);
    assert_eq!(bench.texts(), [r#"{"n":1}"#]);
    bench.cloud.tick(1_400);
    assert_eq!(bench.outputs(), [format!("{socket} reset")]);
}
