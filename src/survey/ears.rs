//! What the survey's channels heard, in numbers: no id, name or value of a payload leaves this file, but the ids
//! of some conversations that history is asked for.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use trunkline_protocol::domain::{Mono, Now};
use trunkline_protocol::identity::{Canonical, canonical_body};
use trunkline_protocol::topic::class_of;

use super::times::times;

/// Channels of a survey: two that hear all the time, and one for experiments.
pub const CHANNELS: usize = 3;
/// What the pings of the second channel carry, to see whether it comes back.
pub(super) const NONCE: &str = "trunkline-survey-1";
/// Events that are told apart; of later ones only sizes and times are kept.
const EVENTS: usize = 100_000;
/// Samples of a kind that are kept.
const SAMPLES: usize = 20_000;
/// Conversations of a kind that are remembered.
const CONVERSATIONS: usize = 64;
/// A conversation whose first sign is younger than this began just now.
const NEW: i64 = 5_000;

/// One event, as each channel heard it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Event {
    /// When, by channel.
    pub(super) at: [Option<Mono>; CHANNELS],
    /// A hash of its correlation id.
    correlation: [Option<u64>; CHANNELS],
    /// A hash of the body with its keys in their order.
    order: [Option<u64>; CHANNELS],
}

/// How a socket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Of which channel.
    pub(super) channel: usize,
    /// When.
    pub(super) at: Mono,
    /// The close code; `None` for a socket that was cut.
    pub(super) code: Option<u16>,
    /// Class of the last system message before it, if it came within a minute and a half.
    pub(super) notice: Option<String>,
}

/// Pairs that agree, of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreement {
    /// Equal ones.
    pub(super) same: u64,
    /// All of them.
    pub(super) of: u64,
}

/// A conversation, by what was heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Its id: personal data, asked for and never shown.
    pub(super) id: String,
    /// When it was heard.
    pub(super) at: Mono,
    /// When it began, by the oldest time in what was heard.
    pub(super) began: Mono,
}

/// Everything that was heard.
#[derive(Debug, Default)]
pub(super) struct Ears {
    /// By a hash of topic and body.
    events: BTreeMap<u64, Event>,
    /// By a hash of the body, on the first channel: topic and correlation id.
    bodies: BTreeMap<u64, (u64, Option<u64>)>,
    /// Pairs of topics that told the same, by whether their correlation ids agree.
    pub(super) across_topics: Agreement,
    /// From the newest time in a body to its receipt, in milliseconds.
    pub(super) delays: Vec<i64>,
    /// Frames of events on the first channel.
    pub(super) frames: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// The longest.
    pub(super) longest: usize,
    /// Classes of topics that were heard.
    pub(super) classes: BTreeMap<String, u64>,
    /// Heartbeats, by channel.
    pub(super) heartbeats: [Vec<Mono>; CHANNELS],
    /// Frames of events that came more than once on the first channel.
    pub(super) copies: u64,
    /// Times from ping to pong, in milliseconds, of both kinds.
    pub(super) pongs: Vec<u64>,
    /// The same of pings of RFC 6455.
    pub(super) protocol_pongs: Vec<u64>,
    /// Pongs that carried what the ping carried.
    pub(super) nonces: u64,
    /// Pongs of the channel whose pings carry something.
    pub(super) nonce_pongs: u64,
    /// Ends of sockets that the survey did not ask for, and those it provoked.
    pub(super) ends: Vec<End>,
    /// Keys of the body of a `socket_closing`.
    pub(super) closing_keys: Option<String>,
    /// Conversations that began while we heard.
    pub(super) births: VecDeque<Sighting>,
    /// Conversations of which every leg has ended.
    pub(super) deaths: VecDeque<Sighting>,
    seen: BTreeMap<u64, Mono>,
    pinged: [Option<Mono>; CHANNELS],
    noticed: [Option<(Mono, String)>; CHANNELS],
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "topicName")]
    topic: Option<String>,
    #[serde(rename = "eventBody", borrow)]
    body: Option<&'a RawValue>,
    metadata: Option<Value>,
}

fn hash(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() < SAMPLES {
        list.push(item);
    }
}

impl Ears {
    /// A text message of a channel.
    pub(super) fn text(&mut self, channel: usize, text: &str, now: Now) {
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else { return };
        let (Some(topic), Some(body)) = (envelope.topic, envelope.body) else { return };
        if topic == "channel.metadata" {
            self.metadata(channel, body.get(), now.mono);
        } else if topic.starts_with("v2.system.") {
            self.notice(channel, &topic, body.get(), now.mono);
        } else {
            let correlation = envelope.metadata.as_ref().and_then(|m| m["CorrelationId"].as_str());
            self.event(channel, &topic, body.get(), correlation, text.len(), now);
        }
    }

    fn metadata(&mut self, channel: usize, body: &str, at: Mono) {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        match body["message"].as_str() {
            Some("pong") => {
                if let Some(sent) = self.pinged[channel].take() {
                    push(&mut self.pongs, millis(at.since(sent)));
                }
                if channel == 1 {
                    self.nonce_pongs += 1;
                    self.nonces += u64::from(body.to_string().contains(NONCE));
                }
            }
            Some(text) if text.contains("Heartbeat") => push(&mut self.heartbeats[channel], at),
            Some(_) | None => {}
        }
    }

    fn notice(&mut self, channel: usize, topic: &str, body: &str, at: Mono) {
        // what stands behind the third part is an id
        let class: Vec<&str> = topic.split('.').take(3).collect();
        if topic.contains("socket_closing") {
            let body: Value = serde_json::from_str(body).unwrap_or_default();
            let keys = body.as_object().map(|body| body.keys().cloned().collect::<Vec<_>>());
            self.closing_keys = keys.map(|keys| keys.join(", "));
        }
        self.noticed[channel] = Some((at, class.join(".")));
    }

    fn event(
        &mut self,
        channel: usize,
        topic: &str,
        body: &str,
        correlation: Option<&str>,
        bytes: usize,
        now: Now,
    ) {
        let sorted = hash(&[topic, &canonical_body(Canonical::Sorted, body)]);
        let received = canonical_body(Canonical::AsReceived, body);
        let correlation = correlation.map(|id| hash(&[id]));
        let room = self.events.len() < EVENTS;
        let known = self.events.contains_key(&sorted);
        let mut first = false;
        if known || room {
            let event = self.events.entry(sorted).or_default();
            first = event.at[channel].is_none();
            if first {
                event.at[channel] = Some(now.mono);
                event.correlation[channel] = correlation;
                event.order[channel] = Some(hash(&[&received]));
            } else if channel == 0 {
                self.copies += 1;
            }
        }
        if channel == 0 {
            self.frames += 1;
            self.bytes += bytes as u64;
            self.longest = self.longest.max(bytes);
            *self.classes.entry(class_of(topic)).or_default() += 1;
            if first {
                self.other_topic(hash(&[&received]), hash(&[topic]), correlation);
                self.conversation(body, now);
            }
        }
    }

    fn other_topic(&mut self, body: u64, topic: u64, correlation: Option<u64>) {
        match self.bodies.get(&body) {
            Some((other, theirs)) if *other != topic => {
                self.across_topics.of += 1;
                self.across_topics.same += u64::from(*theirs == correlation);
            }
            Some(_) => {}
            None if self.bodies.len() < EVENTS => {
                self.bodies.insert(body, (topic, correlation));
            }
            None => {}
        }
    }

    fn conversation(&mut self, body: &str, now: Now) {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let Some((oldest, newest)) = times(&body, now.wall.0 + 2_000) else { return };
        push(&mut self.delays, now.wall.0 - newest);
        let id = [&body["id"], &body["conversationId"]].into_iter().find_map(Value::as_str);
        let Some(id) = id else { return };
        let key = hash(&[id]);
        let is_new = self.seen.len() < EVENTS && self.seen.insert(key, now.mono).is_none();
        let age = now.wall.0 - oldest;
        let began = now.mono - Duration::from_millis(u64::try_from(age).unwrap_or(0));
        let sighting = || Sighting { id: id.to_owned(), at: now.mono, began };
        if is_new && age < NEW {
            remember(&mut self.births, sighting());
        }
        let legs = body["participants"].as_array();
        let is_over = legs.is_some_and(|legs| {
            !legs.is_empty() && legs.iter().all(|leg| leg["endTime"].is_string())
        });
        if is_over && self.deaths.iter().all(|known| known.id != id) {
            remember(&mut self.deaths, sighting());
        }
    }

    /// A ping of the application was sent.
    pub(super) fn pinged(&mut self, channel: usize, at: Mono) {
        self.pinged[channel] = Some(at);
    }

    /// A pong of RFC 6455 came.
    pub(super) fn protocol_pong(&mut self, sent: Mono, at: Mono) {
        push(&mut self.protocol_pongs, millis(at.since(sent)));
    }

    /// A socket ended.
    pub(super) fn ended(&mut self, channel: usize, code: Option<u16>, at: Mono) {
        let notice = self.noticed[channel].take();
        let recent = notice.filter(|(said, _)| at.since(*said) < Duration::from_secs(90));
        push(&mut self.ends, End { channel, at, code, notice: recent.map(|(_, class)| class) });
    }

    /// Events that two channels both heard: how many have one correlation id, and how many the keys of
    /// their bodies in one order.
    #[must_use]
    pub(super) fn between(&self, a: usize, b: usize) -> (Agreement, Agreement) {
        let (mut ids, mut orders) = (Agreement::default(), Agreement::default());
        for event in self.events.values() {
            if let (Some(first), Some(second)) = (event.correlation[a], event.correlation[b]) {
                ids.of += 1;
                ids.same += u64::from(first == second);
            }
            if let (Some(first), Some(second)) = (event.order[a], event.order[b]) {
                orders.of += 1;
                orders.same += u64::from(first == second);
            }
        }
        (ids, orders)
    }

    /// Of the events that the first channel heard from `from` up to `to`: how many the other heard at all.
    #[must_use]
    pub(super) fn heard_of(&self, other: usize, from: Mono, to: Mono) -> Agreement {
        let mut heard = Agreement::default();
        for event in self.events.values() {
            if event.at[0].is_some_and(|at| at >= from && at < to) {
                heard.of += 1;
                heard.same += u64::from(event.at[other].is_some());
            }
        }
        heard
    }

    /// When events that the first channel heard after `from` began to reach the other: no later than the
    /// second, and later than the first of these times. `None` where nothing reached it.
    #[must_use]
    pub(super) fn fan_out(&self, other: usize, from: Mono) -> Option<(Mono, Mono)> {
        let both = |event: &&Event| event.at[0].is_some_and(|at| at >= from);
        let events: Vec<&Event> = self.events.values().filter(both).collect();
        let heard = events.iter().filter(|event| event.at[other].is_some());
        let first = heard.filter_map(|event| event.at[0]).min()?;
        let missed = events.iter().filter(|event| event.at[other].is_none());
        let missed = missed.filter_map(|event| event.at[0]).filter(|at| *at < first).max();
        Some((missed.unwrap_or(from), first))
    }

    /// Events on the first channel from an instant on.
    #[must_use]
    pub(super) fn events_since(&self, from: Mono) -> u64 {
        let newer = self.events.values().filter(|event| event.at[0].is_some_and(|at| at >= from));
        newer.count() as u64
    }
}

fn remember(list: &mut VecDeque<Sighting>, sighting: Sighting) {
    if list.len() >= CONVERSATIONS {
        list.remove(list.len() / 2); // the oldest and the newest say most
    }
    list.push_back(sighting);
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use trunkline_protocol::domain::Wall;

    use super::*;

    fn now(secs: u64) -> Now {
        let mono = Mono(0) + Duration::from_secs(secs);
        Now { mono, wall: Wall(1_767_607_200_000 + i64::try_from(secs).unwrap() * 1_000) }
    }

    fn envelope(topic: &str, body: &str, id: &str) -> String {
        format!(
            r#"{{"topicName":"{topic}","version":"2","eventBody":{body},"metadata":{{"CorrelationId":"{id}"}}}}"#
        )
    }

    #[test]
    fn two_channels_are_compared_event_by_event() {
        let mut ears = Ears::default();
        let topic = "v2.users.u.conversations";
        ears.text(0, &envelope(topic, r#"{"id":"c","n":1}"#, "x"), now(1));
        ears.text(1, &envelope(topic, r#"{"n":1,"id":"c"}"#, "x"), now(1));
        ears.text(0, &envelope(topic, r#"{"id":"c","n":2}"#, "y"), now(2));
        ears.text(1, &envelope(topic, r#"{"id":"c","n":2}"#, "z"), now(2));
        ears.text(0, &envelope(topic, r#"{"id":"c","n":3}"#, "y"), now(3));
        let (ids, orders) = ears.between(0, 1);
        assert_eq!(ids, Agreement { same: 1, of: 2 });
        assert_eq!(orders, Agreement { same: 1, of: 2 });
        ears.text(0, &envelope("v2.users.w.conversations", r#"{"id":"c","n":3}"#, "y"), now(3));
        assert_eq!(ears.across_topics, Agreement { same: 1, of: 1 });
    }

    #[test]
    fn the_start_of_fan_out_lies_between_the_last_event_missed_and_the_first_heard() {
        let mut ears = Ears::default();
        let say = |n: u64| envelope("v2.users.u.conversations", &format!(r#"{{"n":{n}}}"#), "x");
        for n in 1..=9 {
            ears.text(0, &say(n), now(n));
            if n >= 5 {
                ears.text(2, &say(n), now(n));
            }
        }
        let at = |secs| now(secs).mono;
        assert_eq!(ears.fan_out(2, at(2)), Some((at(4), at(5))));
        assert_eq!(ears.fan_out(2, at(5)), Some((at(5), at(5))));
        assert_eq!(ears.fan_out(1, at(0)), None);
        assert_eq!(ears.heard_of(2, at(3), at(7)), Agreement { same: 2, of: 4 });
    }

    #[test]
    fn a_close_is_told_with_the_notice_before_it_and_without_ids() {
        let mut ears = Ears::default();
        let topic = "v2.system.no_longer_subscribed.streaming-0-secret";
        ears.text(2, &envelope(topic, r#"{"reason":"another"}"#, "x"), now(1));
        ears.ended(2, Some(1012), now(2).mono);
        ears.ended(2, None, now(3).mono);
        assert_eq!(ears.ends[0].notice.as_deref(), Some("v2.system.no_longer_subscribed"));
        assert_eq!((ears.ends[1].code, &ears.ends[1].notice), (None, &None));
    }

    #[test]
    fn a_pong_is_looked_at_for_what_its_ping_carried() {
        let mut ears = Ears::default();
        let pong = |more: &str| {
            format!(r#"{{"topicName":"channel.metadata","eventBody":{{"message":"pong"{more}}}}}"#)
        };
        ears.pinged(1, now(1).mono);
        ears.text(1, &pong(""), now(2));
        ears.text(1, &pong(&format!(r#","nonce":"{NONCE}""#)), now(3));
        assert_eq!((ears.pongs.as_slice(), ears.nonces, ears.nonce_pongs), (&[1_000][..], 1, 2));
    }

    #[test]
    fn conversations_that_begin_and_end_are_noticed_once() {
        let mut ears = Ears::default();
        let body = |end: &str| {
            format!(
                r#"{{"id":"c","participants":[{{"connectedTime":"2026-01-05T10:00:00.500Z"{end}}}]}}"#
            )
        };
        let topic = "v2.users.u.conversations";
        ears.text(0, &envelope(topic, &body(""), "x"), now(1));
        let over = body(r#","endTime":"2026-01-05T10:00:03.000Z""#);
        ears.text(0, &envelope(topic, &over, "x"), now(4));
        assert_eq!((ears.births.len(), ears.deaths.len()), (1, 1));
        assert_eq!(ears.births[0].began, now(1).mono - Duration::from_millis(500));
        assert_eq!(ears.delays, [500, 1_000]);
    }
}
