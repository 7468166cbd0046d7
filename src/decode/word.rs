//! Single values of a body, as facts hold them.

use std::borrow::Cow;

use trunkline_protocol::cursor::{Cursor, Fault, Scalar};

use super::time::parse;

pub(super) type Str<'a> = Option<Cow<'a, str>>;

/// A time in either form. A text that is no time counts as absent: one odd field must not cost the
/// record, and the raw body is kept beside it.
pub(super) fn time(value: &mut Cursor<'_>) -> Result<Option<i64>, Fault> {
    Ok(value.string_or_integer()?.and_then(|scalar| match scalar {
        Scalar::Text(text) => parse(&text),
        Scalar::Integer(ms) => ms,
    }))
}

/// An empty id is none.
pub(super) fn id<'a>(value: &mut Cursor<'a>) -> Result<Str<'a>, Fault> {
    Ok(value.string()?.filter(|id| !id.is_empty()))
}

/// The vendor writes one vocabulary in capitals here and lowercase there.
pub(super) fn lower<'a>(value: &mut Cursor<'a>) -> Result<Str<'a>, Fault> {
    Ok(value.string()?.map(|word| match word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(word.to_ascii_lowercase()),
        false => word,
    }))
}
