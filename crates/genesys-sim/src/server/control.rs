//! `/sim/`: what a test or an operator of the simulator asks, apart from the platform's own API.

use serde_json::json;

use super::{Shared, line};
use crate::faults::Fault;
use crate::http::{Answer, Request};

/// Entries per page of the ledger unless asked otherwise.
const PAGE: usize = 1_000;

pub(crate) fn handle(request: &Request, shared: &Shared) -> Answer {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/sim/ledger") => ledger(request, shared),
        ("GET", "/sim/faults") => Answer::json(200, &json!(shared.cloud().applied())),
        ("POST", "/sim/faults") => inject(request, shared),
        ("GET", "/sim/counters") => {
            let cloud = shared.cloud();
            let mut body = json!(cloud.counters());
            body["generated"] = cloud.ledger().len().into();
            body["covered"] = cloud.ledger().covered().into();
            body["connected"] = json!(cloud.connected());
            body["now_ms"] = shared.now_ms().into();
            body["done"] = (*shared.traffic.borrow() == super::TrafficState::Done).into();
            Answer::json(200, &body)
        }
        ("GET", "/sim/org") => {
            let mut cloud = shared.cloud();
            let org = cloud.traffic().org();
            let ids = |list: Vec<&String>| json!(list);
            Answer::json(
                200,
                &json!({"id": org.id, "queues": ids(org.queues.iter().map(|q| &q.id).collect()),
                        "users": ids(org.users.iter().map(|u| &u.id).collect())}),
            )
        }
        _ => Answer::not_found(),
    }
}

fn inject(request: &Request, shared: &Shared) -> Answer {
    match serde_json::from_slice::<Fault>(&request.body) {
        Ok(fault) => {
            shared.with(|cloud, now_ms| {
                cloud.inject(fault);
                cloud.tick(now_ms);
            });
            Answer::json(200, &json!({"accepted": true}))
        }
        Err(error) => Answer::json(400, &json!({"error": error.to_string()})),
    }
}

fn ledger(request: &Request, shared: &Shared) -> Answer {
    let number = |key: &str| {
        request
            .query
            .get(key)
            .and_then(|value| value.parse::<u64>().ok())
    };
    let after = number("after").unwrap_or(0);
    let limit = number("limit")
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(PAGE);
    let mut lines = match shared.spill().lines(after, limit) {
        Ok(lines) => lines,
        Err(error) => return Answer::json(500, &json!({"error": error.to_string()})),
    };
    let left = limit - lines.len();
    let last = after + lines.len() as u64;
    lines.extend(shared.cloud().ledger().after(last, left).map(line));
    lines.push(String::new());
    Answer {
        status: 200,
        body: lines.join("\n"),
        ..Answer::default()
    }
}
