//! What a client of the rules makes of the platform's answers.

use std::time::Duration;

use genesys_sim::http::Answer;
use serde_json::Value;
use trunkline_protocol::backoff::Hint;
use trunkline_protocol::channel::{ChannelInfo, Input, Step};
use trunkline_protocol::domain::Mono;
use trunkline_protocol::gate::{Endpoint, Outcome, Priority};
use trunkline_protocol::subscriptions::Answered;

/// Where a step waits for its turn, and how urgent it is.
pub fn lane(step: Step) -> (Endpoint, Priority) {
    match step {
        Step::Count => (Endpoint::Channels, Priority::StartReconnect),
        Step::Create => (Endpoint::Channels, Priority::FinishReconnect),
        Step::Dial => (Endpoint::Dial, Priority::FinishReconnect),
        Step::Subscribe | Step::Verify => (Endpoint::Subscriptions, Priority::FinishReconnect),
    }
}

/// How a request went, for the gate.
pub fn outcome(answer: &Answer) -> Outcome {
    let header = answer.headers.iter().find(|(name, _)| *name == "Retry-After");
    match answer.status {
        429 => Outcome::RateLimited(Hint::parse(header.map(|(_, value)| value.as_str()))),
        0 | 500.. => Outcome::Failed,
        _ => Outcome::Answered,
    }
}

/// What the body of a good answer to a step says.
pub fn understood(step: Step, body: &Value, now: Mono) -> Input {
    let entities = || body["entities"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match step {
        Step::Count => Input::Counted(u32::try_from(entities().len()).expect("few channels")),
        Step::Create => Input::Created(ChannelInfo {
            id: text(&body["id"]),
            uri: text(&body["connectUri"]),
            expires: now + Duration::from_secs(86_400),
        }),
        Step::Subscribe => {
            let answered = |entity: Value| Answered {
                topic: text(&entity["id"]),
                permitted: entity["state"] == "Permitted",
                ..Answered::default()
            };
            Input::Subscribed(entities().into_iter().map(answered).collect())
        }
        Step::Verify => {
            Input::Listed(entities().iter().map(|entity| text(&entity["id"])).collect())
        }
        Step::Dial => Input::Failed,
    }
}
