use proptest::prelude::*;

use super::*;

const Q: &str = "v2.routing.queues.q1.conversations";
const Q2: &str = "v2.routing.queues.q2.conversations";
const U: &str = "v2.users.u1.conversations";
const QUEUES: &str = "v2.routing.queues.{id}.conversations";

fn writer(n: u8) -> WriterId {
    WriterId([n; 16])
}

fn epoch(n: u8) -> EpochId {
    EpochId([n; 16])
}

fn set(n: u8) -> SetDigest {
    SetDigest([n; 16])
}

fn at(from: i64, to: i64) -> Interval {
    Interval::new(Wall(from), Wall(to))
}

fn want(from: i64) -> Want {
    Want { from: Wall(from), to: None }
}

fn wanted(topics: &[(&str, i64)]) -> Fact {
    let topics = topics.iter().map(|(topic, from)| ((*topic).to_owned(), want(*from))).collect();
    Fact::Wanted { as_of: Wall(1), topics }
}

fn begins(n: u8, digest: u8, from: i64) -> Fact {
    Fact::Epoch { epoch: epoch(n), set: set(digest), leg: n, from: Wall(from), rides: None }
}

fn claims(n: u8, from: i64, to: i64) -> Fact {
    Fact::Claim { epoch: epoch(n), interval: at(from, to) }
}

fn topics(digest: u8, topics: &[&str]) -> Fact {
    Fact::Set { set: set(digest), topics: topics.iter().map(|t| (*t).to_owned()).collect() }
}

fn ledger(facts: &[Fact]) -> ShardLedger {
    let mut ledger = ShardLedger::new();
    facts.iter().for_each(|fact| ledger.add(writer(1), fact).expect("no contradiction"));
    ledger
}

fn holes(ledger: &ShardLedger, living: &[Living], now: i64) -> Vec<(Interval, GapCause, bool)> {
    let holes = ledger.holes(living, Wall(now));
    holes.into_iter().map(|hole| (hole.interval, hole.cause, hole.grows)).collect()
}

#[test]
fn what_neither_claims_nor_living_epochs_cover_is_a_hole_from_the_last_proof_on() {
    let cause = GapCause::HalfOpen;
    let mut book = ledger(&[
        wanted(&[(Q, 100)]),
        topics(1, &[Q]),
        begins(1, 1, 100),
        claims(1, 100, 180),
        Fact::End { epoch: epoch(1), at: Wall(205), cause },
    ]);
    assert_eq!(holes(&book, &[], 210), [(at(180, 210), cause, true)], "not from its discovery on");
    book.add(writer(1), &begins(2, 1, 215)).unwrap();
    let living = Living { epoch: epoch(2), from: Wall(215) };
    assert_eq!(holes(&book, &[living], 300), [(at(180, 215), cause, false)]);
    book.add(writer(1), &claims(2, 215, 260)).unwrap();
    let living = Living { epoch: epoch(2), from: Wall(260) };
    assert_eq!(holes(&book, &[living], 300), [(at(180, 215), cause, false)]);
}

#[test]
fn an_epoch_that_nobody_ended_ended_with_its_process() {
    let book = ledger(&[wanted(&[(Q, 0)]), topics(1, &[Q]), begins(1, 1, 0), claims(1, 0, 50)]);
    assert_eq!(holes(&book, &[], 90), [(at(50, 90), GapCause::Crash, true)]);
}

#[test]
fn a_sibling_closes_the_hole_of_an_epoch_and_two_at_once_are_told_apart() {
    let book = ledger(&[
        wanted(&[(Q, 0)]),
        topics(1, &[Q]),
        begins(1, 1, 0),
        claims(1, 0, 50),
        begins(2, 1, 10),
        claims(2, 10, 100),
    ]);
    assert_eq!(holes(&book, &[], 100), []);
    let (once, twice) = book.class_coverage(QUEUES);
    assert!(once.covers(at(0, 100)) && twice.covers(at(10, 50)) && !twice.covers(at(10, 51)));
}

#[test]
fn a_doubt_takes_a_claim_back_where_no_other_covers() {
    let mut book =
        ledger(&[wanted(&[(Q, 0)]), topics(1, &[Q]), begins(1, 1, 0), claims(1, 0, 100)]);
    book.add(writer(2), &Fact::Doubt { epoch: epoch(1), interval: at(40, 60) }).unwrap();
    assert_eq!(holes(&book, &[], 100), [(at(40, 60), GapCause::Suspect, false)]);
    book.add(writer(2), &begins(2, 1, 45)).unwrap();
    book.add(writer(2), &claims(2, 45, 100)).unwrap();
    assert_eq!(holes(&book, &[], 100), [(at(40, 45), GapCause::Suspect, false)]);
}

#[test]
fn a_topic_that_appeared_late_has_a_hole_of_its_own_and_the_others_have_none() {
    let mut book = ledger(&[
        wanted(&[(Q, 0), (Q2, 70), (U, 0)]),
        topics(1, &[Q, U]),
        topics(2, &[Q2]),
        begins(1, 1, 0),
        claims(1, 0, 100),
    ]);
    let rides = Some(epoch(1));
    let added = Fact::Epoch { epoch: epoch(2), set: set(2), leg: 1, from: Wall(85), rides };
    book.add(writer(1), &added).unwrap();
    book.add(writer(1), &claims(2, 85, 100)).unwrap();
    let holes = book.holes(&[], Wall(100));
    assert_eq!(holes.len(), 1);
    assert_eq!((holes[0].interval, holes[0].cause), (at(70, 85), GapCause::LateTopic));
    assert_eq!(holes[0].topics, [Q2]);
    let (once, twice) = book.class_coverage(QUEUES);
    assert!(once.covers(at(0, 70)) && once.covers(at(85, 100)) && !once.covers(at(69, 71)));
    assert!(twice.intersect(&at(0, 100).into()).is_empty(), "riding is not hearing twice");
}

#[test]
fn an_epoch_id_that_is_used_again_is_a_contradiction() {
    let mut book = ledger(&[begins(1, 1, 0), claims(1, 0, 10)]);
    assert_eq!(book.add(writer(1), &begins(1, 1, 5)), Err(Contradiction(epoch(1))));
    assert_eq!(book.add(writer(2), &begins(1, 1, 0)), Err(Contradiction(epoch(1))));
    assert_eq!(book.add(writer(1), &claims(1, 5, 20)), Err(Contradiction(epoch(1))));
    assert_eq!(book, ledger(&[begins(1, 1, 0), claims(1, 0, 10)]));
}

#[test]
fn facts_survive_their_way_through_the_state_topic() {
    let gap = Gap {
        gap: GapId([3; 16]),
        class: QUEUES.to_owned(),
        topics: Vec::new(),
        from: Wall(1),
        to: Some(Wall(2)),
        cause: GapCause::Crash,
        recorded_at: Wall(3),
        repair: Repair::default(),
    };
    for fact in
        [wanted(&[(Q, 0)]), topics(1, &[Q]), begins(1, 1, 0), claims(1, 0, 9), Fact::Gap(gap)]
    {
        let stamped = Stamped { v: VERSION, shard: 7, writer: writer(1), fact };
        let text = serde_json::to_string(&stamped).unwrap();
        assert_eq!(serde_json::from_str::<Stamped>(&text).unwrap(), stamped, "{text}");
        assert!(stamped.key("one").starts_with("one/7/"));
    }
}

#[test]
fn two_readings_of_one_moment_are_in_one_order_whoever_told_first() {
    let gap = |reads: &[u64]| {
        let (gap, class, recorded_at) = (GapId([1; 16]), QUEUES.to_owned(), Wall(9));
        let reading = |rows: &u64| {
            let (source, digest) = (Source::Query, "d".to_owned());
            let (at, complete_to) = (Wall(8), None);
            Reading { at, source, digest, rows: *rows, written: 0, complete_to, missing: 0 }
        };
        let reads = reads.iter().map(reading).collect();
        let repair = Repair { reads, outcome: None, closed_at: None };
        let (from, to, cause) = (Wall(1), Some(Wall(5)), GapCause::Crash);
        Fact::Gap(Gap { gap, class, topics: Vec::new(), from, to, cause, recorded_at, repair })
    };
    assert_eq!(ledger(&[gap(&[7]), gap(&[3])]), ledger(&[gap(&[3]), gap(&[7])]));
    assert_eq!(ledger(&[gap(&[7, 3, 7])]), ledger(&[gap(&[3, 7]), gap(&[7])]));
}

fn any_fact() -> impl Strategy<Value = (WriterId, Fact)> {
    let interval = (0_i64..50, 1_i64..30).prop_map(|(from, len)| at(from, from + len));
    // an epoch has one beginning and its claims one start, as writers keep it
    let fact = prop_oneof![
        (1_u8..5).prop_map(|n| begins(n, n % 3, i64::from(n) * 7)),
        (1_u8..5, 1_i64..60).prop_map(|(n, len)| claims(
            n,
            i64::from(n) * 7,
            i64::from(n) * 7 + len
        )),
        (1_u8..5, interval).prop_map(|(n, interval)| Fact::Doubt { epoch: epoch(n), interval }),
        (0_u8..3).prop_map(|n| topics(n, &[Q, Q2, U][..=usize::from(n)])),
        (1_u8..5, 0_i64..90).prop_map(|(n, at)| Fact::End {
            epoch: epoch(n),
            at: Wall(at),
            cause: GapCause::Close
        }),
    ];
    fact.prop_map(|fact| (writer(1), fact))
}

proptest! {
    #[test]
    fn facts_may_come_in_any_order_and_more_than_once(
        facts in prop::collection::vec(any_fact(), 0..40), seed: u64,
    ) {
        let mut shuffled = facts.clone();
        shuffled.extend(facts.iter().take(10).cloned());
        let mut dice = crate::domain::Dice::new(seed);
        for n in (1..shuffled.len()).rev() {
            shuffled.swap(n, usize::try_from(dice.next_u64() % (n as u64 + 1)).unwrap());
        }
        let (mut a, mut b) = (ShardLedger::new(), ShardLedger::new());
        facts.iter().for_each(|(writer, fact)| a.add(*writer, fact).unwrap());
        shuffled.iter().for_each(|(writer, fact)| b.add(*writer, fact).unwrap());
        prop_assert_eq!(a, b);
    }

    #[test]
    fn more_facts_never_take_coverage_back_but_for_doubts(
        facts in prop::collection::vec(any_fact(), 0..40),
    ) {
        let mut book = ledger(&[wanted(&[(Q, 0), (Q2, 0), (U, 0)])]);
        let mut doubted = IntervalSet::new();
        for (writer, fact) in &facts {
            let before: Vec<_> = [Q, Q2, U].map(|topic| book.coverage(topic)).into();
            book.add(*writer, fact).unwrap();
            if let Fact::Doubt { interval, .. } = fact {
                doubted.insert(*interval);
            }
            for (topic, before) in [Q, Q2, U].iter().zip(before) {
                prop_assert!(before.subtract(&book.coverage(topic)).subtract(&doubted).is_empty());
            }
        }
    }
}
