//! What an earlier process left, read once from the beginning to the end.

use std::collections::VecDeque;

use super::disk::{Disk, DiskError};
use super::log::{Limits, Log};
use super::record::{self, Entry, Found};
use super::segment::{self, HEADER, Header, Name, Segment};
use super::settled::Settled;
use crate::domain::EpochId;
use crate::journal::FIRST;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments.
    pub segments: usize,
    /// Events that have to be sent.
    pub events: usize,
    /// Bytes at the ends of segments that are no record: what a dying process did not finish.
    pub torn_bytes: u64,
    /// Stretches that are no record although records follow. Each may have held events.
    pub damaged: u64,
    /// The first of them.
    pub damage: Vec<Damage>,
}

/// A stretch that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub name: String,
    /// Where it begins.
    pub offset: u64,
    /// Why.
    pub why: String,
    /// The coverage of the event before it.
    pub epoch: Option<EpochId>,
}

/// Why a log cannot be taken over.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecoverError {
    /// The folder cannot be listed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A later version of the program wrote it.
    #[error("{name} has format {version}, which this version cannot read")]
    Newer {
        /// The segment.
        name: String,
        /// Its format.
        version: u32,
    },
}

/// Stretches that are described; more are only counted.
const DESCRIBED: usize = 16;
/// Bytes read at once, unless a record needs more.
const CHUNK: usize = 1 << 20;

/// Reads what is there. Damage is passed over and reported; the log goes on behind it.
///
/// # Errors
/// See [`RecoverError`].
pub fn recover(
    disk: &mut dyn Disk,
    limits: Limits,
    seed: u32,
) -> Result<(Log, Report), RecoverError> {
    let mut files: Vec<(Name, u64)> = disk
        .list()?
        .into_iter()
        .filter_map(|(name, bytes)| Some((Name::parse(&name)?, bytes)))
        .collect();
    let pivot = files.first().map_or(0, |(name, _)| name.ordinal);
    files.sort_by_key(|(name, _)| (name.ordinal.wrapping_sub(pivot).cast_signed(), name.seed));
    let mut found = Recovery::default();
    for (name, bytes) in files {
        found.segment(disk, name, bytes)?;
    }
    let Recovery { segments, settled, mut report, .. } = found;
    let settled = settled.unwrap_or_else(|| Settled::starting_at(FIRST));
    let ordinal = segments.back().map_or(0, |segment| segment.name.ordinal.wrapping_add(1));
    let log = Log::found(limits, seed, segments, settled, ordinal);
    report.segments = log.segments().len();
    report.events = log.settled().count_open();
    Ok((log, report))
}

#[derive(Default)]
struct Recovery {
    segments: VecDeque<Segment>,
    settled: Option<Settled>,
    report: Report,
    epoch: Option<EpochId>,
    /// Where a stretch without records begins; what follows decides what it is.
    unread: Option<u64>,
}

impl Recovery {
    fn segment(&mut self, disk: &mut dyn Disk, name: Name, end: u64) -> Result<(), RecoverError> {
        let mut segment = Segment::new(name, end);
        let read = disk.read(&name.text(), 0, HEADER);
        match read.as_deref().map(segment::read_header) {
            Ok(Header::Ours(next)) => {
                self.settled.get_or_insert_with(|| Settled::starting_at(next));
            }
            Ok(Header::Newer(version)) => {
                return Err(RecoverError::Newer { name: name.text(), version });
            }
            Ok(Header::Unreadable) if end <= HEADER as u64 => self.report.torn_bytes += end,
            Ok(Header::Unreadable) => self.damaged(name, 0, "its header is damaged"),
            Err(_) => {} // the first read of its content says so again
        }
        let (mut offset, mut needs) = (HEADER as u64, 0);
        self.unread = None;
        while offset < end {
            let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let bytes = left.min(CHUNK.max(needs));
            match disk.read(&name.text(), offset, bytes) {
                Ok(read) => {
                    let last = bytes == left || read.len() < bytes;
                    let parsed = record::parse(&read, name.seed, last, |found| {
                        self.found(found, &mut segment, offset);
                    });
                    needs = parsed.needs;
                    offset += if last { left.max(1) } else { parsed.used } as u64;
                }
                Err(error) => {
                    self.damaged(name, offset, &error.0);
                    offset = end;
                }
            }
        }
        if let Some(from) = self.unread.take() {
            self.report.torn_bytes += end - from;
        }
        self.segments.push_back(segment);
        Ok(())
    }

    fn found(&mut self, found: Found<'_>, segment: &mut Segment, base: u64) {
        match found {
            Found::Damaged(at) => {
                self.unread.get_or_insert(base + at as u64);
            }
            Found::Record(entry, at) => {
                let offset = base + at as u64;
                if let Some(from) = self.unread.take() {
                    self.damaged(segment.name, from, "its checksum is wrong");
                }
                match entry {
                    Entry::Acked(numbers) => {
                        let settled = self.settled.as_mut();
                        settled.into_iter().for_each(|settled| {
                            record::numbers(numbers).for_each(|number| settled.acked(number));
                        });
                    }
                    Entry::Event(event) => {
                        let start = || Settled::starting_at(event.number);
                        let settled = self.settled.get_or_insert_with(start);
                        if settled.event(event.number, event.received) {
                            segment.event(event.number, event.received, offset);
                            self.epoch = Some(event.epoch);
                        } else {
                            self.damaged(segment.name, offset, "its number is out of order");
                        }
                    }
                }
            }
        }
    }

    fn damaged(&mut self, name: Name, offset: u64, why: &str) {
        self.report.damaged += 1;
        if self.report.damage.len() < DESCRIBED {
            let (name, why, epoch) = (name.text(), why.to_owned(), self.epoch);
            self.report.damage.push(Damage { name, offset, why, epoch });
        }
    }
}
