//! A standby and a topic whose end is read when the test says so.

use super::*;

struct Bench {
    deferral: Deferral,
    now: Mono,
    next: u64,
}

impl Bench {
    fn new() -> Self {
        let now = Mono(0) + Duration::from_secs(100);
        Self { deferral: Deferral::new(DeferralTimings::default(), 1, now), now, next: 1 }
    }

    fn hear(&mut self, held: bool) -> u64 {
        self.deferral.kept(self.next, held, self.now);
        self.next += 1;
        self.next - 1
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
    }

    /// Half-second steps in which questions are answered at once.
    fn follow(&mut self, steps: usize) {
        for _ in 0..steps {
            if let Some(question) = self.deferral.question(self.now) {
                self.deferral.answered(question, self.now);
            }
            self.pass(500);
        }
    }

    fn writable(&self) -> u64 {
        self.deferral.writable_below(self.now)
    }
}

#[test]
fn what_is_seen_in_time_is_never_written() {
    let mut bench = Bench::new();
    bench.follow(2);
    let number = bench.hear(true);
    assert!(bench.deferral.is_held(number) && bench.deferral.oldest() == Some(number));
    bench.pass(300);
    bench.deferral.seen(number, bench.now);
    bench.follow(10);
    assert_eq!((bench.deferral.count(), bench.deferral.oldest()), (0, None));
}

#[test]
fn what_an_earlier_process_left_is_not_held_up_by_a_steady_stream() {
    let mut bench = Bench::new();
    bench.deferral = Deferral::new(DeferralTimings::default(), 8, bench.now);
    bench.next = 8;
    for _ in 0..100 {
        let number = bench.hear(true);
        bench.pass(20);
        bench.deferral.seen(number, bench.now);
        if let Some(question) = bench.deferral.question(bench.now) {
            bench.deferral.answered(question, bench.now);
        }
        bench.pass(80);
    }
    assert!(bench.writable() >= 8, "{}", bench.writable());
}

#[test]
fn what_is_not_seen_may_be_written_after_the_patience_and_not_before() {
    let mut bench = Bench::new();
    bench.follow(2);
    let (mine, held) = (bench.hear(false), bench.hear(true));
    assert!(!bench.deferral.is_held(mine));
    bench.follow(4);
    assert!(bench.writable() <= held, "two seconds are not over when the topic was read");
    bench.follow(3);
    assert!(bench.writable() > held, "nothing newer has to come");
    bench.deferral.written(held);
    assert_eq!(bench.deferral.count(), 0);
}

#[test]
fn nothing_may_be_written_while_the_topic_is_not_read_to_its_end() {
    let mut bench = Bench::new();
    bench.follow(2);
    let held = bench.hear(true);
    let question = bench.deferral.question(bench.now).expect("it asks");
    assert_eq!(bench.deferral.poll_timeout(), None, "one question at a time");
    bench.pass(60_000);
    assert!(bench.writable() <= held, "the broker is away");
    bench.deferral.answered(question, bench.now);
    assert!(
        bench.writable() <= held,
        "read up to when it was asked, before the event's time was over"
    );
    bench.follow(3);
    assert!(bench.writable() <= held, "the primary gets its time after an outage");
    bench.follow(3);
    assert!(bench.writable() > held, "and is dead if it does not use it");
}

#[test]
fn a_primary_that_works_off_an_outage_is_left_alone_but_not_for_ever() {
    let mut bench = Bench::new();
    bench.follow(2);
    let numbers: Vec<u64> = (0..200).map(|_| bench.hear(true)).collect();
    let question = bench.deferral.question(bench.now).expect("it asks");
    bench.pass(60_000);
    bench.deferral.answered(question, bench.now);
    for number in &numbers[..55] {
        assert_eq!(bench.writable(), 0, "{number}");
        bench.deferral.seen(*number, bench.now);
        bench.follow(1);
    }
    for number in &numbers[55..] {
        bench.deferral.seen(*number, bench.now);
        bench.follow(1);
        if bench.writable() > 0 {
            return; // thirty seconds after the outage
        }
    }
    panic!("a primary that is slow for ever was waited for");
}

#[test]
fn what_an_earlier_process_left_is_writable_after_the_patience() {
    let mut bench = Bench::new();
    bench.follow(3);
    assert_eq!(bench.writable(), 0);
    bench.follow(4);
    assert!(bench.writable() >= 1);
}
