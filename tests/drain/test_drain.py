"""Stops, replacements and outages under load; nothing is lost, and metrics tell the truth meanwhile.

DRAIN=long takes the broker away for ten minutes at 2,000 events/s, alone, and stops 500 times.
"""

import concurrent.futures
import os
import shutil
import unittest

import broker
import scenarios
import world

LONG = os.environ.get("DRAIN") == "long"


class Drain(unittest.TestCase):
    """Mostly they wait, so they run side by side; a long one computes."""

    @classmethod
    def setUpClass(cls):
        shutil.rmtree(world.LOGS, ignore_errors=True)
        cls.lines = []
        cls.pool = concurrent.futures.ThreadPoolExecutor(1 if LONG else 3)
        cls.addClassCleanup(cls.pool.shutdown, cancel_futures=True)
        submit = cls.pool.submit
        # longer than the 120 s after which a producer counts as stalled, were its brokers there
        cls.broker = submit(broker.broker_away, 600, 2_000) if LONG else submit(broker.broker_away, 150, 200)
        cls.terminations = submit(scenarios.terminations, 500 if LONG else 20)
        cls.platform = submit(scenarios.platform_away, 600 if LONG else 60)
        cls.rolling = submit(scenarios.rolling)

    @classmethod
    def tearDownClass(cls):
        for line in cls.lines:
            world.say(line)

    def told(self, scenario: concurrent.futures.Future):
        self.lines.append(scenario.result())

    def test_every_sigterm_under_load_leaves_nothing_unacknowledged(self):
        self.told(self.terminations)

    def test_two_replicas_replaced_in_turn_never_leave_the_shard_exposed(self):
        self.told(self.rolling)

    def test_a_broker_that_is_away_costs_time_only_and_metrics_say_so(self):
        self.told(self.broker)

    def test_a_platform_that_is_away_is_asked_sparingly_and_heard_soon_after(self):
        self.told(self.platform)


if __name__ == "__main__":
    unittest.main()
