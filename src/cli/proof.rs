//! What the commands about proof have in common: times, ranges, topics.

use clap::Args;

use crate::app::kafka_settings;
use crate::config::Config;
use crate::error::{ExitCode, ProcessError};
use crate::kafka::reader::{ReadTopic, read_topic};
use crate::kafka::tail::{self, From, Passing, Tailed};
use crate::supervisor::Supervisor;

/// A range of time.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Range {
    /// Start, e.g. 2026-11-26T10:00:00Z, or so long ago, e.g. 24h, 30m, 7d.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub from: String,
    /// End; now if it is not given.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

impl Range {
    /// Start and end, milliseconds since 1970.
    pub(super) fn millis(&self, now_ms: i64) -> Result<(i64, i64), ProcessError> {
        let from = instant("--from", &self.from, now_ms)?;
        let to = self.to.as_ref().map_or(Ok(now_ms), |text| instant("--to", text, now_ms))?;
        if from >= to {
            let text = format!("--from ({}) is not before --to ({})", at(from), at(to));
            return Err(ProcessError::text(ExitCode::Usage, text));
        }
        Ok((from, to))
    }
}

/// A time, or a span before now.
pub(super) fn instant(name: &str, text: &str, now_ms: i64) -> Result<i64, ProcessError> {
    let span = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit_ms = match unit {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.parse::<i64>().ok()?.checked_mul(unit_ms)
    };
    let time = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    time().or_else(|| span().map(|span| now_ms - span)).ok_or_else(|| {
        let text = format!(
            "{name} is {text:?}; allowed: a time like 2026-11-26T10:00:00Z, or a span before now like 30m, 24h, 7d"
        );
        ProcessError::text(ExitCode::Usage, text)
    })
}

/// A time for people.
pub(super) fn at(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.0}"))
}

/// A whole topic, up to where it ends now.
pub(super) fn read(config: &Config, topic: &str) -> Result<ReadTopic, ProcessError> {
    read_topic(&kafka_settings(config), topic)
        .map_err(|error| ProcessError::new(ExitCode::Unavailable, &error))
}

/// What is wanted of the records of a topic, up to where it ends now.
pub(super) async fn collect<T: Send + 'static>(
    config: &Config,
    topic: &str,
    from: From,
    wanted: impl Fn(&Passing<'_>) -> Option<T> + Send + 'static,
) -> Result<Vec<T>, ProcessError> {
    let (mut tail, work) = tail::follow(kafka_settings(config), topic.to_owned(), from, wanted);
    let mut tasks = Supervisor::new();
    tasks.spawn(topic, work);
    tail.ask(1);
    let mut found = Vec::new();
    loop {
        tokio::select! {
            tailed = tail.recv() => match tailed {
                Some(Tailed::Record(record)) => found.push(record),
                Some(Tailed::CaughtUp(_)) => return Ok(found),
                None => {}
            },
            Some(ended) = tasks.next() => {
                let why = ended.failure.unwrap_or_else(|| "ended".to_owned());
                return Err(ProcessError::text(ExitCode::Unavailable, why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_are_understood_and_the_rest_is_named() {
        let range = |from: &str, to: Option<&str>| {
            Range { from: from.to_owned(), to: to.map(str::to_owned) }.millis(1_000_000_000)
        };
        assert_eq!(range("1h", None).ok(), Some((996_400_000, 1_000_000_000)));
        let (from, to) = range("1970-01-01T00:00:00Z", Some("10m")).expect("a range");
        assert_eq!((from, to), (0, 999_400_000));
        for (from, to, named) in [
            ("soon", None, "--from"),
            ("1h", Some("1x"), "--to"),
            ("10m", Some("1h"), "not before"),
        ] {
            assert!(range(from, to).unwrap_err().to_string().contains(named), "{from} {to:?}");
        }
    }
}
