//! What of a body may leave the process: values are dropped, hashed or masked before the spool and
//! before Kafka. Identities are taken before that, so that another policy duplicates nothing.
//!
//! A policy is a table of groups of names, which hold wherever they stand, and a list of own rules by
//! path. Three things decide about a value, the first that says something wins:
//!
//! 1. the own rule for the innermost value it lies in; among several for one value the first of them,
//! 2. the group of a name on the way to it, the outermost,
//! 3. its look: a text that is an e-mail address or a telephone URI, whatever its name.
//!
//! Applying a policy to what it gave changes nothing: what comes back from the spool passes again, so
//! that a stricter policy also holds for what an earlier one let through.

mod groups;
mod keyed;
mod message;
mod path;
mod scrub;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use groups::Names;
pub use groups::{Group, Preset};
pub use keyed::{HashKey, KEY_BYTES, is_hash};
pub use message::read_withheld;
pub use path::{Path, PathError};

/// What becomes of a value. In an array or object it holds for everything within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It goes, and its name with it.
    Drop,
    /// A keyed hash stands in its place: equal values have equal hashes. Booleans become null.
    Hash,
    /// Three asterisks stand in its place. Booleans become null.
    Mask,
    /// It stays as it is, whatever wider rules say.
    Keep,
}

/// One rule by path.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where.
    pub path: Path,
    /// What.
    pub action: Action,
}

/// What stands for a masked value.
pub const MASKED: &str = "***";

/// Why a policy cannot be applied. Says nothing of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is no object of JSON: no rule can be applied to it")]
pub struct NoObject;

/// A policy; copies share one. The default changes nothing and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Policy(Option<Arc<Rules>>);

#[derive(Debug)]
struct Rules {
    own: Vec<Rule>,
    names: Names,
    key: Option<HashKey>,
    keep_raw: bool,
}

/// What a policy is made of.
#[derive(Debug, Default)]
pub struct Parts {
    /// What groups become, later ones in place of earlier ones.
    pub groups: Vec<(Group, Action)>,
    /// Rules by path.
    pub own: Vec<Rule>,
    /// For hashes. Without one, what would be hashed is masked.
    pub key: Option<HashKey>,
    /// Whether what cannot be read is quarantined as it came.
    pub keep_raw: bool,
}

impl Policy {
    /// Made of groups, rules and a key. With no rule at all it changes nothing.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { groups, own, key, keep_raw } = parts;
        let names = Names::new(&groups);
        if own.is_empty() && names.is_empty() {
            return Self(None);
        }
        Self(Some(Arc::new(Rules { own, names, key, keep_raw })))
    }

    /// Whether everything leaves as it came.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The key that hashes, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<&HashKey> {
        self.0.as_ref()?.key.as_ref()
    }

    /// A body with the policy applied; borrowed when nothing had to change.
    ///
    /// # Errors
    /// [`NoObject`].
    pub fn apply<'a>(&self, body: &'a str) -> Result<Cow<'a, str>, NoObject> {
        match &self.0 {
            None => Ok(Cow::Borrowed(body)),
            Some(rules) => scrub::apply(rules, body),
        }
    }
}

#[cfg(test)]
mod tests;
