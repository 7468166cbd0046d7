"""What no socket proves is on record, across a killed process too."""

import json
import signal
import time
import unittest

from harness import GAPS, STATE, Sim, Stand, Trunkline, config, get, wait_for


def gaps(stand: Stand) -> dict:
    """The newest record of every gap, by id."""
    return {raw["record"]["gap_id"]: raw["record"] for raw in stand.records(GAPS)}


def causes(stand: Stand) -> set:
    return {record["cause"] for record in gaps(stand).values() if record["state"] == "open"}


def coverage(app: Trunkline) -> dict:
    """What the status page says of the only shard."""
    return json.loads(get(app.admin + "/api/v1/status"))["coverage"].get("0", {})


def proven(app: Trunkline) -> float:
    """Up to when coverage is proven, in seconds since 1970; 0 for not at all."""
    return (coverage(app).get("proven_to_ms") or 0) / 1000


def shown(app: Trunkline) -> set:
    """Causes of the open gaps on the status page."""
    return {gap["cause"] for gap in coverage(app)["gaps"]}


class Gaps(unittest.TestCase):
    def test_a_cut_and_a_kill_of_the_only_channel_are_gaps_with_their_causes_and_bounds(self):
        with Stand() as stand, Sim("--rate", "100", "--wait-for-channels", "1") as sim:
            settings = config(stand, sim.url, genesys__channels_per_shard=1)
            with Trunkline(settings).wait_ready() as app:
                self.assertTrue(wait_for(lambda: proven(app), 30), app.log)
                cut = time.time()
                sim.fault("reset")
                # a claim lies between the two, or they were one gap
                self.assertTrue(wait_for(lambda: proven(app) > cut + 1, 30), app.log)
                killed = time.time()
                app.stop(signal.SIGKILL)
            with Trunkline(settings).wait_ready() as app:
                # the dead one's last claim must grow old, or it might be a living replica's
                self.assertTrue(wait_for(lambda: {"close", "crash"} <= causes(stand), 90, 1), gaps(stand))
                # the page is written once a second
                wait_for(lambda: shown(app) == {"close", "crash"}, 5)
                self.assertEqual(shown(app), {"close", "crash"})
                self.assertGreater(app.metrics()['trunkline_gaps_open{shard="0"}'], 0)
                app.stop()
            for record in gaps(stand).values():
                if record["cause"] == "crash":
                    start, end = (record[name].timestamp() for name in ("from_time", "to_time"))
                    self.assertLess(start, killed)
                    self.assertGreater(end, killed)
            self.assertEqual({record["topic_class"] for record in gaps(stand).values()},
                             {"v2.routing.queues.{id}.conversations", "v2.users.{id}.conversations"})

    def test_the_state_topic_of_another_installation_is_refused_by_name(self):
        with Stand() as stand, Sim("--rate", "10", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url)).wait_ready() as app:
                self.assertEqual(app.stop()[0], 0)
            with Trunkline(config(stand, sim.url, instance="another")) as app:
                self.assertEqual(app.child.wait(20), 65)
                app.reader.join(5)
                text = "".join(app.log)
                for word in (STATE, "trunkline", "another", "kafka.state_topic"):
                    self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
