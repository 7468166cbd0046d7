"""Two processes with what belongs to one alone: said by name, nothing lost, and no false alarm."""

import json
import os
import pathlib
import signal
import tempfile
import time
import unittest

from harness import EVENTS, STATE, Sim, Stand, Trunkline, config, get, total, wait_for

# a second stands for a minute where the protocol waits
FAST = {"env": {**os.environ, "TRUNKLINE_TEST_SCALE": "60"}}
PATIENCE = 6


def conflicts(app: Trunkline) -> dict:
    return json.loads(get(app.admin + "/api/v1/status"))["conflicts"]


def gauge(app: Trunkline, kind: str) -> float:
    return app.metrics()[f'trunkline_conflict{{kind="{kind}"}}']


def said(app: Trunkline, code: str) -> list[dict]:
    return [line for line in map(json.loads, list(app.log)) if line.get("code") == code]


def tree(stand: Stand, sim: Sim, client: str, **changes) -> dict:
    return config(stand, sim.url, genesys__clients=[{"id": client, "secret": client}], **changes)


class Conflicts(unittest.TestCase):
    def start(self, *args, **changes) -> Trunkline:
        app = Trunkline(tree(*args, **changes), **FAST)
        self.addCleanup(app.__exit__)
        return app.wait_ready(30)

    def bench(self):
        stand, sim = Stand(), Sim("--rate", "20", "--client", "a:a", "--client", "b:b")
        for part in (stand, sim):
            self.addCleanup(part.__exit__)
        return stand, sim

    def all_there(self, stand: Stand, sim: Sim):
        bodies = {raw["record"]["payload"] for raw in stand.records(EVENTS)}
        delivered = [entry for entry in sim.ledger() if entry["delivered"]]
        self.assertGreater(len(delivered), 100)
        self.assertEqual([entry["seq"] for entry in delivered[:-40] if entry["body"] not in bodies], [])

    def test_a_replica_that_runs_twice_is_said_by_both_and_over_when_one_stops(self):
        stand, sim = self.bench()
        first, second = self.start(stand, sim, "a"), self.start(stand, sim, "b")
        began = time.monotonic()
        both = lambda: gauge(first, "replica") == gauge(second, "replica") == 1
        self.assertTrue(wait_for(both, 60, 0.5), [conflicts(first), conflicts(second)])
        after = time.monotonic() - began
        for app in (first, second):
            self.assertIn("give it a replica of its own", conflicts(app)["replica"])
            self.assertEqual([line["replica"] for line in said(app, "replica_shared")], ["0"])
            self.assertNotIn("client", conflicts(app), "each has its own")
        self.assertEqual(second.stop()[0], 0)
        self.assertTrue(wait_for(lambda: gauge(first, "replica") == 0, 30, 0.5))
        self.assertEqual(conflicts(first), {})
        self.assertEqual(first.stop()[0], 0)
        self.all_there(stand, sim)
        print(f"\na twin is said after {after:.1f} s", flush=True)

    def test_another_installation_under_the_client_is_said_though_it_writes_elsewhere(self):
        stand, sim = self.bench()
        first = self.start(stand, sim, "a")
        time.sleep(2)
        elsewhere = Stand()
        self.addCleanup(elsewhere.__exit__)
        began = time.monotonic()
        second = self.start(elsewhere, sim, "a")
        self.assertTrue(wait_for(lambda: gauge(first, "client") == 1, 60, 0.5))
        after = time.monotonic() - began
        self.assertEqual(said(first, "client_shared")[0]["client"], 0)
        self.assertIn("genesys.clients[0]", conflicts(first)["client"])
        self.assertNotIn("replica", conflicts(first))
        self.assertEqual([second.stop()[0], first.stop()[0]], [0, 0])
        print(f"\na shared client is said after {after:.1f} s", flush=True)

    def test_restarts_an_upgrade_that_overlaps_and_the_other_replica_say_nothing(self):
        stand, sim = self.bench()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        spool = pathlib.Path(folder.name, "0")
        names = {"replicas": ["0", "1"]}
        zero = lambda: self.start(stand, sim, "a", replica="0", spool__dir=str(spool), **names)
        apps, before = [zero(), self.start(stand, sim, "b", replica="1", **names)], []
        for how in ("kill", "overlap", "stop"):
            old = apps[0]
            if how == "overlap":
                spool = spool.with_name("1")
            else:
                old.stop(signal.SIGKILL if how == "kill" else signal.SIGTERM)
                (spool / "channels.json").unlink()  # so it makes channels of its own
            apps[0] = zero()
            if how == "overlap":
                time.sleep(PATIENCE / 3)
                old.stop()
            before += old.codes()
        time.sleep(2 * PATIENCE)
        for app in apps:
            self.assertEqual(conflicts(app), {})
            self.assertEqual(total(app, "trunkline_conflict"), 0)
            self.assertLessEqual({"replica_shared", "client_shared"} & set(app.codes() + before), set())
        self.assertEqual([app.stop()[0] for app in apps], [0, 0])
        self.all_there(stand, sim)

    def test_of_two_organisations_that_start_on_one_state_topic_one_is_refused_by_name(self):
        stand = Stand()
        self.addCleanup(stand.__exit__)
        sims = [Sim("--rate", "100", "--client", "a:a", "--seed", seed) for seed in ("1", "2")]
        for sim in sims:
            self.addCleanup(sim.__exit__)
        orgs = [json.loads(get(sim.url + "/sim/org"))["id"] for sim in sims]
        self.assertNotEqual(*orgs)
        # both have asked before either says that the topic is its own
        slow = {"env": {**FAST["env"], "FAILPOINTS": "state.barrier.sent=sleep(3000)"}}
        apps = [Trunkline(tree(stand, sim, "a"), **slow) for sim in sims]
        for app in apps:
            self.addCleanup(app.__exit__)
        ended = lambda: [app.child.poll() for app in apps]
        self.assertTrue(wait_for(lambda: any(code is not None for code in ended()), 30))
        self.assertEqual(sorted(ended(), key=str), [65, None])
        winner = ended().index(None)
        apps[1 - winner].reader.join(5)
        last = "".join(apps[1 - winner].log)
        for word in (*orgs, "give each its own kafka.state_topic"):
            self.assertIn(word, last)
        app = apps[winner].wait_ready(30)
        self.assertTrue(wait_for(lambda: gauge(app, "state") == 1, 10), "it saw the attempt")
        self.assertEqual(said(app, "state_shared")[0]["their_org"], orgs[1 - winner])
        # and again, while it runs and when it starts anew
        self.refused(stand, sims[1 - winner])
        self.assertEqual(app.stop()[0], 0)
        self.refused(stand, sims[1 - winner])
        again = self.start(stand, sims[winner], "a")
        self.assertNotIn("state", conflicts(again))
        self.assertEqual(again.stop()[0], 0)
        self.all_there(stand, sims[winner])
        writers = {fact["writer"] for fact in map(json.loads, (raw["value"] for raw in stand.records(STATE))) if "writer" in fact}
        self.assertEqual(len(writers), 2, "who was refused has written no fact")

    def refused(self, stand: Stand, sim: Sim):
        with Trunkline(tree(stand, sim, "a"), **FAST) as app:
            self.assertEqual(app.child.wait(30), 65)


if __name__ == "__main__":
    unittest.main()
