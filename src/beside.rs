//! Small files beside the spool that tell the next process what this one knew. Each is a hint: one that is
//! missing, damaged or cannot be written costs the next process a question.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the file says, if it can be read.
#[must_use]
pub fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Replaces the file as a whole; it is for its owner's eyes. Blocks.
///
/// # Errors
/// When the disk refuses.
pub fn replace(path: &Path, said: &impl Serialize) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(said)?)?;
    std::fs::rename(&new, path)
}
