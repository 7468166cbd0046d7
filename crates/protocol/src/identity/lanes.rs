//! BLAKE3 of many messages side by side.
//!
//! A message of three kilobytes fills two of the sixteen lanes that the hash function works with;
//! sixteen messages fill them all, chunk by chunk, at a quarter of the cost. What the public
//! interface offers for it is used; the one call it does not offer is marked as unstable there,
//! hence the exact version in the manifest. A property test compares with the library's own hash.

use std::collections::BTreeMap;

use blake3::platform::Platform;
use blake3::{BLOCK_LEN, CHUNK_LEN, IncrementCounter};

/// How many messages the hash function works on side by side.
const LANES: usize = 16;

/// The hash function's initial state, and its marks of blocks (specified, section 2 of its paper).
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
const PARENT: u8 = 4;
const ROOT: u8 = 8;

type Value = [u8; 32];

/// The hash of each message.
pub(super) fn hash_all(messages: &[&[u8]]) -> Vec<Value> {
    let platform = Platform::detect();
    let mut nodes: Vec<Vec<Value>> = messages
        .iter()
        .map(|message| Vec::with_capacity(message.len().div_ceil(CHUNK_LEN).max(1)))
        .collect();
    leaves(platform, messages, &mut nodes);
    merge(platform, &mut nodes);
    nodes.iter().map(|nodes| nodes[0]).collect()
}

/// The value of every chunk: whole ones side by side, the last one of a message alone.
fn leaves(platform: Platform, messages: &[&[u8]], nodes: &mut [Vec<Value>]) {
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
                nodes[at].push(*value);
            }
        }
    }
    last_chunks(platform, messages, nodes);
}

/// Chunks before the last one, which may be shorter.
fn whole_chunks(message: &[u8]) -> usize {
    message.len().saturating_sub(1) / CHUNK_LEN
}

/// The last chunk of each message: blocks before the last one side by side with those of other
/// messages that have as many at the same place; the last block, which may be shorter, alone.
fn last_chunks(platform: Platform, messages: &[&[u8]], nodes: &mut [Vec<Value>]) {
    let mut alike: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (at, message) in messages.iter().enumerate() {
        let index = whole_chunks(message);
        let blocks = (message.len() - index * CHUNK_LEN).saturating_sub(1) / BLOCK_LEN;
        alike.entry((index, blocks)).or_default().push(at);
    }
    let mut out = [0; 32 * LANES];
    for ((index, blocks), members) in alike {
        for group in members.chunks(LANES) {
            let chunks: Vec<&[u8]> =
                group.iter().map(|&at| &messages[at][index * CHUNK_LEN..]).collect();
            before_last(platform, blocks, &chunks, index as u64, &mut out);
            let states = out.as_chunks::<32>().0;
            for ((&at, chunk), state) in group.iter().zip(chunks).zip(states) {
                let state = if blocks == 0 { IV } else { words(state) };
                let last = chunk.get(blocks * BLOCK_LEN..).unwrap_or_default();
                let start = if blocks == 0 { CHUNK_START } else { 0 };
                let root = if index == 0 { ROOT } else { 0 };
                let flags = start | CHUNK_END | root;
                nodes[at].push(last_block(platform, state, last, index as u64, flags));
            }
        }
    }
}

/// Works through the first `blocks` blocks of each chunk.
fn before_last(platform: Platform, blocks: usize, chunks: &[&[u8]], index: u64, out: &mut [u8]) {
    macro_rules! of_blocks {
        ($($count:literal)*) => {
            match blocks {
                $($count => {
                    let inputs: Vec<&[u8; $count * BLOCK_LEN]> =
                        chunks.iter().filter_map(|chunk| chunk.first_chunk()).collect();
                    let no = IncrementCounter::No;
                    platform.hash_many(&inputs, &IV, index, no, 0, CHUNK_START, 0, out);
                })*
                _ => {}
            }
        };
    }
    of_blocks!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}

fn last_block(
    platform: Platform,
    mut state: [u32; 8],
    bytes: &[u8],
    index: u64,
    flags: u8,
) -> Value {
    let mut block = [0; BLOCK_LEN];
    block[..bytes.len()].copy_from_slice(bytes);
    platform.compress_in_place(&mut state, &block, bytes.len() as u8, index, flags);
    let mut value = [0; 32];
    for (bytes, word) in value.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_le_bytes();
    }
    value
}

fn words(value: &Value) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(value.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

/// Merges neighbours level by level, an odd one is carried up, until each message has its root.
fn merge(platform: Platform, nodes: &mut [Vec<Value>]) {
    let mut out = [0; 32 * LANES];
    while nodes.iter().any(|nodes| nodes.len() > 1) {
        let (mut pairs, mut last_pairs, mut odds) = (Vec::new(), Vec::new(), Vec::new());
        for (at, nodes) in nodes.iter_mut().enumerate().filter(|(_, nodes)| nodes.len() > 1) {
            let (twos, odd) = nodes.as_chunks::<2>();
            let pairs = if nodes.len() == 2 { &mut last_pairs } else { &mut pairs };
            pairs.extend(twos.iter().map(|&[left, right]| (at, joined(left, right))));
            odds.extend(odd.iter().map(|&odd| (at, odd)));
            nodes.clear();
        }
        for (flags, pairs) in [(PARENT, pairs), (PARENT | ROOT, last_pairs)] {
            for group in pairs.chunks(LANES) {
                let blocks: Vec<&[u8; BLOCK_LEN]> = group.iter().map(|(_, block)| block).collect();
                let no = IncrementCounter::No;
                platform.hash_many(&blocks, &IV, 0, no, flags, 0, 0, &mut out);
                for ((at, _), value) in group.iter().zip(out.as_chunks::<32>().0) {
                    nodes[*at].push(*value);
                }
            }
        }
        odds.into_iter().for_each(|(at, odd)| nodes[at].push(odd));
    }
}

fn joined(left: Value, right: Value) -> [u8; BLOCK_LEN] {
    let mut block = [0; BLOCK_LEN];
    block[..32].copy_from_slice(&left);
    block[32..].copy_from_slice(&right);
    block
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
