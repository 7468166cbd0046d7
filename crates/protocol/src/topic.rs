//! What a topic name says of its family.

use crate::domain::TopicClass;

/// Stands for whatever a direct URL carries: nobody says which topics that are, so its coverage is that
/// of a connection, and a gap in it may concern every conversation.
pub const DIRECT: &str = "direct";

/// The topic with `{id}` in the place of every id: its class, as records and certificates name it.
#[must_use]
pub fn class_of(topic: &str) -> String {
    let id_at = match TopicClass::of(topic) {
        TopicClass::Queue | TopicClass::Metrics => Some(3),
        TopicClass::User => Some(2),
        TopicClass::Detail => Some(4),
        TopicClass::Other if topic.starts_with("v2.users.") => Some(2),
        TopicClass::Other | TopicClass::History => None,
    };
    let mut class = String::with_capacity(topic.len());
    for (at, part) in topic.split('.').enumerate() {
        if at > 0 {
            class.push('.');
        }
        class.push_str(if Some(at) == id_at || is_uuid(part) { "{id}" } else { part });
    }
    class
}

/// Whether a part of a topic is an id.
#[must_use]
pub fn is_uuid(part: &str) -> bool {
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
}
