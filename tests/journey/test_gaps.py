"""What no socket proves is on record, across a killed process too."""

import base64
import itertools
import json
import signal
import tempfile
import time
import unittest

from history_harness import FAST, simulator
from harness import EVENTS, GAPS, STATE, Sim, Stand, Trunkline, ask, config, coverage, get, proven, total, wait_for


def gaps(stand: Stand) -> dict:
    """The newest record of every gap, by id."""
    return {raw["record"]["gap_id"]: raw["record"] for raw in stand.records(GAPS)}


def causes(stand: Stand) -> set:
    return {record["cause"] for record in gaps(stand).values() if record["state"] == "open"}


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
                # the same replica starts anew, so the dead one cannot be living
                self.assertTrue(wait_for(lambda: {"close", "crash"} <= causes(stand), 90, 1), gaps(stand))
                # the page is written once a second
                wait_for(lambda: shown(app) == {"close", "crash"}, 5)
                self.assertEqual(shown(app), {"close", "crash"})
                open_gaps = json.loads(get(app.admin + "/api/v1/gaps"))["open"]
                self.assertEqual({line["gap"]["cause"] for line in open_gaps}, {"close", "crash"})
                self.assertGreater(app.metrics()['trunkline_gaps_open{shard="0"}'], 0)
                app.stop()
            for record in gaps(stand).values():
                if record["cause"] == "crash":
                    start, end = (record[name].timestamp() for name in ("from_time", "to_time"))
                    self.assertLess(start, killed)
                    self.assertGreater(end, killed)
            self.assertEqual({record["topic_class"] for record in gaps(stand).values()},
                             {"v2.routing.queues.{id}.conversations", "v2.users.{id}.conversations"})
            self.commands_agree(stand, settings)

    def test_a_gap_closed_by_a_process_that_died_before_it_said_so_is_told_by_the_next_one(self):
        with Stand() as stand, Sim("--rate", "20", "--wait-for-channels", "1", "--time-scale", "3600") as sim:
            settings = config(stand, sim.url, genesys__channels_per_shard=1)
            dying = {**FAST, "FAILPOINTS": "gap.closed.before=return(late)"}
            with Trunkline(settings, env=dying).wait_ready() as app:
                sim.fault("reset")
                self.assertEqual(app.child.wait(60), -signal.SIGKILL)
            closed = {fact["gap"]: fact["repair"]["outcome"] for fact in self.gap_facts(stand) if fact["repair"]["outcome"]}
            said = lambda: {ident: record["outcome"] for ident, record in gaps(stand).items() if ident in closed}
            self.assertTrue(closed)
            self.assertNotEqual(said(), closed)
            with Trunkline(settings, env=FAST).wait_ready() as app:
                self.assertTrue(wait_for(lambda: said() == closed, 20), (closed, said()))
                app.stop()

    def test_channels_that_are_deaf_together_are_found_by_the_canary_and_what_they_missed_comes_from_history(self):
        with tempfile.TemporaryDirectory() as folder, Stand() as stand, simulator(folder, "--rate", "100", "--wait-for-channels", "2") as sim:
            settings = config(stand, sim.url, subscriptions__canary_secs=10)
            with Trunkline(settings, env=FAST).wait_ready() as app:
                self.assertTrue(wait_for(lambda: proven(app), 30), app.log)
                doubts = lambda: app.metrics()['trunkline_doubts_total{check="canary"}']
                deaf = time.time()
                # they answer every ping
                sim.fault("silence", whom="all", for_ms=600_000)
                self.assertTrue(wait_for(lambda: doubts() == 2, 40), app.log)
                found = time.time()
                heard = total(app, "trunkline_events_received_total")
                self.assertTrue(wait_for(lambda: total(app, "trunkline_events_received_total") > heard + 200, 30), "both hear again")
                mended = lambda: gaps(stand) and all(record["outcome"] == "reconciled" for record in gaps(stand).values())
                self.assertTrue(wait_for(mended, 90, 1), gaps(stand))
                self.assertEqual(doubts(), 2, "nobody else")
                app.stop()
            self.assertEqual({record["cause"] for record in gaps(stand).values()}, {"suspect"})
            for kind in {record["topic_class"] for record in gaps(stand).values()}:
                # what was read keeps its bounds, so what follows it is a gap of its own
                parts = sorted((r["from_time"].timestamp(), r["to_time"].timestamp()) for r in gaps(stand).values() if r["topic_class"] == kind)
                self.assertLess(parts[0][0], deaf)
                self.assertGreater(parts[-1][1], found)
                self.assertTrue(all(before[1] >= after[0] for before, after in itertools.pairwise(parts)), parts)
            fetched = {raw["record"]["origin"] for raw in stand.records()}
            self.assertIn("backfill", fetched)

    def gap_facts(self, stand: Stand) -> list[dict]:
        facts = [json.loads(base64.b64decode(raw["value_b64"]) or "{}") for raw in stand.obey(f"read {STATE}")]
        return [fact for fact in facts if fact.get("kind") == "gap"]

    def test_a_stop_gives_away_no_time_before_it(self):
        with Stand() as stand, Sim("--rate", "20", "--wait-for-channels", "1") as sim:
            settings = config(stand, sim.url, genesys__channels_per_shard=1)
            with Trunkline(settings).wait_ready() as app:
                self.assertTrue(wait_for(lambda: proven(app), 30), app.log)
                claimed = proven(app)
                self.assertTrue(wait_for(lambda: proven(app) > claimed, 30), app.log)
                time.sleep(5)  # half-way to the next ping
                stopping = time.time()
                self.assertEqual(app.stop()[0], 0)
            with Trunkline(settings).wait_ready() as app:
                self.assertTrue(wait_for(lambda: gaps(stand), 90, 1), app.log)
                app.stop()
            for record in gaps(stand).values():
                # the platform tells its time in whole seconds
                self.assertGreater(record["from_time"].timestamp(), stopping - 2)

    def commands_agree(self, stand: Stand, settings: dict) -> None:
        """What the commands say of the same topics."""
        known = gaps(stand)
        code, listed, _ = ask(settings, "gaps", "list", "--from", "1h")
        self.assertEqual((code, {gap["gap_id"] for gap in listed}), (0, set(known)))
        first = listed[0]["gap_id"]
        code, shown, _ = ask(settings, "gaps", "show", first)
        self.assertEqual((code, shown[0]["cause"]), (0, known[first]["cause"]))
        self.assertIn("0 gaps begin with", ask(settings, "gaps", "show", "zz")[2])
        # the hour is not over, so nothing is certified and nobody may call it complete
        code, said, _ = ask(settings, "coverage", "--from", "1h")
        self.assertEqual((code, said[-1]["complete"], said[-1]["known_from_ms"]), (1, "unknown", None))
        self.assertIn("--from is \"soon\"", ask(settings, "coverage", "--from", "soon")[2])
        record = next(iter(stand.records(EVENTS)))["record"]
        code, told, _ = ask(settings, "explain", record["conversation_id"])
        self.assertEqual(code, 0)
        self.assertIn(record["event_id"], {line["event_id"] for line in told})
        self.assertEqual(ask(settings, "explain", "nobody")[0], 1)
        self.assertEqual(ask(settings, "quarantine", "list")[:2], (0, []))

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
