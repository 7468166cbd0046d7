use std::time::Duration;

use super::*;

const VISIBILITY: Duration = Duration::from_secs(120);
const LIMITS: Limits = Limits { in_flight: 25, receivers: 2, visibility: VISIBILITY };

fn at(secs: u64) -> Mono {
    Mono(0) + Duration::from_secs(secs)
}

fn message(name: u64, handle: &str) -> Received {
    Received {
        message: format!("m{name}"),
        handle: handle.to_owned(),
        sent: Wall(i64::try_from(name).unwrap()),
    }
}

/// A queue that holds so many, received at 0.
fn holding(count: u64) -> Queue {
    let mut queue = Queue::new(LIMITS);
    for name in 1..=count {
        assert_eq!(queue.received(message(name, &format!("h{name}")), at(0)), Some(name));
    }
    queue.stop();
    queue
}

fn numbers(action: Option<Action>) -> Vec<u64> {
    match action {
        Some(Action::Delete(entries) | Action::Extend(entries)) => {
            entries.iter().map(|entry| entry.number).collect()
        }
        Some(Action::Receive(_)) | None => Vec::new(),
    }
}

#[test]
fn no_more_is_asked_for_than_there_is_room_for() {
    let mut queue = Queue::new(LIMITS);
    assert_eq!(queue.poll(at(0)), Some(Action::Receive(10)));
    assert_eq!(queue.poll(at(0)), Some(Action::Receive(10)));
    assert_eq!(queue.poll(at(0)), None, "two requests at once");
    queue.answered(10, true, at(1));
    assert_eq!(queue.poll(at(1)), Some(Action::Receive(10)));
    queue.answered(10, true, at(1));
    queue.answered(10, true, at(1));
    for name in 1..=22 {
        queue.received(message(name, "h"), at(1));
    }
    assert_eq!(queue.poll(at(1)), Some(Action::Receive(3)));
    assert_eq!(queue.poll(at(1)), None, "25 are held and asked for");
    queue.stop();
    queue.answered(3, true, at(1));
    assert_eq!(queue.poll(at(1)), None, "stopped");
}

#[test]
fn a_request_that_failed_is_not_repeated_at_once() {
    let mut queue = Queue::new(LIMITS);
    assert_eq!(queue.poll(at(0)), Some(Action::Receive(10)));
    queue.answered(10, false, at(1));
    assert_eq!(queue.poll(at(5)), None);
    assert_eq!(queue.poll_timeout(at(5)), Some(at(6)));
    assert_eq!(queue.poll(at(6)), Some(Action::Receive(10)));
}

#[test]
fn nothing_is_deleted_before_it_is_durable() {
    let mut queue = holding(3);
    assert_eq!(queue.poll(at(59)), None);
    queue.durable(2, at(10));
    assert_eq!(queue.durable_below(), 1);
    assert_eq!(queue.poll(at(10)), None, "it waits for company");
    assert_eq!(numbers(queue.poll(at(11))), [2]);
    assert_eq!(queue.poll(at(11)), None, "under way once");
    queue.deleted(2);
    assert_eq!((queue.held(), queue.oldest()), (2, Some(Wall(1))));
    queue.durable(1, at(12));
    assert_eq!(queue.durable_below(), 3);
}

#[test]
fn ten_that_are_durable_wait_for_nobody() {
    let mut queue = holding(12);
    (1..=12).for_each(|number| queue.durable(number, at(10)));
    assert_eq!(numbers(queue.poll(at(10))), (1..=10).collect::<Vec<_>>());
    assert_eq!(queue.poll(at(10)), None);
    assert_eq!(numbers(queue.poll(at(11))), [11, 12]);
}

#[test]
fn what_kafka_does_not_take_stays_hidden_for_as_long_as_it_lasts() {
    let mut queue = holding(2);
    for round in 1..100 {
        let due = at(60 * round);
        assert_eq!(queue.poll_timeout(at(0)), Some(due), "round {round}");
        assert_eq!(numbers(queue.poll(due)), [1, 2]);
        assert_eq!(queue.poll(due), None);
        [1, 2].iter().for_each(|number| queue.extended(*number, due));
    }
    queue.not_extended(1, at(5_941));
    assert_eq!(queue.unwritten().len(), 2);
}

#[test]
fn what_was_not_extended_is_tried_again_and_still_deleted_only_once_durable() {
    let mut queue = holding(1);
    assert_eq!(numbers(queue.poll(at(60))), [1]);
    queue.not_extended(1, at(61));
    assert_eq!(queue.poll(at(65)), None);
    assert!(matches!(queue.poll(at(66)), Some(Action::Extend(_))));
    queue.extended(1, at(66));
    queue.durable(1, at(67));
    assert!(matches!(queue.poll(at(68)), Some(Action::Delete(_))));
}

#[test]
fn a_message_that_comes_again_while_it_is_held_keeps_its_number_and_gets_the_newer_handle() {
    let mut queue = holding(1);
    assert_eq!(queue.received(message(1, "newer"), at(130)), None);
    assert_eq!(queue.held(), 1);
    queue.durable(1, at(131));
    let entry = Entry { number: 1, handle: "newer".to_owned() };
    assert_eq!(queue.poll(at(132)), Some(Action::Delete(vec![entry])));
}

#[test]
fn a_deletion_that_was_refused_is_tried_again_and_a_stale_one_is_forgotten() {
    let mut queue = holding(2);
    [1, 2].iter().for_each(|number| queue.durable(*number, at(10)));
    assert_eq!(numbers(queue.poll(at(11))), [1, 2]);
    queue.not_deleted(1, Refusal::Passing, at(11));
    queue.not_deleted(2, Refusal::Stale, at(11));
    assert_eq!(queue.held(), 1);
    assert_eq!(queue.poll(at(15)), None);
    assert_eq!(numbers(queue.poll(at(16))), [1]);
    // it comes again under another number, for which what it says is known
    assert_eq!(queue.received(message(2, "h"), at(140)), Some(3));
    queue.copy(3, 2, at(140));
    assert_eq!(numbers(queue.poll(at(141))), [3]);
}

#[test]
fn a_copy_waits_for_the_message_that_was_kept() {
    let mut queue = holding(3);
    queue.copy(2, 1, at(1));
    queue.copy(3, 2, at(1));
    assert_eq!(queue.poll(at(20)), None, "nothing is durable");
    queue.durable(1, at(20));
    assert_eq!(numbers(queue.poll(at(21))), [1, 2, 3]);
}
