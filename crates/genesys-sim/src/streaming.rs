//! Sockets: heartbeats, pongs behind events, idle close, one per channel.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::Rng;
use serde::Deserialize;
use serde_json::json;

use crate::channels::SocketId;
use crate::cloud::{Cloud, Output};
use crate::dials::Kind;
use crate::ends::{End, How};
use crate::faults::{What, Whom};
use crate::http::Answer;

/// One open socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// The channel, or `None` for a direct connection.
    pub(crate) channel: Option<String>,
    pub(crate) client: String,
    /// The token of the direct connection, or the one its channel was created with.
    pub(crate) token: String,
    /// As the ledger names it: the channel's number, or one of its own for a direct connection.
    pub(crate) number: u64,
    pub(crate) opened_ms: u64,
    /// Frames put on it.
    pub(crate) frames: u64,
    pub(crate) frozen: bool,
    pub(crate) silent_until_ms: u64,
    pub(crate) no_heartbeat_until_ms: u64,
    /// Pings that get no pong, or one so much later.
    pub(crate) pongs_to_lose: u32,
    pub(crate) pong_delay_ms: Option<u64>,
    pub(crate) close_at: Option<(u64, u16, String)>,
    heartbeat_ms: u64,
    client_frame_ms: u64,
    late_pongs: VecDeque<u64>,
    /// A frame that lets the next one go first, at the latest until then.
    held: Option<(u64, Arc<str>)>,
}

const HEARTBEAT: &str =
    r#"{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}"#;
/// Told on each step of the horizon of details jobs.
const AVAILABILITY: &str = "v2.analytics.conversations.details.jobs.availability";
const PONG: &str = r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#;
/// A frame that changes places waits so long for another one.
const HELD_MS: u64 = 250;

#[derive(Deserialize)]
struct ClientMessage {
    message: Option<String>,
    topics: Option<Vec<String>>,
    #[serde(rename = "correlationId")]
    correlation_id: Option<String>,
}

impl Cloud {
    /// A client opens the socket of a channel.
    ///
    /// # Errors
    /// The HTTP answer that refuses the upgrade; status 0 cuts the connection.
    pub fn upgrade(&mut self, channel_id: &str, now_ms: u64) -> Result<SocketId, Answer> {
        self.now_ms = now_ms;
        let known = self.channels.get(channel_id);
        let client = known.map(|channel| channel.client.clone());
        let token = known.map(|channel| channel.token.clone());
        let opened = self.try_upgrade(channel_id, client.as_deref(), now_ms);
        self.record_dial(Kind::Channel, client, token.as_deref(), &opened, now_ms);
        opened
    }

    fn try_upgrade(
        &mut self,
        channel_id: &str,
        client: Option<&str>,
        now_ms: u64,
    ) -> Result<SocketId, Answer> {
        if self.is_out(now_ms) {
            return Err(Answer::cut());
        }
        self.refuse_by_fault("/channels/", client, now_ms)?;
        let limit = self.settings.connects_per_minute;
        if let Some(client) = client.filter(|_| limit > 0) {
            let key = format!("connect {client}");
            let verdict = self.limits.take(&key, limit, &self.settings, now_ms);
            if !verdict.allowed {
                let answer = self.too_many(verdict.reset_secs, limit);
                self.count_refusal(&answer);
                return Err(answer);
            }
        }
        let socket = self.new_socket_id();
        let refusal = Answer::empty(self.settings.unknown_channel_status);
        let Some(channel) =
            self.channels.get_mut(channel_id).filter(|channel| channel.expires_ms > now_ms)
        else {
            return Err(refusal);
        };
        channel.used_ms = now_ms;
        let open = Socket::new(
            Some(channel_id.to_owned()),
            channel.client.clone(),
            channel.token.clone(),
            channel.number,
            now_ms,
        );
        let before = channel.socket.replace(socket);
        if let Some(before) = before {
            self.kick(before);
        }
        self.open(socket, open, now_ms);
        Ok(socket)
    }

    /// A client sent a text.
    pub fn client_text(&mut self, socket: SocketId, text: &str, now_ms: u64) {
        self.client_frame(socket, now_ms);
        let Some(open) = self.sockets.get_mut(&socket).filter(|open| !open.frozen) else {
            return;
        };
        let Ok(message) = serde_json::from_str::<ClientMessage>(text) else {
            return;
        };
        match message.message.as_deref() {
            Some("ping") if open.pongs_to_lose > 0 => {
                open.pongs_to_lose -= 1;
                open.late_pongs.extend(open.pong_delay_ms.map(|delay| now_ms + delay));
            }
            Some("ping") => self.say(socket, Arc::from(PONG)),
            Some("subscribe") if self.settings.socket_subscribe => {
                let topics = message.topics.unwrap_or_default();
                self.socket_subscribe(socket, topics, message.correlation_id, now_ms);
            }
            Some(_) | None => {} // unknown messages are ignored (assumed)
        }
    }

    /// A client sent any frame, a ping of the protocol for one.
    pub fn client_frame(&mut self, socket: SocketId, now_ms: u64) {
        self.now_ms = now_ms;
        if let Some(open) = self.sockets.get_mut(&socket) {
            open.client_frame_ms = now_ms;
        }
    }

    /// A socket is gone, whoever ended it.
    pub fn socket_gone(&mut self, socket: SocketId, now_ms: u64) {
        self.now_ms = now_ms;
        self.detach(socket, How::Client, "");
    }

    /// A socket was cut because its reader left too much unread.
    pub fn socket_unread(&mut self, socket: SocketId, now_ms: u64) {
        self.now_ms = now_ms;
        self.detach(socket, How::Unread, "");
    }

    /// Time passed: heartbeats, ends of lives, faults.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        while self.faults.waiting.front().is_some_and(|fault| fault.at_ms <= now_ms) {
            if let Some(fault) = self.faults.waiting.pop_front() {
                self.apply(fault, now_ms);
            }
        }
        self.faults
            .active
            .retain(|active| active.left.map_or(now_ms < active.until_ms, |left| left > 0));
        self.channels.settle(now_ms);
        if let Some(at) = self.history.advance(&self.settings, self.wall_origin_ms + now_ms) {
            let body = format!(r#"{{"dataAvailabilityDate":"{}"}}"#, crate::json::iso(at));
            if self.channels.listeners(AVAILABILITY).next().is_some() {
                self.fan_out(AVAILABILITY, Some(&Arc::from(body)), None, now_ms);
            }
        }
        let ids: Vec<SocketId> = self.sockets.keys().copied().collect();
        for id in ids {
            self.tick_socket(id, now_ms);
        }
        let expired: Vec<String> = self
            .channels
            .all()
            .filter(|(_, channel)| channel.expires_ms <= now_ms)
            .map(|(id, _)| id.clone())
            .collect();
        for id in expired {
            self.end_channel(&id);
        }
    }

    fn tick_socket(&mut self, id: SocketId, now_ms: u64) {
        let settings = &self.settings;
        let Some(open) = self.sockets.get_mut(&id).filter(|open| !open.frozen) else {
            return;
        };
        let follows_token = open.channel.is_none() || settings.token_end_closes;
        let idle_since =
            if settings.idle_close_always { open.opened_ms } else { open.client_frame_ms };
        let idle_ms = settings.idle_close_ms;
        if let Some((at_ms, code, reason)) = open.close_at.take_if(|(at_ms, ..)| *at_ms <= now_ms) {
            debug_assert!(at_ms <= now_ms, "closes are never early");
            return self.close(id, code, &reason);
        }
        if follows_token && self.oauth.client_of(Some(&open.token), now_ms).is_err() {
            return self.close(id, 1000, "");
        }
        if idle_ms > 0 && now_ms >= idle_since + idle_ms {
            return self.close(id, 1001, "idle timeout");
        }
        let mut frames = Vec::new();
        frames.extend(open.held.take_if(|(until_ms, _)| *until_ms <= now_ms).map(|(_, text)| text));
        while open.late_pongs.front().is_some_and(|due_ms| *due_ms <= now_ms) {
            open.late_pongs.pop_front();
            frames.push(Arc::from(PONG));
        }
        let heartbeat_ms = settings.heartbeat_ms;
        if open.channel.is_some() && now_ms >= open.heartbeat_ms + heartbeat_ms {
            open.heartbeat_ms += heartbeat_ms;
            if open.no_heartbeat_until_ms <= now_ms {
                frames.push(Arc::from(HEARTBEAT));
            }
        }
        for frame in frames {
            self.say(id, frame);
        }
    }

    /// Whether an event can be put on a socket now.
    ///
    /// # Errors
    /// Why not, as the ledger words it.
    pub(crate) fn hears(
        &self,
        socket: Option<SocketId>,
        now_ms: u64,
    ) -> Result<SocketId, &'static str> {
        let id = socket.ok_or("not connected")?;
        let open = self.sockets.get(&id).ok_or("not connected")?;
        if open.frozen {
            return Err("half-open");
        }
        if open.silent_until_ms > now_ms {
            return Err("silence");
        }
        if self.full.contains(&id) {
            return Err("slow reader");
        }
        Ok(id)
    }

    /// Puts an event on a socket.
    ///
    /// # Errors
    /// Why it cannot be put there.
    pub(crate) fn put(&mut self, id: SocketId, text: Arc<str>) -> Result<(), &'static str> {
        let cap = self.settings.frame_cap_bytes;
        if cap > 0 && text.len() > cap {
            return Err("frame too large");
        }
        let (twice, later) = (self.settings.duplicate_share, self.settings.reorder_share);
        let twice = twice > 0.0 && self.rng.random_bool(twice);
        let later = later > 0.0 && self.rng.random_bool(later);
        let until_ms = self.now_ms + HELD_MS;
        let Some(open) = self.sockets.get_mut(&id) else { return Err("not connected") };
        if later && open.held.is_none() {
            open.held = Some((until_ms, text));
            return Ok(());
        }
        let held = open.held.take();
        if twice {
            self.say(id, Arc::clone(&text));
        }
        self.say(id, text);
        if let Some((_, held)) = held {
            self.say(id, held);
        }
        Ok(())
    }

    fn say(&mut self, id: SocketId, text: Arc<str>) {
        if let Some(open) = self.sockets.get_mut(&id) {
            open.frames += 1;
        }
        self.outputs.push_back(Output::Text(id, text));
    }

    pub(crate) fn open(&mut self, id: SocketId, socket: Socket, now_ms: u64) {
        self.counters_mut().opened += 1;
        let (client, number) = (socket.client.clone(), socket.number);
        self.sockets.insert(id, socket);
        let fault = self.active(What::AcceptClose, now_ms, |fault| match &fault.whom {
            Whom::Client(id) => *id == client,
            Whom::Channel(n) => *n == number,
            Whom::All | Whom::Oldest | Whom::Newest => true,
        });
        if let Some(fault) = fault {
            self.close(id, fault.args.code.unwrap_or(1001), "");
        }
    }

    /// Closes a socket; it is gone for the platform at once.
    pub(crate) fn close(&mut self, id: SocketId, code: u16, reason: &str) {
        if let Some((_, text)) = self.sockets.get_mut(&id).and_then(|open| open.held.take()) {
            self.say(id, text);
        }
        // 1006 is what a client reports when no close frame came
        let how = if code == 1006 { How::Reset } else { How::Close(code) };
        self.detach(id, how, reason);
        self.outputs.push_back(match code {
            1006 => Output::Reset(id),
            _ => Output::Close(id, code, reason.to_owned()),
        });
    }

    pub(crate) fn detach(&mut self, id: SocketId, how: How, reason: &str) {
        let Some(open) = self.sockets.remove(&id) else { return };
        let lasted_ms = self.now_ms.saturating_sub(open.opened_ms);
        let (at_ms, reason) = (self.now_ms, reason.to_owned());
        self.ends.note(End { at_ms, channel: open.number, how, reason, lasted_ms });
        if let Some(channel) = open.channel.and_then(|id| self.channels.get_mut(&id))
            && channel.socket == Some(id)
        {
            channel.socket = None;
            channel.used_ms = self.now_ms;
        }
    }

    fn kick(&mut self, id: SocketId) {
        if self.settings.announce_kick
            && let Some(channel) = self.sockets.get(&id).and_then(|open| open.channel.clone())
        {
            let body = json!({"channelId": channel, "systemTopicType": "no_longer_subscribed",
                              "reason": "another_channel_subscribed"});
            self.system(id, &format!("v2.system.no_longer_subscribed.{channel}"), &body);
        }
        self.close(id, self.settings.end_code, "");
    }

    pub(crate) fn end_channel(&mut self, id: &str) {
        if let Some(socket) = self.channels.remove(id).and_then(|channel| channel.socket) {
            self.close(socket, self.settings.end_code, "");
        }
    }

    pub(crate) fn system(&mut self, id: SocketId, topic: &str, body: &serde_json::Value) {
        let correlation = self.random_id();
        let text = json!({"topicName": topic, "version": "2", "eventBody": body,
                          "metadata": {"CorrelationId": correlation}});
        self.say(id, Arc::from(text.to_string()));
    }

    fn socket_subscribe(
        &mut self,
        socket: SocketId,
        topics: Vec<String>,
        correlation: Option<String>,
        now_ms: u64,
    ) {
        let Some(open) = self.sockets.get(&socket) else { return };
        let (token, id) = (open.token.clone(), open.channel.clone());
        let lives = self.oauth.client_of(Some(&token), now_ms).is_ok();
        let mut reply = match id.filter(|_| lives) {
            None => json!({"result": "404", "message": "channel not found"}),
            Some(id) => {
                let answer = self.change_subscriptions(&id, topics, false, false, now_ms);
                let body: serde_json::Value =
                    serde_json::from_str(&answer.body).unwrap_or_default();
                match answer.status {
                    200 => json!({"result": "200", "status": "subscribed"}),
                    _ => json!({"result": "400", "status": "failure", "message": body["message"]}),
                }
            }
        };
        if let Some(correlation) = correlation {
            reply["correlationId"] = correlation.into();
        }
        self.say(socket, Arc::from(reply.to_string()));
    }
}

impl Socket {
    pub(crate) fn new(
        channel: Option<String>,
        client: String,
        token: String,
        number: u64,
        now_ms: u64,
    ) -> Self {
        Self {
            channel,
            client,
            token,
            number,
            opened_ms: now_ms,
            frames: 0,
            frozen: false,
            silent_until_ms: 0,
            no_heartbeat_until_ms: 0,
            pongs_to_lose: 0,
            pong_delay_ms: None,
            close_at: None,
            heartbeat_ms: now_ms,
            client_frame_ms: now_ms,
            late_pongs: VecDeque::new(),
            held: None,
        }
    }
}

#[cfg(test)]
mod tests;
