//! Details query, details jobs, look-ups by id.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::history::{State, View, Wanted, interval};
use crate::http::{Answer, Request};
use crate::json::iso;
use crate::traffic::Story;

const DETAILS: &str = "analytics:conversationDetail:view";
const VIEW: &str = "conversation:communication:view";
const IDS: usize = 100;

impl Cloud {
    /// Answers below `/api/v2/analytics/conversations` and `/api/v2/conversations`.
    pub(super) fn analytics(&mut self, request: &Request, client: &str, now_ms: u64) -> Answer {
        let path = request.path.strip_prefix("/api/v2/").unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        let needed = if parts.first() == Some(&"conversations") { VIEW } else { DETAILS };
        if self.lacks(needed) {
            return Answer::forbidden(needed);
        }
        match (request.method.as_str(), parts.as_slice()) {
            ("POST", ["analytics", "conversations", "details", "query"]) => {
                self.details_query(request, now_ms)
            }
            ("POST", ["analytics", "conversations", "details", "jobs"]) => {
                self.submit_job(request, client, now_ms)
            }
            ("GET", ["analytics", "conversations", "details", "jobs", "availability"]) => {
                Answer::json(200, &json!({"dataAvailabilityDate": iso(self.history.horizon_ms())}))
            }
            ("GET", ["analytics", "conversations", "details", "jobs", id]) => {
                self.job_state(id, now_ms)
            }
            ("DELETE", ["analytics", "conversations", "details", "jobs", id]) => {
                if self.history.jobs.cancel(id) { Answer::empty(204) } else { Answer::not_found() }
            }
            ("GET", ["analytics", "conversations", "details", "jobs", id, "results"]) => {
                self.job_results(id, request, now_ms)
            }
            ("GET", ["analytics", "conversations", "details"]) => self.by_ids(request, now_ms),
            ("GET", ["analytics", "conversations", id, "details"]) => {
                match self.history.by_id(id, &self.view(now_ms)) {
                    Some(row) => Answer::json(200, &row),
                    None => Answer::not_found(),
                }
            }
            ("GET", ["conversations", id]) => self.conversation(id, now_ms),
            _ => Answer::not_found(),
        }
    }

    fn view(&self, now_ms: u64) -> View<'_> {
        let wall_ms = self.wall_origin_ms + now_ms;
        View { org: self.traffic.org(), settings: &self.settings, now_ms, wall_ms }
    }

    fn details_query(&mut self, request: &Request, now_ms: u64) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let span = match interval(&body) {
            Ok(span) => span,
            Err(why) => return Answer::error(400, "bad.request", &why),
        };
        let paging = |key: &str| body["paging"][key].as_u64();
        let size = paging("pageSize").unwrap_or(25);
        let page = paging("pageNumber").unwrap_or(1);
        if size == 0 || size > self.settings.query_page_max || page == 0 {
            let most = self.settings.query_page_max;
            let why = format!("Paging is invalid: page sizes from 1 to {most}, pages from 1.");
            return Answer::error(400, "bad.request", &why);
        }
        let wanted = Wanted::read(&body);
        let view = self.view(now_ms);
        let mut stories: Vec<&Story> = self.history.query(span, &view).collect();
        if !wanted.takes_all() {
            stories.retain(|story| view.queried(story).is_some_and(|row| wanted.takes(&row)));
        }
        if body["order"] == "desc" {
            stories.reverse();
        }
        let cap = usize::try_from(self.settings.query_cap).unwrap_or(usize::MAX);
        stories.truncate(cap);
        let total = stories.len() as u64;
        let arrives = !stories.iter().all(|story| view.shows_end(story));
        let skip = usize::try_from((page - 1).saturating_mul(size)).unwrap_or(usize::MAX);
        let take = usize::try_from(size).unwrap_or(usize::MAX);
        let page = stories.into_iter().skip(skip).take(take);
        let rows: Vec<Value> = page.filter_map(|story| view.queried(story)).collect();
        // approximate while data arrives
        let off = if arrives {
            self.random_pair().0 % (2 * self.settings.total_hits_off + 1)
        } else {
            self.settings.total_hits_off
        };
        let total = (total + off).saturating_sub(self.settings.total_hits_off);
        let mut answer = json!({"totalHits": total});
        if !rows.is_empty() {
            answer["conversations"] = rows.into();
        }
        Answer::json(200, &answer)
    }

    fn submit_job(&mut self, request: &Request, client: &str, now_ms: u64) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if let Err(why) = interval(&body) {
            return Answer::error(400, "bad.request", &why);
        }
        let id = self.random_id();
        if !self.history.jobs.submit(id.clone(), client, body, &self.settings, now_ms) {
            let limit = u32::try_from(self.settings.jobs_at_once).unwrap_or(u32::MAX);
            return self.too_many(10, limit);
        }
        Answer::json(202, &json!({"jobId": id}))
    }

    fn job_state(&mut self, id: &str, now_ms: u64) -> Answer {
        let Some(job) = self.history.jobs.get(id) else { return Answer::not_found() };
        let state = job.state(&self.settings, now_ms);
        let wall = |ms: u64| iso(self.wall_origin_ms + ms);
        let done = job.submitted_ms + self.settings.job_takes_ms;
        let mut body = json!({"state": state.as_str(), "submissionDate": wall(job.submitted_ms)});
        let status = match state {
            State::Queued | State::Pending => 202,
            State::Fulfilled | State::Expired => {
                body["completionDate"] = wall(done).into();
                body["expirationDate"] = wall(done + self.settings.job_life_ms).into();
                200
            }
            State::Failed => {
                body["errorMessage"] = "The query could not be processed.".into();
                200
            }
            State::Cancelled => 200,
        };
        Answer::json(status, &body)
    }

    fn job_results(&mut self, id: &str, request: &Request, now_ms: u64) -> Answer {
        let number = |key: &str| request.query.get(key).and_then(|value| value.parse().ok());
        let size: usize = number("pageSize").unwrap_or(1_000);
        let from: usize = number("cursor").unwrap_or(0);
        if size == 0 || size > 10_000 {
            return Answer::error(400, "bad.request", "pageSize is from 1 to 10000.");
        }
        let Some((rows, horizon)) = self.fetch(id, now_ms) else { return Answer::not_found() };
        let page: Vec<&Value> = rows.iter().skip(from).take(size).collect();
        let mut body = json!({"dataAvailabilityDate": iso(horizon)});
        if from + page.len() < rows.len() {
            body["cursor"] = (from + page.len()).to_string().into();
        }
        if !page.is_empty() {
            body["conversations"] = json!(page);
        }
        Answer::json(200, &body)
    }

    /// The results of a job, as of the first look at them.
    fn fetch(&mut self, id: &str, now_ms: u64) -> Option<(Arc<Vec<Value>>, u64)> {
        let job = self.history.jobs.get(id)?;
        if job.state(&self.settings, now_ms) != State::Fulfilled {
            return None;
        }
        if let Some((rows, horizon)) = &job.results {
            return Some((Arc::clone(rows), *horizon));
        }
        let span = interval(&job.body).ok()?;
        let by_day = job.body["startOfDayIntervalMatching"] == true;
        let wanted = Wanted::read(&job.body);
        let mut rows = self.history.snapshot(span, by_day, &self.view(now_ms));
        rows.retain(|row| wanted.takes(row));
        let results = (Arc::new(rows), self.history.horizon_ms());
        self.history.jobs.get_mut(id)?.results = Some((Arc::clone(&results.0), results.1));
        Some(results)
    }

    fn by_ids(&mut self, request: &Request, now_ms: u64) -> Answer {
        let ids: Vec<&str> =
            request.query.get("id").map_or(Vec::new(), |ids| ids.split(',').collect());
        if ids.is_empty() || ids.len() > IDS {
            return Answer::error(400, "bad.request", "From 1 to 100 ids are allowed.");
        }
        let view = self.view(now_ms);
        let rows: Vec<Value> = ids.iter().filter_map(|id| self.history.by_id(id, &view)).collect();
        Answer::json(200, &json!({"conversations": rows}))
    }

    fn conversation(&mut self, id: &str, now_ms: u64) -> Answer {
        let wall_ms = self.wall_origin_ms + now_ms;
        match self.history.current(id, self.traffic.org()) {
            Some((_, Some(end))) if wall_ms > end + self.settings.conversation_life_ms => {
                Answer::not_found()
            }
            Some((conversation, _)) => Answer::json(200, &conversation),
            None => Answer::not_found(),
        }
    }
}

#[cfg(test)]
mod tests;
