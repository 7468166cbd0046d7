"""The shipped binary against a real Apache Kafka of three brokers and a real registry."""

import base64
import json
import pathlib
import signal
import sys
import time
import unittest
import urllib.request

from confluent_kafka.admin import AdminClient, NewTopic

from cluster import CACHE, Cluster, free_ports, say
from readback import account, records, schemas

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "journey"))
from harness import CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Trunkline, config, get, wait_for  # noqa: E402

EVENTS_WANTED, RATE = 24_000, 600
COMPACTED = {GAPS: "compact,delete", CERTIFICATES: "compact", STATE: "compact"}
# what happens while events flow: seconds after the start, and what
SCRIPT = [
    (3, "reset"), (6, "close"), (9, "kill 3"), (12, "idle_close"), (15, "start 3"), (18, "half_open"),
    (21, "stop 2"), (29, "cont 2"), (31, "socket_closing"), (34, "http_status"), (35, "reset"),
]


def create(cluster: Cluster):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    topics = [NewTopic("weak.events", 1, 1)]
    for name in (EVENTS, QUARANTINE, *COMPACTED):
        settings = {"min.insync.replicas": "2", "cleanup.policy": COMPACTED.get(name, "delete")}
        topics.append(NewTopic(name, num_partitions=12 if name == EVENTS else 3, replication_factor=3, config=settings))
    for future in admin.create_topics(topics, request_timeout=30).values():
        future.result()


def settings(cluster: Cluster, sim: Sim, **changes) -> dict:
    changes = {"kafka__durability": "required", "kafka__start_timeout_secs": 20, **changes}
    return config(cluster, sim.url, **changes)


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        wait_for(lambda: len(AdminClient({"bootstrap.servers": cls.cluster.bootstrap}).list_topics(timeout=10).brokers) == 3, 60)
        create(cls.cluster)

    def act(self, sim: Sim, what: str):
        say(what)
        word, _, broker = what.partition(" ")
        signals = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "cont": signal.SIGCONT}
        if word == "start":
            self.cluster.start(int(broker))
        elif word in signals:
            self.cluster.signal(int(broker), signals[word])
        elif word == "http_status":
            sim.fault(word, for_ms=2000, args={"status": 429, "retry_after": "1"})
        else:
            sim.fault(word)

    def test_1_every_event_is_in_the_topic_through_faults_of_the_platform_and_of_brokers(self):
        cluster = self.cluster
        with Sim("--rate", str(RATE), "--events", str(EVENTS_WANTED), "--wait-for-channels", "2") as sim:
            with Trunkline(settings(cluster, sim)).wait_ready(60) as app:
                began = time.monotonic()
                for at, what in SCRIPT:
                    time.sleep(max(0, began + at - time.monotonic()))
                    self.act(sim, what)
                done = lambda: sim.counters()["generated"] >= EVENTS_WANTED and app.metrics()["trunkline_events_in_flight"] == 0
                self.assertTrue(wait_for(done, 120, 1), sim.counters())
                time.sleep(1)
                metrics = app.metrics()
                code, _ = app.stop(seconds=60)
                self.assertEqual(code, 0, "".join(app.log[-5:]))
            org, ledger = json.loads(get(sim.url + "/sim/org"))["id"], sim.ledger()
        events, partitions = records(cluster.bootstrap, EVENTS)
        quarantined, _ = records(cluster.bootstrap, QUARANTINE)
        known = schemas(cluster.registry, [base64.b64decode(r["value_b64"]) for r in events])
        meta = {"org_id": org, "events_topic": EVENTS, "partitions": partitions}
        counts, problems = account(CACHE / "dump", events, quarantined, meta, known, ledger)
        reconnects = {n.split('"')[1]: int(v) for n, v in metrics.items() if n.startswith("trunkline_ws_disconnects_total") and v}
        say(f"{dict(counts)} reconnects {reconnects}")
        self.assertEqual(problems, [])
        self.assertGreaterEqual(counts["events_generated"], 20_000)
        self.assertEqual(counts["events_durable"], counts["events_generated"])
        for name in ("lost", "wire_missed", "duplicates", "order_inversions", "repeats"):
            self.assertEqual(counts[name], 0, name)
        for reason in ("reset", "close_1000", "close_1001", "half_open"):
            self.assertIn(reason, reconnects)
        # the reckoning itself can fail: one record less is one event lost
        counts, _ = account(CACHE / "dump", events[1:], quarantined, meta, known, ledger)
        self.assertEqual(counts["lost"], 1)

    def test_2_a_topic_with_one_replica_is_refused_by_name(self):
        with Sim("--rate", "10") as sim, Trunkline(settings(self.cluster, sim, kafka__events_topic="weak.events")) as app:
            self.assertEqual(app.child.wait(60), 65)
            app.reader.join(5)
            for word in ("weak.events", "replication factor is 1, needed 3"):
                self.assertIn(word, "".join(app.log))

    def test_3_an_incompatible_schema_of_the_registry_is_refused_with_the_difference(self):
        schema = {"type": "record", "name": "ConversationEvent", "namespace": "io.trunkline.genesys.conversation.v1",
                  "fields": [{"name": "event_id", "type": "int"}]}
        create_body = json.dumps({"schema": json.dumps(schema)}).encode()
        base, kind = self.cluster.registry, {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap})
        admin.create_topics([NewTopic("other.events", 3, 3)], request_timeout=30)["other.events"].result()
        for path, body, method in (("/subjects/other.events-value/versions", create_body, "POST"),
                                   ("/config/other.events-value", b'{"compatibility": "FULL_TRANSITIVE"}', "PUT")):
            urllib.request.urlopen(urllib.request.Request(base + path, data=body, headers=kind, method=method), timeout=10)
        with Sim("--rate", "10") as sim, Trunkline(settings(self.cluster, sim, kafka__events_topic="other.events")) as app:
            self.assertEqual(app.child.wait(60), 65)
            app.reader.join(5)
            self.assertIn("event_id", "".join(app.log))

    def test_4_a_port_where_nobody_listens_ends_with_69(self):
        nobody = f"127.0.0.1:{free_ports(1)[0]}"
        changes = {"kafka__bootstrap_servers": nobody, "kafka__start_timeout_secs": 3}
        with Sim("--rate", "10") as sim, Trunkline(settings(self.cluster, sim, **changes)) as app:
            self.assertEqual(app.child.wait(60), 69)
            app.reader.join(5)
            self.assertIn(nobody, "".join(app.log))


if __name__ == "__main__":
    unittest.main()
