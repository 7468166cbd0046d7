use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::{
    BodyDigest, EpochId, Event, EventId, Frame, Leg, Mono, Now, Origin, Quarantined, RejectReason,
    TopicClass, Wall,
};
use crate::envelope;

fn key() -> HashKey {
    HashKey::new(&(0..32).collect::<Vec<u8>>()).expect("a key")
}

fn hash(value: &str) -> String {
    key().hash(value)
}

fn policy(preset: Preset, own: &[(&str, Action)]) -> Policy {
    let rule = |(path, action): &(&str, Action)| Rule {
        path: Path::parse(path).expect(path),
        action: *action,
    };
    Policy::new(Parts {
        groups: Group::ALL.map(|group| (group, preset.action(group))).to_vec(),
        own: own.iter().map(rule).collect(),
        key: Some(key()),
        keep_raw: false,
    })
}

fn applied(policy: &Policy, body: &Value) -> Value {
    let text = body.to_string();
    let out = policy.apply(&text).expect("JSON");
    serde_json::from_str(&out).expect("JSON again")
}

fn own(rules: &[(&str, Action)], body: Value) -> Value {
    applied(&policy(Preset::None, rules), &body)
}

#[test]
fn no_policy_gives_back_the_very_text() {
    let none = policy(Preset::None, &[]);
    assert!(none.is_none() && Policy::default().is_none());
    let text = r#" {"ani":"tel:+1", not JSON"#;
    assert!(matches!(none.apply(text), Ok(Cow::Borrowed(same)) if std::ptr::eq(same, text)));
}

#[test]
fn a_body_without_anything_personal_is_not_copied() {
    let text = r#"{"id": "c",  "held":true,"n":1.50,"a":[1,{"state":"co\u006enected"}]}"#;
    let strict = policy(Preset::Strict, &[("$.nowhere.at.all", Action::Drop)]);
    assert!(matches!(strict.apply(text), Ok(Cow::Borrowed(same)) if std::ptr::eq(same, text)));
}

#[test]
fn what_is_not_ruled_keeps_its_own_spelling() {
    let strict = policy(Preset::Strict, &[]);
    let text = r#"{ "n": 1.50, "esc\u0061ped":"\u00e9\/", "half":"\ud83d", "ani":"1", "z":1e5 }"#;
    let out = strict.apply(text).expect("JSON");
    assert_eq!(out, r#"{"n":1.50,"escaped":"\u00e9\/","half":"\ud83d","ani":"***","z":1e5}"#);
}

#[test]
fn every_action_does_what_it_says_to_every_kind_of_value() {
    let body =
        json!({"s":"x","e":"","n":7,"t":true,"z":null,"l":["x",7,null,[]],"o":{"p":"x","q":{}}});
    let all = |action| own(&[("$.*", action)], body.clone());
    assert_eq!(all(Action::Keep), body);
    assert_eq!(all(Action::Drop), json!({}));
    assert_eq!(
        all(Action::Mask),
        json!({"s":"***","e":"","n":"***","t":null,"z":null,"l":["***","***",null,[]],"o":{"p":"***","q":{}}})
    );
    let (x, n) = (hash("x"), hash("7"));
    assert_eq!(
        all(Action::Hash),
        json!({"s":x,"e":"","n":n,"t":null,"z":null,"l":[x,n,null,[]],"o":{"p":x,"q":{}}})
    );
}

#[test]
fn arrays_are_looked_through_and_may_stand_where_an_object_is_usual() {
    let rules = [("$.participants[*].attributes.iban", Action::Drop)];
    let inner = json!({"attributes":{"iban":"DE1","x":1}});
    let gone = json!({"attributes":{"x":1}});
    for (given, left) in [
        (json!([inner, inner]), json!([gone, gone])),
        (inner.clone(), gone.clone()),
        (json!([[inner], [[inner]]]), json!([[gone], [[gone]]])),
        (json!({"attributes":[{"iban":"DE1"},{"x":1}]}), json!({"attributes":[{},{"x":1}]})),
        (json!({"attributes":"iban"}), json!({"attributes":"iban"})),
        (json!({"deeper":inner}), json!({"deeper":inner})),
    ] {
        assert_eq!(own(&rules, json!({"participants":given})), json!({"participants":left}));
    }
}

#[test]
fn a_deep_path_holds_at_any_depth_and_beside_itself() {
    let rules = [("$..a.b", Action::Mask)];
    let body = json!({"b":1,"a":{"b":2,"a":{"b":[3,{"b":4}]}},"x":[{"a":[{"b":5}]}]});
    let left =
        json!({"b":1,"a":{"b":"***","a":{"b":["***",{"b":"***"}]}},"x":[{"a":[{"b":"***"}]}]});
    assert_eq!(own(&rules, body), left);
}

#[test]
fn the_innermost_own_rule_wins_then_the_first_then_the_group() {
    let rules = [
        ("$..attributes.plan", Action::Keep),
        ("$.participants.name", Action::Hash),
        ("$.participants.name", Action::Drop),
    ];
    let strict = policy(Preset::Strict, &rules);
    let body = json!({"participants":[{"name":"Ada","attributes":{"plan":"gold","PLAN":"x","pin":"1"}}],
        "attributes":{"pin":"2"}, "queue":{"name":"Sales"}});
    assert_eq!(
        applied(&strict, &body),
        json!({"participants":[{"name":hash("Ada"),"attributes":{"plan":"gold","PLAN":"x"}}],"queue":{}})
    );
    let kept = policy(Preset::Strict, &[("$..queue", Action::Keep), ("$..queue.x", Action::Drop)]);
    let body = json!({"queue":{"name":"Sales","x":1},"name":"Ada"});
    assert_eq!(applied(&kept, &body), json!({"queue":{"name":"Sales"}}));
}

#[test]
fn a_name_counts_however_its_letters_are_written() {
    let strict = policy(Preset::Strict, &[("$.Tag", Action::Mask)]);
    let text = r#"{"ANI":"1","\u0061ni":"2","Ani":"3","tAG":"4","ani":"5","ani":"6"}"#;
    let out = strict.apply(text).expect("JSON");
    assert!(!out.contains(['1', '2', '3', '4', '5', '6']), "{out}");
}

#[test]
fn unknown_media_are_covered_by_the_names_of_their_members() {
    let body = json!({"participants":[{"holograms":[{"id":"h","addressFrom":"Ada's room",
        "projector":{"displayName":"Ada","notes":[{"text":"secret"}]},"line":"sip:ada@example.invalid",
        "handle":"Ada <ada@example.invalid>","escaped":"ada\u{40}example.invalid"}]}]});
    for preset in [Preset::Strict, Preset::Pseudonymous] {
        let out = applied(&policy(preset, &[]), &body).to_string();
        assert!(!out.contains("Ada") && !out.contains("ada") && !out.contains("secret"), "{out}");
        assert!(out.contains(r#""id":"h""#), "{out}");
    }
    let escaped = policy(Preset::Strict, &[]).apply(r#"{"x":"ada\u0040example.invalid"}"#);
    assert_eq!(escaped.expect("JSON"), r#"{"x":"***"}"#);
}

#[test]
fn what_looks_like_an_address_and_is_none_stays() {
    let body = json!({"a":"@","b":"@ada","c":"x @ y","d":"12:30","e":"telephone","f":"a@","g":7});
    assert_eq!(applied(&policy(Preset::Strict, &[]), &body), body);
}

#[test]
fn a_thousand_attributes_are_hashed_each_and_equal_ones_alike() {
    let attributes: serde_json::Map<_, _> =
        (0..1_000).map(|n| (format!("key {n}"), json!(format!("value {}", n % 10)))).collect();
    let body = json!({"participants":[{"attributes":attributes}]});
    let out = applied(&policy(Preset::Pseudonymous, &[]), &body);
    let out = out["participants"][0]["attributes"].as_object().expect("a map");
    assert_eq!(out.len(), 1_000);
    for n in 0..1_000 {
        assert_eq!(out[&format!("key {n}")], json!(hash(&format!("value {}", n % 10))));
    }
}

#[test]
fn without_a_key_what_would_be_hashed_is_masked() {
    let groups = vec![(Group::Addresses, Action::Hash)];
    let policy = Policy::new(Parts { groups, ..Parts::default() });
    assert_eq!(applied(&policy, &json!({"ani":"1"})), json!({"ani":"***"}));
}

#[test]
fn what_is_no_object_of_json_is_refused() {
    let strict = policy(Preset::Strict, &[]);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    for text in ["", "null", "[]", "\"x\"", "7", "{", "{}x", r#"{"a":tru}"#, r#"{"a":"\x"}"#, &deep]
    {
        assert!(strict.apply(text).is_err(), "{text}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("ani".to_owned()),
        Just("name".to_owned()),
        Just("attributes".to_owned()),
        Just("participants".to_owned()),
        Just("email".to_owned()),
        Just("tel:+1".to_owned()),
        Just("a@b".to_owned()),
        "[a-c\"\\\\é]{0,3}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn once_more_changes_nothing(body in any_json(), which in 0..6_usize) {
        let body = json!({"x": body}).to_string();
        let actions = [Action::Drop, Action::Hash, Action::Mask];
        let policy = match which {
            0 => policy(Preset::Strict, &[]),
            1 => policy(Preset::Pseudonymous, &[]),
            2 => policy(Preset::Pseudonymous, &[("$..attributes.a", Action::Keep)]),
            n => policy(Preset::None, &[("$..a", actions[n - 3]), ("$.x.*.name", Action::Mask)]),
        };
        let once = policy.apply(&body).expect("JSON").into_owned();
        prop_assert!(serde_json::from_str::<Value>(&once).is_ok(), "{}", once);
        let twice = policy.apply(&once).expect("JSON");
        prop_assert!(matches!(twice, Cow::Borrowed(_)), "{} became {}", once, twice);
    }

    #[test]
    fn no_value_that_a_group_means_is_left(body in any_json()) {
        let out = policy(Preset::Strict, &[]).apply(&json!({"x": body}).to_string()).expect("JSON").into_owned();
        let out: Value = serde_json::from_str(&out).expect("JSON again");
        prop_assert!(!values(&out).iter().any(|text| text.contains("a@b") || text == "tel:+1"), "{}", out);
    }
}

/// Texts that are no names.
fn values(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(values).collect(),
        Value::Object(map) => map.values().flat_map(values).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn event(text: &str) -> Event {
    let parts = envelope::read(text).expect("an envelope");
    Event {
        frame: Frame {
            text: text.to_owned(),
            received: Now { mono: Mono(1), wall: Wall(2) },
            epoch: EpochId([3; 16]),
            leg: Leg { shard: 4, ordinal: 1 },
        },
        id: EventId([5; 16]),
        digest: BodyDigest([6; 16]),
        class: TopicClass::User,
        topic: parts.topic,
        body: parts.body,
        quotes: parts.quotes,
        correlation_id: parts.correlation_id,
        sequence: 7,
        origin: Origin::Live,
        gap: None,
        takeover: false,
        altered: false,
    }
}

#[test]
fn an_event_keeps_its_identity_and_loses_what_the_envelope_should_not_hold() {
    let text = r#"{"topicName":"v2.users.u.conversations","version":"2","future":"Ada","eventBody":{"id":"c","ani":"tel:+1"},"metadata":{"CorrelationId":"k","who":"Ada"}}"#;
    let (before, after) =
        (event(text), policy(Preset::Strict, &[]).event(event(text)).expect("readable"));
    assert_eq!(after.body(), r#"{"id":"c","ani":"***"}"#);
    assert_eq!((after.topic(), after.correlation_id()), (before.topic(), before.correlation_id()));
    assert_eq!((after.id, after.digest, after.altered), (before.id, before.digest, true));
    let read = envelope::read(&after.frame.text).expect("an envelope");
    assert_eq!(
        (read.topic, read.body, read.correlation_id),
        (after.topic.clone(), after.body.clone(), after.correlation_id.clone())
    );
    assert!(!after.frame.text.contains("Ada"), "{}", after.frame.text);
    let again = policy(Preset::Strict, &[]).event(after.clone()).expect("readable");
    assert_eq!(again, after);
    assert_eq!(Policy::default().event(event(text)), Ok(before));
}

#[test]
fn an_event_without_anything_personal_is_not_called_altered() {
    let text = r#"{"topicName":"v2.users.u.conversations","eventBody":{"id":"c"}}"#;
    let after = policy(Preset::Strict, &[]).event(event(text)).expect("readable");
    assert_eq!(after, event(text));
}

#[test]
fn what_cannot_be_read_leaves_its_length_and_digest() {
    let text = r#"{"topicName":"v2.users.u.conversations","eventBody":{"ani":tel:+1}}"#;
    let strict = policy(Preset::Strict, &[]);
    let withheld = strict.event(event(text)).expect_err("no JSON");
    assert!(withheld.withheld && withheld.id == EventId([5; 16]));
    let note: Value = serde_json::from_slice(&withheld.raw).expect("JSON");
    assert_eq!(note["length"], json!(text.len()));
    assert_eq!(note["digest"], json!(blake3::hash(text.as_bytes()).to_hex().to_string()));
    assert_eq!(read_withheld(&withheld.raw), Some((RejectReason::BadBody, NoObject.to_string())));
    assert_eq!(strict.rejected(withheld.clone()), withheld, "once is enough");
    assert_eq!(read_withheld(text.as_bytes()), None);
}

#[test]
fn raw_bytes_stay_where_they_may() {
    let binary = |reason| Quarantined {
        raw: vec![0xff, 0xfe],
        reason,
        detail: String::new(),
        topic: None,
        id: EventId([1; 16]),
        received: Now::default(),
        epoch: EpochId([0; 16]),
        withheld: false,
        altered: None,
    };
    let strict = policy(Preset::Strict, &[]);
    for reason in RejectReason::ALL {
        let after = strict.rejected(binary(reason));
        let unread = after.withheld && !after.raw.contains(&0xff);
        let ruled = [RejectReason::TooLarge, RejectReason::Unencodable, RejectReason::Refused];
        assert_eq!(unread, !ruled.contains(&reason), "{reason:?}");
        assert_eq!(Policy::default().rejected(binary(reason)), binary(reason));
    }
    let groups = vec![(Group::Names, Action::Drop)];
    let keeps = Policy::new(Parts { groups, keep_raw: true, ..Parts::default() });
    assert_eq!(keeps.rejected(binary(RejectReason::Binary)), binary(RejectReason::Binary));
}
