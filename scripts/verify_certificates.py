"""Checks coverage certificates against the records they speak of. Trusts nothing the connector says.

Standard library only (Python 3.11 or newer), own reading of Avro, own arithmetic, no code in common with
the connector. Works on a dump of `trunkline demo --dump` and on what you exported from Kafka yourself.

DIR holds
  *.jsonl       records, one JSON object a line, in the order of their offsets within a partition:
                topic, partition, offset, key (text or null), headers (object of texts),
                timestamp (milliseconds), value_b64 (the value in base64, empty for a tombstone).
                Needed: the topics of events, quarantine, gaps, certificates and state, from their beginning
                or from as far back as they are kept
  schemas.json  {"id": "schema as text"} of every schema the values name
  meta.json     optional: org_id, events_topic, quarantine_topic, read_spacing_ms, origin_ms, verdict
  ledger.jsonl  optional, what really happened: seq, at_ms, topic, conversation_id, covered, body, delivered
"""

import argparse
import json
import sys

from verifier import bodies
from verifier.certificates import Certificates
from verifier.counts import Counts
from verifier.dump import TOPICS, Dump, Unusable
from verifier.events import Events
from verifier.facts import Facts
from verifier.gaps import Gaps
from verifier.levels import Levels
from verifier.report import Report
from verifier.truth import Truth, compare

READ_SPACING_MS = 3_600_000


def verify(dump: Dump, grace_ms: int = 15_000, spacing_ms: int | None = None) -> Report:
    """Every check. Raises `Unusable` when the input is not what the usage says."""
    report = Report()
    events = Events(report, dump.meta.get("org_id"), dump.has_ledger)
    facts, gaps, certificates = Facts(report), Gaps(report), Certificates(report)
    proof = []
    for role, raw in dump.records():
        events.newest = max(events.newest, raw.timestamp)
        if role == "events":
            events.event(raw, dump.schemas)
        elif role == "quarantine":
            events.quarantined(raw)
        elif role == "state":
            facts.take(raw)
        else:
            proof.append((role, raw))
    for role, raw in proof:  # now it is known whose they are
        (gaps if role == "gaps" else certificates).take(raw, dump.schemas, facts.owner)
    events.sort()
    facts.settle()
    gaps.settle(facts, spacing_ms or dump.meta.get("read_spacing_ms", READ_SPACING_MS))
    certificates.settle(facts)
    if not certificates.newest:
        raise Unusable("no certificate to check")
    counts = Counts(report, facts, events, grace_ms, retention=not dump.has_ledger)
    levels = Levels(report, facts, gaps, events.newest - grace_ms)
    for subject, revisions in certificates.by_subject.items():
        for certificate in revisions:
            is_newest = certificate is certificates.newest[subject]
            counts.check(certificate, is_newest)
            levels.check(certificate, is_newest)
    if dump.has_ledger:
        truth = Truth(report, facts, events, gaps, certificates, dump.meta.get("origin_ms", 0))
        truth.check(dump.ledger())
        compare(report, dump.meta.get("verdict", {}))
    if bodies.blake3 is None:
        report.notes.append("event ids were not derived from bodies: that needs the package blake3")
    return report


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit 0: everything agrees; 1: a contradiction, named with its place; 2: wrong usage or unreadable input",
    )
    parser.add_argument("dir", metavar="DIR", help="a folder as above")
    parser.add_argument("--json", action="store_true", help="figures and all contradictions as one JSON object")
    parser.add_argument(
        "--grace-ms", type=int, default=15_000, metavar="N",
        help="what was written so shortly before the newest record may be missing from certificates (15000)",
    )
    parser.add_argument(
        "--read-spacing-ms", type=int, metavar="N",
        help=f"least time between the two readings that close a gap (meta.json, else {READ_SPACING_MS})",
    )
    for role, name in TOPICS.items():
        parser.add_argument(f"--{role}-topic", metavar="NAME", help=f"default {name}")
    return parser


def main(argv: list) -> int:
    """Runs it; returns the exit code."""
    options = arguments().parse_args(argv)
    topics = {role: getattr(options, f"{role}_topic") for role in TOPICS if getattr(options, f"{role}_topic")}
    try:
        report = verify(Dump(options.dir, topics), options.grace_ms, options.read_spacing_ms)
    except Unusable as error:
        print(f"verify_certificates: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.as_json(), default=str) if options.json else report.as_text())
    return 1 if report.total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
