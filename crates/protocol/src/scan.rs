//! Looks over JSON without parsing it: strings are skipped, nothing is checked.

use wide::u8x16;

/// What a byte outside strings means.
const PLAIN: u8 = 0;
const QUOTE: u8 = 1;
const SPACE: u8 = 2;

const KINDS: [u8; 256] = {
    let mut kinds = [PLAIN; 256];
    kinds[b'"' as usize] = QUOTE;
    kinds[b' ' as usize] = SPACE;
    kinds[b'\n' as usize] = SPACE;
    kinds[b'\r' as usize] = SPACE;
    kinds[b'\t' as usize] = SPACE;
    kinds
};

/// A value of JSON within its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Its length in bytes.
    pub(crate) len: usize,
    /// It holds no whitespace outside strings.
    pub(crate) compact: bool,
    /// Where its strings begin and end.
    pub(crate) quotes: Quotes,
}

/// Where the strings of a value begin and end, found in the look that found its own end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotes {
    /// A bit for every byte, 64 to a word: a quote that is not escaped, and a backslash.
    words: Vec<[u64; 2]>,
    /// A string holds a control character, which no string of JSON does.
    pub(crate) broken: bool,
}

impl Quotes {
    /// The quotes of any text, and whether a string is left open at its end.
    pub(crate) fn of(text: &str) -> Self {
        let mut look = Look::default();
        text.as_bytes().chunks(64).for_each(|block| _ = look.block(block));
        look.quotes
    }

    /// Position of the next quote at or after `at`, and whether no backslash lies between.
    pub(crate) fn next(&self, at: usize) -> Option<(usize, bool)> {
        let mut word = at / 64;
        let from = u64::MAX << (at % 64);
        let [quotes, slashes] = *self.words.get(word)?;
        let (mut quotes, mut slashes, mut escaped) = (quotes & from, slashes & from, 0);
        while quotes == 0 {
            word += 1;
            escaped |= slashes;
            [quotes, slashes] = *self.words.get(word)?;
        }
        let before = (quotes & quotes.wrapping_neg()) - 1;
        escaped |= slashes & before;
        Some((word * 64 + quotes.trailing_zeros() as usize, escaped == 0))
    }
}

/// What 64 bytes hold outside strings, first byte in the lowest bit.
struct Outside {
    open: u64,
    close: u64,
    spaces: u64,
}

/// Looks at 64 bytes at a time: which of them are quotes, brackets, whitespace, and by the parity
/// of the quotes before it whether each lies within a string.
#[derive(Default)]
struct Look {
    quotes: Quotes,
    inside: u64,
    escaped: bool,
}

impl Look {
    fn block(&mut self, block: &[u8]) -> Outside {
        let marks = match block.first_chunk() {
            Some(block) => Marks::of(block),
            None => {
                let mut padded = [b'0'; 64];
                padded[..block.len()].copy_from_slice(block);
                Marks::of(&padded)
            }
        };
        let quotes = marks.quotes & !escapes(marks.slashes, &mut self.escaped);
        let inside = parity(quotes) ^ self.inside;
        self.inside = if inside >> 63 == 1 { u64::MAX } else { 0 };
        self.quotes.words.push([quotes, marks.slashes]);
        self.quotes.broken |= marks.controls & inside != 0;
        Outside {
            open: marks.open & !inside,
            close: marks.close & !inside,
            // a backslash there is no JSON, and whoever looks otherwise may see other strings
            spaces: (marks.controls | marks.spaces | marks.slashes) & !inside,
        }
    }
}

/// Extent of the value that begins with the first byte, an opening bracket; `None` when it does
/// not end.
pub(crate) fn balanced(bytes: &[u8]) -> Option<Extent> {
    let (mut depth, mut compact) = (0_u32, true);
    let mut look = Look::default();
    look.quotes.words.reserve(bytes.len() / 64 + 1);
    for (index, block) in bytes.chunks(64).enumerate() {
        let Outside { open, close, spaces } = look.block(block);
        if close.count_ones() < depth {
            depth = depth + open.count_ones() - close.count_ones();
            compact &= spaces == 0;
            continue;
        }
        let mut brackets = open | close;
        while brackets != 0 {
            let bit = brackets & brackets.wrapping_neg();
            brackets ^= bit;
            if open & bit != 0 {
                depth += 1;
                continue;
            }
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                compact &= spaces & (bit - 1) == 0;
                let len = index * 64 + bit.trailing_zeros() as usize + 1;
                return Some(Extent { len, compact, quotes: look.quotes });
            }
        }
        compact &= spaces == 0;
    }
    None
}

/// Which of 64 bytes are what, first byte in the lowest bit.
#[derive(Default)]
struct Marks {
    quotes: u64,
    slashes: u64,
    open: u64,
    close: u64,
    spaces: u64,
    controls: u64,
}

impl Marks {
    fn of(block: &[u8; 64]) -> Self {
        let mut marks = Self::default();
        for (index, sixteen) in block.as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::new(*sixteen);
            let folded = bytes | u8x16::splat(0x20); // [ and {, ] and } differ in this bit alone
            let mark = |found: u8x16| u64::from(found.to_bitmask() as u16) << (16 * index);
            marks.quotes |= mark(bytes.simd_eq(u8x16::splat(b'"')));
            marks.slashes |= mark(bytes.simd_eq(u8x16::splat(b'\\')));
            marks.open |= mark(folded.simd_eq(u8x16::splat(b'{')));
            marks.close |= mark(folded.simd_eq(u8x16::splat(b'}')));
            marks.spaces |= mark(bytes.simd_eq(u8x16::splat(b' ')));
            // outside strings they are whitespace or no JSON
            marks.controls |= mark(bytes.min(u8x16::splat(0x1f)).simd_eq(bytes));
        }
        marks
    }
}

/// Which bytes a backslash before them escapes. `escaped`: the first one is.
fn escapes(mut slashes: u64, escaped: &mut bool) -> u64 {
    let mut all = u64::from(std::mem::take(escaped));
    slashes &= !all;
    while slashes != 0 {
        let bit = slashes & slashes.wrapping_neg();
        let next = bit << 1;
        *escaped = next == 0;
        all |= next;
        slashes &= !(bit | next);
    }
    all
}

/// For each bit whether the number of bits up to and with it is odd.
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// Position of the next whitespace byte outside strings. `at` lies outside a string.
pub(crate) fn whitespace(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match KINDS[usize::from(*bytes.get(at)?)] {
            SPACE => return Some(at),
            QUOTE => at = end_of_string(bytes, at + 1),
            _ => at += 1,
        }
    }
}

/// Position after the closing quote; the end of input when there is none.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(offset) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += offset;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    /// Length and compactness.
    fn blocks(bytes: &[u8]) -> Option<(usize, bool)> {
        balanced(bytes).map(|extent| (extent.len, extent.compact))
    }

    /// Byte by byte, as the grammar says.
    fn plainly(bytes: &[u8]) -> Option<(usize, bool)> {
        let (mut at, mut depth, mut compact) = (0, 0_usize, true);
        loop {
            match *bytes.get(at)? {
                b'"' => {
                    at += 1;
                    while *bytes.get(at)? != b'"' {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some((at + 1, compact));
                    }
                }
                byte => compact &= byte > b' ',
            }
            at += 1;
        }
    }

    #[test]
    fn what_is_told_to_be_compact_holds_no_whitespace_for_whoever_else_looks() {
        // to one look the backslash hides the quote behind it, to the other it does not
        let text = r#"{\"a" b"}"#;
        let compact = balanced(text.as_bytes()).map(|extent| extent.compact);
        assert_eq!((compact, whitespace(text.as_bytes(), 0)), (Some(false), Some(5)));
    }

    #[test]
    fn a_value_ends_where_its_brackets_do() {
        for (text, extent) in [
            ("{}x", Some((2, true))),
            (r#"{"a":"}\\\"]","b":[{}]},"#, Some((23, true))),
            (r#"{"a b":1} "#, Some((9, true))),
            (r#"{"a": 1}"#, Some((8, false))),
            ("{\"a\":{", None),
            ("{\"a", None),
        ] {
            assert_eq!(blocks(text.as_bytes()), extent, "{text}");
        }
    }

    proptest! {
        #[test]
        fn blocks_and_bytes_agree(text in r#"\{([a {}\[\]é,:\n]|"([^"\\]|\\.){0,70}"){0,90}"?"#) {
            let text = text.as_bytes();
            prop_assert_eq!(blocks(text), plainly(text));
        }
    }
}
