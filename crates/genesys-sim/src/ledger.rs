//! What was generated, and on which socket it was put or why not. Never what a client reports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

/// One event and where it went.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Position in the ledger, from 1.
    pub seq: u64,
    /// When it was fanned out, in milliseconds of the simulator's clock.
    pub at_ms: u64,
    /// Its topic.
    pub topic: String,
    /// Its conversation, where it has one.
    pub conversation_id: Option<String>,
    /// Whether any channel was subscribed to its topic.
    pub covered: bool,
    /// The body as sent; absent for events nobody wanted.
    pub body: Option<Arc<str>>,
    /// Numbers of the channels on whose sockets it was put.
    pub delivered: Vec<u64>,
    /// Numbers of the channels that were subscribed and did not get it, and why.
    pub dropped: Vec<(u64, &'static str)>,
}

impl Entry {
    /// The first 16 bytes of the BLAKE3 hash of the body as sent, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        let hash = self.body.as_ref().map(|body| blake3::hash(body.as_bytes()).to_hex());
        hash.map(|hash| hash.chars().take(32).collect())
    }

    /// The entry as a line of JSON, its digest included.
    #[must_use]
    pub fn line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(flatten)]
            entry: &'a Entry,
            digest: Option<String>,
        }
        let line = Line { entry: self, digest: self.digest() };
        serde_json::to_string(&line).expect("an entry is plain data")
    }
}

/// Entries in memory; the owner takes old ones away when they weigh too much.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: VecDeque<Entry>,
    bytes: usize,
    last_seq: u64,
    covered: u64,
    delivered: u64,
    dropped: BTreeMap<&'static str, u64>,
    counts_only: bool,
}

impl Ledger {
    /// Writes an entry; its `seq` is set here.
    pub fn push(&mut self, mut entry: Entry) {
        self.last_seq += 1;
        entry.seq = self.last_seq;
        self.covered += u64::from(entry.covered);
        self.delivered += entry.delivered.len() as u64;
        for (_, why) in &entry.dropped {
            *self.dropped.entry(why).or_default() += 1;
        }
        if !self.counts_only {
            self.bytes += weight(&entry);
            self.entries.push_back(entry);
        }
    }

    /// From now on entries are counted and not kept: for measurements, where nobody reads them.
    pub fn count_only(&mut self) {
        self.counts_only = true;
    }

    /// Entries after `seq` that are still in memory, oldest first, at most `limit`.
    pub fn after(&self, seq: u64, limit: usize) -> impl Iterator<Item = &Entry> {
        let skip = self.entries.front().map_or(0, |first| (seq + 1).saturating_sub(first.seq));
        self.entries.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)).take(limit)
    }

    /// Takes the oldest entries away until at most `cap` bytes are left in memory.
    pub fn overflow(&mut self, cap: usize) -> Vec<Entry> {
        let mut taken = Vec::new();
        while self.bytes > cap
            && let Some(entry) = self.entries.pop_front()
        {
            self.bytes -= weight(&entry);
            taken.push(entry);
        }
        taken
    }

    /// Entries written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.last_seq
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last_seq == 0
    }

    /// Deliveries so far: an event that two channels got counts twice.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Deliveries that did not happen so far, by reason.
    #[must_use]
    pub fn dropped(&self) -> &BTreeMap<&'static str, u64> {
        &self.dropped
    }

    /// Events somebody wanted among the last `most` entries in memory, newest first.
    pub fn latest(&self, most: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev().take(most).filter(|entry| entry.covered)
    }

    /// Whether entries are counted and not kept.
    #[must_use]
    pub fn only_counts(&self) -> bool {
        self.counts_only
    }

    /// Events on wanted topics so far.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.covered
    }
}

fn weight(entry: &Entry) -> usize {
    160 + entry.topic.len() + entry.body.as_ref().map_or(0, |body| body.len())
}
