"""The judge sees what is planted."""

import unittest

import world  # noqa: F401 - where modules are found
import judge  # noqa: E402 - isort: skip
from watch import Look, tell

MADE = {name: (seq, seq * 10) for seq, name in enumerate("abcdef", 1)}
SPANS = [(0, 35), (35, 100)]


def counted(names: str):
    (one, two), invented = judge.count(MADE, [(name, "epoch") for name in names], SPANS)
    return one, two, invented


class Judge(unittest.TestCase):
    def test_a_whole_stream_is_whole(self):
        one, two, invented = counted("abcdef")
        self.assertEqual((one, two, invented), (judge.Account(3), judge.Account(3), []))

    def test_what_is_missing_is_lost_where_it_was_generated(self):
        one, two, _ = counted("acdef")
        self.assertEqual((one.lost, two.lost), (1, 0))

    def test_copies_are_counted_and_do_not_disorder(self):
        one, two, _ = counted("abcabcdefff")
        self.assertEqual((one.repeats, two.repeats, one.inversions, two.inversions), (3, 2, 0, 0))

    def test_an_earlier_one_behind_a_later_one_is_an_inversion(self):
        one, two, _ = counted("abcdfe")
        self.assertEqual((one.inversions, two.inversions), (0, 1))

    def test_what_nobody_generated_is_told(self):
        self.assertEqual(counted("abcdefz")[2], ["z"])


class Metrics(unittest.TestCase):
    """Looks a second apart; acknowledgements stop from 10 to 30."""

    def looks(self, waits, ready=True):
        return [Look(at, 100 * min(at, 10) + 100 * max(0, at - 30), 100 * at, waits(at), ready, 1, 0) for at in range(60)]

    def true(self, at):
        return at - 10 if 10 < at <= 30 else 0

    def test_a_stall_and_its_end_are_measured(self):
        told = tell(self.looks(self.true), 5, 28)
        self.assertEqual((told.longest, told.first_ack, told.untrue), (21, 3, []))

    def test_a_gauge_that_hides_a_stall_is_untrue(self):
        self.assertIn("oldest event waits", tell(self.looks(lambda at: 0), 5, 28).untrue[0])

    def test_a_stream_that_is_no_longer_heard_is_told(self):
        deaf = [Look(at, 100, 100, 0, True, 1, 0) for at in range(100)]
        self.assertIn("nothing was heard", tell(deaf, 5, 28).untrue[0])


if __name__ == "__main__":
    unittest.main()
