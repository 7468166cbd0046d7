//! The time that certificates call complete, for every shard and class of topics at once.

use std::collections::BTreeMap;

use crate::certificate::Level;
use crate::certifier::Certificate;
use crate::domain::{Interval, IntervalSet};

/// What the newest revisions prove: live, or reconciled with history. Time for which one shard or class
/// has nothing better counts as not proven, and so does time without a certificate.
#[must_use]
pub fn proven(said: impl IntoIterator<Item = Certificate>) -> IntervalSet {
    let mut newest = BTreeMap::new();
    for certificate in said {
        let Certificate { subject, to, revision, judgement, .. } = certificate;
        let known = newest.entry(subject).or_insert((revision, to, judgement.level));
        if known.0 <= revision {
            *known = (revision, to, judgement.level);
        }
    }
    let mut classes: BTreeMap<(u16, String), IntervalSet> = BTreeMap::new();
    for (subject, (_, to, level)) in newest {
        let whole = classes.entry((subject.shard, subject.class)).or_default();
        if level.is_live() || level == Level::Reconciled {
            whole.insert(Interval::new(subject.from, to));
        }
    }
    classes.into_values().reduce(|all, one| all.intersect(&one)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Judgement;
    use crate::certifier::{Counts, Subject};
    use crate::domain::Wall;

    fn said(class: &str, from: i64, to: i64, revision: u32, level: Level) -> Certificate {
        Certificate {
            subject: Subject { shard: 0, class: class.to_owned(), from: Wall(from) },
            to: Wall(to),
            revision,
            judgement: Judgement {
                level,
                epochs: Vec::new(),
                sets: Vec::new(),
                gaps: Vec::new(),
                history_watermark: None,
                closed_at: None,
                expected_close_at: None,
            },
            counts: Counts::default(),
        }
    }

    #[test]
    fn time_is_proven_when_every_class_says_so_in_its_newest_revision() {
        let all = vec![
            said("queues", 0, 10, 1, Level::LiveDual),
            said("queues", 10, 20, 2, Level::Reconciled),
            said("queues", 10, 20, 1, Level::Open),
            said("queues", 20, 30, 1, Level::LiveSingle),
            said("queues", 30, 40, 1, Level::LiveSingle),
            said("queues", 30, 40, 2, Level::Open),
            said("users", 5, 10, 1, Level::LiveDual),
            said("users", 10, 20, 1, Level::LiveDual),
            said("users", 20, 30, 1, Level::RepairedProvisional),
            said("users", 30, 40, 1, Level::LiveDual),
        ];
        assert_eq!(proven(all).intervals(), [Interval::new(Wall(5), Wall(20))]);
        assert!(proven([said("queues", 0, 10, 1, Level::Partial)]).is_empty());
        assert!(proven([]).is_empty());
    }
}
