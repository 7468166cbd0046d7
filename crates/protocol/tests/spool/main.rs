//! The spool against the simplest reference: a list of what was told and what was promised, over a
//! disk that tears, flips, fills up, fails and lies.

mod disk;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use disk::Scripted;
use trunkline_protocol::spool::{Batch, Disk, DiskError, carry_out};
use world::{Step, World};

/// What happens next; numbers are taken modulo what there is.
fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_usize..6, 0_usize..400).prop_map(|(count, bytes)| Step::Append { count, bytes }),
        8 => prop::bool::weighted(0.3).prop_map(|late| Step::Write { late }),
        6 => any::<u8>().prop_map(Step::Ack),
        3 => (1_u8..20).prop_map(Step::AckOldest),
        2 => any::<u8>().prop_map(Step::ReadBack),
        2 => (any::<u64>(), prop::bool::weighted(0.3)).prop_map(|(dice, power)| Step::Crash { dice, power }),
        1 => (any::<u64>(), 0_u8..8).prop_map(|(dice, bit)| Step::Flip { dice, bit }),
        1 => any::<u64>().prop_map(Step::NoSpace),
        1 => (0_u8..6).prop_map(Step::Refuse),
        1 => Just(Step::LieAboutFile),
        1 => Just(Step::LieAboutDirectory),
    ]
}

fn worlds() -> impl Strategy<Value = (World, Vec<Step>)> {
    let tiny = prop::bool::weighted(0.7);
    let start = prop_oneof![Just(0), (0_u64..40).prop_map(|below| u64::MAX - below)];
    (tiny, start, prop::collection::vec(step(), 1..60))
        .prop_map(|(tiny, start, steps)| (World::new(tiny, start), steps))
}

/// Sequences of a run.
const SEQUENCES: u32 = 20_000;

type CarryOut = fn(&Batch, &mut dyn Disk) -> Result<(), DiskError>;

/// Runs sequences until one breaks a promise.
fn run(shrink: u32, carry_out: CarryOut, seen: &mut world::Seen) -> Result<(), String> {
    let config = Config {
        cases: SEQUENCES,
        max_shrink_iters: shrink,
        failure_persistence: None,
        ..Config::default()
    };
    let seen = std::cell::RefCell::new(seen);
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        .run(&worlds(), |(mut world, steps)| {
            world.run(&steps, carry_out).map_err(TestCaseError::fail)?;
            seen.borrow_mut().add(&world.seen);
            Ok(())
        })
        .map_err(|failure| failure.to_string())
}

#[test]
fn twenty_thousand_sequences_keep_every_promise() {
    let mut seen = world::Seen::default();
    run(5_000, carry_out, &mut seen).unwrap_or_else(|failure| panic!("{failure}"));
    println!("spool: {SEQUENCES} sequences, {seen}");
    seen.assert_everything_happened();
}

/// A checker that cannot fail proves nothing: each of these orders of writing must be found out.
mod mistakes {
    use super::*;

    fn found(carry_out: CarryOut, says: &str) {
        let failure = run(0, carry_out, &mut world::Seen::default());
        let failure = failure.expect_err("the mistake was not found");
        assert!(failure.contains(says), "{failure}");
    }

    #[test]
    fn a_group_that_is_not_synced() {
        found(
            |batch, disk| {
                carry_out(batch, &mut disk::Without { disk, sync: true, directory: false })
            },
            // the event is lost, or the word that it was acknowledged
            "was settled and came back",
        );
    }

    #[test]
    fn a_segment_whose_name_is_not_synced() {
        found(
            |batch, disk| {
                carry_out(batch, &mut disk::Without { disk, sync: false, directory: true })
            },
            "was synced and is lost",
        );
    }

    #[test]
    fn a_segment_that_is_unlinked_before_what_makes_it_superfluous_is_synced() {
        // what is unlinked here was acknowledged, so the mistake shows as one that came back
        found(
            |batch, disk| {
                batch.remove.iter().rev().try_for_each(|name| disk.remove(name))?;
                carry_out(&Batch { remove: Vec::new(), ..batch.clone() }, disk)
            },
            "was settled and came back",
        );
    }

    #[test]
    fn a_segment_that_is_unlinked_one_too_early() {
        found(
            |batch, disk| {
                carry_out(batch, disk)?;
                let first = disk.list()?.into_iter().map(|(name, _)| name).min();
                let gone = first.filter(|first| !batch.remove.is_empty() && *first != batch.name);
                gone.map_or(Ok(()), |name| disk.remove(&name).and_then(|()| disk.sync_directory()))
            },
            "vanished",
        );
    }
}

#[test]
fn a_log_of_a_later_version_is_refused_by_name() {
    use trunkline_protocol::spool::{RecoverError, recover};
    let mut disk = Scripted::default();
    let name = "0000000000000000-00000000.spool";
    let mut header = b"TRKSPOOL\x02\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    header.extend(crc32c::crc32c(&header).to_le_bytes());
    disk.create(name).expect("room");
    disk.append(name, &header).expect("room");
    let refused = recover(&mut disk, world::PRODUCTION, 1).expect_err("it is newer");
    assert_eq!(refused, RecoverError::Newer { name: name.to_owned(), version: 2 });
}

#[test]
fn two_segments_in_one_place_are_both_read_back() {
    use trunkline_protocol::domain::{EpochId, EventId, Leg, Mono, Wall};
    use trunkline_protocol::spool::{GROUP_WAIT, Kind, Log, Reader, Spooled, recover};
    let mut disk = Scripted::default();
    // two processes wrote at once, or a folder was filled from two others
    for (seed, number) in [(1, 1), (2, 2)] {
        let mut log = Log::empty(world::PRODUCTION, seed, number, 7);
        let (received, epoch, id) = (Wall(5), EpochId([3; 16]), EventId([seed as u8; 16]));
        let leg = Leg { shard: 0, ordinal: 0 };
        let event = Spooled { number, kind: Kind::Text, received, epoch, leg, id, raw: b"{}" };
        log.append(&event, Mono(0));
        let batch = log.take_batch(Mono(0) + GROUP_WAIT).expect("a batch");
        carry_out(&batch, &mut disk).expect("room");
    }
    let (log, report) = recover(&mut disk, world::PRODUCTION, 3).expect("both are ours");
    assert_eq!((report.segments, report.events, report.damaged), (2, 2, 0));
    let (mut reader, mut numbers) = (Reader::at(&log, log.settled_below()), Vec::new());
    while let Some(read) = reader.want(&log).expect("nothing vanishes") {
        let bytes = disk.read(&read.name, read.offset, read.bytes).expect("a file");
        reader.took(&read, &bytes, &log, |event| numbers.push(event.number)).expect("all");
    }
    assert_eq!(numbers, [1, 2]);
}
