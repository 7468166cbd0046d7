use std::borrow::Cow;

use super::*;
use crate::domain::{EpochId, SetDigest, WriterId};
use crate::ledger::{Fact, Want};

const HOUR: i64 = 3_600_000;
/// Start of a span.
const AT: i64 = 600 * HOUR;
const QUEUE: &str = "v2.routing.queues.q.conversations";

fn timings() -> Timings {
    Timings::default()
}

fn span() -> Interval {
    Interval::new(Wall(AT), Wall(AT + 6 * HOUR))
}

/// A shard whose topics were wanted from `from` on, and claimed over these intervals.
fn book(topics: &[&str], from: i64, claims: &[(i64, i64)]) -> ShardLedger {
    let mut book = ShardLedger::new();
    let mut add = |fact| book.add(WriterId([1; 16]), &fact).unwrap();
    let want = Want { from: Wall(from), to: None };
    let wanted = topics.iter().map(|topic| ((*topic).to_owned(), want)).collect();
    add(Fact::Wanted { as_of: Wall(from), topics: wanted });
    let set = SetDigest([1; 16]);
    add(Fact::Set { set, topics: topics.iter().map(|topic| (*topic).to_owned()).collect() });
    for (n, &(from, to)) in (1..).zip(claims) {
        let epoch = EpochId([n; 16]);
        add(Fact::Epoch { epoch, set, leg: n, from: Wall(from), rides: None });
        add(Fact::Claim { epoch, interval: Interval::new(Wall(from), Wall(to)) });
    }
    book
}

fn proven() -> ShardLedger {
    book(&[QUEUE], AT - 9 * HOUR, &[(AT - 9 * HOUR, AT + 90 * HOUR)])
}

fn row(queue: &'static str, from: i64) -> Row<'static> {
    let mark = Mark {
        from: Some(Wall(from)),
        kind: Cow::Borrowed("interact"),
        media: Some(Cow::Borrowed("voice")),
        queue: Some(Cow::Borrowed(queue)),
        ..Mark::default()
    };
    Row { conversation: "c".into(), start: Some(Wall(from)), end: None, marks: vec![mark] }
}

fn judge(book: &ShardLedger, records: &[i64], row: &Row<'_>, now: i64) -> (Finding, Audit) {
    let mut carried = Carried::new(span(), book.late().clone(), &timings());
    records.iter().for_each(|at| assert!(carried.record("c", Wall(*at))));
    let mut hours =
        Hours::new(span(), [(0, book, true)], carried, Duration::from_secs(1), &timings());
    let finding = hours.judge(row, Wall(now));
    let audits = hours.audits(Wall(now), Wall(now));
    (finding, audits.get(&0).cloned().unwrap_or_default())
}

fn verdict(book: &ShardLedger, records: &[i64], row: &Row<'_>) -> Finding {
    judge(book, records, row, AT + 32 * HOUR).0
}

#[test]
fn what_a_socket_was_told_while_nobody_read_it_is_no_miss() {
    let row = row("q", AT + HOUR);
    let mut book = proven();
    let read = AT + 4 * HOUR;
    assert!(matches!(verdict(&book, &[read], &row), Finding::Missed(_)));
    let late = |from: i64, to: i64| Fact::Late { interval: Interval::new(Wall(from), Wall(to)) };
    book.add(WriterId([1; 16]), &late(AT + HOUR - 10_000, read)).unwrap();
    assert_eq!(verdict(&book, &[read], &row), Finding::Carried);
    assert!(matches!(verdict(&book, &[read + 2 * HOUR], &row), Finding::Missed(_)), "later yet");
    // also where the reading ends long after the span
    let row = self::row("q", AT + 6 * HOUR - 1);
    book.add(WriterId([1; 16]), &late(AT + 6 * HOUR - 9_000, AT + 15 * HOUR)).unwrap();
    assert_eq!(verdict(&book, &[AT + 15 * HOUR], &row), Finding::Carried);
}

#[test]
fn spans_are_due_a_day_after_their_end_one_after_the_other_and_once() {
    let mut book = book(&[QUEUE], AT + HOUR, &[]);
    let due = |book: &ShardLedger, at: i64| due([book], &BTreeSet::new(), Wall(at), &timings());
    assert_eq!(due(&book, AT + 31 * HOUR), None, "its jobs are not complete before");
    assert_eq!(due(&book, AT + 32 * HOUR), Some(span()), "begun within it");
    let audit = Audit { span: span(), ..Audit::default() };
    book.add(WriterId([1; 16]), &Fact::Audit(audit)).unwrap();
    assert_eq!(due(&book, AT + 32 * HOUR), None);
    let next = Interval::new(Wall(AT + 6 * HOUR), Wall(AT + 12 * HOUR));
    assert_eq!(due(&book, AT + 38 * HOUR), Some(next));
    let far = due(&book, AT + 400 * HOUR).expect("one");
    assert!(far.from >= Wall(AT + 304 * HOUR), "what lies beyond the reach is left: {far}");
}

#[test]
fn what_began_on_a_proven_topic_without_any_record_is_missed() {
    let (at, book) = (AT + 2 * HOUR, proven());
    let (finding, audit) = judge(&book, &[], &row("q", at), AT + 32 * HOUR);
    let class = class_of(QUEUE);
    assert_eq!(finding, Finding::Missed(vec![(0, class.clone(), Wall(at))]));
    assert_eq!((audit.rows, audit.missed), (1, 1));
    assert!(audit.instants[&class].contains(Wall(at)));
    // a record from before it began says nothing of it; one soon after does
    assert_ne!(verdict(&book, &[at - HOUR / 2], &row("q", at)), Finding::Carried);
    assert_eq!(verdict(&book, &[at + 20_000], &row("q", at)), Finding::Carried);
    assert_ne!(verdict(&book, &[at + 3 * HOUR], &row("q", at)), Finding::Carried);
}

#[test]
fn an_end_that_no_record_tells_is_missed_although_the_beginning_was_told() {
    let at = AT + 2 * HOUR;
    let mut row = row("q", at);
    row.marks[0].to = Some(Wall(at + 1_800_000));
    let told = [at + 1_000, at + 60_000];
    assert!(
        matches!(verdict(&proven(), &told, &row), Finding::Missed(m) if m[0].2 == Wall(at + 1_800_000))
    );
    assert_eq!(verdict(&proven(), &[at + 1_000, at + 1_801_000], &row), Finding::Carried);
    assert_eq!(
        verdict(&proven(), &[at + 1_801_000], &row),
        Finding::Carried,
        "a snapshot tells of both"
    );
}

#[test]
fn what_no_proof_covers_or_began_elsewhere_in_time_is_no_miss() {
    let at = AT + 2 * HOUR;
    // the proof ends before the event had to be told: that is a gap's business
    let hole =
        book(&[QUEUE], AT - HOUR, &[(AT - HOUR, at + 60_000), (at + 600_000, AT + 9 * HOUR)]);
    assert_eq!(verdict(&hole, &[], &row("q", at)), Finding::Carried);
    assert_eq!(verdict(&proven(), &[], &row("q", AT - 1)), Finding::Carried);
    assert_eq!(verdict(&proven(), &[], &row("q", AT + 6 * HOUR)), Finding::Carried);
}

#[test]
fn what_is_on_no_topic_is_counted_apart_unless_a_record_tells_of_it() {
    let at = AT + 2 * HOUR;
    let (finding, audit) = judge(&proven(), &[], &row("elsewhere", at), AT + 32 * HOUR);
    assert_eq!((finding, audit.uncovered, audit.missed), (Finding::Uncovered, 1, 0));
    assert_eq!(verdict(&proven(), &[at + HOUR], &row("elsewhere", at)), Finding::Carried);
}

#[test]
fn a_topic_of_one_medium_is_held_against_that_medium_alone() {
    let at = AT + 2 * HOUR;
    let of = |topic| book(&[topic], AT - HOUR, &[(AT - HOUR, AT + 90 * HOUR)]);
    let calls = of("v2.routing.queues.q.conversations.calls");
    assert!(matches!(verdict(&calls, &[], &row("q", at)), Finding::Missed(_)));
    let emails = of("v2.routing.queues.q.conversations.emails");
    assert_eq!(verdict(&emails, &[], &row("q", at)), Finding::Uncovered);
    // presence says nothing of conversations
    assert_eq!(verdict(&of("v2.users.q.presence"), &[], &row("q", at)), Finding::Uncovered);
}

#[test]
fn what_turns_up_after_the_nights_in_which_history_is_rewritten_is_a_cause_of_its_own() {
    let row = row("q", AT + 2 * HOUR);
    let (finding, audit) = judge(&proven(), &[], &row, AT + 57 * HOUR);
    assert_eq!((finding, audit.rewritten, audit.missed), (Finding::Rewritten, 1, 0));
    assert!(audit.instants.is_empty(), "it takes nothing back");
}

#[test]
fn a_shard_that_was_looked_at_is_not_spoken_for_again() {
    let mut book = proven();
    book.add(WriterId([2; 16]), &Fact::Audit(Audit { span: span(), ..Audit::default() })).unwrap();
    let hours = Hours::new(
        span(),
        [(0, &book, true)],
        Carried::new(span(), IntervalSet::new(), &timings()),
        SKEW,
        &timings(),
    );
    assert!(hours.audits(Wall(0), Wall(0)).is_empty());
    assert_eq!(verdict(&book, &[], &row("q", AT + HOUR)), Finding::Carried);
}

#[test]
fn what_another_replica_speaks_for_is_left_to_it() {
    let book = proven();
    let carried = Carried::new(span(), IntervalSet::new(), &timings());
    let mut hours = Hours::new(span(), [(0, &book, false)], carried, SKEW, &timings());
    assert_eq!(hours.judge(&row("q", AT + HOUR), Wall(AT + 32 * HOUR)), Finding::Carried);
    assert_eq!(hours.judge(&row("elsewhere", AT + HOUR), Wall(AT)), Finding::Carried);
    assert!(hours.audits(Wall(0), Wall(0)).is_empty());
    let beyond = BTreeSet::from([span()]);
    let begun = due([&book], &beyond, Wall(AT + 32 * HOUR), &timings()).expect("the one before");
    assert!(begun < span(), "what cannot be judged is passed over");
}

#[test]
fn too_many_conversations_are_said_and_not_forgotten() {
    let mut carried = Carried { cap: 1, ..Carried::new(span(), IntervalSet::new(), &timings()) };
    assert!(carried.record("a", Wall(AT)));
    assert!(carried.record("a", Wall(AT + 1)));
    assert!(!carried.record("b", Wall(AT)));
}
