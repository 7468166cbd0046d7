//! What is wrong, and what to do about it.

use std::collections::BTreeMap;

use super::verdict::Tone;
use super::{Seen, words};

/// Something that is not as it should be.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) tone: Tone,
    /// What it is.
    pub(super) what: String,
    /// What to do next.
    pub(super) next: String,
}

/// Kafka has not taken a record for so long.
const STUCK_MS: i64 = 30_000;
/// Proof is so old although channels are live.
const STALE_MS: i64 = 90_000;

/// Everything that is wrong.
pub(super) fn problems(seen: &Seen<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut say = |tone, what: String, next: &str| {
        found.push(Problem { tone, what, next: next.to_owned() });
    };
    hearing(seen, &mut say);
    writing(seen, &mut say);
    around(seen, &mut say);
    found
}

fn hearing(seen: &Seen<'_>, say: &mut impl FnMut(Tone, String, &str)) {
    let status = seen.status;
    let mut live: BTreeMap<u16, (usize, usize)> = BTreeMap::new();
    for line in &status.channels {
        let (of, all) = live.entry(line.shard).or_default();
        *of += usize::from(matches!(line.state, "live" | "spare"));
        *all += 1;
    }
    let deaf: Vec<String> =
        live.iter().filter(|(_, (of, _))| *of == 0).map(|(shard, _)| shard.to_string()).collect();
    if !deaf.is_empty() {
        let what = format!("No channel of shard {} is live in this process", deaf.join(", "));
        say(
            Tone::Bad,
            what,
            "Connecting goes on by itself. If it lasts: is Genesys Cloud up, is the proxy open? `trunkline doctor` asks everything once.",
        );
    } else if live.is_empty() {
        say(
            Tone::Watch,
            "No channel is made yet".to_owned(),
            "It takes seconds after the start. If it lasts: `trunkline doctor`.",
        );
    }
    let single: Vec<String> = live
        .iter()
        .filter(|(_, (of, all))| *of > 0 && of < all)
        .map(|(shard, (of, all))| format!("{shard} ({of} of {all})"))
        .collect();
    if !single.is_empty() {
        let what = format!("Fewer channels than wanted hear shard {}", single.join(", "));
        say(
            Tone::Watch,
            what,
            "Nothing is lost meanwhile; the missing one is made anew by itself.",
        );
    }
    let lacking = status.channels_lacking;
    if lacking.channels > 0 {
        let tone = if lacking.shards > 0 { Tone::Bad } else { Tone::Watch };
        let what = format!(
            "The OAuth clients have no room for {}",
            words::count(lacking.channels, "channel")
        );
        say(
            tone,
            what,
            &format!("Add {} under genesys.clients.", words::count(lacking.clients, "client")),
        );
    }
    for refused in status.topics_refused.iter().take(SHOWN) {
        let what = format!("Topic {} is not covered: {}", refused.topic, refused.reason);
        let next = match refused.missing_permissions.join(", ") {
            none if none.is_empty() => {
                "Ask the platform's administrator why it is refused.".to_owned()
            }
            missing => format!("Add {missing} to a role of the OAuth client."),
        };
        say(Tone::Bad, what, &next);
    }
    if status.topics_refused.len() > SHOWN {
        let more = words::count(status.topics_refused.len() - SHOWN, "more topic");
        say(
            Tone::Bad,
            format!("{more} not covered"),
            "/api/v1/status names them under topics_refused.",
        );
    }
}

/// Refused topics that are named.
const SHOWN: usize = 3;

fn writing(seen: &Seen<'_>, say: &mut impl FnMut(Tone, String, &str)) {
    let (status, now) = (seen.status, seen.now);
    let waits = seen.flowing.oldest_unacked.map_or(0, |at| now.0 - at.0);
    let spool = status.spool.as_ref();
    let state = spool.map_or("", |spool| spool.state);
    if state == "full" {
        say(
            Tone::Bad,
            "The spool is full: sockets are not read".to_owned(),
            "Let Kafka take records again, or give spool.max_bytes more of the disk.",
        );
    } else if waits > STUCK_MS {
        let what = format!("A record has waited {} for Kafka", words::span(waits));
        let kept = if spool.is_some() {
            "What is heard is kept in the spool."
        } else {
            "What is heard waits in memory."
        };
        say(Tone::Bad, what, &format!("{kept} Look at the brokers; `trunkline doctor` asks them."));
    }
    if state == "failed" {
        say(
            Tone::Bad,
            "The disk of the spool refused a write".to_owned(),
            "What is heard lies in memory and Kafka only: repair the disk, then restart.",
        );
    }
    // somebody said so in the configuration, and an alert says it too: it colours nothing
    if let Some(first) = status.durability.first() {
        let topics = words::count(status.durability.len(), "topic");
        let what = format!("{topics} weaker than promised, as kafka.durability allows");
        say(Tone::Good, what, &format!("{first}. For trying out only."));
    }
    let proven = status.coverage.values().filter_map(|coverage| coverage.proven_to_ms).min();
    let open = status.coverage.values().any(|coverage| !coverage.gaps.is_empty());
    let stale = proven.filter(|at| now.0 - at.0 > STALE_MS && !open && waits <= STUCK_MS);
    if let Some(at) = stale {
        let what = format!("Proof is {} old", words::since(at, now));
        say(
            Tone::Watch,
            what,
            "The state topic may take no records: `trunkline doctor` asks the brokers, and the log names their answers.",
        );
    }
}

fn around(seen: &Seen<'_>, say: &mut impl FnMut(Tone, String, &str)) {
    let status = seen.status;
    for what in status.conflicts.values() {
        say(Tone::Bad, "Another process has what is this one's alone".to_owned(), what);
    }
    if let Some(refused) = &status.config.refused {
        say(
            Tone::Watch,
            "The configuration on disk is refused; the one before runs".to_owned(),
            refused,
        );
    }
    if !status.config.waiting.is_empty() {
        let fields: Vec<&str> = status.config.waiting.iter().map(String::as_str).collect();
        let what = format!("Changed, and waits for a restart: {}", fields.join(", "));
        say(Tone::Watch, what, "Restart when it suits.");
    }
    for (name, check) in
        status.checks.iter().filter(|(name, check)| !check.ok && **name != "channels")
    {
        say(
            Tone::Bad,
            format!("Not ready: {name}: {}", check.detail),
            "Readiness is back when it passes.",
        );
    }
}
