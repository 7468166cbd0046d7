"""Everything but Kafka: what would be written is said, and nothing is."""

import json
import pathlib
import subprocess
import tempfile
import unittest
import urllib.request

from harness import BINARY, CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Stand, config
from test_capture import MASKED
from test_doctor import make_channel, register, settings
from test_privacy import MARK, is_unreadable, recording


class DryRun(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_dry(self, tree: dict, output="json", seconds=4) -> tuple[int, str, str]:
        path = self.folder / "trunkline.yaml"
        path.write_text(json.dumps({**tree, "spool": {"dir": str(self.folder / "spool")}}))
        command = [BINARY, "run", "--dry-run", "--seconds", seconds, "--config", path, "--output", output]
        run = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
        self.assertNotIn("sim-secret", run.stdout + run.stderr)
        return run.returncode, run.stdout, run.stderr

    def nothing_is_written(self, stand: Stand):
        for topic in (EVENTS, QUARANTINE, GAPS, CERTIFICATES, STATE):
            self.assertEqual(stand.obey(f"read {topic}"), [], topic)
        self.assertEqual(json.loads(urllib.request.urlopen(f"{stand.registry}/subjects", timeout=5).read()), [])
        self.assertFalse((self.folder / "spool").exists())

    def test_what_would_be_written_is_said_and_nothing_is(self):
        with Stand() as stand, Sim("--rate", "200", "--wait-for-channels", "2") as sim:
            code, out, log = self.run_dry(config(stand, sim.url))
            said = json.loads(out)
            self.assertEqual((code, said["ok"], said["problems"], said["quarantined"]), (0, True, [], {}), out + log)
            heard = [e for e in sim.ledger() if e["delivered"]]
            records = sum(one["count"] for one in said["records"].values())
            self.assertEqual(set(said["records"]), {"v2.routing.queues.{id}.conversations", "v2.users.{id}.conversations"})
            # what was sent while the sockets closed may not have been read
            self.assertTrue(len(heard) - 50 <= records <= len(heard), (records, len(heard)))
            self.assertGreater(said["copies"], records * 0.8, "the second channel heard the same")
            self.assertGreater(min(one["bytes"] for one in said["records"].values()), 50_000)
            self.assertAlmostEqual(said["records_per_s"], records / said["seconds"], delta=1)
            self.assertEqual({f["verdict"] for f in said["schemas"]}, {"ok"})
            self.assertEqual((said["disconnects"], said["deaf"], sim.counters()["channels_created"]), ({}, [], 2))
            self.nothing_is_written(stand)
            code, out, _ = self.run_dry(config(stand, sim.url), output="text")
            self.assertEqual(code, 0)
            self.assertRegex(out, r"(?m)^ +\d+ +\d+\.\d +\d+ kB  v2.users.\{id\}.conversations$")
            self.assertTrue(out.endswith("nothing is in the way\n"), out)

    def test_neither_broker_nor_registry_is_needed(self):
        with Stand() as stand, Sim("--rate", "100") as sim:
            away = {"kafka__bootstrap_servers": "127.0.0.1:1", "schema_registry__url": "http://127.0.0.1:1"}
            code, out, _ = self.run_dry(config(stand, sim.url, **away))
            said = json.loads(out)
            self.assertEqual((code, said["ok"]), (0, True))
            (finding,) = said["schemas"]
            self.assertIn("127.0.0.1:1", finding["found"])

    def test_what_would_be_quarantined_is_counted_by_reason_and_fails(self):
        count = 1_000
        path = self.folder / "recording.jsonl"
        path.write_text(recording(count))
        privacy = {"preset": "strict", "rules": [MASKED]}
        with Stand() as stand, Sim("--replay", path, "--rewrite-ids", "--wait-for-channels", "2") as sim:
            code, out, log = self.run_dry(config(stand, sim.url, privacy=privacy, kafka__max_record_bytes=10_000))
            said = json.loads(out)
            self.nothing_is_written(stand)
        bad = sum(is_unreadable(n) for n in range(count))
        self.assertEqual((code, said["ok"]), (1, False), log)
        self.assertEqual({why: one["count"] for why, one in said["quarantined"].items()}, {"bad_body": bad})
        self.assertIn("field", said["quarantined"]["bad_body"]["detail"])
        self.assertEqual(said["problems"], [f"{bad} messages would be quarantined"])
        self.assertEqual(sum(one["count"] for one in said["records"].values()), count - bad)
        self.assertEqual((out + log).count(MARK), 0)
        with Stand() as stand, Sim("--replay", path, "--rewrite-ids", "--wait-for-channels", "2") as sim:
            _, out, _ = self.run_dry(config(stand, sim.url, kafka__max_record_bytes=10_000))
            refused = json.loads(out)["quarantined"]
        self.assertEqual({why: one["count"] for why, one in refused.items()}, {"bad_body": bad, "too_large": 2})

    def test_a_missing_permission_and_a_schema_that_does_not_fit_fail(self):
        missing = settings(str(self.folder), '{"missing_permissions": ["conversation:communication:view"]}')
        with Stand() as stand, Sim("--rate", "100", *missing) as sim:
            register(stand, f"{EVENTS}-value", {"type": "record", "name": "Other", "fields": [{"name": "x", "type": "int"}]})
            code, out, _ = self.run_dry(config(stand, sim.url))
            said = json.loads(out)
            self.assertEqual(code, 1, out)
            self.assertEqual(said["problems"], ["1 schemas do not fit", "40 topics are refused"])
            self.assertEqual({t["missing_permissions"][0] for t in said["topics_refused"]}, {"conversation:communication:view"})
            _, out, _ = self.run_dry(config(stand, sim.url), output="text")
            self.assertIn("missing: conversation:communication:view", out)
            self.assertIn("in the way: 1 schemas do not fit, 40 topics are refused", out)

    def test_what_run_would_refuse_is_refused_under_the_same_codes(self):
        with Stand() as stand, Sim("--rate", "100") as sim:
            wrong = config(stand, sim.url, genesys__clients=[{"id": "sim-client", "secret": "WRONG"}])
            self.assertEqual(self.run_dry(wrong)[0], 77)
            self.assertEqual(self.run_dry(config(stand, sim.url, privacy={}))[0], 65)
            self.assertEqual(self.run_dry(config(stand, sim.url), seconds=0)[0], 64)
            for _ in range(19):
                make_channel(sim)
            code, _, complaint = self.run_dry(config(stand, sim.url))
            self.assertEqual(code, 69)
            self.assertIn("has 19 of 20 channels and 2 more are needed", complaint)


if __name__ == "__main__":
    unittest.main()
