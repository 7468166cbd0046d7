//! What listening alone answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use trunkline_protocol::domain::Mono;

use super::{Survey, millis, secs};
use crate::survey::ears::{Agreement, Ears, End};
use crate::survey::findings::Findings;

/// Events that two channels have to have heard before they are compared.
const ENOUGH: u64 = 10;

impl Survey {
    /// Answers the questions that need no request.
    pub(super) fn conclude(&mut self) {
        let now = self.clock.mono();
        let ears = self.heard.ears();
        let hears = self.heard.is_open(0);
        let findings = &mut self.findings;
        correlation(findings, &ears);
        frames(findings, &ears);
        pongs(findings, &ears);
        delays(findings, &ears);
        heartbeats(findings, &ears);
        let ends: Vec<&End> = ears.ends.iter().filter(|end| end.channel < 2).collect();
        closes(findings, &ends);
        if let Some(end) = self.token_end {
            token(findings, &ends, end, now, hears);
        }
        lives(findings);
        match &ears.closing_keys {
            Some(keys) => {
                let how = "one was sent to a channel of the survey";
                findings.settle("14b", 1, how, format!("a body with {keys}"));
            }
            None => findings.leave("14b", "none was sent while it listened"),
        }
    }
}

fn say(agreement: Agreement) -> String {
    let Agreement { same, of } = agreement;
    match same {
        0 => format!("no: 0 of {of} are the same"),
        same if same == of => format!("yes: all {of} are the same"),
        same => format!("sometimes: {same} of {of} are the same"),
    }
}

fn correlation(findings: &mut Findings, ears: &Ears) {
    let (ids, orders) = ears.between(0, 1);
    let few = |count: u64| format!("{count} events were heard twice; it takes {ENOUGH}");
    if ids.of >= ENOUGH {
        let how = "events that two channels heard were compared";
        findings.settle("1a", ids.of, how, say(ids));
        findings.set("same_correlation_id", ids.same * 2 > ids.of);
    } else {
        findings.leave("1a", few(ids.of));
    }
    let topics = ears.across_topics;
    if topics.of >= ENOUGH {
        let how = "events with one body on two topics of a channel were compared";
        findings.settle("1b", topics.of, how, say(topics));
    } else {
        findings.leave("1b", few(topics.of));
    }
    if orders.of >= ENOUGH {
        let how = "bodies that are equal but for the order of keys were compared";
        findings.settle("1c", orders.of, how, say(orders));
    } else {
        findings.leave("1c", few(orders.of));
    }
}

fn frames(findings: &mut Findings, ears: &Ears) {
    match ears.bytes.checked_div(ears.frames) {
        Some(mean) => {
            let answer =
                format!("up to {} bytes, {mean} on average; a limit was not met", ears.longest);
            findings.settle("5b", ears.frames, "frames of one channel were measured", answer);
        }
        None => findings.leave("5b", "nothing was heard"),
    }
}

fn pongs(findings: &mut Findings, ears: &Ears) {
    match (ears.nonce_pongs, ears.nonces) {
        (0, _) => findings.leave("8a", "no pong came"),
        (pongs, 0) => findings.settle("8a", pongs, "pings with a further key were sent", "no"),
        (pongs, nonces) => {
            let answer = format!("yes, {nonces} of {pongs} times");
            findings.settle("8a", pongs, "pings with a further key were sent", answer);
        }
    }
    match quantiles(&ears.protocol_pongs) {
        Some([median, .., most]) => {
            let answer = format!("yes, after {median} ms (median), {most} ms at most");
            let count = ears.protocol_pongs.len() as u64;
            findings.settle("8c", count, "one was sent every ten seconds", answer);
        }
        None => findings.leave("8c", "none was answered"),
    }
}

fn delays(findings: &mut Findings, ears: &Ears) {
    let known: Vec<u64> = ears.delays.iter().map(|ms| u64::try_from(*ms).unwrap_or(0)).collect();
    match quantiles(&known).filter(|_| known.len() as u64 >= ENOUGH) {
        Some([median, most_95, most_99, most]) => {
            let answer = format!(
                "{} (median), {} (95 %), {} (99 %), {} at most; the platform's time is known to a second",
                secs(median),
                secs(most_95),
                secs(most_99),
                secs(most)
            );
            let how = "the newest time in a body was held against its receipt; a body without a new time looks later than it is";
            findings.settle("11", known.len() as u64, how, answer);
        }
        None => {
            findings.leave("11", format!("{} bodies had a time; it takes {ENOUGH}", known.len()))
        }
    }
}

fn heartbeats(findings: &mut Findings, ears: &Ears) {
    let gaps: Vec<u64> = ears.heartbeats[..2]
        .iter()
        .flat_map(|beats| beats.windows(2).map(|pair| millis(pair[1].since(pair[0]))))
        .collect();
    match quantiles(&gaps) {
        Some([median, ..]) => {
            // a beat comes at whole seconds
            let every = (median + 500) / 1_000;
            let how = "times between heartbeats";
            findings.settle("16a", gaps.len() as u64, how, format!("every {every} s (median)"));
            findings.set("heartbeat_ms", every * 1_000);
        }
        None => findings.leave("16a", "two on one socket were not heard"),
    }
}

fn closes(findings: &mut Findings, ends: &[&End]) {
    if ends.is_empty() {
        return findings.leave("12c", "none ended while it listened");
    }
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for end in ends {
        let code = end.code.map_or("cut".to_owned(), |code| format!("code {code}"));
        let notice = end.notice.as_ref().map(|notice| format!(" after {notice}"));
        *kinds.entry(code + &notice.unwrap_or_default()).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
    let how = "ends of sockets that nobody asked for";
    findings.settle("12c", ends.len() as u64, how, kinds.join(", "));
}

fn token(findings: &mut Findings, ends: &[&End], end: Mono, now: Mono, lives: bool) {
    let how = "the first channel was made with a token of known end, and listened to";
    // the platform's clock began before its answer came
    let early = end - Duration::from_secs(2);
    let near = |at: Mono| at >= early && millis(at.since(end)) < 5_000;
    if ends.iter().any(|ended| ended.channel == 0 && near(ended.at)) {
        findings.settle("13", 1, how, "yes: the socket ended within 5 s of it");
        findings.set("token_end_closes", true);
    } else if millis(now.since(end)) > 5_000 && lives {
        let after = millis(now.since(end));
        findings.settle("13", 1, how, format!("no: it was still open {} later", secs(after)));
        findings.set("token_end_closes", false);
    } else {
        let left = millis(end.since(now)) / 60_000 + 1;
        findings.leave("13", format!("the token lives for {left} more minutes; a client whose tokens live for 5 minutes shows it soon"));
    }
}

fn lives(findings: &mut Findings) {
    let life = |findings: &Findings, key: &str| {
        findings.settings().get(key).and_then(Value::as_u64).map(|ms| ms / 1_000)
    };
    let known = (life(findings, "token_life_ms"), life(findings, "channel_life_ms"));
    if let (Some(token), Some(channel)) = known {
        let answer = format!("tokens {token} s, channels {channel} s");
        findings.settle("16b", 2, "`expires_in` and `expires` were read", answer);
    } else {
        findings.leave("16b", "no channel was made");
    }
}

/// Median, 95 %, 99 % and the greatest.
fn quantiles(values: &[u64]) -> Option<[u64; 4]> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len() - 1)).copied();
    let most = *sorted.last()?;
    Some([at(50)?, at(95)?, at(99)?, most])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::findings::{Outcome, QUESTIONS};

    fn at(secs: u64) -> Mono {
        Mono(0) + Duration::from_secs(secs)
    }

    fn outcome(findings: &Findings, id: &str) -> Outcome {
        findings.outcome(QUESTIONS.iter().find(|q| q.id == id).expect("a question"))
    }

    fn judged(ends: &[End], now: u64, lives: bool) -> Option<bool> {
        let mut findings = Findings::default();
        token(&mut findings, &ends.iter().collect::<Vec<_>>(), at(100), at(now), lives);
        findings.settings().get("token_end_closes").and_then(Value::as_bool)
    }

    #[test]
    fn a_socket_that_ends_with_its_token_is_told_from_one_that_goes_on() {
        let end = |secs| End { channel: 0, at: at(secs), code: Some(1000), notice: None };
        assert_eq!(judged(&[end(101)], 200, true), Some(true));
        assert_eq!(judged(&[end(50)], 200, true), Some(false));
        assert_eq!(judged(&[], 200, true), Some(false));
        assert_eq!(judged(&[], 200, false), None, "it was not listening");
        assert_eq!(judged(&[], 90, true), None, "the token lives");
        assert_eq!(judged(&[End { channel: 1, ..end(101) }], 200, true), Some(false));
    }

    #[test]
    fn what_was_observed_too_seldom_is_left_open() {
        let mut findings = Findings::default();
        let ears = Ears::default();
        correlation(&mut findings, &ears);
        delays(&mut findings, &ears);
        heartbeats(&mut findings, &ears);
        for id in ["1a", "1b", "1c", "11", "16a"] {
            assert!(matches!(outcome(&findings, id), Outcome::Open { .. }), "{id}");
        }
        assert!(findings.settings().is_empty());
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        assert_eq!(quantiles(&[]), None);
        assert_eq!(quantiles(&[5]), Some([5; 4]));
        let hundred: Vec<u64> = (0..100).rev().collect();
        assert_eq!(quantiles(&hundred), Some([50, 95, 99, 99]));
    }
}
