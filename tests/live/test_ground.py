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

    def read(self, topic: str) -> list[dict]:
        """The newest value of every key, decoded; without keys, all of them."""
        found = records(self.cluster.bootstrap, topic)[0]
        known = {n: fastavro.parse_schema(json.loads(text)) for n, text in schemas(self.cluster.registry, values(found)).items()}
        decode = lambda value: fastavro.schemaless_reader(io.BytesIO(value[5:]), known[int.from_bytes(value[1:5], "big")])
        return list({raw["key"]: decode(value) for raw, value in zip(found, values(found))}.values())

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
            grounds = [fact for fact in map(json.loads, values(records(self.cluster.bootstrap, STATE)[0])) if fact["kind"] == "ground"]
            self.assertEqual([note["ground"]["partitions"]["events"] for note in grounds], [4, 9])
            self.assertLess(abs(grounds[1]["at"] / 1000 - raised), 15)
            certificates = self.read(CERTIFICATES)
            beyond = [c for c in certificates if any(tally["partition"] >= 4 for tally in c["partitions"])]
            self.assertTrue(beyond and len(beyond) < len(certificates))
            report = self.judge(sim)
            say(f"{len(certificates)} certificates, {len(beyond)} of them with new partitions; {dict(report.figures)}")
            self.assertEqual(report.contradictions, [])


if __name__ == "__main__":
    unittest.main()
