"""A process that is killed and started again and again takes no channel from anybody, and is not deaf in the end."""

import pathlib
import signal
import tempfile
import time
import unittest

from harness import Sim, Stand, Trunkline, config, wait_for

RESTARTS = 30


class Restarts(unittest.TestCase):
    def test_thirty_restarts_in_two_minutes_make_no_thirty_pairs_of_channels(self):
        with Stand() as stand, Sim("--rate", "50") as sim, tempfile.TemporaryDirectory() as folder:
            settings = config(stand, sim.url, spool__dir=str(pathlib.Path(folder) / "spool"))
            began = time.monotonic()
            for _ in range(RESTARTS):
                with Trunkline(settings) as app:
                    wait_for(lambda: app.admin or app.child.poll() is not None, 20)
                    time.sleep(1.2)
                    self.assertIsNone(app.child.poll(), "".join(app.log[-3:]))
                    app.stop(signal.SIGKILL)
            minutes = (time.monotonic() - began) / 60
            with Trunkline(settings).wait_ready(40) as app:
                self.assertIn("channel_resumed", app.codes())
                self.assertNotIn("client_crowded", app.codes())
                counters = sim.counters()
                app.stop()
            # one for each leg, and at most one a minute after that
            self.assertLessEqual(counters["channels_created"], 2 + minutes + 1)
            self.assertEqual(counters["connected_evicted"], 0)
            self.assertEqual(counters["rate_limited"], 0)

    def test_what_the_platform_asked_to_wait_for_holds_for_the_next_process_too(self):
        with Stand() as stand, Sim("--rate", "50") as sim, tempfile.TemporaryDirectory() as folder:
            spool = pathlib.Path(folder) / "spool"
            settings = config(stand, sim.url, spool__dir=str(spool))
            sim.fault("http_status", for_ms=600_000, args={"status": 429, "retry_after": "15", "path": "/api/v2/", "count": 1})
            with Trunkline(settings) as app:
                self.assertTrue(wait_for((spool / "held-0.json").exists, 20), app.log)
                told = time.monotonic()
                app.stop(signal.SIGKILL)
            before = sim.counters()["requests"]
            with Trunkline(settings) as app:
                self.assertTrue(wait_for(lambda: "held_back" in app.codes(), 10), app.log)
                while time.monotonic() < told + 13:
                    self.assertEqual(sim.counters()["requests"], before, "asked before the time")
                    time.sleep(0.5)
                app.wait_ready(40)
                self.assertEqual(app.stop()[0], 0)

    def test_a_stop_at_any_moment_of_the_start_ends_soon(self):
        with Stand() as stand, Sim("--rate", "50") as sim:
            for step in range(8):
                with Trunkline(config(stand, sim.url)) as app:
                    wait_for(lambda: app.admin or app.child.poll() is not None, 20)
                    time.sleep(0.06 * step)  # the second channel is being made from 0.2 s on
                    code, seconds = app.stop()
                    self.assertEqual(code, 0, "".join(app.log[-3:]))
                    self.assertLess(seconds, 5)


if __name__ == "__main__":
    unittest.main()
