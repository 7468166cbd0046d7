"""What is rarer: shapes of single records, facts that are missing, what is allowed on purpose."""

import unittest

from case import WorldCase
from builder import CLASS, MARGIN, MINUTE, SECOND, TOPIC, at
from world import CLOSED, E1, E3, E4, GAP2, GAP2_SPAN, reading


class Shapes(WorldCase):
    def test_a_certificate_or_gap_that_is_no_record(self):
        for role in ("certificates", "gaps"):
            with self.subTest(role):
                self.setUp()
                self.world.topics[role][-1].value = b"\0\0\0\0\3\2"
                self.assert_named(self.world.topics[role][-1], "value")

    def test_a_certificate_that_ends_before_it_begins_or_has_a_level_of_its_own(self):
        for name, value in (("to_time", at(105)), ("level", "FINE")):
            with self.subTest(name):
                self.setUp()
                self.said(105).value[name] = value
                self.assert_named(self.said(105), name)

    def test_gap_records_whose_fields_contradict_each_other(self):
        lies = (
            (1, {"state": "closed"}, "state", "open: to_time"), (1, {"state": "growing"}, "state", "open: to_time"),
            (1, {"to_time": GAP2_SPAN[0]}, "to_time", "from_time"), (2, {"outcome": "fine"}, "outcome", "no such outcome"),
            (2, {"reads": 1}, "reads", "which takes two"), (2, {"closed_at": at(102, 29)}, "closed_at", "before its end"),
            (2, {"to_time": None, "history_watermark": None}, "outcome", "to_time null"),
            (2, {"topic_class": "v2.users.{id}.conversations"}, "topic_class", "before it"),
        )
        for index, lie, field, found in lies:
            with self.subTest(lie):
                self.setUp()
                record = self.world.topics["gaps"][index]
                record.value.update(lie)
                self.assert_named(record, field, found)

    def test_a_gap_that_forgets_a_reading(self):
        self.world.topics["gaps"][0].value["reads"] = 9
        self.assert_named(self.world.topics["gaps"][2], "reads", "9 before it")

    def test_a_fact_that_cannot_be_read(self):
        self.facts("epoch")[0].value = b"{"
        self.assert_named(self.world.topics["state"][3], "value")

    def test_a_claim_of_an_epoch_that_never_began(self):
        self.facts("claim")[0].value["epoch"] = "ab" * 16
        self.assert_named(self.facts("claim")[0], "epoch", "no fact that it began")

    def test_a_message_in_quarantine_that_does_not_say_when_it_came(self):
        record = self.world.topics["quarantine"][0]
        del record.headers["trunkline-received-at"]
        self.assert_named(record, "headers")

    def test_an_epoch_of_another_shard(self):
        self.world.append("state", 0, "e", at(104), {
            "kind": "epoch", "v": 1, "shard": 1, "writer": "aa" * 16, "epoch": "ab" * 16, "set": "5e" * 16, "leg": 0, "from": at(100), "rides": None,
        })
        self.said(104).value["epochs"].append("ab" * 16)
        self.assert_named(self.said(104), "epochs", "of shard 1")

    def test_a_gap_of_another_class(self):
        for record in [self.world.topics["gaps"][1]]:
            record.value["topic_class"] = "v2.users.{id}.conversations"
        self.assert_named(self.said(104), "gap_ids", "it is of 0/v2.users")

    def test_reconciled_without_a_gap_or_without_the_time_it_was_closed(self):
        for name, value, what in (("gap_ids", [], "RECONCILED without a gap"), ("closed_at", None, "RECONCILED")):
            with self.subTest(name):
                self.setUp()
                said = self.said(102, 2)
                said.value[name] = value
                named = [(c.place, c.field, c.found) for c in self.verify().contradictions]
                place = f"genesys.conversation.certificates 0/{said.offset}"
                self.assertIn((place, name, what), named)

    def test_lost_declared_where_no_gap_is(self):
        self.said(104).value.update(level="LOST_DECLARED", closed_at=at(105))
        self.assert_named(self.said(104), "level", "is open")
        self.setUp()
        self.said(102, 2).value["level"] = "LOST_DECLARED"
        self.assert_named(self.said(102, 2), "level", "['reconciled']")


class Allowed(WorldCase):
    def close_gap_2(self, outcome, when, **fields):
        self.world.gap(GAP2, *GAP2_SPAN, fields.pop("reads", ()), outcome, when, when=when)

    def test_late_acknowledgements_make_an_open_interval_live(self):
        for claim in self.facts("claim"):
            if claim.value["epoch"] == E3 and claim.value["interval"]["to"] == GAP2_SPAN[0]:
                self.world.fact(CLOSED, "claim", epoch=E3, interval={"from": claim.value["interval"]["from"], "to": GAP2_SPAN[1]})
        self.close_gap_2("covered", CLOSED)
        self.world.ledger = [line for line in self.world.ledger if line["at_ms"] != at(104, 15) - at(0)]
        self.world.certify(CLOSED + MINUTE, at(104), at(105), "LIVE_SINGLE", [E3, E4], revision=2)
        self.assert_agrees()

    def test_a_gap_without_history_ends_as_lost_and_declares_what_is_missing(self):
        self.close_gap_2("lost_declared", CLOSED)
        self.world.certify(CLOSED + MINUTE, at(104), at(105), "LOST_DECLARED", [E3, E4], [GAP2], revision=2, closed_at=CLOSED)
        self.assertEqual(self.assert_agrees().figures["declared"], 1)

    def test_a_gap_whose_readings_differ_ends_as_partial_and_may_be_reconciled_later(self):
        self.close_gap_2("partial", CLOSED)
        self.world.certify(CLOSED + MINUTE, at(104), at(105), "PARTIAL", [E3, E4], [GAP2], revision=2, closed_at=CLOSED)
        self.assertEqual(self.assert_agrees().figures["declared"], 1)

    def test_two_queries_that_agree_make_it_provisional(self):
        reads = [reading("query", at(104, 25), "q"), reading("query", at(104, 50), "q")]
        self.world.gap(GAP2, *GAP2_SPAN, reads, when=at(105, 2))
        self.world.certify(at(105, 3), at(104), at(105), "REPAIRED_PROVISIONAL", [E3, E4], [GAP2], revision=2)
        self.assert_agrees()

    def test_an_older_word_of_another_replica_is_none_as_long_as_a_newer_one_follows(self):
        reads = [reading("query", at(104, 25), "q"), reading("query", at(104, 50), "q")]
        self.world.gap(GAP2, *GAP2_SPAN, reads, when=at(105, 2))
        said = "REPAIRED_PROVISIONAL", [E3, E4], [GAP2]
        self.world.certify(at(105, 3), at(104), at(105), *said, revision=3)
        other = self.world.certify(at(105, 3), at(104), at(105), *said, revision=2, writer_id="77" * 16)
        self.assert_named(other, "revision", "nothing newer behind it")
        self.world.certify(at(105, 4), at(104), at(105), *said, revision=4, writer_id="77" * 16)
        self.assert_agrees()

    def test_a_gap_that_grows_declares_everything_behind_its_start(self):
        ident = "93" * 16
        start = at(106, 10)
        self.world.fact(at(106, 11), "gap", gap=ident, topics=[], to=None, cause="close", recorded_at=at(106, 11),
                        repair={"reads": [], "outcome": None, "closed_at": None}, **{"class": CLASS, "from": start})
        self.world.append("gaps", 0, ident, at(106, 11), {
            "gap_id": ident, "instance": "trunkline", "shard": 0, "topic_class": CLASS, "state": "growing", "cause": "close",
            "from_time": start, "to_time": None, "margin_ms": MARGIN, "recorded_at": at(106, 11), "reads": 0,
        })
        self.world.happens(at(120), delivered=False)
        self.assertEqual(self.assert_agrees().figures["declared"], 2)

    def test_an_interval_that_was_closed_a_moment_ago_may_wait_for_its_revision(self):
        self.world.topics["certificates"].remove(self.said(102, 2))
        self.said(102).value["count_backfill"] = 1
        end = self.facts("barrier")[0].timestamp
        self.world.topics["gaps"][-1].timestamp = end - SECOND
        self.assertEqual(self.assert_agrees().figures["certificates_behind"], 1)

    def test_a_doubt_takes_live_back_by_a_later_revision(self):
        doubted = (at(103, 10), at(103, 20))
        self.world.fact(at(104, 5), "doubt", epoch=E3, interval={"from": doubted[0], "to": doubted[1]})
        self.world.gap("94" * 16, *doubted, when=at(104, 6))
        self.world.certify(at(104, 7), at(103), at(104), "OPEN", [E3], ["94" * 16], revision=2)
        self.assert_agrees()

    def test_certificates_of_another_installation_are_not_ours_to_judge(self):
        self.said(105).value["instance"] = "another"
        self.assertEqual(self.assert_agrees().figures["certificates_of_others"], 1)

    def test_a_topic_that_is_wanted_later_holds_nobody_back_before(self):
        other = TOPIC.replace("0b004ced", "1c115dfe")
        self.facts("wanted")[0].value["topics"][other] = {"from": at(106, 5), "to": None}
        self.assert_agrees()

    def test_tombstones_take_facts_away_that_are_no_longer_needed(self):
        self.world.topics["state"] = [
            r for r in self.world.topics["state"] if not (r.value["kind"] == "claim" and r.value["epoch"] == E1)
        ]
        self.world.append("state", 0, "gone", at(110), b"")
        self.world.append("certificates", 0, "gone", at(110), b"")
        self.world.append("gaps", 0, "gone", at(110), b"")
        named = {c.field for c in self.verify().contradictions}
        self.assertEqual(named, {"epochs", "level", "gap_ids"}, "E1 is still needed: a certificate names it")


if __name__ == "__main__":
    unittest.main()
