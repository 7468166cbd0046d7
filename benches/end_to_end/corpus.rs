//! The same notifications in every process, and what goes with them.

use genesys_sim::traffic::{Profile, Traffic};
use trunkline::encode::Provenance;
use trunkline::kafka::settings::KafkaSettings;
use trunkline_protocol::domain::{EpochId, Frame, Leg, Now, WriterId};
use trunkline_protocol::privacy::{Group, HashKey, Parts, Policy, Preset};

pub(crate) const ORG: &str = "org";
pub(crate) const TOPIC: &str = "bench";

/// Sizes of the notifications that are measured; the mean is 2.6 KB.
const SIZES: std::ops::Range<usize> = 2_300..2_900;

/// The same frames in every process.
pub(crate) fn frames(count: usize) -> Vec<String> {
    let profile = Profile { rate: 1e6, large: 0.0, ..Profile::default() };
    let mut traffic = Traffic::new(11, profile);
    let mut frames = Vec::with_capacity(count);
    while frames.len() < count {
        for notification in traffic.next(&|topic| topic.ends_with(".conversations")).notifications {
            if let Some(body) = notification.body {
                let text = format!(
                    "{{\"topicName\":\"{}\",\"version\":\"2\",\"eventBody\":{body},\"metadata\":{{\"CorrelationId\":\"3f8b6d2e-0000-4000-8000-000000000000\"}}}}",
                    notification.topic
                );
                if SIZES.contains(&text.len()) {
                    frames.push(text);
                }
            }
        }
    }
    frames.truncate(count);
    frames
}

pub(crate) fn frame(text: &str) -> Frame {
    let (epoch, leg) = (EpochId([1; 16]), Leg { shard: 0, ordinal: 0 });
    Frame { text: text.to_owned(), received: Now::default(), epoch, leg }
}

pub(crate) fn provenance() -> Provenance {
    Provenance { org_id: ORG.to_owned(), writer_id: WriterId([1; 16]) }
}

/// The policy of a preset, as shipped.
pub(crate) fn policy(preset: Preset) -> Policy {
    let groups = Group::ALL.map(|group| (group, preset.action(group))).to_vec();
    let key = HashKey::new(&(0..32).collect::<Vec<u8>>());
    Policy::new(Parts { groups, key, ..Parts::default() })
}

/// What the candidate runs under: `PRIVACY=strict`, none otherwise.
pub(crate) fn preset() -> Preset {
    let wanted = std::env::var("PRIVACY").unwrap_or_default();
    Preset::ALL.into_iter().find(|preset| preset.as_str() == wanted).unwrap_or(Preset::None)
}

pub(crate) fn settings(bootstrap: &str) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers: bootstrap.to_owned(),
        in_flight_records: std::env::var("Q").ok().and_then(|w| w.parse().ok()).unwrap_or(20_000),
        ..KafkaSettings::default()
    }
}
