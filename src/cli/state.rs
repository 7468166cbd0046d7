//! The file of `--resume`: replaced as a whole, so that a kill leaves the old one or the new one.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use trunkline_protocol::history::Progress;

use crate::error::{ExitCode, ProcessError};

/// Where progress is noted.
pub(super) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// What the file holds, if there is one.
    pub(super) fn open(path: PathBuf) -> Result<(Self, Option<Progress>), ProcessError> {
        let wrong = |why: String| {
            let text = format!("--resume is {}: {why}", path.display());
            ProcessError::text(ExitCode::Config, text)
        };
        let progress = match fs::read_to_string(&path) {
            Ok(text) => Some(
                serde_json::from_str(&text)
                    .map_err(|error| wrong(format!("not written by this command ({error})")))?,
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(wrong(error.to_string())),
        };
        let state = Self { path };
        if progress.is_none() {
            // hours of reading must not end with a file that cannot be written
            state.replace("").map_err(|error| state.unwritable(&error))?;
            fs::remove_file(&state.path).ok(); // an empty one would be no state
        }
        Ok((state, progress))
    }

    /// Notes how far it is.
    pub(super) fn write(&self, progress: &Progress) -> Result<(), ProcessError> {
        let text = serde_json::to_string(progress)
            .map_err(|error| ProcessError::new(ExitCode::Internal, &error))?;
        self.replace(&text).map_err(|error| self.unwritable(&error))
    }

    /// What to do after a failure.
    pub(super) fn advice(&self) -> String {
        format!("; the same command goes on from {}", self.path.display())
    }

    fn replace(&self, text: &str) -> std::io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }

    fn unwritable(&self, error: &std::io::Error) -> ProcessError {
        let text = format!("--resume is {}: it cannot be written: {error}", self.path.display());
        ProcessError::text(ExitCode::Config, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_serve_is_refused_before_anything_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |path: PathBuf| match StateFile::open(path) {
            Ok(_) => panic!("it was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(refused(folder.path().join("no/such/folder/f")).contains("cannot be written"));
        let other = folder.path().join("other");
        fs::write(&other, "{}").expect("a file");
        assert!(refused(other).contains("not written by this command"));
        let new = folder.path().join("new");
        let (state, progress) = StateFile::open(new.clone()).expect("a new one");
        assert!(progress.is_none() && !new.exists());
        assert!(state.advice().contains("new"));
    }
}
