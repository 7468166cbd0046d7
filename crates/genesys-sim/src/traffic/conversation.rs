//! One conversation and how it goes on: the life-cycle every medium shares.

use rand::Rng;
use rand::rngs::StdRng;

use super::org::{Org, person, uuid};

/// Media of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Media {
    /// Telephone.
    Voice,
    /// Web chat.
    Chat,
    /// E-mail.
    Email,
    /// Call-back.
    Callback,
    /// Messaging.
    Message,
}

impl Media {
    /// Every medium.
    pub(super) const ALL: [Self; 5] =
        [Self::Voice, Self::Chat, Self::Email, Self::Callback, Self::Message];

    /// Name of the list of legs in a participant, and of the media-specific topic.
    #[must_use]
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Voice => "calls",
            Self::Chat => "chats",
            Self::Email => "emails",
            Self::Callback => "callbacks",
            Self::Message => "messages",
        }
    }

    /// Name in detail events.
    #[must_use]
    pub(super) fn upper(self) -> &'static str {
        match self {
            Self::Voice => "VOICE",
            Self::Chat => "CHAT",
            Self::Email => "EMAIL",
            Self::Callback => "CALLBACK",
            Self::Message => "MESSAGE",
        }
    }
}

/// Somebody in a conversation.
#[derive(Clone, Debug)]
pub(super) struct Participant {
    pub(super) id: String,
    pub(super) leg_id: String,
    pub(super) purpose: &'static str,
    pub(super) name: Option<String>,
    pub(super) user: Option<usize>,
    pub(super) state: &'static str,
    pub(super) disconnect: Option<&'static str>,
    pub(super) held: bool,
    pub(super) joined_ms: u64,
    pub(super) connected_ms: Option<u64>,
    pub(super) ended_ms: Option<u64>,
    pub(super) wrapup_ms: Option<u64>,
}

/// How a conversation reaches people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Through a queue.
    Queue(usize),
    /// Never leaves the flow: on no queue topic and no user topic.
    FlowOnly,
    /// From one person to another: user topics only.
    Direct,
}

/// One conversation.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    pub(super) id: String,
    pub(super) media: Media,
    pub(super) route: Route,
    pub(super) participants: Vec<Participant>,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) steps: u32,
    pub(super) detail: &'static str,
    pub(super) large: bool,
    /// When the last thing happened, if that is fixed.
    pub(super) happened_ms: Option<u64>,
    /// When the agent started anew without having ended.
    restarted_ms: Option<u64>,
    over: bool,
    orphan: bool,
}

/// So much later than the new start the end of the earlier one is told, as seen in the field.
const LATE_END_MS: u64 = 175;

impl Conversation {
    /// A customer arrives.
    pub(super) fn begin(
        org: &Org,
        awkward: f64,
        large: f64,
        now_ms: u64,
        rng: &mut StdRng,
    ) -> Self {
        let media = Media::ALL[rng.random_range(0..Media::ALL.len())];
        let route = match rng.random_range(0..100) {
            0..4 => Route::FlowOnly,
            4..7 => Route::Direct,
            // skewed: half of what is left goes to the first queue, and so on
            _ => {
                let mut queue = 0;
                while queue + 1 < org.queues.len() && rng.random_bool(0.6) {
                    queue += 1;
                }
                org.live_queue(queue).map_or(Route::FlowOnly, Route::Queue)
            }
        };
        let mut attributes = vec![
            (
                "context.customerNumber".to_owned(),
                format!("K-{:07}", rng.random_range(0..9_999_999)),
            ),
            (
                "context.email".to_owned(),
                format!("c{}@guest.example.com", rng.random_range(0..99_999)),
            ),
            (
                "language".to_owned(),
                ["de-DE", "en-GB", "fr-FR", "ja-JP"][rng.random_range(0..4)].to_owned(),
            ),
        ];
        if rng.random_bool(awkward) {
            attributes
                .push(("LLM (AW) \"question\"".to_owned(), "Wie \\ groß\tist das?\n💥".to_owned()));
            attributes.push(("context.empty".to_owned(), String::new()));
        }
        let mut conversation = Self {
            id: uuid(rng),
            media,
            route,
            participants: Vec::new(),
            attributes,
            steps: 0,
            detail: "customer.start",
            large: rng.random_bool(large),
            happened_ms: None,
            restarted_ms: None,
            over: false,
            orphan: rng.random_bool(0.01),
        };
        let name = person(rng);
        conversation.join("customer", Some(name), None, "connected", now_ms, rng);
        conversation
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The next thing happens.
    pub(super) fn advance(&mut self, org: &Org, now_ms: u64, rng: &mut StdRng) {
        self.steps += 1;
        if let Some(at_ms) = self.restarted_ms.take() {
            self.detail = "user.end"; // of what the agent did before: the agent stays
            self.happened_ms = Some(at_ms + LATE_END_MS);
            return;
        }
        match (self.route, self.agent_state()) {
            (Route::FlowOnly, _) => self.flow_only(now_ms, rng),
            (Route::Direct | Route::Queue(_), None)
                if self.last_purpose() == "customer" && self.route != Route::Direct =>
            {
                self.detail = "acd.start";
                self.join("acd", None, None, "connected", now_ms, rng);
            }
            (Route::Direct | Route::Queue(_), None) => self.offer(org, now_ms, rng),
            (Route::Direct | Route::Queue(_), Some("alerting")) if rng.random_bool(0.2) => {
                self.detail = "user.end"; // rejected or not answered: the conversation goes on
                self.leave_last(now_ms, "transfer.noanswer");
            }
            (Route::Direct | Route::Queue(_), Some("alerting")) => {
                self.detail = "user.start";
                self.change_last(|agent| {
                    agent.state = "connected";
                    agent.connected_ms = Some(now_ms);
                });
            }
            (Route::Direct | Route::Queue(_), Some(_)) => self.talk(now_ms, rng),
        }
        if self.steps > 40 {
            self.over = true;
        }
    }

    fn flow_only(&mut self, now_ms: u64, rng: &mut StdRng) {
        if self.participants.len() == 1 {
            self.detail = "flow.start";
            self.join("ivr", None, None, "connected", now_ms, rng);
        } else {
            self.detail = "flow.end";
            self.finish(now_ms);
        }
    }

    fn offer(&mut self, org: &Org, now_ms: u64, rng: &mut StdRng) {
        if self.participants.len() > 6 {
            self.detail = "customer.end";
            self.finish(now_ms); // nobody answers: abandoned
            return;
        }
        self.detail = "user.start";
        let user = (!org.users.is_empty())
            .then(|| rng.random_range(0..org.users.len()))
            .and_then(|user| org.live_user(user));
        let name = user.and_then(|user| org.users.get(user)).map(|user| user.name.clone());
        self.join("agent", name, user, "alerting", now_ms, rng);
    }

    fn talk(&mut self, now_ms: u64, rng: &mut StdRng) {
        match rng.random_range(0..10) {
            0..2 if self.media == Media::Email => {
                self.detail = "user.start"; // a reply with several actions
                self.restarted_ms = Some(now_ms);
            }
            0..5 => {
                self.detail = "attributes";
                let turn = format!("turn-{}", self.steps);
                self.attributes.push((turn, person(rng)));
                self.change_last(|agent| agent.held = !agent.held);
            }
            5 => {
                self.detail = "user.end"; // handed to somebody else
                self.leave_last(now_ms, "transfer");
            }
            _ if self.orphan => self.over = true, // nothing more is ever heard of it
            _ => {
                self.detail = "customer.end";
                self.finish(now_ms);
            }
        }
    }

    fn finish(&mut self, now_ms: u64) {
        for participant in &mut self.participants {
            if participant.ended_ms.is_none() {
                participant.state = "disconnected";
                participant.disconnect = Some("client");
                participant.ended_ms = Some(now_ms);
                if participant.purpose == "agent" {
                    participant.wrapup_ms = Some(now_ms + 5_000);
                }
            }
        }
        self.over = true;
    }

    fn join(
        &mut self,
        purpose: &'static str,
        name: Option<String>,
        user: Option<usize>,
        state: &'static str,
        now_ms: u64,
        rng: &mut StdRng,
    ) {
        self.participants.push(Participant {
            id: uuid(rng),
            leg_id: uuid(rng),
            purpose,
            name,
            user,
            state,
            disconnect: None,
            held: false,
            joined_ms: now_ms,
            connected_ms: (state == "connected").then_some(now_ms),
            ended_ms: None,
            wrapup_ms: None,
        });
    }

    fn agent_state(&self) -> Option<&'static str> {
        let last = self.participants.last()?;
        (last.purpose == "agent" && last.ended_ms.is_none()).then_some(last.state)
    }

    fn last_purpose(&self) -> &'static str {
        self.participants.last().map_or("", |participant| participant.purpose)
    }

    fn change_last(&mut self, change: impl FnOnce(&mut Participant)) {
        if let Some(last) = self.participants.last_mut() {
            change(last);
        }
    }

    fn leave_last(&mut self, now_ms: u64, how: &'static str) {
        self.change_last(|agent| {
            agent.state = "disconnected";
            agent.disconnect = Some(how);
            agent.ended_ms = Some(now_ms);
        });
    }
}
