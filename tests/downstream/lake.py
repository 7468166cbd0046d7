"""What the product wrote into its topics, laid out as the S3 sink does: Avro objects in hourly folders.

A demo's hour lasts `read_spacing_ms`; times of records are stretched by that much, so that an interval of a
certificate is an hour again and the dump fills many staged hours. Nothing else about a record is changed.
"""

import base64
import copy
import io
import json
import lzma
import os
import pathlib
import shutil
from collections import defaultdict
from datetime import datetime, timezone
from functools import cache

import fastavro

HERE = pathlib.Path(__file__).parent
HOUR = 3_600_000
ROLES = {"events": "genesys.conversation.events", "certificates": "genesys.conversation.certificates",
         "gaps": "genesys.conversation.gaps", "quarantine": "genesys.conversation.quarantine"}
TIMES = ("event_time", "received_at", "version", "from_time", "to_time", "history_watermark", "closed_at",
         "expected_close_at", "recorded_at")
SINK_FIELDS = [{"name": "kafka_partition", "type": "int"}, {"name": "kafka_offset", "type": "long"}]
QUARANTINE = {"type": "record", "name": "QuarantinedMessage", "fields": [
    {"name": "event_id", "type": "string"}, {"name": "reason", "type": "string"},
    {"name": "topic", "type": ["null", "string"], "default": None},
    {"name": "epoch_id", "type": ["null", "string"], "default": None},
    {"name": "received_at", "type": {"type": "long", "logicalType": "timestamp-millis"}}, *SINK_FIELDS]}


@cache
def fixture() -> tuple:
    """(schemas by id, meta, records) of the committed dump."""
    with lzma.open(HERE / "fixtures" / "demo.jsonl.xz", "rt") as lines:
        head = json.loads(next(lines))
        return {int(k): json.loads(v) for k, v in head["schemas"].items()}, head["meta"], [json.loads(l) for l in lines]


def write_dump(folder: pathlib.Path, keep=lambda raw: True) -> None:
    """The dump in the form that scripts/verify_certificates.py reads; `keep(raw)` says which records stay."""
    schemas, meta, records = fixture()
    (folder / "schemas.json").write_text(json.dumps({k: json.dumps(v) for k, v in schemas.items()}))
    (folder / "meta.json").write_text(json.dumps({k: v for k, v in meta.items() if k != "verdict"}))
    with (folder / "records.jsonl").open("w") as out:
        for raw in filter(keep, records):
            value = base64.b64encode(bytes.fromhex(raw["value_hex"])).decode()
            out.write(json.dumps({k: v for k, v in raw.items() if k != "value_hex"} | {"value_b64": value}) + "\n")


def stretch(ms: int) -> int:
    """A time of the dump where an hour lasts an hour."""
    spacing = fixture()[1]["read_spacing_ms"]
    base = fixture()[1]["origin_ms"] // spacing * spacing
    return base // HOUR * HOUR + (ms - base) * HOUR // spacing


def plain(schema: dict) -> dict:
    """The schema without logical types, so that times stay numbers."""
    text = json.dumps(schema).replace('"logicalType": "timestamp-millis"', '"logicalType": "none"')
    return json.loads(text)


@cache
def records() -> dict:
    """By role: `(partition, offset, Kafka timestamp, record)`, times of the first level stretched."""
    schemas, meta, raws = fixture()
    parsed = {ident: fastavro.parse_schema(plain(schema)) for ident, schema in schemas.items()}
    times = {ident: [f["name"] for f in s["fields"] if "timestamp-millis" in json.dumps(f["type"])
                     and "record" not in json.dumps(f["type"])] for ident, s in schemas.items()}
    found = defaultdict(list)
    for raw in raws:
        role = next((role for role, topic in ROLES.items() if topic == raw["topic"]), None)
        value = bytes.fromhex(raw["value_hex"])
        if role in (None, "quarantine") or not value:
            continue
        ident = int.from_bytes(value[1:5], "big")
        record = fastavro.schemaless_reader(io.BytesIO(value[5:]), parsed[ident], None)
        for name in times[ident]:
            record[name] = record[name] if record[name] is None else stretch(record[name])
        found[role].append((raw["partition"], raw["offset"], stretch(raw["timestamp"]), record))
    return found


@cache
def heard() -> list:
    """`(partition, offset, timestamp, record)` of what sockets heard, as far as there are certificates."""
    certified = {(said["topic_class"], said["from_time"], said["to_time"]) for *_, said in records()["certificates"]}

    def within(row):
        return any(c == row["topic_class"] and start <= row["received_at"] < end for c, start, end in certified)

    return [row for row in records()["events"] if within(row[3])]


@cache
def schema_of(role: str) -> dict:
    """The Avro schema of a staged object, parsed: the product's, and the fields that the sink adds."""
    return fastavro.parse_schema(plain(staged_schema(role)))


def staged_schema(role: str) -> dict:
    """The same as JSON."""
    if role == "quarantine":
        return QUARANTINE
    name = {"events": "ConversationEvent", "certificates": "CoverageCertificate", "gaps": "GapRecord"}[role]
    schema = copy.deepcopy(next(s for s in fixture()[0].values() if s["name"] == name))
    schema["fields"] += SINK_FIELDS
    return schema


def first_hours(role: str, hours: int) -> list:
    """What was appended in the first so many hours of the dump."""
    first = min(row[2] for row in records()["events"]) // HOUR
    return [row for row in records()[role] if row[2] // HOUR < first + hours]


def timed(record: dict) -> dict:
    """The record with its times as text."""
    times = {name: record[name] for name in TIMES if record.get(name) is not None}
    return record | {n: datetime.fromtimestamp(ms / 1000, timezone.utc).isoformat(sep=" ")[:-6] for n, ms in times.items()}


def runs(rows: list) -> list:
    """Rows of one topic, cut into what the sink puts into one object each: one partition, one hour, no offset between."""
    found = []
    for row in sorted(rows, key=lambda row: row[:2]):
        last = found[-1][-1] if found else None
        if last and last[0] == row[0] and last[1] + 1 == row[1] and last[2] // HOUR == row[2] // HOUR:
            found[-1].append(row)
        else:
            found.append([row])
    return found


class Lake:
    """A folder in the place of a bucket: `s3://<name>/key` is `<folder>/key`."""

    def __init__(self, folder: pathlib.Path, of_super=lambda record: record):
        """`of_super(record)`: how COPY spells values inside SUPER."""
        self.folder, self.name, self.of_super = folder, "staging", of_super

    def remove(self, path: pathlib.Path) -> None:
        """Deletes an object."""
        path.unlink()
        path.with_name(path.name + ".rows").unlink()

    def put(self, role: str, rows: list, schema: dict | None = None, first: int | None = None) -> pathlib.Path:
        """Writes one object of rows `(partition, offset, timestamp, record)`, one partition, one hour. Its name holds
        `first`, or the first offset."""
        partition, offset, moment, _ = rows[0]
        path = self.where(role, partition, offset if first is None else first, moment)
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = [record | {"kafka_partition": p, "kafka_offset": o} for p, o, _, record in rows]
        with path.open("wb") as file:
            fastavro.writer(file, schema or schema_of(role), staged, codec="deflate")
        self.spell(path)
        return path

    def spell(self, path: pathlib.Path) -> None:
        """Writes beside an object what COPY would read from it, a row a line: SUPER values as JSON, times of the
        first level by TIMEFORMAT 'epochmillisecs'."""
        with path.open("rb") as file:
            rows = [json.dumps(timed(self.of_super(record))) for record in fastavro.reader(file)]
        path.with_name(path.name + ".rows").write_text("\n".join(rows))

    def fill(self, hours: int = 1000) -> None:
        """Every record of the first so many hours. As the sink does by default, an object ends where the hour changes."""
        for role in records():
            for group in runs(first_hours(role, hours)):
                self.put(role, group)

    def without(self, drop) -> None:
        """Leaves `drop`, a set of `(partition, offset)`, out of the objects of events; names stay."""
        for group in runs(records()["events"]):
            kept = [row for row in group if row[:2] not in drop]
            if len(kept) < len(group):
                self.remove(self.where("events", group[0][0], group[0][1], group[0][2]))
                if kept:
                    self.put("events", kept, first=group[0][1])

    def where(self, role: str, partition: int, offset: int, moment: int) -> pathlib.Path:
        """The path of the object that begins there."""
        hour = datetime.fromtimestamp(moment / 1000, timezone.utc).strftime("dt=%Y-%m-%d/hr=%H")
        return self.folder / "topics" / ROLES[role] / hour / f"{ROLES[role]}-{partition}-{offset:010}.avro"

    def path(self, url: str) -> pathlib.Path:
        """Where `s3://staging/key` lies."""
        return self.folder / url.removeprefix(f"s3://{self.name}/")

    def listing(self, prefix: str = "topics/") -> str:
        """What `aws s3api list-objects-v2` would print."""
        found = [path for path in sorted(self.folder.glob("topics/**/*.avro"))]
        return json.dumps({"Contents": [
            {"Key": str(path.relative_to(self.folder)), "Size": path.stat().st_size,
             "LastModified": datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat()}
            for path in found if str(path.relative_to(self.folder)).startswith(prefix)]})

    def copy_to(self, folder: pathlib.Path) -> "Lake":
        """A second lake with the same objects."""
        shutil.copytree(self.folder, folder, copy_function=os.link, dirs_exist_ok=True)
        return Lake(folder, self.of_super)
