//! The admin server: /metrics, /healthz, /readyz, /startupz, /api/v1/{status,coverage,gaps}.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;

use crate::observe::metrics::Metrics;
use crate::observe::status::StatusBoard;

/// The port cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the admin server cannot listen on {address}")]
pub struct AdminError {
    /// Where.
    address: SocketAddr,
    /// Why.
    #[source]
    source: std::io::Error,
}

/// A bound admin server.
pub struct Admin {
    listener: TcpListener,
    app: Router,
}

#[derive(Clone)]
struct Seen {
    metrics: Metrics,
    board: StatusBoard,
}

impl Admin {
    /// Binds the port.
    ///
    /// # Errors
    /// When the port is taken or not ours; a start-up error.
    pub async fn bind(
        address: SocketAddr,
        metrics: Metrics,
        board: StatusBoard,
    ) -> Result<Self, AdminError> {
        let listener =
            TcpListener::bind(address).await.map_err(|source| AdminError { address, source })?;
        let app = Router::new()
            .route("/metrics", get(scrape))
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/startupz", get(ready))
            .route("/api/v1/status", get(status))
            .route("/api/v1/coverage", get(coverage))
            .route("/api/v1/gaps", get(gaps))
            .with_state(Seen { metrics, board });
        Ok(Self { listener, app })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the task is dropped.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self) -> std::io::Result<()> {
        axum::serve(self.listener, self.app).await
    }
}

async fn scrape(State(seen): State<Seen>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], seen.metrics.render())
}

async fn ready(State(seen): State<Seen>) -> impl IntoResponse {
    let status = match seen.board.is_ready() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let checks = seen.board.snapshot().checks;
    (status, Json(json!({"ready": status == StatusCode::OK, "checks": checks})))
}

/// By shard: up to when coverage is proven, and gaps that are not closed.
async fn coverage(State(seen): State<Seen>) -> impl IntoResponse {
    Json(json!(seen.board.snapshot().coverage))
}

/// Gaps that are not closed, each with its shard; and the reading of history under way.
async fn gaps(State(seen): State<Seen>) -> impl IntoResponse {
    let status = seen.board.snapshot();
    let of = |(shard, coverage): (&u16, &crate::observe::status::Coverage)| {
        let line = |gap| json!({"shard": shard, "gap": gap});
        coverage.gaps.iter().map(line).collect::<Vec<_>>()
    };
    let open: Vec<_> = status.coverage.iter().flat_map(of).collect();
    Json(json!({"open": open, "backfill": status.backfill}))
}

async fn status(State(seen): State<Seen>) -> impl IntoResponse {
    Json(json!(seen.board.snapshot()))
}
