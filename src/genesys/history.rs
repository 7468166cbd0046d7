//! The analytics interfaces: details query, details jobs, availability.

use std::collections::BTreeSet;

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use trunkline_protocol::domain::{Interval, Wall};
use trunkline_protocol::history::{JobState, RESULTS};

use super::http::{Answer, Http, json};

const DETAILS: &str = "/api/v2/analytics/conversations/details";

/// Rows of history as received; each is the JSON text of one conversation. Personal data.
#[derive(Debug, Default)]
pub struct Rows {
    /// The conversations.
    pub rows: Vec<Box<RawValue>>,
    /// How many the query announces in all, roughly.
    pub total: Option<u64>,
    /// Where a job's results go on; `None` on the last page.
    pub cursor: Option<String>,
    /// A job's results are complete up to here.
    pub complete_to: Option<Wall>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowsBody {
    #[serde(default)]
    conversations: Vec<Box<RawValue>>,
    total_hits: Option<u64>,
    cursor: Option<String>,
    data_availability_date: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobBody {
    job_id: String,
}

#[derive(Deserialize)]
struct StateBody {
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AvailabilityBody {
    data_availability_date: Option<String>,
}

impl Http {
    /// `POST …/details/query`: a page of conversations that started on a day (UTC) the interval
    /// touches, oldest first.
    pub async fn details_query(
        &self,
        token: &SecretString,
        interval: Interval,
        page: u32,
        size: usize,
    ) -> Answer<Rows> {
        let body = json!({
            "interval": shown(interval), "order": "asc", "orderBy": "conversationStart",
            "paging": {"pageSize": size, "pageNumber": page},
        });
        let request = self.api(Method::POST, &format!("{DETAILS}/query"), token).json(&body);
        let (body, window) = json::<RowsBody>(self.clock, request).await;
        (body.map(|(body, _)| rows(body)), window)
    }

    /// `GET …/details?id=…`: conversations by id, at most a hundred.
    pub async fn details(&self, token: &SecretString, ids: &BTreeSet<String>) -> Answer<Rows> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let request = self.api(Method::GET, &format!("{DETAILS}?id={}", ids.join(",")), token);
        let (body, window) = json::<RowsBody>(self.clock, request).await;
        (body.map(|(body, _)| rows(body)), window)
    }

    /// `POST …/details/jobs`: the id of a job for conversations that were active in the interval.
    pub async fn submit_details_job(
        &self,
        token: &SecretString,
        interval: Interval,
    ) -> Answer<String> {
        let body = json!({
            "interval": shown(interval), "order": "asc", "orderBy": "conversationStart",
        });
        let request = self.api(Method::POST, &format!("{DETAILS}/jobs"), token).json(&body);
        let (body, window) = json::<JobBody>(self.clock, request).await;
        (body.map(|(body, _)| body.job_id), window)
    }

    /// `GET …/details/jobs/{id}`.
    pub async fn details_job(&self, token: &SecretString, job: &str) -> Answer<JobState> {
        let request = self.api(Method::GET, &format!("{DETAILS}/jobs/{job}"), token);
        let (body, window) = json::<StateBody>(self.clock, request).await;
        let state = body.map(|(body, _)| match body.state.as_str() {
            "QUEUED" | "PENDING" => JobState::Running,
            "FULFILLED" => JobState::Fulfilled,
            _ => JobState::Over,
        });
        (state, window)
    }

    /// `GET …/details/jobs/{id}/results`: a page, from a cursor on.
    pub async fn details_results(
        &self,
        token: &SecretString,
        job: &str,
        cursor: Option<&str>,
    ) -> Answer<Rows> {
        let path = format!("{DETAILS}/jobs/{job}/results?pageSize={RESULTS}");
        let mut request = self.api(Method::GET, &path, token);
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        let (body, window) = json::<RowsBody>(self.clock, request).await;
        (body.map(|(body, _)| rows(body)), window)
    }

    /// `GET …/details/jobs/availability`: jobs are complete up to here.
    pub async fn details_availability(&self, token: &SecretString) -> Answer<Option<Wall>> {
        let request = self.api(Method::GET, &format!("{DETAILS}/jobs/availability"), token);
        let (body, window) = json::<AvailabilityBody>(self.clock, request).await;
        (body.map(|(body, _)| body.data_availability_date.as_deref().and_then(time)), window)
    }
}

fn rows(body: RowsBody) -> Rows {
    Rows {
        rows: body.conversations,
        total: body.total_hits,
        cursor: body.cursor.filter(|cursor| !cursor.is_empty()),
        complete_to: body.data_availability_date.as_deref().and_then(time),
    }
}

fn time(text: &str) -> Option<Wall> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Wall(at.as_millisecond()))
}

/// Start and end as the platform writes them.
fn shown(interval: Interval) -> String {
    let at = |wall: Wall| {
        let at = jiff::Timestamp::from_millisecond(wall.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        format!("{at:.3}")
    };
    format!("{}/{}", at(interval.from), at(interval.to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_written_as_the_platform_writes_it() {
        let interval = Interval::new(Wall(1_767_607_200_000), Wall(1_767_607_200_007));
        assert_eq!(shown(interval), "2026-01-05T10:00:00.000Z/2026-01-05T10:00:00.007Z");
        assert_eq!(time("2026-01-05T10:00:00.000Z"), Some(Wall(1_767_607_200_000)));
    }

    #[test]
    fn pages_are_read_with_what_they_have() {
        let body: RowsBody = serde_json::from_str(r#"{"totalHits":0}"#).expect("nothing found");
        assert_eq!(rows(body).rows.len(), 0);
        let text = r#"{"conversations":[{"conversationId":"c"}],"cursor":"x","dataAvailabilityDate":"2026-01-05T10:00:00Z"}"#;
        let page = rows(serde_json::from_str(text).expect("a page"));
        assert_eq!(page.rows[0].get(), r#"{"conversationId":"c"}"#);
        assert_eq!(
            (page.cursor.as_deref(), page.complete_to),
            (Some("x"), Some(Wall(1_767_607_200_000)))
        );
    }
}
