//! The state topic's records as they were read and written, so that a topic that was deleted can be filled
//! again with every one of them.

use std::collections::BTreeMap;

use trunkline_protocol::domain::WriterId;

/// The newest value of every key, as compaction keeps it.
#[derive(Default)]
pub(super) struct Kept(BTreeMap<String, Record>);

struct Record {
    shard: u16,
    writer: WriterId,
    value: Vec<u8>,
}

impl Kept {
    /// A fact under its key.
    pub(super) fn keep(&mut self, key: String, shard: u16, writer: WriterId, value: Vec<u8>) {
        self.0.insert(key, Record { shard, writer, value });
    }

    /// Everything: shard, key and value. Words of others go under keys of `me`: they may be writing
    /// newer ones at this moment, and of one key only the last is kept.
    pub(super) fn all(&self, me: WriterId) -> impl Iterator<Item = (u16, String, Vec<u8>)> {
        self.0.iter().map(move |(key, record)| {
            let key = if record.writer == me { key.clone() } else { format!("{key}/{me}") };
            (record.shard, key, record.value.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_word_of_every_key_is_given_and_a_word_of_another_never_takes_the_place_of_its_own()
     {
        let (me, other) = (WriterId([1; 16]), WriterId([2; 16]));
        let mut kept = Kept::default();
        kept.keep("i/0/claim/a".to_owned(), 0, me, b"old".to_vec());
        kept.keep("i/0/claim/a".to_owned(), 0, me, b"new".to_vec());
        kept.keep("i/3/claim/b".to_owned(), 3, other, b"theirs".to_vec());
        let all: Vec<_> = kept.all(me).collect();
        let theirs = format!("i/3/claim/b/{me}");
        let expected =
            vec![(0, "i/0/claim/a".to_owned(), b"new".to_vec()), (3, theirs, b"theirs".to_vec())];
        assert_eq!(all, expected);
    }
}
