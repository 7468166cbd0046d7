"""A survey says of a platform what that platform was set to."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

import yaml

from harness import BINARY, Sim, get, wait_for
from test_capture import settings
from test_doctor import make_channel

MADE = ("report.md", "simulator.json", "trunkline.yaml")
# what the platform can be told apart by, once one way and once the other; 60 s and more are for the window
ONE = {
    "same_correlation_id": True, "subscribe_extends_life": False, "post_extends_life": False, "subscribe_delay_ms": 4_000,
    "unknown_channel_status": 404, "end_code": 1012, "announce_kick": True, "sliding_window": True, "query_page_max": 200,
    "heartbeat_ms": 7_000, "requests_per_minute": 240, "query_lag_ms": 8_000, "channel_life_ms": 7_200_000,
    "transports": [["v2.detail.", ["EventBridge"]]], "conversation_life_ms": 20_000,
}
OTHER = {
    "same_correlation_id": False, "subscribe_extends_life": True, "post_extends_life": False, "subscribe_delay_ms": 0,
    "unknown_channel_status": 403, "end_code": 1000, "announce_kick": False, "sliding_window": False, "query_page_max": 500,
    "heartbeat_ms": 11_000, "requests_per_minute": 300, "query_lag_ms": 0, "channel_life_ms": 86_400_000,
}
# known to the moment, not to the millisecond
ABOUT = {"subscribe_delay_ms": 1_500, "query_lag_ms": 3_000, "conversation_life_ms": 60_000}


class Survey(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.to = self.folder / "survey"

    def sim(self, behaviour: dict, *flags) -> Sim:
        path = self.folder / "settings.json"
        path.write_text(json.dumps(behaviour))
        return self.enterContext(Sim("--settings", path, "--rate", "60", "--queues", "60", "--users", "60", *flags))

    def start(self, sim: Sim, *flags) -> subprocess.Popen:
        path = self.folder / "trunkline.yaml"
        path.write_text(json.dumps(settings(sim)))
        command = [BINARY, "survey", "--config", path, "--to", self.to, "--output", "json", *flags]
        child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(child.kill)
        return child

    def said(self, child: subprocess.Popen, seconds: int) -> tuple[dict, str]:
        out, complaint = child.communicate(timeout=seconds)
        self.assertEqual(child.returncode, 0, complaint)
        return json.loads(out), complaint

    def answers(self, said: dict) -> dict[str, str]:
        return {q["id"]: q["answer"] for q in said["questions"] if q["settled"]}

    def surveyed(self, behaviour: dict) -> dict[str, str]:
        sim = self.sim(behaviour)
        org = json.loads(get(f"{sim.url}/sim/org"))
        said, complaint = self.said(self.start(sim, "--minutes", "2.5"), 240)
        answers = self.answers(said)
        found = json.loads((self.to / "simulator.json").read_text())
        self.assertEqual(found, said["settings"])
        for key, value in behaviour.items():
            if key == "transports":
                continue
            if key in ABOUT:
                self.assertAlmostEqual(found[key], value, delta=ABOUT[key], msg=key)
            else:
                self.assertEqual(found[key], value, f"{key}: {answers}")
        self.harmless(sim, said, org, complaint)
        return answers

    def harmless(self, sim: Sim, said: dict, org: dict, complaint: str):
        """Few requests, three channels, nothing left behind and nothing told."""
        self.assertTrue(wait_for(lambda: sim.counters()["connected"] == [], 10))
        counters = sim.counters()
        self.assertEqual((counters["channels_created"], counters["rate_limited"]), (3, 0))
        self.assertLessEqual(counters["requests"], 90)
        self.assertAlmostEqual(counters["requests"], said["requests"], delta=2)
        topics = len(sim.ledger())
        text = "".join((self.to / name).read_text() for name in MADE) + json.dumps(said) + complaint
        for secret in (org["id"], "sim-client", "sim-secret", "streaming-", *org["queues"], *org["users"]):
            self.assertNotIn(secret, text)
        time.sleep(1)
        delivered = [e for e in sim.ledger()[topics:] if e["delivered"]]
        self.assertEqual(delivered, [], "subscriptions are taken away")
        conversations = {json.loads(e["body"]).get("id") for e in sim.ledger()[:2_000] if e["delivered"]} - {None}
        self.assertTrue(conversations)
        self.assertEqual([c for c in conversations if c in text], [])

    def test_what_it_reports_is_what_the_platform_does(self):
        answers = self.surveyed(ONE)
        self.assertTrue(answers["1a"].startswith("yes"), answers)
        self.assertTrue(answers["2a"].startswith("no"), answers)
        self.assertTrue(answers["10a"].startswith("sliding"), answers)
        self.assertEqual(answers["12a"], "status 404")
        self.assertEqual(answers["12b"], "with code 1012, announced by v2.system.no_longer_subscribed")
        self.assertTrue(answers["9b"].startswith("lost"), answers)
        self.assertEqual(answers["6a"], "200: 201 is refused")
        self.assertEqual(answers["14a"], "status 400, code bad.request")
        self.assertEqual(answers["8a"], "no")
        self.assertTrue(answers["8c"].startswith("yes"), answers)
        report = (self.to / "report.md").read_text()
        self.assertIn("| 12a | What answers an upgrade for a channel that does not exist? | **status 404** |", report)
        self.assertIn("| `v2.detail.events.conversation.{id}.customer.end` | EventBridge |", report)
        self.assertIn("| 10b | Do refused requests count? | not settled: it would have to exhaust the limit", report)
        recommended = yaml.safe_load((self.to / "trunkline.yaml").read_text())
        self.assertEqual(recommended["genesys"]["requests_per_minute"], 240)
        self.taken_up()

    def taken_up(self):
        """What was written is taken by those it is for."""
        with Sim("--settings", self.to / "simulator.json") as sim:
            behaviour = json.loads(get(f"{sim.url}/sim/settings"))
        self.assertEqual(behaviour["unknown_channel_status"], 404)
        detail = [t for start, t in behaviour["transports"] if start == "v2.detail.events.conversation.{id}.customer.end"]
        self.assertEqual(detail, [["EventBridge"]])
        tree = yaml.safe_load((self.to / "trunkline.yaml").read_text())
        tree["genesys"] |= {"region": "eu_central_1", "clients": [{"id": "x", "secret": "y"}]}
        tree |= {"kafka": {"bootstrap_servers": "b:9092"}, "schema_registry": {"url": "http://r"}, "privacy": {"preset": "none"}}
        path = self.folder / "recommended.yaml"
        path.write_text(yaml.safe_dump(tree))
        run = subprocess.run([BINARY, "check", "--config", path], capture_output=True, text=True, timeout=30)
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_of_another_platform_it_reports_something_else(self):
        answers = self.surveyed(OTHER)
        self.assertTrue(answers["1a"].startswith("no"), answers)
        self.assertTrue(answers["2a"].startswith("yes"), answers)
        self.assertTrue(answers["9a"].startswith("at once"), answers)
        self.assertTrue(answers["10a"].startswith("fixed"), answers)
        self.assertEqual(answers["12a"], "status 403")
        self.assertEqual(answers["12b"], "with code 1000, unannounced")
        self.assertEqual(answers["6a"], "500: 1000 is refused")

    def test_the_end_of_a_token_is_waited_for_where_it_comes_soon_and_a_signal_ends_it_with_what_is_known(self):
        for closes in (True, False):
            self.to = self.folder / f"survey-{closes}"
            with self.subTest(closes=closes):
                sim = self.sim({"token_life_ms": 20_000, "token_end_closes": closes})
                child = self.start(sim, "--minutes", "60")
                # the first channel's token has ended for a while
                self.assertTrue(wait_for(lambda: sim.counters()["now_ms"] > 40_000, 60, 1))
                child.send_signal(signal.SIGINT)
                began = time.monotonic()
                said, _ = self.said(child, 30)
                self.assertLess(time.monotonic() - began, 20)
                self.assertEqual(said["settings"].get("token_end_closes"), closes, said)
                self.assertEqual(sorted(os.listdir(self.to)), sorted(MADE))
                open_ones = [q for q in said["questions"] if not q["settled"]]
                self.assertTrue(all(q["why"] for q in open_ones) and open_ones)

    def test_it_says_what_it_costs_and_refuses_by_name(self):
        run = subprocess.run([BINARY, "survey", "--dry-run"], capture_output=True, text=True, timeout=30)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stdout, r"at most \d+ requests.*6 dials and 3 channels")
        sim = self.sim({"missing_permissions": ["limits:organization:view", "analytics:conversationDetail:view"]})
        self.to.mkdir()
        (self.to / "report.md").write_text("mine")
        child = self.start(sim)
        self.assertIn("it holds report.md", child.communicate(timeout=30)[1])
        self.assertEqual(child.returncode, 64)
        self.to = self.folder / "second"
        said, _ = self.said(self.start(sim, "--minutes", "1.2"), 120)
        why = {q["id"]: q["why"] for q in said["questions"] if not q["settled"]}
        self.assertIn("limits:organization:view", why["4"])
        self.assertIn("analytics:conversationDetail:view", why["6a"])
        for _ in range(20):
            make_channel(sim)
        self.to = self.folder / "third"
        child = self.start(sim)
        self.assertIn("channels and 3 more are needed", child.communicate(timeout=60)[1])
        self.assertEqual((child.returncode, self.to.exists()), (69, False))


if __name__ == "__main__":
    unittest.main()
