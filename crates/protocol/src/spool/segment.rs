//! Names and headers of segments.

use crate::domain::Wall;

const MAGIC: [u8; 8] = *b"TRKSPOOL";
/// What this code writes.
const VERSION: u32 = 1;
/// Bytes of a header: magic, version, number of the next event, checksum.
pub(super) const HEADER: usize = 24;

/// A file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Its place; the next one has the next number, beyond the last number comes 0.
    pub(super) ordinal: u64,
    /// Seeds its checksums; every process draws its own.
    pub(super) seed: u32,
}

impl Name {
    /// `None` for a file that is none of ours.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (ordinal, seed) = name.strip_suffix(".spool")?.split_once('-')?;
        let whole = ordinal.len() == 16 && seed.len() == 8;
        let ordinal = u64::from_str_radix(ordinal, 16).ok()?;
        let seed = u32::from_str_radix(seed, 16).ok()?;
        whole.then_some(Self { ordinal, seed })
    }

    /// Whether it comes after the other. Of two in one place, which no single process makes, the one
    /// with the larger seed does.
    pub(super) fn is_behind(self, other: Self) -> bool {
        match self.ordinal.wrapping_sub(other.ordinal).cast_signed() {
            0 => self.seed > other.seed,
            apart => apart > 0,
        }
    }

    pub(super) fn text(self) -> String {
        format!("{:016x}-{:08x}.spool", self.ordinal, self.seed)
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Ours; the number the next event had when it was written.
    Ours(u64),
    /// Of a later version of this program.
    Newer(u32),
    /// Damaged or not there.
    Unreadable,
}

pub(super) fn header(next: u64) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..8].copy_from_slice(&MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..20].copy_from_slice(&next.to_le_bytes());
    let crc = crc32c::crc32c(&out[..20]);
    out[20..].copy_from_slice(&crc.to_le_bytes());
    out
}

pub(super) fn read_header(bytes: &[u8]) -> Header {
    let Some(head) = bytes.first_chunk::<HEADER>() else { return Header::Unreadable };
    let Some((crc, checked)) = head.split_last_chunk::<4>().map(|(rest, crc)| (crc, rest)) else {
        return Header::Unreadable;
    };
    if head[..8] != MAGIC || crc32c::crc32c(checked).to_le_bytes() != *crc {
        return Header::Unreadable;
    }
    let (mut version, mut next) = ([0; 4], [0; 8]);
    version.copy_from_slice(&head[8..12]);
    next.copy_from_slice(&head[12..20]);
    match u32::from_le_bytes(version) {
        VERSION => Header::Ours(u64::from_le_bytes(next)),
        version => Header::Newer(version),
    }
}

/// One file of the log, as the log knows it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) name: Name,
    /// Where the synced part ends.
    pub(super) end: u64,
    /// Number of its newest event.
    pub(super) newest: Option<u64>,
    /// When its oldest event was heard.
    pub(super) oldest: Option<Wall>,
    /// Where to begin to look for a number: events below it lie before the offset.
    pub(super) marks: Vec<(u64, u64)>,
}

/// Bytes between two marks.
const STRIDE: u64 = 1 << 20;

impl Segment {
    pub(super) fn new(name: Name, end: u64) -> Self {
        Self { name, end, newest: None, oldest: None, marks: Vec::new() }
    }

    /// The event with this number begins at or behind `offset`.
    pub(super) fn event(&mut self, number: u64, received: Wall, offset: u64) {
        self.newest = Some(number);
        self.oldest.get_or_insert(received);
        if self.marks.last().is_none_or(|(_, at)| offset >= at + STRIDE) {
            self.marks.push((number, offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_where_a_segment_belongs_and_other_files_are_left_alone() {
        let name = Name { ordinal: u64::MAX, seed: 0xab };
        assert_eq!(name.text(), "ffffffffffffffff-000000ab.spool");
        assert_eq!(Name::parse(&name.text()), Some(name));
        for other in ["lock", "f-ab.spool", "000000000000000g-000000ab.spool", ""] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_header_tells_ours_from_a_newer_and_from_a_damaged_one() {
        let ours = header(9);
        assert_eq!(read_header(&ours), Header::Ours(9));
        assert_eq!(read_header(&ours[..9]), Header::Unreadable);
        let mut newer = ours;
        newer[8] = 2;
        assert_eq!(read_header(&newer), Header::Unreadable, "its checksum is wrong");
        let crc = crc32c::crc32c(&newer[..20]);
        newer[20..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(read_header(&newer), Header::Newer(2));
    }
}
