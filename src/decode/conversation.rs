//! Bodies as the platform writes them. One shape covers snapshots of all media, detail events and
//! metric records: every field is optional, unknown ones are ignored.

use std::borrow::Cow;

use trunkline_protocol::cursor::{Cursor, Fault};
use trunkline_protocol::domain::facts::{MediaLeg, Participant};

use super::party;
use super::word::{Str, id, lower, time};

/// Any body.
#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) id: Str<'a>,
    pub(super) conversation_id: Str<'a>,
    /// Of the reference `conversation`.
    pub(super) referred_id: Str<'a>,
    pub(super) participants: Option<Vec<Participant<'a>>>,
    pub(super) divisions: Vec<Cow<'a, str>>,
    pub(super) external_tag: Str<'a>,
    pub(super) event_time: Option<i64>,
    pub(super) metric_date: Option<i64>,
    pub(super) timestamp: Option<i64>,
    pub(super) media_type: Str<'a>,
    pub(super) direction: Str<'a>,
    pub(super) ani: Str<'a>,
    pub(super) dnis: Str<'a>,
    pub(super) queue_id: Str<'a>,
    pub(super) user_id: Str<'a>,
    pub(super) division_id: Str<'a>,
}

impl<'a> Body<'a> {
    /// Reads a body; a key said twice counts as it was said last.
    pub(super) fn read(mut cursor: Cursor<'a>) -> Result<Self, Fault> {
        let mut body = Self::default();
        cursor.object(|value, key| {
            match key {
                b"id" => body.id = id(value)?,
                b"conversationId" => body.conversation_id = id(value)?,
                b"conversation" => body.referred_id = reference(value)?,
                b"participants" => body.participants = party::parties(value)?,
                b"divisions" => body.divisions = divisions(value)?,
                b"externalTag" => body.external_tag = value.string()?,
                b"eventTime" => body.event_time = time(value)?,
                b"metricDate" => body.metric_date = time(value)?,
                b"timestamp" => body.timestamp = time(value)?,
                b"mediaType" => body.media_type = lower(value)?,
                b"direction" => body.direction = lower(value)?,
                b"ani" => body.ani = value.string()?,
                b"dnis" => body.dnis = value.string()?,
                b"queueId" => body.queue_id = id(value)?,
                b"userId" => body.user_id = id(value)?,
                b"divisionId" => body.division_id = id(value)?,
                _ => _ = value.skip()?,
            }
            Ok(())
        })?;
        cursor.end()?;
        Ok(body)
    }
}

/// The id of `{id}`, which may be empty.
pub(super) fn reference<'a>(value: &mut Cursor<'a>) -> Result<Str<'a>, Fault> {
    let mut found = None;
    value.object(|value, key| {
        match key {
            b"id" => found = id(value)?,
            _ => _ = value.skip()?,
        }
        Ok(())
    })?;
    Ok(found)
}

/// The ids of `[{division: {id}}]`.
fn divisions<'a>(value: &mut Cursor<'a>) -> Result<Vec<Cow<'a, str>>, Fault> {
    let mut all = Vec::new();
    value.array(|value| {
        value.object(|value, key| {
            match key {
                b"division" => all.extend(reference(value)?),
                _ => _ = value.skip()?,
            }
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(all)
}

/// One leg of a medium.
pub(super) fn leg<'a>(media: &'static str, value: &mut Cursor<'a>) -> Result<MediaLeg<'a>, Fault> {
    let mut leg = MediaLeg { media_type: Cow::Borrowed(media), ..MediaLeg::default() };
    value.object(|value, key| {
        match key {
            b"id" => leg.leg_id = id(value)?,
            b"state" => leg.state = value.string()?,
            b"direction" => leg.direction = lower(value)?,
            b"disconnectType" => leg.disconnect_type = value.string()?,
            b"held" => leg.held = value.boolean()?,
            b"provider" => leg.provider = value.string()?,
            b"connectedTime" => leg.connected_time = time(value)?,
            b"disconnectedTime" => leg.disconnected_time = time(value)?,
            b"startHoldTime" => leg.hold_start_time = time(value)?,
            _ => _ = value.skip()?,
        }
        Ok(())
    })?;
    Ok(leg)
}

/// What an agent said of a conversation at its end.
#[derive(Debug, Default)]
pub(super) struct Wrapup<'a> {
    pub(super) code: Str<'a>,
    pub(super) notes: Str<'a>,
    pub(super) end_time: Option<i64>,
}

impl<'a> Wrapup<'a> {
    pub(super) fn read(value: &mut Cursor<'a>) -> Result<Self, Fault> {
        let mut wrapup = Self::default();
        value.object(|value, key| {
            match key {
                b"code" => wrapup.code = value.string()?,
                b"notes" => wrapup.notes = value.string()?,
                b"endTime" => wrapup.end_time = time(value)?,
                _ => _ = value.skip()?,
            }
            Ok(())
        })?;
        Ok(wrapup)
    }
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A free map in the order received; values that are no strings are kept as their JSON text.
pub(super) fn attributes<'a>(value: &mut Cursor<'a>) -> Result<Option<Pairs<'a>>, Fault> {
    let mut all: Pairs<'a> = Vec::new();
    let there = value.entries(|value, key| {
        let said = match value.peek() {
            Some(b'"') => value.string()?.unwrap_or_default(),
            Some(_) | None => Cow::Borrowed(value.skip()?),
        };
        match all.iter().position(|(known, _)| *known == key) {
            Some(known) => all[known].1 = said, // the last one counts
            None => all.push((key, said)),
        }
        Ok(())
    })?;
    Ok(there.then_some(all))
}
