//! Filters that say something of what is discovered.

use crate::config::{Config, FilterConfig, Ids, IdsWord};

/// A ping is as long in coming: whoever asks for more often asks for rotation all day.
const CANARY_SECS: u64 = 10;

pub(super) fn check(config: &Config, wrong: &mut impl FnMut(&str, String)) {
    let subscriptions = &config.subscriptions;
    let sides = [
        ("queue", &subscriptions.queues, &subscriptions.queue_filter),
        ("user", &subscriptions.users, &subscriptions.user_filter),
    ];
    for (what, ids, filter) in sides {
        let field = format!("subscriptions.{what}_filter");
        for (list, patterns) in filter.lists() {
            if patterns.iter().any(|pattern| pattern.trim().is_empty()) {
                let text = "holds \"\"; allowed: a name, with * for any characters and ? for one";
                wrong(&format!("{field}.{list}"), text.to_owned());
            }
        }
        if *filter != FilterConfig::default() && *ids != Ids::Word(IdsWord::Discover) {
            let text = format!("filters nothing; allowed with subscriptions.{what}s: discover");
            wrong(&field, text);
        }
    }
    if let Some(secs) = subscriptions.canary_secs.filter(|secs| *secs < CANARY_SECS) {
        let text = format!("is {secs}; allowed: {CANARY_SECS} or more, or null");
        wrong("subscriptions.canary_secs", text);
    }
    let mut media = subscriptions.media.clone();
    media.sort_unstable();
    if let Some(twice) = media.windows(2).find(|pair| pair[0] == pair[1]) {
        let text = format!("holds {} twice; allowed: each once", twice[0].as_str());
        wrong("subscriptions.media", text);
    }
}
