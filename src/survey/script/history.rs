//! What is asked of history: empty pages, and a few conversations by their ids.

use std::time::Duration;

use serde_json::{Value, json};
use trunkline_protocol::domain::{Mono, Wall};
use trunkline_protocol::gate::Endpoint;

use super::{Survey, millis, secs, why};
use crate::genesys::PlatformError;
use crate::genesys::ask::Verb;
use crate::survey::ears::Sighting;
use crate::survey::plan::{LAG_POLLS, PAGE_SIZES};

const QUERY: &str = "/api/v2/analytics/conversations/details/query";
/// An id that no conversation has: what is asked for it is empty.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
/// Conversations that are looked for at most.
const SOUGHT: usize = 5;
/// Days before now of which a conversation is read.
const DAYS: [i64; 4] = [1, 2, 8, 30];
const DAY: i64 = 86_400_000;

impl Survey {
    /// A query for conversations of the last hours with some of these ids.
    fn query(&self, ids: &[String], size: u64) -> Value {
        let now = self.clock.now().wall;
        let predicates: Vec<Value> = ids
            .iter()
            .map(|id| json!({"type": "dimension", "dimension": "conversationId", "operator": "matches", "value": id}))
            .collect();
        json!({
            "interval": interval(Wall(now.0 - DAY / 8), now), "order": "asc", "orderBy": "conversationStart",
            "conversationFilters": [{"type": "or", "predicates": predicates}],
            "paging": {"pageSize": size, "pageNumber": 1},
        })
    }

    pub(super) async fn page_sizes(&mut self) {
        let (mut most, mut refused) = (0, None);
        for (tried, size) in (1..).zip(PAGE_SIZES) {
            let body = self.query(&[NOBODY.to_owned()], size);
            match self.ask(Endpoint::History, Verb::Post, QUERY, Some(body)).await {
                Ok(_) => most = size,
                Err(PlatformError::Status { status: 400, .. }) => {
                    refused = Some((size, tried));
                    break;
                }
                Err(error) => return self.findings.leave("6a", why(&error)),
            }
        }
        let how = "empty pages of growing size were asked for";
        match refused {
            Some((size, tried)) if most > 0 => {
                self.findings.settle("6a", tried, how, format!("{most}: {size} is refused"));
                self.findings.set("query_page_max", most);
            }
            Some(_) => self.findings.leave("6a", "the smallest page that was tried is refused"),
            None => {
                let tried = PAGE_SIZES.len() as u64;
                self.findings.settle("6a", tried, how, format!("{most} or more"));
            }
        }
    }

    /// When conversations that began just now are shown.
    pub(super) async fn lag(&mut self) {
        self.heard.ears().births.clear();
        self.until(Duration::from_secs(30), |heard| !heard.ears().births.is_empty()).await;
        // who is sought, and when he was last looked for in vain
        let mut sought: Vec<(Sighting, Option<Mono>)> = Vec::new();
        let (mut bounds, mut taken) = (Vec::new(), 0);
        for poll in 0..u64::from(LAG_POLLS) {
            let born = self.heard.ears().births.drain(..).take(SOUGHT - taken).collect::<Vec<_>>();
            taken += born.len();
            sought.extend(born.into_iter().map(|sighting| (sighting, None)));
            if sought.is_empty() {
                break;
            }
            let ids: Vec<String> = sought.iter().map(|(sighting, _)| sighting.id.clone()).collect();
            let body = self.query(&ids, 100);
            let asked = self.clock.mono();
            let answer = match self.ask(Endpoint::History, Verb::Post, QUERY, Some(body)).await {
                Ok(answer) => answer,
                Err(error) => return self.findings.leave("6c", why(&error)),
            };
            let answered = self.clock.mono();
            let rows = answer["conversations"].as_array().cloned().unwrap_or_default();
            sought.retain_mut(|(sighting, looked)| {
                let shown = rows.iter().any(|row| row["conversationId"] == sighting.id.as_str());
                if shown {
                    let lower = looked.map(|looked| millis(looked.since(sighting.began)));
                    bounds.push((lower, millis(answered.since(sighting.began))));
                }
                *looked = Some(asked);
                !shown
            });
            self.rest(Duration::from_millis(500 * poll.min(10))).await;
        }
        let Some((least, most)) = bracket(&bounds) else {
            let text = match taken {
                0 => "no conversation began while it listened".to_owned(),
                taken => format!("none of {taken} conversations was shown in {LAG_POLLS} looks"),
            };
            return self.findings.leave("6c", text);
        };
        let between = match least {
            0 => format!("within {}", secs(most)),
            least => format!("between {} and {}", secs(least), secs(most)),
        };
        let late = taken - bounds.len();
        let answer = format!("{between} after it began; {late} of {taken} not in that time");
        let how = "conversations that began just now were looked for by id until they were shown";
        self.findings.settle("6c", bounds.len() as u64, how, answer);
        self.findings.set("query_lag_ms", least.midpoint(most));
    }

    /// Whether conversations can still be read that ended just now, or days ago.
    pub(super) async fn retention(&mut self) {
        // age in milliseconds, and whether it is there
        let mut found: Vec<(u64, bool)> = Vec::new();
        let (newest, oldest) = {
            let ears = self.heard.ears();
            (ears.deaths.back().cloned(), ears.deaths.front().cloned())
        };
        for end in newest.into_iter().chain(oldest) {
            let age = millis(self.clock.mono().since(end.at));
            match self.is_there(&end.id).await {
                Ok(there) => found.push((age, there)),
                Err(error) => return self.findings.leave("7", why(&error)),
            }
        }
        for days in DAYS {
            let ended = match self.ended(days).await {
                Ok(Some(ended)) => ended,
                Ok(None) => continue,
                Err(error) => {
                    self.findings.leave("7", why(&error));
                    break;
                }
            };
            match self.is_there(&ended.0).await {
                Ok(there) => found.push((ended.1, there)),
                Err(error) => return self.findings.leave("7", why(&error)),
            }
        }
        let there = found.iter().filter(|(_, there)| *there).map(|(age, _)| *age).max();
        let gone = found.iter().filter(|(_, there)| !there).map(|(age, _)| *age).min();
        let how = "conversations of known ends were read by id";
        let count = found.len() as u64;
        match (there, gone) {
            (Some(there), Some(gone)) if there < gone => {
                let answer = format!("longer than {}, shorter than {}", age(there), age(gone));
                self.findings.settle("7", count, how, answer);
                self.findings.set("conversation_life_ms", there.midpoint(gone));
            }
            (Some(there), None) => {
                self.findings.settle("7", count, how, format!("longer than {}", age(there)));
            }
            (None, Some(gone)) => {
                self.findings.settle("7", count, how, format!("shorter than {}", age(gone)));
            }
            (Some(_), Some(_)) => {
                self.findings.leave("7", "some are there that are older than some that are gone")
            }
            (None, None) => self.findings.leave("7", "no conversation was found that has ended"),
        }
    }

    async fn is_there(&mut self, id: &str) -> Result<bool, PlatformError> {
        let path = format!("/api/v2/conversations/{id}");
        match self.ask(Endpoint::History, Verb::Get, &path, None).await {
            Ok(_) => Ok(true),
            Err(PlatformError::Status { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A conversation that ended so many days ago: its id, and its age.
    async fn ended(&mut self, days: i64) -> Result<Option<(String, u64)>, PlatformError> {
        let now = self.clock.now().wall;
        let from = Wall(now.0 - days * DAY - DAY / 24);
        let body = json!({
            "interval": interval(from, Wall(now.0 - days * DAY)),
            "order": "asc", "orderBy": "conversationStart",
            "conversationFilters": [{"type": "and", "predicates": [
                {"type": "dimension", "dimension": "conversationEnd", "operator": "exists"}]}],
            "paging": {"pageSize": 1, "pageNumber": 1},
        });
        let answer = self.ask(Endpoint::History, Verb::Post, QUERY, Some(body)).await?;
        let row = &answer["conversations"][0];
        let end =
            row["conversationEnd"].as_str().and_then(|end| end.parse::<jiff::Timestamp>().ok());
        let found = row["conversationId"].as_str().zip(end);
        Ok(found.map(|(id, end)| {
            (id.to_owned(), u64::try_from(now.0 - end.as_millisecond()).unwrap_or(0))
        }))
    }
}

/// What most of the bounds say together: the median of those that were looked for in vain before, else the
/// least time in which one was shown at the first look.
fn bracket(bounds: &[(Option<u64>, u64)]) -> Option<(u64, u64)> {
    let mut both: Vec<(u64, u64)> =
        bounds.iter().filter_map(|(lower, upper)| Some(((*lower)?, *upper))).collect();
    both.sort_unstable();
    let at_once = bounds.iter().filter(|(lower, _)| lower.is_none()).map(|(_, upper)| *upper).min();
    both.get(both.len() / 2).copied().or(at_once.map(|upper| (0, upper)))
}

fn age(ms: u64) -> String {
    match ms / 1_000 {
        secs @ 0..=599 => format!("{secs} s"),
        secs @ 600..=7_199 => format!("{} min", secs / 60),
        secs @ 7_200..=172_799 => format!("{} h", secs / 3_600),
        secs => format!("{} days", secs / 86_400),
    }
}

fn interval(from: Wall, to: Wall) -> String {
    let at = |wall: Wall| {
        let at = jiff::Timestamp::from_millisecond(wall.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        format!("{at:.3}")
    };
    format!("{}/{}", at(from), at(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_in_vain_bounds_the_lag_from_below_and_the_first_look_only_from_above() {
        assert_eq!(bracket(&[]), None);
        assert_eq!(bracket(&[(None, 4_000), (None, 900), (None, 7_000)]), Some((0, 900)));
        let some =
            [(Some(4_000), 5_500), (None, 9_000), (Some(3_000), 5_200), (Some(4_800), 6_000)];
        assert_eq!(bracket(&some), Some((4_000, 5_500)));
    }

    #[test]
    fn an_age_is_told_in_a_unit_of_its_size() {
        let told = [9_000, 3_600_000, 90_000_000, 800_000_000].map(age);
        assert_eq!(told, ["9 s", "60 min", "25 h", "9 days"]);
    }
}
