"""The judge on losses that are planted."""

import json
import unittest

from judge import judge, meaning, recovery
from run import broken

TOPIC, CLASS = "v2.users.00000000-0000-4000-8000-000000000001.conversations", "v2.users.{id}.conversations"
ORIGIN = 1_800_000_000_000


def body(conversation: str, second: int) -> str:
    return json.dumps({"id": conversation, "at": f"2027-01-15T08:00:{second:02}.000Z"})


def ledger(count: int, unheard=()) -> list[dict]:
    return [
        {"seq": n, "at_ms": n * 1000, "topic": TOPIC, "conversation_id": "c", "body": body("c", n), "delivered": [] if n in unheard else [1]}
        for n in range(1, count + 1)
    ]


def record(n: int, **rest) -> dict:
    return {"topic": TOPIC, "payload": body("c", n), "conversation_id": "c", "event_id": f"id-{n}", **rest}


def gap(start: int, end: int | None, **rest) -> dict:
    bounds = {"from_time": ORIGIN + start * 1000, "to_time": end and ORIGIN + end * 1000}
    return {"gap_id": "g", "topic_class": CLASS, "topics": [], "outcome": None, **bounds, **rest}


def said(entries, records, gaps=()) -> dict:
    """The figures that are not 0."""
    return {name: count for name, count in judge(entries, records, list(gaps), ORIGIN).items() if count}


class Judge(unittest.TestCase):
    def test_everything_there_is_nothing_to_say(self):
        self.assertEqual(said(ledger(5), [record(n) for n in range(1, 6)]), {"events": 5})

    def test_a_record_that_is_missing_is_silent_whether_it_was_on_a_socket_or_not(self):
        there = [record(n) for n in (1, 2, 5)]
        self.assertEqual(said(ledger(5, unheard=[4]), there), {"events": 5, "wire": 1, "unwritten": 1, "silent": 2})

    def test_a_gap_declares_its_time_its_class_and_no_more(self):
        there, entries = [record(1), record(5)], ledger(5, unheard=[2, 3, 4])
        for name, declared, gaps in (
            ("its time", 2, [gap(2, 3)]), ("to the end", 3, [gap(2, None)]), ("another class", 0, [gap(2, 4, topic_class="v2.x")]),
            ("all of a direct URL", 3, [gap(2, 4, topic_class="direct")]), ("other topics", 0, [gap(2, 4, topics=["v2.users.other"])]),
            ("what is reconciled declares nothing", 0, [gap(2, 4, outcome="reconciled")]), ("partial", 3, [gap(2, 4, outcome="partial")]),
        ):
            with self.subTest(name):
                found = judge(entries, there, gaps, ORIGIN)
                self.assertEqual((found["declared"], found["silent"]), (declared, 3 - declared))

    def test_history_repairs_what_is_no_newer_than_it(self):
        rows = [record(1), record(3, origin="backfill")]
        self.assertEqual(said(ledger(4, unheard=[2, 3, 4]), rows), {"events": 4, "wire": 3, "repaired": 2, "silent": 1})

    def test_a_repeat_under_one_id_and_one_under_two(self):
        copies = [record(1), record(1), record(2), {**record(2), "event_id": "other"}]
        self.assertEqual(said(ledger(2), copies), {"events": 2, "repeats": 2, "duplicates": 1})

    def test_order_counts_within_a_conversation_and_by_first_records(self):
        self.assertEqual(said(ledger(3), [record(1), record(3), record(2), record(1)]), {"events": 3, "repeats": 1, "reordered": 1, "inversions": 1})
        other = {**ledger(1)[0], "seq": 2, "conversation_id": "d", "body": body("d", 2)}
        swapped = [{**record(2), "payload": body("d", 2), "conversation_id": "d"}, record(1)]
        self.assertEqual(said([ledger(1)[0], other], swapped), {"events": 2})

    def test_order_across_coverages_is_told_apart(self):
        two = [record(1, epoch_id="a"), record(3, epoch_id="b"), record(2, epoch_id="a")]
        self.assertEqual(said(ledger(3), two), {"events": 3, "reordered": 1})
        plain = [record(1, epoch_id="a"), record(3, epoch_id="a"), record(2, epoch_id="a")]
        self.assertEqual(said(ledger(3), plain), {"events": 3, "reordered": 1, "inversions": 1})

    def test_json_that_is_printed_in_another_way_means_the_same(self):
        self.assertEqual(meaning("t", '{"a":1.0,"b":"\\u00e9"}'), meaning("t", '{ "b": "é", "a": 1 }'))
        for other in ('{"a":1.5,"b":"é"}', '{"a":1,"b":"e"}'):
            self.assertNotEqual(meaning("t", '{"a":1,"b":"é"}'), meaning("t", other))
        self.assertNotEqual(meaning("t", "{}"), meaning("u", "{}"))


class Recovery(unittest.TestCase):
    def test_the_end_of_the_longest_pause_counts(self):
        steady = [n / 10 for n in range(300)]
        self.assertEqual(recovery(steady, 5, 29), 0)
        self.assertAlmostEqual(recovery([at for at in steady if not 6 < at < 9 and not 12 < at < 14], 5, 29), 4)
        self.assertIsNone(recovery([at for at in steady if at < 6], 5, 29), "it never came back")


class Promises(unittest.TestCase):
    def test_only_trunkline_is_held_to_them(self):
        fine, silent = dict.fromkeys(("silent", "duplicates", "inversions"), 0), {"silent": 3, "duplicates": 0, "inversions": 0}
        result = {"fault": "reset", "pass": 1, "systems": {"trunkline-one": fine, "python": silent}}
        self.assertEqual(broken([result]), [])
        self.assertEqual(len(broken([{**result, "systems": {"trunkline-two": silent}}])), 1)
        self.assertEqual(len(broken([{**result, "systems": {"trunkline-one": {"not_run": "it ended"}}}])), 1)


if __name__ == "__main__":
    unittest.main()
