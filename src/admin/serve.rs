//! What is answered: the page and its parts, health, metrics, status.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{MethodRouter, get};
use serde_json::json;

use super::Seat;
use super::page::{self, Flowing, Seen};
use crate::observe::status::Coverage;

/// Nothing but our own files; nobody shows it in a frame; no form goes elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a browser may do with a page.
const BROWSER: [(header::HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
];

/// A first look waits so long for the past, in so many steps.
const STEP: Duration = Duration::from_millis(50);
const STEPS: u32 = 20;
/// An older past is waited for as well.
const FRESH_MS: i64 = 6_000;

pub(super) async fn whole(State(seat): State<Seat>) -> impl IntoResponse {
    seat.board.wish();
    for _ in 0..STEPS {
        let now = seat.clock.now().wall;
        let status = seat.board.snapshot();
        let fresh = status.past.is_some_and(|past| now.0 - past.at.0 < FRESH_MS);
        if fresh || status.coverage.is_empty() {
            break;
        }
        tokio::time::sleep(STEP).await;
    }
    (BROWSER, Html(look(&seat, page::page)))
}

pub(super) async fn part(State(seat): State<Seat>) -> impl IntoResponse {
    seat.board.wish();
    (BROWSER, Html(look(&seat, page::main)))
}

fn look(seat: &Seat, show: impl Fn(&Seen<'_>) -> String) -> String {
    let (status, flow) = (seat.board.snapshot(), seat.metrics.flow().snapshot());
    let flowing = Flowing {
        in_flight: flow.in_flight,
        oldest_unacked: seat.metrics.publish.oldest_unacked_at(),
        received: flow.received.iter().sum(),
        published: flow.published.iter().sum(),
        budgets: (0..seat.about.burst.len()).map(|nth| seat.metrics.control.budget(nth)).collect(),
    };
    let (about, now) = (&seat.about, seat.clock.now().wall);
    show(&Seen { about, status: &status, flowing: &flowing, now, actions: seat.actions.are_on() })
}

/// A file of the page.
pub(super) fn file(kind: &'static str, text: &'static str) -> MethodRouter<Seat> {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    get(move || std::future::ready((headers.clone(), text)))
}

pub(super) async fn scrape(State(seat): State<Seat>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], seat.metrics.render())
}

pub(super) async fn ready(State(seat): State<Seat>) -> impl IntoResponse {
    let status = match seat.board.is_ready() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let checks = seat.board.snapshot().checks;
    (status, Json(json!({"ready": status == StatusCode::OK, "checks": checks})))
}

/// By shard: up to when coverage is proven, and gaps that are not closed.
pub(super) async fn coverage(State(seat): State<Seat>) -> impl IntoResponse {
    Json(json!(seat.board.snapshot().coverage))
}

/// Gaps that are not closed, each with its shard; and the reading of history under way.
pub(super) async fn gaps(State(seat): State<Seat>) -> impl IntoResponse {
    let status = seat.board.snapshot();
    let of = |(shard, coverage): (&u16, &Coverage)| {
        let line = |gap| json!({"shard": shard, "gap": gap});
        coverage.gaps.iter().map(line).collect::<Vec<_>>()
    };
    let open: Vec<_> = status.coverage.iter().flat_map(of).collect();
    Json(json!({"open": open, "backfill": status.backfill}))
}

pub(super) async fn status(State(seat): State<Seat>) -> impl IntoResponse {
    Json(json!(seat.board.snapshot()))
}
