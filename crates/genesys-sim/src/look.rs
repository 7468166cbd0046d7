//! What is going on, at one moment: who is connected, what is left of budgets, which faults are in force.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cloud::{Cloud, Counters};
use crate::ends::Ends;
use crate::faults::{Applied, What};

/// Channels, events, faults and tokens of a client that a look shows, at most.
const CHANNELS: usize = 100;
const EVENTS: usize = 12;
const APPLIED: usize = 12;
const TOKENS: usize = 3;
/// The newest entries of the ledger among which events are looked for.
const LOOKED_AT: usize = 5_000;

/// One moment. Times are milliseconds of the simulator's clock.
#[derive(Clone, Debug, Serialize)]
pub struct Look {
    /// When.
    pub now_ms: u64,
    /// What was seen so far.
    pub counters: Counters,
    /// What the ledger counts.
    pub ledger: Counts,
    /// OAuth clients.
    pub clients: Vec<Client>,
    /// Channels and direct connections, the oldest first.
    pub channels: Vec<Line>,
    /// Channels beyond those.
    pub channels_not_shown: usize,
    /// Different topics somebody is subscribed to.
    pub topics: usize,
    /// Faults in force.
    pub running: Vec<Running>,
    /// Faults that wait for their time.
    pub waiting: usize,
    /// Faults carried out last, newest first.
    pub applied: Vec<Applied>,
    /// How sockets ended.
    pub ends: Ends,
    /// The last events that somebody was subscribed to, newest first.
    pub events: Vec<Event>,
}

/// What the ledger counts.
#[derive(Clone, Debug, Serialize)]
pub struct Counts {
    /// Events.
    pub generated: u64,
    /// Events that somebody was subscribed to.
    pub covered: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Deliveries that did not happen, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Whether events are kept as well.
    pub kept: bool,
}

/// One OAuth client.
#[derive(Clone, Debug, Serialize)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Channels it has.
    pub channels: usize,
    /// Channels it may have.
    pub channels_allowed: usize,
    /// Open sockets.
    pub sockets: usize,
    /// Subscriptions of its channels.
    pub topics: usize,
    /// Good tokens.
    pub tokens: usize,
    /// Request windows of the newest of them, newest first.
    pub windows: Vec<Window>,
}

/// The request window of a token.
#[derive(Clone, Debug, Serialize)]
pub struct Window {
    /// Order of its granting, from 1.
    pub token: u64,
    /// Age of the token.
    pub age_ms: u64,
    /// Requests in the window.
    pub used: u32,
    /// Requests a window allows.
    pub allowed: u32,
    /// Whole seconds to the end of the window.
    pub reset_secs: u64,
}

/// One channel, or a direct connection.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// As the ledger names it.
    pub number: u64,
    /// The beginning of its id; nothing for a direct connection.
    pub id: Option<String>,
    /// Its OAuth client.
    pub client: String,
    /// Subscriptions; combined ones count once.
    pub topics: usize,
    /// What is left of its life; nothing for a direct connection.
    pub left_ms: Option<u64>,
    /// Since when its socket is open; nothing without one.
    pub open_ms: Option<u64>,
    /// Frames put on the socket.
    pub frames: u64,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Running {
    /// What.
    pub what: What,
    /// The channel it is about; nothing for the whole platform.
    pub channel: Option<u64>,
    /// How much longer, where time ends it.
    pub left_ms: Option<u64>,
    /// How often still, where a count ends it.
    pub left: Option<u32>,
}

/// An event somebody was subscribed to.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Position in the ledger.
    pub seq: u64,
    /// When.
    pub at_ms: u64,
    /// Its topic.
    pub topic: String,
    /// Bytes of the body.
    pub bytes: usize,
    /// Channels that got it.
    pub delivered: Vec<u64>,
    /// Channels that did not, and why.
    pub dropped: Vec<(u64, &'static str)>,
}

impl Cloud {
    /// What is going on now.
    #[must_use]
    pub fn look(&self, now_ms: u64) -> Look {
        let ledger = self.ledger();
        let event = |entry: &crate::ledger::Entry| Event {
            seq: entry.seq,
            at_ms: entry.at_ms,
            topic: entry.topic.clone(),
            bytes: entry.body.as_ref().map_or(0, |body| body.len()),
            delivered: entry.delivered.clone(),
            dropped: entry.dropped.clone(),
        };
        let lines = self.lines(now_ms);
        Look {
            now_ms,
            counters: self.counters(),
            ledger: Counts {
                generated: ledger.len(),
                covered: ledger.covered(),
                delivered: ledger.delivered(),
                dropped: ledger.dropped().clone(),
                kept: !ledger.only_counts(),
            },
            clients: self.settings.clients.iter().map(|(id, _)| self.client(id, now_ms)).collect(),
            channels_not_shown: lines.len().saturating_sub(CHANNELS),
            channels: lines.into_iter().take(CHANNELS).collect(),
            topics: self.channels.wanted().count(),
            running: self.running(now_ms),
            waiting: self.waiting(),
            applied: self.applied().iter().rev().take(APPLIED).cloned().collect(),
            ends: self.ends.clone(),
            events: ledger.latest(LOOKED_AT).take(EVENTS).map(event).collect(),
        }
    }

    fn client(&self, id: &str, now_ms: u64) -> Client {
        let mut good: Vec<_> = self.oauth.good(id, now_ms).collect();
        good.sort_unstable_by_key(|(_, number, _)| std::cmp::Reverse(*number));
        let window = |(text, token, age_ms): &(&str, u64, u64)| {
            let (used, reset_secs) = self.limits.peek(text, now_ms);
            let allowed = self.settings.requests_per_minute;
            Window { token: *token, age_ms: *age_ms, used, allowed, reset_secs }
        };
        Client {
            id: id.to_owned(),
            channels: self.channels.of_client(id).count(),
            channels_allowed: self.settings.channels_per_client,
            sockets: self.sockets.values().filter(|open| open.client == id).count(),
            topics: self.channels.of_client(id).map(|(_, channel)| channel.topics.len()).sum(),
            tokens: good.len(),
            windows: good.iter().take(TOKENS).map(window).collect(),
        }
    }

    fn lines(&self, now_ms: u64) -> Vec<Line> {
        let channels = self.channels.all().map(|(id, channel)| {
            let open = channel.socket.and_then(|socket| self.sockets.get(&socket));
            Line {
                number: channel.number,
                id: Some(id.chars().take(18).collect()),
                client: channel.client.clone(),
                topics: channel.topics.len(),
                left_ms: Some(channel.expires_ms.saturating_sub(now_ms)),
                open_ms: open.map(|open| open.opened_ms),
                frames: open.map_or(0, |open| open.frames),
            }
        });
        let direct = self.sockets.values().filter(|open| open.channel.is_none());
        let direct = direct.map(|open| Line {
            number: open.number,
            id: None,
            client: open.client.clone(),
            topics: 0,
            left_ms: None,
            open_ms: Some(open.opened_ms),
            frames: open.frames,
        });
        let mut lines: Vec<Line> = channels.chain(direct).collect();
        lines.sort_unstable_by_key(|line| line.number);
        lines
    }

    fn running(&self, now_ms: u64) -> Vec<Running> {
        let left = |until_ms: u64| until_ms.saturating_sub(now_ms);
        let of_all = self.faults.active.iter().map(|active| Running {
            what: active.fault.what,
            channel: None,
            left_ms: active.left.is_none().then(|| left(active.until_ms)),
            left: active.left,
        });
        let lasts = |fault: &Running| fault.left_ms != Some(0) && fault.left != Some(0);
        let mut running: Vec<Running> = of_all.filter(lasts).collect();
        for open in self.sockets.values() {
            let mut add = |what, left_ms, left| {
                running.push(Running { what, channel: Some(open.number), left_ms, left });
            };
            if open.frozen {
                add(What::HalfOpen, None, None);
            }
            let silent = open.silent_until_ms.max(open.no_heartbeat_until_ms);
            if silent > now_ms {
                add(What::Silence, Some(left(silent)), None);
            }
            if open.pongs_to_lose > 0 {
                add(What::LostPong, None, Some(open.pongs_to_lose));
            }
            // a direct connection always has such a time: the end of its life
            if let Some((at_ms, ..)) = open.close_at.as_ref().filter(|_| open.channel.is_some()) {
                add(What::SocketClosing, Some(left(*at_ms)), None);
            }
        }
        running
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::faults::Fault;
    use crate::http::Request;
    use crate::traffic::{Profile, Traffic};

    fn ask(cloud: &mut Cloud, path: &str, authorization: &str, body: &str) -> serde_json::Value {
        let request = Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            authorization: Some(authorization.to_owned()),
            content_type: Some("application/json".to_owned()),
            body: body.as_bytes().to_vec(),
            ..Request::default()
        };
        serde_json::from_str(&cloud.handle(&request, 1_000).body).unwrap()
    }

    fn fault(cloud: &mut Cloud, text: &str, now_ms: u64) {
        cloud.inject(serde_json::from_str::<Fault>(text).unwrap());
        cloud.tick(now_ms);
    }

    /// A platform with one channel, its socket open since 2,000.
    fn connected() -> Cloud {
        let traffic = Traffic::new(1, Profile { queues: 2, ..Profile::default() });
        let mut cloud = Cloud::new(Settings::default(), traffic, 1, "ws://sim", 0);
        let basic = "Basic c2ltLWNsaWVudDpzaW0tc2VjcmV0";
        let token = ask(&mut cloud, "/oauth/token", basic, "grant_type=client_credentials");
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let made = ask(&mut cloud, "/api/v2/notifications/channels", &bearer, "");
        let id = made["id"].as_str().unwrap().to_owned();
        let queue = cloud.traffic().org().queues[0].id.clone();
        let topics = format!(r#"[{{"id":"v2.routing.queues.{queue}.conversations"}}]"#);
        let path = format!("/api/v2/notifications/channels/{id}/subscriptions");
        ask(&mut cloud, &path, &bearer, &topics);
        cloud.upgrade(&id, 2_000).unwrap();
        cloud
    }

    #[test]
    fn a_look_shows_who_is_connected_with_what_and_what_is_left_of_the_budget() {
        let mut cloud = connected();
        cloud.traffic().start_at(2_000);
        while cloud.ledger().covered() < 20 {
            let now_ms = cloud.traffic().next_at();
            cloud.publish_next(now_ms);
        }
        let look = cloud.look(cloud.now_ms);
        let line = &look.channels[0];
        assert_eq!((line.number, line.topics, line.open_ms), (1, 1, Some(2_000)));
        assert_eq!(line.id.as_ref().unwrap().len(), 18, "the beginning of the id");
        assert_eq!((line.frames, look.ledger.delivered, look.topics), (20, 20, 1));
        let client = &look.clients[0];
        assert_eq!((client.channels, client.sockets, client.topics, client.tokens), (1, 1, 1, 1));
        let look = cloud.look(3_000);
        let window = &look.clients[0].windows[0];
        assert_eq!((window.token, window.used, window.allowed), (1, 2, 300));
        assert_eq!((window.age_ms, window.reset_secs), (2_000, 58));
        let seqs: Vec<u64> = look.events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs.len(), 12);
        assert!(seqs.is_sorted_by(|a, b| a > b), "newest first: {seqs:?}");
        let text = serde_json::to_string(&look).unwrap();
        assert!(!text.contains("sim-secret") && !text.contains("sim-1-"), "{text}");
    }

    #[test]
    fn a_look_shows_faults_while_they_are_in_force_and_how_sockets_ended() {
        let mut cloud = connected();
        for (text, what, channel, left_ms, left) in [
            (r#"{"what":"silence","for_ms":500}"#, What::Silence, Some(1), Some(500), None),
            (r#"{"what":"lost_pong","args":{"count":2}}"#, What::LostPong, Some(1), None, Some(2)),
            (
                r#"{"what":"socket_closing","for_ms":900}"#,
                What::SocketClosing,
                Some(1),
                Some(900),
                None,
            ),
            (r#"{"what":"half_open"}"#, What::HalfOpen, Some(1), None, None),
            (r#"{"what":"http_status","for_ms":700}"#, What::HttpStatus, None, Some(700), None),
            (r#"{"what":"slow","args":{"count":3}}"#, What::Slow, None, None, Some(3)),
        ] {
            fault(&mut cloud, text, 3_000);
            let running = cloud.look(3_000).running;
            assert!(running.contains(&Running { what, channel, left_ms, left }), "{running:?}");
        }
        let later: Vec<What> = cloud.look(3_900).running.iter().map(|fault| fault.what).collect();
        assert!(!later.contains(&What::Silence) && !later.contains(&What::HttpStatus), "{later:?}");
        assert!(later.contains(&What::HalfOpen), "{later:?}");
        fault(&mut cloud, r#"{"what":"close","args":{"code":4001,"reason":"why not"}}"#, 4_000);
        let look = cloud.look(4_000);
        let end = look.ends.last.back().unwrap();
        assert_eq!((end.channel, end.lasted_ms, end.reason.as_str()), (1, 2_000, "why not"));
        assert_eq!(end.how.to_string(), "close 4001");
        assert_eq!(look.channels[0].open_ms, None);
        assert_eq!(look.applied[0].what, What::Close, "newest first");
    }

    #[test]
    fn each_end_of_a_socket_says_which_way_it_went() {
        for (text, how, reason) in [
            (r#"{"what":"reset"}"#, "reset", ""),
            (r#"{"what":"outage","for_ms":10}"#, "reset", "outage"),
            (r#"{"what":"idle_close"}"#, "close 1001", "idle timeout"),
            (r#"{"what":"close","args":{"code":1006}}"#, "reset", ""),
            (r#"{"what":"evict"}"#, "close 1000", ""),
        ] {
            let mut cloud = connected();
            fault(&mut cloud, text, 3_000);
            let ends = cloud.look(3_000).ends;
            let end = ends.last.back().unwrap();
            assert_eq!(
                (end.how.to_string().as_str(), end.reason.as_str()),
                (how, reason),
                "{text}"
            );
        }
        let mut cloud = connected();
        cloud.socket_gone(1, 3_000);
        assert_eq!(cloud.look(3_000).ends.last[0].how.to_string(), "by the client");
        let mut cloud = connected();
        cloud.socket_unread(1, 3_000);
        assert_eq!(cloud.look(3_000).ends.last[0].how.to_string(), "too much unread");
    }
}
