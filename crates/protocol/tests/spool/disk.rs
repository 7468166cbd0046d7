//! A folder in memory that can be told to misbehave.

use std::collections::BTreeMap;

use trunkline_protocol::spool::{Disk, DiskError};

/// One file.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    /// So many of them survive a loss of power.
    pub(crate) synced: usize,
}

/// What a folder holds, and what of it survives a loss of power.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) files: BTreeMap<String, File>,
    /// Names and files as the last directory sync left them.
    durable: Vec<String>,
    /// Removed, and may come back.
    removed: BTreeMap<String, File>,
    /// The call after so many others is refused, and all after it.
    pub(crate) refuse_after: Option<u8>,
    /// So many bytes fit.
    pub(crate) room: Option<usize>,
    /// The next sync of a file, or of the directory, says yes and does nothing.
    pub(crate) lie_about_file: bool,
    pub(crate) lie_about_directory: bool,
    /// It did.
    pub(crate) lied: bool,
}

/// A dice that only needs to be different.
fn roll(dice: &mut u64) -> u64 {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *dice >> 33
}

impl Scripted {
    /// The process dies; with `power`, so does the machine.
    pub(crate) fn crash(&mut self, mut dice: u64, power: bool) {
        (self.refuse_after, self.room) = (None, None);
        (self.lie_about_file, self.lie_about_directory) = (false, false);
        if !power {
            return; // the kernel writes on
        }
        for (name, file) in std::mem::take(&mut self.removed) {
            if self.durable.contains(&name) && roll(&mut dice).is_multiple_of(2) {
                self.files.insert(name, file);
            }
        }
        let durable = std::mem::take(&mut self.durable);
        self.files.retain(|name, _| durable.contains(name) || roll(&mut dice).is_multiple_of(2));
        for file in self.files.values_mut() {
            let unsynced = file.bytes.len() - file.synced;
            let kept = file.synced + (roll(&mut dice) as usize) % (unsynced + 1);
            match roll(&mut dice) % 3 {
                0 => file.bytes.truncate(kept),
                1 => file.bytes[kept..].fill(0), // the size was written, the blocks were not
                _ => {}
            }
            file.synced = file.bytes.len();
        }
        self.durable = self.files.keys().cloned().collect();
    }

    /// Flips one bit somewhere; says whether there was one.
    pub(crate) fn flip(&mut self, mut dice: u64, bit: u8) -> bool {
        let total: usize = self.files.values().map(|file| file.bytes.len()).sum();
        if total == 0 {
            return false;
        }
        let mut at = (roll(&mut dice) as usize) % total;
        for file in self.files.values_mut() {
            if let Some(byte) = file.bytes.get_mut(at) {
                *byte ^= 1 << bit;
                return true;
            }
            at -= file.bytes.len();
        }
        false
    }

    fn may(&mut self) -> Result<(), DiskError> {
        match &mut self.refuse_after {
            Some(0) => Err(DiskError("EIO".to_owned())),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Disk for Scripted {
    fn list(&mut self) -> Result<Vec<(String, u64)>, DiskError> {
        Ok(self
            .files
            .iter()
            .rev()
            .map(|(name, file)| (name.clone(), file.bytes.len() as u64))
            .collect())
    }

    fn read(&mut self, name: &str, offset: u64, bytes: usize) -> Result<Vec<u8>, DiskError> {
        let file = self.files.get(name).ok_or_else(|| DiskError("ENOENT".to_owned()))?;
        let from = usize::try_from(offset).expect("small").min(file.bytes.len());
        Ok(file.bytes[from..(from + bytes).min(file.bytes.len())].to_vec())
    }

    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        self.may()?;
        let old = self.files.insert(name.to_owned(), File::default());
        assert!(old.is_none(), "{name} is made twice");
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let allowed = self.may();
        let file = self.files.get_mut(name).expect("it was made");
        let room = self.room.unwrap_or(usize::MAX);
        // what is refused may be there in part
        let taken = if allowed.is_err() { bytes.len() / 2 } else { bytes.len().min(room) };
        file.bytes.extend_from_slice(&bytes[..taken]);
        self.room = self.room.map(|room| room - taken.min(room));
        allowed?;
        if taken < bytes.len() { Err(DiskError("ENOSPC".to_owned())) } else { Ok(()) }
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        self.may()?;
        if std::mem::take(&mut self.lie_about_file) {
            self.lied = true;
            return Ok(());
        }
        let file = self.files.get_mut(name).expect("it was made");
        file.synced = file.bytes.len();
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.may()?;
        if std::mem::take(&mut self.lie_about_directory) {
            self.lied = true;
            return Ok(());
        }
        self.durable = self.files.keys().cloned().collect();
        self.removed.clear();
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.may()?;
        if let Some(file) = self.files.remove(name) {
            self.removed.insert(name.to_owned(), file);
        }
        Ok(())
    }
}

/// A disk whose caller forgets to sync.
pub(crate) struct Without<'a> {
    pub(crate) disk: &'a mut dyn Disk,
    /// Files.
    pub(crate) sync: bool,
    /// The directory.
    pub(crate) directory: bool,
}

impl Disk for Without<'_> {
    fn list(&mut self) -> Result<Vec<(String, u64)>, DiskError> {
        self.disk.list()
    }

    fn read(&mut self, name: &str, offset: u64, bytes: usize) -> Result<Vec<u8>, DiskError> {
        self.disk.read(name, offset, bytes)
    }

    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        self.disk.create(name)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.disk.append(name, bytes)
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        if self.sync { Ok(()) } else { self.disk.sync(name) }
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        if self.directory { Ok(()) } else { self.disk.sync_directory() }
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.disk.remove(name)
    }
}
