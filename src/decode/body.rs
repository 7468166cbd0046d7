//! Body to facts.

use std::borrow::Cow;

use trunkline_protocol::cursor::{Cursor, Problem};
use trunkline_protocol::domain::facts::{Facts, Participant};
use trunkline_protocol::domain::{Disposition, Event};

use super::conversation::Body;
use super::detail::{self, Named};
use super::party::OWN;

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

/// Reads the body of an event.
///
/// # Errors
/// [`BodyError`] when the body is no object or a field that is used has another type than it can
/// have.
pub fn read(event: &Event) -> Result<Facts<'_>, BodyError> {
    let text = event.body();
    if !text.starts_with('{') {
        return Err(BodyError { field: ".".to_owned(), problem: "is not an object" });
    }
    let cursor = match &event.quotes {
        Some(quotes) => Cursor::with_quotes(text, quotes),
        None => Cursor::new(text),
    };
    let body = Body::read(cursor).map_err(|fault| BodyError {
        field: fault.path(),
        problem: match fault.problem() {
            Problem::Kind => "has a type it cannot have",
            Problem::Syntax => "is not JSON",
        },
    })?;
    Ok(facts(body, detail::read(event.class, event.topic())))
}

fn facts<'a>(mut body: Body<'a>, named: Named<'a>) -> Facts<'a> {
    let event_time = body.event_time.or(body.metric_date).or(body.timestamp);
    let snapshot = body.participants.is_some() || named.event_type == "conversation.snapshot";
    let media = named.list.and_then(media_of);
    let mut participants = body.participants.unwrap_or_default();
    participants.iter_mut().for_each(|participant| own_leg(participant, media));
    let first_leg = participants.iter().flat_map(|p| &p.legs).next();
    let conversation_id = body
        .conversation_id
        .or_else(|| named.conversation.map(Cow::Borrowed))
        .or(body.referred_id)
        .or_else(|| body.id.filter(|_| snapshot));
    body.divisions.extend(body.division_id);
    Facts {
        event_type: named.event_type,
        conversation_id,
        queue_id: named.queue.map(Cow::Borrowed).or(body.queue_id),
        user_id: named.user.map(Cow::Borrowed).or(body.user_id),
        media_type: body.media_type.or_else(|| first_leg.map(|leg| leg.media_type.clone())),
        direction: body.direction.or_else(|| first_leg.and_then(|leg| leg.direction.clone())),
        ani: body.ani.or_else(|| participants.iter().find_map(|p| p.ani.clone())),
        dnis: body.dnis.or_else(|| participants.iter().find_map(|p| p.dnis.clone())),
        external_tag: body.external_tag,
        division_ids: body.divisions,
        event_time,
        version: participants.iter().filter_map(newest).chain(event_time).max(),
        conversation_state: state(&participants),
        participants,
    }
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
