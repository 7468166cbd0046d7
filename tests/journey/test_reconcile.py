"""What a warehouse lacks is found, priced, and published once, across kills."""

import json
import os
import pathlib
import pty
import subprocess
import tempfile
import time
import unittest

from harness import BINARY, EVENTS, Stand, config
from history_harness import FAST, active, command, heard, iso, rows, simulator

EVENTS_HEARD = 600


class Reconcile(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name: str, text: str = "") -> pathlib.Path:
        path = pathlib.Path(self.folder.name) / name
        if text:
            path.write_text(text)
        return path

    def restored(self, stand: Stand) -> list[dict]:
        return [raw["record"] for raw in stand.records(EVENTS) if raw["record"]["origin"] == "reconcile"]

    def test_what_is_missing_is_listed_without_personal_data_and_published_once(self):
        flags = ("--rate", "400", "--events", str(EVENTS_HEARD), "--wait-for-channels", "2")
        with Stand() as stand, simulator(self.folder.name, *flags) as sim:
            began = time.time() - 3600
            tree = heard(stand, sim, EVENTS_HEARD)
            time.sleep(3)
            end = time.time() - 0.5
            conversations = sorted(row["conversationId"] for row in rows(sim) if active(row, began, end))
            self.assertGreater(len(conversations), 20)
            have, missing = conversations[::2], set(conversations[1::2])
            ids = self.file("ids", "".join(f'"{id.upper()}"\r\n' for id in have))
            words = ("reconcile", "--have", ids, "--from", iso(began), "--to", iso(end), "--share", "1")

            code, (price,), error = command(tree, *words, "--dry-run", "--repair")
            self.assertEqual((code, price["dry_run"], price["conversations"]), (0, True, len(have)), error)
            before = sim.counters()["requests"]
            code, lines, error = command(tree, *words)
            self.assertEqual((code, {line["conversation_id"] for line in lines[:-1]}), (1, missing), error)
            self.assertEqual(set(lines[0]), {"conversation_id", "start_ms", "end_ms", "media", "queues"})
            self.assertTrue(all(line["media"] and line["start_ms"] for line in lines[:-1]))
            said = lines[-1]
            self.assertEqual((said["missing"], said["have"], said["written"]), (len(missing), len(have), 0))
            self.assertEqual(said["requests"], sim.counters()["requests"] - before, "every request is counted")
            self.assertEqual(self.restored(stand), [])

            code, lines, error = command(tree, *words, "--repair")
            self.assertEqual((code, lines[-1]["missing"]), (0, len(missing)), error)
            written = self.restored(stand)
            self.assertEqual({record["conversation_id"] for record in written}, missing)
            self.assertEqual(len(written), lines[-1]["written"])
            self.assertEqual({(record["gap_id"], record["epoch_id"]) for record in written}, {(None, None)})

            code, lines, error = command(tree, *words, "--repair")
            self.assertEqual((code, lines[-1]["written"]), (0, 0), error)
            self.assertGreater(lines[-1]["already_there"], 0)
            self.assertEqual(len(self.restored(stand)), len(written), "nothing is written twice")

            everything = "\n".join(conversations)
            code, lines, error = command(tree, "reconcile", "--have", "-", *words[3:], stdin=everything)
            self.assertEqual((code, len(lines), lines[-1]["missing"]), (0, 1, 0), error)

    def test_a_killed_one_goes_on_where_it_was_and_ends_like_an_undisturbed_one(self):
        flags = ("--rate", "400", "--events", str(EVENTS_HEARD), "--wait-for-channels", "2")
        with Stand() as stand, simulator(self.folder.name, *flags) as sim:
            tree = heard(stand, sim, EVENTS_HEARD)
            time.sleep(3)
            end = time.time()
            missing = {row["conversationId"] for row in rows(sim) if active(row, end - 4 * 86_400, end)}
            none, state = self.file("none", "\n"), self.file("state")
            words = ["reconcile", "--have", none, "--from", iso(end - 4 * 86_400), "--to", iso(end), "--share", "1",
                     "--repair", "--resume", state]
            # killed when its second part is read, and again when the first page of rows is on its way
            code, _, error = command(tree, *words, env={"FAILPOINTS": "bf.page.acked=1*off->return(kill)"})
            self.assertEqual(code, -9, error)
            first = json.loads(state.read_text())
            self.assertEqual((first["done"], self.restored(stand)), (1, []))
            left = len(first["parts"]) - 1
            self.assertGreaterEqual(left, 4)
            code, _, _ = command(tree, *words, env={"FAILPOINTS": "bf.page.acked=3*off->return(kill)"})
            self.assertEqual(code, -9)
            interrupted = self.restored(stand)
            self.assertGreater(len(interrupted), 0, "the page was there, and nobody had noted it")
            self.assertLess(json.loads(state.read_text())["done"], len(first["parts"]))

            code, lines, error = command(tree, *words)
            self.assertEqual((code, {line["conversation_id"] for line in lines[:-1]}), (0, missing), error)
            written = self.restored(stand)
            self.assertEqual({record["conversation_id"] for record in written}, missing)
            self.assertEqual(len({record["event_id"] for record in written}), len(written), "nothing is written twice")
            before = sim.counters()["requests"]
            again, same, _ = command(tree, *words)
            self.assertEqual((again, same), (0, lines))
            self.assertLess(sim.counters()["requests"] - before, 4, "what is done is not read again")

            for change, said in [(["--from", "3d"], "--from"), (["--have", self.file("one", "0" * 8 + "-0000-0000-0000-" + "0" * 12)], "--have")]:
                words_now = [change[1] if i and words[i - 1] == change[0] else word for i, word in enumerate(words)]
                code, _, error = command(tree, *words_now)
                self.assertEqual(code, 64, error)
                self.assertIn("--resume: the file was begun with another value of", error)
                self.assertIn(said, error)

    def test_it_keeps_to_its_part_of_the_budget_and_shows_its_progress_on_a_terminal(self):
        with Stand() as stand, simulator(self.folder.name, "--rate", "10", job_takes_ms=50) as sim:
            tree = config(stand, sim.url, genesys__requests_per_minute=100)
            end = time.time()
            words = ["reconcile", "--have", self.file("none", "\n"), "--from", iso(end - 4 * 86_400), "--to", iso(end), "--share", "0.5"]
            code, (price,), _ = command(tree, *words, "--dry-run")
            self.assertEqual((code, price["requests_per_minute"]), (0, 50))
            path = self.file("trunkline.yaml", json.dumps(tree))
            ours, theirs = pty.openpty()
            before, started = sim.counters()["requests"], time.monotonic()
            run = subprocess.run([BINARY, *words, "--config", path], stdout=subprocess.PIPE, stderr=theirs, env=FAST, timeout=120)
            seconds, sent = time.monotonic() - started, sim.counters()["requests"] - before
            os.close(theirs)
            drawn = os.read(ours, 1 << 16).decode()
            os.close(ours)
            self.assertEqual(run.returncode, 1, drawn)
            self.assertIn("parts", drawn)
            # three tenths at once, then six tenths a minute: half of a hundred
            self.assertGreater(sent, 18)
            self.assertGreaterEqual(seconds, (sent - 16) / 0.5 - 1, f"{sent} requests")
            self.assertEqual(sim.counters()["rate_limited"], 0)

    def test_bad_input_is_named_with_what_is_allowed(self):
        with Stand() as stand, simulator(self.folder.name, "--rate", "10") as sim:
            tree = config(stand, sim.url)
            good = self.file("good", "\n")
            later = iso(time.time() + 3600)
            for words, code, said in [
                (["--have", good, "--from", "1h", "--to", "2h"], 64, "--from ("),
                (["--have", good, "--from", "1h", "--to", later], 64, "allowed: up to now"),
                (["--have", good, "--from", "40d"], 64, "history reaches back 30 days"),
                (["--have", good, "--from", "0s"], 64, "--from ("),
                (["--have", good, "--from", "last week"], 64, '--from is "last week"; allowed'),
                (["--have", good, "--share", "0"], 64, "--share is 0; allowed: above 0, up to 1"),
                (["--have", "/no/such/file"], 65, "--have is /no/such/file: "),
                (["--have", self.file("odd", "conversation\n")], 65, "line 1 is no conversation id; allowed: one id a line"),
                (["--have", good, "--resume", "/no/such/folder/f"], 65, "--resume is /no/such/folder/f: it cannot be written"),
                (["--have", good, "--resume", self.file("x", "[]")], 65, "not written by this command"),
            ]:
                with self.subTest(words):
                    found, lines, error = command(tree, "reconcile", *words)
                    self.assertEqual((found, lines), (code, []), error)
                    self.assertIn(said, error)
            self.assertEqual(sim.counters()["requests"], 0, "refused before anything is asked")
        with Stand() as stand, simulator(self.folder.name, missing_permissions=["analytics:conversationDetail:view"]) as sim:
            code, _, error = command(config(stand, sim.url), "reconcile", "--have", good)
            self.assertEqual(code, 77, error)
            self.assertIn("analytics:conversationDetail:view", error)


if __name__ == "__main__":
    unittest.main()
