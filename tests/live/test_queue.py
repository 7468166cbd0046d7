"""EventBridge's queue at length: many events, a receiver that is killed again and again, a real broker."""

import collections
import os
import random
import signal
import threading
import time
import unittest
import uuid

from cluster import Cluster, say
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from harness import EVENTS, Stand, Trunkline, wait_for
from sqs_harness import Sqs, bridge, event

COUNT = int(os.environ.get("QUEUE_EVENTS", "100000"))
KILLS = int(os.environ.get("QUEUE_KILLS", "20"))
WAITING = 4_000  # messages in the queue at most: the stand-in looks through all of them whenever it is asked
PARTITIONS = 12


class Feeder(threading.Thread):
    """Fills the queue as fast as it is emptied."""

    def __init__(self, sqs: Sqs, queue: str):
        super().__init__(daemon=True)
        self.sqs, self.queue, self.sent = sqs, queue, 0

    def run(self):
        while self.sent < COUNT:
            while sum(self.sqs.left(self.queue)) > WAITING:
                time.sleep(0.1)
            numbers = range(self.sent, min(self.sent + 500, COUNT))
            self.sqs.send(self.queue, [event(n) for n in numbers])
            self.sent = numbers.stop


def records(bootstrap: str) -> collections.Counter:
    """How often each conversation is in the topic, under which id."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "judge", "enable.auto.commit": False})
    found: collections.Counter = collections.Counter()
    try:
        ends = {n: consumer.get_watermark_offsets(TopicPartition(EVENTS, n), timeout=30)[1] for n in range(PARTITIONS)}
        consumer.assign([TopicPartition(EVENTS, n, OFFSET_BEGINNING) for n in range(PARTITIONS)])
        read = 0
        while read < sum(ends.values()):
            messages = consumer.consume(5_000, timeout=10)
            if not messages:
                raise RuntimeError(f"read {read} of {sum(ends.values())} records")
            for message in messages:
                found[message.key().decode(), dict(message.headers())["event_id"]] += 1
            read += len(messages)
    finally:
        consumer.close()
    return found


class Queue(unittest.TestCase):
    def test_a_receiver_that_is_killed_loses_nothing_and_repeats_only_under_the_same_id(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        cluster = self.enterContext(Cluster(brokers=1, registry=False))
        stand, sqs = self.enterContext(Stand()), self.enterContext(Sqs())
        queue = sqs.queue()
        tree = bridge(
            stand, queue, visibility_secs=30, kafka__bootstrap_servers=cluster.bootstrap, kafka__create_topics=True,
            kafka__start_timeout_secs=30,
        )
        feeder = Feeder(sqs, queue)
        feeder.start()
        kills, began = 0, time.monotonic()
        while True:
            with Trunkline(tree).wait_ready(60) as app:
                # evenly over the events, so that the last ones are not undisturbed
                due = COUNT * (kills + chance.random()) / KILLS if kills < KILLS else None
                emptied = lambda: feeder.sent == COUNT and sqs.left(queue) == (0, 0)
                done = lambda: feeder.sent - sum(sqs.left(queue)) >= due if due is not None else emptied()
                self.assertTrue(wait_for(done, 600, 0.05), sqs.left(queue))
                if due is None:
                    self.assertEqual(app.stop()[0], 0)
                    break
                app.child.send_signal(signal.SIGKILL)
                app.child.wait()
            kills += 1
            say(f"queue: {feeder.sent} of {COUNT} events, {kills} kills, {time.monotonic() - began:.0f} s")
        found = records(cluster.bootstrap)
        keys = {key for key, _ in found}
        repeats = sum(found.values()) - len(found)
        say(f"queue: {COUNT} events, {kills} kills, {len(keys)} arrived, {repeats} repeats, {time.monotonic() - began:.0f} s, seed {seed}")
        self.assertEqual(kills, KILLS)
        self.assertEqual(keys, {str(uuid.UUID(int=n)) for n in range(COUNT)}, "every event is a record")
        self.assertEqual(len(found), COUNT, "a repeat has the id of the first")
        self.assertLess(repeats, COUNT // 10)


if __name__ == "__main__":
    unittest.main()
