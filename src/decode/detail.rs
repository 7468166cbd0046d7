//! What a topic name says: its class, its ids, the kind of event.

use std::borrow::Cow;

use trunkline_protocol::domain::TopicClass;

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

/// The topic with `{id}` in the place of every id.
#[must_use]
pub(super) fn class_of(topic: &str) -> String {
    let id_at = match TopicClass::of(topic) {
        TopicClass::Queue | TopicClass::Metrics => Some(3),
        TopicClass::User => Some(2),
        TopicClass::Detail => Some(4),
        TopicClass::Other if topic.starts_with("v2.users.") => Some(2),
        TopicClass::Other => None,
    };
    let part = |(at, part)| {
        if Some(at) == id_at || is_uuid(part) { "{id}" } else { part }
    };
    topic.split('.').enumerate().map(part).collect::<Vec<_>>().join(".")
}

fn is_uuid(part: &str) -> bool {
    part.len() == 36 && part.bytes().filter(|byte| *byte == b'-').count() == 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_a_topic_holds_no_id() {
        for (topic, class) in [
            ("v2.routing.queues.q1.conversations", "v2.routing.queues.{id}.conversations"),
            ("v2.users.u1.conversations.calls", "v2.users.{id}.conversations.calls"),
            (
                "v2.detail.events.conversation.c.user.end",
                "v2.detail.events.conversation.{id}.user.end",
            ),
            (
                "v2.conversations.chats.aa06a6fc-1fdf-4e59-b8a1-df3ca44f523e.members",
                "v2.conversations.chats.{id}.members",
            ),
            ("v2.users.9ed7d9f6-0c59-4360-ac54-40dd35eb9c2f.presence", "v2.users.{id}.presence"),
        ] {
            assert_eq!(class_of(topic), class);
        }
    }

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
