//! What the facts about a sink mean, and what to do next. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use trunkline_protocol::domain::Wall;

use super::connect::Status;
use super::look::{Letter, Seen, Sink};
use crate::kafka::behind::Place;

/// How long a topic keeps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Brokers do not tell.
    Unknown,
    /// No time deletes them.
    Forever,
    /// So long, and then until their segment is full of such.
    For(Duration),
}

/// How far a sink is behind in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicLag {
    /// The topic.
    pub topic: String,
    /// Records it has not committed; those that compaction took away included.
    pub records: i64,
    /// How long the oldest of them has waited; zero where there is none, `None` where it is not known.
    pub waited: Option<Duration>,
    /// Records that were deleted before it read them.
    pub lost: i64,
    /// It wants more than there is: the topic was made anew.
    pub is_ahead: bool,
    /// It has committed something.
    pub has_begun: bool,
    /// How long the topic keeps records.
    pub retention: Retention,
    /// Bytes of a partition beyond which records go before their time.
    pub bytes: Option<i64>,
}

impl TopicLag {
    /// From places of all partitions, and the topic's settings where they are told.
    #[must_use]
    pub fn of(
        topic: &str,
        places: &[Place],
        settings: Option<&BTreeMap<String, String>>,
        now: Wall,
    ) -> Self {
        let unread = places.iter().filter(|place| place.next() < place.end);
        let waits: Option<Vec<Duration>> =
            unread.clone().map(|place| Some(now.since(Wall(place.oldest_ms?)))).collect();
        let lost = |place: &Place| place.committed.map_or(0, |at| (place.low - at).max(0));
        let number = |key: &str| settings?.get(key)?.parse::<i64>().ok();
        let policy = settings.and_then(|settings| settings.get("cleanup.policy"));
        let deletes = policy.is_none_or(|policy| policy.contains("delete"));
        let retention = match (deletes, number("retention.ms")) {
            (false, _) => Retention::Forever,
            (true, None) => Retention::Unknown,
            (true, Some(ms)) => u64::try_from(ms)
                .map_or(Retention::Forever, |ms| Retention::For(Duration::from_millis(ms))),
        };
        Self {
            topic: topic.to_owned(),
            records: unread.map(|place| place.end - place.next()).sum(),
            waited: waits.map(|waits| waits.into_iter().max().unwrap_or_default()),
            lost: places.iter().map(lost).sum(),
            is_ahead: places.iter().any(|place| place.committed.is_some_and(|at| at > place.end)),
            has_begun: places.iter().any(|place| place.committed.is_some()),
            retention,
            bytes: number("retention.bytes").filter(|bytes| deletes && *bytes >= 0),
        }
    }

    /// Until the first record that the sink has not committed may be deleted, at the earliest; `None` where
    /// that is not known, or never.
    #[must_use]
    pub fn headroom(&self) -> Option<Duration> {
        match self.retention {
            Retention::For(kept) => Some(kept.saturating_sub(self.waited?)),
            Retention::Unknown | Retention::Forever => None,
        }
    }
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Ok,
    /// Nobody tells.
    Unknown,
    /// Somebody looks today.
    Look,
    /// Somebody acts now.
    Act,
    /// What is configured cannot bear what it is said to bear.
    Refuse,
}

/// A fact, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// One word for what it is about.
    pub about: &'static str,
    /// How it is.
    pub grade: Grade,
    /// A sentence. Holds no secret.
    pub found: String,
    /// What to do next, where something is to be done.
    pub remedy: Option<String>,
}

/// The sink uploads every ten minutes; three times that is behind.
const BEHIND: Duration = Duration::from_secs(1_800);
const DAY: Duration = Duration::from_secs(86_400);
/// Parts of a topic's retention that the oldest unread record has waited.
const HALF: f64 = 0.5;
const MOST: f64 = 0.8;

fn advice(about: &'static str, grade: Grade, found: String, remedy: &str) -> Advice {
    let remedy = (!remedy.is_empty()).then(|| remedy.to_owned());
    Advice { about, grade, found, remedy }
}

/// A line for each fact; `longest_outage` is what topics have to bear.
#[must_use]
pub fn advise(seen: &Seen, longest_outage: Duration) -> Vec<Advice> {
    let url = &seen.url;
    let mut all = vec![match &seen.version {
        Ok(version) => {
            let text = format!("{url} answers: Kafka Connect {version}");
            advice("connect", Grade::Ok, text, "")
        }
        Err(why) => advice(
            "connect",
            Grade::Act,
            why.clone(),
            "start a worker, or check staging.connect_url, username, password_file and ca_file",
        ),
    }];
    for sink in &seen.sinks {
        all.extend(sink.status.as_ref().map(|status| connector(url, sink, status.as_ref())));
        for (topic, lag) in &sink.topics {
            match lag {
                Ok(Some(lag)) => {
                    all.push(behind(sink, lag));
                    all.push(kept(sink, lag, longest_outage));
                    all.extend(lag.bytes.map(|bytes| by_bytes(lag, bytes)));
                }
                Ok(None) => all.push(advice(
                    "lag",
                    Grade::Act,
                    format!("{}: topic {topic} does not exist", sink.name),
                    "create it, or mend the connector's topics",
                )),
                Err(why) => all.push(untold(sink, topic, why)),
            }
        }
        if sink.topics.is_empty() && !matches!(sink.status, Some(None)) {
            let text = format!("{}: nobody tells which topics it carries", sink.name);
            all.push(advice("lag", Grade::Unknown, text, ""));
        }
        all.extend(letters(sink, seen.at));
    }
    all
}

fn connector(url: &str, sink: &Sink, status: Option<&Status>) -> Advice {
    let name = &sink.name;
    let line = |grade, text: String, remedy: &str| advice("connector", grade, text, remedy);
    let Some(Status { connector, tasks }) = status else {
        let remedy = "trunkline staging apply --dir deploy/connect/s3, or mend staging.connectors";
        return line(Grade::Act, format!("{name} does not exist"), remedy);
    };
    let all = std::iter::once(("connector".to_owned(), connector))
        .chain(tasks.iter().map(|task| (format!("task {}", task.id), task)));
    let failed = all.clone().find(|(_, state)| state.state == "FAILED");
    if let Some((who, state)) = failed {
        let remedy = format!(
            "mend what it says, then curl -X POST '{url}/connectors/{name}/restart?includeTasks=true&onlyFailed=true'"
        );
        return line(Grade::Act, format!("{name}: {who} is FAILED: {}", state.why()), &remedy);
    }
    if let "PAUSED" | "STOPPED" = connector.state.as_str() {
        let remedy = format!("curl -X PUT {url}/connectors/{name}/resume");
        return line(Grade::Act, format!("{name} is {}", connector.state), &remedy);
    }
    if tasks.is_empty() {
        let remedy = "the worker's log says why; topics without partitions are one reason";
        return line(Grade::Act, format!("{name} has no task"), remedy);
    }
    let other = all.clone().find(|(_, state)| !state.runs());
    if let Some((who, state)) = other {
        let remedy = "look again in a minute: workers are sharing out tasks, or there is none";
        return line(Grade::Look, format!("{name}: {who} is {}", state.state), remedy);
    }
    let count = tasks.len();
    line(Grade::Ok, format!("{name} is RUNNING, {count} of {count} tasks too"), "")
}

fn behind(sink: &Sink, lag: &TopicLag) -> Advice {
    let TopicLag { topic, records, lost, .. } = lag;
    let name = &sink.name;
    let line = |grade, text: String, remedy: &str| advice("lag", grade, text, remedy);
    if *lost > 0 {
        let text =
            format!("{name}: retention deleted {lost} records of {topic} before it read them");
        let remedy =
            "trunkline reconcile --have says which conversations are missing; raise retention.ms";
        return line(Grade::Act, text, remedy);
    }
    if lag.is_ahead {
        let text =
            format!("{name}: its offsets lie beyond the end of {topic}, which was made anew");
        let remedy = "PUT the connector's /stop, DELETE its /offsets, PUT /resume; see docs/etl.md";
        return line(Grade::Act, text, remedy);
    }
    let Some(waited) = lag.waited else {
        let text = format!("{name}: {records} records of {topic} wait; since when is not known");
        return line(Grade::Unknown, text, "");
    };
    let begun = if lag.has_begun { "" } else { ", and none was ever committed" };
    match (records, waited) {
        (0, _) => line(Grade::Ok, format!("{name}: everything of {topic} is committed"), ""),
        (records, waited) if waited > BEHIND => {
            let text = format!(
                "{name}: {records} records of {topic} wait, the oldest for {}{begun}",
                span(waited)
            );
            let remedy = "the worker's log says why: the bucket, the registry, credentials";
            line(Grade::Act, text, remedy)
        }
        (records, waited) => {
            let text = format!(
                "{name}: {records} records of {topic} wait, the oldest for {}",
                span(waited)
            );
            line(Grade::Ok, text, "")
        }
    }
}

fn kept(sink: &Sink, lag: &TopicLag, longest_outage: Duration) -> Advice {
    let TopicLag { topic, .. } = lag;
    let line = |grade, text: String, remedy: &str| advice("retention", grade, text, remedy);
    let kept = match lag.retention {
        Retention::Unknown => {
            let text = format!("the brokers do not tell how long {topic} keeps records");
            return line(Grade::Unknown, text, "");
        }
        Retention::Forever => {
            let text = format!("no time deletes records of {topic}");
            return line(Grade::Ok, text, "");
        }
        Retention::For(kept) => kept,
    };
    let shown = span(kept);
    if kept < longest_outage {
        let text = format!(
            "{topic} keeps records for {shown}, staging.longest_outage_secs is {}",
            span(longest_outage)
        );
        let remedy = format!(
            "kafka-configs.sh --alter --topic {topic} --add-config retention.ms=1209600000 (14 days)"
        );
        return line(Grade::Refuse, text, &remedy);
    }
    let (Some(left), Some(waited)) = (lag.headroom(), lag.waited) else {
        return line(Grade::Ok, format!("{topic} keeps records for {shown}"), "");
    };
    if waited.is_zero() {
        return line(Grade::Ok, format!("{topic} keeps records for {shown}"), "");
    }
    let text = format!(
        "{topic} keeps records for {shown}; the first that {} has not committed for another {}",
        sink.name,
        span(left)
    );
    let used = waited.as_secs_f64() / kept.as_secs_f64();
    let remedy = "mend the sink, or raise retention.ms at once: it takes effect within minutes";
    match used {
        used if used >= MOST => line(Grade::Act, text, remedy),
        used if used >= HALF => line(Grade::Look, text, remedy),
        _ => line(Grade::Ok, text, ""),
    }
}

fn by_bytes(lag: &TopicLag, bytes: i64) -> Advice {
    let topic = &lag.topic;
    let text = format!("{topic} keeps {bytes} bytes a partition: records may go before their time");
    let remedy =
        format!("kafka-configs.sh --alter --topic {topic} --delete-config retention.bytes");
    advice("retention", Grade::Look, text, &remedy)
}

fn untold(sink: &Sink, topic: &str, why: &str) -> Advice {
    let (name, group) = (&sink.name, &sink.group);
    let text = format!("{name}: how far it is in {topic} is not known: {why}");
    let remedy = format!(
        "check the brokers; where they refuse it, kafka-acls.sh --add --allow-principal User:NAME --operation Describe --group {group}, and --operation Read --topic {topic}"
    );
    advice("lag", Grade::Act, text, &remedy)
}

fn letters(sink: &Sink, now: Wall) -> Option<Advice> {
    let name = &sink.name;
    let line = |grade, text: String, remedy: &str| Some(advice("letters", grade, text, remedy));
    let (topic, letters) = match &sink.letters {
        Letter::Unknown => return None,
        Letter::Stops => {
            let text = format!("{name}: a record that cannot be read ends its task");
            return line(Grade::Ok, text, "");
        }
        Letter::Dropped => {
            let text = format!("{name}: what it cannot read vanishes without a word");
            let remedy = "give it errors.deadletterqueue.topic.name";
            return line(Grade::Act, text, remedy);
        }
        Letter::Kept(topic, letters) => (topic, letters),
    };
    let letters = match letters {
        Ok(letters) => letters,
        Err(why) => {
            let text = format!("{name}: dead letters in {topic} are not known: {why}");
            return line(Grade::Unknown, text, "");
        }
    };
    let count = letters.written;
    if count == 0 {
        return line(Grade::Ok, format!("{name}: no dead letter in {topic}"), "");
    }
    let why = letters.why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    let since = letters.newest_ms.map(|at| now.since(Wall(at)));
    let age = since.map(|since| format!(", the newest {} ago", span(since))).unwrap_or_default();
    let text = format!("{name}: {count} dead letters in {topic}{age}{why}");
    let remedy = format!(
        "read their headers: kafka-console-consumer.sh --topic {topic} --from-beginning --formatter-property print.headers=true --formatter-property print.value=false"
    );
    match since {
        Some(since) if since > DAY => line(Grade::Ok, text, ""),
        Some(_) => line(Grade::Act, text, &remedy),
        // retention took them, or nobody told
        None => line(Grade::Ok, text, ""),
    }
}

/// A span of time for people.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{:.1} h", seconds as f64 / 3_600.0),
        172_800.. => format!("{:.1} days", seconds as f64 / 86_400.0),
    }
}

#[cfg(test)]
mod tests;
