//! Body to facts.

use std::borrow::Cow;

use trunkline_protocol::domain::facts::{Facts, Participant};
use trunkline_protocol::domain::{Disposition, Event};
use trunkline_protocol::text::Text;

use super::conversation::Body;
use super::detail::{self, Named};
use super::party::OWN;
use super::word::{id, lower, text, time};

/// Why a body cannot become facts. Names the field, never its value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("field {field} {problem}")]
pub struct BodyError {
    /// Path of the field, e.g. `participants[0].calls[1].held`; `.` is the body itself.
    pub field: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl BodyError {
    /// A body stays as it is, however often it is read.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        Disposition::Quarantine
    }
}

/// The topic with `{id}` in the place of every id.
#[must_use]
pub fn topic_class(topic: &str) -> String {
    detail::class_of(topic)
}

/// Reads the body of an event.
///
/// # Errors
/// [`BodyError`] when the body is no object or a field that is used has another type than it can
/// have.
pub fn read(event: &Event) -> Result<Facts<'_>, BodyError> {
    let text = event.body();
    let body: Body<'_> = if text.starts_with('{') {
        serde_json::from_str(text).map_err(|_| locate(text))?
    } else {
        return Err(BodyError { field: ".".to_owned(), problem: "is not an object" });
    };
    Ok(facts(body, detail::read(event.class, event.topic())))
}

/// Reads once more, this time keeping the path: only a body that failed pays for it.
fn locate(text: &str) -> BodyError {
    let mut json = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, Body<'_>>(&mut json) {
        Ok(_) => BodyError { field: ".".to_owned(), problem: "is followed by something else" },
        Err(error) => {
            let problem = match error.inner().classify() {
                serde_json::error::Category::Data => "has a type it cannot have",
                serde_json::error::Category::Syntax
                | serde_json::error::Category::Eof
                | serde_json::error::Category::Io => "is not JSON",
            };
            BodyError { field: error.path().to_string(), problem }
        }
    }
}

fn facts<'a>(body: Body<'a>, named: Named<'a>) -> Facts<'a> {
    let event_time = time(body.event_time).or(time(body.metric_date)).or(time(body.timestamp));
    let snapshot = body.participants.is_some() || named.event_type == "conversation.snapshot";
    let media = named.list.and_then(media_of);
    let mut participants = body.participants.unwrap_or_default().0;
    participants.iter_mut().for_each(|participant| own_leg(participant, media));
    let first_leg = participants.iter().flat_map(|p| &p.legs).next();
    let conversation_id = id(body.conversation_id)
        .or_else(|| named.conversation.map(Cow::Borrowed))
        .or_else(|| body.conversation.and_then(|reference| id(reference.id)))
        .or_else(|| if snapshot { id(body.id) } else { None });
    Facts {
        event_type: named.event_type,
        conversation_id,
        queue_id: named.queue.map(Cow::Borrowed).or_else(|| id(body.queue_id)),
        user_id: named.user.map(Cow::Borrowed).or_else(|| id(body.user_id)),
        media_type: lower(body.media_type).or_else(|| first_leg.map(|leg| leg.media_type.clone())),
        direction: lower(body.direction)
            .or_else(|| first_leg.and_then(|leg| leg.direction.clone())),
        ani: text(body.ani).or_else(|| participants.iter().find_map(|p| p.ani.clone())),
        dnis: text(body.dnis).or_else(|| participants.iter().find_map(|p| p.dnis.clone())),
        external_tag: text(body.external_tag),
        division_ids: divisions(body.divisions, body.division_id),
        event_time,
        version: participants.iter().filter_map(newest).chain(event_time).max(),
        conversation_state: state(&participants),
        participants,
    }
}

fn divisions<'a>(
    memberships: Option<Vec<super::conversation::Membership<'a>>>,
    single: Option<Text<'a>>,
) -> Vec<Cow<'a, str>> {
    let many = memberships.unwrap_or_default().into_iter().filter_map(|m| id(m.division?.id));
    many.chain(id(single)).collect()
}

/// A media-specific snapshot says of the participant what a generic one says of its leg.
fn own_leg(participant: &mut Participant<'_>, media: Option<&'static str>) {
    if participant.legs.last().is_some_and(|leg| leg.media_type == OWN) {
        match (media, participant.legs.last_mut()) {
            (Some(media), Some(leg)) => leg.media_type = Cow::Borrowed(media),
            (Some(_) | None, _) => _ = participant.legs.pop(),
        }
    }
}

fn media_of(list: &str) -> Option<&'static str> {
    Some(match list {
        "calls" => "voice",
        "callbacks" => "callback",
        "chats" => "chat",
        "cobrowsesessions" | "cobrowseSessions" => "cobrowse",
        "emails" => "email",
        "messages" => "message",
        "screenshares" => "screenshare",
        "socialexpressions" => "social",
        "videos" => "video",
        _ => return None,
    })
}

fn newest(participant: &Participant<'_>) -> Option<i64> {
    let own = [
        participant.connected_time,
        participant.end_time,
        participant.acw_start_time,
        participant.acw_end_time,
    ];
    let legs = participant
        .legs
        .iter()
        .flat_map(|leg| [leg.connected_time, leg.disconnected_time, leg.hold_start_time]);
    own.into_iter().chain(legs).flatten().max()
}

/// What the legs say of the whole: connected while anybody is, disconnected when everybody is.
fn state<'a>(participants: &[Participant<'a>]) -> Option<Cow<'a, str>> {
    let states = || participants.iter().flat_map(|p| &p.legs).filter_map(|leg| leg.state.as_ref());
    states()
        .find(|state| *state == "connected")
        .or_else(|| states().find(|state| !matches!(&***state, "disconnected" | "terminated")))
        .or_else(|| states().next())
        .cloned()
}

#[cfg(test)]
mod tests;
