"""Against what really happened: silence and false certificates."""

import json
import unittest

from case import WorldCase
from builder import TOPIC, at


class Truth(WorldCase):
    def test_an_event_that_is_in_no_topic_and_no_gap_is_silent(self):
        self.world.happens(at(105, 30))
        report = self.verify()
        self.assertEqual((report.figures["silent"], report.figures["false_certificates"]), (1, 1))
        false, silent = report.contradictions
        self.assertIn("false certificate", false.found)
        self.assertEqual((false.field, false.place), ("level", "genesys.conversation.certificates 0/6"))
        self.assertEqual(silent.place, f"ledger seq {len(self.world.ledger)}")

    def test_an_event_after_the_newest_certificate_is_silent_without_making_one_false(self):
        self.world.happens(at(106, 30))
        report = self.verify()
        self.assertEqual((report.figures["silent"], report.figures["false_certificates"]), (1, 0))

    def test_a_row_of_history_older_than_the_missed_event_does_not_restore_it(self):
        row = next(r for r in self.world.topics["events"] if r.value["origin"] == "backfill")
        row.value["payload"] = row.value["payload"].replace(":24:59.000Z", ":24:58.999Z")
        report = self.verify()
        self.assertEqual((report.figures["restored"], report.figures["silent"]), (0, 1))
        self.assertIn("false certificate", report.contradictions[0].found)

    def test_without_its_payload_a_row_of_history_counts_by_its_version(self):
        row = next(r for r in self.world.topics["events"] if r.value["origin"] == "backfill")
        row.value["payload"] = None
        self.assertEqual(self.assert_agrees().figures["restored"], 1)

    def test_a_row_of_another_conversation_restores_nothing(self):
        row = next(r for r in self.world.topics["events"] if r.value["origin"] == "backfill")
        row.value["conversation_id"] = "another"
        self.assertEqual(self.verify().figures["restored"], 0)

    def test_a_gap_of_other_topics_declares_nothing(self):
        for record in self.world.topics["gaps"]:
            record.value["topics"] = ["v2.routing.queues.another.conversations"]
        report = self.verify()
        self.assertEqual((report.figures["declared"], report.figures["silent"]), (0, 1))

    def test_an_event_in_quarantine_is_durable(self):
        _, body = self.world.happens(at(105, 40))
        text = json.dumps({"topicName": TOPIC, "eventBody": json.loads(body)}, indent=1)
        headers = {"event_id": "ee" * 16, "trunkline-epoch": "none", "trunkline-received-at": str(at(105, 40))}
        self.world.append("quarantine", 0, "q", at(105, 40), text.encode(), headers)
        self.assertEqual(self.assert_agrees().figures["durable"], 21)

    def test_other_figures_than_those_of_the_demo(self):
        self.world.meta["verdict"] = {"restored": 1, "declared": 0}
        self.assert_named(None, "declared", "1", about="verdict")


if __name__ == "__main__":
    unittest.main()
