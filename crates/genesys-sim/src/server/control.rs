//! `/sim/`: what a test or an operator of the simulator asks, apart from the platform's own API.

use serde_json::{Value, json};

use super::{Shared, desk};
use crate::Kind;
use crate::faults::Fault;
use crate::http::{Answer, Request};

/// Entries per page of the ledger unless asked otherwise.
const PAGE: usize = 1_000;

pub(crate) fn handle(request: &Request, shared: &Shared) -> Answer {
    let path = request.path.strip_prefix("/sim/").unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", [""]) => desk::whole(request, shared),
        ("GET", ["page", "now"]) => desk::now(shared),
        ("GET", ["page", file]) => desk::file(file),
        ("POST", ["press"]) => desk::press(request, shared),
        ("GET", ["state"]) => desk::state(shared),
        ("GET", ["ledger"]) => ledger(request, shared),
        ("GET", ["faults"]) => Answer::json(200, &json!(shared.cloud().applied())),
        ("POST", ["faults"]) => inject(request, shared),
        ("GET", ["settings"]) => Answer::json(200, &json!(shared.cloud().settings())),
        ("POST", ["settings"]) => change_settings(request, shared),
        ("GET", ["dials"]) => Answer::json(200, &json!(shared.cloud().dials())),
        ("GET", ["counters"]) => counters(shared),
        ("GET", ["org"]) => org(shared),
        ("GET", ["history"]) => history(request, shared),
        ("POST", ["queues"]) => create(Kind::Queue, request, shared),
        ("POST", ["users"]) => create(Kind::User, request, shared),
        ("PATCH", ["queues", id]) => change(Kind::Queue, id, request, shared),
        ("PATCH", ["users", id]) => change(Kind::User, id, request, shared),
        ("DELETE", ["queues", id]) => delete(Kind::Queue, id, shared),
        ("DELETE", ["users", id]) => delete(Kind::User, id, shared),
        _ => Answer::not_found(),
    }
}

/// What is true of history, conversation by conversation.
fn history(request: &Request, shared: &Shared) -> Answer {
    let after = request.query.get("after").map_or("", String::as_str);
    let limit = request.query.get("limit").and_then(|n| n.parse().ok()).unwrap_or(PAGE);
    let cloud = shared.cloud();
    let lines = cloud.history().truth(after, cloud.settings()).take(limit);
    let mut body: Vec<String> = lines.map(|line| line.to_string()).collect();
    body.push(String::new());
    Answer { status: 200, body: body.join("\n"), ..Answer::default() }
}

fn counters(shared: &Shared) -> Answer {
    let cloud = shared.cloud();
    let mut body = json!(cloud.counters());
    body["generated"] = cloud.ledger().len().into();
    body["covered"] = cloud.ledger().covered().into();
    body["connected"] = json!(cloud.connected());
    body["now_ms"] = shared.now_ms().into();
    body["done"] = (*shared.traffic.borrow() == super::TrafficState::Done).into();
    Answer::json(200, &body)
}

fn org(shared: &Shared) -> Answer {
    let mut cloud = shared.cloud();
    let origin_ms = cloud.wall_origin_ms;
    let org = cloud.traffic().org();
    let queues: Vec<_> = org.queues.iter().filter(|q| !q.deleted).map(|q| &q.id).collect();
    let users: Vec<_> = org.users.iter().filter(|u| !u.deleted).map(|u| &u.id).collect();
    Answer::json(
        200,
        &json!({"id": org.id, "origin_ms": origin_ms, "queues": queues, "users": users}),
    )
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
        Err(error) => wrong(&error.to_string()),
    }
}

fn change_settings(request: &Request, shared: &Shared) -> Answer {
    let changes = serde_json::from_slice::<Value>(&request.body);
    let changed = changes.map_err(|error| error.to_string()).and_then(|changes| {
        shared.with(|cloud, _| {
            let settings = cloud.settings().patched(&changes)?;
            cloud.set_settings(settings);
            Ok(())
        })
    });
    match changed {
        Ok(()) => Answer::json(200, &json!(shared.cloud().settings())),
        Err(error) => wrong(&error),
    }
}

fn create(kind: Kind, request: &Request, shared: &Shared) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match body["name"].as_str() {
        Some(name) => {
            let id = shared.with(|cloud, _| cloud.create_object(kind, name));
            Answer::json(200, &json!({"id": id, "name": name}))
        }
        None => wrong("the body is {\"name\": …}"),
    }
}

fn change(kind: Kind, id: &str, request: &Request, shared: &Shared) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let (name, division) = (body["name"].as_str(), body["division"].as_str());
    if name.is_none() && division.is_none() {
        return wrong("the body is {\"name\": …, \"division\": …}, or one of both");
    }
    match shared.with(|cloud, _| cloud.change_object(kind, id, name, division)) {
        Ok(()) => Answer::empty(204),
        Err(why) => wrong(&why),
    }
}

fn delete(kind: Kind, id: &str, shared: &Shared) -> Answer {
    match shared.with(|cloud, _| cloud.delete_object(kind, id)) {
        true => Answer::empty(204),
        false => Answer::not_found(),
    }
}

fn wrong(why: &str) -> Answer {
    Answer::json(400, &json!({"error": why}))
}

fn ledger(request: &Request, shared: &Shared) -> Answer {
    let number = |key: &str| request.query.get(key).and_then(|value| value.parse::<u64>().ok());
    let after = number("after").unwrap_or(0);
    let limit = number("limit").and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE);
    let mut lines = match shared.ledger_page(after, limit) {
        Ok(lines) => lines,
        Err(error) => return Answer::json(500, &json!({"error": error.to_string()})),
    };
    lines.push(String::new());
    Answer { status: 200, body: lines.join("\n"), ..Answer::default() }
}
