//! What a body says, in the shape of the Avro record. Strings are borrowed from the body where
//! they can be.

use std::borrow::Cow;

/// A string of the body: borrowed unless it held escapes.
pub type Text<'a> = Cow<'a, str>;

/// Facts of one body. All times are milliseconds since the Unix epoch. Absent means the body did
/// not say it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts<'a> {
    /// What happened, e.g. `conversation.snapshot`, `user.end`, `metric`.
    pub event_type: Text<'a>,
    /// The conversation it is about; `None` for bodies that name none.
    pub conversation_id: Option<Text<'a>>,
    /// Queue of the topic or of the body.
    pub queue_id: Option<Text<'a>>,
    /// User of the topic or of the body.
    pub user_id: Option<Text<'a>>,
    /// Lowercase medium: `voice`, `chat`, `email`, `callback`, `message`, …
    pub media_type: Option<Text<'a>>,
    /// `inbound` or `outbound`, lowercase.
    pub direction: Option<Text<'a>>,
    /// Calling party. Personal data.
    pub ani: Option<Text<'a>>,
    /// Called party. Personal data.
    pub dnis: Option<Text<'a>>,
    /// Tag set by the customer's own systems.
    pub external_tag: Option<Text<'a>>,
    /// Divisions the conversation belongs to.
    pub division_ids: Vec<Text<'a>>,
    /// `eventTime` of the body.
    pub event_time: Option<i64>,
    /// Newest timestamp anywhere in the body.
    pub version: Option<i64>,
    /// State of the whole conversation as far as the legs tell.
    pub conversation_state: Option<Text<'a>>,
    /// Everybody who took part, finished legs included.
    pub participants: Vec<Participant<'a>>,
}

/// One participant of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "fields are documented in schemas/conversation_event.avsc")]
pub struct Participant<'a> {
    pub participant_id: Option<Text<'a>>,
    pub purpose: Option<Text<'a>>,
    pub user_id: Option<Text<'a>>,
    pub queue_id: Option<Text<'a>>,
    pub ani: Option<Text<'a>>,
    pub dnis: Option<Text<'a>>,
    pub connected_time: Option<i64>,
    pub end_time: Option<i64>,
    pub acw_start_time: Option<i64>,
    pub acw_end_time: Option<i64>,
    pub wrapup_code: Option<Text<'a>>,
    pub wrapup_notes: Option<Text<'a>>,
    pub attributes: Option<Vec<(Text<'a>, Text<'a>)>>,
    pub legs: Vec<MediaLeg<'a>>,
}

/// One media leg of a participant.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "fields are documented in schemas/conversation_event.avsc")]
pub struct MediaLeg<'a> {
    pub leg_id: Option<Text<'a>>,
    pub media_type: Text<'a>,
    pub state: Option<Text<'a>>,
    pub direction: Option<Text<'a>>,
    pub disconnect_type: Option<Text<'a>>,
    pub held: Option<bool>,
    pub provider: Option<Text<'a>>,
    pub connected_time: Option<i64>,
    pub disconnected_time: Option<i64>,
    pub hold_start_time: Option<i64>,
}
