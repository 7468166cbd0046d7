"""History of a time that nobody heard is published; what sockets prove is left out."""

import pathlib
import tempfile
import time
import unittest

from harness import CERTIFICATES, EVENTS, Stand, Trunkline, config, wait_for
from history_harness import FAST, active, command, iso, millis, rows, simulator


def proven(stand: Stand) -> list[dict]:
    """Newest words of the only class about its intervals, where they are LIVE."""
    said = sorted((raw["record"] for raw in stand.records(CERTIFICATES)), key=lambda r: r["revision"])
    newest = {r["from_time"]: r for r in said}
    return [r for r in newest.values() if r["level"].startswith("LIVE")]


def length(certificates: list[dict]) -> float:
    return sum((r["to_time"] - r["from_time"]).total_seconds() for r in certificates)


class Backfill(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def written(self, stand: Stand) -> list[dict]:
        return [raw["record"] for raw in stand.records(EVENTS) if raw["record"]["origin"] == "backfill"]

    def test_a_range_before_the_first_start_is_published_once(self):
        with Stand() as stand, simulator(self.folder.name, "--rate", "300") as sim:
            tree = config(stand, sim.url)
            began = time.time() - 3600
            time.sleep(6)
            end = time.time() - 3
            words = ("backfill", "--from", iso(began), "--to", iso(end), "--share", "1")
            code, (price,), error = command(tree, *words, "--dry-run")
            self.assertEqual((code, price["dry_run"]), (0, True), error)
            self.assertEqual(list(stand.records(EVENTS)), [], "a dry run writes nothing")
            wanted = {row["conversationId"] for row in rows(sim) if active(row, began, end)}
            # killed when the first page is there and nobody has noted it
            words += ("--resume", pathlib.Path(self.folder.name) / "state")
            code, _, error = command(tree, *words, env={"FAILPOINTS": "bf.page.acked=return(kill)"})
            interrupted = len(self.written(stand))
            self.assertEqual((code, interrupted > 0), (-9, True), error)
            code, (said,), error = command(tree, *words)
            self.assertEqual((code, said["proven"], said["proven_ms"]), (0, 0, 0), error)
            records = self.written(stand)
            self.assertEqual({record["conversation_id"] for record in records}, wanted)
            self.assertEqual(len({record["event_id"] for record in records}), len(records))
            self.assertEqual(len(records), interrupted + said["written"])
            self.assertEqual({(r["gap_id"], r["epoch_id"], r["event_type"]) for r in records}, {(None, None, "conversation.history")})

    def test_conversations_that_sockets_heard_from_start_to_end_are_left_out(self):
        with Stand() as stand, simulator(self.folder.name, "--rate", "300") as sim:
            tree = config(stand, sim.url)
            began = time.time() - 3600
            time.sleep(2)
            with Trunkline(tree, env=FAST).wait_ready() as app:
                joined = time.time()
                self.assertTrue(wait_for(lambda: length(proven(stand)) > 15, 90, 1), app.log[-5:])
                app.stop()
            time.sleep(3)
            end = time.time() - 0.5
            known = {row["conversationId"]: row for row in rows(sim) if active(row, began, end)}
            code, (said,), error = command(tree, "backfill", "--from", iso(began), "--to", iso(end), "--share", "1")
            self.assertEqual(code, 0, error)
            self.assertAlmostEqual(said["proven_ms"] / 1000, length(proven(stand)), places=2)
            self.assertGreater(said["proven"], 0)
            published = {record["conversation_id"] for record in self.written(stand)}
            left_out = set(known) - published
            # one that spans the activation is read, and left out, on both sides of it
            self.assertTrue(0 <= said["proven"] - len(left_out) <= len(left_out), (len(left_out), said))
            last = max(r["to_time"].timestamp() for r in proven(stand))
            for conversation in left_out:
                row = known[conversation]
                self.assertGreaterEqual(millis(row["conversationStart"]), (joined - 3) * 1000)
                self.assertLessEqual(millis(row["conversationEnd"]), last * 1000)
            early = {id for id, row in known.items() if millis(row["conversationStart"]) < (joined - 3) * 1000}
            self.assertLessEqual(early, published)

            # a range of which everything is proven costs nothing
            inside = sorted((r["from_time"].timestamp(), r["to_time"].timestamp()) for r in proven(stand))
            middle = (inside[0][1] + inside[-1][0]) / 2
            before = sim.counters()["requests"]
            code, (said,), error = command(tree, "backfill", "--from", iso(middle - 1), "--to", iso(middle))
            self.assertEqual((code, said["proven"]), (0, True), error)
            self.assertEqual(sim.counters()["requests"], before)

    def test_bad_input_is_named_with_what_is_allowed(self):
        with Stand() as stand, simulator(self.folder.name, "--rate", "10") as sim:
            tree = config(stand, sim.url)
            for words, code, said in [
                (["--from", "1h", "--to", "2h"], 64, "is not before --to"),
                (["--from", "31d"], 64, "history reaches back 30 days"),
                (["--to", iso(time.time() + 60)], 64, "allowed: up to now"),
                (["--share", "1.5"], 64, "--share is 1.5; allowed: above 0, up to 1"),
            ]:
                with self.subTest(words):
                    found, lines, error = command(tree, "backfill", *words)
                    self.assertEqual((found, lines), (code, []), error)
                    self.assertIn(said, error)
            broken = {**tree, "kafka": {**tree["kafka"], "certificates_topic": "no.such.topic"}}
            code, _, error = command(broken, "backfill")
            self.assertEqual(code, 65, error)
            self.assertIn("kafka.certificates_topic is no.such.topic", error)


if __name__ == "__main__":
    unittest.main()
