"""The time before a connector covered its topics is read twice and certified; the verifier agrees."""

import json
import pathlib
import sys
import tempfile
import time
import unittest

from harness import CERTIFICATES, EVENTS, GAPS, QUARANTINE, ROOT, STATE, Stand, Trunkline, ask, config, wait_for
from history_harness import FAST, active, command, iso, millis, rows, simulator

sys.path.insert(0, str(ROOT / "scripts"))
from verifier.dump import Dump  # noqa: E402
from verify_certificates import verify  # noqa: E402

KILL = "=return(kill)"


def newest(stand: Stand) -> list[dict]:
    """The newest word about every interval."""
    said = sorted((raw["record"] for raw in stand.records(CERTIFICATES)), key=lambda r: r["revision"])
    return list({(r["topic_class"], r["from_time"]): r for r in said}.values())


def pasts(stand: Stand) -> list[dict]:
    """The newest record of every gap that somebody asked for."""
    found = {raw["record"]["gap_id"]: raw["record"] for raw in stand.records(GAPS)}
    return [gap for gap in found.values() if gap["cause"] == "before_activation"]


class Past(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def judge(self, stand: Stand):
        """What the independent verifier says of everything in the topics."""
        with (self.folder / "records.jsonl").open("w") as out:
            for topic in (EVENTS, QUARANTINE, GAPS, CERTIFICATES, STATE):
                for raw in stand.obey(f"read {topic}"):
                    out.write(json.dumps({"topic": topic, **raw}) + "\n")
        (self.folder / "schemas.json").write_text(json.dumps(stand.obey("schemas")[0]))
        (self.folder / "meta.json").write_text(json.dumps({"events_topic": EVENTS, "quarantine_topic": QUARANTINE, "read_spacing_ms": 1_000}))
        return verify(Dump(str(self.folder)))

    def lengths(self, stand: Stand, activation: float) -> dict:
        """Seconds by class and level before the activation."""
        sums = {}
        for r in newest(stand):
            if r["to_time"].timestamp() <= activation + 0.001:
                key = r["topic_class"], r["level"]
                sums[key] = sums.get(key, 0) + (r["to_time"] - r["from_time"]).total_seconds()
        return sums

    def certified(self, stand: Stand, level: str, began: float, activation: float) -> bool:
        """Whether every class has certificates of this level from the beginning to the activation, without a hole."""
        lengths, classes = self.lengths(stand, activation), {r["topic_class"] for r in newest(stand)}
        return bool(classes) and all(abs(lengths.get((c, level), 0) - (activation - began)) < 0.1 for c in classes)

    def test_a_range_before_the_first_start_is_read_twice_and_certified_though_killed_on_the_way(self):
        with Stand() as stand, simulator(str(self.folder), "--rate", "200") as sim:
            tree = config(stand, sim.url, genesys__requests_per_minute=3000)
            began = round(time.time() - 12, 3)
            words = ("backfill", "--from", iso(began), "--share", "0.5")
            time.sleep(4)
            code, (said,), error = command(tree, *words, "--to", iso(time.time() - 2), "--dry-run")
            self.assertEqual(code, 0, error)
            with Trunkline(tree, env=FAST).wait_ready() as app:
                # coverage begins five seconds after the sockets do
                time.sleep(9)
                words += ("--to", iso(time.time() - 1))
                # a piece is on record, and nothing was read for it
                code, _, error = command(tree, *words, env={"FAILPOINTS": f"state.acked{KILL}"})
                self.assertEqual(code, -9, error)
                self.assertTrue(wait_for(lambda: pasts(stand), 20, 0.5), app.log[-5:])
                self.assertEqual({(gap["state"], gap["reads"]) for gap in pasts(stand)}, {("open", 0)})
                # rows are there, and no reading is
                code, _, error = command(tree, *words, env={"FAILPOINTS": f"bf.page.acked{KILL}"})
                self.assertEqual(code, -9, error)
                code, (said,), error = command(tree, *words, "--dry-run")
                self.assertGreaterEqual(said["requests"], 2, "both readings are priced")
                # one class was read once, and the other one as well as far as anybody knows: that closes nothing
                code, _, error = command(tree, *words, env={"FAILPOINTS": "state.acked=1*off->return(kill)"})
                self.assertEqual(code, -9, error)
                wanted = [json.loads(raw["value"]) for raw in stand.records(STATE) if b'"kind":"wanted"' in raw["value"]]
                activation = min(want["from"] for want in wanted[-1]["topics"].values()) / 1000
                self.assertTrue(wait_for(lambda: self.certified(stand, "OPEN", began, activation), 60, 1), (began, activation, self.lengths(stand, activation)))
                # it troubles nobody: no gap that counts is older than the activation
                self.assertFalse(0 < app.metrics()["trunkline_gap_oldest_open_timestamp_seconds"] < activation - 0.001)
                code, (said,), error = command(tree, *words, "--wait")
                past = said["past"]
                self.assertEqual((code, past["open"], past["partial"], past["next_ms"]), (0, 0, 0, None), error)
                self.assertEqual((past["activated_ms"], past["reconciled"] > 0), (activation * 1000, True))
                self.assertTrue(wait_for(lambda: self.certified(stand, "RECONCILED", began, activation), 60, 1), (began, activation, self.lengths(stand, activation)))
                # nothing is left to do, and nothing is written again
                before = sum(raw["record"]["origin"] == "backfill" for raw in stand.records(EVENTS))
                code, (again,), error = command(tree, *words)
                # what follows the activation may hold an interval that is not certified yet
                self.assertTrue(code == 0 and (again["proven"] is True or again["written"] == 0), (code, again, error))
                app.stop()
            records = [raw["record"] for raw in stand.records(EVENTS) if raw["record"]["origin"] == "backfill"]
            self.assertEqual(len(records), before)
            self.assertEqual(len({record["event_id"] for record in records}), len(records))
            known = {row["conversationId"] for row in rows(sim) if active(row, began, activation - 1)}
            self.assertLessEqual(known, {record["conversation_id"] for record in records})
            gaps = {gap["gap_id"]: gap for gap in pasts(stand)}
            self.assertLessEqual({record["gap_id"] for record in records} - {None}, set(gaps))
            self.assertEqual({gap["outcome"] for gap in gaps.values()}, {"reconciled"})
            for said in newest(stand):
                if said["to_time"].timestamp() <= activation + 0.001:
                    self.assertEqual((said["count_live"], said["epochs"], said["partitions"]), (0, [], []))
                    self.assertTrue(set(said["gap_ids"]) <= set(gaps), said)
                    self.assertGreater(said["count_backfill"], 0)
            report = self.judge(stand)
            self.assertEqual([str(found) for found in report.contradictions], [])
            self.assertGreater(report.figures["certificates_of_the_past"], 10)
            code, lines, error = ask(tree, "coverage", "--from", iso(began), "--to", iso(activation - 0.01))
            self.assertEqual((code, lines[-1]["complete"]), (0, "yes"), error)
            self.assertEqual({(line["level"], line["history_only"]) for line in lines[:-1]}, {("RECONCILED", True)})
            # what lies before anything that was read or heard is not called complete
            code, lines, error = ask(tree, "coverage", "--from", iso(began - 3600), "--to", iso(activation - 0.01))
            answer = lines[-1]
            self.assertEqual((code, answer["complete"], answer["complete_since_known"]), (1, "unknown", "yes"), error)
            self.assertEqual(answer["known_from_ms"], round(began * 1000))
            unknown = [(line["level"], line["from_ms"], line["to_ms"]) for line in lines[:-1] if not line["known"]]
            self.assertEqual(set(unknown), {(None, round((began - 3600) * 1000), round(began * 1000))})
            self.assertEqual(len(unknown), len({line["topic_class"] for line in lines[:-1]}))
            one = next(record for record in records if record["gap_id"])
            code, lines, error = ask(tree, "explain", one["conversation_id"])
            told = next(line for line in lines if line["event_id"] == one["event_id"])
            self.assertEqual(told["certificate"]["level"], "RECONCILED", error)

    def test_a_state_topic_of_another_installation_is_left_alone(self):
        with Stand() as stand, simulator(str(self.folder), "--rate", "20") as sim:
            tree = config(stand, sim.url)
            with Trunkline(tree, env=FAST).wait_ready() as app:
                app.stop()
            before = len(stand.obey(f"read {STATE}"))
            words = ("backfill", "--from", "1h", "--to", iso(time.time() - 1))
            code, _, error = command({**tree, "instance": "other"}, *words)
            self.assertEqual(code, 65, error)
            self.assertIn('belongs to instance "trunkline"', error)
            self.assertEqual(len(stand.obey(f"read {STATE}")), before)


if __name__ == "__main__":
    unittest.main()
