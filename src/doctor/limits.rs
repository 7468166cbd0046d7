//! What the organisation may do, and whether the configuration stays below it.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::{Finding, Verdict};
use crate::genesys::PlatformError;
use crate::genesys::http::Http;

const CHECK: &str = "limits";
/// Requests a minute of one token; the first that is told counts.
const REQUESTS: [&str; 2] = ["client.credentials.token.rate.per.minute", "token.rate.per.minute"];
/// Jobs of details that may run at the same time.
const JOBS: &str = "details.jobs.concurrent.access.max";
/// The permission to see limits.
const PERMISSION: &str = "limits:organization:view";

type Limits = BTreeMap<String, u64>;

/// Asks for the limits in force; `requests` a minute are configured.
pub(super) async fn examine(http: &Http, token: &SecretString, requests: u32) -> Finding {
    let requests_of = match http.limits(token, "platform.api").await.0 {
        Ok(limits) => limits,
        Err(error) => return unknown(&error, requests),
    };
    let jobs_of = http.limits(token, "analytics").await.0.unwrap_or_default();
    judge(&requests_of, jobs_of.get(JOBS).copied(), requests)
}

/// Nothing fails by it: a request too many is answered with 429, which is obeyed.
fn unknown(error: &PlatformError, requests: u32) -> Finding {
    let why = match error {
        PlatformError::Status { status: 403, .. } => {
            format!("a role with {PERMISSION} would show them")
        }
        PlatformError::Status { .. }
        | PlatformError::NoAnswer(_)
        | PlatformError::Unreadable(_) => error.to_string(),
    };
    let text = format!(
        "not told: {why}; genesys.requests_per_minute is {requests}, the platform's default is 300"
    );
    Finding::new(CHECK, Verdict::Skip, text)
}

fn judge(limits: &Limits, jobs: Option<u64>, requests: u32) -> Finding {
    let jobs = jobs.map_or_else(String::new, |jobs| format!("; {jobs} jobs of history at once"));
    let Some(allowed) = REQUESTS.iter().find_map(|key| limits.get(*key)) else {
        let text = format!("how many requests a minute are allowed is not among them{jobs}");
        return Finding::new(CHECK, Verdict::Skip, text);
    };
    let text = format!(
        "{allowed} requests a minute and token are allowed, genesys.requests_per_minute is {requests}{jobs}"
    );
    match u64::from(requests) > *allowed {
        false => Finding::ok(CHECK, text),
        true => Finding::warn(
            CHECK,
            text,
            format!(
                "set genesys.requests_per_minute to {allowed}: what is more is answered with 429"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(entries: &[(&str, u64)]) -> Limits {
        entries.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
    }

    #[test]
    fn more_requests_than_are_allowed_are_to_be_looked_at() {
        let of_clients = [("token.rate.per.minute", 900), (REQUESTS[0], 180)];
        let found = judge(&limits(&of_clients), Some(5), 300);
        assert_eq!(found.verdict, Verdict::Warn);
        assert!(found.found.contains("180 requests a minute"), "{}", found.found);
        assert!(found.found.ends_with("5 jobs of history at once"), "{}", found.found);
        assert!(found.remedy.is_some_and(|remedy| remedy.contains("to 180")));
        assert_eq!(judge(&limits(&of_clients[..1]), None, 300).verdict, Verdict::Ok);
        assert_eq!(judge(&limits(&of_clients), None, 180).verdict, Verdict::Ok);
    }

    #[test]
    fn what_is_not_told_is_not_guessed() {
        assert_eq!(
            judge(&limits(&[("request.bytes.max", 512_000)]), None, 300).verdict,
            Verdict::Skip
        );
    }
}
