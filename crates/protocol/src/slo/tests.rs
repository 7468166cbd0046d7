use super::*;
use crate::domain::{EpochId, SetDigest, WriterId};
use crate::ledger::{Fact, Gap, Repair, Want};

const Q: &str = "v2.routing.queues.q1.conversations";
const U: &str = "v2.users.u1.conversations";
const S: i64 = 1_000;
/// Facts are settled after so long.
const SETTLES: i64 = 25 * S;

fn add(ledger: &mut ShardLedger, fact: &Fact) {
    ledger.add(WriterId([1; 16]), fact).expect("no contradiction");
}

/// Two classes of one topic each, wanted and heard by one epoch from 100 s on.
fn heard(to: i64) -> ShardLedger {
    let mut ledger = ShardLedger::new();
    let from = Wall(100 * S);
    let want = |topic: &str| (topic.to_owned(), Want { from, to: None });
    let set = SetDigest([1; 16]);
    add(&mut ledger, &Fact::Wanted { as_of: from, topics: [want(Q), want(U)].into() });
    add(&mut ledger, &Fact::Set { set, topics: vec![Q.to_owned(), U.to_owned()] });
    epoch(&mut ledger, 1, 100, to);
    ledger
}

fn epoch(ledger: &mut ShardLedger, n: u8, from: i64, to: i64) {
    let (epoch, set) = (EpochId([n; 16]), SetDigest([1; 16]));
    add(ledger, &Fact::Epoch { epoch, set, leg: 0, from: Wall(from * S), rides: None });
    claim(ledger, n, from, to);
}

fn claim(ledger: &mut ShardLedger, n: u8, from: i64, to: i64) {
    let interval = Interval::new(Wall(from * S), Wall(to * S));
    add(ledger, &Fact::Claim { epoch: EpochId([n; 16]), interval });
}

fn gap(
    ledger: &mut ShardLedger,
    topic: &str,
    from: i64,
    to: Option<i64>,
    outcome: Option<Outcome>,
) {
    let class = crate::topic::class_of(topic);
    add(
        ledger,
        &Fact::Gap(Gap {
            gap: crate::ledger::gap_id(0, &class, Wall(from * S)),
            class,
            topics: Vec::new(),
            from: Wall(from * S),
            to: to.map(|to| Wall(to * S)),
            cause: GapCause::Crash,
            recorded_at: Wall(from * S),
            repair: Repair {
                outcome,
                closed_at: outcome.map(|_| Wall(900 * S)),
                ..Repair::default()
            },
        }),
    );
}

/// Looks when what was then is settled; seconds of wanted, live, closed, repaired.
fn look(levels: &mut Levels, ledger: &ShardLedger, then: i64, in_charge: bool) -> [u64; 4] {
    let found = levels.look(ledger, Wall(then * S + SETTLES), in_charge, &Timings::default());
    [found.wanted, found.live, found.closed, found.repaired].map(|span| span.as_secs())
}

#[test]
fn an_instant_counts_once_when_it_is_certain_and_settled_however_many_classes_are_wanted() {
    let (mut ledger, mut levels) = (heard(200), Levels::default());
    assert_eq!(
        look(&mut levels, &ledger, 150, true),
        [0; 4],
        "what lies behind it at the start is not its own"
    );
    assert_eq!(look(&mut levels, &ledger, 190, true), [40, 40, 0, 0]);
    assert_eq!(look(&mut levels, &ledger, 230, true), [10, 10, 0, 0], "claims reach no further");
    assert_eq!(look(&mut levels, &ledger, 240, true), [0; 4]);
    claim(&mut ledger, 1, 100, 300);
    assert_eq!(look(&mut levels, &ledger, 250, true), [50, 50, 0, 0]);
}

#[test]
fn a_gap_counts_while_it_grows_and_its_length_when_it_is_closed() {
    let (mut ledger, mut levels) = (heard(200), Levels::default());
    look(&mut levels, &ledger, 200, true);
    gap(&mut ledger, Q, 200, None, None);
    assert_eq!(look(&mut levels, &ledger, 220, true), [0; 4], "of the other class nobody knows");
    gap(&mut ledger, U, 200, None, None);
    assert_eq!(look(&mut levels, &ledger, 230, true), [30, 0, 0, 0]);
    gap(&mut ledger, Q, 200, Some(260), None);
    gap(&mut ledger, U, 200, Some(260), None);
    epoch(&mut ledger, 2, 260, 400);
    assert_eq!(look(&mut levels, &ledger, 300, true), [70, 40, 0, 0]);
    gap(&mut ledger, Q, 200, Some(260), Some(Outcome::Reconciled));
    gap(&mut ledger, U, 200, Some(260), Some(Outcome::LostDeclared));
    assert_eq!(look(&mut levels, &ledger, 300, true), [0, 0, 120, 60]);
    assert_eq!(look(&mut levels, &ledger, 300, true), [0; 4]);
}

#[test]
fn a_hole_that_nobody_has_recorded_yet_is_waited_for() {
    let (mut ledger, mut levels) = (heard(200), Levels::default());
    look(&mut levels, &ledger, 150, true);
    epoch(&mut ledger, 2, 230, 400);
    assert_eq!(look(&mut levels, &ledger, 300, true), [50, 50, 0, 0]);
    gap(&mut ledger, Q, 200, Some(230), None);
    gap(&mut ledger, U, 200, Some(230), None);
    assert_eq!(look(&mut levels, &ledger, 300, true), [100, 70, 0, 0]);
}

#[test]
fn a_class_that_lacks_proof_makes_the_instant_bare() {
    let (mut ledger, mut levels) = (heard(300), Levels::default());
    look(&mut levels, &ledger, 150, true);
    let doubt = Interval::new(Wall(200 * S), Wall(210 * S));
    add(&mut ledger, &Fact::Doubt { epoch: EpochId([1; 16]), interval: doubt });
    gap(&mut ledger, Q, 200, Some(210), None);
    gap(&mut ledger, U, 200, Some(210), None);
    assert_eq!(look(&mut levels, &ledger, 300, true), [150, 140, 0, 0]);
}

#[test]
fn over_a_restart_nothing_counts_twice_and_the_gap_it_left_counts() {
    let (mut ledger, mut dead) = (heard(200), Levels::default());
    look(&mut dead, &ledger, 120, true);
    let before = look(&mut dead, &ledger, 180, true);
    assert_eq!(before, [60, 60, 0, 0]);
    // it dies at 200 s; the next one starts half a minute later
    let mut next = Levels::default();
    assert_eq!(look(&mut next, &ledger, 205, true), [0; 4]);
    for topic in [Q, U] {
        gap(&mut ledger, topic, 200, Some(235), None);
    }
    epoch(&mut ledger, 2, 235, 400);
    assert_eq!(look(&mut next, &ledger, 300, true), [100, 65, 0, 0]);
}

#[test]
fn of_two_replicas_one_counts_and_whoever_takes_over_counts_from_there_on() {
    let (ledger, mut first, mut second) = (heard(900), Levels::default(), Levels::default());
    let mut sum = [0; 4];
    for then in (110..=500).step_by(10) {
        // the first one dies at 300 s, the second one notices at 320 s
        if then <= 300 {
            sum = add_up(sum, look(&mut first, &ledger, then, true));
        }
        sum = add_up(sum, look(&mut second, &ledger, then + 3, then > 320));
    }
    // 110 to 300 by the first one, 333 to 503 by the second
    assert_eq!(sum, [190 + 170, 190 + 170, 0, 0]);
}

#[test]
fn a_gap_that_was_closed_before_the_first_look_or_before_activation_is_nobodys() {
    let (mut ledger, mut levels) = (heard(400), Levels::default());
    gap(&mut ledger, Q, 120, Some(130), Some(Outcome::Reconciled));
    look(&mut levels, &ledger, 200, true);
    assert_eq!(look(&mut levels, &ledger, 210, true), [10, 10, 0, 0]);
    let class = crate::topic::class_of(Q);
    let (from, to, cause) = (Wall(0), Some(Wall(100 * S)), GapCause::BeforeActivation);
    let repair = Repair { outcome: Some(Outcome::Reconciled), ..Repair::default() };
    let (gap, topics) = (crate::ledger::gap_id(0, &class, from), Vec::new());
    add(
        &mut ledger,
        &Fact::Gap(Gap { gap, class, topics, from, to, cause, recorded_at: from, repair }),
    );
    assert_eq!(look(&mut levels, &ledger, 220, true), [10, 10, 0, 0]);
}

#[test]
fn while_nothing_is_wanted_nothing_counts() {
    let (mut levels, nothing) = (Levels::default(), ShardLedger::new());
    assert_eq!(look(&mut levels, &nothing, 50, true), [0; 4]);
    let ledger = heard(400);
    assert_eq!(look(&mut levels, &ledger, 100, true), [0; 4]);
    assert_eq!(look(&mut levels, &ledger, 150, true), [50, 50, 0, 0]);
}

fn add_up(sum: [u64; 4], more: [u64; 4]) -> [u64; 4] {
    std::array::from_fn(|nth| sum[nth] + more[nth])
}
