//! What history knows of one conversation: everything that happened in it, and when.

use serde_json::{Map, Value, json};

use super::body::{self, Odd, Shape};
use super::conversation::{Conversation, Participant, Route};
use super::org::Org;
use crate::json::iso;

/// A conversation as it was last heard of, and the times of its changes.
#[derive(Clone, Debug)]
pub struct Story {
    conversation: Conversation,
    /// When it began, milliseconds since 1970.
    pub start_ms: u64,
    /// Of each change: when it happened (since 1970), and when it was fanned out (simulation).
    changes: Vec<(u64, u64)>,
}

/// What the nightly pipeline changes about a row that everybody took for final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// A segment that nobody had seen.
    AddedSegment,
    /// Another way of ending.
    ChangedDisconnect,
}

/// Attributes are cut to so many characters in jobs (documented).
const CUT: usize = 1_024;

impl Story {
    /// Begins with the first change.
    pub(super) fn new(conversation: Conversation, event_ms: u64, deliver_ms: u64) -> Self {
        let changes = vec![(event_ms, deliver_ms)];
        Self { conversation, start_ms: event_ms, changes }
    }

    /// The conversation's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.conversation.id
    }

    /// Another change of the same conversation.
    pub fn goes_on(&mut self, later: Self) {
        self.conversation = later.conversation;
        self.changes.extend(later.changes);
    }

    /// When it ended, milliseconds since 1970.
    #[must_use]
    pub fn end_ms(&self) -> Option<u64> {
        let ends = self.conversation.participants.iter().map(|participant| participant.ended_ms);
        ends.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }

    /// When its last change happened.
    #[must_use]
    pub fn last_ms(&self) -> u64 {
        self.changes.iter().map(|change| change.0).max().unwrap_or(self.start_ms)
    }

    /// Its changes: when each happened (since 1970), and was fanned out (simulation).
    #[must_use]
    pub fn changes(&self) -> &[(u64, u64)] {
        &self.changes
    }

    /// The conversation as its own interface shows it.
    #[must_use]
    pub fn conversation(&self, org: &Org) -> Value {
        let now_ms = self.last_ms();
        let text = body::write(Shape::Generic, &self.conversation, org, Odd::default(), now_ms, 0);
        let mut whole: Value = serde_json::from_str(&text).unwrap_or_default();
        whole["startTime"] = iso(self.start_ms).into();
        if let Some(end) = self.end_ms() {
            whole["endTime"] = iso(end).into();
        }
        let people = whole["participants"].as_array_mut().into_iter().flatten();
        for (shown, who) in people.zip(&self.conversation.participants) {
            shown["startTime"] = iso(who.joined_ms).into();
            shown.as_object_mut().and_then(|shown| shown.remove("wrapupExpected"));
        }
        whole
    }

    /// The row with everything of the changes that `shows` says yes to; `None` when it shows none.
    #[must_use]
    pub fn row(
        &self,
        org: &Org,
        shows: impl Fn((u64, u64)) -> bool,
        attributes: bool,
        rewritten: Option<Rewrite>,
    ) -> Option<Value> {
        let shown: Vec<u64> =
            self.changes.iter().filter(|change| shows(**change)).map(|change| change.0).collect();
        let until = *shown.iter().max()?;
        let mut row = json!({
            "conversationId": self.conversation.id, "conversationStart": iso(self.start_ms),
            "originatingDirection": "inbound", "divisionIds": [org.home()],
        });
        if let Some(end) = self.end_ms().filter(|end| *end <= until) {
            row["conversationEnd"] = iso(end).into();
        }
        let joined = self.conversation.participants.iter().filter(|p| p.joined_ms <= until);
        let mut participants: Vec<Value> = joined
            .map(|participant| self.participant(participant, org, until, attributes))
            .collect();
        if let Some(session) =
            participants.first_mut().and_then(|first| first.pointer_mut("/sessions/0"))
        {
            let metric = |at: &u64| json!({"name": "tHeld", "value": 1, "emitDate": iso(*at)});
            session["metrics"] = shown.iter().map(metric).collect();
            rewrite(session, rewritten, self.start_ms);
        }
        row["participants"] = participants.into();
        Some(row)
    }

    fn participant(&self, who: &Participant, org: &Org, until: u64, attributes: bool) -> Value {
        let user = who.user.and_then(|user| org.users.get(user));
        let mut participant = json!({"participantId": who.id, "purpose": who.purpose});
        let mut session = json!({
            "sessionId": who.leg_id, "mediaType": self.conversation.media.upper().to_lowercase(),
            "direction": "inbound", "provider": "Sim Edge",
        });
        if let Some(user) = user {
            participant["userId"] = user.id.as_str().into();
        }
        if let Some(name) = &who.name {
            participant["participantName"] = name.as_str().into();
        }
        if who.purpose == "customer" {
            session["ani"] = "tel:+15550100042".into();
            session["dnis"] = "tel:+15550100001".into();
            if attributes {
                let all = self.conversation.attributes.iter();
                let all: Map<String, Value> = all.map(|(k, v)| (cut(k), cut(v).into())).collect();
                participant["attributes"] = all.into();
            }
        }
        session["segments"] = self.segments(who, org, until).into();
        participant["sessions"] = json!([session]);
        participant
    }

    fn segments(&self, who: &Participant, org: &Org, until: u64) -> Vec<Value> {
        let queue = match self.conversation.route {
            Route::Queue(queue) if who.purpose != "customer" => org.queues.get(queue),
            Route::Queue(_) | Route::FlowOnly | Route::Direct => None,
        };
        let ended = who.ended_ms.filter(|at| *at <= until);
        let connected = who.connected_ms.filter(|at| *at <= until);
        let segment = |kind: &str, from: u64, to: Option<u64>, how: Option<&str>| {
            let mut segment =
                json!({"segmentStart": iso(from), "segmentType": kind, "conference": false});
            if let Some(to) = to {
                segment["segmentEnd"] = iso(to).into();
            }
            if let Some(how) = how {
                segment["disconnectType"] = how.into();
            }
            if let Some(queue) = queue {
                segment["queueId"] = queue.id.as_str().into();
            }
            segment
        };
        let how = ended.and(who.disconnect).map(|how| match how {
            "transfer.noanswer" => "noAnswerTransfer",
            other => other,
        });
        let mut all = Vec::new();
        match (who.purpose, connected) {
            ("agent", None) => all.push(segment("alert", who.joined_ms, ended, how)),
            ("agent", Some(at)) => {
                if at > who.joined_ms {
                    all.push(segment("alert", who.joined_ms, Some(at), None));
                }
                all.push(segment("interact", at, ended, how));
            }
            ("ivr", _) => all.push(segment("ivr", who.joined_ms, ended, how)),
            _ => all.push(segment("interact", who.joined_ms, ended, how)),
        }
        if let (Some(from), Some(to)) = (ended, who.wrapup_ms) {
            let mut wrapup = segment("wrapup", from, Some(to), None);
            wrapup["wrapUpCode"] = "resolved-remotely".into();
            all.push(wrapup);
        }
        all
    }
}

/// An attribute's key or value as jobs show it.
#[must_use]
pub fn cut(text: &str) -> String {
    text.chars().take(CUT).collect()
}

fn rewrite(session: &mut Value, how: Option<Rewrite>, start_ms: u64) {
    let Some(segments) = session["segments"].as_array_mut() else { return };
    match (how, segments.last_mut()) {
        (Some(Rewrite::AddedSegment), _) => segments.push(json!({
            "segmentStart": iso(start_ms), "segmentEnd": iso(start_ms + 1),
            "segmentType": "system", "conference": false, "disconnectType": "system",
        })),
        (Some(Rewrite::ChangedDisconnect), Some(last)) => {
            last["disconnectType"] = "system".into();
        }
        (Some(Rewrite::ChangedDisconnect), None) | (None, _) => {}
    }
}
