//! Readings of history under way, as the shell carries them out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use genesys_sim::http::{Answer, Request};
use genesys_sim::json::iso;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use trunkline_protocol::domain::{EventId, GapId, Interval, Now, Origin, Wall};
use trunkline_protocol::history::{
    Agenda, Ask, Campaign, Finished, JobState, Mark, PAGE, Reading, Recent, Row, Task, campaigns,
};
use trunkline_protocol::identity::{Canonical, identify};
use trunkline_protocol::ledger::{Keeper, Known, News, Source};
use trunkline_protocol::standby::Roster;
use trunkline_protocol::timings::Timings;

use super::client::Client;
use super::kafka::{Kafka, Record};
use super::platform::{ORG, Platform};

const DETAILS: &str = "/api/v2/analytics/conversations/details";

/// What a process repairs.
pub struct Repairs {
    agenda: Agenda,
    timings: Timings,
    pub recent: Recent,
    written: BTreeMap<GapId, BTreeSet<EventId>>,
    waiting: VecDeque<(Source, Campaign)>,
    now: Option<UnderWay>,
    /// Availability was asked for.
    asked: bool,
    next_ms: Option<u64>,
}

struct UnderWay {
    source: Source,
    campaign: Campaign,
    rules: Reading,
    began: Wall,
    /// The request is on its way, or may go from then on.
    sent: bool,
    not_before: u64,
    look_up: Option<Vec<String>>,
    /// Everything was read; what history did not show is looked up.
    looked_up: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<'a> {
    #[serde(borrow, default)]
    pub conversations: Vec<&'a RawValue>,
    total_hits: Option<u64>,
    pub cursor: Option<String>,
    pub data_availability_date: Option<String>,
}

impl Repairs {
    pub fn new(timings: &Timings, keeper: &Keeper, now: Wall) -> Self {
        let of = |known: &Known| {
            let ids = keeper.shards().get(&known.shard)?.written(known.gap.gap)?;
            Some((known.gap.gap, ids.clone()))
        };
        Self {
            agenda: Agenda::new(timings.clone()),
            timings: timings.clone(),
            recent: Recent::new(timings.margin * 4, 100_000),
            written: keeper.unfinished(now).iter().filter_map(of).collect(),
            waiting: VecDeque::new(),
            now: None,
            asked: false,
            next_ms: None,
        }
    }

    pub fn next_ms(&self) -> Option<u64> {
        self.next_ms
    }

    /// Does what is due about gaps this process is in charge of.
    pub fn step(
        &mut self,
        keeper: &mut Keeper,
        client: &mut Client,
        roster: &Roster,
        platform: &Platform,
        kafka: &mut Kafka,
        now: Now,
    ) {
        if let Some(answer) = client.history.take() {
            self.answered(&answer, keeper, platform, kafka, now);
        }
        if self.asked || self.next_ms.is_some_and(|at| at > platform.now_ms) {
            return;
        }
        if self.now.is_none()
            && let Some((source, campaign)) = self.waiting.pop_front()
        {
            let rules = Reading::new(source, campaign.window, &self.timings);
            self.now = Some(UnderWay {
                source,
                campaign,
                rules,
                began: now.wall,
                sent: false,
                not_before: 0,
                look_up: None,
                looked_up: false,
            });
        }
        if self.now.is_some() {
            self.ask(client, platform.now_ms);
            return;
        }
        for _ in 0..64 {
            let living = keeper.living_replicas(now.wall);
            let mut known = keeper.unfinished(now.wall);
            known.retain(|known| roster.is_in_charge(known.shard, &living));
            let error = client.reading(now.mono).map(|reading| reading.error());
            match self.agenda.next(&known, &self.recent, error.unwrap_or_default(), now.wall) {
                Task::Close(shard, gap, outcome) => {
                    keeper.handle(News::Closed { shard, gap, outcome }, now.wall);
                }
                Task::AskAvailability => {
                    let path = format!("{DETAILS}/jobs/availability");
                    client.ask_history(get(path));
                    self.asked = true;
                    return;
                }
                Task::Read(source, wishes) => {
                    self.waiting = campaigns(wishes).into_iter().map(|c| (source, c)).collect();
                    self.next_ms = Some(platform.now_ms + 1);
                    return;
                }
                Task::Wait(at) => {
                    let wait = at.map_or(60_000, |at| at.since(now.wall).as_millis());
                    let wait = u64::try_from(wait).unwrap_or(60_000).clamp(1, 60_000);
                    self.next_ms = Some(platform.now_ms + wait);
                    return;
                }
            }
        }
        panic!("the agenda does not come to rest");
    }

    fn ask(&mut self, client: &mut Client, now_ms: u64) {
        let Some(reading) = &mut self.now else { return };
        if reading.sent {
            return;
        }
        if reading.not_before > now_ms {
            self.next_ms = Some(reading.not_before);
            return;
        }
        self.next_ms = None;
        let request = if let Some(ids) = &reading.look_up {
            let query = BTreeMap::from([("id".to_owned(), ids.join(","))]);
            Request { query, ..get(DETAILS.to_owned()) }
        } else {
            asked(reading.rules.poll().expect("not finished"))
        };
        reading.sent = true;
        client.ask_history(request);
    }

    fn answered(
        &mut self,
        answer: &Answer,
        keeper: &mut Keeper,
        platform: &Platform,
        kafka: &mut Kafka,
        now: Now,
    ) {
        self.next_ms = None;
        let good = (200..300).contains(&answer.status);
        if std::mem::take(&mut self.asked) {
            let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let at = body["dataAvailabilityDate"].as_str().and_then(time);
            if good {
                self.agenda.available(at);
            }
            return;
        }
        let Some(mut reading) = self.now.take() else { return };
        reading.sent = false;
        if !good || !kafka.takes_events(platform.now_ms) {
            // a page that cannot be written is as good as one that was not read
            self.failed(now.wall);
            return;
        }
        let ask = reading.rules.poll().cloned(); // nothing: what was missing is looked up
        match &ask {
            Some(Ask::Query { .. } | Ask::Results { .. }) | None => {
                let page: Page<'_> = serde_json::from_str(&answer.body).expect("a page");
                self.take(&mut reading, &page.conversations, keeper, kafka, platform, now);
                match &ask {
                    Some(Ask::Query { .. }) => {
                        reading.rules.page(page.conversations.len(), page.total_hits);
                    }
                    Some(Ask::Results { .. }) => {
                        let complete = page.data_availability_date.as_deref().and_then(time);
                        reading.rules.results(page.cursor, complete);
                    }
                    Some(Ask::Submit { .. } | Ask::State { .. }) | None => {
                        (reading.look_up, reading.looked_up) = (None, true);
                    }
                }
            }
            Some(Ask::Submit { .. }) => {
                let body: Value = serde_json::from_str(&answer.body).expect("a job");
                reading.rules.submitted(body["jobId"].as_str().expect("an id").to_owned());
            }
            Some(Ask::State { .. }) => {
                let body: Value = serde_json::from_str(&answer.body).expect("a state");
                reading.rules.state(job_state(&body));
            }
        }
        if let Some(Ask::State { after, .. }) = reading.rules.poll() {
            let after = u64::try_from(after.as_millis()).expect("short");
            reading.not_before = platform.now_ms + after;
        }
        self.go_on(reading, keeper, now);
    }

    fn go_on(&mut self, mut reading: UnderWay, keeper: &mut Keeper, now: Now) {
        let complete_to = match reading.rules.finished() {
            None => {
                self.now = Some(reading);
                return;
            }
            Some(Finished::Cut(_)) => return self.failed(now.wall),
            Some(Finished::Whole { complete_to }) => complete_to,
        };
        if reading.source == Source::Query && !reading.looked_up {
            let missing = reading.campaign.missing(100);
            if !missing.is_empty() {
                reading.look_up = Some(missing);
                self.now = Some(reading);
                return;
            }
        }
        let readings = reading.campaign.readings(reading.source, reading.began, complete_to);
        self.agenda.read(&readings);
        for (shard, gap, reading) in readings {
            keeper.handle(News::Read { shard, gap, reading }, now.wall);
        }
    }

    fn failed(&mut self, now: Wall) {
        self.agenda.failed(now);
        self.waiting.clear();
    }

    fn take(
        &mut self,
        reading: &mut UnderWay,
        rows: &[&RawValue],
        keeper: &mut Keeper,
        kafka: &mut Kafka,
        platform: &Platform,
        now: Now,
    ) {
        let mut written: BTreeMap<GapId, Vec<EventId>> = BTreeMap::new();
        for raw in rows {
            let read: Conversation<'_> = serde_json::from_str(raw.get()).expect("a row");
            if reading.look_up.is_none() && !reading.rules.is_new(read.conversation_id) {
                continue;
            }
            let (row, shows) = read.row();
            let Some(gap) = reading.campaign.take(&row) else { continue };
            let topic = match reading.source {
                Source::Query => "analytics.conversations.details.query",
                Source::Jobs => "analytics.conversations.details.jobs",
            };
            let id = identify(Canonical::AsReceived, ORG, topic, raw.get()).0;
            if self.written.values().any(|ids| ids.contains(&id)) {
                continue;
            }
            written.entry(gap).or_default().push(id);
            self.written.entry(gap).or_default().insert(id);
            kafka.append(Record {
                id,
                class: topic.to_owned(),
                conversation: read.conversation_id.to_owned(),
                epoch: None,
                received: now.wall,
                origin: Origin::Backfill,
                gap: Some(gap),
                shows: Some(shows),
                shard: reading.campaign.shard_of(gap).unwrap_or_default(),
                appended: platform.wall(),
            });
        }
        for (gap, ids) in written {
            ids.iter().for_each(|_| reading.campaign.wrote(gap));
            let shard = reading.campaign.shard_of(gap).unwrap_or_default();
            keeper.handle(News::Written { shard, gap, ids }, now.wall);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation<'a> {
    conversation_id: &'a str,
    conversation_start: Option<&'a str>,
    conversation_end: Option<&'a str>,
    #[serde(borrow, default)]
    participants: Vec<Participant<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Participant<'a> {
    user_id: Option<&'a str>,
    #[serde(borrow, default)]
    sessions: Vec<Session<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session<'a> {
    session_id: &'a str,
    #[serde(borrow, default)]
    segments: Vec<Segment<'a>>,
    #[serde(borrow, default)]
    metrics: Vec<Metric<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment<'a> {
    segment_start: Option<&'a str>,
    segment_end: Option<&'a str>,
    segment_type: &'a str,
    queue_id: Option<&'a str>,
    disconnect_type: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric<'a> {
    emit_date: Option<&'a str>,
}

impl<'a> Conversation<'a> {
    pub fn id(&self) -> &str {
        self.conversation_id
    }

    /// The row, and the newest time that it names.
    pub fn row(&self) -> (Row<'a>, Wall) {
        let at = |text: Option<&str>| text.and_then(time);
        let (start, end) = (at(self.conversation_start), at(self.conversation_end));
        let mut newest = start.max(end);
        let mut marks = Vec::new();
        for participant in &self.participants {
            for session in &participant.sessions {
                newest = session.metrics.iter().map(|m| at(m.emit_date)).fold(newest, Ord::max);
                for segment in &session.segments {
                    let (from, to) = (at(segment.segment_start), at(segment.segment_end));
                    newest = newest.max(from).max(to);
                    marks.push(Mark {
                        from,
                        to,
                        session: session.session_id.into(),
                        kind: segment.segment_type.into(),
                        media: None,
                        queue: segment.queue_id.map(Into::into),
                        user: participant.user_id.map(Into::into),
                        how: segment.disconnect_type.map(Into::into),
                    });
                }
            }
        }
        let row = Row { conversation: self.conversation_id.into(), start, end, marks };
        (row, newest.unwrap_or(Wall(0)))
    }
}

/// What a reading asks for, as a request.
pub fn asked(ask: &Ask) -> Request {
    match ask {
        Ask::Query { interval, page } => post(
            format!("{DETAILS}/query"),
            &json!({"interval": shown(*interval), "order": "asc", "orderBy": "conversationStart",
                "paging": {"pageSize": PAGE, "pageNumber": page}}),
        ),
        Ask::Submit { interval } => {
            post(format!("{DETAILS}/jobs"), &json!({"interval": shown(*interval)}))
        }
        Ask::State { job, .. } => get(format!("{DETAILS}/jobs/{job}")),
        Ask::Results { job, cursor } => {
            let mut query = BTreeMap::from([("pageSize".to_owned(), "500".to_owned())]);
            query.extend(cursor.iter().map(|cursor| ("cursor".to_owned(), cursor.clone())));
            Request { query, ..get(format!("{DETAILS}/jobs/{job}/results")) }
        }
    }
}

/// How far the platform says a job is.
pub fn job_state(body: &Value) -> JobState {
    match body["state"].as_str() {
        Some("QUEUED" | "PENDING") => JobState::Running,
        Some("FULFILLED") => JobState::Fulfilled,
        _ => JobState::Over,
    }
}

fn get(path: String) -> Request {
    Request { method: "GET".into(), path, ..Request::default() }
}

fn post(path: String, body: &Value) -> Request {
    Request {
        method: "POST".into(),
        path,
        content_type: Some("application/json".into()),
        body: body.to_string().into_bytes(),
        ..Request::default()
    }
}

fn shown(interval: Interval) -> String {
    let text = |at: Wall| iso(u64::try_from(at.0).unwrap_or(0));
    format!("{}/{}", text(interval.from), text(interval.to))
}

/// `2026-09-21T00:00:00.000Z` in milliseconds since 1970.
pub fn time(text: &str) -> Option<Wall> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (y, m, d) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (h, min, s) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let millis = number(20..23).unwrap_or(0);
    // days from civil, after Howard Hinnant
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
    let day = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(Wall(((day * 24 + h) * 60 + min) * 60_000 + s * 1_000 + millis))
}
