//! What the commands that hear have in common: for how long, until which signal, and what they say of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_protocol::domain::{EndReason, Interval, IntervalSet};

use super::signals::Signals;
use crate::error::{ExitCode, ProcessError};
use crate::listen::{Kept, Listening};
use crate::observe::status::{ChannelStatus, Status};

/// What a command is told while it hears.
pub(super) enum Told<'a> {
    /// Something was kept.
    Kept(&'a Kept),
    /// It goes on: for so long since the first channel was live, if one was.
    Goes(Option<Duration>, &'a Listening),
}

/// What is known at the end.
pub(super) struct Hearing {
    /// From the first live channel on.
    pub span: Duration,
    status: Status,
    deaf: IntervalSet,
}

/// Until the first channel is live.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Until the last socket is closed.
const CLOSING: Duration = Duration::from_secs(5);

/// Hears for `span` from the first live channel on, or until a signal.
pub(super) async fn hear(
    listening: &mut Listening,
    span: Duration,
    signals: &mut Signals,
    mut tell: impl FnMut(Told<'_>) -> Result<(), ProcessError>,
) -> Result<Hearing, ProcessError> {
    let clock = listening.clock;
    let (began, mut since, mut look_at) = (clock.mono(), None, clock.mono());
    let mut kept = VecDeque::new();
    loop {
        let end = since.map_or(began + PATIENCE, |since| since + span);
        tokio::select! {
            biased;
            () = signals.caught() => break,
            () = clock.sleep_until(Some(end.min(look_at))) => {
                let now = clock.mono();
                if since.is_none() && is_live(&listening.status()) {
                    since = Some(now);
                } else if now >= end {
                    break;
                }
                tell(Told::Goes(since.map(|since| now.since(since)), listening))?;
                look_at = now + LOOK;
            }
            goes_on = listening.next(&mut kept) => {
                goes_on?;
                take(listening, &mut kept, &mut tell)?;
            }
        }
    }
    let span = since.map_or(Duration::ZERO, |since| clock.mono().since(since));
    let (status, deaf) = (listening.status(), listening.deaf());
    if since.is_none() && clock.mono() >= began + PATIENCE {
        return Err(never_live(&status));
    }
    listening.stop();
    let closing = async {
        while listening.next(&mut kept).await? {
            take(listening, &mut kept, &mut tell)?;
        }
        take(listening, &mut kept, &mut tell)
    };
    // a socket that does not close has told everything it had
    tokio::time::timeout(CLOSING, closing).await.unwrap_or(Ok(()))?;
    Ok(Hearing { span, status, deaf })
}

fn take(
    listening: &mut Listening,
    kept: &mut VecDeque<Kept>,
    tell: &mut impl FnMut(Told<'_>) -> Result<(), ProcessError>,
) -> Result<(), ProcessError> {
    kept.iter().try_for_each(|kept| tell(Told::Kept(kept)))?;
    listening.durable(kept.iter());
    kept.clear();
    Ok(())
}

fn is_live(status: &Status) -> bool {
    status.channels.iter().any(|channel| channel.state == "live")
}

fn never_live(status: &Status) -> ProcessError {
    let state = |channel: &ChannelStatus| {
        format!("shard {} leg {} is at {}", channel.shard, channel.leg, channel.state)
    };
    let states: Vec<String> = status.channels.iter().map(state).collect();
    let states = if states.is_empty() { "none was begun".to_owned() } else { states.join(", ") };
    let text = format!("no channel was live within {} s: {states}", PATIENCE.as_secs());
    ProcessError::text(ExitCode::Unavailable, text)
}

impl Hearing {
    /// Ends of sockets, by reason; planned ones left out.
    pub(super) fn disconnects(&self) -> BTreeMap<&'static str, u64> {
        let planned = EndReason::Rotation.as_str();
        let ends = self.status.reconnects.iter();
        ends.filter(|(reason, count)| **count > 0 && **reason != planned)
            .map(|(reason, count)| (*reason, *count))
            .collect()
    }

    /// Topics that the platform refused.
    pub(super) fn refused(&self) -> usize {
        self.status.topics_refused.len()
    }

    /// Channels that are down at the end.
    pub(super) fn not_live(&self) -> usize {
        let down = |channel: &&ChannelStatus| !matches!(channel.state, "live" | "spare");
        self.status.channels.iter().filter(down).count()
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let part = |part: &Interval| json!({"from_ms": part.from.0, "to_ms": part.to.0});
        json!({
            "seconds": self.span.as_secs_f64(),
            "topics_wanted": self.status.topics_wanted,
            "topics_refused": self.status.topics_refused,
            "disconnects": self.disconnects(),
            "deaf_ms": self.deaf.millis(),
            "deaf": self.deaf.intervals().iter().map(part).collect::<Vec<_>>(),
        })
    }

    /// The same for people: topics refused, disconnects, and when nobody heard.
    pub(super) fn text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for topic in self.status.topics_refused.iter().take(SHOWN) {
            let missing = topic.missing_permissions.join(", ");
            lines.push(format!("refused: {}", topic.topic));
            lines.push(format!("  {}; missing: {missing}", topic.reason));
        }
        lines.extend(more("refused", self.refused()));
        let (ends, deaf) = (self.disconnects(), self.deaf.intervals());
        let each: Vec<String> = ends.iter().map(|(why, count)| format!("{why} {count}")).collect();
        lines.push(match ends.values().sum::<u64>() {
            0 => "disconnects: none".to_owned(),
            count => format!("disconnects: {count} ({})", each.join(", ")),
        });
        if !deaf.is_empty() {
            lines.push(format!("deaf: at most {} in all", secs(self.deaf.millis())));
            let part = |part: &Interval| {
                format!(
                    "  {} from {} to {}",
                    secs(part.millis()),
                    time(part.from.0),
                    time(part.to.0)
                )
            };
            lines.extend(deaf.iter().take(SHOWN).map(part));
            lines.extend(more("deaf", deaf.len()));
        }
        lines
    }
}

/// Lines of one kind that are shown; programs get all.
const SHOWN: usize = 10;

fn more(what: &str, count: usize) -> Option<String> {
    (count > SHOWN).then(|| format!("  {what}: {} more, see --output json", count - SHOWN))
}

fn secs(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1e3)
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.1}"))
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{} kB", bytes / 1_000),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
