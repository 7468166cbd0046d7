"""The testbed's own promises: it stops what it started and nothing else, says why a part does not come, and checks what it fetched."""

import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from testbed import connect, fetch  # noqa: E402
from testbed.group import Group, started_at  # noqa: E402


class Parts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.group = Group(self.folder)
        self.addCleanup(self.group.end_all)

    def test_a_part_is_stopped_by_whoever_comes_later(self):
        self.group.spawn("one", ["sleep", "60"], "here")
        pid = self.group.parts()["one"]["pid"]
        later = Group(self.folder)
        self.assertTrue(later.runs("one"))
        self.group.children["one"].poll()
        later.end("one")
        self.assertEqual((started_at(pid), later.parts()), (None, {}))

    def test_a_process_that_has_the_pid_of_a_part_is_left_alone(self):
        stranger = subprocess.Popen(["sleep", "60"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        (self.folder / "old.part.json").write_text(json.dumps({"pid": stranger.pid, "started": 1, "address": ""}))
        self.assertFalse(self.group.runs("old"))
        self.group.end_all()
        self.assertIsNone(stranger.poll())

    def test_a_part_that_ends_says_why(self):
        self.group.spawn("bad", ["sh", "-c", "echo no memory; exit 1"])
        with self.assertRaisesRegex(RuntimeError, "bad has ended:\nno memory"):
            self.group.await_part("bad", lambda: False, 10)

    def test_a_part_that_does_not_answer_is_named_with_its_log(self):
        self.group.spawn("slow", ["sleep", "60"])
        with self.assertRaisesRegex(TimeoutError, "slow does not answer after 0 s, see .*slow.log"):
            self.group.await_part("slow", lambda: False, 0.3)

    def test_a_killed_part_is_gone_before_the_call_returns(self):
        self.group.spawn("one", ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
        pid = self.group.parts()["one"]["pid"]
        self.group.send("one", signal.SIGTERM, seconds=0.5)
        self.assertIsNone(started_at(pid))

    def test_a_file_that_is_another_is_refused_by_name(self):
        good = next(iter(fetch.known()))
        for name, said in ((good, f"SHA-256 is .*, digests.sha256 has {fetch.known()[good]}"), ("strange.jar", "has no such name")):
            (self.folder / name).write_text("something else")
            with self.subTest(name), self.assertRaisesRegex(RuntimeError, said):
                fetch.check([self.folder / name])

    def test_the_worker_is_told_what_is_shipped_but_for_where_it_runs(self):
        connect.Worker(self.group, "b:1", 1, self.folder, {})
        told = dict(line.split("=", 1) for line in (self.folder / "worker.properties").read_text().splitlines())
        changed = {key for key in told if connect.shipped().get(key) != told[key]}
        self.assertEqual(set(connect.shipped()) - set(told), set())
        self.assertEqual({key for key in changed if not key.endswith(".replication.factor")},
                         {"bootstrap.servers", "plugin.path", "plugin.discovery", "listeners", "offset.storage.partitions", "status.storage.partitions",
                          "offset.flush.interval.ms"})

    def test_wrong_words_are_answered_with_the_usage(self):
        for words in ([], ["up", "nowhere"], ["fly"], ["up", "s3", "connect"]):
            run = subprocess.run([sys.executable, "-m", "testbed", *words], cwd=ROOT / "scripts", capture_output=True, text=True)
            self.assertEqual(run.returncode, 64)
            self.assertIn("usage: testbed.sh up|down|status [broker|cluster|registry|s3|connect|all]", run.stderr)

    def test_connect_without_a_broker_says_what_it_needs(self):
        with mock.patch("testbed.__main__.RUN", self.folder), mock.patch("sys.stderr") as error:
            from testbed.__main__ import main

            self.assertEqual(main(["up", "connect"]), 1)
            self.assertIn("connect needs a broker", "".join(call.args[0] for call in error.write.call_args_list))


if __name__ == "__main__":
    unittest.main()
