//! Ledger entries that no longer fit into memory, in an append-only file.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context as _;

use super::line;
use crate::ledger::Entry;

/// An append-only file of JSON lines, made when it is first needed.
pub(crate) struct Spill {
    path: PathBuf,
    own: bool,
    file: Option<BufWriter<File>>,
    failed: bool,
}

impl Spill {
    pub(crate) fn new(path: Option<PathBuf>) -> anyhow::Result<Self> {
        let own = path.is_none();
        let unique = format!("genesys-sim-{}-{:p}.jsonl", std::process::id(), &raw const own);
        let path = path.unwrap_or_else(|| std::env::temp_dir().join(unique));
        if path.exists() {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot replace {}", path.display()))?;
        }
        Ok(Self { path, own, file: None, failed: false })
    }

    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let written = self.try_append(entries);
        self.failed |= written.is_err();
    }

    fn try_append(&mut self, entries: &[Entry]) -> std::io::Result<()> {
        if self.file.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            self.file = Some(BufWriter::new(file));
        }
        let Some(file) = self.file.as_mut() else {
            return Ok(());
        };
        entries.iter().try_for_each(|entry| writeln!(file, "{}", line(entry)))
    }

    /// Lines after the first `skip`, at most `limit`.
    pub(crate) fn lines(&mut self, skip: u64, limit: usize) -> anyhow::Result<Vec<String>> {
        anyhow::ensure!(!self.failed, "the ledger could not be written to {}", self.path.display());
        let Some(file) = self.file.as_mut() else {
            return Ok(Vec::new());
        };
        file.flush()?;
        let reader = BufReader::new(File::open(&self.path)?);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(reader.lines().skip(skip).take(limit).collect::<Result<_, _>>()?)
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if self.own && self.file.is_some() {
            drop(std::fs::remove_file(&self.path)); // a leftover temporary file hurts nobody
        }
    }
}
