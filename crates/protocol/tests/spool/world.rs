//! One life after another of a log, and a list that knows what was promised.

use std::collections::BTreeSet;
use std::fmt;

use trunkline_protocol::domain::{BodyDigest, EpochId, EventId, Leg, Mono, Wall};
use trunkline_protocol::spool::{
    Batch, Disk, GROUP_WAIT, Kind, Limits, Log, PROBE, Reader, Spooled, Vanished, recover,
};

use super::CarryOut;
use super::disk::Scripted;

/// As shipped.
pub(crate) const PRODUCTION: Limits =
    Limits { segment_bytes: 64 << 20, max_bytes: 10 << 30, group_bytes: 8 << 20 };
/// Small enough that segments come and go within a sequence.
const TINY: Limits = Limits { segment_bytes: 600, max_bytes: 6_000, group_bytes: 1_000 };
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// So many events of so many bytes.
    Append {
        count: usize,
        bytes: usize,
    },
    /// What waits is written, if there is anything, some time after the group before.
    Write {
        late: bool,
    },
    /// One of the open events is acknowledged.
    Ack(u8),
    /// The oldest are.
    AckOldest(u8),
    /// Everything from one of the open events on is read back.
    ReadBack(u8),
    /// The process dies and the next one starts.
    Crash {
        dice: u64,
        power: bool,
    },
    /// A bit on the disk turns.
    Flip {
        dice: u64,
        bit: u8,
    },
    /// The disk is full after so many bytes.
    NoSpace(u64),
    /// The disk refuses everything after so many calls.
    Refuse(u8),
    /// A sync says yes and does nothing.
    LieAboutFile,
    LieAboutDirectory,
}

/// An event as the list knows it.
#[derive(Clone, Debug, Default)]
struct Told {
    number: u64,
    /// Tells it from all others; numbers of what never reached the disk are given again.
    id: [u8; 16],
    raw: Vec<u8>,
    /// It left the group, or an earlier life did.
    stored: bool,
    /// Promised: the batch it was in is written.
    synced: bool,
    acked: bool,
    /// In this life, so that the next batch says so.
    acked_now: bool,
    /// The batch with its acknowledgement is written, and so it must not come back.
    settled: bool,
    /// It did not come back.
    gone: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    limits: Limits,
    disk: Scripted,
    log: Log,
    now: Mono,
    told: Vec<Told>,
    lives: u32,
    /// Bits that turned since the last recovery.
    flips: usize,
    /// From here on losses are the disk's, not ours.
    lied: bool,
    pub(crate) seen: Seen,
}

/// How often what happened: a promise that was never asked for is not kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    appended: usize,
    recovered: usize,
    asked: usize,
    repeated: usize,
    damaged: usize,
    torn: usize,
    failures: usize,
    full: usize,
    lies: usize,
    trimmed: usize,
    spared: usize,
    read_back: usize,
    tails: usize,
    wrapped: usize,
}

impl World {
    pub(crate) fn new(tiny: bool, start: u64) -> Self {
        let limits = if tiny { TINY } else { PRODUCTION };
        Self {
            limits,
            disk: Scripted::default(),
            log: Log::empty(limits, 1, start, start),
            now: Mono(0),
            told: Vec::new(),
            lives: 1,
            flips: 0,
            lied: false,
            seen: Seen::default(),
        }
    }

    pub(crate) fn run(&mut self, steps: &[Step], carry_out: CarryOut) -> Result<(), String> {
        for step in steps {
            self.step(step, carry_out).map_err(|problem| format!("{problem} after {step:?}"))?;
        }
        self.restart(0, false)
    }

    fn step(&mut self, step: &Step, carry_out: CarryOut) -> Result<(), String> {
        match *step {
            Step::Append { count, bytes } => {
                (0..count).for_each(|index| self.append(bytes + index))
            }
            Step::Write { late } => self.write(late, carry_out),
            Step::Ack(which) => {
                let open = self.open();
                if let Some(&index) = open.get(usize::from(which) % open.len().max(1)) {
                    self.ack(index);
                }
            }
            Step::AckOldest(count) => {
                self.open().into_iter().take(usize::from(count)).for_each(|index| self.ack(index));
            }
            Step::ReadBack(which) => return self.read_back(which),
            Step::Crash { dice, power } => return self.restart(dice, power),
            Step::Flip { dice, bit } => self.flips += usize::from(self.disk.flip(dice, bit)),
            Step::NoSpace(room) => self.disk.room = Some((room % 2_000) as usize),
            Step::Refuse(after) => self.disk.refuse_after = Some(after),
            Step::LieAboutFile => self.disk.lie_about_file = true,
            Step::LieAboutDirectory => self.disk.lie_about_directory = true,
        }
        Ok(())
    }

    /// Indices of events without an acknowledgement, oldest first.
    fn open(&self) -> Vec<usize> {
        let open = |&index: &usize| !self.told[index].acked && !self.told[index].gone;
        (0..self.told.len()).filter(open).collect()
    }

    fn append(&mut self, bytes: usize) {
        self.seen.full += usize::from(self.log.is_full());
        if !self.log.has_room() {
            return;
        }
        let number = self.log.next();
        self.seen.wrapped += usize::from(number == 0);
        // some of it looks like a record
        let raw: Vec<u8> = b"\xf5tr\x01\x30\0\0\0".iter().cycle().take(bytes).copied().collect();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(self.told.len() as u64).to_le_bytes());
        let event = Spooled {
            number,
            kind: match bytes % 7 {
                0 => Kind::Binary,
                1 => Kind::Altered(BodyDigest([bytes as u8; 16])),
                2 => Kind::Withheld,
                _ => Kind::Text,
            },
            received: Wall(bytes as i64),
            epoch: EpochId([self.lives as u8; 16]),
            leg: Leg { shard: 2, ordinal: 1 },
            id: EventId(id),
            raw: &raw,
        };
        self.log.append(&event, self.now);
        self.seen.appended += 1;
        self.told.push(Told { number, id, raw, ..Told::default() });
    }

    fn ack(&mut self, index: usize) {
        (self.told[index].acked, self.told[index].acked_now) = (true, true);
        self.log.acked(self.told[index].number, self.now);
    }

    fn write(&mut self, late: bool, carry_out: CarryOut) {
        let failed = self.log.is_failed();
        self.now = self.now + if late { PROBE } else { GROUP_WAIT };
        let Some(batch): Option<Batch> = self.log.take_batch(self.now) else {
            self.settle(failed);
            return;
        };
        self.seen.trimmed += batch.remove.len();
        match carry_out(&batch, &mut self.disk) {
            Ok(()) => {
                self.log.written();
                // one batch holds all that was told in this life, was not written before and is open
                for told in self.told.iter_mut().filter(|told| !failed && !told.gone) {
                    let skipped = told.acked_now && !told.stored;
                    told.synced |= !told.stored && !skipped;
                    told.stored |= !skipped;
                }
                self.settle(failed);
            }
            Err(_) => {
                self.log.refused();
                self.seen.failures += 1;
            }
        }
        if std::mem::take(&mut self.disk.lied) {
            (self.lied, self.seen.lies) = (true, self.seen.lies + 1);
        }
    }

    /// What was acknowledged need not be there, and must not come back.
    fn settle(&mut self, failed: bool) {
        for told in self.told.iter_mut().filter(|told| !failed && !told.gone) {
            self.seen.spared += usize::from(told.acked_now && !told.stored && !told.settled);
            told.settled |= told.acked_now;
        }
    }

    /// Everything open from one event on, as far as it left the group, once and in order.
    fn read_back(&mut self, which: u8) -> Result<(), String> {
        let open = self.open();
        let Some(&first) = open.get(usize::from(which) % open.len().max(1)) else { return Ok(()) };
        let mut reader = Reader::at(&self.log, self.told[first].number);
        let mut shown = Vec::new();
        let read = self.read_all(&mut reader, &mut shown);
        if let Err(Vanished(number)) = read {
            // the disk took it; that must not pass unnoticed, and without a flip it must not happen
            let excused = self.flips > 0;
            return if excused { Ok(()) } else { Err(format!("{number} vanished")) };
        }
        let expected: Vec<u64> = self.told[first..]
            .iter()
            .filter(|told| !told.acked && !told.gone && (told.stored || self.log.is_failed()))
            .map(|told| told.number)
            .collect();
        self.seen.read_back += shown.len();
        // what a turned bit took shows when the next event is read
        match shown == expected || self.flips > 0 && expected.starts_with(&shown) {
            true => Ok(()),
            false => Err(format!("read back {shown:?}, not {expected:?}")),
        }
    }

    fn read_all(&mut self, reader: &mut Reader, shown: &mut Vec<u64>) -> Result<(), Vanished> {
        while let Some(read) = reader.want(&self.log)? {
            let bytes = self.disk.read(&read.name, read.offset, read.bytes).unwrap_or_default();
            reader.took(&read, &bytes, &self.log, |event| shown.push(event.number))?;
        }
        if self.log.is_failed() {
            self.seen.tails += 1;
            reader.take_tail(&self.log, |event| shown.push(event.number))?;
        }
        Ok(())
    }

    /// Dies, starts again and compares what comes back with what was promised.
    fn restart(&mut self, dice: u64, power: bool) -> Result<(), String> {
        self.disk.crash(dice, power);
        self.lives += 1;
        let found =
            recover(&mut self.disk, self.limits, self.lives).map_err(|error| error.to_string());
        let (log, report) = found?;
        let mut reader = Reader::at(&log, log.settled_below());
        self.log = log;
        let mut back: Vec<([u8; 16], Vec<u8>)> = Vec::new();
        while let Some(read) = reader.want(&self.log).map_err(|gone| gone.to_string())? {
            let bytes = self.disk.read(&read.name, read.offset, read.bytes).unwrap_or_default();
            reader
                .took(&read, &bytes, &self.log, |event| back.push((event.id.0, event.raw.to_vec())))
                .map_err(|gone| gone.to_string())?;
        }
        if back.len() != report.events {
            return Err(format!("{} were counted, {} came back", report.events, back.len()));
        }
        self.seen.recovered += back.len();
        self.seen.damaged += usize::try_from(report.damaged).unwrap_or(0);
        self.seen.torn += usize::from(report.torn_bytes > 0);
        self.compare(&back, report.damaged > 0 || report.torn_bytes > 0)?;
        let ids: BTreeSet<[u8; 16]> = back.iter().map(|(id, _)| *id).collect();
        for told in &mut self.told {
            told.acked_now = false;
            if ids.contains(&told.id) {
                (told.stored, told.acked, told.settled) = (true, false, false);
            } else {
                told.gone |= !told.acked;
            }
        }
        self.flips = 0;
        self.lied &= !power; // without a loss of power nobody knows yet
        Ok(())
    }

    fn compare(
        &mut self,
        back: &[([u8; 16], Vec<u8>)],
        damage_is_told: bool,
    ) -> Result<(), String> {
        let mut rest = self.told.iter();
        let mut lost = 0;
        for (id, raw) in back {
            let found = rest.by_ref().find(|told| {
                let it = told.id == *id;
                lost += usize::from(!it && told.synced && !told.acked && !told.gone);
                it
            });
            let told = found.ok_or_else(|| format!("{id:?} came back out of order or twice"))?;
            if told.gone || told.raw != *raw {
                return Err(format!("{id:?} came back with other bytes"));
            }
            if told.settled && self.flips == 0 && !self.lied {
                return Err(format!("{id:?} was settled and came back"));
            }
            self.seen.repeated += usize::from(told.acked);
        }
        lost += rest.filter(|told| told.synced && !told.acked && !told.gone).count();
        self.seen.asked += 1;
        match lost {
            0 => Ok(()),
            _ if self.lied => Ok(()),
            _ if lost > self.flips => {
                Err(format!("an event was synced and is lost: {lost}, {} bits flipped", self.flips))
            }
            _ if !damage_is_told => Err("damage was not reported".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.all_mut().into_iter().zip(other.clone().all_mut()) {
            *mine += *theirs;
        }
    }

    fn all_mut(&mut self) -> [&mut usize; 14] {
        let Self {
            appended,
            recovered,
            asked,
            repeated,
            damaged,
            torn,
            failures,
            full,
            lies,
            trimmed,
            spared,
            read_back,
            tails,
            wrapped,
        } = self;
        [
            appended, recovered, asked, repeated, damaged, torn, failures, full, lies, trimmed,
            spared, read_back, tails, wrapped,
        ]
    }

    pub(crate) fn assert_everything_happened(&self) {
        assert!(self.clone().all_mut().into_iter().all(|count| *count > 100), "{self}");
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events, {} recoveries gave {} back ({} acknowledged ones a second time), {} read back while alive \
             ({} times after a failure), {} failures, {} times full, {} lies, {} damaged stretches, {} torn ends, \
             {} segments trimmed, {} acknowledged before they were written, {} times past the last number",
            self.appended,
            self.asked,
            self.recovered,
            self.repeated,
            self.read_back,
            self.tails,
            self.failures,
            self.full,
            self.lies,
            self.damaged,
            self.torn,
            self.trimmed,
            self.spared,
            self.wrapped
        )
    }
}
