//! The port to a folder of files, and the order in which a batch reaches it.

use super::log::Batch;
use crate::seeded::{Bug, planted};

/// What a folder has to offer. Names are plain file names.
pub trait Disk {
    /// Every file with its size.
    ///
    /// # Errors
    /// As the disk says.
    fn list(&mut self) -> Result<Vec<(String, u64)>, DiskError>;

    /// Up to `bytes` bytes from `offset` on; fewer at the end of the file.
    ///
    /// # Errors
    /// As the disk says.
    fn read(&mut self, name: &str, offset: u64, bytes: usize) -> Result<Vec<u8>, DiskError>;

    /// Makes a new, empty file.
    ///
    /// # Errors
    /// As the disk says; also when it exists.
    fn create(&mut self, name: &str) -> Result<(), DiskError>;

    /// Writes all bytes behind the end of a file that this process made.
    ///
    /// # Errors
    /// As the disk says.
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError>;

    /// Returns when what was appended to the file survives a loss of power.
    ///
    /// # Errors
    /// As the disk says.
    fn sync(&mut self, name: &str) -> Result<(), DiskError>;

    /// Returns when files that were made or removed stay so after a loss of power.
    ///
    /// # Errors
    /// As the disk says.
    fn sync_directory(&mut self) -> Result<(), DiskError>;

    /// Removes a file; one that is missing is no error.
    ///
    /// # Errors
    /// As the disk says.
    fn remove(&mut self, name: &str) -> Result<(), DiskError>;
}

/// What a disk refused. All are treated alike: a full disk may surface under any number.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct DiskError(pub String);

/// Carries out a batch. When it returns, everything in it is durable; a segment is unlinked only
/// after the acknowledgements are synced that make it superfluous, and the unlinking of one segment
/// is durable before that of the next, so that none comes back without those behind it.
///
/// # Errors
/// The first refusal. Nothing is tried again: after a failed sync nobody knows what the file holds.
pub fn carry_out(batch: &Batch, disk: &mut dyn Disk) -> Result<(), DiskError> {
    if let Some(header) = &batch.header {
        disk.create(&batch.name)?;
        disk.append(&batch.name, header)?;
    }
    if !batch.bytes.is_empty() {
        disk.append(&batch.name, &batch.bytes)?;
        if !planted(Bug::NoSync) {
            disk.sync(&batch.name)?;
        }
    }
    if batch.header.is_some() && !planted(Bug::NoDirectorySync) {
        disk.sync_directory()?;
    }
    for name in &batch.remove {
        disk.remove(name)?;
        disk.sync_directory()?;
    }
    Ok(())
}
