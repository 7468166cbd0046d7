//! Decides what is written when, into which segment, and which segments go.
//!
//! An event that Kafka acknowledges within [`GROUP_WAIT`] needs no copy on the disk and gets none.
//! Every [`PROBE`] a group is written as a whole, so that a disk that fails is known before it is
//! needed and numbers on it stay near those in memory.
//!
//! ```text
//! Writing ── a batch is taken ──► busy ── written ──► Writing
//!                                  └───── failed ───► Failed: nothing is written any more,
//!                                                     segments still go when all is acknowledged
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::record::{self, Spooled};
use super::segment::{self, HEADER, Name, Segment};
use super::settled::Settled;
use crate::domain::{Mono, Wall};
use crate::journal::Journal;

/// How long an append waits for company, and for Kafka, before it is written.
pub const GROUP_WAIT: Duration = Duration::from_millis(50);

/// A group this long after the one before is written as a whole.
pub const PROBE: Duration = Duration::from_secs(5);

/// Bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A segment that reached this many bytes gets a successor.
    pub segment_bytes: u64,
    /// At this many bytes nothing more is taken; acknowledgements still are, a little beyond it.
    pub max_bytes: u64,
    /// At this many bytes in memory nothing more is taken until the disk has answered.
    pub group_bytes: usize,
}

/// What is to be written at once; see [`carry_out`](super::carry_out).
#[derive(Clone, Debug)]
pub struct Batch {
    /// The segment.
    pub name: String,
    /// The segment is new and begins with these bytes.
    pub header: Option<[u8; HEADER]>,
    /// What goes behind its end; the log keeps a copy until it is durable.
    pub bytes: Arc<Vec<u8>>,
    /// Segments to unlink afterwards, oldest first.
    pub remove: Vec<String>,
}

/// The log. Its numbers are those of the journal.
#[derive(Debug)]
pub struct Log {
    limits: Limits,
    seed: u32,
    segments: VecDeque<Segment>,
    /// The newest segment is of this process.
    writable: bool,
    /// Where the next segment belongs.
    ordinal: u64,
    settled: Settled,
    group: Group,
    acked: Vec<u64>,
    /// Since when an acknowledgement waits.
    acked_since: Option<Mono>,
    busy: Option<Busy>,
    /// When something was written last.
    written_at: Option<Mono>,
    spare: Vec<u8>,
    failed: bool,
    /// Nor can segments be removed.
    stuck: bool,
    /// What was on its way when the disk failed.
    tail: Vec<u8>,
}

/// What waits to be written.
#[derive(Debug, Default)]
struct Group {
    bytes: Vec<u8>,
    since: Option<Mono>,
    /// Number, time and place of every event, in order.
    events: Vec<(u64, Wall, usize)>,
}

impl Group {
    /// Leaves the events that are still open.
    fn keep(&mut self, is_open: impl Fn(u64) -> bool) {
        let (mut kept, mut end) = (Vec::new(), 0);
        for (nth, &(number, received, start)) in self.events.iter().enumerate() {
            if is_open(number) {
                let next = self.events.get(nth + 1).map_or(self.bytes.len(), |next| next.2);
                self.bytes.copy_within(start..next, end);
                kept.push((number, received, end));
                end += next - start;
            }
        }
        self.bytes.truncate(end);
        self.events = kept;
    }
}

#[derive(Debug)]
struct Busy {
    bytes: Arc<Vec<u8>>,
    /// The segment that is made.
    made: Option<Name>,
    /// Number, time and place of its first event.
    first: Option<(u64, Wall, usize)>,
    newest: Option<u64>,
    /// Segments that go, from the front.
    removes: usize,
}

/// Numbers in one acknowledgement.
const ACKED_AT_ONCE: usize = 4_096;

impl Log {
    /// An empty log whose first event has the number `next` and whose first segment belongs at
    /// `ordinal`; `seed` is drawn by every process anew.
    #[must_use]
    pub fn empty(limits: Limits, seed: u32, next: u64, ordinal: u64) -> Self {
        Self::found(limits, seed, VecDeque::new(), Settled::starting_at(next), ordinal)
    }

    pub(super) fn found(
        limits: Limits,
        seed: u32,
        segments: VecDeque<Segment>,
        settled: Settled,
        ordinal: u64,
    ) -> Self {
        Self {
            limits,
            seed,
            segments,
            writable: false,
            ordinal,
            settled,
            group: Group::default(),
            acked: Vec::new(),
            acked_since: None,
            busy: None,
            written_at: None,
            spare: Vec::new(),
            failed: false,
            stuck: false,
            tail: Vec::new(),
        }
    }

    /// The number of the next event.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.settled.next()
    }

    /// Every event before it is settled.
    #[must_use]
    pub fn settled_below(&self) -> u64 {
        self.settled.below()
    }

    /// Whether the event has to be sent and is not acknowledged.
    #[must_use]
    pub fn is_open(&self, number: u64) -> bool {
        self.settled.is_open(number)
    }

    /// How many events are not settled, or settled behind one that is not.
    #[must_use]
    pub fn open(&self) -> usize {
        self.settled.open()
    }

    /// When the oldest event without an acknowledgement was heard, or a little before.
    #[must_use]
    pub fn oldest_open(&self) -> Option<Wall> {
        self.settled.oldest_open()
    }

    /// A journal that goes on where the log does.
    #[must_use]
    pub fn journal(&self) -> Journal {
        let mut journal = Journal::starting_at(self.settled_below());
        while journal.next() != self.next() {
            let number = journal.keep();
            if !self.is_open(number) {
                journal.durable(number);
            }
        }
        journal
    }

    /// Whether another event may be appended: never again after a failure.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.failed && !self.is_full() && self.group.bytes.len() < self.limits.group_bytes
    }

    /// Whether the cap is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes() >= self.limits.max_bytes
    }

    /// Bytes in segments and on their way there.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let busy = self.busy.as_ref().map_or(0, |busy| busy.bytes.len());
        let stored: u64 = self.segments.iter().map(|segment| segment.end).sum();
        stored + (busy + self.group.bytes.len()) as u64
    }

    /// When the oldest event of the oldest segment was heard.
    #[must_use]
    pub fn oldest(&self) -> Option<Wall> {
        self.segments.iter().find_map(|segment| segment.oldest)
    }

    /// Whether a write was refused: from then on events have no copy on the disk.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.failed
    }

    /// Takes an event under the number after the one before. Does nothing after a failure.
    pub fn append(&mut self, event: &Spooled<'_>, now: Mono) {
        if self.failed || !self.settled.event(event.number, event.received) {
            debug_assert!(self.failed, "numbers follow each other");
            return;
        }
        self.group.events.push((event.number, event.received, self.group.bytes.len()));
        record::put_event(&mut self.group.bytes, self.seed, event);
        self.group.since.get_or_insert(now);
    }

    /// Kafka acknowledged the event with this number.
    pub fn acked(&mut self, number: u64, now: Mono) {
        self.settled.acked(number);
        let on_disk = match self.group.events.first() {
            Some(&(first, ..)) => self.settled.is_before(number, first),
            None => true,
        };
        if !self.failed && on_disk {
            self.acked.push(number);
            self.acked_since.get_or_insert(now);
        }
    }

    /// When [`Self::take_batch`] has something to give.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let since = [self.group.since, self.acked_since].into_iter().flatten().min();
        since.filter(|_| self.busy.is_none()).map(|since| since + GROUP_WAIT)
    }

    /// What is to be written now; answer with [`Self::written`] or [`Self::refused`] before the next.
    pub fn take_batch(&mut self, now: Mono) -> Option<Batch> {
        if self.failed {
            return self.take_removal();
        }
        let crowded = self.busy.is_none() && self.group.bytes.len() >= self.limits.group_bytes / 2;
        if !crowded && self.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        let mut group = std::mem::take(&mut self.group);
        self.group.bytes = std::mem::take(&mut self.spare);
        let probes = self.written_at.is_none_or(|at| now.since(at) >= PROBE);
        if probes {
            let numbers = group.events.iter().map(|&(number, ..)| number);
            self.acked.extend(numbers.filter(|&number| !self.settled.is_open(number)));
        } else {
            group.keep(|number| self.settled.is_open(number));
        }
        if group.bytes.is_empty() && self.acked.is_empty() {
            self.spare = group.bytes;
            return None;
        }
        self.written_at = Some(now);
        for numbers in self.acked.chunks(ACKED_AT_ONCE) {
            record::put_acked(&mut group.bytes, self.seed, numbers);
        }
        self.acked.clear();
        self.acked_since = None;
        let end = self.segments.back().map_or(0, |segment| segment.end);
        let fits = end + group.bytes.len() as u64 <= self.limits.segment_bytes;
        let (name, made) = match self.segments.back() {
            Some(current) if self.writable && (fits || end == HEADER as u64) => {
                (current.name, None)
            }
            Some(_) | None => {
                let name = Name { ordinal: self.ordinal, seed: self.seed };
                (name, Some(name))
            }
        };
        let kept = usize::from(made.is_none()); // what is written to stays
        let removes = self.removable(self.segments.len() - kept);
        let remove = self.names(removes);
        let Group { bytes, events, .. } = group;
        let (first, newest) = (events.first().copied(), events.last().map(|event| event.0));
        let bytes = Arc::new(bytes);
        let next = first.map_or(self.next(), |(number, ..)| number);
        let header = made.map(|_| segment::header(next));
        self.busy = Some(Busy { bytes: Arc::clone(&bytes), made, first, newest, removes });
        Some(Batch { name: name.text(), header, bytes, remove })
    }

    /// After a failure: what is acknowledged as a whole goes, so that it is not sent again.
    fn take_removal(&mut self) -> Option<Batch> {
        let removes = self.removable(self.segments.len());
        if self.stuck || self.busy.is_some() || removes == 0 {
            return None;
        }
        let bytes = Arc::new(Vec::new());
        let remove = self.names(removes);
        self.busy = Some(Busy {
            bytes: Arc::clone(&bytes),
            made: None,
            first: None,
            newest: None,
            removes,
        });
        Some(Batch { name: String::new(), header: None, bytes, remove })
    }

    /// How many segments from the front on, `most` at most, hold nothing that has to be sent.
    fn removable(&self, most: usize) -> usize {
        let below = self.settled.below();
        let done = |segment: &&Segment| {
            segment.newest.is_none_or(|newest| self.settled.is_before(newest, below))
        };
        self.segments.iter().take(most).take_while(done).count()
    }

    fn names(&self, count: usize) -> Vec<String> {
        self.segments.iter().take(count).map(|segment| segment.name.text()).collect()
    }

    /// The batch is durable and its removals are done.
    pub fn written(&mut self) {
        let Some(busy) = self.busy.take() else { return };
        if let Some(name) = busy.made {
            self.segments.push_back(Segment::new(name, HEADER as u64));
            self.ordinal = name.ordinal.wrapping_add(1);
            self.writable = true;
        }
        if let Some(segment) = self.segments.back_mut().filter(|_| !self.failed) {
            if let Some((number, received, at)) = busy.first {
                segment.event(number, received, segment.end + at as u64);
            }
            segment.newest = busy.newest.or(segment.newest);
            segment.end += busy.bytes.len() as u64;
        }
        self.segments.drain(..busy.removes);
        if let Ok(mut spare) = Arc::try_unwrap(busy.bytes) {
            spare.clear();
            self.spare = spare;
        }
    }

    /// The batch was refused, or the disk does not answer: the log is failed for good. What was on
    /// its way there stays in memory for a [`Reader`](super::Reader).
    pub fn refused(&mut self) {
        let Some(busy) = self.busy.take() else { return };
        self.stuck = self.failed;
        self.failed = true;
        self.acked = Vec::new();
        self.acked_since = None;
        if let Some(name) = busy.made {
            self.segments.push_back(Segment::new(name, 0)); // what there is of it goes with the rest
        }
        let group = std::mem::take(&mut self.group);
        if let Some(segment) = self.segments.back_mut() {
            segment.newest = busy.newest.or(segment.newest);
        }
        self.tail.extend_from_slice(&busy.bytes);
        self.tail.extend_from_slice(&group.bytes);
    }

    pub(super) fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    pub(super) fn settled(&self) -> &Settled {
        &self.settled
    }

    /// What was on its way when the disk failed, and the seed of its checksums.
    pub(super) fn tail(&self) -> (&[u8], u32) {
        (&self.tail, self.seed)
    }

    /// Whether nothing is on its way to the disk.
    pub(super) fn is_quiet(&self) -> bool {
        self.busy.is_none() && self.group.bytes.is_empty()
    }
}
