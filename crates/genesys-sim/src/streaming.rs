//! Sockets: heartbeats, pongs behind events, idle close, direct mode, and the faults that hit them.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use crate::channels::SocketId;
use crate::cloud::{Active, Cloud, Output};
use crate::faults::{Applied, Fault, What, Whom};
use crate::http::Answer;

/// One open socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// The channel, or `None` for a direct connection.
    pub(crate) channel: Option<String>,
    pub(crate) client: String,
    /// As the ledger names it: the channel's number, or one of its own for a direct connection.
    pub(crate) number: u64,
    opened_ms: u64,
    heartbeat_ms: u64,
    client_frame_ms: u64,
    frozen: bool,
    silent_until_ms: u64,
    pongs_to_lose: u32,
    close_at: Option<(u64, u16, String)>,
}

const HEARTBEAT: &str =
    r#"{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}"#;
const PONG: &str = r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#;
/// Direct connections are numbered from here in the ledger, apart from channels.
const DIRECT_NUMBERS: u64 = 1_000_000;

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
        self.counters_mut().dials += 1;
        if self.is_out(now_ms) {
            return Err(Answer::cut());
        }
        self.refuse_by_fault("/channels/", now_ms)?;
        let known = self
            .channels
            .get(channel_id)
            .is_some_and(|channel| channel.expires_ms > now_ms);
        if !known {
            return Err(Answer::empty(self.settings.unknown_channel_status));
        }
        let socket = self.new_socket_id();
        let Some(channel) = self.channels.get_mut(channel_id) else {
            return Err(Answer::empty(self.settings.unknown_channel_status));
        };
        channel.used_ms = now_ms;
        let (client, number) = (channel.client.clone(), channel.number);
        let before = channel.socket.replace(socket);
        if let Some(before) = before {
            self.kick(before);
        }
        self.open(socket, Some(channel_id.to_owned()), client, number, now_ms);
        Ok(socket)
    }

    /// A client opens a direct connection.
    ///
    /// # Errors
    /// The HTTP answer that refuses the upgrade; status 0 cuts the connection.
    pub fn upgrade_direct(&mut self, token: Option<&str>, now_ms: u64) -> Result<SocketId, Answer> {
        self.counters_mut().dials += 1;
        if self.is_out(now_ms) {
            return Err(Answer::cut());
        }
        let path = self.settings.direct_path.clone();
        self.refuse_by_fault(&path, now_ms)?;
        let client = match self.oauth.client_of(token, now_ms) {
            Ok(client) => client,
            Err(bad) => {
                self.counters_mut().expired_dials +=
                    u64::from(bad == crate::oauth::BadToken::Expired);
                return Err(bad.answer());
            }
        };
        let limit = self.settings.direct_dials_per_minute;
        let key = format!("direct {client}");
        let verdict = self.limits.take(&key, limit, &self.settings, now_ms);
        let open = self
            .sockets
            .values()
            .filter(|s| s.channel.is_none() && s.client == client);
        if !verdict.allowed || open.count() >= self.settings.direct_connections {
            let answer = Answer::too_many(verdict.reset_secs, limit);
            self.count_refusal(&answer);
            return Err(answer);
        }
        let socket = self.new_socket_id();
        self.open(socket, None, client, DIRECT_NUMBERS + socket, now_ms);
        let (life, code) = (
            self.settings.direct_life_ms,
            self.settings.direct_close_code,
        );
        // about every 60 s: 55 to 65
        let at = now_ms + life - life / 12 + self.random_pair().0 % (life / 6).max(1);
        if let Some(open) = self.sockets.get_mut(&socket) {
            open.close_at = Some((at, code, "connection lifetime reached".to_owned()));
        }
        Ok(socket)
    }

    /// A client sent a text.
    pub fn client_text(&mut self, socket: SocketId, text: &str, now_ms: u64) {
        let Some(open) = self.sockets.get_mut(&socket) else {
            return;
        };
        open.client_frame_ms = now_ms;
        if open.frozen {
            return;
        }
        let Ok(message) = serde_json::from_str::<ClientMessage>(text) else {
            return;
        };
        match message.message.as_deref() {
            Some("ping") if open.pongs_to_lose > 0 => open.pongs_to_lose -= 1,
            Some("ping") => self
                .outputs
                .push_back(Output::Text(socket, Arc::from(PONG))),
            Some("subscribe") if self.settings.socket_subscribe => {
                let topics = message.topics.unwrap_or_default();
                self.socket_subscribe(socket, topics, message.correlation_id, now_ms);
            }
            Some(_) | None => {} // unknown messages are ignored (assumed)
        }
    }

    /// A socket is gone, whoever ended it.
    pub fn socket_gone(&mut self, socket: SocketId, now_ms: u64) {
        let Some(open) = self.sockets.remove(&socket) else {
            return;
        };
        if let Some(channel) = open.channel.and_then(|id| self.channels.get_mut(&id))
            && channel.socket == Some(socket)
        {
            channel.socket = None;
            channel.used_ms = now_ms;
        }
    }

    /// Time passed: heartbeats, ends of lives, faults.
    pub fn tick(&mut self, now_ms: u64) {
        while self
            .faults
            .waiting
            .front()
            .is_some_and(|fault| fault.at_ms <= now_ms)
        {
            if let Some(fault) = self.faults.waiting.pop_front() {
                self.apply(fault, now_ms);
            }
        }
        self.faults.active.retain(|active| {
            active
                .left
                .map_or(now_ms < active.until_ms, |left| left > 0)
        });
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
        let (heartbeat_ms, idle_ms) = (self.settings.heartbeat_ms, self.settings.idle_close_ms);
        let Some(open) = self.sockets.get_mut(&id) else {
            return;
        };
        if open.frozen {
            return;
        }
        if open
            .close_at
            .as_ref()
            .is_some_and(|(at, _, _)| *at <= now_ms)
        {
            if let Some((_, code, reason)) = open.close_at.take() {
                self.close(id, code, &reason);
            }
        } else if idle_ms > 0 && now_ms >= open.client_frame_ms + idle_ms {
            self.close(id, 1001, "idle timeout");
        } else if open.channel.is_some() && now_ms >= open.heartbeat_ms + heartbeat_ms {
            open.heartbeat_ms += heartbeat_ms;
            self.outputs
                .push_back(Output::Text(id, Arc::from(HEARTBEAT)));
        }
    }

    pub(crate) fn deliver(
        &mut self,
        socket: Option<SocketId>,
        topic: &str,
        body: &Arc<str>,
        now_ms: u64,
    ) -> Result<(), &'static str> {
        let socket = socket.ok_or("not connected")?;
        let open = self.sockets.get(&socket).ok_or("not connected")?;
        if open.frozen {
            return Err("half-open");
        }
        if open.silent_until_ms > now_ms {
            return Err("silence");
        }
        let (high, low) = self.random_pair();
        let text = format!(
            "{{\"topicName\":\"{topic}\",\"version\":\"2\",\"eventBody\":{body},\"metadata\":{{\"CorrelationId\":\"{high:016x}{low:016x}\"}}}}"
        );
        self.outputs
            .push_back(Output::Text(socket, Arc::from(text)));
        Ok(())
    }

    pub(crate) fn deliver_direct(
        &mut self,
        topic: &str,
        body: &Arc<str>,
        delivered: &mut Vec<u64>,
        dropped: &mut Vec<(u64, &'static str)>,
        now_ms: u64,
    ) {
        if !topic.ends_with(".conversations") {
            return;
        }
        let direct: Vec<(SocketId, u64)> = self
            .sockets
            .iter()
            .filter(|(_, open)| open.channel.is_none())
            .map(|(id, open)| (*id, open.number))
            .collect();
        for (id, number) in direct {
            match self.deliver(Some(id), topic, body, now_ms) {
                Ok(()) => delivered.push(number),
                Err(why) => dropped.push((number, why)),
            }
        }
    }

    /// Whether direct connections exist: they want every conversation.
    #[must_use]
    pub fn has_direct(&self) -> bool {
        self.sockets.values().any(|open| open.channel.is_none())
    }

    fn open(
        &mut self,
        id: SocketId,
        channel: Option<String>,
        client: String,
        number: u64,
        now_ms: u64,
    ) {
        self.counters_mut().opened += 1;
        let socket = Socket {
            channel,
            client,
            number,
            opened_ms: now_ms,
            heartbeat_ms: now_ms,
            client_frame_ms: now_ms,
            frozen: false,
            silent_until_ms: 0,
            pongs_to_lose: 0,
            close_at: None,
        };
        self.sockets.insert(id, socket);
        if let Some(fault) = self.active(What::AcceptClose, now_ms, |_| true) {
            self.close(id, fault.args.code.unwrap_or(1001), "");
        }
    }

    /// Closes a socket; it is gone for the platform at once.
    pub(crate) fn close(&mut self, id: SocketId, code: u16, reason: &str) {
        self.detach(id);
        self.outputs
            .push_back(Output::Close(id, code, reason.to_owned()));
    }

    fn detach(&mut self, id: SocketId) {
        if let Some(open) = self.sockets.remove(&id)
            && let Some(channel) = open.channel.and_then(|id| self.channels.get_mut(&id))
            && channel.socket == Some(id)
        {
            channel.socket = None;
        }
    }

    fn kick(&mut self, id: SocketId) {
        if self.settings.announce_kick
            && let Some(channel) = self.sockets.get(&id).and_then(|open| open.channel.clone())
        {
            let body = json!({"channelId": channel, "systemTopicType": "no_longer_subscribed",
                              "reason": "another_channel_subscribed"});
            self.system(
                id,
                &format!("v2.system.no_longer_subscribed.{channel}"),
                &body,
            );
        }
        let code = self.settings.end_code;
        self.sockets.remove(&id);
        self.outputs
            .push_back(Output::Close(id, code, String::new()));
    }

    pub(crate) fn end_channel(&mut self, id: &str) {
        let code = self.settings.end_code;
        if let Some(channel) = self.channels.remove(id)
            && let Some(socket) = channel.socket
        {
            self.sockets.remove(&socket);
            self.outputs
                .push_back(Output::Close(socket, code, String::new()));
        }
    }

    fn system(&mut self, id: SocketId, topic: &str, body: &serde_json::Value) {
        let correlation = self.random_id();
        let text = json!({"topicName": topic, "version": "2", "eventBody": body,
                          "metadata": {"CorrelationId": correlation}});
        self.outputs
            .push_back(Output::Text(id, Arc::from(text.to_string())));
    }

    fn socket_subscribe(
        &mut self,
        socket: SocketId,
        topics: Vec<String>,
        correlation: Option<String>,
        now_ms: u64,
    ) {
        let Some(id) = self
            .sockets
            .get(&socket)
            .and_then(|open| open.channel.clone())
        else {
            return;
        };
        let answer = self.change_subscriptions(&id, topics, false, false, now_ms);
        let mut reply = if answer.status == 200 {
            json!({"result": "200", "status": "subscribed"})
        } else {
            json!({"result": answer.status.to_string(), "status": "failure"})
        };
        if let Some(correlation) = correlation {
            reply["correlationId"] = correlation.into();
        }
        self.outputs
            .push_back(Output::Text(socket, Arc::from(reply.to_string())));
    }

    /// Sockets a fault concerns, the oldest first.
    fn whom(&self, whom: &Whom) -> Vec<SocketId> {
        let mut open: Vec<(u64, SocketId)> = self
            .sockets
            .iter()
            .map(|(id, open)| (open.opened_ms, *id))
            .collect();
        open.sort_unstable();
        let mut all = open.iter().map(|(_, id)| *id);
        match whom {
            Whom::All => all.collect(),
            Whom::Oldest => all.take(1).collect(),
            Whom::Newest => all.next_back().into_iter().collect(),
            Whom::Channel(number) => all
                .filter(|id| self.sockets.get(id).is_some_and(|s| s.number == *number))
                .collect(),
            Whom::Client(client) => all
                .filter(|id| self.sockets.get(id).is_some_and(|s| s.client == *client))
                .collect(),
        }
    }

    fn apply(&mut self, fault: Fault, now_ms: u64) {
        let sockets = self.whom(&fault.whom);
        let channels = sockets
            .iter()
            .filter_map(|id| self.sockets.get(id))
            .map(|open| open.number)
            .collect();
        let index = self.faults.applied.len();
        let effects = sockets.len() as u64;
        let mut applied = Applied {
            at_ms: now_ms,
            what: fault.what,
            channels,
            effects,
        };
        match fault.what {
            What::AcceptClose | What::HttpStatus | What::Slow | What::Outage => {
                (applied.channels, applied.effects) = (Vec::new(), 0);
                let (until_ms, left) = (now_ms + fault.for_ms, fault.args.count);
                if fault.what == What::Outage {
                    self.cut_everything(&mut applied);
                }
                self.faults.active.push(Active {
                    fault,
                    until_ms,
                    left,
                    index,
                });
            }
            What::BrokerDown => {
                (applied.channels, applied.effects) = (Vec::new(), 1);
                self.outputs.push_back(Output::BrokerDown {
                    for_ms: fault.for_ms,
                });
            }
            What::Revoke => {
                let client = match &fault.whom {
                    Whom::Client(client) => Some(client.as_str()),
                    Whom::All | Whom::Oldest | Whom::Newest | Whom::Channel(_) => None,
                };
                applied.effects = self.oauth.revoke_client(client) as u64;
                sockets.into_iter().for_each(|id| self.revoke_socket(id));
            }
            What::Reset
            | What::HalfOpen
            | What::Close
            | What::IdleClose
            | What::SocketClosing
            | What::Silence
            | What::LostPong
            | What::Evict
            | What::Expire => {
                for id in sockets {
                    self.hit(id, &fault, now_ms);
                }
            }
        }
        self.faults.applied.push(applied);
    }

    fn cut_everything(&mut self, applied: &mut Applied) {
        let ids: Vec<SocketId> = self.sockets.keys().copied().collect();
        for id in ids {
            applied
                .channels
                .extend(self.sockets.get(&id).map(|open| open.number));
            self.detach(id);
            self.outputs.push_back(Output::Reset(id));
        }
    }

    fn revoke_socket(&mut self, id: SocketId) {
        let code = self.settings.end_code;
        if let Some(channel) = self.sockets.get(&id).and_then(|open| open.channel.clone()) {
            let topic = format!("v2.system.token_revoked.{channel}");
            let body = json!({"channelId": channel, "systemTopicType": "token_revoked",
                              "reason": "user_tokens_revoked"});
            self.system(id, &topic, &body);
        }
        self.close(id, code, "");
    }

    fn hit(&mut self, id: SocketId, fault: &Fault, now_ms: u64) {
        let notice_ms = self.settings.closing_notice_ms;
        let Some(open) = self.sockets.get_mut(&id) else {
            return;
        };
        match fault.what {
            What::HalfOpen => {
                open.frozen = true;
                self.outputs.push_back(Output::Freeze(id));
            }
            What::Silence => open.silent_until_ms = now_ms + fault.for_ms,
            What::LostPong => open.pongs_to_lose += fault.args.count.unwrap_or(1),
            What::Reset => {
                self.detach(id);
                self.outputs.push_back(Output::Reset(id));
            }
            What::Close => {
                let reason = fault.args.reason.clone().unwrap_or_default();
                self.close(id, fault.args.code.unwrap_or(1000), &reason);
            }
            What::IdleClose => self.close(id, 1001, "idle timeout"),
            What::SocketClosing => {
                let wait = if fault.for_ms > 0 {
                    fault.for_ms
                } else {
                    notice_ms
                };
                if fault.args.close != Some(false) {
                    let code = fault.args.code.unwrap_or(1001);
                    open.close_at = Some((now_ms + wait, code, "maintenance".to_owned()));
                }
                let channel = open.channel.clone().unwrap_or_default();
                if fault.args.notice != Some(false) {
                    let body = json!({"channelId": channel, "message": "This socket will be closed in 60 seconds"});
                    self.system(id, "v2.system.socket_closing", &body);
                }
            }
            What::Evict | What::Expire => {
                if let Some(channel) = open.channel.clone() {
                    self.end_channel(&channel);
                }
            }
            What::AcceptClose
            | What::HttpStatus
            | What::Slow
            | What::Revoke
            | What::Outage
            | What::BrokerDown => {}
        }
    }
}
