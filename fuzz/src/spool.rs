//! A log is written, damaged and recovered: nothing is shown that was not written, nothing is missing
//! that was not counted, and the next process finds the same.

use std::collections::BTreeMap;

use trunkline_protocol::domain::{BodyDigest, EpochId, EventId, Leg, Mono, Wall};
use trunkline_protocol::spool::{
    Disk, DiskError, GROUP_WAIT, Kind, Limits, Log, Reader, RecoverError, Report, Spooled,
    carry_out, recover,
};

use super::dough::Dough;

const LIMITS: Limits = Limits { segment_bytes: 600, max_bytes: 1 << 20, group_bytes: 4_096 };
/// The numbers may run past the last one.
const FIRST: [u64; 4] = [1, u64::MAX - 2, 0, 1 << 40];
const EPOCH: EpochId = EpochId([3; 16]);

/// An event that owns its bytes.
type Written = BTreeMap<u64, (Kind, EventId, Vec<u8>)>;

/// A folder of files.
#[derive(Clone, Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

/// What was done to it.
#[derive(Default)]
struct Damage {
    any: bool,
    /// Whole records may be gone or stand where they do not belong, and look as good as the others.
    unseen: bool,
}

pub fn run(bytes: &[u8]) {
    // drawn by each process in the product: nobody who sends something can know it
    let seed = bytes
        .iter()
        .fold(0x811c_9dc5, |sum: u32, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let mut dough = Dough::new(bytes);
    let mut disk = Memory::default();
    let (written, open) = write(&mut dough, &mut disk, seed);
    let damage = damage(&mut dough, &mut disk);
    let (mut log, report, shown) = match recovered(&mut disk, seed ^ 1) {
        Ok(found) => found,
        Err(RecoverError::Newer { .. }) => return assert!(damage.any, "its own is too new"),
        Err(RecoverError::Disk(error)) => panic!("{error}"),
    };
    for (number, event) in &shown {
        assert_eq!(written.get(number), Some(event), "event {number} was not written");
    }
    assert!(damage.any || report.damaged == 0 && report.torn_bytes == 0, "{report:?}");
    let lost = open.iter().filter(|number| !shown.contains_key(number)).count();
    let counted = report.damaged > 0 || report.torn_bytes > 0;
    assert!(lost == 0 || damage.unseen || counted, "{lost} events are missing unsaid");
    goes_on(&mut disk, &mut log, seed, (report, shown));
}

/// What is found is found again, and what comes later is found with it.
fn goes_on(disk: &mut Memory, log: &mut Log, seed: u32, (report, mut shown): (Report, Written)) {
    let (_, again, seen) = recovered(disk, seed ^ 2).expect("it was read before");
    assert_eq!((&again, &seen), (&report, &shown), "a second look finds something else");
    let event = (Kind::Text, EventId([0xee; 16]), b"afterwards".to_vec());
    let number = log.next();
    append(log, number, &event);
    commit(log, disk, Mono(0) + GROUP_WAIT);
    shown.insert(number, event);
    let (_, _, seen) = recovered(disk, seed ^ 3).expect("it was read before");
    assert_eq!(seen, shown, "what was written behind the damage");
}

fn write(dough: &mut Dough<'_>, disk: &mut Memory, seed: u32) -> (Written, Vec<u64>) {
    let (which, count) = (usize::from(dough.byte()), usize::from(dough.byte() % 32));
    let ordinal = if which & 4 == 0 { 0 } else { u64::MAX };
    let mut log = Log::empty(LIMITS, seed, FIRST[which % 4], ordinal);
    let (mut written, mut open, mut now) = (Written::new(), Vec::new(), Mono(0));
    for nth in 0..count {
        match dough.byte() % 8 {
            0 if !open.is_empty() => {
                let number = open.remove(usize::from(dough.byte()) % open.len());
                log.acked(number, now);
            }
            1 => {
                now = now + 2 * GROUP_WAIT;
                commit(&mut log, disk, now);
            }
            op => {
                let kind = match op {
                    2 => Kind::Binary,
                    3 => Kind::Altered(BodyDigest([8; 16])),
                    4 => Kind::Withheld,
                    _ => Kind::Text,
                };
                let length = dough.short() % 400;
                let id = EventId([u8::try_from(nth).unwrap_or(0); 16]);
                let (number, event) = (log.next(), (kind, id, dough.bytes(length).to_vec()));
                append(&mut log, number, &event);
                written.insert(number, event);
                open.push(number);
            }
        }
    }
    commit(&mut log, disk, now + 2 * GROUP_WAIT);
    (written, open)
}

fn append(log: &mut Log, number: u64, (kind, id, raw): &(Kind, EventId, Vec<u8>)) {
    let leg = Leg { shard: 9, ordinal: 1 };
    let event =
        Spooled { number, kind: *kind, received: Wall(-7), epoch: EPOCH, leg, id: *id, raw };
    log.append(&event, Mono(0));
}

fn commit(log: &mut Log, disk: &mut Memory, now: Mono) {
    if let Some(batch) = log.take_batch(now) {
        carry_out(&batch, disk).expect("memory refuses nothing");
        log.written();
    }
}

fn damage(dough: &mut Dough<'_>, disk: &mut Memory) -> Damage {
    let mut damage = Damage::default();
    for _ in 0..8 {
        if dough.is_empty() {
            break;
        }
        let (op, which, at) = (dough.byte(), usize::from(dough.byte()), dough.short());
        let length = usize::from(dough.byte());
        let names: Vec<String> = disk.0.keys().cloned().collect();
        let Some(name) = names.get(which % names.len().max(1)) else { break };
        let Some(file) = disk.0.get_mut(name) else { break };
        let at = at % (file.len() + 1);
        let end = (at + length).min(file.len());
        damage.any = true;
        match op % 6 {
            0 => {
                damage.unseen = true;
                file.truncate(at);
            }
            1 => {
                let bytes = dough.bytes(end - at).to_vec();
                file[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            2 => {
                let bytes = dough.bytes(length).to_vec();
                _ = file.splice(at..at, bytes);
            }
            3 if at < file.len() => file[at] ^= 1 << (length % 8),
            4 => {
                damage.unseen = true;
                let copy = file[at..end].to_vec();
                file.extend(copy);
            }
            _ => {
                damage.unseen = true;
                let bytes = dough.bytes(length).to_vec();
                disk.0.insert(format!("{at:016x}-{which:08x}.spool"), bytes);
            }
        }
    }
    damage
}

fn recovered(disk: &mut Memory, seed: u32) -> Result<(Log, Report, Written), RecoverError> {
    let (log, report) = recover(disk, LIMITS, seed)?;
    let mut reader = Reader::at(&log, log.settled_below());
    let mut shown = Written::new();
    while let Some(read) = reader.want(&log).expect("nothing vanishes between two looks") {
        let bytes = disk.read(&read.name, read.offset, read.bytes)?;
        let show = |event: Spooled<'_>| {
            let known = shown.insert(event.number, (event.kind, event.id, event.raw.to_vec()));
            assert_eq!(known, None, "shown twice");
        };
        reader.took(&read, &bytes, &log, show).expect("nothing vanishes between two looks");
    }
    assert_eq!(report.events, shown.len());
    Ok((log, report, shown))
}

impl Disk for Memory {
    fn list(&mut self) -> Result<Vec<(String, u64)>, DiskError> {
        Ok(self.0.iter().map(|(name, file)| (name.clone(), file.len() as u64)).collect())
    }

    fn read(&mut self, name: &str, offset: u64, bytes: usize) -> Result<Vec<u8>, DiskError> {
        let file = self.0.get(name).ok_or_else(|| DiskError("ENOENT".to_owned()))?;
        let from = usize::try_from(offset).expect("small").min(file.len());
        Ok(file[from..(from + bytes).min(file.len())].to_vec())
    }

    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        self.0.insert(name.to_owned(), Vec::new());
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.0.get_mut(name).expect("it was made").extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, _name: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.0.remove(name);
        Ok(())
    }
}
