"""Counters of service levels tell what gap records tell, over an outage, a repair and a killed process."""

import signal
import tempfile
import time
import unittest

from harness import GAPS, Stand, Trunkline, config, total, wait_for
from history_harness import FAST, simulator


def level(app: Trunkline, slo: str) -> tuple[float, float]:
    """What it is about, and what of it is good."""
    metrics = app.metrics()
    return tuple(metrics[f'trunkline_slo_{which}_total{{slo="{slo}"}}'] for which in ("events", "good_events"))


def bare(app: Trunkline) -> float:
    events, good = level(app, "coverage")
    return events - good


def gaps(stand: Stand) -> list[dict]:
    """The newest record of every gap."""
    return list({raw["record"]["gap_id"]: raw["record"] for raw in stand.records(GAPS)}.values())


def seconds(gap: dict) -> tuple[float, float]:
    return gap["from_time"].timestamp(), gap["to_time"].timestamp()


def union(spans) -> float:
    length, reached = 0.0, 0.0
    for start, end in sorted(spans):
        length += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return length


class Levels(unittest.TestCase):
    def test_time_without_proof_counts_once_and_its_repair_counts_too(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        with Stand() as stand, simulator(folder, "--rate", "50", "--wait-for-channels", "1") as sim:
            settings = config(stand, sim.url, genesys__channels_per_shard=1)
            began = time.time()
            with Trunkline(settings, env=FAST).wait_ready() as app:
                self.assertTrue(wait_for(lambda: level(app, "coverage")[0] > 5, 60, 1), app.log[-5:])
                self.assertAlmostEqual(bare(app), 0, 3)
                self.assertEqual(level(app, "gap_closed"), (0, 0))
                sim.fault("reset")
                # the same as the records say, as soon as nothing of it can move any more
                cut = lambda: [seconds(gap) for gap in gaps(stand) if gap["cause"] == "close" and gap["to_time"]]
                told = lambda: cut() and abs(bare(app) - union(cut())) < 0.01
                self.assertTrue(wait_for(told, 60, 1), (bare(app), cut()))
                self.assertGreater(bare(app), 0)
                lost = bare(app)
                good = level(app, "coverage")[1]
                self.assertTrue(wait_for(lambda: level(app, "coverage")[1] > good + 5, 60, 1), "proof goes on")
                self.assertAlmostEqual(bare(app), lost, 3, "and what was bare is not counted again")
                # every gap of every class, once it is closed
                closed = lambda: [gap for gap in gaps(stand) if gap["outcome"] == "reconciled"]
                repaired = lambda: sum(end - start for start, end in map(seconds, closed()))
                counted = lambda: closed() and len(closed()) == len(gaps(stand)) and abs(level(app, "gap_closed")[1] - repaired()) < 0.01
                self.assertTrue(wait_for(counted, 90, 1), (level(app, "gap_closed"), gaps(stand)))
                self.assertAlmostEqual(*level(app, "gap_closed"), 3)
                about, fresh = level(app, "freshness")
                heard = total(app, "trunkline_events_published_total") - total(app, "trunkline_gap_events_recovered_total")
                self.assertAlmostEqual(about, heard, delta=0.05 * heard, msg="what history gave was never to be fresh")
                self.assertTrue(0 < fresh <= about, (fresh, about))
                before = level(app, "coverage")[0]
                killed = time.time()
                app.stop(signal.SIGKILL)
            with Trunkline(settings, env=FAST).wait_ready() as app:
                crash = lambda: [seconds(gap) for gap in gaps(stand) if gap["cause"] == "crash" and gap["to_time"]]
                told = lambda: crash() and abs(bare(app) - union(crash())) < 0.01
                self.assertTrue(wait_for(told, 90, 1), (bare(app), crash()))
                (start, end), *_ = crash()
                self.assertTrue(start < killed < end, (start, killed, end))
                self.assertTrue(wait_for(lambda: level(app, "coverage")[1] > 5, 60, 1), "proof goes on")
                # both processes together never counted more time than there was
                self.assertLessEqual(before + level(app, "coverage")[0], time.time() - began)
                app.stop()

    def start(self, stand: Stand, sim, name: str) -> Trunkline:
        own = {"replica": name, "genesys__clients": [{"id": name, "secret": name}], "spool__dir": f"{self.folder}/{name}"}
        tree = config(stand, sim.url, replicas=["a", "b"], genesys__channels_per_shard=1, **own)
        return self.enterContext(Trunkline(tree, env=FAST)).wait_ready()

    def test_of_two_replicas_one_counts_and_a_kill_makes_no_time_count_twice(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        stand = self.enterContext(Stand())
        clients = ("--client", "a:a", "--client", "b:b")
        sim = self.enterContext(simulator(self.folder, "--rate", "50", "--wait-for-channels", "2", *clients))
        began = time.time()
        apps = {name: self.start(stand, sim, name) for name in ("a", "b")}
        counted = lambda name: level(apps[name], "coverage")[0]
        self.assertTrue(wait_for(lambda: max(map(counted, apps)) > 15, 90, 1), {name: counted(name) for name in apps})
        first = max(apps, key=counted)
        second = "b" if first == "a" else "a"
        alone = counted(second)
        self.assertTrue(wait_for(lambda: counted(first) > 30, 90, 1))
        self.assertEqual(counted(second), alone, "one of them counts")
        dead = counted(first)
        apps[first].stop(signal.SIGKILL)
        self.assertTrue(wait_for(lambda: counted(second) > alone + 15, 120, 1), "the other one goes on")
        self.assertLessEqual(dead + counted(second), time.time() - began)
        # it is back, and speaks for the shard again
        apps[first] = self.start(stand, sim, first)
        self.assertTrue(wait_for(lambda: counted(first) > 15, 120, 1), "whoever comes first counts again")
        still = counted(second)
        self.assertTrue(wait_for(lambda: counted(first) > 30, 90, 1))
        self.assertEqual(counted(second), still)
        self.assertLessEqual(dead + counted(second) + counted(first), time.time() - began)
        for app in apps.values():
            app.stop()


if __name__ == "__main__":
    unittest.main()
