"""Topics of the one real broker, and what lies in them."""

import io
import json
import pathlib
import struct
import sys

import fastavro
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "live"))
from cluster import Cluster  # noqa: E402

PARTITIONS = 3
# the broker's clock stamps every record, whoever wrote it
STAMPED = {"message.timestamp.type": "LogAppendTime"}


def cluster() -> Cluster:
    return Cluster(brokers=1, registry=False)


def create(bootstrap: str, names: list[str]):
    policies = {"gaps": "compact,delete", "certificates": "compact", "state": "compact"}
    topics = []
    for name in names:
        policy = policies.get(name.rsplit(".", 1)[-1])
        topics.append(NewTopic(name, PARTITIONS, 1, config={"cleanup.policy": policy} if policy else STAMPED))
    admin = AdminClient({"bootstrap.servers": bootstrap})  # has to outlive what it is asked
    for future in admin.create_topics(topics, request_timeout=30).values():
        future.result()


def delete(bootstrap: str, names: list[str]):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_topics(names, request_timeout=30).values():
        future.result()


def read(bootstrap: str, topic: str, schemas: list[str], known: dict) -> list[dict]:
    """Every record of a topic, decoded, each partition in its order; `stamp` is when the broker took it, in seconds."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "scoreboard", "enable.auto.commit": False})
    found = []
    try:
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in range(PARTITIONS)}
        consumer.assign([TopicPartition(topic, p, 0) for p in ends])
        left = {p for p, end in ends.items() if end}
        while left:
            message = consumer.poll(30)
            if message is None or message.error():
                raise RuntimeError(f"{topic} cannot be read: {message and message.error()}")
            value = message.value()
            if value:
                number = struct.unpack(">I", value[1:5])[0]
                schema = known.get(number) or known.setdefault(number, fastavro.schema.parse_schema(json.loads(schemas[number - 1])))
                record = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema)
                found.append({**record, "at": (message.partition(), message.offset()), "stamp": message.timestamp()[1] / 1000})
            if message.offset() + 1 >= ends[message.partition()]:
                left.discard(message.partition())
    finally:
        consumer.close()
    return sorted(found, key=lambda record: record["at"])
