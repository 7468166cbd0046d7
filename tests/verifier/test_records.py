"""Lies about what the topics hold: each is planted alone, and named with its place."""

import copy
import unittest

from case import WorldCase
from builder import HOUR, SECOND, at


class Records(WorldCase):
    def live(self, hour: int) -> list:
        """Live records that were heard in an hour."""
        mine = [r for r in self.world.topics["events"] if r.value["origin"] == "live"]
        return [r for r in mine if at(hour) <= r.value["received_at"] < at(hour + 1)]

    def test_a_world_without_a_lie_agrees_in_every_number(self):
        report = self.assert_agrees()
        expected = {
            "records": 21, "records_of_history": 1, "certificates": 6, "revisions": 8, "revisions_recomputed": 8, "gaps": 2,
            "gaps_closed": 1, "quarantined": 1, "durable": 20, "restored": 1, "declared": 1, "silent": 0, "false_certificates": 0,
            "ids_derived": 20, "records_not_yet_certified": 0,
        }
        self.assertEqual({name: report.figures[name] for name in expected}, expected)
        self.assertEqual(report.levels, {"LIVE_DUAL": 2, "LIVE_SINGLE": 2, "RECONCILED": 1, "OPEN": 1})

    def test_a_record_that_was_removed_leaves_a_hole_between_offsets(self):
        self.world.write(self.folder)
        path = self.folder / "records.jsonl"
        lines = path.read_text().splitlines()
        gone = self.live(103)[0]
        line = next(i for i, text in enumerate(lines) if f'"key": "{gone.key}"' in text)
        path.write_text("\n".join(lines[:line] + lines[line + 1 :]) + "\n")
        first = self.verify_files().contradictions[0]
        self.assertEqual((first.field, first.found), ("offset", f"{gone.offset} is missing"))

    def test_a_record_that_was_removed_with_its_offset_is_missing_from_the_digest(self):
        events = self.world.topics["events"]
        last = max((r for r in self.live(105)), key=events.index)
        events.remove(last)
        self.assert_named(self.said(105), f"partition {last.partition}")

    def test_ids_swapped_between_partitions_change_both_digests(self):
        a, b = self.live(103)[:2]
        self.assertNotEqual(a.partition, b.partition)
        self.swap_ids(a, b)
        for event in (a, b):
            event.value["payload"] = None
        self.assert_named(self.said(103), "id_xor", about=f"/{at(103)} revision 1")

    def swap_ids(self, a, b):
        a.value["event_id"], b.value["event_id"] = b.value["event_id"], a.value["event_id"]
        a.headers, b.headers = b.headers, a.headers

    def test_ids_swapped_inside_a_partition_do_not_follow_from_their_bodies(self):
        a, b = [r for r in self.live(101) if r.partition == self.live(101)[0].partition][:2]
        self.swap_ids(a, b)
        self.assert_named(a, "event_id", "from its body")

    def test_another_id_in_the_header_than_in_the_value(self):
        one = self.live(100)[0]
        one.headers["event_id"] = "0" * 32
        self.assert_named(one, "header event_id", one.value["event_id"])

    def test_a_count_off_by_one(self):
        said = self.said(103)
        said.value["partitions"][0]["count_live"] += 1
        said.value["count_live"] += 1
        count = said.value["partitions"][0]["count_live"]
        first = self.assert_named(said, "count_live", str(count - 1)).contradictions[0]
        self.assertEqual(first.says, count)

    def test_a_total_that_is_not_the_sum_of_its_partitions(self):
        said = self.said(103)
        said.value["count_live"] += 1
        self.assert_named(said, "count_live", "3 in its partitions")

    def test_an_altered_digest(self):
        for name in ("id_xor", "id_sum"):
            with self.subTest(name):
                self.setUp()
                said = self.said(105)
                said.value["partitions"][0][name] = "0" * 32
                self.assert_named(said, name)

    def test_a_wrong_first_or_end_offset(self):
        for name in ("first_offset", "end_offset"):
            with self.subTest(name):
                self.setUp()
                said = self.said(103)
                right = said.value["partitions"][1][name]
                said.value["partitions"][1][name] += 1
                self.assert_named(said, name, str(right))

    def test_an_earlier_revision_is_recomputed_from_what_was_there_then(self):
        said = self.said(101)
        said.value["partitions"][0]["id_sum"] = "0" * 32
        self.assert_named(said, "id_sum", about="revision 1")

    def test_a_late_record_without_a_later_revision(self):
        self.world.topics["certificates"].remove(self.said(101, 2))
        late = max(self.live(101), key=lambda r: r.timestamp)
        self.assert_named(self.said(101), "count_live", late.value["event_id"])

    def test_a_late_record_at_the_very_end_may_wait_for_its_revision(self):
        self.world.topics["certificates"].remove(self.said(101, 2))
        late = max(self.live(101), key=lambda r: r.timestamp)
        late.timestamp = self.facts("barrier")[0].timestamp - SECOND
        self.world.topics["events"].remove(late)
        self.world.topics["events"].append(late)
        self.world.topics["certificates"] = [
            r for r in self.world.topics["certificates"] if r.value["from_time"] <= at(101)
        ]
        self.assertEqual(self.assert_agrees().figures["records_not_yet_certified"], 1)

    def test_a_record_of_another_class_or_an_unknown_epoch_does_not_count(self):
        for name, value in (("topic_class", "v2.users.{id}.conversations"), ("epoch_id", "00" * 16)):
            with self.subTest(name):
                self.setUp()
                self.live(103)[0].value[name] = value
                self.assert_named(self.said(103), "partition")

    def test_a_repeat_of_a_restart_is_counted_and_changes_nothing(self):
        again = copy.deepcopy(self.live(103)[0])
        again.value["writer_id"], again.timestamp = "bb" * 16, at(104, 2)
        self.world.topics["events"].append(again)
        self.assertEqual(self.assert_agrees().figures["repeats"], 1)

    def test_a_repeat_may_move_the_end_of_its_partition_and_nothing_else_may(self):
        again = copy.deepcopy(self.live(103)[0])
        again.value["writer_id"], again.timestamp = "bb" * 16, at(104, 2)
        events = self.world.topics["events"]
        events.append(again)
        tally = next(t for t in self.said(103).value["partitions"] if t["partition"] == again.partition)
        tally["end_offset"] = sum(r.partition == again.partition for r in events)
        self.assert_agrees()
        tally["end_offset"] -= 1
        self.assert_named(self.said(103), "end_offset")

    def test_the_first_record_of_an_id_decides_its_interval(self):
        again = copy.deepcopy(self.live(103)[0])
        again.value["writer_id"], again.timestamp = "bb" * 16, at(104, 2)
        again.value["received_at"] += HOUR
        self.world.topics["events"].append(again)
        self.assert_agrees()

    def test_a_repeat_under_a_second_sequence_number_of_one_writer_is_out_of_bounds(self):
        again = copy.deepcopy(self.live(103)[0])
        again.value["sequence"] += 1000
        again.value["received_at"] += SECOND
        self.world.topics["events"].append(again)
        self.assert_named(again, "sequence", "same writer", about="repeat outside its bounds")

    def test_a_repeat_in_another_partition_is_out_of_bounds(self):
        again = copy.deepcopy(self.live(103)[0])
        again.partition = (again.partition + 1) % 3
        self.world.topics["events"].append(again)
        self.assert_named(again, "partition", about="repeat outside its bounds")

    def test_one_event_under_two_ids(self):
        again = copy.deepcopy(self.live(103)[0])
        again.value["event_id"], again.headers = "12" * 16, {}
        again.value["received_at"] = at(106, 5)
        self.world.topics["events"].append(again)
        self.world.meta["org_id"] = None
        self.assert_named(again, "event_id", "the same event", about="duplicate")

    def test_a_wrong_number_from_history_or_in_quarantine(self):
        for hour, revision, name in ((102, 2, "count_backfill"), (103, 1, "count_quarantine")):
            with self.subTest(name):
                self.setUp()
                said = self.said(hour, revision)
                said.value[name] += 1
                self.assert_named(said, name, "1")

    def test_a_row_of_history_that_was_removed_is_missing_from_the_count(self):
        events = self.world.topics["events"]
        events.remove(next(r for r in events if r.value["origin"] == "backfill"))
        self.assert_named(self.said(102, 2), "count_backfill", "0")

    def test_a_value_that_is_no_record(self):
        self.live(100)[0].value = b"\0\0\0\0\1\2"
        self.assert_named(self.world.topics["events"][0], "value")


if __name__ == "__main__":
    unittest.main()
