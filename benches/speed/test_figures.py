"""What is computed from stamps and counts."""

import unittest

from figures import OTHERS_BOUND, best, collected, latencies, others, pace, percentile, spread, void

CALM = {"build": "release", "others": 0.0, "events": 10, "lost": 0}


def run(system: str, speed: float, **more) -> dict:
    return {"system": system, "cell": "full", "pace": speed, **CALM, **more}


class Figures(unittest.TestCase):
    def test_a_percentile_is_a_value_that_was_seen(self):
        values = [float(n) for n in range(1000, 0, -1)]
        self.assertEqual([percentile(values, share) for share in (0.5, 0.99, 0.999, 1)], [500, 990, 999, 1000])
        self.assertEqual(percentile([7.0], 0.5), 7.0)
        for values, share in (([], 0.5), ([1.0], 0), ([1.0], 1.1)):
            self.assertRaises(ValueError, percentile, values, share)

    def test_a_spread_holds_median_least_and_most(self):
        self.assertEqual(spread([9, 1, 4]), {"median": 4, "least": 1, "most": 9, "runs": 3})
        self.assertEqual(spread([1, 4])["median"], 2.5)

    def test_latencies_pair_equal_events_in_order_and_leave_out_warm_up_repeats_and_strangers(self):
        sent = [(b"a", 0.0), (b"b", 100.0), (b"b", 200.0), (b"c", 300.0)]
        arrived = [(b"a", 900.0), (b"b", 107.0), (b"b", 211.0), (b"b", 999.0), (b"x", 5.0)]
        self.assertEqual(latencies(sent, arrived, 50), [7.0, 11.0])
        self.assertEqual(latencies([], arrived, 50), [])

    def test_a_pace_is_intervals_over_time(self):
        self.assertEqual(pace([10.0, 10.5, 12.0]), 1.0)
        self.assertRaises(ValueError, pace, [1.0, 1.0])

    def test_others_are_what_the_machine_did_beside_the_run(self):
        self.assertEqual(others(busy=12, own=7, seconds=10), 0.5)
        self.assertEqual(others(busy=7, own=7.1, seconds=10), 0)

    def test_a_run_counts_only_on_a_calm_machine_without_a_loss(self):
        self.assertIsNone(void({**CALM, "others": OTHERS_BOUND}))
        self.assertIn("others used 0.50", void({**CALM, "others": 0.5}))
        self.assertIn("1 of 10", void({**CALM, "lost": 1}))
        self.assertIn("debug build", void({**CALM, "build": "debug"}))
        self.assertEqual(void({"not_run": "why"}), "why")
        runs = [run("a", 5), run("a", 9, lost=1), run("a", 7, others=2), run("b", 3)]
        self.assertEqual(collected(runs, "a", "full", "pace"), [5])

    def test_the_best_peers_are_the_fastest_that_lost_nothing(self):
        runs = [run("slow", 1), run("fast", 9), run("lossy", 99, lost=1), run("middle", 5)]
        self.assertEqual(best(runs, ["slow", "lossy", "middle", "fast"], 2), ["fast", "middle"])
