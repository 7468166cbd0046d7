"""What lies in the quarantine is tried once more, and never written twice."""

import unittest

from harness import EVENTS, QUARANTINE, FrameServer, Sim, Stand, Trunkline, ask, config, wait_for

TOPIC = "v2.routing.queues.q.conversations"
ENVELOPE = '{"topicName":"%s","version":"2","eventBody":%s}'
BROKEN = ["no JSON at all", b"\x00\x01binary", ENVELOPE % (TOPIC, '{"id":7}')]
# one record fits into no limit of 10,000 bytes, the other is quarantined in parts as well
LONG = [ENVELOPE % (TOPIC, '{"id":"%s","participants":[],"note":"%s"}' % (name, "x" * size)) for name, size in (("c-1", 11_000), ("c-2", 40_000))]


def quarantined(app: Trunkline) -> float:
    return sum(value for name, value in app.metrics().items() if name.startswith("trunkline_events_quarantined"))


class Replay(unittest.TestCase):
    def fill(self, stand: Stand, sim: Sim) -> dict:
        """Quarantines all of them, under a limit that two of them exceed."""
        server = FrameServer([*BROKEN, *LONG])
        self.addCleanup(server.close)
        direct = {"url": server.url, "connections": 1}
        small = config(stand, sim.url, genesys__mode="direct", genesys__direct=direct, kafka__max_record_bytes=10_000)
        with Trunkline(small).wait_ready() as app:
            self.assertTrue(wait_for(lambda: quarantined(app) >= len(BROKEN) + len(LONG)), app.metrics())
            self.assertEqual(app.stop()[0], 0)
        return small

    def test_what_is_understood_now_is_written_once_under_the_id_it_had(self):
        with Stand() as stand, Sim() as sim:
            small = self.fill(stand, sim)
            held = {raw["headers"]["event_id"]: raw["headers"] for raw in stand.records(QUARANTINE)}
            wanted = {id for id, headers in held.items() if headers["trunkline-reason"] == "too_large"}
            self.assertEqual(len(wanted), 2)
            self.assertEqual(list(stand.records(EVENTS)), [])
            left = {"malformed": 1, "binary": 1, "bad_body": 1}

            # under the old limit nothing has changed
            code, (said,), _ = ask(small, "quarantine", "replay", "--dry-run")
            self.assertEqual((code, said["understood"], said["left"]), (0, 0, {**left, "too_large": 2}))

            settings = config(stand, sim.url)
            code, (said,), _ = ask(settings, "quarantine", "replay", "--dry-run")
            self.assertEqual((code, said["understood"], said["left"], said["dry_run"]), (0, 2, left, True))
            self.assertEqual(list(stand.records(EVENTS)), [], "a dry run writes nothing")

            one = next(iter(wanted))
            code, (said,), _ = ask(settings, "quarantine", "replay", "--id", one)
            self.assertEqual((code, said["understood"], said["left"]), (0, 1, {}))
            code, (said,), error = ask(settings, "quarantine", "replay", "--reason", "too_large", "--reason", "binary")
            self.assertEqual((code, said["understood"], said["already_there"], said["left"]), (0, 1, 1, {"binary": 1}), error)
            code, (said,), _ = ask(settings, "quarantine", "replay")
            self.assertEqual((code, said["understood"], said["already_there"], said["left"]), (0, 0, 2, left))

            written = [raw["record"] for raw in stand.records(EVENTS)]
            self.assertEqual({record["event_id"] for record in written}, wanted)
            self.assertEqual(len(written), 2)
            for record in written:
                self.assertEqual(record["origin"], "replay")
                headers = held[record["event_id"]]
                self.assertEqual(record["epoch_id"], headers["trunkline-epoch"])
                self.assertEqual(round(record["received_at"].timestamp() * 1000), int(headers["trunkline-received-at"]))
            self.assertEqual({(record["conversation_id"], record["payload"]) for record in written},
                             {(name, text[text.index('"eventBody":') + 12:-1]) for name, text in zip(("c-1", "c-2"), LONG)})

    def test_bad_input_is_named_with_what_is_allowed(self):
        with Stand() as stand, Sim() as sim:
            settings = config(stand, sim.url)
            for words, code, said in [
                (["--id", "7"], 64, '--id is "7"; allowed: 32 hexadecimal digits'),
                (["--reason", "ugly"], 64, '--reason is "ugly"; allowed: malformed, no_envelope'),
                (["--from", "soon"], 64, '--from is "soon"; allowed'),
                (["--from", "1h", "--to", "2h"], 64, "--from (1h) is not before --to (2h)"),
            ]:
                with self.subTest(words):
                    found, _, error = ask(settings, "quarantine", "replay", *words)
                    self.assertEqual(found, code)
                    self.assertIn(said, error)
            code, (said,), _ = ask(settings, "quarantine", "replay", "--id", "0" * 32)
            self.assertEqual((code, said["not_in_quarantine"]), (1, ["0" * 32]))
            settings = config(stand, sim.url, kafka__quarantine_topic="no.such.topic")
            code, _, error = ask(settings, "quarantine", "replay")
            self.assertEqual(code, 65, error)
            self.assertIn("kafka.quarantine_topic is no.such.topic: there is no such topic", error)


if __name__ == "__main__":
    unittest.main()
