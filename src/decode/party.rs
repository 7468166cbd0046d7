//! Participants, generic or media-specific, read straight into the facts.

use std::borrow::Cow;

use trunkline_protocol::cursor::{Cursor, Fault};
use trunkline_protocol::domain::facts::{MediaLeg, Participant};

use super::conversation::{Wrapup, attributes, leg, reference};
use super::word::{id, lower, time};

/// Medium of a leg that a participant is itself: the topic tells which.
pub(super) const OWN: &str = "";

/// All participants of a body; `None` for null.
pub(super) fn parties<'a>(value: &mut Cursor<'a>) -> Result<Option<Vec<Participant<'a>>>, Fault> {
    let mut all = Vec::with_capacity(4);
    let there = value.array(|value| {
        all.push(party(value)?);
        Ok(())
    })?;
    Ok(there.then_some(all))
}

fn party<'a>(value: &mut Cursor<'a>) -> Result<Participant<'a>, Fault> {
    let mut party = Participant::default();
    let mut own = MediaLeg { media_type: Cow::Borrowed(OWN), ..MediaLeg::default() };
    let (mut start, mut wrapup_end, mut user, mut queue) = (None, None, None, None);
    value.object(|value, key| {
        match key {
            b"id" => party.participant_id = id(value)?,
            b"purpose" => party.purpose = value.string()?,
            b"userId" => party.user_id = id(value)?,
            b"queueId" => party.queue_id = id(value)?,
            b"user" => user = reference(value)?,
            b"queue" => queue = reference(value)?,
            b"startTime" => start = time(value)?,
            b"connectedTime" => party.connected_time = time(value)?,
            b"endTime" => party.end_time = time(value)?,
            b"startAcwTime" => party.acw_start_time = time(value)?,
            b"endAcwTime" => party.acw_end_time = time(value)?,
            b"wrapup" => {
                let wrapup = Wrapup::read(value)?;
                (party.wrapup_code, party.wrapup_notes) = (wrapup.code, wrapup.notes);
                wrapup_end = wrapup.end_time;
            }
            b"attributes" => party.attributes = attributes(value)?,
            b"state" => own.state = value.string()?,
            b"direction" => own.direction = lower(value)?,
            b"ani" => party.ani = value.string()?,
            b"dnis" => party.dnis = value.string()?,
            b"held" => own.held = value.boolean()?,
            b"disconnectType" => own.disconnect_type = value.string()?,
            b"provider" => own.provider = value.string()?,
            list => match media(list) {
                Some(media) => {
                    value.array(|value| {
                        party.legs.push(leg(media, value)?);
                        Ok(())
                    })?;
                }
                None => _ = value.skip()?,
            },
        }
        Ok(())
    })?;
    party.user_id = party.user_id.or(user);
    party.queue_id = party.queue_id.or(queue);
    party.acw_end_time = party.acw_end_time.or(wrapup_end);
    if party.legs.first().map(rank) != party.legs.last().map(rank) {
        party.legs.sort_by_key(rank); // one order, however the keys are shuffled
    }
    if own.state.is_some() {
        own.connected_time = party.connected_time;
        own.disconnected_time = party.end_time;
        party.legs.push(own);
    }
    party.connected_time = party.connected_time.or(start);
    Ok(party)
}

/// Medium of a list of legs, by its key.
fn media(list: &[u8]) -> Option<&'static str> {
    Some(match list {
        b"calls" => "voice",
        b"callbacks" => "callback",
        b"chats" => "chat",
        b"cobrowsesessions" => "cobrowse",
        b"emails" => "email",
        b"messages" => "message",
        b"internalMessages" => "internalmessage",
        b"screenMonitorings" => "screenmonitoring",
        b"screenshares" => "screenshare",
        b"socialExpressions" => "social",
        b"videos" => "video",
        _ => return None,
    })
}

const MEDIA: [&str; 11] = [
    "voice",
    "callback",
    "chat",
    "cobrowse",
    "email",
    "message",
    "internalmessage",
    "screenmonitoring",
    "screenshare",
    "social",
    "video",
];

fn rank(leg: &MediaLeg<'_>) -> Option<usize> {
    MEDIA.iter().position(|media| *media == leg.media_type)
}
