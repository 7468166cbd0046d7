"""Two replicas of one installation: either may be killed at any moment."""

import itertools
import json
import pathlib
import random
import signal
import tempfile
import threading
import time
import unittest

from harness import GAPS, Sim, Stand, Trunkline, config, get, proven, total, wait_for

NAMES = ["a", "b"]
CLIENTS = [word for name in NAMES for word in ("--client", f"{name}:{name}")]
# un-acked at a kill, and held by a standby whose time is over at that moment
REPEATS_PER_KILL = 300


def suspects_of(app: Trunkline) -> int:
    app.reader.join(5)
    return sum("channel_suspected" in line for line in app.log)


class Replicas(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.apps = {}
        self.addCleanup(lambda: [app.__exit__() for app in self.apps.values()])

    def start(self, stand: Stand, sim: Sim, name: str):
        spool = str(self.folder / name)
        own = {"replica": name, "genesys__clients": [{"id": name, "secret": name}], "spool__dir": spool}
        tree = config(stand, sim.url, replicas=NAMES, genesys__channels_per_shard=1, **own)
        self.apps[name] = Trunkline(tree)

    def kill(self, name: str):
        self.apps.pop(name).kill()

    def primary(self) -> str:
        """The one that holds nothing while both run."""
        seen = {name: total(app, "trunkline_standby_seen_events_total") for name, app in self.apps.items()}
        self.assertEqual(sum(count > 0 for count in seen.values()), 1, seen)
        return min(seen, key=seen.get)

    def test_either_may_be_killed_again_and_again_and_nothing_is_missing(self):
        dice = random.Random(7)
        with Stand() as stand, Sim("--rate", "100", "--wait-for-channels", "2", *CLIENTS) as sim:
            for name in NAMES:
                self.start(stand, sim, name)
            for app in self.apps.values():
                app.wait_ready()
            both = lambda: all(proven(app) for app in self.apps.values())
            self.assertTrue(wait_for(both, 40), "coverage is proven by both")
            first, second = (primary := self.primary()), next(name for name in NAMES if name != primary)
            written = total(self.apps[second], "trunkline_standby_written_events_total")
            self.assertLess(written, 50, "a standby writes nothing while its primary does")
            kills = 0
            for name in itertools.islice(itertools.cycle([first, second]), 6):
                self.kill(name)
                kills += 1
                other = self.apps[second if name == first else first]
                before = total(other, "trunkline_events_published_total")
                flows = lambda: total(other, "trunkline_events_published_total") > before + 100
                if name == first:
                    self.assertTrue(wait_for(flows, 20), "the other one writes in its place")
                time.sleep(dice.uniform(0, 2))
                self.start(stand, sim, name)
                self.apps[name].wait_ready()
                # the next one may be killed once this one's coverage began
                self.assertTrue(wait_for(lambda: proven(self.apps[name]) > 0 and time.sleep(6) is None, 30))
            last = json.loads(get(f"{sim.url}/sim/counters"))
            for app in self.apps.values():
                app.child.send_signal(signal.SIGTERM)  # both at once
            for app in self.apps.values():
                self.assertEqual(app.child.wait(15), 0, "".join(app.log[-5:]))
                app.reader.join(5)
                self.assertIn('"in_flight":0', app.log[-1])
            records = list(stand.records())
            ids = {raw["record"]["event_id"] for raw in records}
            bodies = {raw["record"]["payload"] for raw in records}
            delivered = [entry for entry in sim.ledger() if entry["delivered"]]
            # what was sent while the sockets closed at the end may not have been read
            missing = [entry["seq"] for entry in delivered[:-100] if entry["body"] not in bodies]
            self.assertEqual(missing, [], last)
            self.assertLessEqual(len(records) - len(ids), kills * REPEATS_PER_KILL)
            origins = {raw["record"]["origin"] for raw in records}
            self.assertLessEqual({"live", "standby"}, origins)
            marked = {(raw["record"]["origin"] == "standby", raw["record"]["takeover"]) for raw in records}
            self.assertEqual(marked, {(True, True), (False, False)}, "what stood in for another replica says so")
            gaps = {raw["record"]["gap_id"]: raw["record"] for raw in stand.records(GAPS)}
            self.assertEqual(gaps, {}, "the other replica covered every instant")
            print(f"\n{kills} kills, {len(ids)} events, {len(records) - len(ids)} repeats", flush=True)

    def test_a_channel_that_hears_nothing_is_known_by_what_the_other_replica_writes(self):
        with Stand() as stand, Sim("--rate", "100", "--wait-for-channels", "2", *CLIENTS) as sim:
            for name in NAMES:
                self.start(stand, sim, name)
            for app in self.apps.values():
                app.wait_ready()
            self.assertTrue(wait_for(lambda: all(proven(app) for app in self.apps.values()), 40))
            suspects = lambda: {name: int(total(app, "trunkline_doubts_total")) for name, app in self.apps.items()}
            # of both, whoever is primary; a suspected one gets a new channel, so the oldest is the other's
            for whom, known in (("newest", 1), ("oldest", 2)):
                sim.fault("silence", whom=whom, for_ms=600_000)
                self.assertTrue(wait_for(lambda: sum(suspects().values()) == known, 60), (whom, suspects()))
                heard = {name: total(app, "trunkline_events_received_total") for name, app in self.apps.items()}
                both = lambda: all(total(app, "trunkline_events_received_total") > heard[name] + 100 for name, app in self.apps.items())
                self.assertTrue(wait_for(both, 30), "both hear again")
            self.assertEqual(suspects(), {"a": 1, "b": 1}, "each once, and nobody who hears")
            time.sleep(10)
            for app in self.apps.values():
                app.child.send_signal(signal.SIGTERM)
            for app in self.apps.values():
                self.assertEqual(app.child.wait(15), 0, "".join(app.log[-5:]))
            self.assertEqual(sum(suspects_of(app) for app in self.apps.values()), 2)
            bodies = {raw["record"]["payload"] for raw in stand.records()}
            delivered = [entry for entry in sim.ledger() if entry["delivered"]]
            self.assertEqual([entry["seq"] for entry in delivered[:-100] if entry["body"] not in bodies], [])
            self.assertEqual(list(stand.records(GAPS)), [], "the other one heard everything")

    def test_while_the_broker_is_away_both_say_since_when_the_oldest_event_waits(self):
        with Stand() as stand, Sim("--rate", "100", "--wait-for-channels", "2", *CLIENTS) as sim:
            for name in NAMES:
                self.start(stand, sim, name)
            for app in self.apps.values():
                app.wait_ready()
            held = lambda: all(total(app, "trunkline_events_received_total") > 200 for app in self.apps.values())
            self.assertTrue(wait_for(held, 30), "both hear")
            began = time.time()
            away = threading.Thread(target=stand.obey, args=("away 9000",))
            away.start()
            time.sleep(7)
            for name, app in self.apps.items():
                waits = began - total(app, "trunkline_kafka_oldest_unacked_timestamp_seconds")
                self.assertLess(abs(waits), 4, f"{name}: what is in flight, and what another replica writes at once")
            away.join()
            def recent():
                oldest = (total(app, "trunkline_kafka_oldest_unacked_timestamp_seconds") for app in self.apps.values())
                return all(at == 0 or at > began + 9 for at in oldest)
            self.assertTrue(wait_for(recent, 40), "nothing of the outage waits any more")


if __name__ == "__main__":
    unittest.main()
