"""The configuration changes while the service runs."""

import json
import pathlib
import signal
import tempfile
import unittest

from harness import Sim, Stand, Trunkline, ask, config, get, total, wait_for

QUEUE = "v2.routing.queues.{}.conversations"


class Reload(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.secret = self.folder / "secret"
        self.secret.write_text("sim-secret\n")
        self.stand = self.enterContext(Stand())
        self.sim = self.enterContext(Sim("--rate", "40", "--queues", "3", "--users", "0"))
        clients = [{"id": "sim-client", "secret_file": str(self.secret)}]
        self.tree = config(self.stand, self.sim.url, genesys__clients=clients, subscriptions__users="none")

    def begin(self, **changes):
        self.change(**changes)
        self.app = self.enterContext(Trunkline(self.tree)).wait_ready()
        self.path = pathlib.Path(self.app.folder.name) / "trunkline.yaml"
        self.tree["spool"] = json.loads(self.path.read_text())["spool"]

    def change(self, **changes):
        for path, value in changes.items():
            at = self.tree
            *sections, last = path.split("__")
            for section in sections:
                at = at.setdefault(section, {})
            at[last] = value

    def write(self, **changes):
        self.change(**changes)
        self.path.write_text(json.dumps(self.tree))

    def status(self) -> dict:
        return json.loads(get(self.app.admin + "/api/v1/status"))

    def becomes(self, what, expected, seconds=15):
        self.assertTrue(wait_for(lambda: what() == expected, seconds), f"{what()} instead of {expected}: {''.join(self.app.log[-5:])}")

    def test_a_secret_that_was_made_anew_is_taken_up_from_its_file(self):
        self.begin()
        self.sim.fault("revoke", args={"secret": "made-anew"})
        self.assertTrue(wait_for(lambda: "client_refused" in self.app.codes(), 30), self.app.log)
        self.secret.write_text("made-anew\n")
        self.assertTrue(wait_for(lambda: "config_taken_up" in self.app.codes(), 15), self.app.log)
        self.app.wait_ready(60)
        before = total(self.app, "trunkline_events_published_total")
        self.assertTrue(wait_for(lambda: total(self.app, "trunkline_events_published_total") > before + 40, 30), self.app.log)
        log = "".join(self.app.log)
        self.assertIn('"fields":"genesys.clients[0].secret"', log)
        self.assertNotIn("made-anew", log)

    def test_topics_that_are_added_and_left_out_are_followed_on_the_sockets_that_are_open(self):
        _, lines, _ = ask(self.tree, "subscriptions")
        queues = sorted({topic.split(".")[3] for line in lines for shard in line["shards"] for topic in shard})
        self.assertEqual(len(queues), 3, lines)
        self.begin(subscriptions__queues=queues[:1])
        wanted = lambda: self.status()["topics_wanted"]
        self.becomes(wanted, 1)
        self.write(subscriptions__queues=queues)
        self.becomes(wanted, 3)
        self.write(subscriptions__queues=queues[1:])
        self.app.child.send_signal(signal.SIGHUP)
        self.becomes(wanted, 2, 3)
        heard = lambda: {raw["record"]["topic"] for raw in self.stand.records()}
        self.assertTrue(wait_for(lambda: QUEUE.format(queues[2]) in heard(), 30, 1), heard())
        self.assertEqual(total(self.app, "trunkline_ws_connects_total"), 2, "no socket was opened for it")

    def test_a_wrong_configuration_changes_nothing_and_what_waits_for_a_restart_is_named(self):
        self.begin()
        stale = lambda why: self.app.metrics()[f'trunkline_config_stale{{why="{why}"}}']
        self.write(log__level="trace", kafka__linger_ms="soon")
        self.assertTrue(wait_for(lambda: "config_refused" in self.app.codes(), 15), self.app.log)
        refused = self.status()["config"]["refused"]
        self.assertIn("kafka.linger_ms", refused)
        self.assertIn("soon", refused)
        self.assertEqual((stale("refused"), stale("restart")), (1, 0))
        self.assertNotIn('"level":"TRACE"', "".join(self.app.log))
        self.write(kafka__linger_ms=7)
        self.becomes(lambda: self.status()["config"], {"refused": None, "waiting": ["kafka.linger_ms"]})
        self.assertTrue(wait_for(lambda: '"level":"TRACE"' in "".join(self.app.log), 15), "the level is in force")
        self.assertEqual((stale("refused"), stale("restart")), (0, 1))
        self.assertEqual(self.app.codes().count("config_waits"), 1)
        self.write(kafka__linger_ms=5)
        self.becomes(lambda: self.status()["config"], {"refused": None, "waiting": []})
        self.write(log__level="not=a=level")
        self.assertTrue(wait_for(lambda: "log.level" in (self.status()["config"]["refused"] or ""), 15), self.status()["config"])
