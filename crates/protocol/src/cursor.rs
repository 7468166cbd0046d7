//! Walks once over JSON and hands out what the caller asks for; strings are borrowed from the text.
//!
//! The field's common library spends half of its time looking for the ends of strings byte by byte
//! and carrying values through layers of visitors; a body is read by every event, so this walk is
//! ours. It accepts what that library accepts (a property test compares), and every value that is
//! skipped is checked all the same: a body that is no JSON must not become a record.

use std::borrow::Cow;

pub use crate::scan::Quotes;

/// A position within a text of JSON.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    quotes: Cow<'a, Quotes>,
    at: usize,
    depth: u32,
}

/// Why a value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The text is not JSON.
    Syntax,
    /// The value has a type the caller cannot use.
    Kind,
}

/// A failure. Boxed, since every value that is read passes by where one could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Box<Failure>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    problem: Problem,
    /// The way to it, from the inside out.
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A string of the text: borrowed unless it holds escapes.
pub type Text<'a> = Cow<'a, str>;

/// Deeper nesting is taken for an attack (the common library's limit).
const DEPTH: u32 = 128;

impl Fault {
    #[cold]
    fn new(problem: Problem) -> Self {
        Self(Box::new(Failure { problem, steps: Vec::new() }))
    }

    #[cold]
    fn under(mut self, step: Step) -> Self {
        self.0.steps.push(step);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> Problem {
        self.0.problem
    }

    /// The way from the outermost value, e.g. `participants[0].held`; `.` is that value itself.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in self.0.steps.iter().rev() {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.extend([".", key]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() { ".".to_owned() } else { path }
    }
}

type Read<T> = Result<T, Fault>;

#[cold]
fn syntax<T>() -> Read<T> {
    Err(Fault::new(Problem::Syntax))
}

impl<'a> Cursor<'a> {
    /// Before the first value of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, quotes: Cow::Owned(Quotes::of(text)), at: 0, depth: 0 }
    }

    /// The same, where somebody has looked for the quotes of this very text already.
    #[must_use]
    pub fn with_quotes(text: &'a str, quotes: &'a Quotes) -> Self {
        Self { text, quotes: Cow::Borrowed(quotes), at: 0, depth: 0 }
    }

    /// Nothing but whitespace may follow.
    ///
    /// # Errors
    /// When something does.
    pub fn end(&mut self) -> Read<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => syntax(),
        }
    }

    /// Reads an object; `each` reads the value of every key. `false` for null.
    ///
    /// # Errors
    /// [`Fault`] of this value or of one within it.
    pub fn object(&mut self, mut each: impl FnMut(&mut Self, &[u8]) -> Read<()>) -> Read<bool> {
        self.entries(|value, key| each(value, key.as_bytes()))
    }

    /// The same for free maps: the key is handed over.
    ///
    /// # Errors
    /// [`Fault`] of this value or of one within it.
    pub fn entries(&mut self, mut each: impl FnMut(&mut Self, Text<'a>) -> Read<()>) -> Read<bool> {
        if !self.open(b'{')? {
            return Ok(false);
        }
        if self.closes(b'}') {
            return Ok(true);
        }
        loop {
            if self.peek() != Some(b'"') {
                return syntax();
            }
            let start = self.at;
            let key = self.quoted()?;
            if self.peek() != Some(b':') {
                return syntax();
            }
            self.at += 1;
            if let Err(fault) = each(self, key) {
                let key = Cursor { at: start, ..self.clone() }.quoted()?;
                return Err(fault.under(Step::Key(key.into_owned())));
            }
            if !self.follows(b'}')? {
                return Ok(true);
            }
        }
    }

    /// Reads an array; `each` reads every element. `false` for null.
    ///
    /// # Errors
    /// [`Fault`] of this value or of one within it.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Read<()>) -> Read<bool> {
        if !self.open(b'[')? {
            return Ok(false);
        }
        if self.closes(b']') {
            return Ok(true);
        }
        for index in 0.. {
            if let Err(fault) = each(self) {
                return Err(fault.under(Step::Index(index)));
            }
            if !self.follows(b']')? {
                break;
            }
        }
        Ok(true)
    }

    /// Reads a string; `None` for null.
    ///
    /// # Errors
    /// [`Problem::Kind`] for any other value.
    #[inline]
    pub fn string(&mut self) -> Read<Option<Text<'a>>> {
        match self.peek() {
            Some(b'"') => self.quoted().map(Some),
            Some(b'n') => self.word("null").map(|()| None),
            other => self.unusable(other),
        }
    }

    /// Reads a boolean; `None` for null.
    ///
    /// # Errors
    /// [`Problem::Kind`] for any other value.
    pub fn boolean(&mut self) -> Read<Option<bool>> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| Some(true)),
            Some(b'f') => self.word("false").map(|()| Some(false)),
            Some(b'n') => self.word("null").map(|()| None),
            other => self.unusable(other),
        }
    }

    /// Reads a string or an integer; `None` for null.
    ///
    /// # Errors
    /// [`Problem::Kind`] for any other value.
    pub fn string_or_integer(&mut self) -> Read<Option<Scalar<'a>>> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number()?;
                if number.contains(['.', 'e', 'E']) {
                    return Err(Fault::new(Problem::Kind));
                }
                Ok(Some(Scalar::Integer(number.parse().ok())))
            }
            Some(_) | None => Ok(self.string()?.map(Scalar::Text)),
        }
    }

    /// Skips any value and returns its JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn skip(&mut self) -> Read<&'a str> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => self.text_end().map(|_| ())?,
            Some(b'{') => _ = self.object(|inside, _| inside.skip().map(|_| ()))?,
            Some(b'[') => _ = self.array(|inside| inside.skip().map(|_| ()))?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(b'-' | b'0'..=b'9') => _ = self.number()?,
            Some(_) | None => return syntax(),
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// The first byte of the next value.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
        None
    }

    /// Enters an array or object; `false` for null.
    #[inline(always)]
    fn open(&mut self, bracket: u8) -> Read<bool> {
        match self.peek() {
            Some(byte) if byte == bracket => {
                self.at += 1;
                self.depth += 1;
                if self.depth > DEPTH { syntax() } else { Ok(true) }
            }
            Some(b'n') => self.word("null").map(|()| false),
            other => self.unusable(other),
        }
    }

    #[inline(always)]
    fn closes(&mut self, bracket: u8) -> bool {
        let closes = self.peek() == Some(bracket);
        if closes {
            self.at += 1;
            self.depth -= 1;
        }
        closes
    }

    /// After an element: whether another one follows.
    #[inline(always)]
    fn follows(&mut self, bracket: u8) -> Read<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == bracket => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(_) | None => syntax(),
        }
    }

    #[inline(always)]
    fn quoted(&mut self) -> Read<Text<'a>> {
        let start = self.at;
        let (inside, plain) = self.text_end()?;
        if plain {
            return Ok(Cow::Borrowed(inside));
        }
        unescaped(self.text.get(start..self.at).unwrap_or_default())
    }

    /// Moves behind a string; returns its inside, and whether that holds no escapes.
    #[inline(always)]
    fn text_end(&mut self) -> Read<(&'a str, bool)> {
        let start = self.at + 1;
        let Some((end, plain)) = self.quotes.next(start) else { return syntax() };
        let inside = self.text.get(start..end).unwrap_or_default();
        if self.quotes.broken && inside.bytes().any(|byte| byte < b' ')
            || !plain && !escapes_are_known(inside)
        {
            return syntax();
        }
        self.at = end + 1;
        Ok((inside, plain))
    }

    fn word(&mut self, word: &str) -> Read<()> {
        let end = self.at + word.len();
        if self.text.get(self.at..end) != Some(word) {
            return syntax();
        }
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Read<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            let from = at;
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            if at == from { None } else { Some(at) }
        };
        let whole = start + usize::from(bytes.get(start) == Some(&b'-'));
        let Some(mut end) = digits(whole) else { return syntax() };
        if bytes[whole] == b'0' && end > whole + 1 {
            return syntax(); // no number begins with a zero that others follow
        }
        if bytes.get(end) == Some(&b'.') {
            let Some(after) = digits(end + 1) else { return syntax() };
            end = after;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let Some(after) = digits(end + 1 + sign) else { return syntax() };
            end = after;
        }
        self.at = end;
        Ok(self.text.get(start..end).unwrap_or_default())
    }

    /// A value of another type, or none at all.
    fn unusable<T>(&mut self, first: Option<u8>) -> Read<T> {
        let known =
            matches!(first, Some(b'"' | b'{' | b'[' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9'));
        Err(Fault::new(if known { Problem::Kind } else { Problem::Syntax }))
    }
}

#[cold]
fn unescaped<'a>(quoted: &str) -> Read<Text<'a>> {
    match serde_json::from_str::<String>(quoted) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) => syntax(),
    }
}

/// A string or a whole number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// A string.
    Text(Text<'a>),
    /// A number without fraction; `None` beyond 64 bits with sign.
    Integer(Option<i64>),
}

/// Every backslash begins an escape of JSON.
fn escapes_are_known(inside: &str) -> bool {
    let mut rest = inside.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        rest = match rest.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => &rest[at + 2..],
            Some(b'u') if rest.get(at + 2..at + 6).is_some_and(is_hex) => &rest[at + 6..],
            Some(_) | None => return false,
        };
    }
    true
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn skips(text: &str) -> bool {
        let mut cursor = Cursor::new(text);
        cursor.skip().is_ok() && cursor.end().is_ok()
    }

    fn is_json(text: &str) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    #[test]
    fn a_fault_names_its_path_and_its_kind() {
        let read = |text| {
            let mut held = None;
            Cursor::new(text).object(|cursor, key| match key {
                b"a" => cursor
                    .array(|cursor| {
                        let held = &mut held;
                        cursor
                            .object(|cursor, _| {
                                *held = cursor.boolean()?;
                                Ok(())
                            })
                            .map(|_| ())
                    })
                    .map(|_| ()),
                _ => cursor.skip().map(|_| ()),
            })
        };
        let fault = |text| read(text).map_err(|fault| (fault.path(), fault.problem()));
        assert_eq!(fault(r#"{"x":[{"y":null}],"a":[{"b":true},{"b":null}]}"#), Ok(true));
        assert_eq!(fault("null"), Ok(false));
        assert_eq!(fault(r#"{"a":[{"b":true},{"b":"s"}]}"#), Err(("a[1].b".into(), Problem::Kind)));
        assert_eq!(fault(r#"{"a":[{"b":tru}]}"#), Err(("a[0].b".into(), Problem::Syntax)));
        assert_eq!(fault(r#"{"a":[1]}"#), Err(("a[0]".into(), Problem::Kind)));
        assert_eq!(fault("[]"), Err((".".into(), Problem::Kind)));
    }

    #[test]
    fn values_are_what_the_text_says() {
        let string = |text| Cursor::new(text).string();
        assert_eq!(string(r#" "plain é""#), Ok(Some(Cow::Borrowed("plain é"))));
        assert_eq!(string(r#""a\"\u00e9\n""#), Ok(Some(Cow::Owned("a\"é\n".to_owned()))));
        assert_eq!(string("null"), Ok(None));
        assert!(string("7").is_err());
        let scalar = |text| Cursor::new(text).string_or_integer();
        assert_eq!(scalar("-12"), Ok(Some(Scalar::Integer(Some(-12)))));
        assert_eq!(scalar("18446744073709551615"), Ok(Some(Scalar::Integer(None))));
        assert!(scalar("1.5").is_err() && scalar("{}").is_err());
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(skips(&deep(127)) && !skips(&deep(200)));
    }

    #[test]
    fn odd_texts_are_judged_as_the_library_judges_them() {
        for text in [
            "",
            " ",
            "nul",
            "nulls",
            "01",
            "-",
            "-0",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1E5",
            "\"\u{1}\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            "\"",
            r#""\""#,
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "[1 2]",
            "{} {}",
            "[1]x",
            "tru",
            "truefalse",
            "[\"0123456789012345\u{1}\"]",
        ] {
            assert_eq!(skips(text), is_json(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_the_library_judges_it(
            text in r#"[\[{]([\[\]{}:, \n]|"([^"\\\x00-\x1f]|\\["\\/bfnrtux]|\\u[0-9a-f]{4}){0,40}"|-?[0-9.eE]{1,4}|true|null|fals){0,30}[\]}]?"#,
        ) {
            // a lone surrogate is refused by the library only where the string is read
            prop_assert_eq!(skips(&text), is_json(&text));
        }

        #[test]
        fn json_is_read_as_the_library_reads_it(value in json()) {
            let text = value.to_string();
            prop_assert_eq!(whole(&mut Cursor::new(&text)).unwrap(), value);
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,40}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(".{0,20}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn whole(cursor: &mut Cursor<'_>) -> Read<serde_json::Value> {
        Ok(match cursor.peek() {
            Some(b'{') => {
                let mut map = serde_json::Map::new();
                cursor.entries(|cursor, key| {
                    map.insert(key.into_owned(), whole(cursor)?);
                    Ok(())
                })?;
                map.into()
            }
            Some(b'[') => {
                let mut all = Vec::new();
                cursor.array(|cursor| {
                    all.push(whole(cursor)?);
                    Ok(())
                })?;
                all.into()
            }
            Some(b't' | b'f') => cursor.boolean()?.into(),
            _ => match cursor.string_or_integer()? {
                None => serde_json::Value::Null,
                Some(Scalar::Text(text)) => text.into_owned().into(),
                Some(Scalar::Integer(number)) => number.into(),
            },
        })
    }
}
