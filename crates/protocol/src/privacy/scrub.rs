//! Walks once over a body and writes it again with the policy applied.
//!
//! Whatever is written keeps its own text, escapes included; only what a rule changes is spelled anew.
//! Own rules are followed like the states of an automaton: a pair of rule and step for each rule that
//! may still come to its end further in.

use std::borrow::Cow;
use std::ops::Range;

use super::path::Step;
use super::{Action, MASKED, NoObject, Rules, is_hash};
use crate::cursor::{Cursor, Fault};

/// The rules that may still end, as (rule, step) on one stack.
type States = Range<usize>;

struct Walk<'r> {
    rules: &'r Rules,
    out: String,
    states: Vec<(usize, usize)>,
    changed: bool,
}

pub(super) fn apply<'a>(rules: &Rules, body: &'a str) -> Result<Cow<'a, str>, NoObject> {
    let states: Vec<_> = (0..rules.own.len()).map(|rule| (rule, 0)).collect();
    let active = 0..states.len();
    let out = String::with_capacity(body.len());
    let mut walk = Walk { rules, out, states, changed: false };
    let mut cursor = Cursor::new(body);
    // the body itself stays, whatever becomes of what is in it
    if cursor.peek() != Some(b'{') {
        return Err(NoObject);
    }
    let walked = walk.object(&mut cursor, active, None).and_then(|_| cursor.end());
    walked.map_err(|_| NoObject)?;
    Ok(if walk.changed { Cow::Owned(walk.out) } else { Cow::Borrowed(body) })
}

impl Walk<'_> {
    /// Writes a value; `false` when it is dropped.
    fn value(
        &mut self,
        cursor: &mut Cursor<'_>,
        active: States,
        ruled: Option<Action>,
    ) -> Result<bool, Fault> {
        let is_container = matches!(cursor.peek(), Some(b'{' | b'['));
        if is_container
            && (!active.is_empty() || !matches!(ruled, Some(Action::Drop | Action::Keep)))
        {
            return match cursor.peek() {
                Some(b'[') => self.array(cursor, active, ruled),
                Some(_) | None => self.object(cursor, active, ruled),
            };
        }
        let raw = cursor.skip()?;
        Ok(self.scalar(raw, ruled))
    }

    fn object(
        &mut self,
        cursor: &mut Cursor<'_>,
        active: States,
        ruled: Option<Action>,
    ) -> Result<bool, Fault> {
        let mut count = 0_usize;
        self.out.push('{');
        cursor.entries(|value, name| {
            let before = self.begin(count);
            quote(&mut self.out, &name);
            self.out.push(':');
            let (inner, ended) = self.step(active.clone(), &name);
            let action = ended.or(ruled).or_else(|| self.rules.names.get(&name));
            let base = inner.start;
            let stays = self.value(value, inner, action)?;
            self.states.truncate(base);
            count += self.end(before, stays);
            Ok(())
        })?;
        self.out.push('}');
        Ok(count > 0 || ruled != Some(Action::Drop))
    }

    fn array(
        &mut self,
        cursor: &mut Cursor<'_>,
        active: States,
        ruled: Option<Action>,
    ) -> Result<bool, Fault> {
        let mut count = 0_usize;
        self.out.push('[');
        cursor.array(|value| {
            let before = self.begin(count);
            let stays = self.value(value, active.clone(), ruled)?;
            count += self.end(before, stays);
            Ok(())
        })?;
        self.out.push(']');
        Ok(count > 0 || ruled != Some(Action::Drop))
    }

    /// Separates the next entry from those that stayed; returns where it begins.
    fn begin(&mut self, count: usize) -> usize {
        let before = self.out.len();
        if count > 0 {
            self.out.push(',');
        }
        before
    }

    /// Takes back what was written of an entry that does not stay; returns how many do.
    fn end(&mut self, before: usize, stays: bool) -> usize {
        if !stays {
            self.out.truncate(before);
            self.changed = true;
        }
        usize::from(stays)
    }

    /// Follows the own rules into the member `name`: which may still end, and what the first that
    /// ends here asks for.
    fn step(&mut self, active: States, name: &str) -> (States, Option<Action>) {
        let (base, mut ended) = (self.states.len(), None);
        for at in active {
            let Some(&(rule, step)) = self.states.get(at) else { continue };
            let Some(own) = self.rules.own.get(rule) else { continue };
            let steps = &own.path.steps;
            let deep = steps.get(step) == Some(&Step::Deep);
            if deep {
                self.states.push((rule, step));
            }
            let step = step + usize::from(deep);
            let fits = match steps.get(step) {
                Some(Step::Name(known)) => known.eq_ignore_ascii_case(name),
                Some(Step::Any) => true,
                Some(Step::Deep) | None => false,
            };
            if fits && step + 1 == steps.len() {
                ended = ended.or(Some(own.action));
            } else if fits {
                self.states.push((rule, step + 1));
            }
        }
        (base..self.states.len(), ended)
    }

    /// Writes what has no parts, or stays or goes with all its parts.
    fn scalar(&mut self, raw: &str, ruled: Option<Action>) -> bool {
        let ruled = ruled.or_else(|| self.by_look(raw));
        let new = match (ruled, raw.as_bytes().first()) {
            (Some(Action::Drop), _) => return false,
            (Some(Action::Keep) | None, _) | (_, Some(b'n')) => None,
            (Some(Action::Hash | Action::Mask), Some(b't' | b'f')) => Some("null".to_owned()),
            (Some(Action::Hash | Action::Mask), _) if raw == "\"\"" => None,
            (Some(Action::Mask), _) => Some(quoted(MASKED)),
            (Some(Action::Hash), _) => self.hashed(raw),
        };
        self.changed |= new.as_deref().is_some_and(|new| new != raw);
        self.out.push_str(new.as_deref().unwrap_or(raw));
        true
    }

    fn hashed(&self, raw: &str) -> Option<String> {
        let value = meant(raw);
        if is_hash(&value) {
            return None;
        }
        Some(quoted(&self.rules.key.as_ref().map_or(MASKED.to_owned(), |key| key.hash(&value))))
    }

    /// What a text asks for by itself.
    fn by_look(&self, raw: &str) -> Option<Action> {
        let names = &self.rules.names;
        if names.phone.is_none() && names.email.is_none() || !raw.starts_with('"') {
            return None;
        }
        let value = meant(raw);
        let is_uri = ["tel:", "sip:", "sips:"].iter().any(|scheme| {
            value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        match is_uri {
            true => names.phone.or(names.email.filter(|_| has_email(&value))),
            false => names.email.filter(|_| has_email(&value)),
        }
    }
}

/// A sign of a local part, an at sign, and a letter or digit behind it.
fn has_email(value: &str) -> bool {
    let bytes = value.as_bytes();
    memchr::memchr_iter(b'@', bytes).any(|at| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        before.is_some_and(|byte| !byte.is_ascii_whitespace())
            && bytes.get(at + 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
    })
}

/// What a scalar says: of a string its inside without escapes. One that names half a character only
/// is no text that could be spelled; it counts as it is written.
fn meant(raw: &str) -> Cow<'_, str> {
    let Some(inside) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(raw);
    };
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Cow::Borrowed(inside);
    }
    serde_json::from_str(raw).map_or(Cow::Borrowed(inside), Cow::Owned)
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote(&mut out, text);
    out
}

fn quote(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.extend(["\"", text, "\""]);
    } else {
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}
