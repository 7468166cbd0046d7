//! Whose a state topic is: facts of two installations in one would prove things for each other.

use serde::{Deserialize, Serialize};

/// An installation in an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Organisation.
    pub org: String,
    /// Names the installation.
    pub instance: String,
}

/// What a record about the owner means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The topic is ours.
    Ours,
    /// It was theirs before it could be ours: nothing may be written.
    Theirs,
    /// It is ours, and somebody else said the same of it later: they have to go.
    Contested,
}

/// The first one to say so owns the topic, in the order of its records: all readers see the same one.
#[derive(Clone, Debug)]
pub struct Ownership {
    ours: Owner,
    first: Option<Owner>,
}

impl Ownership {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(ours: Owner) -> Self {
        Self { ours, first: None }
    }

    /// Takes the next record about the owner.
    pub fn read(&mut self, said: &Owner) -> Word {
        let is_ours = *self.first.get_or_insert_with(|| said.clone()) == self.ours;
        match (is_ours, *said == self.ours) {
            (true, true) => Word::Ours,
            (true, false) => Word::Contested,
            (false, _) => Word::Theirs,
        }
    }

    /// Whether anybody owns it.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.first.is_some()
    }

    /// Who this process is.
    #[must_use]
    pub fn ours(&self) -> &Owner {
        &self.ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(org: &str, instance: &str) -> Owner {
        Owner { org: org.to_owned(), instance: instance.to_owned() }
    }

    #[test]
    fn of_two_that_start_at_the_same_time_both_see_the_same_owner() {
        let (a, b) = (owner("a", "trunkline"), owner("b", "trunkline"));
        let (mut one, mut two) = (Ownership::new(a.clone()), Ownership::new(b.clone()));
        assert!(!one.is_owned());
        assert_eq!([one.read(&a), one.read(&b)], [Word::Ours, Word::Contested]);
        assert_eq!([two.read(&a), two.read(&b)], [Word::Theirs, Word::Theirs]);
    }

    #[test]
    fn another_installation_of_the_same_organisation_is_somebody_else() {
        let mut ours = Ownership::new(owner("a", "one"));
        assert_eq!(ours.read(&owner("a", "two")), Word::Theirs);
        let mut ours = Ownership::new(owner("a", "one"));
        assert_eq!([ours.read(&owner("a", "one")); 2], [Word::Ours; 2], "its other replica");
    }
}
