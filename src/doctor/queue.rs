//! The queue of mode eventbridge: whether it answers, what is permitted, and how long it keeps what waits.

use std::time::Duration;

use trunkline_protocol::queue::Entry;

use super::{Finding, Verdict};
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::sqs::{Attributes, Sqs, SqsError};

const QUEUE: &str = "queue";
const PERMISSIONS: &str = "permissions";
const DAY: u64 = 86_400;
/// The platform tries for so long while AWS is away; whoever reads the queue may be away as long.
const KEPT: Duration = Duration::from_secs(4 * DAY);
/// A message that was given so often may just have met a few restarts.
const OFTEN: u32 = 10;

/// Takes nothing out of the queue.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let sqs = match app::queue(config, Clock::start()) {
        Ok(sqs) => sqs,
        Err(error) => {
            let remedy = "name a way to sign requests, and mend genesys.ca_file where it is named";
            return vec![Finding::fail(QUEUE, error.to_string(), remedy)];
        }
    };
    let found = match sqs.attributes().await {
        Ok(found) => found,
        Err(error) => {
            return vec![Finding::fail(QUEUE, app::queue_error(&error).text, remedy(&error))];
        }
    };
    let text = format!(
        "{} answers, signed with {}: {} messages wait, {} are in flight",
        sqs.queue(),
        sqs.signs(),
        found.waiting,
        found.hidden
    );
    let mut findings = vec![Finding::ok(QUEUE, text)];
    findings.extend(permissions(&sqs).await);
    findings.extend(settings(config, &found));
    findings
}

fn remedy(error: &SqsError) -> &'static str {
    match error {
        SqsError::NoQueue { .. } => {
            "check account, region and name in genesys.eventbridge.queue_url"
        }
        SqsError::Denied { .. } => {
            "let the identity do it: by its own policy, or that of the queue"
        }
        SqsError::Credentials(_) => "check the credentials",
        SqsError::Refused { .. } | SqsError::NoAnswer { .. } | SqsError::Unreadable(_) => {
            "try again; if it stays, check the way to the host"
        }
    }
}

/// Asks with a handle that names no message: what is permitted is refused for that reason only.
async fn permissions(sqs: &Sqs) -> Vec<Finding> {
    let nobody = [Entry { number: 1, handle: "trunkline-doctor".to_owned() }];
    let asked = [
        ("sqs:DeleteMessage", sqs.delete(&nobody).await.err()),
        ("sqs:ChangeMessageVisibility", sqs.extend(&nobody, Duration::ZERO).await.err()),
    ];
    let denied = asked.iter().filter_map(|(action, error)| match error {
        Some(error @ SqsError::Denied { .. }) => {
            let remedy = format!("allow {action} on the queue");
            Some(Finding::fail(PERMISSIONS, error.to_string(), remedy))
        }
        Some(_) | None => None,
    });
    let denied: Vec<Finding> = denied.collect();
    if !denied.is_empty() {
        return denied;
    }
    let text =
        "sqs:GetQueueAttributes, sqs:DeleteMessage and sqs:ChangeMessageVisibility are permitted";
    let unasked = "sqs:ReceiveMessage is not asked: it counts as a delivery of a message";
    vec![Finding::ok(PERMISSIONS, text), Finding::new(PERMISSIONS, Verdict::Skip, unasked)]
}

fn settings(config: &Config, found: &Attributes) -> Vec<Finding> {
    let days = found.retention.as_secs() as f64 / DAY as f64;
    let kept = format!("what nobody takes is kept for {days:.1} days");
    let retention = match found.retention >= KEPT {
        true => Finding::ok("retention", kept),
        false => Finding::warn(
            "retention",
            kept,
            "MessageRetentionPeriod: 4 days (345600) or more; the most is 14 (1209600)",
        ),
    };
    let dead = match &found.dead_letters {
        None => Finding::ok(
            "dead letters",
            "no dead-letter queue: what cannot be understood goes to the quarantine topic",
        ),
        Some((name, count)) if *count >= OFTEN => {
            Finding::ok("dead letters", format!("{name} gets what was given {count} times"))
        }
        Some((name, count)) => Finding::warn(
            "dead letters",
            format!("{name} gets what was given {count} times, written or not"),
            "maxReceiveCount: 10 or more, since every restart counts; watch that queue: what is in it is in no record",
        ),
    };
    let visibility = Finding::ok(
        "visibility",
        format!(
            "a message is hidden for {} s and extended while Kafka does not have it; the queue's own {} s do not count",
            config.genesys.eventbridge.visibility_secs,
            found.visibility.as_secs()
        ),
    );
    vec![retention, dead, visibility]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(days: u64, dead_letters: Option<(&str, u32)>) -> Vec<Verdict> {
        let found = Attributes {
            retention: Duration::from_secs(days * DAY),
            visibility: Duration::from_secs(30),
            dead_letters: dead_letters.map(|(name, count)| (name.to_owned(), count)),
            waiting: 0,
            hidden: 0,
        };
        settings(&Config::default(), &found).into_iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn a_queue_that_forgets_early_or_gives_up_soon_is_named() {
        let (ok, warn) = (Verdict::Ok, Verdict::Warn);
        assert_eq!(verdicts(4, None), [ok, ok, ok]);
        assert_eq!(verdicts(3, Some(("dead", 10))), [warn, ok, ok]);
        assert_eq!(verdicts(14, Some(("dead", 3))), [ok, warn, ok]);
    }
}
