"""Holds the topics against the simulator's ledger, with another client and other code than trunkline's."""

import base64
import io
import json
import struct
from collections import Counter
from dataclasses import dataclass

import fastavro
from confluent_kafka import Consumer, TopicPartition
from verifier.bodies import HISTORY, canonical, identity
from verifier.dump import Dump
from verify_certificates import verify


@dataclass
class Account:
    """Of the events that were generated in a span of time."""

    generated: int = 0
    lost: int = 0
    repeats: int = 0
    """Records beyond the first of an id."""
    inversions: int = 0
    """First records that follow a later event of their conversation, topic and epoch."""


def entries(sim, get, until_ms: float):
    """What the simulator generated before then, page by page: it may be long, and grows."""
    after = 0
    while page := get(f"{sim.url}/sim/ledger?after={after}&limit=5000", timeout=120).splitlines():
        for line in page:
            if (entry := json.loads(line))["at_ms"] >= until_ms:
                return
            yield entry
        after = entry["seq"]


def read(bootstrap: str, topic: str):
    """Every record of a topic, partition by partition, in the order of offsets."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "brokers-reader", "enable.auto.commit": False, "fetch.message.max.bytes": 8 << 20})
    try:
        for number in sorted(consumer.list_topics(topic, timeout=30).topics[topic].partitions):
            end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1]
            consumer.assign([TopicPartition(topic, number, 0)])
            at = 0
            while at < end:
                message = consumer.poll(30)
                if message is None or message.error():
                    raise RuntimeError(f"{topic} {number} cannot be read beyond {at} of {end}: {message and message.error()}")
                at = message.offset() + 1
                yield message
    finally:
        consumer.close()


def line(message) -> str:
    """As `scripts/verify_certificates.py` reads it."""
    return json.dumps({
        "topic": message.topic(), "partition": message.partition(), "offset": message.offset(), "key": message.key() and message.key().decode(),
        "headers": {name: value.decode() for name, value in message.headers() or []}, "timestamp": message.timestamp()[1],
        "value_b64": base64.b64encode(message.value() or b"").decode(),
    })


def count(generated: dict, records, spans: list[tuple[float, float]]) -> tuple[list[Account], list[str]]:
    """By span, from inclusive to exclusive: `generated` has `(seq, at_ms)` by event id; `records` are `(event_id, order)` as they lie in
    their partitions, `order` being what they are ordered within. And what was written that nobody generated."""
    accounts, seen, newest, invented = [Account() for _ in spans], Counter(), {}, []
    of = lambda at: next((n for n, (start, end) in enumerate(spans) if start <= at < end), None)
    for name, order in records:
        if name not in generated:
            invented.append(name)
            continue
        seq, at = generated[name]
        seen[name] += 1
        span = of(at)
        if seen[name] > 1:
            if span is not None:
                accounts[span].repeats += 1
            continue
        if seq < newest.get(order, 0) and span is not None:
            accounts[span].inversions += 1
        newest[order] = max(seq, newest.get(order, 0))
    for name, (_, at) in generated.items():
        if (span := of(at)) is not None:
            accounts[span].generated += 1
            accounts[span].lost += not seen[name]
    return accounts, invented


def judge(world, get, spans: list[tuple[float, float]]):
    """Accounts of the spans, what is wrong, and the report of the verifier of certificates."""
    folder, generated, trouble = world.folder / "dump", {}, []
    folder.mkdir()
    first, last = spans[0][0], spans[-1][1]
    until_ms = world.now_ms()
    with (folder / "ledger.jsonl").open("w") as out:
        for entry in entries(world.sim, get, until_ms):
            if not entry["covered"]:
                continue
            generated[identity(world.org, entry["topic"], canonical(entry["body"]))] = (entry["seq"], entry["at_ms"])
            if first <= entry["at_ms"] < last:
                out.write(json.dumps(entry) + "\n")
    world.sim.__exit__()  # it would go on generating
    text, parsed, read_back, gaps = {}, {}, [], 0
    with (folder / "records.jsonl").open("w") as out:
        for role, topic in world.topics.items():
            for message in read(world.cluster.bootstrap, topic):
                out.write(line(message) + "\n")
                gaps += role == "gaps"
                if role in ("quarantine", "state") or not message.value():
                    continue
                number = struct.unpack(">I", message.value()[1:5])[0]
                if number not in parsed:
                    text[number] = json.loads(get(f"{world.cluster.registry}/schemas/ids/{number}"))["schema"]
                    parsed[number] = fastavro.parse_schema(json.loads(text[number]))
                if role == "events":
                    record = fastavro.schemaless_reader(io.BytesIO(message.value()[5:]), parsed[number])
                    if record["origin"] not in HISTORY:
                        read_back.append((record["event_id"], (record["topic"], record["conversation_id"], record["epoch_id"])))
    (folder / "schemas.json").write_text(json.dumps(text))
    meta = {"org_id": world.org, "origin_ms": world.origin_ms, "read_spacing_ms": 15_000, **{f"{role}_topic": topic for role, topic in world.topics.items()}}
    (folder / "meta.json").write_text(json.dumps(meta))
    accounts, invented = count(generated, read_back, spans)
    if invented:
        trouble.append(f"{len(invented)} records of events that nobody generated, {invented[0]} among them")
    report = verify(Dump(folder))
    if report.total:
        trouble.append(f"the verifier of certificates contradicts {report.total} times: {report.contradictions[0]}")
    return accounts, trouble, report, gaps
