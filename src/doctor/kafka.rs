//! Brokers, topics and the registry.

use trunkline_protocol::domain::Dice;

use super::{Finding, PATIENCE, Verdict};
use crate::app;
use crate::config::{Config, DurabilityWord, Mode, RegistryMode};
use crate::encode::registry::{self, RegistryError};
use crate::encode::schemas::{self, Subject, Topic};
use crate::kafka::KafkaError;
use crate::kafka::admin::{Durability, TopicCheck, TopicWant, check_topics};
use crate::kafka::rights::{self, GROUPS, Right};

const ACL: &str = "acl";
const TOPIC: &str = "topic";
const SCHEMA: &str = "schema";

/// Every topic that the service needs, and those that are there; the first silence of the brokers ends
/// it.
pub(super) async fn topics(config: &Config) -> (Vec<Finding>, Vec<TopicWant>) {
    let settings = app::kafka_settings(config);
    let check = |topics| TopicCheck {
        topics,
        durability: Durability::DegradedAllowed,
        create_partitions: None,
        patience: PATIENCE / 2,
    };
    let wanted = app::topics_wanted(config);
    // all at once, and one by one only when something is the matter
    if let Ok(weak) = check_topics(&settings, &check(wanted.clone())).await {
        let strong = |topic: &&TopicWant| {
            !weak.iter().any(|line| line.starts_with(&format!("{}:", topic.name)))
        };
        let mut findings: Vec<Finding> = wanted.iter().filter(strong).map(there).collect();
        findings.extend(weak.iter().map(|problem| weakness(config, problem)));
        return (findings, wanted);
    }
    let (mut findings, mut found) = (Vec::new(), Vec::new());
    for want in wanted {
        match check_topics(&settings, &check(vec![want.clone()])).await {
            Ok(weak) => {
                findings.extend(weak.is_empty().then(|| there(&want)));
                findings.extend(weak.iter().map(|problem| weakness(config, problem)));
                found.push(want);
            }
            Err(KafkaError::NoTopic { .. }) if config.kafka.create_topics => {
                let text = format!("{} does not exist yet; run makes it", want.name);
                findings.push(Finding::ok(TOPIC, text));
            }
            Err(error @ (KafkaError::Unreachable { .. } | KafkaError::Settings(_))) => {
                let remedy = "check kafka.bootstrap_servers, kafka.security (protocol, mechanism, user, authorities) and what lies between";
                findings.push(Finding::fail("brokers", error.to_string(), remedy));
                return (findings, Vec::new());
            }
            Err(error @ KafkaError::Hidden { .. }) => {
                let remedy = grant(&OPERATIONS, &want);
                findings.push(Finding::fail(ACL, error.to_string(), remedy));
            }
            Err(error) => {
                let remedy = "docs/operations.md says what each topic needs";
                findings.push(Finding::fail(TOPIC, error.to_string(), remedy));
            }
        }
    }
    (findings, found)
}

/// What the user may do with topics that are there.
pub(super) async fn rights(config: &Config, topics: &[TopicWant]) -> Vec<Finding> {
    let settings = app::kafka_settings(config);
    let (mut findings, mut unknown, mut groups) = (Vec::new(), None, false);
    for topic in topics {
        let asked = rights::rights(&settings, &topic.name, PATIENCE / 4).await;
        let rights = match asked {
            Ok(rights) => {
                groups |= rights.group == Right::Denied;
                [rights.describe_configs, rights.read, rights.write]
            }
            Err(error) => [(); 3].map(|()| Right::Unknown(error.to_string())),
        };
        let silent = matches!(rights.first(), Some(Right::Unknown(_)));
        let denied = |(operation, right): (&'static str, &Right)| {
            matches!(right, Right::Denied).then_some(operation)
        };
        let denied: Vec<&str> = OPERATIONS.into_iter().zip(&rights).filter_map(denied).collect();
        if !denied.is_empty() {
            let text = format!("{} is denied on topic {}", denied.join(", "), topic.name);
            findings.push(Finding::fail(ACL, text, grant(&denied, topic)));
        }
        unknown = unknown.or_else(|| {
            rights.into_iter().find_map(|right| match right {
                Right::Unknown(why) => Some(why),
                Right::Granted | Right::Denied => None,
            })
        });
        if silent {
            break; // the next topic would be asked as vainly
        }
    }
    if groups {
        let text = format!("Read is denied on groups {GROUPS}*: commands that read topics fail");
        let remedy = format!(
            "kafka-acls.sh --add --allow-principal User:NAME --operation Read --resource-pattern-type prefixed --group {GROUPS}"
        );
        findings.push(Finding::warn(ACL, text, remedy));
    }
    match unknown {
        Some(why) => {
            let text = format!("the brokers do not tell what is allowed on every topic: {why}");
            findings.push(Finding::new(ACL, Verdict::Skip, text));
        }
        None if findings.is_empty() && !topics.is_empty() => {
            let text = format!("{} topics may be read and written", topics.len());
            findings.push(Finding::ok(ACL, text));
        }
        None => {}
    }
    findings
}

/// Operations that a topic needs, which imply that it is shown.
const OPERATIONS: [&str; 3] = ["DescribeConfigs", "Read", "Write"];

fn grant(operations: &[&str], topic: &TopicWant) -> String {
    let each: Vec<String> =
        operations.iter().map(|operation| format!("--operation {operation}")).collect();
    let (each, name) = (each.join(" "), &topic.name);
    format!("kafka-acls.sh --add --allow-principal User:NAME {each} --topic {name}")
}

fn there(topic: &TopicWant) -> Finding {
    Finding::ok(TOPIC, format!("{} is there", topic.name))
}

fn weakness(config: &Config, problem: &str) -> Finding {
    match config.kafka.durability {
        DurabilityWord::Required => {
            Finding::fail(TOPIC, problem, "repair the topic: run refuses one that can lose records")
        }
        DurabilityWord::DegradedAllowed => {
            Finding::warn(TOPIC, problem, "allowed by kafka.durability: for trying out only")
        }
    }
}

/// The three schemas; and whether the registry answers, whose first silence ends it.
pub(super) async fn registry(config: &Config) -> (Vec<Finding>, bool) {
    let mut settings = match app::registry_settings(config) {
        Ok(settings) => settings,
        Err(error) => {
            let remedy = "mend schema_registry.ca_file";
            return (vec![Finding::fail(SCHEMA, error.to_string(), remedy)], false);
        }
    };
    (settings.patience, settings.timeout) = (PATIENCE / 2, settings.timeout.min(PATIENCE / 2));
    let mut findings = Vec::new();
    let proves = config.genesys.mode != Mode::Eventbridge;
    let written = |subject: &Subject| proves || matches!(subject.topic, Topic::Events);
    for Subject { text, topic, .. } in schemas::SUBJECTS.into_iter().filter(written) {
        let kafka = &config.kafka;
        let subject = schemas::subject_of(match topic {
            Topic::Events => &kafka.events_topic,
            Topic::Gaps => &kafka.gaps_topic,
            Topic::Certificates => &kafka.certificates_topic,
        });
        let mode = registry::Mode::Require;
        let resolved = registry::resolve(&settings, &subject, text, mode, &mut Dice::new(0)).await;
        findings.push(match resolved {
            Ok(found) if !found.is_spelled_ours => Finding::warn(
                SCHEMA,
                format!("{subject} is schema {}, in another spelling: converters that look it up by its text may not find it", found.id),
                "trunkline schema register",
            ),
            Ok(found) => Finding::ok(SCHEMA, format!("{subject} is schema {}", found.id)),
            Err(RegistryError::Missing { .. })
                if config.schema_registry.mode == RegistryMode::Register =>
            {
                Finding::ok(SCHEMA, format!("{subject} is not registered yet; run registers it"))
            }
            Err(error @ (RegistryError::Unavailable { .. } | RegistryError::Settings(_))) => {
                let remedy = "check schema_registry.url, .username, .password, .token and .ca_file";
                findings.push(Finding::fail(SCHEMA, error.to_string(), remedy));
                return (findings, false);
            }
            Err(error @ RegistryError::Missing { .. }) => {
                let remedy = "trunkline schema register, with credentials that may";
                Finding::fail(SCHEMA, error.to_string(), remedy)
            }
            Err(error @ RegistryError::Incompatible { .. }) => {
                let remedy = "somebody else registered it: another topic, or have it deleted";
                Finding::fail(SCHEMA, error.to_string(), remedy)
            }
        });
    }
    (findings, true)
}
