//! What is read back from topics of records, gaps and certificates: somebody else may have written
//! there. Whatever is understood is bounded by what was there.

use std::time::Duration;

use trunkline::encode::proof::{ProofEncoder, ProofSource};
use trunkline::encode::read;
use trunkline_protocol::domain::WriterId;
use trunkline_protocol::timings::Timings;

pub fn run(bytes: &[u8]) {
    if let Some(row) = read::event(0, 0, bytes) {
        assert!(row.event_id.len() + row.event_type.len() <= bytes.len());
    }
    if let Some((topic, at)) = read::heard(bytes) {
        assert!(topic.len() <= bytes.len());
        let row = read::event(0, 0, bytes);
        assert!(row.is_none_or(|row| row.received_at_ms == at.0));
    }
    if let Some(seen) = read::seen(0, 0, bytes) {
        let row = read::event(0, 0, bytes).expect("what is seen is an event");
        assert_eq!(row.event_id, seen.id.to_string());
        assert_eq!((row.topic_class, row.received_at_ms), (seen.class, seen.received.0));
    }
    if let Some(gap) = read::gap(bytes, "i") {
        assert!(gap.topics.len() <= bytes.len() && gap.gap_id.len() <= bytes.len());
        assert_eq!(read::gap(bytes, "another"), None);
    }
    if let Some(certificate) = read::certificate(bytes, "i") {
        assert!(certificate.counts.partitions.len() <= bytes.len());
        assert_eq!(read::certificate(bytes, "another"), None);
        let (_, again) = encoder().certificate(&certificate, Duration::ZERO, &Timings::default());
        assert_eq!(read::certificate(&again, "i"), Some(certificate), "written again");
    }
}

fn encoder() -> ProofEncoder {
    let (org_id, instance) = ("org-1".to_owned(), "i".to_owned());
    let source = ProofSource { org_id, instance, writer_id: WriterId([9; 16]) };
    ProofEncoder { source, gap_schema: 7, certificate_schema: 8 }
}
