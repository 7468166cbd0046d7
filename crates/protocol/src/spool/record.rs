//! Framing: `mark, length, crc32c, body`, little-endian.
//!
//! The mark begins with a byte that UTF-8 never contains, and the checksum is seeded with a number
//! drawn by the process, so that nothing in a message can pass for a record.

use memchr::memmem;

use crate::domain::{BodyDigest, EpochId, EventId, Leg, Wall};
use crate::seeded::{Bug, planted};

const MARK: [u8; 4] = [0xf5, b't', b'r', 1];
const FRAME: usize = 12;
/// No body is longer; the platform's messages end at 64 MiB.
const LONGEST: usize = 1 << 28;

/// What a message was on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// A text message that the privacy policy changed; the digest of its body before that.
    Altered(BodyDigest),
    /// What stands for a message that could not be read and must not be kept.
    Withheld,
}

/// A message as it was heard, after the privacy policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spooled<'a> {
    /// Its number in the [`Journal`](crate::journal::Journal): the order of sending.
    pub number: u64,
    /// Text or binary.
    pub kind: Kind,
    /// When its last byte was read, by the platform's clock.
    pub received: Wall,
    /// The coverage it was heard in.
    pub epoch: EpochId,
    /// The place it was heard at.
    pub leg: Leg,
    /// Its identity, taken before the privacy policy.
    pub id: EventId,
    /// Its bytes.
    pub raw: &'a [u8],
}

/// One record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Event(Spooled<'a>),
    /// Numbers that Kafka acknowledged, eight bytes each.
    Acked(&'a [u8]),
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const ACKED: u8 = 3;
const ALTERED: u8 = 4;
const WITHHELD: u8 = 5;

/// Writes an event behind `out`.
pub(super) fn put_event(out: &mut Vec<u8>, seed: u32, event: &Spooled<'_>) {
    framed(out, seed, |out| {
        out.push(match event.kind {
            Kind::Text => TEXT,
            Kind::Binary => BINARY,
            Kind::Altered(_) => ALTERED,
            Kind::Withheld => WITHHELD,
        });
        out.extend_from_slice(&event.number.to_le_bytes());
        out.extend_from_slice(&event.received.0.to_le_bytes());
        out.extend_from_slice(&event.epoch.0);
        out.extend_from_slice(&event.leg.shard.to_le_bytes());
        out.push(event.leg.ordinal);
        out.extend_from_slice(&event.id.0);
        if let Kind::Altered(digest) = event.kind {
            out.extend_from_slice(&digest.0);
        }
        out.extend_from_slice(event.raw);
    });
}

/// Writes acknowledged numbers behind `out`.
pub(super) fn put_acked(out: &mut Vec<u8>, seed: u32, numbers: &[u64]) {
    framed(out, seed, |out| {
        out.push(ACKED);
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    });
}

fn framed(out: &mut Vec<u8>, seed: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&[0; 8]);
    body(out);
    let (head, body) = out[start..].split_at_mut(FRAME);
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    head[4..8].copy_from_slice(&length);
    head[8..].copy_from_slice(&checksum(seed, length, body).to_le_bytes());
}

fn checksum(seed: u32, length: [u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &length), body)
}

/// What a stretch of a segment held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Bytes that need no second look.
    pub(super) used: usize,
    /// Bytes the record at `used` needs, where that is known.
    pub(super) needs: usize,
    /// The last of it is no record.
    pub(super) ends_damaged: bool,
}

/// What is found in a stretch.
pub(super) enum Found<'a> {
    /// A record, and where it begins.
    Record(Entry<'a>, usize),
    /// Bytes that are no record, from here on.
    Damaged(usize),
}

/// Shows every record in `bytes`, in order. With `last`, nothing follows that could complete a
/// record; else the bytes from `used` on have to be shown again together with what follows.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    seed: u32,
    last: bool,
    mut show: impl FnMut(Found<'a>),
) -> Parsed {
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        match record(rest, seed) {
            One::Whole(entry, length) => {
                show(Found::Record(entry, at));
                at += length;
            }
            One::Short(needs) if !last => return Parsed { used: at, needs, ends_damaged: false },
            One::Short(_) | One::Broken => {
                let next = memmem::find_iter(rest, &MARK).find(|&next| {
                    next > 0
                        && match record(&rest[next..], seed) {
                            One::Whole(..) => true,
                            One::Short(_) => !last,
                            One::Broken => false,
                        }
                });
                // a mark may lie across the end
                let kept = if last { 0 } else { MARK.len() - 1 };
                let end = next.unwrap_or_else(|| rest.len().saturating_sub(kept).max(1));
                show(Found::Damaged(at));
                at += end;
                if next.is_none() {
                    return Parsed { used: at, needs: 0, ends_damaged: true };
                }
            }
        }
    }
    Parsed { used: at, needs: 0, ends_damaged: false }
}

enum One<'a> {
    Whole(Entry<'a>, usize),
    /// So many bytes are needed.
    Short(usize),
    Broken,
}

fn record(bytes: &[u8], seed: u32) -> One<'_> {
    let Some(head) = bytes.first_chunk::<FRAME>() else {
        let prefix = bytes.len().min(MARK.len());
        return if bytes[..prefix] == MARK[..prefix] { One::Short(FRAME) } else { One::Broken };
    };
    let length = [head[4], head[5], head[6], head[7]];
    let size = u32::from_le_bytes(length) as usize;
    if head[..4] != MARK || size > LONGEST {
        return One::Broken;
    }
    let Some(body) = bytes.get(FRAME..FRAME + size) else {
        return One::Short(FRAME + size);
    };
    let crc = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    let holds = || checksum(seed, length, body) == crc || planted(Bug::Unchecked);
    match entry(body).filter(|_| holds()) {
        Some(entry) => One::Whole(entry, FRAME + size),
        None => One::Broken,
    }
}

fn entry(body: &[u8]) -> Option<Entry<'_>> {
    let (&word, body) = body.split_first()?;
    let kind = match word {
        TEXT => Kind::Text,
        BINARY => Kind::Binary,
        ACKED => return Some(Entry::Acked(body)),
        ALTERED => Kind::Altered(BodyDigest([0; 16])),
        WITHHELD => Kind::Withheld,
        0 | 6.. => return None,
    };
    let (number, body) = body.split_first_chunk()?;
    let (received, body) = body.split_first_chunk()?;
    let (epoch, body) = body.split_first_chunk()?;
    let (shard, body) = body.split_first_chunk()?;
    let (&ordinal, body) = body.split_first()?;
    let (id, body) = body.split_first_chunk()?;
    let (kind, raw) = match kind {
        Kind::Altered(_) => {
            let (digest, raw) = body.split_first_chunk()?;
            (Kind::Altered(BodyDigest(*digest)), raw)
        }
        Kind::Text | Kind::Binary | Kind::Withheld => (kind, body),
    };
    Some(Entry::Event(Spooled {
        number: u64::from_le_bytes(*number),
        kind,
        received: Wall(i64::from_le_bytes(*received)),
        epoch: EpochId(*epoch),
        leg: Leg { shard: u16::from_le_bytes(*shard), ordinal },
        id: EventId(*id),
        raw,
    }))
}

/// The numbers of an acknowledgement.
pub(super) fn numbers(acked: &[u8]) -> impl Iterator<Item = u64> {
    acked.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(raw: &[u8]) -> Spooled<'_> {
        Spooled {
            number: u64::MAX,
            kind: Kind::Text,
            received: Wall(-7),
            epoch: EpochId([3; 16]),
            leg: Leg { shard: 9, ordinal: 1 },
            id: EventId([5; 16]),
            raw,
        }
    }

    fn shown(bytes: &[u8], last: bool) -> (Vec<String>, Parsed) {
        let mut seen = Vec::new();
        let parsed = parse(bytes, 77, last, |found| {
            seen.push(match found {
                Found::Record(Entry::Event(event), _) => {
                    String::from_utf8_lossy(event.raw).into_owned()
                }
                Found::Record(Entry::Acked(acked), _) => {
                    format!("{:?}", numbers(acked).collect::<Vec<_>>())
                }
                Found::Damaged(..) => "damage".to_owned(),
            });
        });
        (seen, parsed)
    }

    fn log() -> Vec<u8> {
        let mut out = Vec::new();
        put_event(&mut out, 77, &event(b"one"));
        put_acked(&mut out, 77, &[1, u64::MAX]);
        put_event(&mut out, 77, &event(b"two"));
        out
    }

    #[test]
    fn what_was_written_is_read_and_another_process_cannot_have_written_it() {
        let mut out = Vec::new();
        put_event(&mut out, 77, &event(b"raw"));
        let mut read = None;
        parse(&out, 77, true, |found| {
            if let Found::Record(Entry::Event(found), 0) = found {
                read = Some(found == event(b"raw"));
            }
        });
        assert_eq!(read, Some(true));
        parse(&out, 78, true, |found| assert!(matches!(found, Found::Damaged(0))));
    }

    #[test]
    fn every_kind_of_message_comes_back_as_it_was() {
        let digest = BodyDigest([8; 16]);
        for kind in [Kind::Text, Kind::Binary, Kind::Altered(digest), Kind::Withheld] {
            for raw in [&b""[..], b"raw"] {
                let (mut out, event) = (Vec::new(), Spooled { kind, ..event(raw) });
                put_event(&mut out, 77, &event);
                let mut read = None;
                parse(&out, 77, true, |found| {
                    if let Found::Record(Entry::Event(found), 0) = found {
                        read = Some(found == event);
                    }
                });
                assert_eq!(read, Some(true), "{kind:?}");
            }
        }
    }

    #[test]
    fn any_flipped_bit_costs_one_record_and_no_other() {
        let whole = log();
        let numbers = format!("{:?}", [1, u64::MAX]);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (seen, _) = shown(&bytes, true);
            let left = |word: &&str| seen.iter().any(|seen| seen == word);
            let left = ["one", numbers.as_str(), "two"].iter().filter(|word| left(word)).count();
            assert_eq!(left, 2, "bit {bit}: {seen:?}");
        }
    }

    #[test]
    fn a_record_that_is_not_whole_yet_is_asked_for_again() {
        let whole = log();
        for cut in 0..whole.len() {
            let (mut seen, parsed) = shown(&whole[..cut], false);
            assert!(parsed.used <= cut && !parsed.ends_damaged, "{cut}");
            seen.extend(shown(&whole[parsed.used..], true).0);
            assert_eq!(seen.len(), 3, "{cut}: {seen:?}");
        }
    }

    #[test]
    fn a_torn_tail_is_damage_at_the_end() {
        let whole = log();
        let (seen, parsed) = shown(&whole[..whole.len() - 1], true);
        assert_eq!((seen.len(), parsed.ends_damaged), (3, true));
        assert_eq!(seen[2], "damage");
    }
}
