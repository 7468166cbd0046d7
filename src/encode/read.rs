//! Reads back what this software wrote. Later versions only append fields, so the beginning of a
//! record is read alike whatever version wrote it.

use std::collections::BTreeMap;

use serde::Serialize;

use trunkline_protocol::certificate::{Judgement, Level};
use trunkline_protocol::certifier::{Certificate, Counts, Seen, Subject};
use trunkline_protocol::domain::{Interval, Origin, Wall};
use trunkline_protocol::tally::Total;

/// Walks over Avro data behind Confluent framing.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn framed(value: &'a [u8]) -> Option<Self> {
        let (magic, rest) = value.split_first()?;
        (*magic == 0).then_some(Self(rest.get(4..)?))
    }

    fn long(&mut self) -> Option<i64> {
        let mut raw = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
            }
        }
        None
    }

    fn boolean(&mut self) -> Option<bool> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte != 0)
    }

    fn string(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.long()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    /// `["null", T]`.
    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.long()? {
            0 => Some(None),
            _ => read(self).map(Some),
        }
    }

    fn items<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut all = Vec::new();
        loop {
            let count = self.long()?;
            match count {
                0 => return Some(all),
                1.. => {}
                _ => _ = self.long()?, // a negative count is followed by the size in bytes
            }
            for _ in 0..count.unsigned_abs() {
                all.push(read(self)?);
            }
        }
    }
}

/// What of a conversation event counts for certificates.
#[must_use]
pub fn seen(partition: i32, offset: i64, value: &[u8]) -> Option<Seen> {
    let mut r = Reader::framed(value)?;
    let id = r.string()?.parse().ok()?;
    for _body_digest_org_topic in 0..3 {
        r.string()?;
    }
    let class = r.string()?.to_owned();
    r.string()?; // event_type
    let received = received(&mut r)?;
    r.optional(Reader::long)?; // version
    let word = r.string()?;
    let origin = Origin::ALL.into_iter().find(|origin| origin.as_str() == word)?;
    let gap = r.optional(|r| r.string()?.parse().ok())?;
    let epoch = r.optional(|r| r.string()?.parse().ok())?;
    Some(Seen { partition, offset, id, class, epoch, received, origin, gap })
}

/// On which topic a conversation event was heard, and when.
#[must_use]
pub fn heard(value: &[u8]) -> Option<(&str, Wall)> {
    let mut r = Reader::framed(value)?;
    for _id_body_digest_org in 0..3 {
        r.string()?;
    }
    let topic = r.string()?;
    for _class_event_type in 0..2 {
        r.string()?;
    }
    let received = received(&mut r)?;
    Some((topic, received))
}

/// What lies between `event_type` and `received_at`, and that.
fn received(r: &mut Reader<'_>) -> Option<Wall> {
    r.optional(Reader::string)?; // correlation_id
    r.long()?; // schema_version
    for _conversation_to_external_tag in 0..8 {
        r.optional(Reader::string)?;
    }
    r.items(Reader::string)?; // division_ids
    r.long()?; // event_time
    r.string()?; // event_time_source
    r.long().map(Wall)
}

/// A certificate of an installation; `None` for one of another or for what is none.
#[must_use]
pub fn certificate(value: &[u8], instance: &str) -> Option<Certificate> {
    let mut r = Reader::framed(value)?;
    r.string()?; // org_id
    if r.string()? != instance {
        return None;
    }
    let shard = u16::try_from(r.long()?).ok()?;
    let class = r.string()?.to_owned();
    let interval = Interval::new(Wall(r.long()?), Wall(r.long()?));
    let word = r.string()?;
    let level = Level::ALL.into_iter().find(|level| level.as_str() == word)?;
    let revision = u32::try_from(r.long()?).ok()?;
    let epochs = r.items(|r| r.string()?.parse().ok())?;
    let sets = r.items(|r| r.string()?.parse().ok())?;
    let gaps = r.items(|r| r.string()?.parse().ok())?;
    r.long()?; // margin_ms
    r.long()?; // clock_error_ms
    let count = |r: &mut Reader<'_>| u64::try_from(r.long()?).ok();
    let (live, backfill, quarantine) = (count(&mut r)?, count(&mut r)?, count(&mut r)?);
    let partitions = r.items(|r| {
        let partition = i32::try_from(r.long()?).ok()?;
        let (first_offset, end_offset, count) = (r.long()?, r.long()?, count(r)?);
        let xor = u128::from_str_radix(r.string()?, 16).ok()?;
        let sum = u128::from_str_radix(r.string()?, 16).ok()?;
        Some((partition, Total { first_offset, end_offset, count, xor, sum }))
    })?;
    let mut time = || r.optional(|r| r.long().map(Wall));
    let (history_watermark, closed_at, expected_close_at) = (time()?, time()?, time()?);
    let partitions: BTreeMap<_, _> = partitions.into_iter().collect();
    Some(Certificate {
        subject: Subject { shard, class, from: interval.from },
        to: interval.to,
        revision,
        judgement: Judgement {
            level,
            epochs,
            sets,
            gaps,
            history_watermark,
            closed_at,
            expected_close_at,
        },
        counts: Counts { live, backfill, quarantine, partitions },
    })
}

/// A gap record, as people look at it. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapRow {
    /// Names it.
    pub gap_id: String,
    /// Ordinal of the shard.
    pub shard: i64,
    /// Class of topics.
    pub topic_class: String,
    /// Topics concerned; empty: all of the class.
    pub topics: Vec<String>,
    /// `growing`, `open` or `closed`.
    pub state: String,
    /// Why.
    pub cause: String,
    /// Start.
    pub from_ms: i64,
    /// End; `None` while it grows.
    pub to_ms: Option<i64>,
    /// When it was recorded first.
    pub recorded_at_ms: i64,
    /// Two queries of history agree.
    pub provisional: bool,
    /// Readings of history.
    pub reads: i64,
    /// Conversations of the newest reading.
    pub rows_read: i64,
    /// Records written by all readings.
    pub rows_written: i64,
    /// Conversations that history should have shown and did not.
    pub rows_missing: i64,
    /// History was complete up to here.
    pub history_watermark_ms: Option<i64>,
    /// When it is expected to be closed.
    pub expected_close_at_ms: Option<i64>,
    /// How it was closed.
    pub outcome: Option<String>,
    /// When it was closed.
    pub closed_at_ms: Option<i64>,
}

/// A gap of an installation; `None` for one of another or for what is none.
#[must_use]
pub fn gap(value: &[u8], instance: &str) -> Option<GapRow> {
    let mut r = Reader::framed(value)?;
    let gap_id = r.string()?.to_owned();
    r.string()?; // org_id
    if r.string()? != instance {
        return None;
    }
    let owned = |r: &mut Reader<'_>| r.string().map(str::to_owned);
    Some(GapRow {
        gap_id,
        shard: r.long()?,
        topic_class: owned(&mut r)?,
        topics: r.items(|r| r.string().map(str::to_owned))?,
        state: owned(&mut r)?,
        cause: owned(&mut r)?,
        from_ms: r.long()?,
        to_ms: r.optional(Reader::long)?,
        recorded_at_ms: {
            r.long()?; // margin_ms
            r.long()?
        },
        provisional: r.boolean()?,
        reads: r.long()?,
        rows_read: r.long()?,
        rows_written: r.long()?,
        rows_missing: r.long()?,
        history_watermark_ms: r.optional(Reader::long)?,
        expected_close_at_ms: r.optional(Reader::long)?,
        outcome: r.optional(|r| r.string().map(str::to_owned))?,
        closed_at_ms: r.optional(Reader::long)?,
    })
}

/// What of a conversation event is told about it. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// Where it is.
    pub partition: i32,
    /// Where it is.
    pub offset: i64,
    /// Identity.
    pub event_id: String,
    /// Equal for one change on several topics.
    pub body_digest: String,
    /// Class of its topic.
    pub topic_class: String,
    /// What happened.
    pub event_type: String,
    /// Its own time.
    pub event_time_ms: i64,
    /// When it was heard, or read.
    pub received_at_ms: i64,
    /// Newest time inside the body.
    pub version_ms: Option<i64>,
    /// Where it comes from.
    pub origin: String,
    /// The gap it fills.
    pub gap_id: Option<String>,
    /// The coverage it was heard in.
    pub epoch_id: Option<String>,
}

/// A conversation event.
#[must_use]
pub fn event(partition: i32, offset: i64, value: &[u8]) -> Option<EventRow> {
    let mut r = Reader::framed(value)?;
    let (event_id, body_digest) = (r.string()?.to_owned(), r.string()?.to_owned());
    r.string()?; // org_id
    r.string()?; // topic
    let (topic_class, event_type) = (r.string()?.to_owned(), r.string()?.to_owned());
    r.optional(Reader::string)?; // correlation_id
    r.long()?; // schema_version
    for _conversation_to_external_tag in 0..8 {
        r.optional(Reader::string)?;
    }
    r.items(Reader::string)?; // division_ids
    let event_time_ms = r.long()?;
    r.string()?; // event_time_source
    let (received_at_ms, version_ms) = (r.long()?, r.optional(Reader::long)?);
    let origin = r.string()?.to_owned();
    let gap_id = r.optional(|r| r.string().map(str::to_owned))?;
    let epoch_id = r.optional(|r| r.string().map(str::to_owned))?;
    Some(EventRow {
        partition,
        offset,
        event_id,
        body_digest,
        topic_class,
        event_type,
        event_time_ms,
        received_at_ms,
        version_ms,
        origin,
        gap_id,
        epoch_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_or_no_record_is_nothing() {
        for value in [&[][..], &[1, 0, 0, 0, 1], &[0, 0, 0], &[0, 0, 0, 0, 1, 0x80, 0x80]] {
            assert_eq!(seen(0, 0, value), None);
            assert_eq!(certificate(value, "i"), None);
        }
    }

    #[test]
    fn a_block_with_its_size_is_read_like_one_without() {
        // count -2, size 2, then "" and ""; then the end
        let mut r = Reader(&[3, 4, 0, 0, 0]);
        assert_eq!(r.items(Reader::string), Some(vec!["", ""]));
    }
}
