//! Wanted topics against permitted ones: combine, split into shards, report the refused.

use std::collections::{BTreeMap, BTreeSet};

/// Topics that fit one channel (documented: 1,000, combined ones count once).
pub const TOPICS_PER_CHANNEL: usize = 1_000;
/// A topic string is shorter than this (documented in the vendor's own client).
pub const TOPIC_LENGTH: usize = 200;

/// A topic that is wanted and not covered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Refused {
    /// The topic as wanted.
    pub topic: String,
    /// What the platform said, or that it said nothing.
    pub reason: String,
    /// Permissions the client lacks.
    pub missing_permissions: Vec<String>,
}

/// One entity of the platform's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The topic string as it was sent.
    pub topic: String,
    /// `Permitted` or anything else.
    pub permitted: bool,
    /// `rejectionReason`.
    pub reason: Option<String>,
    /// `missingPermissions`.
    pub missing_permissions: Vec<String>,
}

/// Joins topics with an equal prefix, `a.b?c&d` for `a.b.c` and `a.b.d`, below the length limit.
/// Sorted; equal input gives equal output.
#[must_use]
pub fn combine(topics: &BTreeSet<String>) -> Vec<String> {
    let mut by_prefix: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for topic in topics {
        match topic.rsplit_once('.') {
            Some((prefix, last)) => by_prefix.entry(prefix).or_default().push(last),
            None => drop(by_prefix.entry(topic).or_default()),
        };
    }
    let mut combined = Vec::new();
    for (prefix, lasts) in by_prefix {
        if lasts.is_empty() {
            combined.push(prefix.to_owned());
        }
        let mut group: Vec<&str> = Vec::new();
        for last in lasts {
            let length =
                prefix.len() + 1 + group.iter().map(|l| l.len() + 1).sum::<usize>() + last.len();
            if length >= TOPIC_LENGTH && !group.is_empty() {
                combined.push(joined(prefix, &group));
                group.clear();
            }
            group.push(last);
        }
        if !group.is_empty() {
            combined.push(joined(prefix, &group));
        }
    }
    combined
}

fn joined(prefix: &str, lasts: &[&str]) -> String {
    match lasts {
        [only] => format!("{prefix}.{only}"),
        many => format!("{prefix}?{}", many.join("&")),
    }
}

/// The single topics of a topic string.
#[must_use]
pub fn expand(topic: &str) -> Vec<String> {
    match topic.split_once('?') {
        None => vec![topic.to_owned()],
        Some((prefix, lasts)) => lasts.split('&').map(|last| format!("{prefix}.{last}")).collect(),
    }
}

/// Splits combined topics into shards that fit one channel each. A topic that stays wanted stays
/// in its shard: `previous` is the plan in force, and new topics fill the first shard with room.
/// No topic is ever left out.
#[must_use]
pub fn plan(combined: &[String], previous: &[BTreeSet<String>]) -> Vec<BTreeSet<String>> {
    let wanted: BTreeSet<&String> = combined.iter().collect();
    let mut shards: Vec<BTreeSet<String>> = previous
        .iter()
        .map(|shard| shard.iter().filter(|topic| wanted.contains(topic)).cloned().collect())
        .collect();
    let placed: BTreeSet<String> = shards.iter().flatten().cloned().collect();
    for topic in wanted.into_iter().filter(|topic| !placed.contains(*topic)) {
        match shards.iter_mut().find(|shard| shard.len() < TOPICS_PER_CHANNEL) {
            Some(shard) => {
                shard.insert(topic.clone());
            }
            None => shards.push(BTreeSet::from([topic.clone()])),
        }
    }
    shards
}

/// Compares what was asked for with what was answered. Everything that is not permitted is
/// refused, a topic the platform kept silent about included: it would be a silent gap.
#[must_use]
pub fn refused(wanted: &BTreeSet<String>, answer: &[Answered]) -> Vec<Refused> {
    let mut refused = Vec::new();
    for topic in wanted {
        let parts = expand(topic);
        let about: Vec<&Answered> = answer
            .iter()
            .filter(|entity| entity.topic == *topic || parts.contains(&entity.topic))
            .collect();
        let whole = about.iter().find(|entity| entity.topic == *topic);
        for part in &parts {
            let own = about.iter().find(|entity| entity.topic == *part).or(whole);
            match own {
                Some(entity) if entity.permitted => {}
                Some(entity) => refused.push(Refused {
                    topic: part.clone(),
                    reason: entity.reason.clone().unwrap_or_else(|| "rejected".to_owned()),
                    missing_permissions: entity.missing_permissions.clone(),
                }),
                None => refused.push(Refused {
                    topic: part.clone(),
                    reason: "absent from the platform's answer".to_owned(),
                    missing_permissions: Vec::new(),
                }),
            }
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(topics: &[&str]) -> BTreeSet<String> {
        topics.iter().map(|topic| (*topic).to_owned()).collect()
    }

    #[test]
    fn topics_with_one_prefix_share_a_string_below_the_length_limit() {
        let topics =
            set(&["v2.users.u.conversations", "v2.users.u.presence", "v2.users.w.presence"]);
        assert_eq!(combine(&topics), ["v2.users.u?conversations&presence", "v2.users.w.presence"]);
        let many: BTreeSet<String> = (0..100).map(|n| format!("v2.users.u.part{n:03}")).collect();
        let combined = combine(&many);
        assert!(combined.iter().all(|topic| topic.len() < TOPIC_LENGTH));
        let back: BTreeSet<String> = combined.iter().flat_map(|topic| expand(topic)).collect();
        assert_eq!(back, many);
    }

    #[test]
    fn two_and_a_half_thousand_topics_are_three_shards_and_none_is_left_out() {
        let topics: Vec<String> =
            (0..2_500).map(|n| format!("v2.routing.queues.q{n}.conversations")).collect();
        let shards = plan(&topics, &[]);
        assert_eq!(shards.len(), 3);
        assert_eq!(shards.iter().map(BTreeSet::len).sum::<usize>(), 2_500);
        let fewer: Vec<String> =
            topics[10..].iter().cloned().chain(["v2.new".to_owned()]).collect();
        let again = plan(&fewer, &shards);
        assert_eq!(again.iter().map(BTreeSet::len).sum::<usize>(), 2_491);
        for (now, before) in again.iter().zip(&shards) {
            let moved = now.difference(before).filter(|topic| *topic != "v2.new").count();
            assert_eq!(moved, 0, "what stays, stays in its shard");
        }
    }

    #[test]
    fn a_topic_the_platform_keeps_silent_about_is_refused() {
        let wanted = set(&["v2.a.1.x", "v2.b.1?x&y", "v2.c.1.x"]);
        let permitted = |topic: &str| Answered {
            topic: topic.to_owned(),
            permitted: true,
            ..Answered::default()
        };
        let rejected = Answered {
            topic: "v2.b.1.y".to_owned(),
            reason: Some("no permission".to_owned()),
            missing_permissions: vec!["routing:queue:view".to_owned()],
            ..Answered::default()
        };
        let refused = refused(&wanted, &[permitted("v2.a.1.x"), permitted("v2.b.1?x&y"), rejected]);
        let topics: Vec<&str> = refused.iter().map(|r| r.topic.as_str()).collect();
        assert_eq!(topics, ["v2.b.1.y", "v2.c.1.x"]);
        assert_eq!(refused[0].missing_permissions, ["routing:queue:view"]);
    }
}
