//! What a topic name says: its class, its ids, the kind of event.

use std::borrow::Cow;

use trunkline_protocol::domain::TopicClass;
use trunkline_protocol::topic::{class_of, is_uuid};

/// The ids and the kind that a topic name carries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub(super) queue: Option<&'a str>,
    pub(super) user: Option<&'a str>,
    pub(super) conversation: Option<&'a str>,
    /// Medium of a media-specific topic, as the name of its list, e.g. `calls`.
    pub(super) list: Option<&'a str>,
    pub(super) event_type: Cow<'a, str>,
}

/// Reads a topic name.
pub(super) fn read(class: TopicClass, topic: &str) -> Named<'_> {
    let mut parts = topic.split('.');
    match class {
        TopicClass::Queue => Named {
            queue: parts.nth(3),
            list: parts.nth(1),
            event_type: Cow::Borrowed("conversation.snapshot"),
            ..Named::default()
        },
        TopicClass::User => Named {
            user: parts.nth(2),
            list: parts.nth(1),
            event_type: Cow::Borrowed("conversation.snapshot"),
            ..Named::default()
        },
        TopicClass::Detail => {
            let conversation = parts.nth(4);
            let kind: Vec<&str> = parts.collect();
            Named { conversation, event_type: Cow::Owned(kind.join(".")), ..Named::default() }
        }
        TopicClass::History => {
            Named { event_type: Cow::Borrowed("conversation.history"), ..Named::default() }
        }
        TopicClass::Metrics => Named {
            conversation: parts.nth(3),
            event_type: Cow::Borrowed("metric"),
            ..Named::default()
        },
        TopicClass::Other => {
            let conversation = topic
                .strip_prefix("v2.conversations.")
                .and_then(|rest| rest.split('.').find(|part| is_uuid(part)));
            let kind = class_of(topic);
            let event_type = kind.strip_prefix("v2.").unwrap_or(&kind).to_owned();
            Named { conversation, event_type: Cow::Owned(event_type), ..Named::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_says_whose_it_is_and_what_happened() {
        let read = |topic| read(TopicClass::of(topic), topic);
        let queue = read("v2.routing.queues.q1.conversations.calls");
        assert_eq!((queue.queue, queue.list), (Some("q1"), Some("calls")));
        let detail = read("v2.detail.events.conversation.c1.flow.outcome");
        assert_eq!((detail.conversation, &*detail.event_type), (Some("c1"), "flow.outcome"));
        assert_eq!(read("v2.users.u1.conversations").list, None);
    }
}
