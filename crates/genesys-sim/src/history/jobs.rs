//! Details jobs: accepted, worked on for a while, kept for a day.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::settings::Settings;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Accepted.
    Queued,
    /// Worked on.
    Pending,
    /// Its results can be fetched.
    Fulfilled,
    /// It has none.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Its results are gone.
    Expired,
}

impl State {
    /// The platform's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Pending => "PENDING",
            Self::Fulfilled => "FULFILLED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// One job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) client: String,
    pub(crate) submitted_ms: u64,
    pub(crate) body: Value,
    /// What it shows, once it was looked at after its completion.
    pub(crate) results: Option<(Arc<Vec<Value>>, u64)>,
    cancelled: bool,
    fails: bool,
}

/// All jobs, by id.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    all: BTreeMap<String, Job>,
    failed: u32,
}

impl Jobs {
    /// Accepts a job, unless the client has too many that are not done.
    pub(crate) fn submit(
        &mut self,
        id: String,
        client: &str,
        body: Value,
        settings: &Settings,
        now_ms: u64,
    ) -> bool {
        self.all.retain(|_, job| now_ms < job.submitted_ms + 2 * settings.job_life_ms);
        let open = self.all.values().filter(|job| {
            job.client == client
                && matches!(job.state(settings, now_ms), State::Queued | State::Pending)
        });
        if open.count() >= settings.jobs_at_once {
            return false;
        }
        let fails = self.failed < settings.jobs_fail;
        self.failed += u32::from(fails);
        let client = client.to_owned();
        let job =
            Job { client, submitted_ms: now_ms, body, results: None, cancelled: false, fails };
        self.all.insert(id, job);
        true
    }

    /// A job.
    pub(crate) fn get(&self, id: &str) -> Option<&Job> {
        self.all.get(id)
    }

    /// A job.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Job> {
        self.all.get_mut(id)
    }

    /// Cancels a job; says whether there is one.
    pub(crate) fn cancel(&mut self, id: &str) -> bool {
        let job = self.all.get_mut(id);
        job.map(|job| job.cancelled = true).is_some()
    }
}

impl Job {
    /// How far it is.
    pub(crate) fn state(&self, settings: &Settings, now_ms: u64) -> State {
        let age = now_ms.saturating_sub(self.submitted_ms);
        match age {
            _ if self.cancelled => State::Cancelled,
            age if age < settings.job_takes_ms / 4 => State::Queued,
            age if age < settings.job_takes_ms => State::Pending,
            _ if self.fails => State::Failed,
            age if age < settings.job_takes_ms + settings.job_life_ms => State::Fulfilled,
            _ => State::Expired,
        }
    }
}
