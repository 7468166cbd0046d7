//! What the configuration means for ledger, certificates and audit.

use std::time::Duration;

use trunkline_protocol::domain::Dice;
use trunkline_protocol::standby::Roster;
use trunkline_protocol::timings::Timings;

use super::kafka_settings;
use super::schemas::SchemaIds;
use crate::certify::CertifySettings;
use crate::config::{Config, Mode, Schedule};
use crate::encode::Provenance;
use crate::encode::proof::{ProofEncoder, ProofSource};
use crate::encode::schemas::{COVERAGE_CERTIFICATE, GAP_RECORD};
use crate::error::{ExitCode, ProcessError};
use crate::kafka::settings::KafkaSettings;
use crate::ledger::{Ledger, LedgerError, LedgerSettings};
use crate::reconcile::AuditParts;

/// What holding closed hours against history takes.
pub(super) fn audit_parts(config: &Config, ledger: &Ledger) -> Option<Box<AuditParts>> {
    let wanted = config.reconcile.schedule == Schedule::Daily;
    wanted.then(|| {
        Box::new(AuditParts {
            looks: ledger.looks(),
            kafka: kafka_settings(config),
            events_topic: config.kafka.events_topic.clone(),
            whole_org: config.subscriptions.whole_org(),
        })
    })
}

pub(super) fn ledger_settings(
    config: &Config,
    kafka: KafkaSettings,
    source: &ProofSource,
    timings: &Timings,
) -> LedgerSettings {
    LedgerSettings {
        kafka,
        state_topic: config.kafka.state_topic.clone(),
        gaps_topic: config.kafka.gaps_topic.clone(),
        instance: source.instance.clone(),
        roster: Roster::new(&config.replica, config.replicas.iter().cloned()),
        org_id: source.org_id.clone(),
        writer_id: source.writer_id,
        timings: timings.clone(),
        proves: config.genesys.mode == Mode::Channels,
        // reading it whole takes longer than a broker's first answer
        patience: Duration::from_secs(config.kafka.start_timeout_secs.max(30)),
    }
}

pub(super) async fn proof_encoder(
    config: &Config,
    provenance: &Provenance,
    ids: &mut SchemaIds,
    dice: &mut Dice,
) -> Result<ProofEncoder, ProcessError> {
    let (gaps, certificates) = (&config.kafka.gaps_topic, &config.kafka.certificates_topic);
    let gap_schema = ids.id(gaps, GAP_RECORD, dice).await?;
    let certificate_schema = ids.id(certificates, COVERAGE_CERTIFICATE, dice).await?;
    let source = ProofSource {
        org_id: provenance.org_id.clone(),
        instance: config.instance.clone(),
        writer_id: provenance.writer_id,
    };
    Ok(ProofEncoder { source, gap_schema, certificate_schema })
}

pub(super) fn certify_settings(
    config: &Config,
    kafka: KafkaSettings,
    timings: &Timings,
) -> CertifySettings {
    let roster = Roster::new(&config.replica, config.replicas.iter().cloned());
    CertifySettings {
        kafka,
        state_topic: config.kafka.state_topic.clone(),
        events_topic: config.kafka.events_topic.clone(),
        quarantine_topic: config.kafka.quarantine_topic.clone(),
        certificates_topic: config.kafka.certificates_topic.clone(),
        timings: timings.clone(),
        place: u32::try_from(roster.place(0)).unwrap_or(u32::MAX),
        count: u32::try_from(roster.len()).unwrap_or(u32::MAX),
    }
}

pub(super) fn ledger_error(error: &LedgerError) -> ProcessError {
    let code = match error {
        LedgerError::Kafka(_) | LedgerError::NoBarrier { .. } => ExitCode::Unavailable,
        LedgerError::Foreign { .. } | LedgerError::Newer { .. } => ExitCode::Config,
    };
    ProcessError::new(code, error)
}
