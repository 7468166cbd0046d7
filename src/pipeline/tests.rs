//! What the privacy policy lets on to the disk, and what comes back from it.

use trunkline_protocol::domain::{EpochId, Leg};
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::privacy::{Action, Group, Parts};

use super::*;

fn strict() -> Policy {
    Policy::new(Parts { groups: vec![(Group::Addresses, Action::Mask)], ..Parts::default() })
}

fn heard(text: &str, flow: &Flow) -> Kept {
    let received = Now { mono: Mono(1), wall: trunkline_protocol::domain::Wall(2) };
    let leg = Leg { shard: 0, ordinal: 0 };
    let frame = Frame { text: text.to_owned(), received, epoch: EpochId([1; 16]), leg };
    let ticket = flow.receive(TopicClass::User, Origin::Live);
    match Opener::new("org".to_owned(), Canonical::AsReceived).open(frame) {
        Ok(event) => Kept::Event(event, ticket, 7),
        Err(rejected) => Kept::Rejected(rejected, ticket, 7),
    }
}

#[test]
fn what_goes_to_the_disk_is_governed_and_says_whose_identity_it_has() {
    let flow = Flow::new();
    for (text, kind) in [
        (
            r#"{"topicName":"v2.users.u.conversations","eventBody":{"id":"c","ani":"PLANT"}}"#,
            "Altered",
        ),
        (r#"{"topicName":"v2.users.u.conversations","eventBody":{"id":"c"}}"#, "Text"),
        (r#"{"topicName":"v2.users.u.conversations","eventBody":{"ani":PLANT}}"#, "Withheld"),
        (r#"{"topicName":"v2.users.u.conversations","eventBody":"PLANT"}"#, "Withheld"),
        (
            r#"{"topicName":"v2.users.u.conversations","eventBody":{"id":"c","participants":"PLANT"}}"#,
            "Withheld",
        ),
        (r#"{"PLANT":1}"#, "Withheld"),
        ("PLANT", "Withheld"),
    ] {
        let before = heard(text, &flow);
        let id = spooled(&before).id;
        let raw_digest = match &before {
            Kept::Event(event, ..) => Some(event.digest),
            Kept::Rejected(..) => None,
        };
        let after = governed(&strict(), "org", before);
        let spooled = spooled(&after);
        assert!(format!("{:?}", spooled.kind).starts_with(kind), "{text}: {:?}", spooled.kind);
        assert!(!String::from_utf8_lossy(spooled.raw).contains("PLANT"), "{text}");
        assert_eq!(spooled.id, id, "identities are taken before");
        if let Kind::Altered(digest) = spooled.kind {
            assert_eq!(Some(digest), raw_digest);
        }
    }
}

#[test]
fn without_a_policy_everything_goes_to_the_disk_as_it_came() {
    let flow = Flow::new();
    for text in [r#"{"topicName":"v2.users.u.conversations", "eventBody":{"ani":"1"}}"#, "x"] {
        let after = governed(&Policy::default(), "org", heard(text, &flow));
        assert_eq!((spooled(&after).kind, spooled(&after).raw), (Kind::Text, text.as_bytes()));
    }
}
