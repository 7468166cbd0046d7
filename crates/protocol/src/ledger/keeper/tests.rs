use super::*;
use crate::domain::{GapCause, Leg};

const Q: &str = "v2.routing.queues.q1.conversations";
const Q2: &str = "v2.routing.queues.q2.conversations";
const S: i64 = 1_000;

struct Bench {
    keeper: Keeper,
    written: Vec<Stamped>,
    now: i64,
}

fn epoch(n: u8) -> EpochId {
    EpochId([n; 16])
}

fn leg(ordinal: u8) -> Leg {
    Leg { shard: 0, ordinal }
}

fn topics(topics: &[&str]) -> BTreeSet<String> {
    topics.iter().map(|topic| (*topic).to_owned()).collect()
}

impl Bench {
    fn of(writer: u8) -> Self {
        let keeper = Keeper::new(WriterId([writer; 16]), Timings::default());
        Self { keeper, written: Vec::new(), now: 0 }
    }

    /// Topics are wanted and one socket covers them since 5 s.
    fn covered() -> Self {
        let mut bench = Self::of(1);
        bench.tell(0, News::Wanted { shards: vec![topics(&[Q])], looked_before: None });
        bench.begin(0, 1, &[Q], None);
        bench
    }

    fn begin(&mut self, now: i64, n: u8, over: &[&str], rides: Option<u8>) {
        let rides = rides.map(epoch);
        let epoch = epoch(n);
        let at = Wall(now);
        let topics = topics(over);
        self.tell(now, News::Begun { epoch, leg: leg(n % 2), topics, at, rides });
    }

    fn tell(&mut self, now: i64, news: News) {
        self.run(now);
        self.keeper.handle(news, Wall(now));
        self.drain();
    }

    /// Lets time pass, a look at a time.
    fn run(&mut self, until: i64) {
        while let Some(due) = self.keeper.poll_timeout().filter(|due| due.0 <= until) {
            self.now = self.now.max(due.0);
            self.keeper.handle_timeout(Wall(self.now));
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(action) = self.keeper.poll() {
            match action {
                Action::Write(stamped) => self.written.push(stamped),
                Action::Contradiction(epoch) => panic!("{epoch} was used twice"),
            }
        }
    }

    fn claims(&self) -> Vec<(u8, i64, i64)> {
        let claim = |stamped: &Stamped| match &stamped.fact {
            Fact::Replica { .. } => None,
            Fact::Claim { epoch, interval } => Some((epoch.0[0], interval.from.0, interval.to.0)),
            Fact::Set { .. }
            | Fact::Epoch { .. }
            | Fact::End { .. }
            | Fact::Doubt { .. }
            | Fact::Late { .. }
            | Fact::Wanted { .. }
            | Fact::Gap(_)
            | Fact::Written { .. }
            | Fact::Audit(_) => None,
        };
        self.written.iter().filter_map(claim).collect()
    }

    fn gaps(&self) -> Vec<Gap> {
        self.keeper.shards().values().flat_map(|ledger| ledger.gaps().values().cloned()).collect()
    }
}

#[test]
fn a_process_that_takes_anothers_place_knows_its_crash_at_once() {
    let mut dead = Bench::of(1);
    dead.keeper.introduce("a", Wall(0));
    dead.tell(0, News::Wanted { shards: vec![topics(&[Q])], looked_before: None });
    dead.begin(0, 1, &[Q], None);
    dead.tell(60 * S, News::Moved { epoch: epoch(1), to: Wall(60 * S) });
    for (name, gaps) in [("a", 1), ("b", 0)] {
        let mut next = Bench::of(2);
        dead.written.iter().for_each(|stamped| next.keeper.read(stamped, Wall(65 * S)));
        next.keeper.introduce(name, Wall(65 * S));
        next.run(90 * S);
        let shard = next.keeper.shards().get(&0).expect("a shard");
        assert_eq!(shard.gaps().len(), gaps, "as replica {name}");
    }
}

#[test]
fn coverage_begins_with_a_margin_after_the_socket_and_activates_the_topic() {
    let mut bench = Bench::covered();
    bench.tell(10 * S, News::Moved { epoch: epoch(1), to: Wall(4 * S) });
    assert_eq!(bench.claims(), [], "the watermark lies before the start");
    assert_eq!(bench.keeper.watermark(0), None);
    bench.tell(20 * S, News::Moved { epoch: epoch(1), to: Wall(10 * S) });
    assert_eq!(bench.claims(), [(1, 5 * S, 10 * S)]);
    assert_eq!(bench.keeper.watermark(0), Some(Wall(10 * S)));
    bench.run(60 * S);
    assert_eq!(bench.gaps(), [], "what was never promised before is no gap");
}

#[test]
fn a_claim_follows_within_five_seconds_and_at_once_at_the_end() {
    let mut bench = Bench::covered();
    let moved = |to| News::Moved { epoch: epoch(1), to: Wall(to) };
    bench.tell(20 * S, moved(10 * S));
    bench.tell(21 * S, moved(20 * S));
    assert_eq!(bench.claims().len(), 1);
    bench.run(25 * S);
    assert_eq!(bench.claims().last(), Some(&(1, 5 * S, 20 * S)));
    bench.tell(26 * S, moved(24 * S));
    bench.tell(26 * S, News::Ended { epoch: epoch(1), reason: EndReason::Reset });
    assert_eq!(bench.claims().last(), Some(&(1, 5 * S, 24 * S)));
    bench.tell(27 * S, moved(25 * S));
    assert_eq!(bench.claims().last(), Some(&(1, 5 * S, 25 * S)), "late acknowledgements count");
}

#[test]
fn a_lost_socket_is_a_gap_from_its_watermark_to_the_next_coverage() {
    let mut bench = Bench::covered();
    bench.tell(30 * S, News::Moved { epoch: epoch(1), to: Wall(20 * S) });
    bench.tell(40 * S, News::Ended { epoch: epoch(1), reason: EndReason::HalfOpen });
    bench.tell(40 * S, News::Settled { epoch: epoch(1) });
    bench.run(59 * S);
    assert_eq!(bench.gaps(), [], "late acknowledgements may still close it");
    bench.run(70 * S);
    let gaps = bench.gaps();
    assert_eq!((gaps[0].from, gaps[0].to, gaps[0].cause), (Wall(20 * S), None, GapCause::HalfOpen));
    assert!(gaps[0].recorded_at <= Wall(70 * S));
    bench.begin(90 * S, 2, &[Q], None);
    bench.tell(110 * S, News::Moved { epoch: epoch(2), to: Wall(100 * S) });
    bench.run(130 * S);
    let gaps = bench.gaps();
    assert_eq!((gaps.len(), gaps[0].from, gaps[0].to), (1, Wall(20 * S), Some(Wall(95 * S))));
}

#[test]
fn a_socket_whose_end_is_told_before_its_beginning_hears_nothing() {
    let mut bench = Bench::of(1);
    bench.tell(0, News::Wanted { shards: vec![topics(&[Q])], looked_before: None });
    bench.tell(S, News::Ended { epoch: epoch(1), reason: EndReason::Close1001 });
    bench.tell(S, News::Settled { epoch: epoch(1) });
    bench.begin(S, 1, &[Q], None);
    assert_eq!(bench.keeper.living(0, Wall(2 * S)), []);
    bench.run(60 * S);
    let gaps = bench.gaps();
    assert_eq!((gaps.len(), gaps[0].from, gaps[0].to), (1, Wall(6 * S), None));
    assert_eq!(gaps[0].cause, GapCause::Close);
    bench.begin(70 * S, 2, &[Q], None);
    bench.tell(90 * S, News::Moved { epoch: epoch(2), to: Wall(80 * S) });
    bench.run(95 * S);
    assert_eq!(bench.gaps()[0].to, Some(Wall(75 * S)));
}

#[test]
fn acknowledgements_that_come_late_close_a_gap_as_covered() {
    let mut bench = Bench::covered();
    bench.begin(S, 2, &[Q], None);
    bench.tell(30 * S, News::Moved { epoch: epoch(1), to: Wall(20 * S) });
    for n in [1, 2] {
        bench.tell(40 * S, News::Ended { epoch: epoch(n), reason: EndReason::Reset });
    }
    bench.begin(50 * S, 3, &[Q], None);
    bench.run(80 * S);
    let open = bench.gaps();
    assert_eq!((open[0].from, open[0].to), (Wall(20 * S), Some(Wall(55 * S))));
    bench.tell(85 * S, News::Moved { epoch: epoch(2), to: Wall(38 * S) });
    bench.run(90 * S);
    assert_eq!(bench.gaps()[0].from, Wall(38 * S), "narrower, under the same name");
    assert_eq!(bench.gaps()[0].gap, open[0].gap);
}

#[test]
fn a_new_process_finds_the_gap_since_the_old_ones_last_claim() {
    let mut old = Bench::covered();
    old.tell(30 * S, News::Moved { epoch: epoch(1), to: Wall(20 * S) });
    let mut new = Bench::of(2);
    old.written.iter().for_each(|stamped| new.keeper.read(stamped, Wall(600 * S)));
    assert_eq!(new.keeper.plan(), [topics(&[Q])]);
    new.tell(600 * S, News::Wanted { shards: vec![topics(&[Q])], looked_before: None });
    new.begin(601 * S, 2, &[Q], None);
    new.run(630 * S);
    let gaps = new.gaps();
    assert_eq!((gaps.len(), gaps[0].cause), (1, GapCause::Crash));
    assert_eq!((gaps[0].from, gaps[0].to), (Wall(20 * S), Some(Wall(606 * S))));
}

#[test]
fn a_peer_that_claims_covers_and_one_that_fell_silent_does_not() {
    let mut peer = Bench::covered();
    peer.tell(30 * S, News::Moved { epoch: epoch(1), to: Wall(25 * S) });
    let mut bench = Bench::of(2);
    peer.written.iter().for_each(|stamped| bench.keeper.read(stamped, Wall(31 * S)));
    bench.run(50 * S);
    assert_eq!(bench.gaps(), []);
    bench.run(120 * S);
    assert_eq!(bench.gaps()[0].from, Wall(25 * S), "from its last proof on");
}

#[test]
fn a_topic_that_appeared_between_two_looks_has_a_gap_of_its_own() {
    let mut bench = Bench::covered();
    bench.tell(60 * S, News::Moved { epoch: epoch(1), to: Wall(50 * S) });
    let shards = vec![topics(&[Q, Q2])];
    bench.tell(60 * S, News::Wanted { shards, looked_before: Some(Wall(30 * S)) });
    bench.begin(62 * S, 2, &[Q2], Some(1));
    bench.tell(80 * S, News::Moved { epoch: epoch(1), to: Wall(70 * S) });
    bench.run(100 * S);
    let gaps = bench.gaps();
    assert_eq!((gaps.len(), gaps[0].cause), (1, GapCause::LateTopic));
    assert_eq!((gaps[0].from, gaps[0].to), (Wall(30 * S), Some(Wall(67 * S))));
    assert_eq!(gaps[0].topics, [Q2]);
    assert!(bench.claims().contains(&(2, 67 * S, 70 * S)), "it rides on the socket's watermark");
}

#[test]
fn a_topic_that_is_not_wanted_any_more_holds_nothing_back() {
    let mut bench = Bench::covered();
    bench.tell(30 * S, News::Moved { epoch: epoch(1), to: Wall(25 * S) });
    bench.tell(30 * S, News::Wanted { shards: vec![BTreeSet::new()], looked_before: None });
    bench.tell(40 * S, News::Moved { epoch: epoch(1), to: Wall(35 * S) });
    bench.tell(41 * S, News::Ended { epoch: epoch(1), reason: EndReason::Rotation });
    bench.run(200 * S);
    assert_eq!(bench.gaps(), []);
}

#[test]
fn what_history_said_is_kept_with_the_gap() {
    let mut bench = Bench::covered();
    bench.tell(30 * S, News::Moved { epoch: epoch(1), to: Wall(20 * S) });
    bench.tell(40 * S, News::Ended { epoch: epoch(1), reason: EndReason::Reset });
    bench.begin(90 * S, 2, &[Q], None);
    bench.run(130 * S);
    let gap = bench.gaps()[0].gap;
    let reading = Reading {
        source: crate::ledger::Source::Query,
        at: Wall(400 * S),
        digest: "d".to_owned(),
        rows: 2,
        written: 2,
        complete_to: None,
        missing: 0,
    };
    bench.tell(400 * S, News::Read { shard: 0, gap, reading });
    let outcome = Outcome::Reconciled;
    bench.tell(500 * S, News::Closed { shard: 0, gap, outcome });
    bench.run(600 * S);
    let gaps = bench.gaps();
    assert_eq!(gaps.len(), 1, "a repaired hole is no new gap");
    assert_eq!((gaps[0].repair.reads.len(), gaps[0].repair.outcome), (1, Some(outcome)));
    assert_eq!(gaps[0].repair.closed_at, Some(Wall(500 * S)));
}

/// A gap with this interval that history closed.
fn repaired(bench: &mut Bench, now: i64, outcome: Outcome) -> Gap {
    let gap = bench.gaps().into_iter().find(|gap| gap.repair.outcome.is_none()).expect("a gap");
    bench.tell(now, News::Closed { shard: 0, gap: gap.gap, outcome });
    bench.gaps().into_iter().find(|known| known.gap == gap.gap).expect("it is known")
}

#[test]
fn a_hole_that_goes_on_behind_a_repaired_gap_is_a_gap_of_its_own() {
    let mut bench = Bench::covered();
    bench.tell(60 * S, News::Moved { epoch: epoch(1), to: Wall(60 * S) });
    bench.tell(70 * S, News::Ended { epoch: epoch(1), reason: EndReason::Reset });
    bench.begin(80 * S, 2, &[Q], None);
    bench.run(120 * S);
    let first = repaired(&mut bench, 130 * S, Outcome::Reconciled);
    assert_eq!((first.from, first.to), (Wall(60 * S), Some(Wall(85 * S))));
    // what the second socket heard was never claimed, and it ends as well
    bench.tell(140 * S, News::Ended { epoch: epoch(2), reason: EndReason::Reset });
    bench.begin(150 * S, 3, &[Q], None);
    bench.run(200 * S);
    let gaps = bench.gaps();
    let open: Vec<&Gap> = gaps.iter().filter(|gap| gap.repair.outcome.is_none()).collect();
    assert_eq!(open.len(), 1, "{gaps:?}");
    assert_eq!((open[0].from, open[0].to), (Wall(85 * S), Some(Wall(155 * S))));
    let known = gaps.iter().find(|gap| gap.gap == first.gap).expect("the first one");
    assert_eq!(known, &first, "closures only grow");
}

#[test]
fn a_repaired_gap_of_one_class_hides_no_hole_of_another() {
    const U: &str = "v2.users.u1.conversations";
    let mut bench = Bench::of(1);
    bench.tell(0, News::Wanted { shards: vec![topics(&[Q, U])], looked_before: None });
    bench.begin(0, 1, &[Q, U], None);
    bench.tell(60 * S, News::Moved { epoch: epoch(1), to: Wall(60 * S) });
    bench.tell(70 * S, News::Ended { epoch: epoch(1), reason: EndReason::Reset });
    bench.begin(80 * S, 2, &[Q, U], None);
    bench.run(120 * S);
    let closed = repaired(&mut bench, 130 * S, Outcome::Reconciled);
    bench.run(200 * S);
    let open = bench.gaps().into_iter().filter(|gap| gap.repair.outcome.is_none());
    let classes: Vec<String> = open.map(|gap| gap.class).collect();
    assert_eq!(classes.len(), 1);
    assert_ne!(classes[0], closed.class);
}

#[test]
fn coverage_that_is_doubted_after_it_closed_a_gap_opens_another_one() {
    let mut bench = Bench::covered();
    bench.tell(60 * S, News::Moved { epoch: epoch(1), to: Wall(60 * S) });
    bench.tell(70 * S, News::Ended { epoch: epoch(1), reason: EndReason::Reset });
    bench.begin(80 * S, 2, &[Q], None);
    bench.run(120 * S);
    bench.tell(125 * S, News::Moved { epoch: epoch(1), to: Wall(90 * S) });
    bench.run(150 * S);
    let outcomes: Vec<_> = bench.gaps().iter().map(|gap| gap.repair.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Covered)], "late acknowledgements covered it");
    let interval = Interval::new(Wall(60 * S), Wall(i64::MAX));
    bench.tell(151 * S, News::Doubted { shard: 0, epoch: epoch(1), interval });
    bench.run(200 * S);
    let open: Vec<Gap> =
        bench.gaps().into_iter().filter(|gap| gap.repair.outcome.is_none()).collect();
    assert_eq!(open.len(), 1, "{:?}", bench.gaps());
    assert!(open[0].from <= Wall(60 * S) && open[0].to == Some(Wall(85 * S)), "{open:?}");
}

#[test]
fn a_past_that_somebody_asked_about_is_neither_closed_nor_taken_for_a_hole() {
    let mut bench = Bench::of(1);
    bench.tell(0, News::Wanted { shards: vec![topics(&[Q])], looked_before: Some(Wall(0)) });
    let past = Gap {
        gap: GapId([9; 16]),
        class: crate::topic::class_of(Q),
        topics: Vec::new(),
        from: Wall(-500 * S),
        to: Some(Wall(0)),
        cause: GapCause::BeforeActivation,
        recorded_at: Wall(S),
        repair: Repair::default(),
    };
    let fact = Fact::Gap(past.clone());
    let stamped = Stamped { v: VERSION, shard: 0, writer: WriterId([2; 16]), fact };
    bench.keeper.read(&stamped, Wall(S));
    // nothing hears from the start on: a hole of its own, that begins where the past ends
    bench.run(60 * S);
    let gaps = bench.gaps();
    assert_eq!(gaps.len(), 2);
    assert!(gaps.contains(&past), "{gaps:?}");
    bench.begin(70 * S, 1, &[Q], None);
    bench.run(200 * S);
    let (old, new): (Vec<Gap>, Vec<Gap>) = bench.gaps().into_iter().partition(|gap| *gap == past);
    assert_eq!((old.len(), new.len()), (1, 1));
    assert_eq!((new[0].from, new[0].to), (Wall(0), Some(Wall(75 * S))));
    let unfinished = bench.keeper.unfinished(Wall(200 * S));
    assert!(unfinished.iter().all(|known| known.gap.gap != past.gap), "others read it");
}
