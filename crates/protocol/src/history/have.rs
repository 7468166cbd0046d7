//! Conversations that somebody has already, as a list of ids.

use std::collections::BTreeSet;

/// Ids of conversations, sixteen bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Have(BTreeSet<u128>);

/// A line that is no id of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAConversation;

impl Have {
    /// Adds the id of a line: a UUID, in double quotes or not. An empty line adds nothing.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn add(&mut self, line: &str) -> Result<(), NotAConversation> {
        let text = line.trim().trim_matches('"');
        if !text.is_empty() {
            self.0.insert(uuid(text).ok_or(NotAConversation)?);
        }
        Ok(())
    }

    /// Whether a conversation is among them. Ids compare without regard to case.
    #[must_use]
    pub fn contains(&self, conversation: &str) -> bool {
        uuid(conversation).is_some_and(|id| self.0.contains(&id))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Equal for equal lists, in whatever order they were read.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        self.0.iter().for_each(|id| _ = hasher.update(&id.to_le_bytes()));
        format!("{:032x}", u128::from_le_bytes(crate::identity::first_half(&hasher.finalize())))
    }
}

/// The number of a UUID in its usual form, 8-4-4-4-12 hexadecimal digits.
fn uuid(text: &str) -> Option<u128> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let usual = digits && lengths == [8, 4, 4, 4, 12];
    usual.then(|| u128::from_str_radix(&groups.concat(), 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

    #[test]
    fn ids_are_read_as_warehouses_write_them() {
        let mut have = Have::default();
        for line in [ID, &format!("  \"{}\"\r\n", ID.to_uppercase()), "", "\r\n"] {
            assert_eq!(have.add(line), Ok(()), "{line:?}");
        }
        assert_eq!(have.len(), 1);
        assert!(have.contains(ID) && have.contains(&ID.to_uppercase()) && !have.contains("c-1"));
    }

    #[test]
    fn anything_else_is_refused() {
        let mut have = Have::default();
        let short = ID.trim_start_matches('3');
        let (bare, more, signed) = (ID.replace('-', ""), format!("{ID},x"), format!("+{short}"));
        for line in ["conversation_id", "7", short, &bare, &more, &signed] {
            assert_eq!(have.add(line), Err(NotAConversation), "{line:?}");
        }
        assert!(have.is_empty());
    }

    #[test]
    fn a_digest_knows_no_order() {
        let of = |lines: &[&str]| {
            let mut have = Have::default();
            lines.iter().for_each(|line| have.add(line).expect("an id"));
            have.digest()
        };
        let other = ID.replace('a', "b");
        assert_eq!(of(&[ID, &other]), of(&[&other, ID, ID]));
        assert_ne!(of(&[ID]), of(&[&other]));
    }
}
