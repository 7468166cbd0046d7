//! Bodies as the platform writes them. One shape covers snapshots of all media, detail events and
//! metric records: every field is optional, unknown ones are ignored.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use trunkline_protocol::text::Text;

use super::party::Parties;
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
    #[serde(borrow)]
    pub(super) participants: Option<Parties<'a>>,
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
pub(super) struct Attributes<'a>(pub(super) Vec<(Cow<'a, str>, Cow<'a, str>)>);

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
                let mut all: Vec<(Cow<'de, str>, Cow<'de, str>)> = Vec::new();
                while let Some((Text(key), raw)) = map.next_entry::<_, &'de RawValue>()? {
                    let value = match plain(raw.get()) {
                        Some(text) => Cow::Borrowed(text),
                        None => serde_json::from_str::<Text<'de>>(raw.get())
                            .map_or_else(|_| raw.get().into(), |text| text.0),
                    };
                    all.retain(|(known, _)| *known != key); // a key said twice: the last one counts
                    all.push((key, value));
                }
                Ok(Attributes(all))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// The inside of a JSON string without escapes.
fn plain(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"').filter(|inside| !inside.contains('\\'))
}
