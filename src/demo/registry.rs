//! A schema registry in the process: the routes that clients of the Confluent API use.
#![expect(clippy::result_large_err, reason = "an answer is built once per request")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Schemas by id, and the ids of each subject in order.
#[derive(Clone, Default)]
pub struct Registry(Arc<Shared>);

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    failing: AtomicBool,
}

#[derive(Default)]
struct Kept {
    schemas: Vec<String>,
    subjects: BTreeMap<String, Vec<u32>>,
}

impl Registry {
    /// Serves until the listener's task is dropped.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let app = Router::new()
            .route("/subjects", get(subjects))
            .route("/subjects/{subject}", post(lookup))
            .route("/subjects/{subject}/versions", get(versions).post(register))
            .route("/subjects/{subject}/versions/{version}", get(version))
            .route("/schemas/ids/{id}", get(by_id))
            .route("/config", get(config).put(config))
            .route("/config/{subject}", get(config).put(config))
            .with_state(self);
        axum::serve(listener, app).await
    }

    /// From now on every request is answered with 500, or properly again.
    pub fn fail(&self, failing: bool) {
        self.0.failing.store(failing, Ordering::Relaxed);
    }

    /// Every schema with its id.
    #[must_use]
    pub fn schemas(&self) -> BTreeMap<u32, String> {
        self.with(|kept| (1..).zip(kept.schemas.iter().cloned()).collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.0.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn check(&self) -> Result<(), Response> {
        match self.0.failing.load(Ordering::Relaxed) {
            true => Err(error(StatusCode::INTERNAL_SERVER_ERROR, 50001, "the registry is failing")),
            false => Ok(()),
        }
    }
}

fn error(status: StatusCode, code: u32, message: &str) -> Response {
    (status, Json(json!({"error_code": code, "message": message}))).into_response()
}

fn no_subject() -> Response {
    error(StatusCode::NOT_FOUND, 40401, "Subject not found.")
}

async fn subjects(State(registry): State<Registry>) -> Result<Json<Value>, Response> {
    registry.check()?;
    Ok(Json(registry.with(|kept| json!(kept.subjects.keys().collect::<Vec<_>>()))))
}

async fn versions(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
) -> Result<Json<Value>, Response> {
    registry.check()?;
    let count = registry.with(|kept| kept.subjects.get(&subject).map(Vec::len));
    Ok(Json(json!((1..=count.ok_or_else(no_subject)?).collect::<Vec<_>>())))
}

async fn version(
    State(registry): State<Registry>,
    Path((subject, version)): Path<(String, String)>,
) -> Result<Json<Value>, Response> {
    registry.check()?;
    let found = registry.with(|kept| {
        let ids = kept.subjects.get(&subject)?;
        let number = if version == "latest" { ids.len() } else { version.parse().ok()? };
        let id = *ids.get(number.checked_sub(1)?)?;
        Some(json!({"subject": subject, "version": number, "id": id, "schema": schema(kept, id)?}))
    });
    found.map(Json).ok_or_else(no_subject)
}

async fn by_id(
    State(registry): State<Registry>,
    Path(id): Path<u32>,
) -> Result<Json<Value>, Response> {
    registry.check()?;
    let found = registry.with(|kept| schema(kept, id));
    let missing = || error(StatusCode::NOT_FOUND, 40403, "Schema not found");
    found.map(|schema| Json(json!({"schema": schema}))).ok_or_else(missing)
}

async fn config(State(registry): State<Registry>) -> Result<Json<Value>, Response> {
    registry.check()?;
    Ok(Json(json!({"compatibilityLevel": "FULL_TRANSITIVE", "compatibility": "FULL_TRANSITIVE"})))
}

async fn lookup(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Response> {
    registry.check()?;
    let wanted = body["schema"].as_str().unwrap_or_default().to_owned();
    let found = registry.with(|kept| {
        let ids = kept.subjects.get(&subject)?;
        let at = ids.iter().position(|id| schema(kept, *id).as_deref() == Some(&wanted))?;
        Some(json!({"subject": subject, "version": at + 1, "id": ids[at], "schema": wanted}))
    });
    found.map(Json).ok_or_else(no_subject)
}

async fn register(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Response> {
    registry.check()?;
    let text = body["schema"].as_str().unwrap_or_default().to_owned();
    let Ok(new) = Schema::parse_str(&text) else {
        return Err(error(StatusCode::UNPROCESSABLE_ENTITY, 42201, "Invalid Avro schema"));
    };
    registry.with(|kept| {
        let known = kept.schemas.iter().position(|known| *known == text);
        let ids = kept.subjects.get(&subject).cloned().unwrap_or_default();
        for old in ids.iter().filter_map(|id| schema(kept, *id)) {
            let Ok(old) = Schema::parse_str(&old) else {
                continue;
            };
            let full = SchemaCompatibility::can_read(&old, &new)
                .and_then(|_| SchemaCompatibility::can_read(&new, &old));
            if full.is_err() {
                let message = "Schema being registered is incompatible with an earlier schema";
                return Err(error(StatusCode::CONFLICT, 409, message));
            }
        }
        let index = known.unwrap_or_else(|| {
            kept.schemas.push(text);
            kept.schemas.len() - 1
        });
        let id = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let ids = kept.subjects.entry(subject).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
        Ok(Json(json!({"id": id})))
    })
}

fn schema(kept: &Kept, id: u32) -> Option<String> {
    kept.schemas.get(usize::try_from(id).ok()?.checked_sub(1)?).cloned()
}
