"""A real Apache Kafka whose topics change under a running connector."""

import base64
import io
import json
import os
import pathlib
import sys
import tempfile
import time
import unittest

import fastavro
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from cluster import Cluster, say
from readback import records, schemas

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "journey"), str(HERE.parents[1] / "scripts")]
from harness import CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Trunkline, config, get, wait_for  # noqa: E402
from verifier.dump import Dump  # noqa: E402
from verify_certificates import verify  # noqa: E402

TOPICS = (EVENTS, QUARANTINE, GAPS, CERTIFICATES, STATE)
CLEANUP = {GAPS: "compact,delete", CERTIFICATES: "compact", STATE: "compact"}
# hours of the protocol take some seconds
SCALE = 300


def values(found: list[dict]) -> list[bytes]:
    return [base64.b64decode(raw["value_b64"]) for raw in found]


class Ground(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(1))
        cls.admin = AdminClient({"bootstrap.servers": cls.cluster.bootstrap})
        wait_for(lambda: len(cls.admin.list_topics(timeout=10).brokers) == 1, 60)

    def setUp(self):
        self.create(*TOPICS)
        self.addCleanup(self.delete, *TOPICS)

    def create(self, *names: str):
        count = {EVENTS: 4, STATE: 4}
        topics = [NewTopic(name, count.get(name, 1), 1, config={"cleanup.policy": CLEANUP.get(name, "delete")}) for name in names]
        for future in self.admin.create_topics(topics, request_timeout=30).values():
            future.result()
        self.assertTrue(wait_for(lambda: set(names) <= set(self.admin.list_topics(timeout=10).topics), 30))

    def delete(self, *names: str):
        there = [name for name in names if name in self.admin.list_topics(timeout=10).topics]
        for future in self.admin.delete_topics(there, request_timeout=30).values():
            future.result()
        self.assertTrue(wait_for(lambda: not set(names) & set(self.admin.list_topics(timeout=10).topics), 30))

    def run_app(self, sim: Sim, **changes) -> Trunkline:
        changes = {"kafka__start_timeout_secs": 20, "reconcile__schedule": "never", **changes}
        app = Trunkline(config(self.cluster, sim.url, **changes), env={**os.environ, "TRUNKLINE_TEST_SCALE": str(SCALE)})
        self.addCleanup(app.__exit__)
        return app.wait_ready(60)

    def said(self, app: Trunkline, code: str) -> list[dict]:
        return [line for line in map(json.loads, list(app.log)) if line.get("code") == code]

    def until_said(self, app: Trunkline, code: str, seconds=60) -> dict:
        began = time.monotonic()
        self.assertTrue(wait_for(lambda: self.said(app, code), seconds, 0.5), "".join(app.log[-10:]))
        say(f"{code} after {time.monotonic() - began:.1f} s")
        return self.said(app, code)[0]

    def status(self, app: Trunkline) -> dict:
        return json.loads(get(app.admin + "/api/v1/status"))

    def raw(self, topic: str) -> list[dict]:
        def found():
            try:
                return records(self.cluster.bootstrap, topic)
            except (KafkaException, KeyError):  # it was created a moment ago
                return None

        return wait_for(found, 20, 0.5)[0]

    def read(self, topic: str) -> list[dict]:
        """The newest value of every key, decoded."""
        return list(dict(self.decoded(topic)).values())

    def every(self, topic: str) -> list[dict]:
        return [record for _, record in self.decoded(topic)]

    def decoded(self, topic: str) -> list[tuple]:
        found = self.raw(topic)
        known = {n: fastavro.parse_schema(json.loads(text)) for n, text in schemas(self.cluster.registry, values(found)).items()}
        decode = lambda value: fastavro.schemaless_reader(io.BytesIO(value[5:]), known[int.from_bytes(value[1:5], "big")])
        return [(raw["key"], decode(value)) for raw, value in zip(found, values(found))]

    def judge(self, sim: Sim):
        """What the independent verifier says of the topics, the simulator's ledger aside."""
        org = json.loads(get(sim.url + "/sim/org"))
        with tempfile.TemporaryDirectory() as folder:
            folder, ids = pathlib.Path(folder), {}
            with (folder / "topics.jsonl").open("w") as out:
                for topic in TOPICS:
                    found = records(self.cluster.bootstrap, topic)[0]
                    out.writelines(json.dumps(raw) + "\n" for raw in found)
                    if topic not in (STATE, QUARANTINE):
                        ids |= schemas(self.cluster.registry, values(found))
            (folder / "schemas.json").write_text(json.dumps(ids))
            meta = {"org_id": org["id"], "events_topic": EVENTS, "quarantine_topic": QUARANTINE, "origin_ms": org["origin_ms"],
                    "read_spacing_ms": 3_600_000 // SCALE}
            (folder / "meta.json").write_text(json.dumps(meta))
            return verify(Dump(folder))

    def test_1_more_partitions_are_said_and_recorded_and_certificates_of_both_sides_verify(self):
        with Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            app = self.run_app(sim)
            self.assertTrue(wait_for(lambda: len(self.said(app, "certified")) > 4, 90, 1))
            before = self.status(app)["kafka"]
            self.assertEqual(before["partitions"]["events"], 4)
            for future in self.admin.create_partitions([NewPartitions(EVENTS, 9)], request_timeout=30).values():
                future.result()
            raised = time.time()
            told = self.until_said(app, "partitions_changed")
            self.assertEqual((told["topic"], told["from"], told["to"]), (EVENTS, 4, 9))
            self.assertEqual(app.metrics()['trunkline_ground_changes_total{change="partitions"}'], 1)
            self.assertEqual(self.status(app)["kafka"], {**before, "partitions": {**before["partitions"], "events": 9}})
            used = lambda: {raw["partition"] for raw in records(self.cluster.bootstrap, EVENTS)[0]}
            self.assertTrue(wait_for(lambda: used() & {4, 5, 6, 7, 8}, 60, 2), "keys go elsewhere from here on")
            time.sleep(45)
            self.assertEqual(app.stop(seconds=30)[0], 0)
            again = self.run_app(sim)
            time.sleep(8)
            self.assertEqual(self.said(again, "partitions_changed"), [], "the state topic says it already")
            self.assertEqual(again.stop(seconds=30)[0], 0)
            grounds = [fact for fact in map(json.loads, values(self.raw(STATE))) if fact["kind"] == "ground"]
            self.assertEqual([note["ground"]["partitions"]["events"] for note in grounds], [4, 9])
            self.assertLess(abs(grounds[1]["at"] / 1000 - raised), 15)
            certificates = self.read(CERTIFICATES)
            beyond = [c for c in certificates if any(tally["partition"] >= 4 for tally in c["partitions"])]
            self.assertTrue(beyond and len(beyond) < len(certificates))
            report = self.judge(sim)
            say(f"{len(certificates)} certificates, {len(beyond)} of them with new partitions; {dict(report.figures)}")
            self.assertEqual(report.contradictions, [])

    def keys(self, topic: str) -> set[str]:
        return {raw["key"] for raw in self.raw(topic)}

    def facts(self) -> list[dict]:
        return [fact for fact in map(json.loads, values(self.raw(STATE))) if "writer" in fact]

    def with_a_gap(self, sim: Sim, **changes) -> Trunkline:
        """A process that follows one which ended five seconds before: what lies between is a gap."""
        self.assertEqual(self.run_app(sim, **changes).stop(seconds=30)[0], 0)
        time.sleep(5)
        app = self.run_app(sim, **changes)
        there = lambda: self.keys(GAPS) and len(self.keys(CERTIFICATES)) > 2
        self.assertTrue(wait_for(there, 90, 2), "a gap and certificates")
        return app

    def all_again(self, app: Trunkline, sim: Sim, before: tuple, began: float):
        gaps, certificates, facts = before
        there = lambda: gaps <= self.keys(GAPS) and certificates <= self.keys(CERTIFICATES)
        self.assertTrue(wait_for(there, 60, 1), [gaps - self.keys(GAPS), certificates - self.keys(CERTIFICATES)])
        # a claim only grows: of each epoch a wider one may have taken its place
        claims = lambda known: {fact["epoch"]: fact["interval"]["to"] for fact in known if fact["kind"] == "claim"}
        others = lambda known: {json.dumps(fact, sort_keys=True) for fact in known if fact["kind"] in ("epoch", "end", "doubt", "set", "replica")}
        def proven():
            now = self.facts()
            grown = claims(now)
            return others(facts) <= others(now) and all(to <= grown.get(epoch, 0) for epoch, to in claims(facts).items())
        self.assertTrue(wait_for(proven, 60, 1), "every fact is there again")
        say(f"{len(gaps)} gaps, {len(certificates)} certificates, {len(facts)} facts are there again {time.monotonic() - began:.1f} s later")
        self.assertTrue(wait_for(lambda: not any(key.startswith("trunkline_topic_missing") and value for key, value in app.metrics().items()), 20))
        self.assertTrue(wait_for(lambda: self.status(app)["checks"]["topics"]["ok"], 20))
        time.sleep(20)
        self.assertEqual(app.stop(seconds=30)[0], 0)
        report = self.judge(sim)
        say(str(dict(report.figures)))
        self.assertEqual(report.contradictions, [])
        # the next process knows what the one before it knew
        covered = self.status(again := self.run_app(sim))["coverage"]["0"]
        self.assertTrue(covered["gaps"] is not None and self.said(again, "foreign_state") == [])
        self.assertEqual(again.stop(seconds=30)[0], 0)

    def before(self) -> tuple:
        return self.keys(GAPS), self.keys(CERTIFICATES), self.facts()

    def test_2_deleted_topics_of_proof_are_created_and_filled_again(self):
        with Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            app = self.with_a_gap(sim, kafka__create_topics=True)
            before, began = self.before(), time.monotonic()
            for future in self.admin.delete_topics([GAPS, CERTIFICATES, STATE], request_timeout=30).values():
                future.result()
            for code in ("topic_gone", "topic_created", "topic_filled"):
                self.until_said(app, code)
            self.all_again(app, sim, before, began)

    def test_3_without_leave_to_create_them_records_wait_until_somebody_does(self):
        with Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            app = self.with_a_gap(sim)
            before = self.before()
            self.delete(GAPS, CERTIFICATES, STATE)
            self.assertEqual(self.until_said(app, "topic_gone")["topic"] in TOPICS, True)
            missing = lambda: sum(value for key, value in app.metrics().items() if key.startswith("trunkline_topic_missing"))
            self.assertTrue(wait_for(lambda: missing() == 3, 20))
            check = self.status(app)["checks"]["topics"]
            self.assertFalse(check["ok"])
            self.assertIn(STATE, check["detail"])
            open_gaps = lambda: {gap["gap"] for gap in self.status(app)["coverage"]["0"]["gaps"]}
            old = open_gaps()
            # no channel is left: another gap, while there is no topic for it
            sim.fault("http_status", for_ms=8000, args={"status": 503})
            sim.fault("reset")
            sim.fault("reset")
            self.assertTrue(wait_for(lambda: open_gaps() - old, 40, 1), "a gap")
            time.sleep(20)
            self.assertEqual(self.said(app, "topic_created"), [])
            known = open_gaps()
            self.create(GAPS, CERTIFICATES, STATE)
            began = time.monotonic()
            self.assertTrue(wait_for(lambda: known <= {gap["gap_id"] for gap in self.read(GAPS)}, 60, 1), known)
            self.all_again(app, sim, before, began)

    def test_4_a_deleted_topic_of_events_is_created_again_and_what_came_meanwhile_waits_for_it(self):
        with Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            app = self.run_app(sim, kafka__create_topics=True)
            time.sleep(10)
            for future in self.admin.delete_topics([EVENTS], request_timeout=30).values():
                future.result()
            gone = sim.ledger()[-1]["seq"]
            self.until_said(app, "topic_created")
            self.assertTrue(wait_for(lambda: EVENTS in self.admin.list_topics(timeout=10).topics, 30))
            began = time.monotonic()
            self.assertTrue(wait_for(lambda: app.metrics()["trunkline_events_in_flight"] < 50, 90, 1), app.metrics()["trunkline_events_in_flight"])
            say(f"what had waited is written {time.monotonic() - began:.1f} s after the topic is there")
            time.sleep(5)
            self.assertEqual(app.stop(seconds=60)[0], 0)
            ledger = [entry for entry in sim.ledger() if entry["delivered"]]
            bodies = {record["payload"] for record in self.every(EVENTS)}
            wanted = [entry for entry in ledger if entry["seq"] > gone][:-100]
            self.assertGreater(len(wanted), 200)
            missing = [entry["seq"] for entry in wanted if entry["body"] not in bodies]
            say(f"{len(wanted)} events since the topic was deleted, {len(missing)} of them missing")
            self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
