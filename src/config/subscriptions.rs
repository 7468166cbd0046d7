//! Which topics.

use serde::{Deserialize, Serialize};
use trunkline_protocol::discovery::Filter;

/// Which topics.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subscriptions {
    /// `discover`, `none` or a list of queue ids.
    pub queues: Ids,
    /// `discover`, `none` or a list of user ids.
    pub users: Ids,
    /// Which of the queues that are discovered.
    pub queue_filter: FilterConfig,
    /// Which of the users that are discovered.
    pub user_filter: FilterConfig,
    /// Which media; empty: all, on one topic for each queue and user. With some, each is a topic of its own.
    pub media: Vec<Media>,
    /// Further topics, verbatim.
    pub topics: Vec<String>,
    /// Between two looks at the platform's listings, at least: they take a tenth of the budget at most.
    pub refresh_secs: u64,
    /// The longest time in seconds, 10 at least, in which no event of a shard comes, where you know one: a channel
    /// that hears nothing for longer is taken for deaf even when all of them are. `null`: quiet is believed until
    /// history says otherwise.
    pub canary_secs: Option<u64>,
}

/// Where ids come from.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Ids {
    /// `discover` or `none`.
    Word(IdsWord),
    /// A list.
    List(Vec<String>),
}

/// See [`Ids`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdsWord {
    /// Ask the platform and follow it.
    Discover,
    /// No such topics.
    None,
}

/// Patterns of names and divisions: `*` for any characters, `?` for one, whatever the case. What is
/// excluded is left out whatever includes it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterConfig {
    /// Names that are wanted; empty: all.
    pub include_names: Vec<String>,
    /// Names that are not.
    pub exclude_names: Vec<String>,
    /// Divisions that are wanted, by name or id; empty: all.
    pub include_divisions: Vec<String>,
    /// Divisions that are not.
    pub exclude_divisions: Vec<String>,
}

impl FilterConfig {
    /// The same as a rule.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter {
            include_names: self.include_names.clone(),
            exclude_names: self.exclude_names.clone(),
            include_divisions: self.include_divisions.clone(),
            exclude_divisions: self.exclude_divisions.clone(),
        }
    }

    /// Every list with its name.
    pub(super) fn lists(&self) -> [(&'static str, &[String]); 4] {
        [
            ("include_names", &self.include_names),
            ("exclude_names", &self.exclude_names),
            ("include_divisions", &self.include_divisions),
            ("exclude_divisions", &self.exclude_divisions),
        ]
    }
}

/// A medium, by the end of its topics.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "named as the platform names them")]
pub enum Media {
    Calls,
    Callbacks,
    Chats,
    CobrowseSessions,
    Emails,
    Messages,
    Screenshares,
    Socialexpressions,
    Videos,
}

impl Media {
    /// The last part of its topics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Callbacks => "callbacks",
            Self::Chats => "chats",
            Self::CobrowseSessions => "cobrowseSessions",
            Self::Emails => "emails",
            Self::Messages => "messages",
            Self::Screenshares => "screenshares",
            Self::Socialexpressions => "socialexpressions",
            Self::Videos => "videos",
        }
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self {
            queues: Ids::Word(IdsWord::Discover),
            users: Ids::Word(IdsWord::Discover),
            queue_filter: FilterConfig::default(),
            user_filter: FilterConfig::default(),
            media: Vec::new(),
            topics: Vec::new(),
            refresh_secs: 60,
            canary_secs: None,
        }
    }
}

impl Subscriptions {
    /// Whether every conversation on a queue is asked for, of queues that come as well.
    #[must_use]
    pub fn whole_org(&self) -> bool {
        self.queues == Ids::Word(IdsWord::Discover)
            && self.queue_filter == FilterConfig::default()
            && self.media.is_empty()
    }
}
