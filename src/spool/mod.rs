//! Beside: raw messages on disk, next to the send and never in front of it.
//!
//! Whatever is kept is appended; it is durable at most a few milliseconds later, while the record is
//! already on its way to Kafka. After a kill the next process sends what has no acknowledgement.
//! While Kafka does not take what is heard, memory holds the newest messages only and the spool gives
//! the older ones back in order ([`Spool::fall_behind`]): start and outage are the same thing.

mod disk;
mod writer;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use trunkline_protocol::domain::{EpochId, EventId, Leg, Mono, Wall};
use trunkline_protocol::journal::Journal;
use trunkline_protocol::spool::{
    Disk, Kind, Limits, Log, Read, Reader, RecoverError, Report, Spooled, Vanished, recover,
};
use trunkline_protocol::standby::Roster;

use crate::clock::Clock;
use crate::observe::metrics::SpoolMetrics;
use crate::observe::status::{SpoolStatus, StatusBoard};

pub use disk::Folder;
pub use writer::Writer;
use writer::{Answer, Job};

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process has it.
    #[error("spool.dir {}: another process uses it; every process needs a folder of its own", path.display())]
    Held {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be made or written.
    #[error("spool.dir {}: {error}; set spool.dir to a folder that can be written, or spool.enabled to false", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// What is in it cannot be taken over.
    #[error("spool.dir {}: {error}", path.display())]
    Recover {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: RecoverError,
    },
    /// Events that lie on the disk only cannot be read. A new process finds out what is left of
    /// them; until then nothing may be claimed.
    #[error("what waits on the disk cannot be read back: {0}")]
    Unreadable(String),
}

impl From<Vanished> for SpoolError {
    fn from(vanished: Vanished) -> Self {
        Self::Unreadable(vanished.to_string())
    }
}

/// Where and how much.
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// The folder.
    pub dir: PathBuf,
    /// Bounds of the log.
    pub limits: Limits,
    /// Seeds checksums; drawn by every process.
    pub seed: u32,
    /// Who writes which shard at once.
    pub roster: Roster,
}

/// Bytes that wait in memory for the disk, at most.
pub const GROUP_BYTES: usize = 8 << 20;
/// A disk that does not answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message that was read back.
#[derive(Debug)]
pub struct ReadBack {
    /// Its number in the journal.
    pub number: u64,
    /// Text or binary.
    pub kind: Kind,
    /// When it was heard.
    pub received: Wall,
    /// The coverage it was heard in.
    pub epoch: EpochId,
    /// The place it was heard at.
    pub leg: Leg,
    /// Its identity.
    pub id: EventId,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// An earlier process heard it.
    pub earlier: bool,
}

/// A way back out of the log.
#[derive(Debug, Default)]
struct Lane {
    /// While events of the lane lie on the disk only.
    reader: Option<Reader>,
    /// Smaller numbers are wanted.
    until: u64,
    /// On its way; an answer to another question is stale.
    read: Option<Read>,
    back: VecDeque<ReadBack>,
}

impl Lane {
    fn close(&mut self) {
        *self = Self::default();
    }
}

/// Whose turn it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Write,
    Direct,
    Deferred,
}

/// The shard of a message that is none: every replica writes it at once.
pub const NO_SHARD: u16 = u16::MAX;

/// The spool of this process.
pub struct Spool {
    log: Log,
    clock: Clock,
    metrics: SpoolMetrics,
    board: StatusBoard,
    jobs: Sender<Job>,
    answers: Receiver<Answer>,
    /// Since when the disk owes an answer.
    asked: Option<Mono>,
    roster: Roster,
    /// Whose events memory had no room for, and whose another replica writes at once.
    direct: Lane,
    deferred: Lane,
    /// What the last job was for.
    last: Turn,
    /// How long an answer may take.
    patience: Duration,
    /// The disk did not answer once and is asked nothing more.
    deaf: bool,
    /// Smaller numbers are of earlier processes.
    first: u64,
    earliest: u64,
    full: bool,
    /// As it was told last.
    state: &'static str,
}

impl Spool {
    /// Opens the folder and reads what an earlier process left. The writer is a task to spawn.
    ///
    /// # Errors
    /// Every [`SpoolError`] but [`SpoolError::Unreadable`].
    pub async fn open(
        settings: SpoolSettings,
        clock: Clock,
        metrics: SpoolMetrics,
        board: StatusBoard,
    ) -> Result<(Self, Writer), SpoolError> {
        let (capacity, roster) = (settings.limits.max_bytes, settings.roster);
        let opened = tokio::task::spawn_blocking(move || {
            let path = settings.dir;
            let mut folder = Folder::lock(&path)?;
            let found = recover(&mut folder, settings.limits, settings.seed);
            found
                .map(|(log, report)| (folder, log, report))
                .map_err(|error| SpoolError::Recover { path, error })
        });
        let opened = opened.await;
        let (folder, log, report) =
            opened.map_err(|panic| SpoolError::Unreadable(panic.to_string()))??;
        tell(&report);
        metrics.recovered(report.events as u64, report.damaged, capacity);
        Ok(Self::over(Box::new(folder), log, roster, clock, metrics, board))
    }

    fn over(
        disk: Box<dyn Disk + Send>,
        log: Log,
        roster: Roster,
        clock: Clock,
        metrics: SpoolMetrics,
        board: StatusBoard,
    ) -> (Self, Writer) {
        let (jobs, todo) = mpsc::channel(1);
        let (done, answers) = mpsc::channel(1);
        let first = log.next();
        let reader = (log.open() > 0).then(|| Reader::at(&log, log.settled_below()));
        let direct = Lane { reader, until: first, ..Lane::default() };
        let (asked, earliest) = (None, log.settled_below());
        let mut spool = Self {
            log,
            clock,
            metrics,
            board,
            jobs,
            answers,
            asked,
            roster,
            direct,
            deferred: Lane::default(),
            last: Turn::Write,
            patience: PATIENCE,
            deaf: false,
            first,
            earliest,
            full: false,
            state: "",
        };
        spool.look();
        (spool, Writer { disk, clock, jobs: todo, answers: done })
    }

    /// The journal goes on where the log does.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.log.journal()
    }

    /// The number that the next appended event must have.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.log.next()
    }

    /// Whether another event may be appended.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.log.has_room()
    }

    /// Whether the disk refused a write: from then on only memory and Kafka hold what is heard.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.log.is_failed()
    }

    /// Takes a message; it is durable soon after.
    pub fn append(&mut self, event: &Spooled<'_>) {
        self.log.append(event, self.clock.mono());
    }

    /// Kafka acknowledged the event with this number.
    pub fn acked(&mut self, number: u64) {
        self.log.acked(number, self.clock.mono());
    }

    /// Whether events to be written at once lie on the disk that memory does not hold.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.direct.reader.is_some()
    }

    /// Events with smaller numbers were kept by an earlier process.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Every event before this number was settled when the spool was opened.
    #[must_use]
    pub fn earliest(&self) -> u64 {
        self.earliest
    }

    /// When the oldest event that Kafka has not acknowledged was heard, or a little before.
    #[must_use]
    pub fn oldest_open(&self) -> Option<Wall> {
        self.log.oldest_open()
    }

    /// Whether the event with this number still has to be sent.
    #[must_use]
    pub fn is_open(&self, number: u64) -> bool {
        self.log.is_open(number)
    }

    /// The event with this number leaves memory; it and those behind it are read back in time.
    pub fn fall_behind(&mut self, number: u64) {
        if self.direct.reader.is_none() {
            tracing::warn!(
                code = "spool_behind",
                "Kafka does not take what is heard: it waits on the disk"
            );
            self.direct.reader = Some(Reader::at(&self.log, number));
        }
        self.direct.until = number.wrapping_add(1);
    }

    /// The next event that was read back and is to be written at once.
    pub fn next_back(&mut self) -> Option<ReadBack> {
        let lane = &mut self.direct;
        if let Some(back) = lane.back.pop_front_if(|back| back.number < lane.until) {
            self.metrics.read_back();
            return Some(back);
        }
        if lane.reader.as_ref().is_some_and(|reader| reader.expects() >= lane.until) {
            tracing::info!(code = "spool_caught_up", "what waited on the disk is handed over");
            lane.close();
        }
        None
    }

    /// The next event of another replica's shard with a number from `oldest` on and below `below`;
    /// `None` when none is read back yet, or there is none. Numbers only ever go up.
    pub fn next_deferred(&mut self, oldest: u64, below: u64) -> Option<ReadBack> {
        let lane = &mut self.deferred;
        if oldest >= below {
            lane.close();
            return None;
        }
        if lane.reader.is_none() {
            lane.reader = Some(Reader::at(&self.log, oldest));
        }
        lane.until = below;
        let back = lane.back.pop_front_if(|back| back.number < below);
        if back.is_some() {
            self.metrics.read_back();
        }
        back
    }

    /// Every event of another replica's shard before this number was given back.
    #[must_use]
    pub fn deferred_below(&self) -> u64 {
        match (&self.deferred.reader, self.deferred.back.front()) {
            (Some(_), Some(back)) => back.number,
            (Some(reader), None) => reader.expects(),
            (None, _) => 0,
        }
    }

    /// When [`Self::progress`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match self.asked {
            Some(asked) => Some(asked + self.patience),
            None => self.log.poll_timeout(),
        }
    }

    /// Gives the disk what there is for it.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub fn progress(&mut self) -> Result<(), SpoolError> {
        let now = self.clock.mono();
        if let Some(asked) = self.asked {
            return if asked + self.patience <= now { self.give_up() } else { Ok(()) };
        }
        self.ask(now)
    }

    /// One job at a time; while several are wanted, they take turns.
    fn ask(&mut self, now: Mono) -> Result<(), SpoolError> {
        let turns = match self.last {
            Turn::Write => [Turn::Direct, Turn::Deferred, Turn::Write],
            Turn::Direct => [Turn::Deferred, Turn::Write, Turn::Direct],
            Turn::Deferred => [Turn::Write, Turn::Direct, Turn::Deferred],
        };
        let due = self.log.poll_timeout();
        for turn in turns {
            let job = match turn {
                Turn::Write if self.deaf => None,
                Turn::Write => self.log.take_batch(now).map(Job::Write),
                Turn::Direct | Turn::Deferred => self.wanted(turn)?,
            };
            let Some(job) = job else {
                if turn == Turn::Write && self.log.poll_timeout() != due {
                    self.look(); // Kafka was faster than the disk
                }
                continue;
            };
            if self.deaf {
                return Err(SpoolError::Unreadable("the disk does not answer".to_owned()));
            }
            (self.last, self.asked) = (turn, Some(now));
            return if self.jobs.try_send(job).is_err() { self.give_up() } else { Ok(()) };
        }
        Ok(())
    }

    /// What a reader wants of the disk; after a failure it also gets what never got there.
    fn wanted(&mut self, turn: Turn) -> Result<Option<Job>, SpoolError> {
        let (lane, first, roster) = match turn {
            Turn::Deferred => (&mut self.deferred, self.first, &self.roster),
            Turn::Direct | Turn::Write => (&mut self.direct, self.first, &self.roster),
        };
        let (until, empty) = (lane.until, lane.back.is_empty());
        let Some(reader) = lane.reader.as_mut().filter(|r| empty && r.expects() < until) else {
            return Ok(None);
        };
        lane.read = reader.want(&self.log)?;
        let job = lane.read.clone().map(Job::Read);
        if job.is_none() && self.log.is_failed() {
            let back = &mut lane.back;
            reader.take_tail(&self.log, |event| {
                back.extend(of_lane(turn, roster, event, first));
            })?;
        }
        Ok(job)
    }

    /// The disk does not answer.
    fn give_up(&mut self) -> Result<(), SpoolError> {
        let problem = format!("no answer for {} s", self.patience.as_secs());
        if self.last != Turn::Write {
            return Err(SpoolError::Unreadable(problem));
        }
        (self.asked, self.deaf) = (None, true);
        self.failed(&problem);
        Ok(())
    }

    fn failed(&mut self, problem: &str) {
        if !self.log.is_failed() {
            tracing::error!(
                code = "spool_failed",
                problem,
                "the spool is not written any more: what is heard lies in memory and Kafka only, until a restart"
            );
        }
        self.log.refused();
        self.look();
    }

    /// Waits for the disk and takes care of what it says. May be dropped at any time.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub async fn attend(&mut self) -> Result<(), SpoolError> {
        let Some(answer) = self.answers.recv().await else {
            return std::future::pending().await; // its end is reported by its own task
        };
        if self.asked.take().is_none() {
            return Ok(()); // too late: it counts as failed
        }
        match answer {
            Answer::Written(Ok(()), took) => {
                self.metrics.synced(took);
                self.log.written();
            }
            Answer::Written(Err(problem), _) => self.failed(&problem.0),
            Answer::Read(read, bytes) => {
                let bytes = bytes.map_err(|problem| SpoolError::Unreadable(problem.0))?;
                let (turn, first, roster) = (self.last, self.first, &self.roster);
                let lane = match turn {
                    Turn::Deferred => &mut self.deferred,
                    Turn::Direct | Turn::Write => &mut self.direct,
                };
                let asked = lane.read.take().is_some_and(|asked| asked == read);
                if let Some(reader) = lane.reader.as_mut().filter(|_| asked) {
                    let back = &mut lane.back;
                    reader.took(&read, &bytes, &self.log, |event| {
                        back.extend(of_lane(turn, roster, event, first));
                    })?;
                }
            }
        }
        self.look();
        Ok(())
    }

    /// Writes what is left; then everything acknowledged is known to the next process.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub async fn close(mut self) -> Result<(), SpoolError> {
        self.direct.close();
        self.deferred.close();
        loop {
            if self.asked.is_none() {
                self.ask(Mono(u64::MAX))?;
                if self.asked.is_none() {
                    return Ok(());
                }
                self.asked = Some(self.clock.mono());
            }
            let (clock, due) = (self.clock, self.poll_timeout());
            tokio::select! {
                biased;
                attended = self.attend() => attended?,
                () = clock.sleep_until(due) => return Ok(()),
            }
        }
    }

    fn look(&mut self) {
        let (bytes, full) = (self.log.bytes(), self.log.is_full() && !self.log.is_failed());
        if full && !self.full {
            tracing::error!(
                code = "spool_full",
                bytes,
                "the spool is full: nothing more is read until Kafka acknowledges"
            );
        }
        self.full = full;
        let oldest = self.log.oldest();
        self.metrics.look(bytes, oldest, self.log.open(), self.log.is_failed());
        let state = match (self.log.is_failed(), full, self.is_behind()) {
            (true, _, _) => "failed",
            (false, true, _) => "full",
            (false, false, true) => "behind",
            (false, false, false) => "beside",
        };
        if state != self.state {
            self.state = state;
            let failed = state == "failed";
            let detail = if failed { "it cannot be written; the log says why" } else { "" };
            self.board.check("spool", !failed, detail);
        }
        self.board.spool(SpoolStatus { state, bytes, waiting: self.log.open() });
    }
}

/// The event, when it belongs to the lane.
fn of_lane(turn: Turn, roster: &Roster, event: Spooled<'_>, first: u64) -> Option<ReadBack> {
    let shard = event.leg.shard;
    let at_once = shard == NO_SHARD || roster.is_primary(shard);
    (at_once == (turn == Turn::Direct)).then(|| owned(event, first))
}

fn owned(event: Spooled<'_>, first: u64) -> ReadBack {
    let Spooled { number, kind, received, epoch, leg, id, raw } = event;
    let earlier = number < first;
    ReadBack { number, kind, received, epoch, leg, id, raw: raw.to_vec(), earlier }
}

fn tell(report: &Report) {
    tracing::info!(
        code = "spool_opened",
        segments = report.segments,
        events = report.events,
        torn_bytes = report.torn_bytes,
        "the spool is open; events without an acknowledgement are sent first"
    );
    if report.damaged > 0 {
        for damage in &report.damage {
            let epoch = damage.epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
            tracing::error!(
                code = "spool_damaged",
                segment = damage.name,
                offset = damage.offset,
                epoch,
                damaged = report.damaged,
                why = damage.why,
                "a part of the spool cannot be read; what it held is within the gap of its coverage"
            );
        }
    }
}

/// The limits of a log of this size.
#[must_use]
pub fn limits(max_bytes: u64, segment_bytes: u64) -> Limits {
    Limits { segment_bytes, max_bytes, group_bytes: GROUP_BYTES }
}

#[cfg(test)]
mod tests;
