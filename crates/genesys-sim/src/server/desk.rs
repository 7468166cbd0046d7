//! The page on `/sim/`: looks at the core, and carries out what was pressed.

use serde_json::json;

use super::{Shared, TrafficState};
use crate::http::{Answer, Request};
use crate::look::Look;
use crate::page::{self, Said, Seen};

pub(super) fn whole(request: &Request, shared: &Shared) -> Answer {
    // after a button without script: what came of it
    let pressed = request.query.get("pressed").and_then(|index| index.parse::<usize>().ok());
    let applied = pressed.and_then(|index| shared.cloud().applied().get(index).cloned());
    html(200, seen(shared, applied.map(|applied| Said::Done(page::done(&applied))), page::whole))
}

/// What of the page moves.
pub(super) fn now(shared: &Shared) -> Answer {
    html(200, seen(shared, None, page::part))
}

/// The same look for programs.
pub(super) fn state(shared: &Shared) -> Answer {
    let mut body = json!(look(shared));
    body["traffic"] = words(shared).into();
    Answer::json(200, &body)
}

pub(super) fn file(name: &str) -> Answer {
    let (kind, text) = match name {
        "style.css" => ("text/css; charset=utf-8", page::STYLE),
        "script.js" => ("text/javascript; charset=utf-8", page::SCRIPT),
        "icon.svg" => ("image/svg+xml", page::ICON),
        _ => return Answer::not_found(),
    };
    let headers = vec![("content-type", kind.to_owned()), nosniff()];
    Answer { status: 200, headers, body: text.to_owned(), ..Answer::default() }
}

/// One button: a form. A browser is sent back to the page, a program gets JSON.
pub(super) fn press(request: &Request, shared: &Shared) -> Answer {
    let program = request.accept.as_deref().is_some_and(|kinds| kinds.contains("json"));
    let fields = url::form_urlencoded::parse(&request.body).into_owned().collect();
    let (fault, entry) = match page::form::read(&fields) {
        Ok(read) => read,
        Err(error) if program => return Answer::json(400, &json!({"error": error})),
        Err(error) => return html(400, seen(shared, Some(Said::Wrong(error)), page::whole)),
    };
    let (index, said) = shared.with(|cloud, now_ms| {
        let index = cloud.applied().len();
        cloud.inject(fault);
        cloud.tick(now_ms);
        // it is due before all others, so it is the next one carried out
        (index, cloud.applied().get(index).map(page::done).unwrap_or_default())
    });
    if program {
        return Answer::json(200, &json!({"accepted": true, "said": said, "fault": entry}));
    }
    let back = vec![("location", format!("/sim/?pressed={index}"))];
    Answer { status: 303, headers: back, ..Answer::default() }
}

fn seen(shared: &Shared, said: Option<Said>, show: impl Fn(&Seen<'_>) -> String) -> String {
    let look = look(shared);
    show(&Seen { look: &look, traffic: words(shared), said })
}

fn look(shared: &Shared) -> Look {
    let cloud = shared.cloud();
    cloud.look(shared.now_ms())
}

fn words(shared: &Shared) -> &'static str {
    match *shared.traffic.borrow() {
        TrafficState::Waiting => "waiting for channels",
        TrafficState::Flowing { .. } => "flowing",
        TrafficState::Done => "done",
    }
}

fn nosniff() -> (&'static str, String) {
    ("x-content-type-options", "nosniff".to_owned())
}

fn html(status: u16, body: String) -> Answer {
    let headers = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("content-security-policy", page::POLICY.to_owned()),
        ("referrer-policy", "no-referrer".to_owned()),
        ("x-frame-options", "DENY".to_owned()),
        nosniff(),
    ];
    Answer { status, headers, body, ..Answer::default() }
}
