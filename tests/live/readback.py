"""Reads topics of a real Kafka with another client than trunkline's, into the files that `scripts/verify_demo.py` reads."""

import base64
import json
import pathlib
import struct
import sys
import urllib.request
from collections import Counter

from confluent_kafka import Consumer, TopicPartition

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from verify_demo import reckon  # noqa: E402


def records(bootstrap: str, topic: str) -> tuple[list[dict], int]:
    """Every record of a topic in the order of its offsets, and how many partitions it has."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "live-reader", "enable.auto.commit": False})
    try:
        partitions = sorted(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in partitions}
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        found, left = [], {p for p, end in ends.items() if end}
        while left:
            message = consumer.poll(30)
            if message is None or message.error():
                raise RuntimeError(f"{topic} cannot be read: {message and message.error()}")
            headers = {name: value.decode() for name, value in message.headers() or []}
            found.append({
                "topic": topic, "partition": message.partition(), "offset": message.offset(),
                "key": message.key() and message.key().decode(), "value_b64": base64.b64encode(message.value() or b"").decode(),
                "headers": headers, "timestamp": message.timestamp()[1],
            })
            if message.offset() + 1 >= ends[message.partition()]:
                left.discard(message.partition())
        return sorted(found, key=lambda r: (r["partition"], r["offset"])), len(partitions)
    finally:
        consumer.close()


def schemas(registry: str, values: list[bytes]) -> dict:
    """Schemas by id, as the registry gives them to anybody."""
    ids = {struct.unpack(">I", value[1:5])[0] for value in values}
    read = lambda number: json.load(urllib.request.urlopen(f"{registry}/schemas/ids/{number}", timeout=10))["schema"]
    return {number: read(number) for number in ids}


def account(folder: pathlib.Path, events: list[dict], quarantined: list[dict], meta: dict, known: dict, ledger: list[dict]) -> tuple[Counter, list[str]]:
    """Where every event of the ledger is, and what is wrong with single records."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in events + quarantined))
    (folder / "schemas.json").write_text(json.dumps(known))
    (folder / "ledger.jsonl").write_text("".join(json.dumps(e) + "\n" for e in ledger))
    return reckon(folder, meta)
