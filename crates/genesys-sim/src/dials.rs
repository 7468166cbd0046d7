//! Every attempt to open a socket, on record; and the direct mode, which has no channels.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;

use crate::channels::SocketId;
use crate::cloud::Cloud;
use crate::http::Answer;
use crate::oauth::BadToken;
use crate::settings::DirectFrames;
use crate::streaming::Socket;

/// What was dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The socket of a channel.
    Channel,
    /// A direct connection.
    Direct,
}

/// One attempt to open a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dial {
    /// When.
    pub at_ms: u64,
    /// What.
    pub kind: Kind,
    /// By whom, as far as known.
    pub client: Option<String>,
    /// How old the token was, where it is known.
    pub token_age_ms: Option<u64>,
    /// The answer; 0 for a connection that was cut.
    pub status: u16,
}

/// Direct connections are numbered from here in the ledger, apart from channels.
const DIRECT_NUMBERS: u64 = 1_000_000;
/// Whoever dials oftener than this has his oldest dials forgotten.
const KEPT: usize = 100_000;
const PERMISSION: &str = "analytics:conversationDetail:view";

impl Cloud {
    /// Attempts to open a socket, the last 100,000 of them.
    #[must_use]
    pub fn dials(&self) -> &VecDeque<Dial> {
        &self.dials
    }

    pub(crate) fn record_dial(
        &mut self,
        kind: Kind,
        client: Option<String>,
        token: Option<&str>,
        answer: &Result<SocketId, Answer>,
        now_ms: u64,
    ) {
        self.counters_mut().dials += 1;
        if self.dials.len() >= KEPT {
            self.dials.pop_front();
        }
        let token_age_ms = token.and_then(|token| self.oauth.age_ms(token, now_ms));
        let status = answer.as_ref().map_or_else(|refusal| refusal.status, |_| 101);
        self.dials.push_back(Dial { at_ms: now_ms, kind, client, token_age_ms, status });
    }

    /// A client opens a direct connection.
    ///
    /// # Errors
    /// The HTTP answer that refuses the upgrade; status 0 cuts the connection.
    pub fn upgrade_direct(&mut self, token: Option<&str>, now_ms: u64) -> Result<SocketId, Answer> {
        self.now_ms = now_ms;
        let client = self.oauth.client_of(token, now_ms);
        let opened = self.try_direct(token, &client, now_ms);
        self.record_dial(Kind::Direct, client.ok(), token, &opened, now_ms);
        let context = self.random_id();
        opened.map_err(|refusal| refusal.with_context(&context))
    }

    fn try_direct(
        &mut self,
        token: Option<&str>,
        client: &Result<String, BadToken>,
        now_ms: u64,
    ) -> Result<SocketId, Answer> {
        if self.is_out(now_ms) {
            return Err(Answer::cut());
        }
        let expired = matches!(client, Err(BadToken::Expired));
        self.counters_mut().expired_dials += u64::from(expired);
        let path = self.settings.direct_path.clone();
        self.refuse_by_fault(&path, client.as_deref().ok(), now_ms)?;
        let client = client.as_ref().map_err(|bad| bad.answer())?;
        if self.lacks(PERMISSION) {
            return Err(Answer::forbidden(PERMISSION));
        }
        let limit = self.settings.direct_dials_per_minute;
        let key = format!("direct {client}");
        let verdict = self.limits.take(&key, limit, &self.settings, now_ms);
        let open = self.sockets.values().filter(|s| s.channel.is_none() && s.client == *client);
        if !verdict.allowed || open.count() >= self.settings.direct_connections {
            let mut answer = self.too_many(verdict.reset_secs, limit);
            if !self.settings.direct_retry_after {
                answer.headers.retain(|(name, _)| *name != "Retry-After");
            }
            self.count_refusal(&answer);
            return Err(answer);
        }
        let id = self.new_socket_id();
        let token = token.unwrap_or_default().to_owned();
        let mut socket = Socket::new(None, client.clone(), token, DIRECT_NUMBERS + id, now_ms);
        let (life, code) = (self.settings.direct_life_ms, self.settings.direct_close_code);
        // about every 60 s: 55 to 65
        let at = now_ms + life - life / 12 + self.random_pair().0 % (life / 6).max(1);
        socket.close_at = Some((at, code, "connection lifetime reached".to_owned()));
        self.open(id, socket, now_ms);
        Ok(id)
    }

    pub(crate) fn deliver_direct(
        &mut self,
        topic: &str,
        body: &Arc<str>,
        delivered: &mut Vec<u64>,
        dropped: &mut Vec<(u64, &'static str)>,
        now_ms: u64,
    ) {
        let frames = self.settings.direct_frames;
        if !wanted_directly(frames, topic) {
            return;
        }
        let direct = self.sockets.iter().filter(|(_, open)| open.channel.is_none());
        let direct: Vec<(SocketId, u64)> = direct.map(|(id, open)| (*id, open.number)).collect();
        for (id, number) in direct {
            let put = self.hears(Some(id), now_ms).and_then(|id| {
                let text = match frames {
                    DirectFrames::Bare => Arc::clone(body),
                    DirectFrames::List => Arc::from(format!("[{body}]")),
                    DirectFrames::DetailEvents | DirectFrames::Snapshots => {
                        self.envelope(topic, body)
                    }
                };
                self.put(id, text)
            });
            match put {
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
}

/// Whether direct connections with such frames carry this topic.
pub(crate) fn wanted_directly(frames: DirectFrames, topic: &str) -> bool {
    match frames {
        DirectFrames::Snapshots => topic.ends_with(".conversations"),
        DirectFrames::DetailEvents | DirectFrames::Bare | DirectFrames::List => {
            topic.starts_with("v2.detail.events.conversation.")
        }
    }
}
