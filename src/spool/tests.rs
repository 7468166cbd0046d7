//! The spool over real folders, and over a disk that refuses or does not answer.

use std::sync::{Arc, Mutex};

use trunkline_protocol::spool::DiskError;

use super::*;
use crate::observe::flow::Flow;
use crate::observe::metrics::Metrics;
use crate::supervisor::Supervisor;

fn event(number: u64, raw: &[u8]) -> Spooled<'_> {
    Spooled {
        number,
        kind: Kind::Text,
        received: Wall(5),
        epoch: EpochId([1; 16]),
        leg: Leg { shard: 0, ordinal: 1 },
        id: EventId([2; 16]),
        raw,
    }
}

fn alone() -> Roster {
    Roster::new("0", [])
}

fn parts() -> (Clock, Metrics, StatusBoard) {
    let metrics = Metrics::new(Flow::new());
    let board = StatusBoard::new("channels", metrics.clone());
    (Clock::start(), metrics, board)
}

async fn open(dir: &std::path::Path, tasks: &mut Supervisor) -> (Spool, StatusBoard) {
    let settings = SpoolSettings {
        dir: dir.to_owned(),
        limits: limits(1 << 30, 1 << 20),
        seed: 9,
        roster: alone(),
    };
    let (clock, metrics, board) = parts();
    let opened = Spool::open(settings, clock, metrics.spool.clone(), board.clone()).await;
    let (spool, writer) = opened.expect("a spool");
    tasks.spawn_infallible("spool", writer.run());
    (spool, board)
}

/// Lets the disk work until nothing is left to do.
async fn rest(spool: &mut Spool) -> Result<(), SpoolError> {
    loop {
        spool.progress()?;
        let Some(due) = spool.poll_timeout() else { return Ok(()) };
        let clock = spool.clock;
        tokio::select! {
            biased;
            attended = spool.attend() => attended?,
            () = clock.sleep_until(Some(due)) => {}
        }
    }
}

/// Everything that is read back.
async fn all_back(spool: &mut Spool) -> Vec<(u64, Vec<u8>, bool)> {
    let mut all = Vec::new();
    while spool.is_behind() {
        rest(spool).await.expect("a disk that reads");
        while let Some(back) = spool.next_back() {
            all.push((back.number, back.raw, back.earlier));
        }
    }
    all
}

#[tokio::test]
async fn what_had_no_acknowledgement_when_the_process_died_comes_back_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tasks = Supervisor::new();
    let (mut spool, _) = open(folder.path(), &mut tasks).await;
    for number in 1..11 {
        spool.append(&event(number, &[number as u8]));
    }
    rest(&mut spool).await.expect("written");
    [1, 2, 3, 6].iter().for_each(|&number| spool.acked(number));
    rest(&mut spool).await.expect("written");
    drop(spool);
    tasks.next().await; // lets go of the folder

    let (mut spool, board) = open(folder.path(), &mut tasks).await;
    assert_eq!(board.snapshot().spool.expect("a spool").state, "behind");
    assert_eq!((spool.journal().durable_below(), spool.journal().next()), (4, 11));
    spool.append(&event(11, b"new"));
    let back = all_back(&mut spool).await;
    let numbers: Vec<(u64, bool)> = back.iter().map(|(number, _, old)| (*number, *old)).collect();
    assert_eq!(
        numbers,
        [4, 5, 7, 8, 9, 10].map(|number| (number, true)),
        "the new one is in memory"
    );
    assert_eq!(back[1].1, [5]);
    (4..12).for_each(|number| spool.acked(number));
    spool.close().await.expect("written");
    tasks.next().await;

    let (spool, _) = open(folder.path(), &mut tasks).await;
    assert!(!spool.is_behind(), "everything was acknowledged");
}

#[tokio::test]
async fn the_oldest_event_without_an_acknowledgement_is_told_with_a_process_in_between_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tasks = Supervisor::new();
    let (mut spool, _) = open(folder.path(), &mut tasks).await;
    assert_eq!(spool.oldest_open(), None);
    for number in 1..11 {
        let received = Wall(i64::try_from(number).expect("small") * 60_000);
        spool.append(&Spooled { received, ..event(number, b"x") });
    }
    assert_eq!(spool.oldest_open(), Some(Wall(60_000)));
    [2, 3, 1].iter().for_each(|&number| spool.acked(number));
    assert_eq!(spool.oldest_open(), Some(Wall(240_000)));
    rest(&mut spool).await.expect("written");
    drop(spool);
    tasks.next().await;

    let (mut spool, _) = open(folder.path(), &mut tasks).await;
    assert_eq!(spool.oldest_open(), Some(Wall(240_000)));
    (4..11).for_each(|number| spool.acked(number));
    assert_eq!(spool.oldest_open(), None);
}

#[tokio::test]
async fn what_memory_drops_is_read_back_up_to_what_it_still_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tasks = Supervisor::new();
    let (mut spool, _) = open(folder.path(), &mut tasks).await;
    let raw = vec![b'x'; 100_000];
    for number in 1..60 {
        spool.append(&event(number, &raw));
        if (8..60).contains(&number) {
            spool.fall_behind(number - 5); // five stay in memory
        }
        rest(&mut spool).await.expect("written");
    }
    let mut numbers = Vec::new();
    while spool.is_behind() {
        rest(&mut spool).await.expect("read");
        while let Some(back) = spool.next_back() {
            assert_eq!(back.raw, raw);
            numbers.push(back.number);
        }
    }
    assert_eq!(numbers, (3..55).collect::<Vec<_>>());
    let files = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert!(files > 5, "{files} files, so segments did not roll");
}

/// Refuses to write, or never answers, from the moment it is told.
#[derive(Clone, Default)]
struct Stubborn(Arc<Mutex<(Option<&'static str>, Vec<u8>)>>);

impl Stubborn {
    fn say(&self) -> Result<(), DiskError> {
        let told = || self.0.lock().expect("a lock").0;
        while told() == Some("hangs") {
            std::thread::sleep(Duration::from_millis(10));
        }
        match told() {
            Some(error) => Err(DiskError(error.to_owned())),
            None => Ok(()),
        }
    }
}

impl Disk for Stubborn {
    fn list(&mut self) -> Result<Vec<(String, u64)>, DiskError> {
        Ok(Vec::new())
    }

    fn read(&mut self, _: &str, offset: u64, bytes: usize) -> Result<Vec<u8>, DiskError> {
        let file = &self.0.lock().expect("a lock").1;
        let from = (offset as usize).min(file.len());
        Ok(file[from..(from + bytes).min(file.len())].to_vec())
    }

    fn create(&mut self, _: &str) -> Result<(), DiskError> {
        self.say()
    }

    fn append(&mut self, _: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.say()?;
        self.0.lock().expect("a lock").1.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, _: &str) -> Result<(), DiskError> {
        self.say()
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.say()
    }

    fn remove(&mut self, _: &str) -> Result<(), DiskError> {
        Ok(())
    }
}

fn over(disk: &Stubborn, tasks: &mut Supervisor) -> (Spool, StatusBoard) {
    let (clock, metrics, board) = parts();
    let log = Log::empty(limits(1 << 30, 1 << 20), 9, 1, 0);
    let disk = Box::new(disk.clone());
    let (spool, writer) =
        Spool::over(disk, log, alone(), clock, metrics.spool.clone(), board.clone());
    tasks.spawn_infallible("spool", writer.run());
    (spool, board)
}

#[tokio::test]
async fn a_disk_that_refuses_a_write_is_given_up_and_nothing_of_what_waited_is_missing() {
    let disk = Stubborn::default();
    let mut tasks = Supervisor::new();
    let (mut spool, board) = over(&disk, &mut tasks);
    (1..4).for_each(|number| spool.append(&event(number, b"on the disk")));
    rest(&mut spool).await.expect("written");
    disk.0.lock().expect("a lock").0 = Some("no space left");
    (4..7).for_each(|number| spool.append(&event(number, b"in memory")));
    (2..7).for_each(|number| spool.fall_behind(number));
    rest(&mut spool).await.expect("a failed write is no reason to end");
    assert!(spool.is_failed() && !spool.has_room());
    assert_eq!(board.snapshot().spool.expect("a spool").state, "failed");
    spool.append(&event(7, b"nowhere"));
    let numbers: Vec<u64> = all_back(&mut spool).await.into_iter().map(|back| back.0).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_answer_counts_as_failed_and_is_left_alone() {
    let disk = Stubborn::default();
    let mut tasks = Supervisor::new();
    let (mut spool, _) = over(&disk, &mut tasks);
    spool.patience = Duration::from_millis(300);
    disk.0.lock().expect("a lock").0 = Some("hangs");
    (1..4).for_each(|number| spool.append(&event(number, b"in memory")));
    rest(&mut spool).await.expect("no reason to end");
    assert!(spool.is_failed());
    (1..4).for_each(|number| spool.fall_behind(number));
    let numbers: Vec<u64> = all_back(&mut spool).await.into_iter().map(|back| back.0).collect();
    assert_eq!(numbers, [1, 2, 3]);
    disk.0.lock().expect("a lock").0 = None;
}

#[tokio::test]
async fn an_event_that_the_disk_lost_is_an_error_and_not_skipped() {
    let disk = Stubborn::default();
    let mut tasks = Supervisor::new();
    let (mut spool, _) = over(&disk, &mut tasks);
    (1..4).for_each(|number| spool.append(&event(number, b"on the disk")));
    rest(&mut spool).await.expect("written");
    disk.0.lock().expect("a lock").1[100] ^= 1;
    (1..4).for_each(|number| spool.fall_behind(number));
    let error = rest(&mut spool).await.expect_err("an event is gone").to_string();
    assert!(error.contains("cannot be read back"), "{error}");
}

#[tokio::test]
async fn events_of_another_replicas_shard_come_back_by_a_way_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tasks = Supervisor::new();
    let roster = Roster::new("a", ["b".to_owned()]);
    let shard =
        |mine| (0..99).find(|shard| roster.is_primary(*shard) == mine).expect("both win some");
    let (mine, theirs) = (shard(true), shard(false));
    let limits = limits(1 << 30, 1 << 20);
    let settings =
        || SpoolSettings { dir: folder.path().to_owned(), limits, seed: 9, roster: roster.clone() };
    let (clock, metrics, board) = parts();
    let opened = Spool::open(settings(), clock, metrics.spool.clone(), board.clone()).await;
    let (mut spool, writer) = opened.expect("a spool");
    tasks.spawn_infallible("spool", writer.run());
    for number in 1..9 {
        let shard = if number % 2 == 0 { theirs } else { mine };
        spool.append(&Spooled { leg: Leg { shard, ordinal: 0 }, ..event(number, b"x") });
    }
    rest(&mut spool).await.expect("written");
    spool.acked(4);
    let mut deferred = Vec::new();
    for _ in 0..20 {
        while let Some(back) = spool.next_deferred(2, 7) {
            deferred.push(back.number);
        }
        rest(&mut spool).await.expect("read");
    }
    assert_eq!(deferred, [2, 6], "below 7, of the other's shard, not settled");
    assert!(!spool.is_behind(), "that is not what memory had no room for");
    assert!(spool.next_deferred(8, 8).is_none());
    drop(spool);
    tasks.next().await;

    let (clock, metrics, board) = parts();
    let opened = Spool::open(settings(), clock, metrics.spool.clone(), board.clone()).await;
    let (mut spool, writer) = opened.expect("a spool");
    tasks.spawn_infallible("spool", writer.run());
    let numbers: Vec<u64> = all_back(&mut spool).await.into_iter().map(|back| back.0).collect();
    assert_eq!(numbers, [1, 3, 5, 7], "a new process sends its own at once");
    assert_eq!((spool.earliest(), spool.first()), (1, 9));
}
