//! The invented organisation: queues, people, divisions.

use rand::Rng;
use rand::rngs::StdRng;

/// A part of an organisation.
#[derive(Clone, Debug)]
pub struct Division {
    /// UUID.
    pub id: String,
    /// Name.
    pub name: String,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// UUID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Its place among the divisions.
    pub division: usize,
    /// Whether it was deleted while running; its place stays, conversations refer to it.
    pub deleted: bool,
}

/// A person who takes conversations.
#[derive(Clone, Debug)]
pub struct User {
    /// UUID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Its place among the divisions.
    pub division: usize,
    /// Whether it was deleted while running; its place stays, conversations refer to it.
    pub deleted: bool,
}

/// Everything topics can be about.
#[derive(Clone, Debug)]
pub struct Org {
    /// UUID.
    pub id: String,
    /// Divisions, the home division first; conversations are of that one.
    pub divisions: Vec<Division>,
    /// Queues, the busiest first.
    pub queues: Vec<Queue>,
    /// People.
    pub users: Vec<User>,
}

const FIRST: [&str; 12] = [
    "Ada", "Björn", "Chloé", "Dmitri", "Eun-ji", "Fatima", "Gökhan", "Hana", "Iñigo", "Jürgen",
    "Kwame", "李娜",
];
const LAST: [&str; 10] = [
    "Åkesson",
    "Brontë",
    "Castañeda",
    "Dvořák",
    "Eriksen",
    "Faßbinder",
    "García",
    "O'Hara",
    "Ivanova",
    "Nguyễn",
];
const QUEUES: [&str; 8] = [
    "Billing",
    "Technical support",
    "Kündigungen",
    "Sales",
    "Retours & réclamations",
    "VIP",
    "Claims",
    "夜间支持",
];

impl Org {
    /// Invents an organisation; queues and people are spread over its divisions.
    #[must_use]
    pub fn new(queues: usize, users: usize, divisions: usize, rng: &mut StdRng) -> Self {
        let id = uuid(rng);
        let home = Division { id: uuid(rng), name: "Home".to_owned() };
        let count = divisions.max(1);
        let queues = (0..queues)
            .map(|n| Queue {
                id: uuid(rng),
                name: format!("{} {n}", QUEUES[n % QUEUES.len()]),
                division: n % count,
                deleted: false,
            })
            .collect();
        let users = (0..users)
            .map(|n| User { id: uuid(rng), name: person(rng), division: n % count, deleted: false })
            .collect();
        // behind everything else, so that more of them leave the rest as it is
        let more = (1..count).map(|n| Division { id: uuid(rng), name: format!("Division {n}") });
        let divisions = std::iter::once(home).chain(more.collect::<Vec<_>>()).collect();
        Self { id, divisions, queues, users }
    }

    /// Where conversations belong.
    #[must_use]
    pub fn home(&self) -> &str {
        self.divisions.first().map_or("", |division| &division.id)
    }

    /// The place of a division, by its name or id.
    #[must_use]
    pub fn division(&self, name: &str) -> Option<usize> {
        self.divisions.iter().position(|division| division.name == name || division.id == name)
    }

    /// Whether this queue exists now.
    #[must_use]
    pub fn has_queue(&self, id: &str) -> bool {
        self.queues.iter().any(|queue| queue.id == id && !queue.deleted)
    }

    /// Whether this person exists now.
    #[must_use]
    pub fn has_user(&self, id: &str) -> bool {
        self.users.iter().any(|user| user.id == id && !user.deleted)
    }

    /// The first from `at` on that exists, else the first of all that does.
    pub(super) fn live_queue(&self, at: usize) -> Option<usize> {
        let live = |at: &usize| self.queues.get(*at).is_some_and(|queue| !queue.deleted);
        (at..self.queues.len()).chain(0..at).find(live)
    }

    /// The same for people.
    pub(super) fn live_user(&self, at: usize) -> Option<usize> {
        let live = |at: &usize| self.users.get(*at).is_some_and(|user| !user.deleted);
        (at..self.users.len()).chain(0..at).find(live)
    }
}

/// A name nobody bears.
pub(super) fn person(rng: &mut StdRng) -> String {
    let first = FIRST[rng.random_range(0..FIRST.len())];
    let last = LAST[rng.random_range(0..LAST.len())];
    format!("{first} {last}")
}

/// A random UUID, version 4.
pub(crate) fn uuid(rng: &mut StdRng) -> String {
    let bits = (rng.random::<u128>() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}
