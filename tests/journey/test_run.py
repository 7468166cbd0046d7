"""The shipped binary from end to end."""

import json
import pathlib
import signal
import tempfile
import threading
import time
import unittest
import urllib.request

from harness import CERTIFICATES, EVENTS, GAPS, QUARANTINE, FrameServer, Process, Sim, Stand, Trunkline, config, coverage, get, wait_for
from history_harness import FAST, active, rows, simulator


def written(app):
    seen = app.metrics()
    return sum(value for name, value in seen.items() if name.startswith("trunkline_events_published_total"))


class Journey(unittest.TestCase):
    def test_every_event_heard_through_cuts_is_a_record_and_a_stop_leaves_nothing_unacked(self):
        with Stand() as stand, Sim("--rate", "800", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url)).wait_ready() as app:
                for what in ("reset", "close", "idle_close"):
                    time.sleep(0.7)
                    sim.fault(what)
                time.sleep(1)
                metrics = app.metrics()
                balance = sum(v for n, v in metrics.items() if n.startswith("trunkline_events_received_total"))
                for name in ("published_total", "deduplicated_total", "quarantined_total", "in_flight"):
                    balance -= sum(v for n, v in metrics.items() if n.startswith("trunkline_events_" + name))
                self.assertEqual(balance, 0, "received = published + deduplicated + quarantined + in flight")
                for reason in ("reset", "close_1000", "close_1001"):
                    self.assertEqual(metrics['trunkline_ws_disconnects_total{reason="%s"}' % reason], 1)
                code, seconds = app.stop(signal.SIGINT)
                self.assertEqual(code, 0, "".join(app.log[-5:]))
                self.assertLess(seconds, 3)
                self.assertIn('"in_flight":0', app.log[-1])
                self.assertNotIn("invariant_violated", app.codes())
            heard = [e for e in sim.ledger() if e["delivered"]]
            ids = {record["record"]["payload"]: record for record in stand.records()}
            # what was sent while the sockets closed may not have been read
            missing = [e for e in heard[:-200] if e["body"] not in ids]
            self.assertEqual(missing, [])
            self.assertGreater(len(heard), 1000)

    def test_a_broker_that_goes_away_costs_nothing(self):
        with Stand() as stand, Sim("--rate", "500", "--events", "1500", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url)).wait_ready() as app:
                time.sleep(0.5)
                stand.obey("away 2500")
                self.assertTrue(wait_for(lambda: written(app) >= 1500), app.metrics())
                self.assertTrue(json.loads(get(app.admin + "/readyz"))["ready"], "a broker's outage is no unreadiness")
                code, _ = app.stop()
                self.assertEqual(code, 0)
            wanted = sum(entry["covered"] for entry in sim.ledger())
            self.assertEqual(len({r["record"]["event_id"] for r in stand.records()}), wanted)

    def test_a_stop_while_the_broker_is_away_waits_for_it(self):
        with Stand() as stand, Sim("--rate", "300", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url)).wait_ready() as app:
                away = threading.Thread(target=stand.obey, args=("away 4000",))
                away.start()
                time.sleep(2)
                code, _ = app.stop()
                away.join()
                self.assertEqual(code, 0)
                self.assertIn('"in_flight":0', app.log[-1])
            bodies = {raw["record"]["payload"] for raw in stand.records()}
            heard = [entry for entry in sim.ledger() if entry["delivered"]]
            # what was sent while the sockets closed may not have been read
            self.assertEqual([e["seq"] for e in heard[:-100] if e["body"] not in bodies], [])
            self.assertGreater(len(heard), 200)

    def test_a_slow_or_dead_registry_does_not_stop_what_runs_already(self):
        with Stand() as stand, Sim("--rate", "200", "--wait-for-channels", "2") as sim:
            with Trunkline(config(stand, sim.url)).wait_ready() as app:
                stand.obey("registry fail")
                before = written(app)
                self.assertTrue(wait_for(lambda: written(app) > before + 100))


class DirectMode(unittest.TestCase):
    def direct(self, stand, sim, url, **changes):
        changes = {"genesys__mode": "direct", "genesys__direct": {"url": url, "connections": 1}, **changes}
        return Trunkline(config(stand, sim.url, **changes)).wait_ready()

    def test_bad_messages_go_to_quarantine_with_their_bytes_and_good_ones_go_on(self):
        topic = "v2.routing.queues.q.conversations"
        envelope = '{"topicName":"%s","version":"2","eventBody":%s}'
        huge = envelope % (topic, '{"id":"huge","address":"%s"}' % ("x" * (10 << 20)))
        bad = {
            "no JSON at all": "malformed",
            '{"topicName":"v2.x","eventBody":{"id":': "malformed",
            '{"eventBody":{}}': "no_envelope",
            envelope % (topic, '{"id":7}'): "bad_body",
            envelope % (topic, '{"id":"c","participants":[{"calls":[{"held":"yes"}]}]}'): "bad_body",
            envelope % (topic, "[1]"): "bad_body",
            b"\x00\x01binary": "binary",
            huge: "too_large",
        }
        good = [envelope % (topic, '{"participants":[]}'), envelope % (topic, '{"id":"c-1","participants":[],"nobody":{"knows":1}}')]
        server = FrameServer([*bad, *good])
        self.addCleanup(server.close)
        with Stand() as stand, Sim() as sim, self.direct(stand, sim, server.url) as app:
            self.assertTrue(wait_for(lambda: written(app) >= 2), app.metrics())
            wanted = lambda: sum(v for n, v in app.metrics().items() if n.startswith("trunkline_events_quarantined")) >= len(bad)
            self.assertTrue(wait_for(wanted), app.metrics())
            self.assertEqual([r["key"] for r in sorted(stand.records(), key=lambda r: r["record"]["sequence"])], [topic, "c-1"])
            parts = {}
            for record in stand.records(QUARANTINE):
                parts.setdefault(record["headers"]["event_id"], []).append(record)
            kept = {b"".join(p["value"] for p in several): several[0]["headers"]["trunkline-reason"] for several in parts.values()}
            expected = {(m if isinstance(m, bytes) else m.encode()): reason for m, reason in bad.items()}
            self.assertEqual({k: v for k, v in kept.items() if len(k) < 1000}, {k: v for k, v in expected.items() if len(k) < 1000})
            self.assertEqual(kept.get(huge.encode()), "too_large", "ten megabytes, in parts, byte for byte")
            self.assertNotIn("held", "".join(app.log).replace("held_", ""), "no payload in the log")

    def test_the_minute_by_minute_close_and_a_token_that_ends_lose_nothing_and_start_no_storm(self):
        # a day takes 288 s: tokens live 300 s / … is the platform's floor, so the scale stays moderate
        with Stand() as stand, Sim("--rate", "300", "--time-scale", "4000") as sim:
            direct = {"url": sim.direct_url, "connections": 1, "expected_lifetime_secs": 8, "dials_per_minute": 60}
            with Trunkline(config(stand, sim.url, genesys__mode="direct", genesys__direct=direct)).wait_ready(40) as app:
                for _ in range(3):
                    time.sleep(1.5)
                    sim.fault("close", args={"code": 1000})
                time.sleep(1)
                counters = sim.counters()
                self.assertEqual(counters["expired_dials"], 0)
                self.assertEqual(counters["rate_limited"], 0)
                self.assertLessEqual(counters["dials"], 12)
                self.assertEqual(app.stop()[0], 0)


    def test_a_connection_is_succeeded_before_the_platform_closes_it(self):
        direct = {"expected_lifetime_secs": 6, "dials_per_minute": 60}
        with tempfile.TemporaryDirectory() as folder:
            settings = pathlib.Path(folder) / "settings.json"
            settings.write_text(json.dumps({"direct_life_ms": 6_000, "direct_dials_per_minute": 60}))
            with Stand() as stand, Sim("--rate", "100", "--settings", settings) as sim:
                tree = config(stand, sim.url, genesys__mode="direct", genesys__direct={**direct, "url": sim.direct_url})
                with Trunkline(tree).wait_ready() as app:
                    first = sim.ledger()[-1]["seq"]
                    time.sleep(30)
                    counters, last = sim.counters(), sim.ledger()[-1]["seq"]
                    self.assertEqual(app.stop()[0], 0)
                self.assertGreaterEqual(sum("direct connection down" in line for line in app.log), 5)
                self.assertEqual((counters["expired_dials"], counters["rate_limited"]), (0, 0))
                self.assertLessEqual(counters["dials"], 18)
                kind = lambda entry: entry["topic"].split(".")[1]
                ledger = sim.ledger()
                carried = {kind(entry) for entry in ledger if entry["delivered"]}
                entries = [entry for entry in ledger if first < entry["seq"] <= last and kind(entry) in carried]
                self.assertGreater(len(entries), 1_000)
                self.assertEqual([entry["seq"] for entry in entries if not entry["delivered"]], [], "somebody always listens")


    def test_what_no_connection_could_hear_is_a_gap_and_comes_back_from_history(self):
        with tempfile.TemporaryDirectory() as folder:
            sim = simulator(folder, "--rate", "100", direct_life_ms=20_000, direct_dials_per_minute=60)
            with Stand() as stand, sim:
                direct = {"expected_lifetime_secs": 20, "dials_per_minute": 60, "url": sim.direct_url}
                tree = config(stand, sim.url, genesys__mode="direct", genesys__direct=direct)
                with Trunkline(tree, env=FAST).wait_ready() as app:
                    self.assertTrue(wait_for(lambda: coverage(app).get("connected_to_ms"), 30), coverage(app))
                    self.assertIsNone(coverage(app).get("proven_to_ms"), "nobody proves anything here")
                    down = time.time()
                    sim.fault("outage", for_ms=6_000)
                    newest = lambda: {raw["record"]["gap_id"]: raw["record"] for raw in stand.records(GAPS)}
                    self.assertTrue(wait_for(lambda: any(g["outcome"] == "reconciled" for g in newest().values()), 120, 1), newest())
                    app.stop()
                (gap,) = [g for g in newest().values() if g["from_time"].timestamp() < down + 6 < g["to_time"].timestamp() + 6]
                self.assertEqual((gap["topic_class"], gap["outcome"]), ("direct", "reconciled"))
                self.assertLess(abs(gap["from_time"].timestamp() - down), 3)
                records = list(stand.records())
                fetched = [raw["record"] for raw in records if raw["record"]["origin"] == "backfill"]
                self.assertEqual({r["gap_id"] for r in fetched}, {gap["gap_id"]})
                then = {row["conversationId"] for row in rows(sim) if active(row, down + 1, down + 5)}
                self.assertGreater(len(then), 10)
                self.assertEqual(then - {raw["record"]["conversation_id"] for raw in records}, set())
                self.assertEqual(then - {record["conversation_id"] for record in fetched}, set())
                self.assertEqual(list(stand.records(CERTIFICATES)), [], "connected is no proof")


class Platform(unittest.TestCase):
    def test_a_refused_secret_is_named_and_ends_with_77(self):
        with Stand() as stand, Sim() as sim:
            tree = config(stand, sim.url, genesys__clients=[{"id": "sim-client", "secret": "WRONG"}])
            with Trunkline(tree) as app:
                self.assertEqual(app.child.wait(15), 77)
                app.reader.join(5)
                text = "".join(app.log)
                self.assertIn("genesys.clients[0] is refused", text)
                self.assertIn("invalid_client", text)
                self.assertNotIn("WRONG", text)

    def test_a_platform_that_is_down_at_the_start_is_waited_for(self):
        with Stand() as stand, Sim("--rate", "100") as sim:
            sim.fault("outage", for_ms=3000)
            with Trunkline(config(stand, sim.url)) as app:
                app.wait_ready(30)
                self.assertTrue(wait_for(lambda: written(app) > 10))

    def test_topics_without_permission_are_named_and_the_rest_goes_on(self):
        with Stand() as stand, Sim("--rate", "100") as sim:
            topics = ["v2.users.nobody.conversations", "v2.routing.queues.nothing.conversations"]
            with Trunkline(config(stand, sim.url, subscriptions__topics=topics)).wait_ready() as app:
                status = json.loads(get(app.admin + "/api/v1/status"))
                self.assertEqual(sorted(r["topic"] for r in status["topics_refused"]), sorted(topics))
                self.assertTrue(wait_for(lambda: written(app) > 10))

    def test_tls_with_a_generated_authority_works_and_an_unknown_one_does_not(self):
        with Stand() as stand:
            with Sim("--tls-ca-out", "/tmp/trunkline-test-ca.pem", "--rate", "50") as sim:
                tree = config(stand, sim.url, genesys__ca_file="/tmp/trunkline-test-ca.pem")
                with Trunkline(tree).wait_ready() as app:
                    self.assertTrue(wait_for(lambda: written(app) > 5))
                with Trunkline(config(stand, sim.url)) as app:
                    refused = lambda: "token_unavailable" in app.codes()
                    self.assertTrue(wait_for(refused), app.log)


class StartUp(unittest.TestCase):
    def ended(self, tree):
        with Trunkline(tree) as app:
            code = app.child.wait(20)
            app.reader.join(5)
            return code, "".join(app.log)

    def test_an_unreachable_broker_ends_with_69(self):
        with Stand() as stand, Sim() as sim:
            code, text = self.ended(config(stand, sim.url, kafka__bootstrap_servers="127.0.0.1:1", kafka__start_timeout_secs=2))
            self.assertEqual(code, 69, text)
            self.assertIn("no broker of 127.0.0.1:1 answers within 2 s", text)

    def test_a_topic_weaker_than_promised_is_refused_unless_allowed(self):
        with Stand() as stand, Sim() as sim:
            code, text = self.ended(config(stand, sim.url, kafka__durability="required"))
            self.assertEqual(code, 65, text)
            self.assertIn("replication factor is 1, needed 3", text)

    def test_a_registry_that_answers_500_ends_with_69(self):
        with Stand() as stand, Sim() as sim:
            stand.obey("registry fail")
            code, text = self.ended(config(stand, sim.url))
            self.assertEqual(code, 69, text)
            self.assertIn("the schema registry at " + stand.registry, text)

    def test_an_incompatible_schema_is_refused_with_a_readable_difference(self):
        with Stand() as stand, Sim() as sim:
            schema = {"type": "record", "name": "ConversationEvent", "namespace": "io.trunkline.genesys.conversation.v1",
                      "fields": [{"name": "event_id", "type": "long"}]}
            body = json.dumps({"schema": json.dumps(schema)}).encode()
            request = urllib.request.Request(f"{stand.registry}/subjects/{EVENTS}-value/versions", data=body,
                                             headers={"content-type": "application/json"}, method="POST")
            urllib.request.urlopen(request, timeout=5)
            code, text = self.ended(config(stand, sim.url))
            self.assertEqual(code, 65, text)
            self.assertIn("- event_id", text)
            self.assertIn("+ event_id", text)

    def test_a_bad_certificate_file_is_named(self):
        with Stand() as stand, Sim() as sim:
            code, text = self.ended(config(stand, sim.url, genesys__ca_file="/etc/hostname"))
            self.assertEqual(code, 65, text)
            self.assertIn("holds no PEM certificate", text)

    def test_logs_into_a_full_disk_do_not_stop_the_service(self):
        with Stand() as stand, Sim("--rate", "100") as sim, open("/dev/full", "w") as full:
            from harness import BINARY
            import pathlib, tempfile
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "c.yaml"
                path.write_text(json.dumps(config(stand, sim.url, admin__listen="127.0.0.1:19464", spool__enabled=False)))
                with Process(BINARY, "run", "--config", path, stderr=full):
                    def ready():
                        try:
                            return get("http://127.0.0.1:19464/readyz")
                        except OSError:
                            return None
                    self.assertTrue(wait_for(ready))


if __name__ == "__main__":
    unittest.main()
