//! Avro's binary encoding, as far as our schema needs it.
//!
//! The library's serde writer costs ten times as much per record on this schema; a test reads what
//! is written here back with the library, field by field.

/// Appends Avro data to a buffer.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    /// A long or an int: zigzag, then base 128.
    pub(super) fn long(&mut self, value: i64) {
        let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.long(i64::try_from(length).unwrap_or(i64::MAX));
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(super) fn string(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// `["null", T]`: the branch, then the value.
    pub(super) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.0.push(0),
            Some(value) => {
                self.0.push(2);
                write(self, value);
            }
        }
    }

    pub(super) fn opt_string(&mut self, text: Option<&str>) {
        self.optional(text, Self::string);
    }

    pub(super) fn opt_long(&mut self, value: Option<i64>) {
        self.optional(value, Self::long);
    }

    /// An array or map: one block with its count, then the end.
    pub(super) fn items<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if !items.is_empty() {
            self.length(items.len());
            items.iter().for_each(|item| write(self, item));
        }
        self.0.push(0);
    }
}
