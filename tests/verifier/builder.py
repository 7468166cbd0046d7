"""A small dump made from nothing: an own Avro writer, and a world in which everything happens once.

```text
hour      100        101        102             103         104            105
leg 0     ├── e1 ──────────────────────┤  gap 1 ├── e3 ───────────┤ gap 2 ├── e4 ─────────┤
leg 1     ├── e2 ───────────┤
certified LIVE_DUAL  LIVE_DUAL  OPEN→RECONCILED LIVE_SINGLE OPEN           LIVE_SINGLE
```
"""

import base64
import json
import pathlib
import struct
from dataclasses import dataclass
from datetime import datetime, timezone

import blake3

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = {"events": "conversation_event", "gaps": "gap_record", "certificates": "coverage_certificate"}
SCHEMAS = {role: json.loads((ROOT / f"schemas/{name}.avsc").read_text()) for role, name in FILES.items()}
IDS = {role: number for number, role in enumerate(FILES, 1)}
TOPICS = {
    "events": "genesys.conversation.events", "quarantine": "genesys.conversation.quarantine",
    "gaps": "genesys.conversation.gaps", "certificates": "genesys.conversation.certificates", "state": "trunkline.state",
}
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
BASE = 495_000 * HOUR
MARGIN = 300_000
ORG, INSTANCE, WRITER = "org-1", "trunkline", "aa" * 16
CLASS = "v2.routing.queues.{id}.conversations"
TOPIC = "v2.routing.queues.0b004ced-5470-48d9-a1c8-78d84ef132a2.conversations"
SET = "5e" * 16
PARTITIONS = 3


def at(hour: int, minute: float = 0) -> int:
    """An instant of the world."""
    return BASE + hour * HOUR + int(minute * MINUTE)


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def zigzag(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(schema, value) -> bytes:
    """Avro binary of a value by its schema; of a union the first branch is null."""
    if isinstance(schema, list):
        return zigzag(0) if value is None else zigzag(1) + encode(schema[1], value)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, (dict, list)):
        return encode(kind, value)
    if kind in ("int", "long"):
        return zigzag(value)
    if kind == "boolean":
        return bytes([value])
    if kind == "string":
        raw = value.encode()
        return zigzag(len(raw)) + raw
    if kind == "array":
        items = b"".join(encode(schema["items"], item) for item in value)
        return (zigzag(len(value)) + items if value else b"") + b"\0"
    if kind == "map":
        items = b"".join(encode("string", k) + encode(schema["values"], v) for k, v in value.items())
        return (zigzag(len(value)) + items if value else b"") + b"\0"
    return b"".join(encode(field["type"], value.get(field["name"], default(field))) for field in schema["fields"])


def default(field):
    kind = field["type"]["type"] if isinstance(field["type"], dict) else field["type"]
    return [] if kind == "array" else {"string": "", "int": 1, "long": 0, "boolean": False}.get(kind) if isinstance(kind, str) else None


def event_id(org: str, topic: str, body: str) -> str:
    hasher = blake3.blake3()
    for part in (org, topic, body):
        hasher.update(struct.pack("<Q", len(part.encode())) + part.encode())
    return hasher.hexdigest()[:32]


@dataclass
class Record:
    """A record before it is encoded: the value is a dict, or bytes as they are."""

    partition: int
    key: str
    timestamp: int
    value: object
    headers: dict
    offset: int = -1


class World:
    """Topics, and the ledger of what really happened."""

    def __init__(self):
        self.topics = {role: [] for role in TOPICS}
        self.ledger = []
        self.meta = {"org_id": ORG, "origin_ms": BASE}
        self.sequence = 0

    def append(self, role, partition, key, timestamp, value, headers=None) -> Record:
        record = Record(partition, key, timestamp, value, headers or {})
        self.topics[role].append(record)
        return record

    def happens(self, when: int, delivered: bool = True) -> tuple:
        """An event is fanned out: conversation and body."""
        conversation = f"c-{len(self.ledger)}"
        body = json.dumps({"id": conversation, "participants": [{"connectedTime": iso(when - SECOND)}]}, separators=(",", ":"))
        self.ledger.append({
            "seq": len(self.ledger) + 1, "at_ms": when - BASE, "topic": TOPIC, "conversation_id": conversation,
            "covered": True, "body": body, "delivered": [1] if delivered else [],
        })
        return conversation, body

    def heard(self, when: int, epoch: str, appended: int | None = None) -> Record:
        """An event is fanned out, heard and written."""
        conversation, body = self.happens(when)
        self.sequence += 1
        ident = event_id(ORG, TOPIC, body)
        value = {
            "event_id": ident, "org_id": ORG, "topic": TOPIC, "topic_class": CLASS, "conversation_id": conversation,
            "received_at": when + 20, "version": when - SECOND, "origin": "live", "epoch_id": epoch,
            "writer_id": WRITER, "sequence": self.sequence, "payload": body,
        }
        return self.append("events", self.sequence % PARTITIONS, conversation, appended or when + 30, value, {"event_id": ident})

    def restored(self, conversation: str, gap: str, when: int, newest: int) -> Record:
        """History gives a row."""
        row = json.dumps({"conversationId": conversation, "participants": [{"segmentEnd": iso(newest)}]}, separators=(",", ":"))
        ident = event_id(ORG, "history", row)
        value = {
            "event_id": ident, "org_id": ORG, "topic": "history", "topic_class": "history", "conversation_id": conversation,
            "received_at": when, "version": newest, "origin": "backfill", "gap_id": gap, "writer_id": WRITER, "payload": row,
        }
        return self.append("events", 0, conversation, when, value, {"event_id": ident})

    def fact(self, when: int, kind: str, **fields) -> Record:
        value = {"v": 1, "shard": 0, "writer": WRITER, "kind": kind, **fields}
        return self.append("state", 0, f"{INSTANCE}/0/{kind}", when, value)

    def epoch(self, ident: str, leg: int, start: int, claimed_to: int) -> None:
        self.fact(start, "epoch", epoch=ident, set=SET, leg=leg, **{"from": start}, rides=None)
        for end in ((start + claimed_to) // 2, claimed_to):
            self.fact(end, "claim", epoch=ident, interval={"from": start, "to": end})

    def gap(self, ident: str, start: int, end: int, reads=(), outcome=None, closed_at=None, when=None, cause="close") -> Record:
        """A gap as it is known now: fact and record."""
        when = when or end + MINUTE
        repair = {"reads": list(reads), "outcome": outcome, "closed_at": closed_at}
        self.fact(
            when, "gap", gap=ident, topics=[], to=end, cause=cause, recorded_at=end + 20 * SECOND, repair=repair,
            **{"class": CLASS, "from": start},
        )
        marks = [r["complete_to"] for r in reads if r["complete_to"]]
        value = {
            "gap_id": ident, "org_id": ORG, "instance": INSTANCE, "shard": 0, "topic_class": CLASS, "cause": cause,
            "state": "closed" if outcome else "open", "from_time": start, "to_time": end, "margin_ms": MARGIN,
            "recorded_at": end + 20 * SECOND, "reads": len(reads), "rows_written": len(reads),
            "history_watermark": max(marks, default=None), "outcome": outcome, "closed_at": closed_at,
            "expected_close_at": None if outcome else end + 27 * HOUR, "writer_id": WRITER,
        }
        return self.append("gaps", 0, ident, when, value)

    def certify(self, when, start, end, level, epochs, gaps=(), revision=1, **fields) -> Record:
        """A certificate over the records that are in the topic by now."""
        offsets, tallies, seen, restored = {}, {}, set(), set()
        for record in self.topics["events"]:
            offset = offsets[record.partition] = offsets.get(record.partition, -1) + 1
            value, number = record.value, int(record.value["event_id"], 16)
            if value["origin"] == "backfill" and value["gap_id"] in gaps:
                restored.add(number)
            if value["origin"] != "live" or number in seen:
                continue
            seen.add(number)
            if start <= value["received_at"] < end:
                first, _, count, xor, total = tallies.get(record.partition, (offset, 0, 0, 0, 0))
                tallies[record.partition] = (first, offset + 1, count + 1, xor ^ number, (total + number) % 2**128)
        spoiled = [r for r in self.topics["quarantine"] if start <= int(r.headers["trunkline-received-at"]) < end]
        value = {
            "org_id": ORG, "instance": INSTANCE, "shard": 0, "topic_class": CLASS, "from_time": start, "to_time": end,
            "level": level, "revision": revision, "epochs": sorted(epochs), "subscription_digests": [SET] if epochs else [],
            "gap_ids": sorted(gaps), "margin_ms": MARGIN, "clock_error_ms": 50, "writer_id": WRITER, "barrier": "assumed",
            "count_live": sum(t[2] for t in tallies.values()), "count_backfill": len(restored), "count_quarantine": len(spoiled),
            "partitions": [
                {"partition": p, "first_offset": t[0], "end_offset": t[1], "count_live": t[2], "id_xor": f"{t[3]:032x}", "id_sum": f"{t[4]:032x}"}
                for p, t in sorted(tallies.items())
            ],
            **fields,
        }
        return self.append("certificates", 0, f"{INSTANCE}/0/{CLASS}/{start}", when, value)

    def write(self, folder: pathlib.Path) -> None:
        """As `trunkline demo --dump` writes it."""
        lines = {"records": [], "proof": []}
        for role, records in self.topics.items():
            offsets = {}
            for record in records:
                offsets[record.partition] = record.offset = offsets.get(record.partition, -1) + 1
                lines["records" if role in ("events", "quarantine") else "proof"].append(json.dumps({
                    "topic": TOPICS[role], "partition": record.partition, "offset": record.offset, "key": record.key,
                    "headers": record.headers, "timestamp": record.timestamp,
                    "value_b64": base64.b64encode(encoded(role, record.value)).decode(),
                }))
        for name, text in lines.items():
            (folder / f"{name}.jsonl").write_text("\n".join(text) + "\n")
        (folder / "schemas.json").write_text(json.dumps({IDS[role]: json.dumps(schema) for role, schema in SCHEMAS.items()}))
        (folder / "meta.json").write_text(json.dumps(self.meta))
        (folder / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in self.ledger))


def encoded(role: str, value) -> bytes:
    if isinstance(value, bytes):
        return value
    if role == "state":
        return json.dumps(value).encode()
    return b"\0" + struct.pack(">I", IDS[role]) + encode(SCHEMAS[role], value)
