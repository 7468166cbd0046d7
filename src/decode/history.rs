//! Rows of the platform's history: the same record as a notification's, with facts of its own. A row
//! is read with the common library: there are few of them, and nobody waits.

use std::borrow::Cow;

use serde::Deserialize;
use trunkline_protocol::domain::Wall;
use trunkline_protocol::domain::facts::{Facts, MediaLeg, Participant};
use trunkline_protocol::history::{Mark, Row};

use super::body::BodyError;
use super::time;

type Str<'a> = Option<Cow<'a, str>>;

/// A conversation of the details query or of details jobs. Absent means the platform did not say it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation<'a> {
    #[serde(borrow)]
    conversation_id: Cow<'a, str>,
    conversation_start: Str<'a>,
    conversation_end: Str<'a>,
    originating_direction: Str<'a>,
    external_tag: Str<'a>,
    #[serde(default)]
    division_ids: Vec<Cow<'a, str>>,
    #[serde(default)]
    participants: Vec<Party<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Party<'a> {
    #[serde(borrow)]
    participant_id: Str<'a>,
    purpose: Str<'a>,
    user_id: Str<'a>,
    attributes: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    sessions: Vec<Session<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session<'a> {
    #[serde(borrow)]
    session_id: Str<'a>,
    media_type: Str<'a>,
    direction: Str<'a>,
    ani: Str<'a>,
    dnis: Str<'a>,
    provider: Str<'a>,
    #[serde(default)]
    segments: Vec<Segment<'a>>,
    #[serde(default)]
    metrics: Vec<Metric<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment<'a> {
    #[serde(borrow)]
    segment_start: Str<'a>,
    segment_end: Str<'a>,
    segment_type: Str<'a>,
    queue_id: Str<'a>,
    disconnect_type: Str<'a>,
    wrap_up_code: Str<'a>,
    wrap_up_note: Str<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric<'a> {
    #[serde(borrow)]
    emit_date: Str<'a>,
}

/// Reads a row.
///
/// # Errors
/// [`BodyError`] when it is no conversation; names no content.
pub fn read(row: &str) -> Result<Conversation<'_>, BodyError> {
    serde_json::from_str(row)
        .map_err(|_| BodyError { field: ".".to_owned(), problem: "is no conversation of history" })
}

impl<'a> Conversation<'a> {
    /// Which conversation.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.conversation_id
    }

    /// What readings are compared by.
    #[must_use]
    pub fn row(&self) -> Row<'_> {
        let mut marks = Vec::new();
        for party in &self.participants {
            for session in &party.sessions {
                marks.extend(session.segments.iter().map(|segment| Mark {
                    from: wall(&segment.segment_start),
                    to: wall(&segment.segment_end),
                    session: word(&session.session_id).unwrap_or_default(),
                    kind: word(&segment.segment_type).unwrap_or_default(),
                    media: word(&session.media_type),
                    queue: word(&segment.queue_id),
                    user: word(&party.user_id),
                    how: word(&segment.disconnect_type),
                }));
            }
        }
        Row {
            conversation: Cow::Borrowed(&self.conversation_id),
            start: wall(&self.conversation_start),
            end: wall(&self.conversation_end),
            marks,
        }
    }

    /// What the record says.
    #[must_use]
    pub fn facts(&'a self) -> Facts<'a> {
        let sessions = || self.participants.iter().flat_map(|party| &party.sessions);
        let segments = || sessions().flat_map(|session| &session.segments);
        let ended = millis(&self.conversation_end);
        let state = if ended.is_some() { "disconnected" } else { "connected" };
        let direction = self.originating_direction.as_ref();
        let direction = direction.or_else(|| sessions().find_map(|s| s.direction.as_ref()));
        Facts {
            event_type: Cow::Borrowed("conversation.history"),
            conversation_id: Some(Cow::Borrowed(&self.conversation_id)),
            queue_id: segments().filter_map(|segment| word(&segment.queue_id)).next_back(),
            user_id: None, // many took part; each is a participant
            media_type: sessions()
                .find_map(|session| session.media_type.as_ref())
                .map(|text| lower(text)),
            direction: direction.map(|text| lower(text)),
            ani: sessions().find_map(|session| word(&session.ani)),
            dnis: sessions().find_map(|session| word(&session.dnis)),
            external_tag: word(&self.external_tag),
            division_ids: self.division_ids.iter().map(|id| Cow::Borrowed(&**id)).collect(),
            event_time: None,
            version: self.newest(),
            conversation_state: Some(Cow::Borrowed(state)),
            participants: self.participants.iter().map(participant).collect(),
        }
    }

    /// Newest timestamp anywhere in the row, milliseconds since 1970.
    fn newest(&self) -> Option<i64> {
        let sessions = || self.participants.iter().flat_map(|party| &party.sessions);
        let segments = sessions().flat_map(|session| &session.segments);
        let emitted = sessions().flat_map(|session| &session.metrics);
        let of =
            |segment: &Segment<'_>| [millis(&segment.segment_start), millis(&segment.segment_end)];
        segments
            .flat_map(of)
            .chain(emitted.map(|metric| millis(&metric.emit_date)))
            .chain([millis(&self.conversation_start), millis(&self.conversation_end)])
            .flatten()
            .max()
    }
}

fn participant<'a>(party: &'a Party<'a>) -> Participant<'a> {
    let segments = || party.sessions.iter().flat_map(|session| &session.segments);
    let wrapup = segments().rfind(|segment| segment.segment_type.as_deref() == Some("wrapup"));
    let talk = || segments().filter(|s| s.segment_type.as_deref() != Some("wrapup"));
    let first = |session: &&'a Session<'a>| session.ani.is_some() || session.dnis.is_some();
    let addressed = party.sessions.iter().find(first);
    let value = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => value.to_string(),
    };
    Participant {
        participant_id: word(&party.participant_id),
        purpose: word(&party.purpose),
        user_id: word(&party.user_id),
        queue_id: segments().filter_map(|segment| word(&segment.queue_id)).next_back(),
        ani: addressed.and_then(|session| word(&session.ani)),
        dnis: addressed.and_then(|session| word(&session.dnis)),
        connected_time: talk().filter_map(|segment| millis(&segment.segment_start)).min(),
        end_time: ended(talk()),
        acw_start_time: wrapup.and_then(|segment| millis(&segment.segment_start)),
        acw_end_time: wrapup.and_then(|segment| millis(&segment.segment_end)),
        wrapup_code: wrapup.and_then(|segment| word(&segment.wrap_up_code)),
        wrapup_notes: wrapup.and_then(|segment| word(&segment.wrap_up_note)),
        attributes: party.attributes.as_ref().map(|all| {
            all.iter().map(|(key, v)| (Cow::Borrowed(&**key), Cow::Owned(value(v)))).collect()
        }),
        legs: party.sessions.iter().map(leg).collect(),
    }
}

fn leg<'a>(session: &'a Session<'a>) -> MediaLeg<'a> {
    let end = ended(session.segments.iter());
    let mut how = session.segments.iter().filter_map(|segment| word(&segment.disconnect_type));
    MediaLeg {
        leg_id: word(&session.session_id),
        media_type: session.media_type.as_ref().map(|text| lower(text)).unwrap_or_default(),
        state: Some(Cow::Borrowed(if end.is_some() { "disconnected" } else { "connected" })),
        direction: session.direction.as_ref().map(|text| lower(text)),
        disconnect_type: how.next_back(),
        held: None,
        provider: word(&session.provider),
        connected_time: session.segments.iter().filter_map(|s| millis(&s.segment_start)).min(),
        disconnected_time: end,
        hold_start_time: None,
    }
}

/// The latest end, where every one of them has an end.
fn ended<'a>(segments: impl Iterator<Item = &'a Segment<'a>>) -> Option<i64> {
    let ends: Option<Vec<i64>> = segments.map(|segment| millis(&segment.segment_end)).collect();
    ends?.into_iter().max()
}

fn millis(text: &Str<'_>) -> Option<i64> {
    text.as_deref().and_then(time::parse)
}

fn wall(text: &Str<'_>) -> Option<Wall> {
    millis(text).map(Wall)
}

fn word<'a>(text: &'a Str<'_>) -> Str<'a> {
    text.as_deref().filter(|text| !text.is_empty()).map(Cow::Borrowed)
}

fn lower<'a>(text: &str) -> Cow<'a, str> {
    Cow::Owned(text.to_lowercase())
}

#[cfg(test)]
mod tests;
