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

/// Lines after the first `after`, at most `limit`, of file and memory together.
///
/// Entries move from memory into the file at any moment, also between the two readings; then both
/// are read again, for nothing may be missing between them.
pub(crate) fn page(
    after: u64,
    limit: usize,
    mut in_file: impl FnMut(u64, usize) -> anyhow::Result<Vec<String>>,
    mut in_memory: impl FnMut(u64, usize) -> Vec<Entry>,
) -> anyhow::Result<Vec<String>> {
    loop {
        let mut lines = in_file(after, limit)?;
        let last = after + lines.len() as u64;
        let kept = in_memory(last, limit - lines.len());
        if kept.first().is_none_or(|entry| entry.seq == last + 1) {
            lines.extend(kept.iter().map(line));
            return Ok(lines);
        }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if self.own && self.file.is_some() {
            drop(std::fs::remove_file(&self.path)); // a leftover temporary file hurts nobody
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::ledger::Ledger;

    fn entry() -> Entry {
        Entry {
            seq: 0,
            at_ms: 0,
            topic: String::new(),
            conversation_id: None,
            covered: false,
            body: None,
            delivered: Vec::new(),
            dropped: Vec::new(),
        }
    }

    #[test]
    fn an_entry_that_moves_into_the_file_between_the_readings_is_not_skipped() {
        let mut ledger = Ledger::default();
        (0..10).for_each(|_| ledger.push(entry()));
        let file = RefCell::new(Vec::new());
        let lines = page(
            2,
            6,
            |skip, limit| {
                let skip = usize::try_from(skip).unwrap();
                Ok(file.borrow().iter().skip(skip).take(limit).cloned().collect())
            },
            |last, limit| {
                let moved = ledger.overflow(5 * 160);
                file.borrow_mut().extend(moved.iter().map(line));
                ledger.after(last, limit).cloned().collect()
            },
        );
        let seqs: Vec<u64> = lines
            .unwrap()
            .iter()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap()
            })
            .collect();
        assert_eq!(seqs, [3, 4, 5, 6, 7, 8]);
        assert_eq!(file.borrow().len(), 5, "some were moved between the readings");
    }
}
