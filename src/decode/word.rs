//! Single values of a body, as facts hold them.

use std::borrow::Cow;

use trunkline_protocol::text::Text;

use super::time::Time;

pub(super) fn time(time: Option<Time>) -> Option<i64> {
    time.and_then(|time| time.0)
}

pub(super) fn text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0)
}

/// An empty id is none.
pub(super) fn id(id: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text(id).filter(|id| !id.is_empty())
}

/// The vendor writes one vocabulary in capitals here and lowercase there.
pub(super) fn lower(word: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text(word).map(|word| match word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(word.to_ascii_lowercase()),
        false => word,
    })
}
