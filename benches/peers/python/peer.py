"""The bridge that a team writes in a week in Python: websockets in, Avro through confluent-kafka out.

It reconnects as pasted answers do: after 1 to 31 s, doubling, ten attempts, which an open socket sets back.
"""

import asyncio
import io
import json
import os
import random
import struct
import urllib.request

import websockets
from confluent_kafka import Producer
from fastavro import parse_schema, schemaless_writer

URL, TOPIC, REGISTRY = os.environ["WS_URL"], os.environ["TOPIC"], os.environ["REGISTRY"]
LATEST = json.load(urllib.request.urlopen(f"{REGISTRY}/subjects/{TOPIC}-value/versions/latest"))
SCHEMA, HEAD = parse_schema(json.loads(LATEST["schema"])), struct.pack(">bI", 0, LATEST["id"])
CALL = ("id", "state", "direction", "held")
PRODUCER = Producer({
    "bootstrap.servers": os.environ["BROKER"], "acks": "all", "enable.idempotence": True, "compression.type": "lz4",
    "linger.ms": float(os.environ.get("LINGER_MS", 5)), "partitioner": "murmur2_random",
})


def record(notification):
    body, correlation = notification["eventBody"], notification["metadata"]["CorrelationId"]
    people = [
        {"id": p["id"], "purpose": p.get("purpose"), "queue_id": p.get("queueId"), "calls": [{k: c.get(k) for k in CALL} for c in p.get("calls", [])]}
        for p in body.get("participants", [])
    ]
    return {
        "event_id": correlation, "topic": notification["topicName"], "conversation_id": body["id"], "correlation_id": correlation,
        "payload": json.dumps(body, separators=(",", ":")), "participants": people,
    }


async def handle(text):
    notification = json.loads(text)
    if notification.get("topicName") == "channel.metadata" or "id" not in notification.get("eventBody", {}):
        return
    made, buffer = record(notification), io.BytesIO()
    buffer.write(HEAD)
    schemaless_writer(buffer, SCHEMA, made)
    while True:
        try:
            PRODUCER.produce(TOPIC, buffer.getvalue(), made["conversation_id"], on_delivery=lambda e, m: e and print("lost", e))
            PRODUCER.poll(0)
            return
        except BufferError:  # the local queue is full: the socket backs up
            await asyncio.sleep(0.01)
            PRODUCER.poll(0)


async def main():
    attempt = 0
    while attempt < 10:
        try:
            async with websockets.connect(URL, compression=None, max_size=None) as socket:
                attempt = 0
                async for text in socket:
                    await handle(text)
        except (OSError, websockets.WebSocketException) as error:
            print("socket", error)
        attempt += 1
        await asyncio.sleep(min(2 ** (attempt - 1), 30) + random.random())


try:
    asyncio.run(main())
finally:
    PRODUCER.flush(10)
