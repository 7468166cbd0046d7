//! Body to facts.

use std::borrow::Cow;

use trunkline_protocol::domain::facts::{Facts, MediaLeg, Participant};
use trunkline_protocol::domain::{Disposition, Event};
use trunkline_protocol::text::Text;

use super::conversation::{Body, Leg, Party};
use super::detail::{self, Named};
use super::time::Time;

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
    let participants: Vec<Participant<'a>> = body
        .participants
        .unwrap_or_default()
        .into_iter()
        .map(|p| participant(p, named.list))
        .collect();
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

fn participant<'a>(party: Party<'a>, list: Option<&str>) -> Participant<'a> {
    let lists: [(&'static str, Option<Vec<Leg<'a>>>); 11] = [
        ("voice", party.calls),
        ("callback", party.callbacks),
        ("chat", party.chats),
        ("cobrowse", party.cobrowsesessions),
        ("email", party.emails),
        ("message", party.messages),
        ("internalmessage", party.internal_messages),
        ("screenmonitoring", party.screen_monitorings),
        ("screenshare", party.screenshares),
        ("social", party.social_expressions),
        ("video", party.videos),
    ];
    let mut legs = Vec::new();
    for (media, list) in lists {
        legs.extend(list.unwrap_or_default().into_iter().map(|one| leg(media, one)));
    }
    let (connected_time, end_time) = (time(party.connected_time), time(party.end_time));
    // a media-specific snapshot says of the participant what a generic one says of its leg
    if let Some(media) = list.and_then(media_of)
        && party.state.is_some()
    {
        legs.push(MediaLeg {
            leg_id: None,
            media_type: Cow::Borrowed(media),
            state: text(party.state),
            direction: lower(party.direction),
            disconnect_type: text(party.disconnect_type),
            held: party.held,
            provider: text(party.provider),
            connected_time,
            disconnected_time: end_time,
            hold_start_time: None,
        });
    }
    let wrapup_end = party.wrapup.as_ref().and_then(|wrapup| time(wrapup.end_time));
    let (wrapup_code, wrapup_notes) = match party.wrapup {
        Some(wrapup) => (text(wrapup.code), text(wrapup.notes)),
        None => (None, None),
    };
    Participant {
        participant_id: id(party.id),
        purpose: text(party.purpose),
        user_id: id(party.user_id).or_else(|| party.user.and_then(|user| id(user.id))),
        queue_id: id(party.queue_id).or_else(|| party.queue.and_then(|queue| id(queue.id))),
        ani: text(party.ani),
        dnis: text(party.dnis),
        connected_time: connected_time.or(time(party.start_time)),
        end_time,
        acw_start_time: time(party.start_acw_time),
        acw_end_time: time(party.end_acw_time).or(wrapup_end),
        wrapup_code,
        wrapup_notes,
        attributes: party
            .attributes
            .map(|map| map.0.into_iter().map(|(k, v)| (k.0, v.0)).collect()),
        legs,
    }
}

fn leg<'a>(media: &'static str, leg: Leg<'a>) -> MediaLeg<'a> {
    MediaLeg {
        leg_id: id(leg.id),
        media_type: Cow::Borrowed(media),
        state: text(leg.state),
        direction: lower(leg.direction),
        disconnect_type: text(leg.disconnect_type),
        held: leg.held,
        provider: text(leg.provider),
        connected_time: time(leg.connected_time),
        disconnected_time: time(leg.disconnected_time),
        hold_start_time: time(leg.start_hold_time),
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

fn time(time: Option<Time>) -> Option<i64> {
    time.and_then(|time| time.0)
}

fn text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0)
}

/// An empty id is none.
fn id(id: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text(id).filter(|id| !id.is_empty())
}

/// The vendor writes one vocabulary in capitals here and lowercase there.
fn lower(word: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text(word).map(|word| match word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(word.to_ascii_lowercase()),
        false => word,
    })
}

#[cfg(test)]
mod tests;
