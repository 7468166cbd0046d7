"""Certificates of the time before a class was covered first, and lies about them."""

import unittest

from case import WorldCase
from builder import HOUR, MARGIN, MINUTE, SECOND, at
from world import E1, GAP2, START, reading

PAST, SPAN = "90" * 16, (at(98, 30), START)
READ, CLOSED = at(132), at(134)
HOURS = [(at(98, 30), at(99)), (at(99), at(100)), (at(100), START)]


class Past(WorldCase):
    """Somebody asked on the day after for the hour and a half before the activation."""

    def setUp(self):
        super().setUp()
        self.world.happens(at(99, 10), delivered=False)
        self.world.ledger[-1]["covered"] = False  # no topic was wanted then
        self.restored = self.world.restored("early", PAST, READ + MINUTE, at(99, 10) - SECOND)

    def reads(self, second="alike", apart=HOUR, mark=START + MARGIN):
        return [reading("jobs", READ, "alike", mark), reading("jobs", READ + apart, second, mark)]

    def ask(self, reads=None, outcome="reconciled", span=SPAN):
        closed = CLOSED if outcome else None
        reads = self.reads() if reads is None else reads
        return self.world.gap(PAST, *span, reads, outcome, closed, when=CLOSED, cause="before_activation")

    def say(self, span, level="RECONCILED", **fields):
        fields = {"epochs": [], "gaps": [PAST], "history_watermark": START + MARGIN, "closed_at": CLOSED, **fields}
        epochs, gaps = fields.pop("epochs"), fields.pop("gaps")
        return self.world.certify(CLOSED + MINUTE, *span, level, epochs, gaps, **fields)

    def certified(self):
        self.ask()
        return [self.say(span) for span in HOURS]

    def test_what_two_readings_agree_on_is_reconciled(self):
        self.certified()
        report = self.assert_agrees()
        self.assertEqual(report.figures["certificates_of_the_past"], 3)

    def test_what_was_asked_for_and_not_read_twice_is_open(self):
        self.ask(self.reads()[:1], outcome=None)
        for span in HOURS:
            self.say(span, "OPEN", closed_at=None)
        self.assert_agrees()

    def test_a_class_is_certified_before_its_activation_only_where_somebody_asked(self):
        self.certified().pop(1)
        self.world.topics["certificates"].pop(-2)
        self.assert_agrees()

    def test_a_record_of_the_seconds_of_joining_is_in_no_certificate(self):
        self.certified()
        self.world.heard(START - 2 * SECOND, E1, appended=at(106, 8))
        self.assert_agrees()

    def test_live_before_anything_was_wanted(self):
        self.ask()
        lie = self.say(HOURS[1], "LIVE_SINGLE", epochs=[E1])
        self.assert_named(lie, "epochs", "no claim of theirs")

    def test_a_record_counted_before_anything_was_wanted(self):
        self.certified()[2].value["count_live"] = 1
        self.assert_named(self.world.topics["certificates"][-1], "count_live", "0 in its partitions")

    def test_more_rows_than_history_gave(self):
        lie = self.certified()[1]
        lie.value["count_backfill"] += 1
        self.assert_named(lie, "count_backfill", "1")

    def test_a_time_that_nobody_asked_for(self):
        self.certified()
        lie = self.say((at(97), at(98)))
        self.assert_named(lie, "gap_ids", "neither claimed nor in one of them")

    def test_a_certificate_that_reaches_over_the_activation(self):
        self.certified()
        said = self.said(100, 1)
        live = next(r for r in self.world.topics["certificates"] if r.value["level"] == "LIVE_DUAL")
        self.assertIs(said, live)
        live.value["from_time"] -= MINUTE
        live.key = f"{live.key.rsplit('/', 1)[0]}/{live.value['from_time']}"
        self.assert_named(live, "from_time", "it reaches over the activation")

    def test_certificates_that_overlap(self):
        self.certified()
        lie = self.say((at(98, 45), at(99)))
        self.assert_named(lie, "from_time", "an overlap")

    def test_an_end_behind_the_activation(self):
        lie = self.ask(self.reads(mark=START + HOUR), span=(SPAN[0], START + MINUTE))
        self.assert_named(lie, "to_time", "its class was activated at")

    def test_a_past_that_sockets_are_said_to_have_covered(self):
        lie = self.ask(outcome="covered")
        self.assert_named(lie, "outcome", "before_activation")

    def test_readings_that_differ(self):
        lie = self.ask(self.reads(second="another"))
        self.assert_named(lie, "outcome", "no two equal readings")

    def test_readings_too_close_to_each_other(self):
        lie = self.ask(self.reads(apart=HOUR - SECOND))
        self.assert_named(lie, "outcome", "no two equal readings")

    def test_an_outage_called_a_past(self):
        self.certified()
        lie = next(r for r in self.world.topics["gaps"] if r.value["gap_id"] == GAP2)
        lie.value["cause"] = "before_activation"
        self.assert_named(lie, "to_time", "its class was activated at")

    def test_a_past_called_an_outage(self):
        self.certified()
        self.world.topics["gaps"][-1].value["cause"] = "close"
        self.assert_named(self.world.topics["gaps"][-1], "cause", "before_activation")


if __name__ == "__main__":
    unittest.main()
