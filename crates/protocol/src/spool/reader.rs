//! Reads back, in order, what memory had no room for.

use super::log::Log;
use super::record::{self, Entry, Found, Spooled};
use super::segment::{HEADER, Name, Segment};

/// A place in the log from which events are shown, each once and in order.
#[derive(Clone, Debug)]
pub struct Reader {
    segment: Name,
    offset: u64,
    /// The event that is shown next.
    expects: u64,
    /// Bytes that the record at `offset` needs.
    needs: usize,
}

/// What to read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The segment.
    pub name: String,
    /// From here on.
    pub offset: u64,
    /// So many bytes.
    pub bytes: usize,
    seed: u32,
    last: bool,
}

/// The disk no longer holds an event that was synced and still has to be sent. Nothing may be
/// claimed over it; a new process finds out what is left.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("event {0} cannot be read back from the spool")]
pub struct Vanished(pub u64);

/// Bytes read at once, unless a record needs more.
const CHUNK: usize = 1 << 20;

impl Reader {
    /// Shows the events from `number` on that still have to be sent.
    #[must_use]
    pub fn at(log: &Log, number: u64) -> Self {
        let after = number.wrapping_add(1);
        let found = log.segments().iter().rev().find_map(|segment| {
            let reached = |mark: &&(u64, u64)| log.settled().is_before(mark.0, after);
            let mark = segment.marks.iter().rev().find(reached)?;
            Some((segment.name, mark.1))
        });
        let nothing = Name { ordinal: 0, seed: 0 };
        let front = log.segments().front().map_or(nothing, |segment| segment.name);
        let (segment, offset) = found.unwrap_or((front, HEADER as u64));
        let mut reader = Self { segment, offset, expects: number, needs: 0 };
        reader.skip_settled(log);
        reader
    }

    /// Every event before it was shown.
    #[must_use]
    pub fn expects(&self) -> u64 {
        self.expects
    }

    /// What to read next; `None` when everything that is durable was shown.
    ///
    /// # Errors
    /// [`Vanished`] when an event is missing and nothing can bring it any more.
    pub fn want(&mut self, log: &Log) -> Result<Option<Read>, Vanished> {
        while let Some(segment) = self.segment(log) {
            if self.segment != segment.name {
                (self.segment, self.offset, self.needs) = (segment.name, HEADER as u64, 0);
            }
            if self.offset < segment.end {
                let left = usize::try_from(segment.end - self.offset).unwrap_or(usize::MAX);
                let bytes = self.needs.max(CHUNK).min(left);
                let (name, seed) = (segment.name.text(), segment.name.seed);
                let (offset, last) = (self.offset, bytes == left);
                return Ok(Some(Read { name, offset, bytes, seed, last }));
            }
            let Some(next) = after(log, self.segment) else { break };
            (self.segment, self.offset, self.needs) = (next.name, HEADER as u64, 0);
        }
        self.skip_settled(log);
        match self.expects == log.next() || !log.is_quiet() || !log.tail().0.is_empty() {
            true => Ok(None),
            false => Err(Vanished(self.expects)),
        }
    }

    /// Takes what was read and shows the events in it that still have to be sent.
    ///
    /// # Errors
    /// [`Vanished`] when one is missing.
    pub fn took(
        &mut self,
        read: &Read,
        bytes: &[u8],
        log: &Log,
        mut show: impl FnMut(Spooled<'_>),
    ) -> Result<(), Vanished> {
        let last = read.last || bytes.len() < read.bytes; // a file that is shorter than it was
        let parsed = self.parse(bytes, read.seed, last, log, &mut show)?;
        self.needs = parsed.needs;
        self.offset += if last { read.bytes.max(1) } else { parsed.used } as u64;
        self.skip_settled(log);
        Ok(())
    }

    /// After a failure, once [`Self::want`] has nothing more: what had not reached the disk.
    ///
    /// # Errors
    /// [`Vanished`] when an event is missing.
    pub fn take_tail(
        &mut self,
        log: &Log,
        mut show: impl FnMut(Spooled<'_>),
    ) -> Result<(), Vanished> {
        let (tail, seed) = log.tail();
        self.parse(tail, seed, true, log, &mut show)?;
        self.skip_settled(log);
        if self.expects == log.next() { Ok(()) } else { Err(Vanished(self.expects)) }
    }

    fn parse(
        &mut self,
        bytes: &[u8],
        seed: u32,
        last: bool,
        log: &Log,
        show: &mut impl FnMut(Spooled<'_>),
    ) -> Result<record::Parsed, Vanished> {
        let mut vanished = None;
        let parsed = record::parse(bytes, seed, last, |found| match found {
            Found::Record(Entry::Event(event), _) if vanished.is_none() => {
                let settled = log.settled();
                if settled.is_before(event.number, self.expects) || !settled.contains(event.number)
                {
                    return; // shown, older than what was asked for, or damage that was counted
                }
                while self.expects != event.number && vanished.is_none() {
                    if log.is_open(self.expects) {
                        vanished = Some(Vanished(self.expects));
                    }
                    self.expects = self.expects.wrapping_add(1);
                }
                if vanished.is_none() {
                    self.expects = event.number.wrapping_add(1);
                    if log.is_open(event.number) {
                        show(event);
                    }
                }
            }
            Found::Record(Entry::Event(_) | Entry::Acked(_), _) | Found::Damaged(..) => {}
        });
        vanished.map_or(Ok(parsed), Err)
    }

    fn skip_settled(&mut self, log: &Log) {
        while self.expects != log.next() && !log.is_open(self.expects) {
            self.expects = self.expects.wrapping_add(1);
        }
    }

    /// The segment it is in, or the next one there is.
    fn segment<'a>(&self, log: &'a Log) -> Option<&'a Segment> {
        let here = |segment: &&Segment| segment.name == self.segment;
        log.segments().iter().find(here).or_else(|| after(log, self.segment))
    }
}

/// The first segment behind this place.
fn after(log: &Log, place: Name) -> Option<&Segment> {
    log.segments().iter().find(|segment| segment.name.is_behind(place))
}
