//! Paths of rules: the part of JSON paths that names members.
//!
//! ```text
//! $.externalTag                    a member of the body
//! $.participants[*].attributes.iban    arrays are looked through; [*] may be left out
//! $..iban   $..['iban']            wherever it stands
//! $.participants.attributes.*      every member
//! ```

use std::fmt;

/// Where a rule holds. Names are compared without regard to case; arrays are looked through, so a
/// step by name holds for an object and for every object of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The member with this name.
    Name(String),
    /// Every member.
    Any,
    /// Any way down, or none.
    Deep,
}

/// Why a text is no path: where, counted in characters from 1, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {at}: {problem}")]
pub struct PathError {
    /// Position.
    pub at: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

const FORMS: &str =
    "allowed after $: .name, ..name, .*, ['name'] and [*]; no numbers, filters or slices";
/// More steps than any body has.
const LONGEST: usize = 64;

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let signs: Vec<char> = text.chars().collect();
        let wrong = |at: usize, problem| PathError { at: at + 1, problem };
        if signs.first() != Some(&'$') {
            return Err(wrong(0, "it does not begin with $"));
        }
        let (mut steps, mut at) = (Vec::new(), 1);
        while let Some(sign) = signs.get(at) {
            let rest = signs.get(at..).unwrap_or_default();
            at += match (sign, rest) {
                ('.', ['.', '.', ..]) => {
                    steps.push(Step::Deep);
                    match rest.get(2) {
                        Some('[') => 2,
                        Some(_) | None => 2 + word(&signs, at + 2, &mut steps)?,
                    }
                }
                ('.', _) => 1 + word(&signs, at + 1, &mut steps)?,
                ('[', ['[', '*', ']', ..]) => 3, // arrays are looked through anyway
                ('[', ['[', quote @ ('\'' | '"'), ..]) => {
                    let end = rest.iter().skip(2).position(|sign| sign == quote);
                    let end = end.ok_or_else(|| wrong(at + 1, "a quote is not closed"))? + 2;
                    if rest.get(end + 1) != Some(&']') {
                        return Err(wrong(at + end + 1, "a bracket is not closed"));
                    }
                    let name: String = rest.get(2..end).unwrap_or_default().iter().collect();
                    steps.push(Step::Name(name));
                    end + 2
                }
                _ => return Err(wrong(at, FORMS)),
            };
        }
        match steps.last() {
            None => Err(wrong(signs.len(), "it names no member")),
            Some(Step::Deep) => Err(wrong(signs.len(), "it ends in ..")),
            Some(_) if steps.len() > LONGEST => Err(wrong(signs.len(), "it has too many steps")),
            Some(Step::Name(_) | Step::Any) => Ok(Self { text: text.to_owned(), steps }),
        }
    }
}

/// Reads a name or `*` and returns its length.
fn word(signs: &[char], at: usize, steps: &mut Vec<Step>) -> Result<usize, PathError> {
    let ends = |sign: &char| matches!(sign, '.' | '[' | ']' | '\'' | '"') || sign.is_whitespace();
    let name: String = signs.iter().skip(at).take_while(|sign| !ends(sign)).collect();
    let length = name.chars().count();
    steps.push(match name.as_str() {
        "" => return Err(PathError { at: at + 1, problem: FORMS }),
        "*" => Step::Any,
        name if name.contains(['*', '$', '?', '(', ')', '@', ',', ':']) => {
            return Err(PathError {
                at: at + 1,
                problem: "a name with such signs goes into ['…']",
            });
        }
        _ => Step::Name(name),
    });
    Ok(length)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> String {
        let path = Path::parse(text).expect(text);
        let shown = path.steps.iter().map(|step| match step {
            Step::Name(name) => format!("/{name}"),
            Step::Any => "/*".to_owned(),
            Step::Deep => "//".to_owned(),
        });
        shown.collect()
    }

    #[test]
    fn paths_are_read_with_and_without_brackets() {
        assert_eq!(steps("$.a"), "/a");
        assert_eq!(steps("$.a[*].b.*"), "/a/b/*");
        assert_eq!(steps("$..iban"), "///iban");
        assert_eq!(steps("$['a b'][\"c.d\"]..['é']"), "/a b/c.d///é");
        assert_eq!(steps("$..*"), "///*");
        assert_eq!(Path::parse("$.a").map(|path| path.to_string()), Ok("$.a".to_owned()));
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_place() {
        for (text, at) in [
            ("", 1),
            ("a", 1),
            ("$", 2),
            ("$[*]", 5),
            ("$.", 3),
            ("$..", 4),
            ("$.a..[*]", 9),
            ("$.a[0]", 4),
            ("$.a[?(@.b)]", 4),
            ("$.a[1:2]", 4),
            ("$.a b", 4),
            ("$.a['b", 5),
            ("$.a['b'", 8),
            ("$.a,b", 3),
            ("$a", 2),
        ] {
            let error = Path::parse(text).expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }
}
