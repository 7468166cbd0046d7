//! Bodies as the platform writes them. One shape covers snapshots of all media, detail events and
//! metric records: every field is optional, unknown ones are ignored.

use serde::Deserialize;
use serde_json::value::RawValue;
use trunkline_protocol::text::Text;

use super::time::Time;

type Str<'a> = Option<Text<'a>>;

/// Any body.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) conversation_id: Str<'a>,
    #[serde(borrow)]
    pub(super) conversation: Option<Reference<'a>>,
    #[serde(borrow, default)]
    pub(super) participants: Option<Vec<Party<'a>>>,
    #[serde(borrow)]
    pub(super) divisions: Option<Vec<Membership<'a>>>,
    #[serde(borrow)]
    pub(super) external_tag: Str<'a>,
    pub(super) event_time: Option<Time>,
    pub(super) metric_date: Option<Time>,
    pub(super) timestamp: Option<Time>,
    #[serde(borrow)]
    pub(super) media_type: Str<'a>,
    #[serde(borrow)]
    pub(super) direction: Str<'a>,
    #[serde(borrow)]
    pub(super) ani: Str<'a>,
    #[serde(borrow)]
    pub(super) dnis: Str<'a>,
    #[serde(borrow)]
    pub(super) queue_id: Str<'a>,
    #[serde(borrow)]
    pub(super) user_id: Str<'a>,
    #[serde(borrow)]
    pub(super) division_id: Str<'a>,
}

/// `{id}`, possibly empty.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Reference<'a> {
    #[serde(borrow)]
    pub(super) id: Str<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Membership<'a> {
    #[serde(borrow)]
    pub(super) division: Option<Reference<'a>>,
}

/// A participant, generic or media-specific.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Party<'a> {
    #[serde(borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) purpose: Str<'a>,
    #[serde(borrow)]
    pub(super) user_id: Str<'a>,
    #[serde(borrow)]
    pub(super) queue_id: Str<'a>,
    #[serde(borrow)]
    pub(super) user: Option<Reference<'a>>,
    #[serde(borrow)]
    pub(super) queue: Option<Reference<'a>>,
    pub(super) start_time: Option<Time>,
    pub(super) connected_time: Option<Time>,
    pub(super) end_time: Option<Time>,
    pub(super) start_acw_time: Option<Time>,
    pub(super) end_acw_time: Option<Time>,
    #[serde(borrow)]
    pub(super) wrapup: Option<Wrapup<'a>>,
    #[serde(borrow)]
    pub(super) attributes: Option<Attributes<'a>>,
    #[serde(borrow)]
    pub(super) state: Str<'a>,
    #[serde(borrow)]
    pub(super) direction: Str<'a>,
    #[serde(borrow)]
    pub(super) ani: Str<'a>,
    #[serde(borrow)]
    pub(super) dnis: Str<'a>,
    pub(super) held: Option<bool>,
    #[serde(borrow)]
    pub(super) disconnect_type: Str<'a>,
    #[serde(borrow)]
    pub(super) provider: Str<'a>,
    #[serde(borrow)]
    pub(super) calls: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) callbacks: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) chats: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) cobrowsesessions: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) emails: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) messages: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) internal_messages: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) screen_monitorings: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) screenshares: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) social_expressions: Option<Vec<Leg<'a>>>,
    #[serde(borrow)]
    pub(super) videos: Option<Vec<Leg<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wrapup<'a> {
    #[serde(borrow)]
    pub(super) code: Str<'a>,
    #[serde(borrow)]
    pub(super) notes: Str<'a>,
    pub(super) end_time: Option<Time>,
}

/// One leg of any medium.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Leg<'a> {
    #[serde(borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) state: Str<'a>,
    #[serde(borrow)]
    pub(super) direction: Str<'a>,
    #[serde(borrow)]
    pub(super) disconnect_type: Str<'a>,
    pub(super) held: Option<bool>,
    #[serde(borrow)]
    pub(super) provider: Str<'a>,
    pub(super) connected_time: Option<Time>,
    pub(super) disconnected_time: Option<Time>,
    pub(super) start_hold_time: Option<Time>,
}

/// A free map; values that are no strings are kept as their JSON text. Order as received.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a>(pub(super) Vec<(Text<'a>, Text<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Attributes<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> serde::de::Visitor<'de> for Map {
            type Value = Attributes<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of attributes")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut all: Vec<(Text<'de>, Text<'de>)> = Vec::new();
                while let Some((key, raw)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    let text = serde_json::from_str::<Text<'de>>(raw.get());
                    let value = text.unwrap_or_else(|_| Text(raw.get().into()));
                    all.retain(|(known, _)| *known != key); // a key said twice: the last one counts
                    all.push((key, value));
                }
                Ok(Attributes(all))
            }
        }
        deserializer.deserialize_map(Map)
    }
}
