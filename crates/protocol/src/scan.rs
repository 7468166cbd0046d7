//! Looks over JSON without parsing it: strings are skipped, nothing is checked.

/// What a byte outside strings means.
const PLAIN: u8 = 0;
const QUOTE: u8 = 1;
const OPEN: u8 = 2;
const CLOSE: u8 = 3;
const SPACE: u8 = 4;

const KINDS: [u8; 256] = {
    let mut kinds = [PLAIN; 256];
    kinds[b'"' as usize] = QUOTE;
    kinds[b'{' as usize] = OPEN;
    kinds[b'[' as usize] = OPEN;
    kinds[b'}' as usize] = CLOSE;
    kinds[b']' as usize] = CLOSE;
    kinds[b' ' as usize] = SPACE;
    kinds[b'\n' as usize] = SPACE;
    kinds[b'\r' as usize] = SPACE;
    kinds[b'\t' as usize] = SPACE;
    kinds
};

/// Length of the value that begins with the first byte, an opening bracket; `None` when it does
/// not end.
pub(crate) fn balanced(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match KINDS[usize::from(*bytes.get(at)?)] {
            QUOTE => at = end_of_string(bytes, at + 1),
            OPEN => (at, depth) = (at + 1, depth + 1),
            CLOSE => {
                (at, depth) = (at + 1, depth.checked_sub(1)?);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
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

    #[test]
    fn a_value_ends_where_its_brackets_do() {
        for (text, length) in [
            ("{}x", Some(2)),
            (r#"{"a":"}\\\"]","b":[{}]},"#, Some(23)),
            ("{\"a\":{", None),
            ("{\"a", None),
        ] {
            assert_eq!(balanced(text.as_bytes()), length, "{text}");
        }
    }
}
