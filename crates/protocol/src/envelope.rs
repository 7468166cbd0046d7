//! Outer JSON of a frame: event, system message, pong. Borrows, never copies the body.
//!
//! Source: the published envelope `{topicName, version, eventBody, metadata}` (documented); unknown
//! keys and any key order are accepted (assumed to change without notice).

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::{RejectReason, TopicClass};
use crate::scan::{self, Quotes};
use crate::text::Text;

/// What a message is, told without reading an event's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniff {
    /// An event; its body has not been looked at.
    Event(TopicClass),
    /// Answer to `{"message":"ping"}`: the barrier.
    Pong,
    /// The platform's own keep-alive, every 30 s.
    Heartbeat,
    /// A message about the channel itself.
    System(SystemNotice),
    /// Answer to a subscription over the socket, or an unknown message without a topic.
    SocketReply,
    /// Not an envelope: goes on as an event and ends in quarantine.
    Unreadable,
}

/// A message about the channel itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemNotice {
    /// The platform closes this socket in about a minute. Not guaranteed to be sent.
    SocketClosing,
    /// Another socket took the channel.
    NoLongerSubscribed,
    /// Another client uses the same id.
    DuplicateId,
    /// The token was revoked.
    TokenRevoked,
    /// Any other `v2.system.*` message; recorded, nothing follows from it.
    Other,
}

/// Byte ranges of the parts of an envelope within its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The topic name, without quotes.
    pub topic: Range<usize>,
    /// The raw body.
    pub body: Range<usize>,
    /// `metadata.CorrelationId`, without quotes.
    pub correlation_id: Option<Range<usize>>,
    /// The body is known to hold no whitespace outside strings.
    pub compact: bool,
    /// Where the strings of the body are, if that is known.
    pub quotes: Option<Quotes>,
}

/// Why a text is not an envelope. Names positions and keys, never content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeError {
    /// The class of failure.
    pub reason: RejectReason,
    /// What the parser said.
    pub detail: String,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(rename = "topicName", borrow)]
    topic: Option<Text<'a>>,
    #[serde(rename = "eventBody", borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(rename = "CorrelationId", borrow)]
    correlation_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(rename = "systemTopicType", borrow)]
    kind: Option<Text<'a>>,
}

const FAST: &str = "{\"topicName\":\"";

/// Tells what a message is. The common form, with the topic name first, is told from its prefix.
#[must_use]
pub fn sniff(text: &str) -> Sniff {
    if let Some(rest) = text.strip_prefix(FAST)
        && rest.starts_with("v2.")
        && !rest.starts_with("v2.system.")
        && let Some(topic) = until_quote(rest)
    {
        return Sniff::Event(TopicClass::of(topic));
    }
    let Ok(outer) = serde_json::from_str::<Outer<'_>>(text) else {
        return Sniff::Unreadable;
    };
    match outer.topic.as_ref().map(Text::as_str) {
        Some("channel.metadata") => channel_metadata(outer.body),
        Some(topic) if topic.starts_with("v2.system.") => Sniff::System(notice(topic, outer.body)),
        Some(topic) => Sniff::Event(TopicClass::of(topic)),
        None if outer.body.is_none() && is_reply(text) => Sniff::SocketReply,
        None => Sniff::Unreadable,
    }
}

fn channel_metadata(body: Option<&RawValue>) -> Sniff {
    let message = body.and_then(|body| serde_json::from_str::<Message<'_>>(body.get()).ok());
    match message.and_then(|message| message.message) {
        Some(message) if message.as_str() == "pong" => Sniff::Pong,
        Some(_) | None => Sniff::Heartbeat,
    }
}

fn notice(topic: &str, body: Option<&RawValue>) -> SystemNotice {
    let kind = body.and_then(|body| serde_json::from_str::<Message<'_>>(body.get()).ok());
    let kind = kind.and_then(|message| message.kind);
    let named = |name: &str| {
        topic.contains(name) || kind.as_ref().is_some_and(|kind| kind.as_str() == name)
    };
    if named("socket_closing") {
        SystemNotice::SocketClosing
    } else if named("no_longer_subscribed") {
        SystemNotice::NoLongerSubscribed
    } else if named("duplicate_id") {
        SystemNotice::DuplicateId
    } else if named("token_revoked") {
        SystemNotice::TokenRevoked
    } else {
        SystemNotice::Other
    }
}

fn is_reply(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        result: Option<&'a RawValue>,
    }
    serde_json::from_str::<Reply<'_>>(text).is_ok_and(|reply| reply.result.is_some())
}

/// Finds the parts of an envelope.
///
/// # Errors
/// [`EnvelopeError`] when the text is not JSON, not an object, or lacks `topicName` or `eventBody`;
/// all of them go to quarantine.
pub fn read(text: &str) -> Result<Envelope, EnvelopeError> {
    match usual(text) {
        Some(envelope) => Ok(envelope),
        None => any(text),
    }
}

/// The form the platform writes: topic, version, body, metadata, without escapes in the topic. The
/// body is only balanced here; whoever reads it parses it.
fn usual(text: &str) -> Option<Envelope> {
    let rest = text.strip_prefix(FAST)?;
    let topic = until_quote(rest).filter(|topic| !topic.contains('\\'))?;
    let rest = rest.get(topic.len() + 1..)?;
    let rest = match rest.strip_prefix(",\"version\":\"") {
        Some(version) => version.split_once('"')?.1,
        None => rest,
    };
    let rest = rest.strip_prefix(",\"eventBody\":").filter(|rest| rest.starts_with('{'))?;
    let extent = scan::balanced(rest.as_bytes())?;
    let body = rest.get(..extent.len)?;
    let tail = rest.get(body.len()..)?;
    let correlation_id = match tail.strip_prefix(",\"metadata\":") {
        None if tail == "}" => None,
        None => return None,
        Some(tail) if let Some(id) = lone_correlation(tail) => Some(range_of(text, id)),
        Some(tail) => {
            let metadata: &RawValue = serde_json::from_str(tail.strip_suffix('}')?).ok()?;
            correlation(text, metadata)
        }
    };
    let (topic, body) = (range_of(text, topic), range_of(text, body));
    let (compact, quotes) = (extent.compact, Some(extent.quotes));
    (!topic.is_empty()).then_some(Envelope { topic, body, correlation_id, compact, quotes })
}

fn until_quote(text: &str) -> Option<&str> {
    text.get(..memchr::memchr(b'"', text.as_bytes())?)
}

/// The id in metadata that hold nothing else, `{"CorrelationId":"…"}}`.
fn lone_correlation(tail: &str) -> Option<&str> {
    let id = tail.strip_prefix("{\"CorrelationId\":\"")?.strip_suffix("\"}}")?;
    memchr::memchr2(b'"', b'\\', id.as_bytes()).is_none().then_some(id)
}

fn any(text: &str) -> Result<Envelope, EnvelopeError> {
    let outer: Outer<'_> = serde_json::from_str(text).map_err(|error| {
        let reason =
            if error.is_data() { RejectReason::NoEnvelope } else { RejectReason::Malformed };
        EnvelopeError { reason, detail: locate(&error) }
    })?;
    let missing = |key: &str| EnvelopeError {
        reason: RejectReason::NoEnvelope,
        detail: format!("the envelope has no usable {key}"),
    };
    let topic = match outer.topic.as_ref().map(|topic| &topic.0) {
        Some(Cow::Borrowed(topic)) if !topic.is_empty() => range_of(text, topic),
        Some(Cow::Owned(_)) => return Err(missing("topicName (it holds escapes)")),
        Some(Cow::Borrowed(_)) | None => return Err(missing("topicName")),
    };
    let body = outer.body.ok_or_else(|| missing("eventBody"))?;
    Ok(Envelope {
        topic,
        body: range_of(text, body.get()),
        correlation_id: outer.metadata.and_then(|raw| correlation(text, raw)),
        compact: false,
        quotes: None,
    })
}

fn correlation(text: &str, raw: &RawValue) -> Option<Range<usize>> {
    let metadata: Metadata<'_> = serde_json::from_str(raw.get()).ok()?;
    match metadata.correlation_id?.0 {
        Cow::Borrowed(id) => Some(range_of(text, id)),
        Cow::Owned(_) => None, // an escaped id identifies nothing we could join by
    }
}

fn range_of(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

/// The parser's position without its quotation of the input.
fn locate(error: &serde_json::Error) -> String {
    let class = match error.classify() {
        serde_json::error::Category::Io => "read error",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "a key has the wrong type",
        serde_json::error::Category::Eof => "cut off",
    };
    format!("{class} at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"topicName":"v2.users.u-1.conversations","version":"2","eventBody":{"id":"c"},"metadata":{"CorrelationId":"k","type":"x"}}"#;

    fn parts(text: &str) -> (String, String, Option<String>) {
        let found = read(text).expect("an envelope");
        let part = |range: Range<usize>| text.get(range).expect("a range of the text").to_owned();
        (part(found.topic), part(found.body), found.correlation_id.map(part))
    }

    /// Without what only the quick way can know.
    fn plain(found: Envelope) -> Envelope {
        Envelope { compact: false, quotes: None, ..found }
    }

    #[test]
    fn the_parts_are_found_whatever_the_order_of_keys() {
        let expected = (
            "v2.users.u-1.conversations".to_owned(),
            r#"{"id":"c"}"#.to_owned(),
            Some("k".to_owned()),
        );
        assert_eq!(parts(EVENT), expected);
        let twice = |text| (read(text).map(plain), any(text).map(plain));
        let (usual, any) = twice(EVENT);
        assert_eq!(usual, any, "both ways find the same");
        assert!(super::usual(EVENT).is_some_and(|found| found.compact));
        for odd in [
            r#"{"topicName":"v2.x","eventBody":{"a":"}\\\""},"more":1}"#,
            r#"{"topicName":"v2.x","eventBody":{"metadata":{}}}"#,
            r#"{"topicName":"v2.x","version":"2","eventBody":{"a":[{}]},"metadata":{}}"#,
        ] {
            let (usual, any) = twice(odd);
            assert_eq!(usual, any, "{odd}");
        }
        let turned = r#" {"metadata": {"CorrelationId":"k"}, "future":[1], "eventBody" : {"id":"c"} , "topicName":"v2.users.u-1.conversations"}"#;
        assert_eq!(parts(turned), expected);
        assert_eq!(sniff(turned), Sniff::Event(TopicClass::User));
    }

    #[test]
    fn messages_are_told_apart() {
        let meta = |m: &str| {
            format!(r#"{{"topicName":"channel.metadata","eventBody":{{"message":"{m}"}}}}"#)
        };
        assert_eq!(sniff(&meta("pong")), Sniff::Pong);
        assert_eq!(sniff(&meta("WebSocket Heartbeat")), Sniff::Heartbeat);
        assert_eq!(sniff(EVENT), Sniff::Event(TopicClass::User));
        let closing = r#"{"topicName":"v2.system.socket_closing","version":"2","eventBody":{"channelId":"c"}}"#;
        assert_eq!(sniff(closing), Sniff::System(SystemNotice::SocketClosing));
        let taken = r#"{"topicName":"v2.system.a.b","eventBody":{"systemTopicType":"no_longer_subscribed"}}"#;
        assert_eq!(sniff(taken), Sniff::System(SystemNotice::NoLongerSubscribed));
        assert_eq!(sniff(r#"{"result":"200","status":"subscribed"}"#), Sniff::SocketReply);
        assert_eq!(sniff("{"), Sniff::Unreadable);
    }

    #[test]
    fn what_is_no_envelope_is_refused_without_quoting_it() {
        for (text, reason) in [
            ("", RejectReason::Malformed),
            (r#"{"topicName":"v2.x","eventBody":{"secret""#, RejectReason::Malformed),
            (r#"{"topicName":7,"eventBody":{}}"#, RejectReason::NoEnvelope),
            (r#"{"topicName":"v2.x"}"#, RejectReason::NoEnvelope),
            (r#"{"eventBody":{}}"#, RejectReason::NoEnvelope),
            (r#"{"topicName":"","eventBody":{}}"#, RejectReason::NoEnvelope),
            (r#"[1]"#, RejectReason::NoEnvelope),
        ] {
            let refused = read(text).expect_err(text);
            assert_eq!(refused.reason, reason, "{text}");
            assert!(!refused.detail.contains("secret"));
        }
    }
}
