//! Certificates as stretches of one level, and whether a range of them is complete.

use std::collections::BTreeMap;

use trunkline_protocol::certificate::Level;
use trunkline_protocol::certifier::Certificate;

/// What is said of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A certificate's level.
    Level(Level),
    /// A certificate is still to come.
    NotYet,
    /// No certificate speaks of this time or of anything before it: nobody was to hear it, nor was history asked.
    Unknown,
}

/// Certificates of one level that follow each other.
#[derive(Debug)]
pub(super) struct Stretch {
    pub shard: u16,
    pub class: String,
    pub from: i64,
    pub to: i64,
    pub said: Said,
    pub live: u64,
    pub restored: u64,
    /// No socket proves any of it.
    pub history_only: bool,
    pub final_at: Option<i64>,
}

/// Whether everything is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complete {
    Yes,
    /// Final from this time on, where it is known.
    Probably(Option<i64>),
    No,
    /// A part of it is before anything that is known, and nothing of the rest is missing.
    Unknown,
}

impl Complete {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Probably(_) => "probably",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// What may be said of a range.
#[derive(Debug)]
pub(super) struct Answer {
    /// Of all of it.
    pub complete: Complete,
    /// Of the part that something is known of; `None` without such a part.
    pub since_known: Option<Complete>,
    /// From here on every class of topics is known; `None` without any certificate.
    pub known_from: Option<i64>,
    /// A part of the range lies before that.
    pub reaches_back: bool,
}

/// The newest revision of every interval.
pub(super) fn newest(said: impl Iterator<Item = Certificate>) -> Vec<Certificate> {
    let mut newest = BTreeMap::new();
    for certificate in said {
        let known =
            newest.entry(certificate.subject.clone()).or_insert_with(|| certificate.clone());
        if known.revision < certificate.revision {
            *known = certificate;
        }
    }
    newest.into_values().collect()
}

/// What the newest certificates say of `[from, to)`, milliseconds since 1970.
pub(super) fn answer(said: Vec<Certificate>, from: i64, to: i64) -> (Vec<Stretch>, Answer) {
    let mut begun: BTreeMap<(u16, &str), i64> = BTreeMap::new();
    for subject in said.iter().map(|certificate| &certificate.subject) {
        let first = begun.entry((subject.shard, &subject.class)).or_insert(subject.from.0);
        *first = subject.from.0.min(*first);
    }
    let known_from = begun.into_values().max();
    let stretches = stretches(said, from, to);
    let known: Vec<&Stretch> = stretches.iter().filter(|s| s.said != Said::Unknown).collect();
    let reaches_back = known.len() < stretches.len();
    let since_known = (!known.is_empty()).then(|| complete(&known));
    let complete = match since_known {
        Some(Complete::No) => Complete::No,
        Some(since) if !reaches_back => since,
        Some(_) | None => Complete::Unknown,
    };
    (stretches, Answer { complete, since_known, known_from, reaches_back })
}

fn complete(stretches: &[&Stretch]) -> Complete {
    let is_good =
        |said: Said| matches!(said, Said::Level(l) if l.is_live() || l == Level::Reconciled);
    let rest: Vec<_> = stretches.iter().filter(|stretch| !is_good(stretch.said)).collect();
    if rest.is_empty() {
        return Complete::Yes;
    }
    let is_provisional = |said| said == Said::Level(Level::RepairedProvisional);
    match rest.iter().all(|stretch| is_provisional(stretch.said)) {
        true => Complete::Probably(rest.iter().filter_map(|stretch| stretch.final_at).max()),
        false => Complete::No,
    }
}

/// Every instant of the range is in one stretch of every class.
fn stretches(said: Vec<Certificate>, from: i64, to: i64) -> Vec<Stretch> {
    let mut classes: BTreeMap<(u16, String), Vec<Certificate>> = BTreeMap::new();
    for certificate in said {
        let key = (certificate.subject.shard, certificate.subject.class.clone());
        classes.entry(key).or_default().push(certificate);
    }
    let mut all: Vec<Stretch> = Vec::new();
    for ((shard, class), said) in classes {
        let empty = |from, to, said| Stretch {
            shard,
            class: class.clone(),
            from,
            to,
            said,
            live: 0,
            restored: 0,
            history_only: false,
            final_at: None,
        };
        let begun = said.iter().map(|c| c.subject.from.0).min().unwrap_or(to).min(to);
        if from < begun {
            all.push(empty(from, begun, Said::Unknown));
        }
        let mut reached = from.max(begun);
        for certificate in said.iter().filter(|c| c.to.0 > from && c.subject.from.0 < to) {
            if certificate.subject.from.0 > reached {
                all.push(empty(reached, certificate.subject.from.0, Said::NotYet));
            }
            reached = certificate.to.0;
            let judgement = &certificate.judgement;
            let next = Stretch {
                live: certificate.counts.live,
                restored: certificate.counts.backfill,
                history_only: judgement.epochs.is_empty(),
                final_at: judgement.expected_close_at.map(|at| at.0),
                ..empty(certificate.subject.from.0, reached, Said::Level(judgement.level))
            };
            let same = |last: &&mut Stretch| {
                (last.shard, &last.class, last.said, last.history_only, last.to)
                    == (shard, &class, next.said, next.history_only, next.from)
            };
            match all.last_mut().filter(same) {
                Some(last) => {
                    last.to = next.to;
                    last.live += next.live;
                    // a gap that spans several intervals is counted with each of them
                    last.restored = last.restored.max(next.restored);
                    last.final_at = last.final_at.max(next.final_at);
                }
                None => all.push(next),
            }
        }
        if reached < to {
            all.push(empty(reached, to, Said::NotYet));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use trunkline_protocol::certificate::Judgement;
    use trunkline_protocol::certifier::{Counts, Subject};
    use trunkline_protocol::domain::Wall;

    use super::*;

    fn certificate(class: &str, from: i64, level: Level) -> Certificate {
        let subject = Subject { shard: 0, class: class.to_owned(), from: Wall(from) };
        let judgement = Judgement {
            level,
            epochs: Vec::new(),
            sets: Vec::new(),
            gaps: Vec::new(),
            history_watermark: None,
            closed_at: None,
            expected_close_at: (level == Level::RepairedProvisional).then_some(Wall(900)),
        };
        let to = Wall(from + 10);
        Certificate { subject, to, revision: 1, judgement, counts: Counts::default() }
    }

    fn said(said: &[(&str, i64, Level)], from: i64, to: i64) -> (Vec<(i64, i64, Said)>, Answer) {
        let said = said.iter().map(|(class, from, level)| certificate(class, *from, *level));
        let (stretches, answer) = answer(said.collect(), from, to);
        (stretches.iter().map(|s| (s.from, s.to, s.said)).collect(), answer)
    }

    #[test]
    fn time_before_the_first_certificate_is_not_known_however_good_the_rest_is() {
        let live = Level::LiveDual;
        let (stretches, answer) = said(&[("a", 100, live), ("a", 110, live)], 40, 120);
        assert_eq!(stretches, [(40, 100, Said::Unknown), (100, 120, Said::Level(live))]);
        assert_eq!((answer.complete, answer.since_known), (Complete::Unknown, Some(Complete::Yes)));
        assert_eq!((answer.known_from, answer.reaches_back), (Some(100), true));
        let (_, answer) = said(&[("a", 100, live), ("a", 110, live)], 100, 120);
        assert_eq!((answer.complete, answer.reaches_back), (Complete::Yes, false));
    }

    #[test]
    fn a_class_that_came_later_is_not_known_before() {
        let live = Level::LiveSingle;
        let (stretches, answer) =
            said(&[("a", 100, live), ("a", 110, live), ("b", 110, live)], 100, 120);
        assert_eq!(stretches.iter().filter(|s| s.2 == Said::Unknown).count(), 1);
        assert_eq!((answer.complete, answer.known_from), (Complete::Unknown, Some(110)));
    }

    #[test]
    fn what_is_known_to_be_missing_is_said_before_what_is_not_known() {
        for bad in [Level::Partial, Level::Open, Level::LostDeclared] {
            assert_eq!(said(&[("a", 100, bad)], 40, 110).1.complete, Complete::No);
        }
        // the end of the range is not certified yet
        assert_eq!(said(&[("a", 100, Level::LiveDual)], 40, 120).1.complete, Complete::No);
        let (_, answer) = said(&[("a", 100, Level::RepairedProvisional)], 100, 110);
        assert_eq!(answer.complete, Complete::Probably(Some(900)));
        let (_, answer) = said(&[("a", 100, Level::RepairedProvisional)], 90, 110);
        assert_eq!(answer.complete, Complete::Unknown);
        assert_eq!(answer.since_known, Some(Complete::Probably(Some(900))));
    }

    #[test]
    fn without_a_certificate_in_the_range_nothing_is_known_of_it() {
        let (stretches, answer) = said(&[], 40, 110);
        assert!(stretches.is_empty());
        assert_eq!((answer.complete, answer.known_from), (Complete::Unknown, None));
        let (stretches, answer) = said(&[("a", 200, Level::LiveDual)], 40, 110);
        assert_eq!(stretches, [(40, 110, Said::Unknown)]);
        assert_eq!((answer.complete, answer.known_from), (Complete::Unknown, Some(200)));
    }
}
