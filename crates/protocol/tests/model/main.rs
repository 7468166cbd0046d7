//! Exhaustive search: no interleaving of faults loses an event without a gap, and every shortcut that
//! looks harmless does.
//!
//! Three small worlds. What decides in them is the product's: intervals, journal, watermark, window of
//! ids, ledger, rules of gaps. Time is the number of the event. What is ours is the world around
//! them: sockets that hear or do not, a log, a history.
//!
//! A counterexample is any path, not the shortest: none is asserted to have a length.

#![allow(clippy::print_stdout, reason = "what was searched is the result")]

mod deaf;
mod replicas;

use std::collections::BTreeMap;

use stateright::{Checker, HasDiscoveries, Model};

use deaf::{Cut, Deaf};
use replicas::{Mutant, Replicas};

/// Searches everything; panics on a violated rule. Prints and returns how many states there are.
fn prove<M>(name: &str, model: M) -> usize
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Clone + PartialEq + Send + Sync,
    M::Action: std::fmt::Debug + Clone + PartialEq + Send + Sync,
{
    let checker = model.checker().threads(2).spawn_bfs().join();
    let states = checker.unique_state_count();
    println!("{name}: {states} states, every rule holds");
    checker.assert_properties();
    states
}

/// Searches until a rule is violated, and says whether one was.
fn refute<M>(name: &str, model: M) -> bool
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Clone + PartialEq + Send + Sync,
    M::Action: std::fmt::Debug + Clone + PartialEq + Send + Sync,
{
    let checker =
        model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found: BTreeMap<_, _> = checker.discoveries().into_iter().collect();
    let wrong = found.iter().find(|(rule, _)| **rule != "everything can be proven");
    if let Some((rule, path)) = wrong {
        let steps: Vec<_> = path.clone().into_actions();
        let states = checker.unique_state_count();
        println!("{name}: refuted after {states} states; not {rule:?}: {steps:?}");
    }
    wrong.is_some()
}

#[test]
fn two_processes_lose_nothing_that_they_claim() {
    let states = prove("two processes, four events, four faults", Replicas::first());
    assert!(states > 300_000, "{states} states: the world has become smaller");
}

#[test]
fn late_history_lasting_errors_and_a_deferred_standby_change_nothing() {
    let states = prove("late history, deferred standby", Replicas::second());
    assert!(states > 100_000, "{states} states: the world has become smaller");
}

#[test]
fn a_claim_of_what_was_merely_received_loses_events() {
    assert!(refute("claim before ack", Replicas::first().with(Mutant::ClaimReceived)));
}

#[test]
fn a_gap_that_begins_when_it_is_noticed_loses_events() {
    assert!(refute("gap from detection", Replicas::first().with(Mutant::GapFromDetection)));
}

#[test]
fn a_claim_because_the_peer_has_it_loses_events() {
    assert!(refute("my peer has it", Replicas::first().with(Mutant::PeerHasIt)));
}

#[test]
fn a_gap_closed_on_the_first_empty_reading_loses_events() {
    assert!(refute("first empty reading", Replicas::second().with(Mutant::FirstEmptyReading)));
}

#[test]
fn a_second_copy_dropped_without_its_obligation_loses_events() {
    assert!(refute("no obligation", Replicas::second().with(Mutant::NoObligation)));
}

#[test]
fn a_deaf_socket_is_believed_only_until_it_is_compared() {
    let states = prove("one process, a deaf socket, doubts", Deaf::new());
    assert!(states > 50_000, "{states} states: the world has become smaller");
}

#[test]
fn a_doubt_that_begins_when_the_deaf_socket_is_noticed_leaves_a_false_claim() {
    assert!(refute("doubt from detection", Deaf::new().with(Cut::DoubtFromDetection)));
}

#[test]
fn a_doubted_epoch_that_goes_on_claiming_claims_what_it_did_not_hear() {
    assert!(refute("doubted and not ended", Deaf::new().with(Cut::NotEnded)));
}

#[test]
fn a_doubt_that_a_later_claim_overrides_is_no_doubt() {
    assert!(refute("a claim overrides the doubt", Deaf::new().with(Cut::ClaimOverrides)));
}
