"""From the ledger to the warehouse: every event that was generated, and where it is."""

import base64
import json
import pathlib
from dataclasses import dataclass, field

from ground import CERTIFICATES, EVENTS, FOLDER, GAPS, QUARANTINE, SCALE, STATE, Ground
from harness import get
from readback import records, schemas
from verifier.bodies import HISTORY, canonical, identity, newest_time
from verifier.dump import Dump
from verify_certificates import verify


@dataclass
class Truth:
    """What was sent, what is in the topics, what the verifier says."""

    generated: dict
    """Entries of the ledger by event id."""
    events: list
    """Records of the events topic: `(partition, offset, event_id)`."""
    report: object
    trouble: list = field(default_factory=list)


def truth(ground: Ground) -> Truth:
    """Reads all topics back and lets the verifier of certificates judge them."""
    folder = FOLDER / "dump"
    folder.mkdir(exist_ok=True)
    org, ledger = json.loads(get(ground.sim.url + "/sim/org")), ground.sim.ledger()
    read = {topic: records(ground.bootstrap, topic)[0] for topic in (EVENTS, QUARANTINE, GAPS, CERTIFICATES, STATE)}
    facts = [json.loads(base64.b64decode(raw["value_b64"]) or "{}") for raw in read[STATE]]
    wanted = [want["from"] for fact in facts if fact.get("kind") == "wanted" for want in fact["topics"].values()]
    # nothing is promised of the time before topics were covered for the first time
    ledger = [entry for entry in ledger if entry["covered"] and entry["at_ms"] >= min(wanted, default=0) - org["origin_ms"]]
    known = {}
    for topic in (EVENTS, GAPS, CERTIFICATES):
        known |= schemas(ground.registry + "/apis/ccompat/v7", [value for raw in read[topic] if (value := base64.b64decode(raw["value_b64"]))])
    (folder / "records.jsonl").write_text("".join(json.dumps(raw) + "\n" for found in read.values() for raw in found))
    (folder / "schemas.json").write_text(json.dumps(known))
    (folder / "ledger.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in ledger))
    meta = {"org_id": org["id"], "events_topic": EVENTS, "quarantine_topic": QUARANTINE, "origin_ms": org["origin_ms"], "read_spacing_ms": 3_600_000 // SCALE}
    (folder / "meta.json").write_text(json.dumps(meta))
    found = Truth({identity(org["id"], entry["topic"], canonical(entry["body"])): entry for entry in ledger},
                  [(raw["partition"], raw["offset"], raw["headers"]["event_id"]) for raw in read[EVENTS]], verify(Dump(folder)))
    found.trouble += [str(wrong) for wrong in found.report.contradictions[:5]]
    return found


def figures(found: Truth, made, bucket) -> dict:
    """Counts from end to end; what has to be 0 is checked by `wrong`."""
    rows = made.rows("SELECT event_id, origin, conversation_id, EXTRACT(EPOCH FROM version) * 1000 FROM conversation_events")
    here = {ident.strip() for ident, *_ in rows}
    history = {}
    for _, origin, conversation, version in rows:
        if origin in HISTORY:
            history[conversation] = max(float(version or 0), history.get(conversation, 0))
    absent = {ident: entry for ident, entry in found.generated.items() if ident not in here}
    restored = {i for i, entry in absent.items() if history.get(entry["conversation_id"], -1) >= (newest_time(entry["body"]) or 0)}
    staged = [row for rows in bucket.of_events().values() for row in rows]
    offsets = set(made.rows("SELECT kafka_partition, kafka_offset FROM event_offsets"))
    in_topic = {(p, o) for p, o, _ in found.events}
    return {
        "generated": len(found.generated),
        "in SQL as heard": len(found.generated) - len(absent),
        "in SQL as history": len(restored),
        "missing": len(absent) - len(restored),
        "records in Kafka": len(found.events),
        "repeats in Kafka": len(found.events) - len({ident for *_, ident in found.events}),
        "ids in Kafka, not in SQL": len({ident for *_, ident in found.events} - here),
        "records not in SQL": len(in_topic - offsets),
        "rows in SQL": len(rows),
        "rows of history": sum(origin in HISTORY for _, origin, *_ in rows),
        "twice in SQL": len(rows) - len(here),
        "rows in no certificate": len(rows) - int(made.rows("SELECT COALESCE(SUM(loaded_live), 0) FROM completeness WHERE level <> 'NONE'")[0][0])
        - sum(origin in HISTORY for _, origin, *_ in rows),
        "objects of events": len(bucket.of_events()),
        "rows in objects": len(staged),
        "overlaps in objects": len(staged) - len({(p, o) for p, o, _ in staged}),
    }


def wrong(counts: dict) -> list[str]:
    """Whatever is not 0 and has to be."""
    zero = ("missing", "ids in Kafka, not in SQL", "records not in SQL", "twice in SQL")
    trouble = [f"{name}: {counts[name]} instead of 0" for name in zero if counts[name]]
    return trouble + ([] if counts["generated"] else ["nothing was generated"])


def as_table(names: tuple, rows: list) -> str:
    """Columns as wide as what is in them."""
    texts = [tuple(map(str, names)), *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[n]) for row in texts) for n in range(len(names))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in texts)


def levels(found: Truth) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(found.report.levels.items())) or "none"


def keep(folder: pathlib.Path, name: str, what) -> None:
    """For whoever looks later."""
    (folder / name).write_text(json.dumps(what, indent=1, default=str))
