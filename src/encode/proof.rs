//! Gap and certificate records, field by field in the order of their schemas.

use std::time::Duration;

use trunkline_protocol::certifier::{Certificate, Subject};
use trunkline_protocol::domain::{Wall, WriterId};
use trunkline_protocol::gaps;
use trunkline_protocol::ledger::{Gap, Source};
use trunkline_protocol::timings::Timings;

use super::writer::Writer;

/// Version of both schemas, in every record.
const SCHEMA_VERSION: i64 = 1;

/// Writes proof under registered schemas.
#[derive(Clone, Debug)]
pub struct ProofEncoder {
    /// What every record says of where it comes from.
    pub source: ProofSource,
    /// Id of the gap record's schema.
    pub gap_schema: u32,
    /// Id of the certificate's schema.
    pub certificate_schema: u32,
}

/// Where proof comes from.
#[derive(Clone, Debug)]
pub struct ProofSource {
    /// Organisation.
    pub org_id: String,
    /// Names the installation.
    pub instance: String,
    /// This process.
    pub writer_id: WriterId,
}

impl ProofEncoder {
    /// A gap as it is known now: key and value.
    #[must_use]
    pub fn gap(&self, shard: u16, gap: &Gap, timings: &Timings) -> (String, Vec<u8>) {
        let mut out = framed(self.gap_schema);
        let mut w = Writer(&mut out);
        let source = &self.source;
        let repair = &gap.repair;
        let state = match (repair.outcome, gap.to) {
            (Some(_), _) => "closed",
            (None, Some(_)) => "open",
            (None, None) => "growing",
        };
        w.string(&gap.gap.to_string());
        w.string(&source.org_id);
        w.string(&source.instance);
        w.long(i64::from(shard));
        w.string(&gap.class);
        w.items(&gap.topics, |w, topic| w.string(topic));
        w.string(state);
        w.string(gap.cause.as_str());
        w.long(gap.from.0);
        w.opt_long(gap.to.map(|to| to.0));
        w.long(millis(timings.margin));
        w.long(gap.recorded_at.0);
        w.boolean(repair.outcome.is_none() && gaps::is_provisional(gap));
        w.length(repair.reads.len());
        let newest = repair.reads.last();
        w.long(count(newest.map_or(0, |reading| reading.rows)));
        w.long(count(repair.reads.iter().map(|reading| reading.written).sum()));
        w.long(count(newest.map_or(0, |reading| reading.missing)));
        let jobs = repair.reads.iter().filter(|reading| reading.source == Source::Jobs);
        w.opt_long(jobs.filter_map(|reading| reading.complete_to).max().map(|at| at.0));
        let expected = gaps::expected_close(gap, timings).filter(|_| repair.outcome.is_none());
        w.opt_long(expected.map(|at| at.0));
        w.opt_string(repair.outcome.map(|outcome| outcome.as_str()));
        w.opt_long(repair.closed_at.map(|at: Wall| at.0));
        w.string(&source.writer_id.to_string());
        w.long(SCHEMA_VERSION);
        (gap.gap.to_string(), out)
    }
}

impl ProofEncoder {
    /// A certificate: key and value. `error` is how well the platform's clock is known.
    #[must_use]
    pub fn certificate(
        &self,
        certificate: &Certificate,
        error: Duration,
        timings: &Timings,
    ) -> (String, Vec<u8>) {
        let mut out = framed(self.certificate_schema);
        let mut w = Writer(&mut out);
        let (source, subject) = (&self.source, &certificate.subject);
        let (judgement, counts) = (&certificate.judgement, &certificate.counts);
        w.string(&source.org_id);
        w.string(&source.instance);
        w.long(i64::from(subject.shard));
        w.string(&subject.class);
        w.long(subject.from.0);
        w.long(certificate.to.0);
        w.string(judgement.level.as_str());
        w.long(i64::from(certificate.revision));
        w.items(&judgement.epochs, |w, epoch| w.string(epoch.to_hex().as_str()));
        w.items(&judgement.sets, |w, set| w.string(set.to_hex().as_str()));
        w.items(&judgement.gaps, |w, gap| w.string(gap.to_hex().as_str()));
        w.long(millis(timings.margin));
        w.long(millis(error));
        w.long(count(counts.live));
        w.long(count(counts.backfill));
        w.long(count(counts.quarantine));
        let partitions: Vec<_> = counts.partitions.iter().collect();
        w.items(&partitions, |w, (partition, total)| {
            w.long(i64::from(**partition));
            w.long(total.first_offset);
            w.long(total.end_offset);
            w.long(count(total.count));
            w.string(&format!("{:032x}", total.xor));
            w.string(&format!("{:032x}", total.sum));
        });
        for time in [judgement.history_watermark, judgement.closed_at, judgement.expected_close_at]
        {
            w.opt_long(time.map(|at| at.0));
        }
        w.string("assumed");
        w.string(&source.writer_id.to_string());
        w.string(env!("CARGO_PKG_VERSION"));
        w.long(SCHEMA_VERSION);
        let Subject { shard, class, from } = subject;
        (format!("{}/{shard}/{class}/{}", source.instance, from.0), out)
    }
}

fn framed(schema: u32) -> Vec<u8> {
    let mut out = vec![0];
    out.extend_from_slice(&schema.to_be_bytes());
    out
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use apache_avro::Schema;
    use apache_avro::types::Value;
    use trunkline_protocol::certificate::{Judgement, Level};
    use trunkline_protocol::certifier::Counts;
    use trunkline_protocol::domain::{EpochId, GapCause, GapId, Outcome, SetDigest};
    use trunkline_protocol::ledger::{Reading, Repair};
    use trunkline_protocol::tally::Total;

    use super::*;
    use crate::encode::schemas;

    #[test]
    fn the_library_reads_a_gap_back_as_it_was_written() {
        let reading = Reading {
            source: Source::Jobs,
            at: Wall(40),
            digest: "d".to_owned(),
            rows: 7,
            written: 3,
            complete_to: Some(Wall(39)),
            missing: 1,
        };
        let gap = Gap {
            gap: GapId([1; 16]),
            class: "c".to_owned(),
            topics: vec!["t".to_owned()],
            from: Wall(10),
            to: Some(Wall(20)),
            cause: GapCause::HalfOpen,
            recorded_at: Wall(30),
            repair: Repair {
                reads: vec![reading],
                outcome: Some(Outcome::Partial),
                closed_at: Some(Wall(50)),
            },
        };
        let (key, value) = encoder().gap(3, &gap, &Timings::default());
        assert_eq!(key, gap.gap.to_string());
        assert_eq!(value[..5], [0, 0, 0, 0, 7]);
        let fields = read_back(schemas::GAP_RECORD, &value);
        let field = |name: &str| {
            let found = fields.iter().find(|(field, _)| field == name);
            format!("{:?}", found.expect(name).1)
        };
        let row = super::super::read::gap(&value, "i").expect("our own");
        assert_eq!((row.shard, row.from_ms, row.to_ms), (3, 10, Some(20)));
        assert_eq!((row.rows_missing, row.outcome.as_deref()), (1, Some("partial")));
        assert_eq!(row.closed_at_ms, Some(50));
        assert_eq!(super::super::read::gap(&value, "another"), None);
        for (name, expected) in [
            ("shard", "Int(3)"),
            ("state", "String(\"closed\")"),
            ("cause", "String(\"half_open\")"),
            ("from_time", "TimestampMillis(10)"),
            ("to_time", "Union(1, TimestampMillis(20))"),
            ("margin_ms", "Long(300000)"),
            ("rows_written", "Long(3)"),
            ("history_watermark", "Union(1, TimestampMillis(39))"),
            ("expected_close_at", "Union(0, Null)"),
            ("outcome", "Union(1, String(\"partial\"))"),
        ] {
            assert_eq!(field(name), expected, "{name}");
        }
    }

    #[test]
    fn a_certificate_is_read_back_by_the_library_and_by_us() {
        let total = Total { first_offset: 3, end_offset: 9, count: 5, xor: 0xab, sum: u128::MAX };
        let certificate = Certificate {
            subject: Subject { shard: 2, class: "c".to_owned(), from: Wall(10) },
            to: Wall(20),
            revision: 3,
            judgement: Judgement {
                level: Level::Reconciled,
                epochs: vec![EpochId([1; 16]), EpochId([2; 16])],
                sets: vec![SetDigest([3; 16])],
                gaps: vec![GapId([4; 16])],
                history_watermark: Some(Wall(40)),
                closed_at: Some(Wall(50)),
                expected_close_at: None,
            },
            counts: Counts {
                live: 5,
                backfill: 6,
                quarantine: 7,
                partitions: [(1, total), (4, Total { xor: 1, ..total })].into(),
            },
        };
        let error = Duration::from_millis(120);
        let (key, value) = encoder().certificate(&certificate, error, &Timings::default());
        assert_eq!(key, "i/2/c/10");
        assert_eq!(super::super::read::certificate(&value, "i").as_ref(), Some(&certificate));
        assert_eq!(super::super::read::certificate(&value, "another"), None);
        let fields = read_back(schemas::COVERAGE_CERTIFICATE, &value);
        let text = format!("{fields:?}");
        for part in [
            "(\"level\", String(\"RECONCILED\"))",
            "(\"clock_error_ms\", Long(120))",
            "(\"count_quarantine\", Long(7))",
            "(\"id_sum\", String(\"ffffffffffffffffffffffffffffffff\"))",
            "(\"closed_at\", Union(1, TimestampMillis(50)))",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    fn encoder() -> ProofEncoder {
        let source = ProofSource {
            org_id: "o".to_owned(),
            instance: "i".to_owned(),
            writer_id: WriterId([9; 16]),
        };
        ProofEncoder { source, gap_schema: 7, certificate_schema: 8 }
    }

    fn read_back(schema: &str, value: &[u8]) -> Vec<(String, Value)> {
        let schema = Schema::parse_str(schema).expect("a schema");
        let mut rest = &value[5..];
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema)
            .build()
            .expect("a reader");
        let read = reader.read_value(&mut rest).expect("a record");
        assert!(rest.is_empty(), "nothing is left over");
        let Value::Record(fields) = read else { panic!("no record") };
        fields
    }
}
