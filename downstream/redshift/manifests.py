#!/usr/bin/env python3
"""Makes COPY manifests of staged objects, one for each hour and role, from a listing of S3.

Reads what `aws s3api list-objects-v2 --output json` printed, once or several times, on standard input. Writes
into the folder OUT
  <role>/dt=YYYY-MM-DD/hr=HH/manifest.json   every object of that hour, each mandatory
  objects.csv                                all of them, for the procedure load_listing
and prints the hours, one a line. Standard library only.
"""

import argparse
import csv
import json
import pathlib
import re
import sys
from collections import defaultdict
from datetime import datetime, timezone

TOPICS = {
    "events": "genesys.conversation.events",
    "certificates": "genesys.conversation.certificates",
    "gaps": "genesys.conversation.gaps",
    "quarantine": "genesys.conversation.quarantine",
}
KEY = re.compile(
    r"(?:.*/)?(?P<topic>[^/]+)/dt=(?P<day>\d{4}-\d\d-\d\d)/hr=(?P<hour>\d\d)/"
    r"(?P=topic)[-+](?P<partition>\d+)[-+](?P<offset>\d{10,20})\.avro"
)
LAYOUT = "<prefix>/<topic>/dt=YYYY-MM-DD/hr=HH/<topic>-<partition>-<offset of 10 digits>.avro"
COLUMNS = ("role", "staging_hour", "url", "kafka_partition", "first_offset", "size_bytes", "modified_at", "listed_at")


class Unusable(Exception):
    """The listing is not what the usage says."""


def listed(text: str):
    """`Contents` of every JSON object in the text."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text := text.rstrip()):
        at += len(text[at:]) - len(text[at:].lstrip())
        try:
            page, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise Unusable(f"standard input is no JSON at character {error.pos}: {error.msg}") from error
        if not isinstance(page, dict):
            raise Unusable(f"standard input holds {type(page).__name__}: allowed are answers of list-objects-v2")
        yield from page.get("Contents") or ()


def objects(contents, bucket: str, topics: dict, listed_at: str):
    """Rows of objects.csv, as dictionaries, of the objects that belong to a role; others are passed over."""
    roles = {topic: role for role, topic in topics.items()}
    for entry in contents:
        key = entry.get("Key", "")
        if not key.endswith(".avro"):
            continue
        match = KEY.fullmatch(key)
        if match is None:
            raise Unusable(f"key {key}: allowed is {LAYOUT}")
        if match["topic"] not in roles:
            continue
        if not entry.get("Size"):
            raise Unusable(f"key {key}: Size is {entry.get('Size')}: an Avro file has at least a header")
        yield {
            "role": roles[match["topic"]], "staging_hour": f"{match['day']} {match['hour']}:00:00",
            "url": f"s3://{bucket}/{key}", "kafka_partition": int(match["partition"]),
            "first_offset": int(match["offset"]), "size_bytes": entry["Size"],
            "modified_at": timestamp(key, entry.get("LastModified")), "listed_at": listed_at,
        }


def timestamp(key: str, text) -> str:
    """`LastModified` in UTC, as COPY reads it."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        raise Unusable(f"key {key}: LastModified is {text}: allowed is a time in ISO 8601") from None
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")


def write(rows: list, out: pathlib.Path) -> list:
    """Writes manifests and objects.csv; returns the hours, sorted."""
    by_manifest = defaultdict(list)
    for row in rows:
        day, hour = row["staging_hour"][:10], row["staging_hour"][11:13]
        by_manifest[f"{row['role']}/dt={day}/hr={hour}/manifest.json"].append(row)
    for name, group in by_manifest.items():
        entries = [
            {"url": row["url"], "mandatory": True, "meta": {"content_length": row["size_bytes"]}} for row in group
        ]
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"entries": entries}, indent=1) + "\n")
    out.mkdir(parents=True, exist_ok=True)
    with (out / "objects.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return sorted({row["staging_hour"] for row in rows})


def topic_of(text: str) -> tuple:
    """`role=topic`."""
    role, separator, topic = text.partition("=")
    if role not in TOPICS or not separator or not topic:
        raise argparse.ArgumentTypeError(f"{text}: allowed is ROLE=TOPIC, ROLE one of {', '.join(TOPICS)}")
    return role, topic


def main(argv: list) -> int:
    """Runs it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", type=pathlib.Path, help="an empty folder, to be copied to S3")
    parser.add_argument("--bucket", required=True, help="the bucket that was listed")
    parser.add_argument(
        "--topic", action="append", type=topic_of, default=[], metavar="ROLE=TOPIC",
        help="a topic of another name than " + ", ".join(TOPICS.values()),
    )
    options = parser.parse_args(argv)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
    try:
        rows = list(objects(listed(sys.stdin.read()), options.bucket, TOPICS | dict(options.topic), now))
    except Unusable as error:
        print(f"manifests: {error}", file=sys.stderr)
        return 2
    for hour in write(rows, options.out):
        print(hour)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
