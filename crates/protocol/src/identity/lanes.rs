//! BLAKE3 of many messages side by side.
//!
//! A message of three kilobytes fills two of the sixteen lanes that the hash function works with;
//! sixteen messages fill them all, chunk by chunk, at a quarter of the cost. What the public
//! interface offers for it is used; the one call it does not offer is marked as unstable there,
//! hence the exact version in the manifest. A property test compares with the library's own hash.

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};
use blake3::platform::Platform;
use blake3::{CHUNK_LEN, Hasher, IncrementCounter};

/// How many messages are worth hashing together.
pub(super) const LANES: usize = 16;

/// The hash function's initial state, and its marks for the first and last block of a chunk.
const IV: [u32; 8] = [
    0x6A09_E667,
    0xBB67_AE85,
    0x3C6E_F372,
    0xA54F_F53A,
    0x510E_527F,
    0x9B05_688C,
    0x1F83_D9AB,
    0x5BE0_CD19,
];
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;

type Value = [u8; 32];

/// The hash of each message.
pub(super) fn hash_all(messages: &[&[u8]]) -> Vec<Value> {
    let platform = Platform::detect();
    let mut chunks: Vec<Vec<Value>> = messages
        .iter()
        .map(|message| Vec::with_capacity(message.len().div_ceil(CHUNK_LEN)))
        .collect();
    let longest = messages.iter().map(|message| whole_chunks(message)).max().unwrap_or(0);
    let mut out = [0; 32 * LANES];
    for index in 0..longest {
        let here: Vec<usize> =
            (0..messages.len()).filter(|&at| whole_chunks(messages[at]) > index).collect();
        for group in here.chunks(LANES) {
            let chunk = |&at: &usize| messages[at].as_chunks::<CHUNK_LEN>().0[index..].first();
            let inputs: Vec<&[u8; CHUNK_LEN]> = group.iter().filter_map(chunk).collect();
            let counter = index as u64;
            platform.hash_many(
                &inputs,
                &IV,
                counter,
                IncrementCounter::No,
                0,
                CHUNK_START,
                CHUNK_END,
                &mut out,
            );
            for (&at, value) in group.iter().zip(out.as_chunks::<32>().0) {
                chunks[at].push(*value);
            }
        }
    }
    let finish = |(message, values): (&&[u8], &mut Vec<Value>)| finish(message, values);
    messages.iter().zip(chunks.iter_mut()).map(finish).collect()
}

/// Chunks before the last one, which may be shorter.
fn whole_chunks(message: &[u8]) -> usize {
    message.len().saturating_sub(1) / CHUNK_LEN
}

fn finish(message: &[u8], values: &mut Vec<Value>) -> Value {
    if values.is_empty() {
        return *blake3::hash(message).as_bytes();
    }
    let offset = values.len() * CHUNK_LEN;
    let last = message.get(offset..).unwrap_or_default();
    let mut hasher = Hasher::new();
    values.push(hasher.set_input_offset(offset as u64).update(last).finalize_non_root());
    let (left, right) = values.split_at(left_chunks(values.len()));
    *merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()
}

fn subtree(values: &[Value]) -> Value {
    if let [one] = values {
        return *one;
    }
    let (left, right) = values.split_at(left_chunks(values.len()));
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// The left side of a tree is the largest power of two below its size.
fn left_chunks(count: usize) -> usize {
    count.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn side_by_side_and_alone_are_the_same(
            lengths in prop::collection::vec(0_usize..9_000, 0..40), seed: u8,
        ) {
            let bytes: Vec<u8> = (0..9_000_u32).map(|n| (n * 31) as u8 ^ seed).collect();
            let messages: Vec<&[u8]> = lengths.iter().map(|&length| &bytes[..length]).collect();
            let alone: Vec<Value> =
                messages.iter().map(|message| *blake3::hash(message).as_bytes()).collect();
            prop_assert_eq!(hash_all(&messages), alone);
        }
    }

    #[test]
    fn sizes_around_the_borders_of_chunks_are_the_same() {
        let bytes = [7; 70_000];
        for length in [0, 1, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 4096, 4097, 65_536, 70_000] {
            let message = &bytes[..length];
            assert_eq!(hash_all(&[message, message]), [*blake3::hash(message).as_bytes(); 2]);
        }
    }
}
