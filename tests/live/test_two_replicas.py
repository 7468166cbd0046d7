"""Two replicas against a real Apache Kafka: either is killed, at any moment, twenty times."""

import base64
import io
import itertools
import json
import pathlib
import random
import sys
import tempfile
import time
import unittest
from collections import Counter

import fastavro
from confluent_kafka.admin import AdminClient, NewTopic

from cluster import CACHE, Cluster, say
from readback import account, records, schemas
from test_journey import COMPACTED, settings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "journey"))
from harness import CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Trunkline, get, proven, total, wait_for  # noqa: E402

KILLS, RATE = 20, 100
PING, CADENCE = 10, 5
NAMES = ("a", "b")
# un-acked at a kill, and held by a standby whose time is over at that moment
REPEATS_PER_KILL = 600
GAP = fastavro.parse_schema(json.loads((pathlib.Path(__file__).resolve().parents[2] / "schemas" / "gap_record.avsc").read_text()))
# rolled and cleaned within the test
EAGER = {"cleanup.policy": "compact", "segment.ms": "15000", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "20000"}


def span(raw: dict) -> float:
    """Seconds of a gap."""
    value = base64.b64decode(raw["value_b64"])
    gap = fastavro.schemaless_reader(io.BytesIO(value[5:]), GAP)
    return (gap["to_time"] - gap["from_time"]).total_seconds() if gap["to_time"] else float("inf")


class Replicas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        admin = AdminClient({"bootstrap.servers": cls.cluster.bootstrap})
        wait_for(lambda: len(admin.list_topics(timeout=10).brokers) == 3, 60)
        topics = []
        for name in (EVENTS, QUARANTINE, GAPS, CERTIFICATES, STATE):
            keep = EAGER if name == STATE else {"cleanup.policy": COMPACTED.get(name, "delete")}
            topics.append(NewTopic(name, 12 if name == EVENTS else 3, 3, config={"min.insync.replicas": "2", **keep}))
        for future in admin.create_topics(topics, request_timeout=30).values():
            future.result()

    def start(self, sim: Sim, name: str):
        own = {"replica": name, "genesys__clients": [{"id": name, "secret": name}], "spool__dir": str(self.folder / name)}
        self.apps[name] = Trunkline(settings(self.cluster, sim, replicas=list(NAMES), genesys__channels_per_shard=1, **own))

    def kill(self, name: str):
        self.apps.pop(name).kill()

    def test_either_is_killed_twenty_times_and_every_event_is_there_and_no_instant_uncovered(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.apps, dice = pathlib.Path(folder.name), {}, random.Random(20)
        self.addCleanup(lambda: [app.__exit__() for app in self.apps.values()])
        clients = itertools.chain.from_iterable(("--client", f"{name}:{name}") for name in NAMES)
        with Sim("--rate", str(RATE), "--wait-for-channels", "2", *clients) as sim:
            for name in NAMES:
                self.start(sim, name)
            for app in self.apps.values():
                app.wait_ready(60)
            self.assertTrue(wait_for(lambda: all(proven(app) for app in self.apps.values()), 60))
            stood_in = Counter()
            for kill in range(KILLS):
                name = dice.choice(NAMES)
                stood_in[name] += total(self.apps[name], "trunkline_standby_written_events_total")
                self.kill(name)
                time.sleep(dice.uniform(0, 3))
                began = time.time()
                self.start(sim, name)
                self.apps[name].wait_ready(60)
                # a kill leaves what was not claimed yet to the other one, whose coverage has begun by then
                self.assertTrue(wait_for(lambda: proven(self.apps[name]) > began + 7, 60), name)
                time.sleep(dice.uniform(0, 2))
                say(f"kill {kill + 1}: {name}")
            for name in NAMES:
                stood_in[name] += total(self.apps[name], "trunkline_standby_written_events_total")
                self.assertEqual(self.apps[name].stop(seconds=60)[0], 0, "".join(self.apps[name].log[-5:]))
            org, ledger = json.loads(get(sim.url + "/sim/org"))["id"], sim.ledger()
        events, partitions = records(self.cluster.bootstrap, EVENTS)
        quarantined, _ = records(self.cluster.bootstrap, QUARANTINE)
        gaps, _ = records(self.cluster.bootstrap, GAPS)
        known = schemas(self.cluster.registry, [base64.b64decode(r["value_b64"]) for r in events])
        meta = {"org_id": org, "events_topic": EVENTS, "partitions": partitions}
        # what was sent while the last sockets closed may not have been read, and later nobody heard
        end = max(n for n, entry in enumerate(ledger) if entry["delivered"]) - RATE
        counts, _ = account(CACHE / "dump", events, quarantined, meta, known, ledger[:end])
        whole, problems = account(CACHE / "dump", events, quarantined, meta, known, ledger)
        state, _ = records(self.cluster.bootstrap, STATE)
        written = sum(max(r["offset"] for r in state if r["partition"] == p) + 1 for p in {r["partition"] for r in state})
        say(f"{dict(counts)} {dict(whole)} stood in {dict(stood_in)} state {len(state)} of {written} records left")
        self.assertEqual([p for p in problems if "repeat" not in p], [])
        self.assertGreater(counts["events_durable"], KILLS * RATE)
        for name in ("lost", "wire_missed", "silent"):
            self.assertEqual(counts[name], 0, name)
        for name in ("duplicates", "order_inversions"):
            self.assertEqual(whole[name], 0, name)
        self.assertLessEqual(counts["repeats"], KILLS * REPEATS_PER_KILL)
        self.assertGreater(sum(stood_in.values()), RATE, "a primary was killed and replaced")
        # one of them heard at every instant; who is killed before it claims what it heard leaves a gap
        # where the other one's coverage had not begun
        self.assertLessEqual(len({r["key"] for r in gaps}), KILLS)
        self.assertLess(max(map(span, gaps), default=0), PING + CADENCE)
        self.assertLess(len(state), written, "the state topic was compacted while it was in use")


if __name__ == "__main__":
    unittest.main()
