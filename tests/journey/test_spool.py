"""What Kafka does not take lies on the disk, across a killed process too; and a disk is no friend."""

import contextlib
import json
import pathlib
import resource
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BINARY, Sim, Stand, Trunkline, config, get, total, wait_for

IN_FLIGHT = 500


def status(app: Trunkline) -> dict:
    return json.loads(get(app.admin + "/api/v1/status"))["spool"]


@contextlib.contextmanager
def broker_away(stand: Stand, seconds: float):
    """The broker is away; leaving waits until it is back."""
    away = threading.Thread(target=stand.obey, args=(f"away {int(seconds * 1000)}",))
    away.start()
    yield
    away.join()


class Spool(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name) / "spool"

    def settings(self, stand: Stand, sim: Sim, **changes) -> dict:
        wanted = {"spool__dir": str(self.dir), "spool__segment_bytes": 1 << 20, "kafka__in_flight_records": IN_FLIGHT}
        return config(stand, sim.url, **wanted, **changes)

    def everything_is_there_in_order(self, stand: Stand, sim: Sim, but: int = 0) -> int:
        """Every event that was put on a socket is a record, but so many; returns the repeats."""
        wanted = [entry for entry in sim.ledger() if entry["delivered"]]
        records = sorted(stand.records(), key=lambda raw: (raw["partition"], raw["offset"]))
        ids, bodies, order = set(), set(), {}
        for raw in records:
            record = raw["record"]
            if record["event_id"] not in ids:
                ids.add(record["event_id"])
                bodies.add(record["payload"])
                order.setdefault(record["conversation_id"], []).append(record["payload"])
        missing = [entry["seq"] for entry in wanted if entry["body"] not in bodies]
        self.assertLessEqual(len(missing), but, missing[:5])
        place = {entry["body"]: entry["seq"] for entry in wanted}
        for conversation, payloads in order.items():
            places = [place[payload] for payload in payloads if payload in place]
            self.assertEqual(places, sorted(places), conversation)
        return len(records) - len(ids)

    def heard_all(self, app: Trunkline, sim: Sim):
        """Waits until everything that was sent is kept, and on the disk."""
        def done():
            sent = sum(bool(entry["delivered"]) for entry in sim.ledger())
            kept = total(app, "trunkline_events_received_total") - total(app, "trunkline_events_deduplicated_total")
            return sent >= 3000 and kept >= sent
        self.assertTrue(wait_for(done, 30, 0.3), app.metrics())
        time.sleep(0.3)

    def test_a_process_killed_while_the_broker_is_away_sends_everything_when_it_is_back(self):
        with Stand() as stand, Sim("--rate", "1000", "--events", "3000", "--wait-for-channels", "2") as sim:
            settings = self.settings(stand, sim)
            with Trunkline(settings).wait_ready() as app:
                with broker_away(stand, 9):
                    self.heard_all(app, sim)
                    self.assertIn("spool_behind", app.codes())
                    self.assertEqual(status(app)["state"], "behind")
                    self.assertGreater(status(app)["waiting"], 2 * IN_FLIGHT)
                    self.assertTrue(json.loads(get(app.admin + "/readyz"))["ready"], "the spool takes over")
                    app.stop(signal.SIGKILL)
            with Trunkline(settings).wait_ready() as app:
                self.assertGreater(total(app, "trunkline_spool_replayed_events_total"), 2 * IN_FLIGHT)
                self.assertTrue(wait_for(lambda: status(app)["waiting"] == 0), status(app))
                self.assertEqual(total(app, "trunkline_events_in_flight"), 0)
                self.assertEqual(app.stop()[0], 0)
            self.everything_is_there_in_order(stand, sim)
            with Trunkline(settings).wait_ready() as app:
                self.assertEqual(total(app, "trunkline_spool_replayed_events_total"), 0, "nothing is sent twice")

    def test_a_stop_while_the_broker_is_away_for_long_is_a_good_one(self):
        with Stand() as stand, Sim("--rate", "300", "--events", "3000", "--wait-for-channels", "2") as sim:
            settings = self.settings(stand, sim, kafka__flush_timeout_secs=3)
            with Trunkline(settings).wait_ready() as app:
                with broker_away(stand, 20):
                    self.assertTrue(wait_for(lambda: status(app)["waiting"] > IN_FLIGHT), status(app))
                    code, seconds = app.stop()
                    self.assertEqual(code, 0, "".join(app.log[-3:]))
                    self.assertIn("spool_kept", app.codes())
                    # the time for acknowledgements, that for the last claims, and some to end
                    self.assertLess(seconds, 3 + 5 + 4)
            with Trunkline(settings).wait_ready() as app:
                self.assertTrue(wait_for(lambda: status(app)["waiting"] == 0), status(app))
                self.assertGreater(total(app, "trunkline_spool_replayed_events_total"), IN_FLIGHT)
                self.assertEqual(app.stop()[0], 0)
            # what was sent while nobody listened may be missing, nothing else
            self.assertGreater(len({raw["record"]["event_id"] for raw in stand.records()}), IN_FLIGHT)

    def test_a_process_that_starts_while_the_registry_is_away_hears_and_writes_as_before(self):
        with Stand() as stand, Sim("--rate", "200", "--wait-for-channels", "2") as sim:
            settings = self.settings(stand, sim)
            with Trunkline(settings).wait_ready() as app:
                app.stop(signal.SIGKILL)
            stand.obey("registry fail")
            with Trunkline(settings).wait_ready(8) as app:
                self.assertEqual(app.codes().count("registry_away_at_start"), 1)
                self.assertTrue(wait_for(lambda: total(app, "trunkline_events_published_total") > 200))
                stand.obey("registry ok")
                self.assertTrue(wait_for(lambda: "schemas_confirmed" in app.codes(), 30), app.codes())
                self.assertEqual(app.stop()[0], 0)
            self.assertEqual({raw["value"][:5] for raw in stand.records()}, {bytes([0, 0, 0, 0, 1])})

    def test_a_registry_set_up_anew_ends_the_process_and_the_next_one_goes_on(self):
        with Stand() as stand, Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            settings = self.settings(stand, sim)
            with Trunkline(settings).wait_ready() as app:
                app.stop(signal.SIGKILL)
            file = self.dir / "schemas.json"
            known = json.loads(file.read_text())
            # as if the registry had given other ids before it was lost
            file.write_text(json.dumps([{**one, "id": one["id"] + 40} for one in known]))
            stand.obey("registry fail")
            with Trunkline(settings).wait_ready(8) as app:
                stand.obey("registry ok")
                self.assertTrue(wait_for(lambda: app.child.poll() is not None, 30))
                text = "".join(app.log)
                self.assertIn("knows the schema of", text)
                self.assertIn("as 1, not as 41", text)
            with Trunkline(settings).wait_ready() as app:
                self.assertEqual(app.stop()[0], 0)

    def test_a_full_spool_stops_reading_and_loses_nothing(self):
        with Stand() as stand, Sim("--rate", "1500", "--events", "6000", "--wait-for-channels", "2") as sim:
            settings = self.settings(stand, sim, spool__max_bytes=4 << 20)
            with Trunkline(settings).wait_ready() as app:
                with broker_away(stand, 7):
                    self.assertTrue(wait_for(lambda: status(app)["state"] == "full"), status(app))
                    held = total(app, "trunkline_spool_bytes")
                    self.assertLess(held, 6 << 20, "bounded")
                self.assertTrue(wait_for(lambda: status(app)["waiting"] == 0 and "spool_caught_up" in app.codes(), 60), status(app))
                self.assertTrue(wait_for(lambda: sum(bool(e["delivered"]) for e in sim.ledger()) >= 5900, 30, 0.5))
                time.sleep(1)
                self.assertEqual(app.stop()[0], 0)
            self.everything_is_there_in_order(stand, sim)

    def test_a_disk_that_refuses_to_write_is_given_up_and_said_and_kafka_takes_everything(self):
        with Stand() as stand, Sim("--rate", "500", "--events", "3000", "--wait-for-channels", "2") as sim:
            with Trunkline(self.settings(stand, sim)).wait_ready() as app:
                resource.prlimit(app.child.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
                self.assertTrue(wait_for(lambda: "spool_failed" in app.codes()), app.log)
                self.assertEqual(total(app, "trunkline_spool_failed"), 1)
                self.assertEqual(status(app)["state"], "failed")
                with self.assertRaises(Exception, msg="a spool that cannot be written is no readiness"):
                    get(app.admin + "/readyz")
                self.heard_all(app, sim)
                self.assertEqual(app.stop()[0], 0)
            self.everything_is_there_in_order(stand, sim)

    def test_a_damaged_spool_is_said_and_everything_beside_the_damage_is_sent(self):
        with Stand() as stand, Sim("--rate", "1000", "--events", "3000", "--wait-for-channels", "2") as sim:
            settings = self.settings(stand, sim)
            with Trunkline(settings).wait_ready() as app:
                with broker_away(stand, 9):
                    self.heard_all(app, sim)
                    app.stop(signal.SIGKILL)
            newest = sorted(self.dir.glob("*.spool"))[-1]
            damaged = bytearray(newest.read_bytes())
            damaged[len(damaged) // 2] ^= 0xFF
            newest.write_bytes(damaged[:-3])  # torn as well
            with Trunkline(settings).wait_ready() as app:
                self.assertIn("spool_damaged", app.codes())
                self.assertEqual(total(app, "trunkline_spool_damaged_total"), 1)
                self.assertTrue(wait_for(lambda: status(app)["waiting"] == 0), status(app))
                self.assertEqual(app.stop()[0], 0)
            self.everything_is_there_in_order(stand, sim, but=2)

    def test_two_processes_cannot_share_a_folder(self):
        with Stand() as stand, Sim("--rate", "50", "--wait-for-channels", "2") as sim:
            settings = self.settings(stand, sim)
            with Trunkline(settings).wait_ready():
                path = self.dir.parent / "second.yaml"
                path.write_text(json.dumps(settings))
                second = subprocess.run([BINARY, "run", "--config", path], capture_output=True, text=True, timeout=20)
                self.assertEqual(second.returncode, 65, second.stderr)
                self.assertIn(f"spool.dir {self.dir}: another process uses it", second.stderr)


if __name__ == "__main__":
    unittest.main()
