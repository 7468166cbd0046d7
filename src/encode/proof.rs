//! Gap and certificate records, field by field in the order of their schemas.

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

fn framed(schema: u32) -> Vec<u8> {
    let mut out = vec![0];
    out.extend_from_slice(&schema.to_be_bytes());
    out
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use apache_avro::Schema;
    use apache_avro::types::Value;
    use trunkline_protocol::domain::{GapCause, GapId, Outcome};
    use trunkline_protocol::ledger::{Reading, Repair};

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
        let source = ProofSource {
            org_id: "o".to_owned(),
            instance: "i".to_owned(),
            writer_id: WriterId([9; 16]),
        };
        let encoder = ProofEncoder { source, gap_schema: 7 };
        let (key, value) = encoder.gap(3, &gap, &Timings::default());
        assert_eq!(key, gap.gap.to_string());
        assert_eq!(value[..5], [0, 0, 0, 0, 7]);
        let schema = Schema::parse_str(schemas::GAP_RECORD).expect("a schema");
        let mut rest = &value[5..];
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema)
            .build()
            .expect("a reader");
        let read = reader.read_value(&mut rest).expect("a record");
        assert!(rest.is_empty(), "nothing is left over");
        let Value::Record(fields) = read else { panic!("no record") };
        let field = |name: &str| {
            let found = fields.iter().find(|(field, _)| field == name);
            format!("{:?}", found.expect(name).1)
        };
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
}
