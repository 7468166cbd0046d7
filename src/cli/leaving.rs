//! Which fields of a record leave the process, and how: found by letting a conversation with every
//! field pass the policy, so that it holds for own rules as well.

use serde::Serialize;
use trunkline_protocol::domain::facts::Facts;
use trunkline_protocol::domain::{EpochId, Event, Frame, Leg, Now};
use trunkline_protocol::identity::Canonical;
use trunkline_protocol::privacy::{HashKey, MASKED, Policy, Preset, is_hash};

use crate::app;
use crate::config::{Config, QuarantineRaw};
use crate::decode::body;
use crate::decode::open::Opener;
use crate::error::{ExitCode, ProcessError};

/// Fields of the record that say something of people, by what becomes of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Leaving {
    preset: &'static str,
    rules: usize,
    as_they_came: Vec<&'static str>,
    hashed: Vec<&'static str>,
    masked: Vec<&'static str>,
    not_at_all: Vec<&'static str>,
    payload: &'static str,
    unreadable: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashes_begin_with: Option<String>,
}

/// A conversation with every field that a record can have.
const SAMPLE: &str = r#"{"topicName":"v2.detail.events.conversation.c.customer.start","eventBody":{
    "conversationId":"c","queueId":"q","userId":"u","mediaType":"voice","direction":"inbound",
    "ani":"tel:+1","dnis":"tel:+2","externalTag":"tag","divisionId":"d","eventTime":1,
    "participants":[{"id":"p","purpose":"customer","userId":"u","queueId":"q","ani":"tel:+1","dnis":"tel:+2",
    "connectedTime":"2026-01-01T00:00:00Z","wrapup":{"code":"w","notes":"n"},"attributes":{"a":"v"},
    "calls":[{"id":"l","state":"connected","direction":"inbound","disconnectType":"client","provider":"p"}]}]}}"#;

impl Leaving {
    pub(super) fn of(config: &Config) -> Result<Self, ProcessError> {
        let policy = app::policy(config)?;
        let privacy = &config.privacy;
        let mut leaving = Self {
            preset: privacy.preset.unwrap_or(Preset::None).as_str(),
            rules: privacy.rules.len(),
            payload: match (privacy.keep_payload, policy.is_none()) {
                (false, _) => "not in the record",
                (true, true) => "the body as it came",
                (true, false) => "the body with the policy applied",
            },
            unreadable: match (config.quarantine.raw, policy.is_none()) {
                (QuarantineRaw::Digest, false) => "quarantined as length, digest and reason",
                (QuarantineRaw::Keep, _) | (QuarantineRaw::Digest, true) => {
                    "quarantined as it came"
                }
            },
            hashes_begin_with: policy.key().map(HashKey::prefix).map(str::to_owned),
            ..Self::default()
        };
        let (before, after) = (sample(&Policy::default())?, sample(&policy)?);
        let (before, after) = (facts(&before)?, facts(&after)?);
        for ((field, came), (_, left)) in fields(&before).into_iter().zip(fields(&after)) {
            let list = match left.as_deref() {
                left if left == came.as_deref() => &mut leaving.as_they_came,
                Some(MASKED) => &mut leaving.masked,
                Some(text) if is_hash(text) => &mut leaving.hashed,
                Some(_) | None => &mut leaving.not_at_all,
            };
            list.push(field);
        }
        Ok(leaving)
    }

    pub(super) fn text(&self) -> String {
        let Self { preset, rules, .. } = self;
        let mut lines = vec![format!("privacy.preset {preset}, {rules} rules of your own:")];
        let prefix = self.hashes_begin_with.as_deref().unwrap_or_default();
        let hashed = format!("leave as {prefix}…");
        for (verb, fields) in [
            ("leave as they came", &self.as_they_came),
            (&*hashed, &self.hashed),
            ("leave as ***", &self.masked),
            ("do not leave", &self.not_at_all),
        ] {
            if !fields.is_empty() {
                lines.push(format!("  {verb:<20} {}", fields.join(", ")));
            }
        }
        lines.push(format!("  {:<20} {}", "payload", self.payload));
        lines.push(format!("  {:<20} {}", "what cannot be read", self.unreadable));
        lines.push(format!(
            "  {:<20} {}",
            "always",
            "ids, times, topics, counts; event_id and body_digest are of the body as it came"
        ));
        lines.join("\n")
    }
}

fn broken(problem: &dyn std::fmt::Display) -> ProcessError {
    ProcessError::text(ExitCode::Internal, format!("the sample cannot be read: {problem}"))
}

fn sample(policy: &Policy) -> Result<Event, ProcessError> {
    let frame = Frame {
        text: SAMPLE.to_owned(),
        received: Now::default(),
        epoch: EpochId([0; 16]),
        leg: Leg { shard: 0, ordinal: 0 },
    };
    let event = Opener::new(String::new(), Canonical::AsReceived).open(frame);
    let governed = policy.event(event.map_err(|rejected| broken(&rejected.detail))?);
    governed.map_err(|rejected| broken(&rejected.detail))
}

fn facts(event: &Event) -> Result<Facts<'_>, ProcessError> {
    body::read(event).map_err(|error| broken(&error))
}

fn fields(facts: &Facts<'_>) -> Vec<(&'static str, Option<String>)> {
    let one = facts.participants.first();
    let leg = one.and_then(|participant| participant.legs.first());
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    let time = |time: Option<i64>| time.map(|ms| ms.to_string());
    let attribute = || Some(one?.attributes.as_ref()?.first()?.1.clone().into_owned());
    vec![
        ("conversation_id", text(&facts.conversation_id)),
        ("queue_id", text(&facts.queue_id)),
        ("user_id", text(&facts.user_id)),
        ("media_type", text(&facts.media_type)),
        ("direction", text(&facts.direction)),
        ("ani", text(&facts.ani)),
        ("dnis", text(&facts.dnis)),
        ("external_tag", text(&facts.external_tag)),
        ("division_ids", facts.division_ids.first().map(|id| id.clone().into_owned())),
        ("event_time", time(facts.event_time)),
        ("version", time(facts.version)),
        ("conversation_state", text(&facts.conversation_state)),
        ("participants.participant_id", one.and_then(|one| text(&one.participant_id))),
        ("participants.purpose", one.and_then(|one| text(&one.purpose))),
        ("participants.user_id", one.and_then(|one| text(&one.user_id))),
        ("participants.queue_id", one.and_then(|one| text(&one.queue_id))),
        ("participants.ani", one.and_then(|one| text(&one.ani))),
        ("participants.dnis", one.and_then(|one| text(&one.dnis))),
        ("participants.connected_time", one.and_then(|one| time(one.connected_time))),
        ("participants.wrapup_code", one.and_then(|one| text(&one.wrapup_code))),
        ("participants.wrapup_notes", one.and_then(|one| text(&one.wrapup_notes))),
        ("participants.attributes", attribute()),
        ("participants.legs.state", leg.and_then(|leg| text(&leg.state))),
        ("participants.legs.disconnect_type", leg.and_then(|leg| text(&leg.disconnect_type))),
        ("participants.legs.provider", leg.and_then(|leg| text(&leg.provider))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaving(preset: Preset) -> Leaving {
        let mut config = Config::default();
        config.privacy.preset = Some(preset);
        config.privacy.hash_key = Some(crate::config::Secret::new("0123456789abcdef".repeat(4)));
        Leaving::of(&config).expect("a policy")
    }

    #[test]
    fn every_field_of_the_record_is_told_and_what_is_personal_leaves_as_the_preset_says() {
        let none = leaving(Preset::None);
        assert_eq!((none.as_they_came.len(), none.hashed.len()), (25, 0));
        let personal = ["ani", "dnis", "participants.ani", "participants.dnis"];
        let strict = leaving(Preset::Strict);
        assert_eq!(strict.masked, personal);
        assert_eq!(
            strict.not_at_all,
            ["external_tag", "participants.wrapup_notes", "participants.attributes"]
        );
        let pseudonymous = leaving(Preset::Pseudonymous);
        assert_eq!(pseudonymous.hashed.len(), 6);
        assert_eq!(pseudonymous.not_at_all, ["participants.wrapup_notes"]);
        let text = pseudonymous.text();
        assert!(
            text.contains("leave as hash:") && text.contains("participants.attributes"),
            "{text}"
        );
    }

    /// Whatever a rule does to a value, the record is written all the same.
    #[test]
    fn no_action_on_any_value_costs_the_record() {
        let row = r#"{"conversationId":"c","conversationStart":"2026-01-01T00:00:00Z","divisionIds":["d"],
            "participants":[{"participantId":"p","attributes":{"a":true,"b":[1]},"sessions":[{"ani":"1",
            "segments":[{"segmentStart":"2026-01-01T00:00:00Z","conference":true}],"metrics":[{"emitDate":"x"}]}]}]}"#;
        let everywhere = [
            "participants",
            "eventTime",
            "divisionId",
            "divisionIds",
            "mediaType",
            "ani",
            "userId",
            "direction",
            "conversationStart",
        ];
        for action in ["drop", "hash", "mask"] {
            let mut config = Config::default();
            config.privacy.hash_key =
                Some(crate::config::Secret::new("0123456789abcdef".repeat(4)));
            config.privacy.rules = everywhere
                .iter()
                .map(|name| {
                    let rule = serde_json::json!({"path": format!("$.{name}"), "action": action});
                    serde_json::from_value(rule).expect("a rule")
                })
                .collect();
            let policy = app::policy(&config).expect("a policy");
            let event = sample(&policy).expect("a sample");
            assert_eq!(facts(&event).expect("facts").conversation_id.as_deref(), Some("c"));
            assert_ne!(facts(&event).expect("facts").user_id.as_deref(), Some("u"));
            let row = policy.apply(row).expect("JSON");
            assert_eq!(crate::decode::history::read(&row).expect("a row").id(), "c", "{action}");
        }
    }
}
