//! The admin server: the status page on /, /metrics, /healthz, /readyz, /startupz, what the page shows as
//! JSON under /api/v1, and actions for whoever has the token.

mod actions;
mod listener;
mod page;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;

pub use self::actions::Actions;
pub use self::page::About;

use self::listener::Bounded;
use crate::clock::Clock;
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

/// What it shows, and what it is allowed to do.
pub struct AdminParts {
    /// Time.
    pub clock: Clock,
    /// Everything that is counted.
    pub metrics: Metrics,
    /// The board everybody posts on.
    pub board: StatusBoard,
    /// What does not change.
    pub about: About,
    /// Orders.
    pub actions: Actions,
}

/// The parts, for every request.
type Seat = Arc<AdminParts>;

impl Admin {
    /// Binds the port.
    ///
    /// # Errors
    /// When the port is taken or not ours; a start-up error.
    pub async fn bind(address: SocketAddr, parts: AdminParts) -> Result<Self, AdminError> {
        let listener =
            TcpListener::bind(address).await.map_err(|source| AdminError { address, source })?;
        let style = serve::file("text/css; charset=utf-8", include_str!("page/style.css"));
        let script = serve::file("text/javascript; charset=utf-8", include_str!("page/script.js"));
        let icon = serve::file("image/svg+xml", include_str!("page/icon.svg"));
        let app = Router::new()
            .route("/", get(serve::whole))
            .route("/page/main", get(serve::part))
            .route("/page/style.css", style)
            .route("/page/script.js", script)
            .route("/page/icon.svg", icon)
            .route("/metrics", get(serve::scrape))
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(serve::ready))
            .route("/startupz", get(serve::ready))
            .route("/api/v1/status", get(serve::status))
            .route("/api/v1/coverage", get(serve::coverage))
            .route("/api/v1/gaps", get(serve::gaps))
            .route("/api/v1/actions/rotate", post(actions::rotate))
            .layer(DefaultBodyLimit::max(actions::BODY))
            .with_state(Arc::new(parts));
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
        axum::serve(Bounded::new(self.listener), self.app).await
    }
}
