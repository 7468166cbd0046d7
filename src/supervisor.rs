//! Named tasks: every task is owned and missed when it ends uninvited. The only caller of spawn.

use std::collections::BTreeMap;
use std::future::Future;

use tokio::task::{Id, JoinSet};

use crate::causes;

/// How a task came to its end.
#[derive(Debug)]
pub struct TaskEnd {
    /// The name it was spawned under.
    pub name: String,
    /// `None` when it returned, the panic message or error text otherwise.
    pub failure: Option<String>,
}

/// A task ended that should have gone on: whoever needs it cannot go on either, and a new process may.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {why}")]
pub struct Uninvited {
    /// Its name.
    pub name: String,
    /// What it said, if anything.
    pub why: String,
}

impl From<TaskEnd> for Uninvited {
    fn from(ended: TaskEnd) -> Self {
        let why = ended.failure.unwrap_or_else(|| "ended uninvited".to_owned());
        Self { name: ended.name, why }
    }
}

/// Owns the tasks of one part of the process; dropping it aborts them.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: JoinSet<Result<(), String>>,
    names: BTreeMap<Id, String>,
}

impl Supervisor {
    /// Owns nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task; its error is kept as text for [`Self::next`].
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F, E>(&mut self, name: impl Into<String>, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + 'static,
    {
        let handle =
            self.tasks.spawn(async move { task.await.map_err(|error| causes::chain(&error)) });
        self.names.insert(handle.id(), name.into());
    }

    /// Starts a task that cannot fail.
    pub fn spawn_infallible<F>(&mut self, name: impl Into<String>, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, async move {
            task.await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// How many tasks are running.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is running.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Names of the tasks still running, sorted.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let mut names: Vec<String> = self.names.values().cloned().collect();
        names.sort();
        names
    }

    /// Waits for the next task to end; `None` when none is left. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<TaskEnd> {
        let ended = self.tasks.join_next_with_id().await?;
        let (id, failure) = match ended {
            Ok((id, Ok(()))) => (id, None),
            Ok((id, Err(text))) => (id, Some(text)),
            Err(error) => (error.id(), Some(error.to_string())),
        };
        let name = self.names.remove(&id).unwrap_or_default();
        Some(TaskEnd { name, failure })
    }

    /// Aborts every task that is left.
    pub fn abort_all(&mut self) {
        self.tasks.abort_all();
    }
}
