//! Participants, generic or media-specific, read straight into the facts: a derived struct of
//! forty optional fields is moved more often than it is read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use trunkline_protocol::domain::facts::{MediaLeg, Participant};

use super::conversation::{Attributes, Leg, Reference, Wrapup};
use super::word::{id, lower, text, time};

/// Medium of a leg that a participant is itself: the topic tells which.
pub(super) const OWN: &str = "";

/// All participants of a body.
#[derive(Debug, Default)]
pub(super) struct Parties<'a>(pub(super) Vec<Participant<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Parties<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Parties<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of participants")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::with_capacity(4);
                while let Some(Party(participant)) = seq.next_element()? {
                    all.push(participant);
                }
                Ok(Parties(all))
            }
        }
        deserializer.deserialize_seq(All)
    }
}

struct Party<'a>(Participant<'a>);

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    Id,
    Purpose,
    UserId,
    QueueId,
    User,
    Queue,
    StartTime,
    ConnectedTime,
    EndTime,
    StartAcwTime,
    EndAcwTime,
    Wrapup,
    Attributes,
    State,
    Direction,
    Ani,
    Dnis,
    Held,
    DisconnectType,
    Provider,
    Calls,
    Callbacks,
    Chats,
    Cobrowsesessions,
    Emails,
    Messages,
    InternalMessages,
    ScreenMonitorings,
    Screenshares,
    SocialExpressions,
    Videos,
    #[serde(other)]
    Unknown,
}

impl<'de: 'a, 'a> Deserialize<'de> for Party<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(One)
    }
}

struct One;

impl<'de> Visitor<'de> for One {
    type Value = Party<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a participant")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut party = Participant::default();
        let mut own = MediaLeg { media_type: Cow::Borrowed(OWN), ..MediaLeg::default() };
        let (mut start, mut wrapup_end) = (None, None);
        let (mut user, mut queue): (Option<Reference<'de>>, Option<Reference<'de>>) = (None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::Id => party.participant_id = id(map.next_value()?),
                Key::Purpose => party.purpose = text(map.next_value()?),
                Key::UserId => party.user_id = id(map.next_value()?),
                Key::QueueId => party.queue_id = id(map.next_value()?),
                Key::User => user = map.next_value()?,
                Key::Queue => queue = map.next_value()?,
                Key::StartTime => start = time(map.next_value()?),
                Key::ConnectedTime => party.connected_time = time(map.next_value()?),
                Key::EndTime => party.end_time = time(map.next_value()?),
                Key::StartAcwTime => party.acw_start_time = time(map.next_value()?),
                Key::EndAcwTime => party.acw_end_time = time(map.next_value()?),
                Key::Wrapup => {
                    if let Some(wrapup) = map.next_value::<Option<Wrapup<'de>>>()? {
                        party.wrapup_code = text(wrapup.code);
                        party.wrapup_notes = text(wrapup.notes);
                        wrapup_end = time(wrapup.end_time);
                    }
                }
                Key::Attributes => {
                    party.attributes =
                        map.next_value::<Option<Attributes<'de>>>()?.map(|all| all.0);
                }
                Key::State => own.state = text(map.next_value()?),
                Key::Direction => own.direction = lower(map.next_value()?),
                Key::Ani => party.ani = text(map.next_value()?),
                Key::Dnis => party.dnis = text(map.next_value()?),
                Key::Held => own.held = map.next_value()?,
                Key::DisconnectType => own.disconnect_type = text(map.next_value()?),
                Key::Provider => own.provider = text(map.next_value()?),
                Key::Calls => map.next_value_seed(Legs("voice", &mut party.legs))?,
                Key::Callbacks => map.next_value_seed(Legs("callback", &mut party.legs))?,
                Key::Chats => map.next_value_seed(Legs("chat", &mut party.legs))?,
                Key::Cobrowsesessions => map.next_value_seed(Legs("cobrowse", &mut party.legs))?,
                Key::Emails => map.next_value_seed(Legs("email", &mut party.legs))?,
                Key::Messages => map.next_value_seed(Legs("message", &mut party.legs))?,
                Key::InternalMessages => {
                    map.next_value_seed(Legs("internalmessage", &mut party.legs))?;
                }
                Key::ScreenMonitorings => {
                    map.next_value_seed(Legs("screenmonitoring", &mut party.legs))?;
                }
                Key::Screenshares => map.next_value_seed(Legs("screenshare", &mut party.legs))?,
                Key::SocialExpressions => map.next_value_seed(Legs("social", &mut party.legs))?,
                Key::Videos => map.next_value_seed(Legs("video", &mut party.legs))?,
                Key::Unknown => _ = map.next_value::<serde::de::IgnoredAny>()?,
            }
        }
        party.user_id = party.user_id.or_else(|| id(user?.id));
        party.queue_id = party.queue_id.or_else(|| id(queue?.id));
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
        Ok(Party(party))
    }
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

/// Reads an array of legs of one medium behind those that are there.
struct Legs<'v, 'a>(&'static str, &'v mut Vec<MediaLeg<'a>>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Legs<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Legs<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {} legs", self.0)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(leg) = seq.next_element::<Leg<'de>>()? {
            self.1.push(MediaLeg {
                leg_id: id(leg.id),
                media_type: Cow::Borrowed(self.0),
                state: text(leg.state),
                direction: lower(leg.direction),
                disconnect_type: text(leg.disconnect_type),
                held: leg.held,
                provider: text(leg.provider),
                connected_time: time(leg.connected_time),
                disconnected_time: time(leg.disconnected_time),
                hold_start_time: time(leg.start_hold_time),
            });
        }
        Ok(())
    }
}
