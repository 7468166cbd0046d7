"""How far Kafka Connect has come."""

import time

from confluent_kafka import Consumer, KafkaException, TopicPartition
from ground import TOPICS, Ground, say


def lag(ground: Ground) -> dict:
    """Records of each role that are not in S3 yet, by the offsets that Connect has committed."""
    found = {}
    for role, topic in TOPICS.items():
        consumer = Consumer({"bootstrap.servers": ground.bootstrap, "group.id": f"connect-trunkline-{role}", "enable.auto.commit": False, "log_level": 2})
        try:
            places = [TopicPartition(topic, p) for p in consumer.list_topics(topic, timeout=30).topics[topic].partitions]
            ends = {p.partition: consumer.get_watermark_offsets(p, timeout=30)[1] for p in places}
            found[role] = sum(ends[p.partition] - max(0, p.offset) for p in consumer.committed(places, timeout=30))
        finally:
            consumer.close()
    return found


def await_staged(ground: Ground, seconds: float = 300):
    """Until everything in the topics is in S3."""
    end, last = time.monotonic() + seconds, 0.0
    while True:
        try:
            behind = lag(ground)
        except KafkaException as error:  # a coordinator that is on the move
            behind = {"unknown": str(error)}
        if not any(behind.values()):
            return
        if time.monotonic() > end:
            raise TimeoutError(f"not everything is in S3: lag {behind}, tasks {ground.connect.states()}\n{ground.group.tail('connect')}")
        if time.monotonic() - last > 10:
            last = time.monotonic()
            say(f"waiting for S3: lag {behind}")
        time.sleep(1)


def dead_letters(ground: Ground) -> int:
    known, found = ground.admin.list_topics(timeout=30).topics, 0
    consumer = Consumer({"bootstrap.servers": ground.bootstrap, "group.id": "stack-letters", "log_level": 2})
    try:
        for topic in TOPICS.values():
            name = f"{topic}.s3-dlq"
            for partition in known[name].partitions if name in known else ():
                found += consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=30)[1]
    finally:
        consumer.close()
    return found
