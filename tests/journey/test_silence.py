"""The arithmetic behind the silence table, and the sizes its documents promise."""

import pathlib
import struct
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from silence.figures import Figures, judge, longest, percentile  # noqa: E402
from silence.watermarks import Watermarks, ends, request  # noqa: E402


def answer(topic: bytes, offsets: list[tuple[int, int, int]]) -> bytes:
    head = struct.pack(">iih", 0, 1, len(topic)) + topic + struct.pack(">i", len(offsets))
    return head + b"".join(struct.pack(">ihqq", partition, error, -1, offset) for partition, error, offset in offsets)


class Silence(unittest.TestCase):
    def test_the_longest_silence_is_the_widest_gap_after_the_fault(self):
        self.assertEqual(longest([0.0, 9.0, 10.0, 10.5, 12.5, 13.0], 10.0, 13.0), (2.0, False))

    def test_a_silence_that_lasts_to_the_end_is_said_to_do_so(self):
        self.assertEqual(longest([10.0, 10.5], 10.0, 40.0), (29.5, True))
        self.assertEqual(longest([], 10.0, 40.0), (30.0, True))

    def test_a_silence_that_began_before_the_fault_counts_from_the_fault(self):
        self.assertEqual(longest([1.0, 12.0, 12.1], 10.0, 12.2), (2.0, False))


class Percentile(unittest.TestCase):
    def test_it_is_a_value_that_was_measured(self):
        self.assertEqual(percentile(range(1, 1001), 0.999), 999)
        self.assertEqual(percentile([3, 1, 2], 0.999), 3)
        self.assertEqual(percentile([7], 0.5), 7)

    def test_nothing_measured_is_no_value(self):
        self.assertIsNone(percentile([], 0.999))


class Judging(unittest.TestCase):
    sent = {("t", "early"): 1.0, ("t", "a"): 10.0, ("t", "b"): 11.0, ("t", "c"): 12.0, ("t", "under way"): 19.9}

    def test_events_from_the_fault_to_shortly_before_the_end_are_missed_or_late(self):
        found = judge(self.sent, {("t", "a"): 10.25, ("t", "c"): 12.5}, 10.0, 20.0)
        self.assertEqual((found.missed, found.late), (1, 0.5))

    def test_the_same_body_on_another_topic_is_another_event(self):
        self.assertEqual(judge({("t", "a"): 10.0}, {("u", "a"): 10.1}, 10.0, 20.0).missed, 1)

    def test_a_cell_says_what_cannot_be_known(self):
        self.assertEqual(Figures(0, 0.038, False, 0.0134).cell(), "0 / 0.04 s / 13 ms")
        self.assertEqual(Figures(3230, 39.6, True, None).cell(), "3,230 / > 40 s / –")


class Visibility(unittest.TestCase):
    def test_the_ends_of_partitions_are_read_and_errors_left_out(self):
        self.assertEqual(ends(answer(b"topic", [(0, 0, 7), (1, 6, 0), (2, 0, 9)])), {0: 7, 2: 9})

    def test_a_request_says_its_own_length(self):
        text = request("topic", 3)
        self.assertEqual(struct.unpack_from(">i", text)[0], len(text) - 4)

    def test_a_record_can_be_read_since_the_first_end_behind_it(self):
        marks = Watermarks.__new__(Watermarks)
        marks.steps = {0: ([0, 3, 5], [0.0, 1.5, 2.5])}
        self.assertEqual([marks.since(0, offset) for offset in range(5)], [1.5, 1.5, 1.5, 2.5, 2.5])


class Handlers(unittest.TestCase):
    def test_the_corrected_handler_is_as_short_as_promised(self):
        text = (ROOT / "docs" / "examples" / "node-reconnect" / "handler.mjs").read_text()
        self.assertLessEqual(len(text.splitlines()), 80)


if __name__ == "__main__":
    unittest.main()
