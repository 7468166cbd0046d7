//! Headers of the platform's answers, a line each: how long to hold, how much of the window is used,
//! what time it is. Nothing in them may hold us for longer than a day or tear our time apart.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use trunkline::genesys::headers;
use trunkline_protocol::backoff::{Backoff, Hint};
use trunkline_protocol::domain::{Dice, Mono};
use trunkline_protocol::server_time::ServerTime;

use super::dough::Dough;

/// Milliseconds of the years in which clocks run.
const YEARS: std::ops::Range<i64> = 0..4_102_444_800_000;
const DAY: Duration = Duration::from_secs(86_400);
const CAP: Duration = Duration::from_secs(30);
const LONGEST_LIFE: Duration = Duration::from_secs(20_000 * 366 * 86_400);

/// The first bytes say when answers came; then lines.
pub fn run(bytes: &[u8]) {
    let mut dough = Dough::new(bytes);
    let (mut now, step) = (Mono(dough.long() >> 2), dough.short() as u64);
    let mut dice = Dice::new(dough.long());
    let mut time = ServerTime::new();
    let rest = dough.bytes(bytes.len());
    let mut map = HeaderMap::new();
    for line in rest.split(|byte| *byte == b'\n') {
        let sent = now;
        now = Mono(now.0.saturating_add(step << 24).min(u64::MAX >> 2));
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        else {
            continue;
        };
        map.insert(name, value);
        hold(headers::hint(&map), &mut dice);
        answered(&map, &mut time, sent, now);
    }
    back_off(&mut dice);
}

fn hold(hint: Hint, dice: &mut Dice) {
    let held = hint.hold(Duration::from_secs(5), dice);
    match hint {
        Hint::Wait(wait) => assert!(wait <= DAY && wait <= held, "{hint:?} {held:?}"),
        Hint::None => assert!(held >= Duration::from_secs(15), "{held:?}"),
    }
    assert!(held <= DAY + Duration::from_secs(5), "{held:?}");
}

fn answered(map: &HeaderMap, time: &mut ServerTime, sent: Mono, received: Mono) {
    _ = headers::window(map);
    let expires = map.get("expires").and_then(|value| value.to_str().ok());
    let date = headers::date(map);
    let life = expires.and_then(|expires| headers::life(expires.trim(), date));
    assert!(life.is_none_or(|life| life <= LONGEST_LIFE), "{life:?}");
    let Some(at) = date.and_then(headers::instant) else { return };
    let steps = time.steps();
    let stepped = time.sample(sent, received, at);
    assert_eq!(time.steps(), steps + u64::from(stepped));
    let Some(read) = time.read(received) else { return };
    assert!(read.earliest <= read.middle() && read.middle() <= read.latest, "{read:?}");
    if !YEARS.contains(&at.0) {
        return; // a year that no clock shows
    }
    // it was written after the request and before the answer
    let end = at.plus(received.since(sent)).plus(Duration::from_millis(1_001));
    assert!(at <= read.latest && read.earliest <= end, "{read:?} without {at:?}");
    assert!(read.error() <= received.since(sent) / 2 + Duration::from_millis(600), "{read:?}");
    let later = time.read(received + DAY).expect("an answer was heard");
    assert!(later.earliest <= later.latest && read.latest <= later.latest, "{later:?}");
}

fn back_off(dice: &mut Dice) {
    let mut backoff = Backoff::new(CAP);
    for _ in 0..12 {
        assert!(backoff.next(dice) <= CAP);
    }
}
