"""What an organisation sends is taken home and played: the events that come out are the same."""

import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import BINARY, ROOT, Sim, Stand, Trunkline, config, get, total, wait_for
from test_doctor import make_channel
from test_privacy import MARK, is_unreadable, recording

sys.path.insert(0, str(ROOT / "scripts"))
from verifier.bodies import canonical, identity  # noqa: E402


def settings(sim: Sim, **changes) -> dict:
    """A configuration without brokers and registry."""
    client = {"id": "sim-client", "secret": "sim-secret"}
    genesys = {"login_url": sim.url, "api_url": sim.url, "clients": [client]}
    return {"genesys": {**genesys, **changes.pop("genesys", {})}, "privacy": {"preset": "none"}, **changes}


MASKED = {"path": "$.participants.ssn[*].digits", "action": "mask"}


def delivered(sim: Sim) -> dict[str, str]:
    """What was put on a socket, by topic and canonical body."""
    return {e["topic"] + canonical(e["body"]).decode(): e["topic"] + e["body"] for e in sim.ledger() if e["delivered"]}


class Capture(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.file = self.folder / "captured.jsonl"

    def start(self, tree: dict, *flags, **kwargs) -> subprocess.Popen:
        path = self.folder / "trunkline.yaml"
        path.write_text(json.dumps(tree))
        command = [BINARY, "capture", "--config", path, "--to", self.file, "--output", "json", *flags]
        kwargs = {"stderr": subprocess.PIPE, **kwargs}
        child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True, **kwargs)
        self.addCleanup(self.end, child)
        return child

    @staticmethod
    def end(child: subprocess.Popen):
        child.kill()
        child.wait()
        for pipe in filter(None, (child.stdout, child.stderr)):
            pipe.close()

    def said(self, child: subprocess.Popen, seconds=40) -> tuple[int, dict, str]:
        out, complaint = child.communicate(timeout=seconds)
        return child.returncode, json.loads(out) if out else {}, complaint

    def lines(self) -> list[dict]:
        text = self.file.read_text()
        self.assertTrue(text.endswith("\n"), "whole lines only")
        return [json.loads(line) for line in text.splitlines()]

    def raw(self) -> list[tuple[str, str]]:
        """Topic and body of every line, the body as it stands there."""
        raws = (raw.split('"eventBody":', 1)[1][:-1] for raw in self.file.read_text().splitlines())
        return [(line["topicName"], raw) for line, raw in zip(self.lines(), raws)]

    def bodies(self) -> set[str]:
        return {topic + canonical(raw).decode() for topic, raw in self.raw()}

    def played(self, count: int) -> list[dict]:
        """Records that come of the file."""
        with Stand() as stand, Sim("--replay", self.file, "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url)).wait_ready() as app:
                self.assertTrue(wait_for(lambda: total(app, "trunkline_events_published_total") >= count, 30), app.metrics())
                self.assertEqual(app.stop()[0], 0)
            return [raw["record"] for raw in stand.records()]

    def test_what_is_captured_comes_out_as_the_same_events(self):
        with Sim("--rate", "150", "--wait-for-channels", "1") as sim:
            code, said, complaint = self.said(self.start(settings(sim), "--minutes", "0.1"))
            self.assertEqual(code, 0, complaint)
            sent = delivered(sim)
            self.assertEqual(sim.counters()["channels_created"], 1, "one channel of its own")
        lines = self.lines()
        self.assertEqual((said["frames"], said["left_out"], said["disconnects"]), (len(lines), {}, {}))
        self.assertEqual(said["topics"], len({line["topicName"] for line in lines}))
        self.assertGreater(len(lines), 500)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        bodies = self.bodies()
        self.assertEqual(bodies - sent.keys(), set())
        # what was sent while the socket closed may not have been read
        self.assertLess(len(sent.keys() - bodies), 50)
        # a body is there byte for byte, unless it has lines of its own
        verbatim = {topic + raw for topic, raw in self.raw()}
        self.assertEqual({body for name, body in sent.items() if name in bodies and "\n" not in body} - verbatim, set())
        records = self.played(len(lines))
        self.assertEqual({r["topic"] + r["payload"] for r in records}, verbatim)
        for record in records[:50]:
            name = identity(record["org_id"], record["topic"], canonical(record["payload"]))
            self.assertEqual(record["event_id"], name)

    def test_under_a_policy_nothing_withheld_is_in_the_file_or_comes_of_it(self):
        count = 1_500
        path = self.folder / "recording.jsonl"
        path.write_text(recording(count))
        tree = {"privacy": {"preset": "strict", "rules": [MASKED]}}
        with Sim("--replay", path, "--rewrite-ids", "--wait-for-channels", "1") as sim:
            code, said, complaint = self.said(self.start(settings(sim, **tree), "--minutes", "0.1"))
        unreadable = sum(is_unreadable(n) for n in range(count))
        self.assertEqual((code, said["frames"], said["left_out"]), (0, count - unreadable, {"bad_body": unreadable}), complaint)
        self.assertEqual(said["privacy"], "strict")
        self.assertEqual((self.file.read_text() + json.dumps(said) + complaint).count(MARK), 0)
        records = self.played(count - unreadable)
        self.assertEqual({r["conversation_id"] for r in records}, {f"c-{n}" for n in range(count) if not is_unreadable(n)})
        self.assertEqual(json.dumps(records, default=str).count(MARK), 0)

    def test_a_disconnect_is_survived_and_a_signal_ends_it_with_everything_on_the_disk(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(how=how), Sim("--rate", "200") as sim:
                child = self.start(settings(sim), "--minutes", "60")
                self.assertTrue(wait_for(lambda: self.file.exists() and self.file.stat().st_size > 100_000, 20))
                time.sleep(1)
                began = time.time()
                sim.fault("reset", whom="all")
                self.assertTrue(wait_for(lambda: sim.counters()["dials"] >= 2, 20), sim.counters())
                size = self.file.stat().st_size
                self.assertTrue(wait_for(lambda: self.file.stat().st_size > size + 100_000, 20), "it hears again")
                child.send_signal(how)
                stopped = time.time()
                code, said, complaint = self.said(child, 10)
                self.assertLess(time.time() - stopped, 3)
                self.assertEqual((code, said["disconnects"]), (0, {"reset": 1}), complaint)
                (deaf,) = said["deaf"]
                # the platform's time is known to a second
                self.assertLess(deaf["from_ms"] / 1000, began + 1)
                self.assertTrue(began - 1 < deaf["to_ms"] / 1000 < stopped, (deaf, began))
                self.assertLess(said["deaf_ms"], 15_000)
                self.assertEqual(said["frames"], len(self.lines()))
                sent = delivered(sim)
                self.assertEqual(self.bodies() - sent.keys(), set())
                # what was on its way when a socket was cut
                self.assertLess(len(sent.keys() - self.bodies()), 150)
                self.file.unlink()

    def test_a_kill_leaves_whole_lines(self):
        with Sim("--rate", "500") as sim:
            child = self.start(settings(sim), "--minutes", "60")
            self.assertTrue(wait_for(lambda: self.file.exists() and self.file.stat().st_size > 1_000_000, 20))
            child.kill()
            child.wait()
        self.assertGreater(len(self.lines()), 100)

    def test_only_the_named_topics_are_listened_to(self):
        with Sim("--rate", "300") as sim:
            org = json.loads(get(f"{sim.url}/sim/org"))
            queue = f"v2.routing.queues.{org['queues'][0]}.conversations"
            code, said, complaint = self.said(self.start(settings(sim), "--minutes", "0.06", "--topic", queue))
            self.assertEqual((code, said["topics_wanted"], said["topics"]), (0, 1, 1), complaint)
        self.assertEqual({line["topicName"] for line in self.lines()}, {queue})

    def test_how_far_it_is_is_shown_on_a_terminal_only(self):
        with Sim("--rate", "100") as sim:
            ours, theirs = pty.openpty()
            shown = []
            reader = threading.Thread(target=self.read, args=(ours, shown), daemon=True)
            reader.start()
            path = self.folder / "trunkline.yaml"
            path.write_text(json.dumps(settings(sim)))
            command = [BINARY, "capture", "--config", path, "--to", self.file, "--minutes", "0.05"]
            run = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=30)
            os.close(theirs)
            reader.join(5)
            self.assertEqual(run.returncode, 0)
            self.assertRegex("".join(shown), r"\d/3 s  hears  \d+ frames  \d+ topics  0 disconnects")
            self.assertRegex(run.stdout, r"^\d+ frames of \d+ topics in 3 s")
            self.assertLessEqual(max(map(len, run.stdout.replace(str(self.file), "F").splitlines())), 80)
            self.file.unlink()
            quiet = subprocess.run(command, capture_output=True, text=True, timeout=30)
            self.assertEqual((quiet.returncode, quiet.stderr), (0, ""))

    @staticmethod
    def read(terminal: int, shown: list):
        while True:
            try:
                shown.append(os.read(terminal, 4096).decode(errors="replace"))
            except OSError:
                return

    def test_what_is_wrong_is_named_and_no_file_is_left(self):
        with Sim("--rate", "10") as sim:
            self.refused(64, "--minutes is 0; allowed: above 0", settings(sim), "--minutes", "0")
            self.refused(64, '--topic is "v3.x"; allowed', settings(sim), "--minutes", "1", "--topic", "v3.x")
            self.refused(65, "privacy.preset: is required", {**settings(sim), "privacy": {}}, "--minutes", "1")
            wrong = {"clients": [{"id": "sim-client", "secret": "wrong"}]}
            self.refused(77, "genesys.clients[0] is refused", settings(sim, genesys=wrong), "--minutes", "1")
            none = {"queues": "none", "users": "none"}
            self.refused(65, "nothing would be subscribed", settings(sim, subscriptions=none), "--minutes", "1")
            for _ in range(20):
                make_channel(sim)
            self.refused(69, "has 20 of 20 channels and 1 more", settings(sim), "--minutes", "1")
            self.file.write_text("mine")
            self.refused(64, "is there already", settings(sim), "--minutes", "1", left="mine")

    def refused(self, wanted: int, text: str, tree: dict, *flags, left=None):
        code, said, complaint = self.said(self.start(tree, *flags))
        self.assertEqual((code, said), (wanted, {}), complaint)
        self.assertIn(text, complaint)
        self.assertNotIn("sim-secret", complaint)
        self.assertEqual(self.file.read_text() if self.file.exists() else None, left)

    def test_where_nothing_is_sent_there_is_no_file_and_exit_code_1(self):
        with Sim("--wait-for-channels", "9") as sim:
            code, said, complaint = self.said(self.start(settings(sim), "--minutes", "0.03"))
            self.assertEqual((code, said["frames"], self.file.exists()), (1, 0, False), complaint)


if __name__ == "__main__":
    unittest.main()
