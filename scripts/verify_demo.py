"""Reads a dump of the demo and computes the verdict again.

Another language, other libraries, no code in common with the connector: records are read with
fastavro, identities derived with the blake3 package, partitions with an own murmur2 as Java's.

usage: verify_demo.py DIR      exit 1 when it disagrees with the demo's own verdict
"""

import base64
import io
import json
import pathlib
import struct
import sys
from collections import Counter

import fastavro

from verifier.bodies import HISTORY, canonical, class_of, digest, identity, millis, newest_time, source_millis

MEDIA = {
    "calls": "voice", "callbacks": "callback", "chats": "chat", "cobrowsesessions": "cobrowse",
    "emails": "email", "messages": "message", "internalMessages": "internalmessage",
    "screenMonitorings": "screenmonitoring", "screenshares": "screenshare",
    "socialExpressions": "social", "videos": "video",
}


def murmur2(data: bytes) -> int:
    """Kafka's murmur2, as its Java client computes it."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = struct.unpack_from("<I", data, at)[0] * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    for shift, byte in reversed(list(enumerate(data[whole:]))):
        h ^= byte << 8 * shift
    if len(data) > whole:
        h = h * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def none_if_empty(text):
    return text or None


def differences(record: dict, body: dict) -> list[str]:
    """Field by field: the record against the JSON it was made of."""
    wrong = []

    def same(name, got, expected):
        if got != expected:
            wrong.append(f"{name}: {got!r} instead of {expected!r}")

    if record["event_type"] == "conversation.history":
        return history_differences(record, body)
    if record["event_type"] != "conversation.snapshot":
        same("event_time", millis(record["event_time"]), source_millis(body.get("eventTime") or body.get("metricDate")))
        return wrong
    same("conversation_id", record["conversation_id"], none_if_empty(body.get("id")))
    same("external_tag", record["external_tag"], body.get("externalTag"))
    divisions = [d["division"]["id"] for d in body.get("divisions", []) if d.get("division", {}).get("id")]
    same("division_ids", record["division_ids"], divisions)
    times = []
    people = body.get("participants") or []
    same("participants", len(record["participants"]), len(people))
    for got, source in zip(record["participants"], people):
        same("participant_id", got["participant_id"], none_if_empty(source.get("id")))
        same("purpose", got["purpose"], source.get("purpose"))
        user = none_if_empty(source.get("userId")) or none_if_empty(source.get("user", {}).get("id"))
        queue = none_if_empty(source.get("queueId")) or none_if_empty(source.get("queue", {}).get("id"))
        same("user_id", got["user_id"], user)
        same("queue_id", got["queue_id"], queue)
        same("connected_time", millis(got["connected_time"]), source_millis(source.get("connectedTime") or source.get("startTime")))
        same("end_time", millis(got["end_time"]), source_millis(source.get("endTime")))
        same("acw_start_time", millis(got["acw_start_time"]), source_millis(source.get("startAcwTime")))
        acw_end = source.get("endAcwTime") or source.get("wrapup", {}).get("endTime")
        same("acw_end_time", millis(got["acw_end_time"]), source_millis(acw_end))
        same("wrapup_code", got["wrapup_code"], source.get("wrapup", {}).get("code"))
        same("wrapup_notes", got["wrapup_notes"], source.get("wrapup", {}).get("notes"))
        attributes = source.get("attributes")
        if attributes is not None:
            attributes = {k: v if isinstance(v, str) else json.dumps(v) for k, v in attributes.items()}
        same("attributes", got["attributes"], attributes)
        times += [source_millis(source.get(k)) for k in ("connectedTime", "startTime", "endTime", "startAcwTime", "endAcwTime")]
        times.append(source_millis(source.get("wrapup", {}).get("endTime")))
        legs = [(media, leg) for name, media in MEDIA.items() for leg in source.get(name) or []]
        if "state" in source:
            continue  # media-specific: the leg is the participant
        same("legs", sorted(leg["media_type"] for leg in got["legs"]), sorted(media for media, _ in legs))
        for leg, (media, source_leg) in zip(sorted(got["legs"], key=lambda l: l["leg_id"] or ""), sorted(legs, key=lambda l: l[1].get("id") or "")):
            same("leg_id", leg["leg_id"], none_if_empty(source_leg.get("id")))
            same("state", leg["state"], source_leg.get("state"))
            same("direction", leg["direction"], source_leg.get("direction"))
            same("disconnect_type", leg["disconnect_type"], source_leg.get("disconnectType"))
            same("held", leg["held"], source_leg.get("held"))
            same("provider", leg["provider"], source_leg.get("provider"))
            same("leg connected", millis(leg["connected_time"]), source_millis(source_leg.get("connectedTime")))
            same("leg disconnected", millis(leg["disconnected_time"]), source_millis(source_leg.get("disconnectedTime")))
            times += [source_millis(source_leg.get(k)) for k in ("connectedTime", "disconnectedTime", "startHoldTime")]
    newest = max((t for t in times if t is not None), default=None)
    same("version", millis(record["version"]), newest)
    return wrong


def history_differences(record: dict, row: dict) -> list[str]:
    """A row of the platform's history against the record it became."""
    wrong = []

    def same(name, got, expected):
        if got != expected:
            wrong.append(f"{name}: {got!r} instead of {expected!r}")

    same("conversation_id", record["conversation_id"], row["conversationId"])
    same("origin", record["origin"], "backfill")
    same("epoch_id", record["epoch_id"], None)
    if not record["gap_id"]:
        wrong.append("gap_id is missing")
    same("direction", record["direction"], row.get("originatingDirection"))
    same("division_ids", record["division_ids"], row.get("divisionIds", []))
    same("version", millis(record["version"]), newest_time(record["payload"]))
    people = row.get("participants") or []
    same("participants", len(record["participants"]), len(people))
    for got, source in zip(record["participants"], people):
        segments = [s for session in source.get("sessions", []) for s in session.get("segments", [])]
        queues = [s["queueId"] for s in segments if s.get("queueId")]
        for name, key in (("participant_id", "participantId"), ("purpose", "purpose"), ("user_id", "userId")):
            same(name, got[name], source.get(key))
        same("queue_id", got["queue_id"], queues[-1] if queues else None)
        same("attributes", got["attributes"], source.get("attributes"))
        same("legs", [leg["leg_id"] for leg in got["legs"]], [s.get("sessionId") for s in source.get("sessions", [])])
    return wrong


def read_gaps(folder: pathlib.Path) -> list[dict]:
    """The newest record of every gap."""
    path = folder / "proof.jsonl"
    if not path.exists():
        return []
    schemas, newest = read_schemas(folder), {}
    with path.open() as lines:
        for line in lines:
            raw = json.loads(line)
            if raw["topic"].endswith(".gaps"):
                gap = decode(raw, schemas)
                newest[gap["gap_id"]] = gap
    return list(newest.values())


def declared(gaps: list[dict], topic: str, at: int) -> bool:
    """Whether a gap says that an instant of a topic is not proven and not repaired."""
    return any(
        gap["outcome"] in (None, "partial", "lost_declared")
        and gap["topic_class"] == class_of(topic)
        and (not gap["topics"] or topic in gap["topics"])
        and millis(gap["from_time"]) <= at
        and (gap["to_time"] is None or at <= millis(gap["to_time"]))
        for gap in gaps
    )


def read_schemas(folder: pathlib.Path) -> dict:
    return {int(k): fastavro.parse_schema(json.loads(v)) for k, v in json.loads((folder / "schemas.json").read_text()).items()}


def decode(raw: dict, schemas: dict) -> dict:
    value = base64.b64decode(raw["value_b64"])
    assert value[0] == 0, "not framed"
    datum = io.BytesIO(value[5:])
    record = fastavro.schemaless_reader(datum, schemas[struct.unpack(">I", value[1:5])[0]])
    assert not datum.read(), "bytes after the datum"
    return record


def read_records(folder: pathlib.Path, meta: dict):
    schemas = read_schemas(folder)
    with (folder / "records.jsonl").open() as lines:
        for line in lines:
            raw = json.loads(line)
            yield raw, decode(raw, schemas) if raw["topic"] == meta["events_topic"] else None


def reckon(folder: pathlib.Path, meta: dict) -> tuple[Counter, list[str]]:
    """Where every generated event is, and what is wrong with single records."""
    problems, counts = [], Counter()
    first, order, quarantined = {}, [], set()
    for raw, record in read_records(folder, meta):
        place = f"{raw['topic']} {raw['partition']}/{raw['offset']}"
        if record is None:
            counts["quarantined"] += 1
            quarantined.add(raw["headers"].get("event_id"))
            continue
        ident = identity(meta["org_id"], record["topic"], canonical(record["payload"]))
        if not ident == record["event_id"] == raw["headers"]["event_id"] == raw["headers"]["ce_id"]:
            problems.append(f"{place}: event_id does not follow from the body")
        if digest(canonical(record["payload"])) != record["body_digest"]:
            problems.append(f"{place}: body_digest does not follow from the body")
        key = record["conversation_id"] or record["topic"]
        if raw["key"] != key:
            problems.append(f"{place}: the key is not the conversation")
        if (murmur2(key.encode()) & 0x7FFFFFFF) % meta["partitions"] != raw["partition"]:
            problems.append(f"{place}: a Java client would choose another partition")
        wrong = differences(record, json.loads(record["payload"]))
        if wrong:
            problems.append(f"{place}: {'; '.join(wrong[:3])}")
        if record["event_id"] in first:
            counts["repeats"] += 1
            continue
        first[record["event_id"]] = record
        order.append(record)
    shown = {}
    for record in first.values():
        if record["origin"] in HISTORY:
            counts["backfilled"] += 1
            at = newest_time(record["payload"]) or 0
            shown[record["conversation_id"]] = max(at, shown.get(record["conversation_id"], 0))
    gaps = read_gaps(folder)
    expected = {}
    with (folder / "ledger.jsonl").open() as lines:
        for line in lines:
            entry = json.loads(line)
            if not entry["covered"]:
                counts["uncovered"] += 1
                continue
            counts["events_generated"] += 1
            ident = identity(meta["org_id"], entry["topic"], canonical(entry["body"]))
            expected[ident] = entry["seq"]
            durable = ident in first or ident in quarantined
            counts["events_durable"] += durable
            counts["events_heard"] += bool(entry["delivered"])
            if durable:
                continue
            counts["wire_missed"] += not entry["delivered"]
            newest = newest_time(entry["body"]) or 0
            if shown.get(entry["conversation_id"], -1) >= newest:
                counts["restored"] += 1
            elif declared(gaps, entry["topic"], meta.get("origin_ms", 0) + entry["at_ms"]):
                counts["declared"] += 1
            else:
                counts["silent"] += 1
                counts["lost"] += bool(entry["delivered"])
    counts["duplicates"] = sum(ident not in expected and record["origin"] not in HISTORY for ident, record in first.items())
    newest = {}
    for record in order:
        if record["origin"] in HISTORY:
            continue
        place = (record["topic"], record["conversation_id"], record["epoch_id"])
        seq = expected.get(record["event_id"], 0)
        counts["order_inversions"] += seq < newest.get(place, 0)
        newest[place] = max(seq, newest.get(place, 0))
    return counts, problems


def verify(folder: pathlib.Path) -> tuple[dict, list[str]]:
    meta = json.loads((folder / "meta.json").read_text())
    counts, problems = reckon(folder, meta)
    names = ["events_generated", "uncovered", "events_heard", "events_durable", "lost", "wire_missed", "restored", "declared", "silent", "backfilled", "repeats", "duplicates", "order_inversions", "quarantined"]
    for name in names:
        if counts[name] != meta["verdict"][name]:
            problems.append(f"{name} is {counts[name]}, the demo says {meta['verdict'][name]}")
    bad = problems or counts["lost"] or counts["silent"] or counts["duplicates"] or counts["order_inversions"]
    if bool(bad) == (meta["verdict"]["verdict"] == "pass"):
        problems.append(f"the demo's verdict is {meta['verdict']['verdict']}")
    return {name: counts[name] for name in names}, problems


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    counts, problems = verify(pathlib.Path(sys.argv[1]))
    print(json.dumps(counts))
    for problem in problems[:20]:
        print(problem, file=sys.stderr)
    print("the independent reader", "disagrees" if problems else "agrees")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
