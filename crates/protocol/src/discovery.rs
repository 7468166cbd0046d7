//! Which of the queues and people that the platform lists are wanted: by name, by division.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

/// What a listing says of a queue or a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// Its id, part of its topics.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its division, where the platform says so.
    pub division: Option<Division>,
}

/// A part of an organisation that permissions are given by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Division {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Patterns of names and divisions. `*` stands for any characters, `?` for one, everything else for
/// itself; case makes no difference. Without patterns to include, everything is included; what is
/// excluded is left out whatever includes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Names that are wanted.
    pub include_names: Vec<String>,
    /// Names that are not.
    pub exclude_names: Vec<String>,
    /// Divisions that are wanted, by name or id.
    pub include_divisions: Vec<String>,
    /// Divisions that are not.
    pub exclude_divisions: Vec<String>,
}

/// Which part of a [`Filter`] left something out, or matches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// No pattern of [`Filter::include_names`] matches.
    IncludeNames,
    /// One of [`Filter::exclude_names`] does.
    ExcludeNames,
    /// No pattern of [`Filter::include_divisions`] matches.
    IncludeDivisions,
    /// One of [`Filter::exclude_divisions`] does.
    ExcludeDivisions,
}

impl Part {
    /// The option's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IncludeNames => "include_names",
            Self::ExcludeNames => "exclude_names",
            Self::IncludeDivisions => "include_divisions",
            Self::ExcludeDivisions => "exclude_divisions",
        }
    }
}

/// A listing under a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// What is wanted.
    pub kept: Vec<Object>,
    /// What is not, and by which part of the filter.
    pub left_out: Vec<(Object, Part)>,
    /// Patterns that match nothing of the listing: mistyped, or of something renamed or gone.
    pub idle: Vec<(Part, String)>,
}

impl Sorted {
    /// How many there are in all.
    #[must_use]
    pub fn listed(&self) -> usize {
        self.kept.len() + self.left_out.len()
    }

    /// How many were left out, by the part that did it.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Part, usize> {
        let mut counts = BTreeMap::new();
        for (_, part) in &self.left_out {
            *counts.entry(*part).or_default() += 1;
        }
        counts
    }
}

/// Patterns of one part, and which of them matched something.
struct Patterns<'f> {
    part: Part,
    compiled: Vec<(&'f String, WildMatch, bool)>,
}

impl<'f> Patterns<'f> {
    fn new(part: Part, texts: &'f [String]) -> Self {
        let compile = |text: &'f String| (text, WildMatch::new_case_insensitive(text), false);
        Self { part, compiled: texts.iter().map(compile).collect() }
    }

    /// Whether any matches; every one that does is remembered.
    fn any(&mut self, texts: &[&str]) -> bool {
        let mut any = false;
        for (_, pattern, used) in &mut self.compiled {
            if texts.iter().any(|text| pattern.matches(text)) {
                (*used, any) = (true, true);
            }
        }
        any
    }

    fn idle(self) -> impl Iterator<Item = (Part, String)> {
        let part = self.part;
        let unused = self.compiled.into_iter().filter(|(_, _, used)| !used);
        unused.map(move |(text, ..)| (part, text.clone()))
    }
}

impl Filter {
    /// Whether there is nothing to filter by.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells what is wanted from what is not. What has no known division matches no pattern of
    /// divisions.
    #[must_use]
    pub fn sort(&self, listed: Vec<Object>) -> Sorted {
        let mut include_names = Patterns::new(Part::IncludeNames, &self.include_names);
        let mut exclude_names = Patterns::new(Part::ExcludeNames, &self.exclude_names);
        let mut include_divisions = Patterns::new(Part::IncludeDivisions, &self.include_divisions);
        let mut exclude_divisions = Patterns::new(Part::ExcludeDivisions, &self.exclude_divisions);
        let mut sorted = Sorted::default();
        for object in listed {
            let division = object.division.as_ref();
            let divisions: Vec<&str> =
                division.into_iter().flat_map(|d| [d.name.as_str(), d.id.as_str()]).collect();
            // every part looks at everything, so that a pattern is idle only if nothing is like it
            let by = [
                (Part::ExcludeNames, exclude_names.any(&[&object.name])),
                (Part::ExcludeDivisions, exclude_divisions.any(&divisions)),
                (
                    Part::IncludeNames,
                    !include_names.any(&[&object.name]) && !self.include_names.is_empty(),
                ),
                (
                    Part::IncludeDivisions,
                    !include_divisions.any(&divisions) && !self.include_divisions.is_empty(),
                ),
            ];
            match by.into_iter().find(|(_, leaves_out)| *leaves_out) {
                Some((part, _)) => sorted.left_out.push((object, part)),
                None => sorted.kept.push(object),
            }
        }
        let all = [include_names, exclude_names, include_divisions, exclude_divisions];
        sorted.idle = all.into_iter().flat_map(Patterns::idle).collect();
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Vec<Object> {
        [("Sales DE", "Home"), ("Sales test", "Home"), ("Kündigungen", "Süd"), ("VIP (1)", "West")]
            .iter()
            .map(|(name, division)| Object {
                id: name.to_lowercase(),
                name: (*name).to_owned(),
                division: Some(Division {
                    id: format!("id-{division}"),
                    name: (*division).to_owned(),
                }),
            })
            .collect()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn kept(filter: &Filter) -> Vec<String> {
        filter.sort(listed()).kept.into_iter().map(|object| object.name).collect()
    }

    #[test]
    fn without_patterns_everything_is_wanted() {
        let sorted = Filter::default().sort(listed());
        assert_eq!((sorted.kept.len(), sorted.left_out.len(), sorted.idle.len()), (4, 0, 0));
        assert!(Filter::default().is_empty());
    }

    #[test]
    fn names_are_matched_whole_whatever_their_case_and_nothing_else_is_special() {
        for (pattern, expected) in [
            ("sales*", vec!["Sales DE", "Sales test"]),
            ("SALES ??", vec!["Sales DE"]),
            ("kÜndig*", vec!["Kündigungen"]),
            ("*(1)", vec!["VIP (1)"]),
            ("Sales", vec![]),
            ("*", vec!["Sales DE", "Sales test", "Kündigungen", "VIP (1)"]),
        ] {
            let filter = Filter { include_names: texts(&[pattern]), ..Filter::default() };
            assert_eq!(kept(&filter), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_excluded_is_left_out_whatever_includes_it() {
        let filter = Filter {
            include_names: texts(&["sales*"]),
            exclude_names: texts(&["*test"]),
            ..Filter::default()
        };
        let sorted = filter.sort(listed());
        assert_eq!(sorted.kept.len(), 1);
        assert_eq!(sorted.listed(), 4);
        let counts = BTreeMap::from([(Part::IncludeNames, 2), (Part::ExcludeNames, 1)]);
        assert_eq!(sorted.counts(), counts);
    }

    #[test]
    fn divisions_are_named_by_name_or_id_and_an_unknown_one_matches_nothing() {
        for pattern in ["süd", "id-Süd"] {
            let filter = Filter { include_divisions: texts(&[pattern]), ..Filter::default() };
            assert_eq!(kept(&filter), ["Kündigungen"], "{pattern}");
        }
        let without = Filter { exclude_divisions: texts(&["Home", "West"]), ..Filter::default() };
        assert_eq!(kept(&without), ["Kündigungen"]);
        let nowhere = vec![Object { id: "q".to_owned(), ..Object::default() }];
        let any = Filter { include_divisions: texts(&["*"]), ..Filter::default() };
        assert_eq!(any.sort(nowhere.clone()).kept, []);
        assert_eq!(without.sort(nowhere).kept.len(), 1);
    }

    #[test]
    fn a_pattern_that_is_like_nothing_is_named() {
        let filter = Filter {
            include_names: texts(&["sales*", "Retour*"]),
            // it is like something that another part leaves out already
            exclude_names: texts(&["VIP*", "nobody"]),
            include_divisions: texts(&["Nord"]),
            ..Filter::default()
        };
        let sorted = filter.sort(listed());
        assert_eq!(sorted.kept, []);
        let idle = [
            (Part::IncludeNames, "Retour*".to_owned()),
            (Part::ExcludeNames, "nobody".to_owned()),
            (Part::IncludeDivisions, "Nord".to_owned()),
        ];
        assert_eq!(sorted.idle, idle);
    }
}
