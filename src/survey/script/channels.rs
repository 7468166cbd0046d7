//! What is tried on channels of the survey's own.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use trunkline_protocol::domain::Mono;
use trunkline_protocol::gate::{Endpoint, Priority};

use super::{Channel, Survey, millis, secs, why};
use crate::genesys::ask::Verb;
use crate::genesys::{PlatformError, Token};
use crate::session::Refusal;

const CHANNELS: &str = "/api/v2/notifications/channels";
/// A channel without a socket is left alone for so long.
const CLOSED: Duration = Duration::from_secs(6);
/// Where events begin as soon as this, they begin at once.
const AT_ONCE: u64 = 500;
/// Topics that a channel refuses as too many (documented: 1,000 are allowed).
const TOO_MANY: usize = 1_001;
/// Ends of the topics of a queue or a person.
const ENDS: [&str; 10] = [
    "conversations",
    "conversations.callbacks",
    "conversations.calls",
    "conversations.chats",
    "conversations.cobrowseSessions",
    "conversations.emails",
    "conversations.messages",
    "conversations.screenshares",
    "conversations.socialexpressions",
    "conversations.videos",
];

fn list<'t>(topics: impl IntoIterator<Item = &'t String>) -> Value {
    topics.into_iter().map(|topic| json!({"id": topic})).collect()
}

fn refused(refusal: &Refusal) -> String {
    refusal.status.map_or("no answer".to_owned(), |status| format!("status {status}"))
}

impl Survey {
    /// Two channels that hear all the time. The first one with a token of its own, whose end is known.
    pub(super) async fn open_pair(&mut self) -> bool {
        let own = self.own_token().await;
        for channel in 0..2 {
            let token = own.clone().filter(|_| channel == 0).map(|token| token.text);
            if let Err(problem) = self.open(channel, token).await {
                for id in ["1a", "1b", "1c", "5b", "8a", "8c", "9a", "9b", "11", "12b", "13", "16a"]
                {
                    self.findings.leave(id, problem.clone());
                }
                return false;
            }
        }
        true
    }

    async fn own_token(&mut self) -> Option<Token> {
        self.requests += 1;
        let (id, secret) = self.secret.clone();
        let asked = self.client.call(Endpoint::Token, Priority::Verify, |http, _| async move {
            http.token(&id, &secret).await
        });
        match asked.await {
            Ok(token) => {
                self.token_end = Some(self.clock.mono() + token.life);
                self.findings.set("token_life_ms", millis(token.life));
                Some(token)
            }
            Err(error) => {
                self.findings.leave("13", why(&error));
                None
            }
        }
    }

    /// Makes a channel, opens its socket and subscribes it to what is wanted.
    async fn open(&mut self, at: usize, own: Option<SecretString>) -> Result<(), String> {
        self.make(own.clone()).await.map_err(|error| format!("no channel: {}", why(&error)))?;
        let stop = self.dial(at).await.map_err(|no| format!("no socket: {}", refused(&no)))?;
        self.stops.push(stop);
        let asked = self.set_topics(at, own, Verb::Put).await;
        asked.map_err(|error| format!("no subscription: {}", why(&error)))?;
        Ok(())
    }

    async fn make(&mut self, own: Option<SecretString>) -> Result<(), PlatformError> {
        let made = self.ask_as(own, Endpoint::Channels, Verb::Post, CHANNELS, None).await?;
        let text = |key: &str| made[key].as_str().map(str::to_owned);
        let (Some(id), Some(uri)) = (text("id"), text("connectUri")) else {
            return Err(PlatformError::Unreadable("a channel without id or connectUri"));
        };
        let (expires, now) = (text("expires").as_deref().and_then(instant), self.clock.now());
        if let Some(expires) = expires.filter(|_| self.channels.is_empty()) {
            self.findings.set("channel_life_ms", rounded(expires - now.wall.0));
        }
        self.channels.push(Channel { id, uri, expires, made: now.mono });
        Ok(())
    }

    async fn set_topics(
        &mut self,
        at: usize,
        own: Option<SecretString>,
        verb: Verb,
    ) -> Result<Value, PlatformError> {
        let path = format!("{}?ignoreErrors=true", self.subscriptions_of(at));
        let body = match verb {
            Verb::Post => list(self.topics.iter().take(1)),
            Verb::Get | Verb::Put | Verb::Delete => list(&self.topics),
        };
        self.ask_as(own, Endpoint::Subscriptions, verb, &path, Some(body)).await
    }

    /// When events begin after a subscription, and what becomes of those that no socket is open for.
    pub(super) async fn fan_out(&mut self) {
        self.until(Duration::from_secs(20), |heard| heard.ears().frames > 0).await;
        if let Err(error) = self.make(None).await {
            ["2a", "2b", "9a", "9b", "12b"]
                .into_iter()
                .for_each(|id| self.findings.leave(id, why(&error)));
            return;
        }
        let stop = match self.dial(2).await {
            Ok(stop) => stop,
            Err(no) => return self.findings.leave("9a", format!("no socket: {}", refused(&no))),
        };
        if let Err(error) = self.set_topics(2, None, Verb::Put).await {
            return self.findings.leave("9a", why(&error));
        }
        let answered = self.clock.mono();
        self.until(Duration::from_secs(30), |heard| heard.ears().fan_out(2, answered).is_some())
            .await;
        // what was on its way to one of them has arrived
        self.rest(Duration::from_secs(2)).await;
        self.judge_fan_out(answered);
        stop.send_replace(true);
        self.until(Duration::from_secs(3), |heard| !heard.is_open(2)).await;
        let closed = self.clock.mono();
        self.rest(CLOSED).await;
        let opens = self.clock.mono();
        match self.dial(2).await {
            Ok(stop) => self.stops.push(stop),
            Err(no) => return self.findings.leave("9b", format!("no socket: {}", refused(&no))),
        }
        self.rest(Duration::from_secs(3)).await;
        let margin = Duration::from_secs(1);
        let heard = self.heard.ears().heard_of(2, closed + margin, opens - margin);
        let answer = match (heard.same, heard.of) {
            (_, of) if of < 3 => {
                let text =
                    format!("only {of} events came in the {} s without a socket", CLOSED.as_secs());
                return self.findings.leave("9b", text);
            }
            (0, _) => "lost: none came later".to_owned(),
            (same, of) if same == of => {
                "queued: all of them came when a socket was open".to_owned()
            }
            (same, of) => format!("{same} of {of} came when a socket was open"),
        };
        let how = "a subscribed channel's socket was closed for some seconds, while another channel heard";
        self.findings.settle("9b", heard.of, how, answer);
    }

    fn judge_fan_out(&mut self, answered: Mono) {
        let (found, since) = {
            let ears = self.heard.ears();
            (ears.fan_out(2, answered), ears.events_since(answered))
        };
        let Some((missed, first)) = found else {
            let text = format!("no event came to the new channel, and {since} to the other");
            return self.findings.leave("9a", text);
        };
        let (least, most) = (millis(missed.since(answered)), millis(first.since(answered)));
        let (answer, delay) = match most {
            ..=AT_ONCE => {
                (format!("at once: the first was heard within {}", secs(most.max(100))), 0)
            }
            _ if least == 0 => {
                let text = format!(
                    "the first event after the answer came {} later, and was heard: too few events",
                    secs(most)
                );
                return self.findings.leave("9a", text);
            }
            _ => (format!("between {} and {} later", secs(least), secs(most)), (least + most) / 2),
        };
        let how = "one channel was subscribed while another one heard the same topics; bounded by the last event it missed and the first it heard";
        self.findings.settle("9a", since, how, answer);
        self.findings.set("subscribe_delay_ms", delay);
    }

    /// Whether setting topics moves the end of a channel.
    pub(super) async fn extend(&mut self) {
        let Some(made) = self.channels.get(2).map(|channel| channel.made) else { return };
        let (began, first) = (self.clock.mono(), self.expires().await);
        self.rest(Duration::from_secs(2)).await;
        let put = self.set_topics(2, None, Verb::Put).await;
        let second = self.expires().await;
        self.rest(Duration::from_secs(2)).await;
        let post = self.set_topics(2, None, Verb::Post).await;
        let third = self.expires().await;
        let ended = self.clock.mono();
        let created = self.channels.get(2).and_then(|channel| channel.expires);
        let pairs = [
            ("2a", put, first.clone().or(created.ok_or_else(String::new)), second.clone()),
            ("2b", post, second, third),
        ];
        for (id, asked, before, after) in pairs {
            if let Err(error) = asked {
                self.findings.leave(id, why(&error));
                continue;
            }
            let (before, after) = match (before, after) {
                (Ok(before), Ok(after)) => (before, after),
                (Err(why), _) | (_, Err(why)) => {
                    self.findings.leave(id, why);
                    continue;
                }
            };
            let moved = after - before >= 1_000;
            let mut answer = match moved {
                true => format!("yes, by {:.1} s", (after - before) as f64 / 1e3),
                false => "no".to_owned(),
            };
            if id == "2a" {
                let heard = self.heard.ears().heard_of(2, began, ended - Duration::from_secs(2));
                let drops =
                    self.heard.ears().ends.iter().filter(|e| e.channel == 2 && e.at > made).count();
                answer.push_str(&format!(
                    "; the socket ended {drops} times meanwhile, and {} of {} events were heard",
                    heard.same, heard.of
                ));
                self.findings.set("subscribe_extends_life", moved);
            } else {
                self.findings.set("post_extends_life", moved);
            }
            self.findings.settle(
                id,
                1,
                "`expires` was read before and after, some seconds later",
                answer,
            );
        }
    }

    /// `expires` of the third channel, in milliseconds since 1970.
    async fn expires(&mut self) -> Result<i64, String> {
        let path = format!("{CHANNELS}?includechannels=oauthclient");
        let answer = self.ask(Endpoint::Channels, Verb::Get, &path, None).await;
        let answer = answer.map_err(|error| why(&error))?;
        let id = self.channels.get(2).map_or("", |channel| &channel.id);
        let listed = answer["entities"].as_array().cloned().unwrap_or_default();
        let own = listed.iter().find(|channel| channel["id"] == id);
        let expires = own.and_then(|channel| channel["expires"].as_str()).and_then(instant);
        expires.ok_or_else(|| "the listing does not show the channel with its end".to_owned())
    }

    /// A second socket on the third channel.
    pub(super) async fn take_over(&mut self) {
        if self.channels.len() < 3 || !self.heard.is_open(2) {
            return self.findings.leave("12b", "the third channel has no socket");
        }
        let ended =
            |heard: &super::Heard| heard.ears().ends.iter().filter(|end| end.channel == 2).count();
        let before = ended(&self.heard);
        let stop = match self.dial(2).await {
            Ok(stop) => stop,
            Err(no) => {
                return self
                    .findings
                    .leave("12b", format!("the second socket is refused: {}", refused(&no)));
            }
        };
        let fell = self.until(Duration::from_secs(10), |heard| ended(heard) > before).await;
        stop.send_replace(true);
        self.until(Duration::from_secs(3), |heard| !heard.is_open(2)).await;
        if !fell {
            return self.findings.settle(
                "12b",
                1,
                "a second socket was opened on a channel",
                "not at all: both stay open for 10 s",
            );
        }
        let end = self.heard.ears().ends.iter().filter(|end| end.channel == 2).nth(before).cloned();
        let Some(end) = end else { return };
        let code =
            end.code.map_or("without a close frame".to_owned(), |code| format!("with code {code}"));
        let notice = match &end.notice {
            Some(class) => format!(", announced by {class}"),
            None => ", unannounced".to_owned(),
        };
        self.findings.settle(
            "12b",
            1,
            "a second socket was opened on a channel",
            format!("{code}{notice}"),
        );
        self.findings.set("announce_kick", end.notice.is_some());
        if let Some(code) = end.code {
            self.findings.set("end_code", code);
        }
    }

    /// An upgrade for a channel that nobody made.
    pub(super) async fn unknown_channel(&mut self) {
        let Some(uri) = self.channels.first().map(|channel| channel.uri.clone()) else { return };
        let uri = self.made_up(&uri);
        let how = "a channel id of the same form was made up and dialled";
        match self.dial_uri(&uri).await {
            Err(Refusal { status: Some(status), .. }) => {
                self.findings.settle("12a", 1, how, format!("status {status}"));
                self.findings.set("unknown_channel_status", status);
            }
            Err(Refusal { status: None, .. }) => self.findings.leave("12a", "there was no answer"),
            Ok(socket) => {
                socket.close().await;
                self.findings.settle("12a", 1, how, "a socket opens all the same");
            }
        }
    }

    /// More topics than a channel holds, all of which exist.
    pub(super) async fn too_many_topics(&mut self) {
        let queues = self.queues.iter().map(|id| format!("v2.routing.queues.{id}"));
        let objects = queues.chain(self.users.iter().map(|id| format!("v2.users.{id}")));
        let all = objects.flat_map(|object| ENDS.map(|end| format!("{object}.{end}")));
        let topics: Vec<String> = all.take(TOO_MANY).collect();
        if topics.len() < TOO_MANY || self.channels.len() < 3 {
            let text = format!(
                "there are {} topics of queues and people; it takes {TOO_MANY}",
                topics.len()
            );
            return self.findings.leave("14a", text);
        }
        let path = format!("{}?ignoreErrors=true", self.subscriptions_of(2));
        let asked = self.ask(Endpoint::Subscriptions, Verb::Put, &path, Some(list(&topics))).await;
        let answer = match asked {
            Ok(_) => format!("not at all: {TOO_MANY} are accepted"),
            Err(PlatformError::Status { status, code, .. }) => {
                format!("status {status}, code {}", code.as_deref().unwrap_or("none"))
            }
            Err(error) => return self.findings.leave("14a", why(&error)),
        };
        let how = format!("a PUT of {TOO_MANY} topics on a channel without a socket");
        self.findings.settle("14a", 1, how, answer);
    }
}

/// The platform's time is known to a second or two: lives are of minutes, or shorter than ten of them.
fn rounded(life: i64) -> i64 {
    let grain = if life > 600_000 { 60_000 } else { 1_000 };
    (life + grain / 2) / grain * grain
}

fn instant(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}
