//! A row of the platform's history: read, compared with itself, written down, read back.

use trunkline::decode::history;
use trunkline::decode::open::Opener;
use trunkline_protocol::domain::{Event, Interval, Origin, TopicClass, Wall};
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::replay::enveloped;

use super::envelope::{ORG, frame};
use super::record::round_trip;

const TOPIC: &str = "analytics.conversations.details.query";

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let row = match history::read(text) {
        Ok(row) => row,
        Err(error) => return assert!(!error.field.is_empty() && !error.problem.is_empty()),
    };
    let known = row.row();
    assert_eq!(known.conversation, row.id());
    assert_eq!(known.digest(Wall(i64::MAX)), row.row().digest(Wall(i64::MAX)));
    let all = Interval::new(Wall(i64::MIN), Wall(i64::MAX));
    assert!(known.is_active(all), "a conversation of no time");
    let mut opener = Opener::new(ORG.to_owned(), Canonical::AsReceived);
    let wrapped = enveloped(text.to_owned(), Some(TOPIC));
    let Ok(event) = opener.open(frame(&wrapped)) else { return };
    let event = Event { class: TopicClass::History, origin: Origin::Replay, ..event };
    // a row that looks like an envelope itself was taken for one
    let Ok(row) = history::read(event.body()) else { return };
    round_trip(&event, &row.facts());
}
