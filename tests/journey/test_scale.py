"""An organisation with more topics than one channel, and one client, can hold."""

import json
import time
import unittest

from harness import GAPS, Sim, Stand, Trunkline, ask, config, get, total, wait_for

TOPICS, SHARDS, QUOTA = 12_000, 12, 20
NAMES = ["a", "b"]


def status(app: Trunkline) -> dict:
    return json.loads(get(app.admin + "/api/v1/status"))


class Scale(unittest.TestCase):
    def test_twelve_thousand_topics_are_heard_by_two_replicas_within_budget_and_quota(self):
        with Stand() as stand, Sim("--rate", "50", "--queues", "0", "--users", str(TOPICS), "--client", "a:a", "--client", "b:b") as sim:
            began = time.monotonic()
            apps = [
                self.enterContext(Trunkline(config(stand, sim.url, replica=name, replicas=NAMES, genesys__clients=[{"id": name, "secret": name}])))
                for name in NAMES
            ]

            def proven(app):
                return app.admin and sum(bool(shard["proven_to_ms"]) for shard in status(app)["coverage"].values()) == SHARDS

            self.assertTrue(wait_for(lambda: all(proven(app) for app in apps), 150, 0.5), [status(app)["checks"] for app in apps])
            print(f"{TOPICS} topics in {SHARDS} shards, two replicas: full coverage after {time.monotonic() - began:.0f} s", flush=True)
            for app in apps:
                app.wait_ready(30)
                said = status(app)
                self.assertEqual((said["topics_wanted"], said["topics_refused"]), (TOPICS, []))
                live = [line for line in said["channels"] if line["state"] == "live"]
                self.assertEqual({line["shard"] for line in live}, set(range(SHARDS)))
                self.assertEqual(len(live), 16, "sixteen of twenty: the rest is room for successors")
                self.assertEqual(said["channels_lacking"], {"channels": 8, "shards": 0, "clients": 1})
                self.assertEqual(app.metrics()["trunkline_channels_lacking"], 8)
                self.assertEqual(total(app, "trunkline_api_rate_limited_total"), 0)
            counters = sim.counters()
            self.assertEqual(counters["channels_created"], 32)
            self.assertEqual(counters["connected_evicted"], 0)
            self.change_over(stand, sim, apps)

    def change_over(self, stand: Stand, sim: Sim, apps: list[Trunkline]):
        """The platform announces the end of every socket: four legs of a client at a time get a successor."""
        began = time.monotonic()
        sim.fault("socket_closing", whom="all", for_ms=60_000)
        self.assertTrue(wait_for(lambda: sim.counters()["channels_created"] == 64, 59, 0.2), sim.counters())
        print(f"32 successors after {time.monotonic() - began:.0f} of 60 s", flush=True)
        time.sleep(max(0, began + 66 - time.monotonic()))
        live = [[line for line in status(app)["channels"] if line["state"] == "live"] for app in apps]
        self.assertEqual([len(lines) for lines in live], [16, 16])
        counters = sim.counters()
        self.assertEqual((counters["connected_evicted"], counters["rate_limited"]), (0, 0), "nobody who hears is taken away")
        # a hole is a gap after twenty seconds; single legs had nobody to cover for them
        time.sleep(25)
        self.assertEqual([raw["record"]["cause"] for raw in stand.records(GAPS)], [])

    def test_what_one_client_cannot_hold_is_named_and_not_ready(self):
        topics = [f"v2.users.{n:08x}-0000-4000-8000-000000000000.conversations" for n in range(20_000)]
        with Stand() as stand, Sim("--rate", "5", "--queues", "1", "--users", "1") as sim:
            tree = config(stand, sim.url, subscriptions__queues="none", subscriptions__users="none", subscriptions__topics=topics)
            with Trunkline(tree) as app:
                self.assertTrue(wait_for(lambda: "channels_lacking" in app.codes(), 60), app.log)
                said = next(json.loads(line) for line in app.log if '"channels_lacking"' in line)
                self.assertEqual((said["level"], said["channels"], said["shards"], said["clients"]), ("ERROR", 21, 1, 2))
                check = lambda: status(app)["checks"]["channels"]
                self.assertTrue(wait_for(lambda: "1 shards have no channel" in check()["detail"], 20), check())
                self.assertFalse(check()["ok"])
                _, (doctor,), _ = ask({**tree, "subscriptions": {**tree["subscriptions"], "topics": topics[:12_000]}}, "doctor", "--no-channel")
                found = [finding for finding in doctor["findings"] if finding["check"] == "channels" and "no room" in finding["found"]]
                self.assertEqual([finding["verdict"] for finding in found], ["warn"], doctor)
                self.assertIn("8 channels have no room", found[0]["found"])
                self.assertIn("add 1 to genesys.clients", found[0]["remedy"])
