//! What EventBridge wraps around a message: whose it is, and the envelope of a socket within.
//!
//! Source: published events `{"detail-type", "source": "aws.partner/genesys.com/cloud/{org}/{suffix}", "detail":
//! {topicName, version, eventBody, metadata, timestamp}}` (documented); unknown keys and any key order are
//! accepted (assumed to change without notice).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::RejectReason;
use crate::envelope::EnvelopeError;
use crate::text::Text;

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    source: Option<Text<'a>>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

/// How sources of the platform begin; a test organisation's goes on with a further label of the domain.
const PARTNER: &str = "aws.partner/genesys.com";

/// The envelope within an event of the organisation, as it came.
///
/// # Errors
/// Why it is none, for the quarantine.
pub fn unwrap<'a>(text: &'a str, organization: &str) -> Result<&'a str, EnvelopeError> {
    let outer: Outer<'_> = serde_json::from_str(text).map_err(|error| EnvelopeError {
        reason: RejectReason::Malformed,
        detail: format!("not JSON at line {} column {}", error.line(), error.column()),
    })?;
    let none = |detail: String| EnvelopeError { reason: RejectReason::NoEnvelope, detail };
    let source = outer.source.as_ref().map(Text::as_str);
    match source.and_then(organization_of) {
        Some(named) if named.eq_ignore_ascii_case(organization) => {}
        Some(named) => {
            return Err(none(format!("source names organisation {named}, not {organization}")));
        }
        None => return Err(none("source is no partner event source of Genesys".to_owned())),
    }
    match outer.detail.map(RawValue::get).filter(|detail| detail.starts_with('{')) {
        Some(detail) => Ok(detail),
        None => Err(none("detail is no object".to_owned())),
    }
}

/// The organisation that a partner event source names.
#[must_use]
pub fn organization_of(source: &str) -> Option<&str> {
    let (_, rest) = source.strip_prefix(PARTNER)?.split_once("/cloud/")?;
    rest.split('/').next().filter(|organization| !organization.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORG: &str = "bb14bed0-f8f9-445d-b9d1-10cecb8569d6";

    fn event(source: &str, detail: &str) -> String {
        format!(
            r#"{{"version":"0","detail-type":"v2.x.{{id}}","source":"{source}","resources":[],"detail":{detail}}}"#
        )
    }

    fn reason(text: &str) -> RejectReason {
        unwrap(text, ORG).unwrap_err().reason
    }

    #[test]
    fn the_envelope_within_is_what_came_byte_for_byte() {
        let source = format!("aws.partner/genesys.com/cloud/{ORG}/suffix");
        let detail = r#"{ "topicName" : "v2.users.u.presence", "eventBody": { "a":1 } }"#;
        assert_eq!(unwrap(&event(&source, detail), ORG), Ok(detail));
        assert_eq!(unwrap(&event(&source, detail), &ORG.to_uppercase()), Ok(detail));
    }

    #[test]
    fn a_source_says_whose_event_it_is() {
        let named = organization_of;
        assert_eq!(named("aws.partner/genesys.com.test/cloud/o/bus"), Some("o"));
        assert_eq!(named("aws.partner/genesys.com/cloud/o"), Some("o"));
        assert_eq!(named("aws.partner/genesys.com/cloud/"), None);
        assert_eq!(named("aws.partner/example.com/cloud/o/bus"), None);
        assert_eq!(named("aws.s3"), None);
    }

    #[test]
    fn what_is_no_event_of_the_organisation_says_why() {
        let source = format!("aws.partner/genesys.com/cloud/{ORG}/suffix");
        assert_eq!(reason("no JSON"), RejectReason::Malformed);
        assert_eq!(reason("[]"), RejectReason::Malformed);
        assert_eq!(reason(r#"{"detail":{}}"#), RejectReason::NoEnvelope);
        assert_eq!(reason(&event(&source, "7")), RejectReason::NoEnvelope);
        assert_eq!(reason(&event("aws.s3", "{}")), RejectReason::NoEnvelope);
        let other = unwrap(&event("aws.partner/genesys.com/cloud/other/x", "{}"), ORG).unwrap_err();
        assert_eq!(other.detail, format!("source names organisation other, not {ORG}"));
    }
}
