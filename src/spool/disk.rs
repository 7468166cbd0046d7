//! The folder of the spool: real files, one process at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use trunkline_protocol::spool::{Disk, DiskError};

use super::SpoolError;
use crate::failpoint;

/// A folder that this process alone writes to, and its owner alone reads.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The segment that is written, kept open.
    current: Option<(String, File)>,
    /// Held as long as the process lives; the system lets go of it whatever ends the process.
    _lock: File,
}

/// Its lock is what keeps a second process out.
const LOCK: &str = "lock";

impl Folder {
    /// Makes the folder if it is missing and locks it.
    ///
    /// # Errors
    /// [`SpoolError::Held`] while another process has it, [`SpoolError::Folder`] when it cannot be
    /// made or written.
    pub fn lock(path: &Path) -> Result<Self, SpoolError> {
        let failed = |error: io::Error| SpoolError::Folder { path: path.to_owned(), error };
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(failed)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), current: None, _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(SpoolError::Held { path: path.to_owned() }),
            Err(fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn current(&mut self, name: &str) -> io::Result<&mut File> {
        match &mut self.current {
            Some((open, file)) if open == name => Ok(file),
            Some(_) | None => Err(io::Error::other(format!("{name} is not open for writing"))),
        }
    }

    fn try_list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            files.push((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()));
        }
        Ok(files)
    }

    fn try_read(&self, name: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path.join(name))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut read = Vec::with_capacity(bytes);
        file.take(bytes as u64).read_to_end(&mut read)?;
        Ok(read)
    }
}

fn refusal(error: &io::Error) -> DiskError {
    DiskError(error.to_string())
}

impl Disk for Folder {
    fn list(&mut self) -> Result<Vec<(String, u64)>, DiskError> {
        failpoint::pass("spool.recover.scan");
        self.try_list().map_err(|error| refusal(&error))
    }

    fn read(&mut self, name: &str, offset: u64, bytes: usize) -> Result<Vec<u8>, DiskError> {
        self.try_read(name, offset, bytes).map_err(|error| refusal(&error))
    }

    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        self.current = None;
        // what was said to a contact centre is for the owner's eyes
        let mut options = OpenOptions::new();
        let made = options.create_new(true).append(true).mode(0o600).open(self.path.join(name));
        self.current = Some((name.to_owned(), made.map_err(|error| refusal(&error))?));
        at("spool.segment.created")?;
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        if failpoint::fails("spool.append.refused") {
            return Err(DiskError("no space left".to_owned()));
        }
        let written = self.current(name).and_then(|file| write(file, bytes));
        written.map_err(|error| refusal(&error))?;
        at("spool.written")
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        let synced = self.current(name).and_then(|file| file.sync_data());
        synced.map_err(|error| refusal(&error))?;
        at("spool.synced")
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        let synced = File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(|error| refusal(&error))?;
        at("spool.directory.synced")
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(refusal(&error)),
            Ok(()) | Err(_) => at("spool.unlinked"),
        }
    }
}

/// What may fail here does.
fn at(name: &str) -> Result<(), DiskError> {
    match failpoint::fails(name) {
        true => Err(DiskError(format!("failed at {name}"))),
        false => Ok(()),
    }
}

/// In two halves, when a test wants to be in between.
fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let (half, rest) = match cfg!(feature = "failpoints") {
        true => bytes.split_at(bytes.len() / 2),
        false => (bytes, [].as_slice()),
    };
    file.write_all(half)?;
    if failpoint::fails("spool.append.torn") {
        return Err(io::Error::other("failed at spool.append.torn"));
    }
    file.write_all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_cannot_share_a_folder_and_the_next_one_gets_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/b");
        let first = Folder::lock(&path).expect("it is free");
        let text = Folder::lock(&path).expect_err("it is held").to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        drop(first);
        Folder::lock(&path).expect("it is free again");
    }

    #[test]
    fn what_is_made_is_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spool");
        let mut disk = Folder::lock(&path).expect("it is free");
        disk.create("a").expect("made");
        let mode = |path: PathBuf| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(path.clone()), mode(path.join("a"))), (0o700, 0o600));
    }

    #[test]
    fn what_was_appended_is_read_listed_and_removed_and_a_missing_file_is_no_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut disk = Folder::lock(folder.path()).expect("it is free");
        disk.create("a").expect("made");
        disk.create("a").expect_err("it exists");
        disk.append("a", b"0123").expect_err("nothing is open after a refusal to make it");
        disk.create("b").expect("made");
        disk.append("b", b"0123").expect("written");
        disk.sync("b").expect("synced");
        disk.sync_directory().expect("synced");
        assert_eq!(disk.read("b", 2, 9).expect("read"), b"23");
        assert!(disk.list().expect("listed").contains(&("b".to_owned(), 4)));
        disk.remove("b").expect("removed");
        disk.remove("b").expect("gone already");
        disk.read("b", 0, 1).expect_err("it is gone");
    }
}
