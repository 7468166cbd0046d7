//! A broker and a registry to try `trunkline run` against, without installing either.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::net::TcpListener;

use super::broker::Broker;
use super::registry::Registry;
use crate::error::{ExitCode, ProcessError};
use crate::kafka::reader::{ReadBack, read_topic};
use crate::kafka::settings::KafkaSettings;
use crate::kafka::tail::{self, Tail, Tailed};
use crate::supervisor::Supervisor;

/// A broker and a registry in this process.
pub struct Stand {
    broker: Broker,
    registry: Registry,
    registry_url: String,
    tasks: Supervisor,
}

impl Stand {
    /// Starts both, with these topics and partitions.
    ///
    /// # Errors
    /// When a port or the broker cannot be had.
    pub async fn start(topics: &[(&str, i32)]) -> Result<Self, ProcessError> {
        let failed = |error: std::io::Error| ProcessError::new(ExitCode::Internal, &error);
        let broker = Broker::start(topics)?;
        let registry = Registry::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let registry_url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let mut tasks = Supervisor::new();
        tasks.spawn("registry", registry.clone().serve(listener));
        Ok(Self { broker, registry, registry_url, tasks })
    }

    /// Where the broker listens.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.broker.bootstrap_servers()
    }

    /// Where the registry listens.
    #[must_use]
    pub fn registry_url(&self) -> &str {
        &self.registry_url
    }

    /// Carries out one line: `read TOPIC`, `follow TOPIC FILE` (partition, offset and event id of every
    /// record go on being written to the file, which may be a pipe: the broker keeps 5 MiB of a
    /// partition only), `schemas`, `away MILLISECONDS`, `registry fail|ok`,
    /// `commit GROUP TOPIC PARTITION OFFSET`.
    /// Answers with JSON lines; the last one has the key `done`.
    pub async fn obey(&mut self, line: &str) -> Vec<String> {
        let mut words = line.split_whitespace();
        let mut answer = match (words.next(), words.next()) {
            (Some("read"), Some(topic)) => self.read(topic).await,
            (Some("follow"), Some(topic)) => {
                self.follow(topic, words.next().unwrap_or_default().into());
                Vec::new()
            }
            (Some("schemas"), None) => vec![json!(self.schemas()).to_string()],
            (Some("away"), Some(ms)) => {
                let duration = Duration::from_millis(ms.parse().unwrap_or(0));
                self.broker
                    .away(duration)
                    .await
                    .err()
                    .map(|e| json!({"error": e.text}).to_string())
                    .into_iter()
                    .collect()
            }
            (Some("registry"), Some(state)) => {
                self.registry.fail(state == "fail");
                Vec::new()
            }
            (Some("commit"), Some(group)) => self.commit(group, &words.collect::<Vec<_>>()),
            _ => vec![json!({"error": "unknown command"}).to_string()],
        };
        answer.push(json!({"done": true}).to_string());
        answer
    }

    fn schemas(&self) -> BTreeMap<u32, String> {
        self.registry.schemas()
    }

    fn commit(&self, group: &str, place: &[&str]) -> Vec<String> {
        let numbers = |at: usize| place.get(at).and_then(|word| word.parse::<i64>().ok());
        let partition = numbers(1).and_then(|partition| i32::try_from(partition).ok());
        let committed = match (place.first(), partition, numbers(2)) {
            (Some(topic), Some(partition), Some(offset)) => tokio::task::block_in_place(|| {
                self.broker.commit(group, topic, partition, offset).err().map(|error| error.text)
            }),
            _ => Some("allowed: commit GROUP TOPIC PARTITION OFFSET".to_owned()),
        };
        committed.map(|error| json!({"error": error}).to_string()).into_iter().collect()
    }

    async fn read(&self, topic: &str) -> Vec<String> {
        let settings = self.settings();
        let name = topic.to_owned();
        let read = tokio::task::spawn_blocking(move || read_topic(&settings, &name)).await;
        let Ok(Ok(read)) = read else {
            return vec![json!({"error": "the topic cannot be read"}).to_string()];
        };
        read.records.iter().map(line).collect()
    }

    fn follow(&mut self, topic: &str, path: PathBuf) {
        let from = tail::From::Beginning;
        // no more than that: it has to keep up with whoever writes
        let line = |passing: &tail::Passing<'_>| {
            let id = passing.header("event_id").unwrap_or("-");
            Some(format!("{} {} {id}\n", passing.partition(), passing.offset()))
        };
        let (tail, work) = tail::follow(self.settings(), topic.to_owned(), from, line);
        self.tasks.spawn("follower", work);
        self.tasks.spawn("copy", copy(tail, path));
    }

    fn settings(&self) -> KafkaSettings {
        let bootstrap_servers = self.bootstrap_servers();
        KafkaSettings { bootstrap_servers, ..KafkaSettings::default() }
    }
}

async fn copy(mut tail: Tail<String>, path: PathBuf) -> std::io::Result<()> {
    let (mut out, mut passed) = (std::fs::File::create(path)?, Vec::new());
    loop {
        tail.recv_many(&mut passed, 1_024).await;
        let lines: String = passed
            .drain(..)
            .filter_map(|tailed| match tailed {
                Tailed::Record(line) => Some(line),
                Tailed::CaughtUp(_) => None,
            })
            .collect();
        out.write_all(lines.as_bytes())?;
    }
}

fn line(record: &ReadBack) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: BTreeMap<&String, String> =
        record.headers.iter().map(|(k, v)| (k, text(v))).collect();
    json!({
        "partition": record.partition, "offset": record.offset,
        "key": record.key.as_deref().map(text), "value_b64": STANDARD.encode(&record.value),
        "headers": headers, "timestamp": record.timestamp_ms,
    })
    .to_string()
}
