"""Lies about levels, intervals, gaps and facts."""

import copy
import unittest

from case import WorldCase
from builder import CLASS, HOUR, MINUTE, SECOND, at
from world import CLOSED, E1, E2, E3, E4, GAP1, GAP1_SPAN, reading, readings


class Audits(WorldCase):
    """Hour 103 is LIVE_SINGLE; an audit of the day after may take it back."""

    def audit(self, start, when=at(130)):
        instants = {CLASS: [{"from": start, "to": start + SECOND}]}
        self.world.fact(when, "audit", span={"from": at(102), "to": at(108)}, at=when, instants=instants)

    def revised(self):
        self.world.certify(at(130, 1), at(103), at(104), "PARTIAL", [E3], revision=2)

    def test_live_is_taken_back_where_an_audit_missed_something(self):
        self.audit(at(103, 30))
        self.revised()
        self.assert_agrees()

    def test_live_that_stands_although_an_audit_missed_something(self):
        self.audit(at(103, 30))
        self.assert_named(self.said(103), "level", "an audit found a miss")

    def test_partial_without_a_reason(self):
        self.audit(at(105, 30), when=at(130))
        self.world.certify(at(130, 1), at(105), at(106), "PARTIAL", [E4], revision=2)
        self.revised()
        self.assert_named(self.said(103, 2), "level", "no audit missed anything")


class Chains(WorldCase):
    def test_a_certificate_stretched_by_a_second_overlaps_the_next(self):
        self.said(103).value["to_time"] += SECOND
        self.assert_named(self.said(104), "from_time", "an overlap")

    def test_a_certificate_that_begins_a_second_early_overlaps_the_one_before(self):
        said = self.said(104)
        said.value["from_time"] -= SECOND
        said.key = f"{said.key.rsplit('/', 1)[0]}/{said.value['from_time']}"
        self.assert_named(said, "from_time", "an overlap")

    def test_a_certificate_that_is_missing_leaves_a_hole(self):
        self.world.topics["certificates"].remove(self.said(103))
        self.assert_named(self.said(104), "from_time", "a hole behind")

    def test_a_hole_between_activation_and_the_first_certificate(self):
        self.world.topics["certificates"].remove(self.said(100))
        self.assert_named(self.said(101, 2), "from_time", "a hole since activation")

    def test_a_revision_that_goes_backwards(self):
        self.said(101, 1).value["revision"] = 3
        self.assert_named(self.said(101, 2), "revision", "3 before it")

    def test_a_revision_said_twice_in_different_words(self):
        later = self.said(101, 2)
        later.value["revision"] = 1
        self.assert_named(later, "count_live", "under the same revision")

    def test_a_revision_said_twice_in_the_same_words_is_harmless(self):
        again = copy.deepcopy(self.said(103))
        again.value["writer_id"] = "bb" * 16
        self.world.topics["certificates"].append(again)
        self.assert_agrees()

    def test_a_later_revision_that_ends_elsewhere(self):
        self.said(102, 2).value["to_time"] -= SECOND
        self.assert_named(self.said(102, 2), "to_time", str(at(103)))

    def test_a_level_that_may_not_follow(self):
        self.said(101, 1).value.update(
            level="RECONCILED", gap_ids=[GAP1], history_watermark=at(103), closed_at=CLOSED
        )
        self.assert_named(self.said(101, 2), "level", "RECONCILED before it")

    def test_an_open_interval_becomes_live_only_where_acknowledgements_covered_its_gaps(self):
        self.said(102, 2).value["level"] = "LIVE_SINGLE"
        self.assert_named(self.said(102, 2), "level", "OPEN before it")

    def test_a_revision_that_was_compacted_away_may_have_been_any_step(self):
        before, after = self.said(102, 1), self.said(102, 2)
        before.value.update(level="LIVE_SINGLE")
        after.value["revision"] = 3
        report = self.verify()
        self.assertEqual([c.field for c in report.contradictions], ["epochs"], "only the false LIVE, not the move")

    def test_a_key_of_another_certificate(self):
        self.said(103).key = self.said(104).key
        self.assert_named(self.said(103), "key")


class Levels(WorldCase):
    def test_live_without_claims(self):
        for claim in self.facts("claim"):
            if claim.value["epoch"] == E3:
                self.world.topics["state"].remove(claim)
        named = [(found.place, found.field) for found in self.verify().contradictions]
        self.assertIn((f"genesys.conversation.certificates 0/{self.said(103).offset}", "epochs"), named)

    def test_live_over_a_claim_that_ends_early(self):
        for claim in self.facts("claim"):
            if claim.value["epoch"] == E3:
                claim.value["interval"]["to"] = min(claim.value["interval"]["to"], at(103, 50))
        self.assert_named(self.said(103), "epochs", str(at(103, 50)))

    def test_live_over_a_doubt(self):
        self.world.fact(at(103, 55), "doubt", epoch=E3, interval={"from": at(103, 10), "to": at(103, 20)})
        self.assert_named(self.said(103), "epochs", str(at(103, 10)))

    def test_live_by_other_epochs_than_those_named(self):
        self.said(103).value["epochs"] = [E1]
        self.assert_named(self.said(103), "epochs", "no claim of theirs")

    def test_live_on_two_sockets_where_one_was_alone(self):
        self.said(103).value["level"] = "LIVE_DUAL"
        self.assert_named(self.said(103), "level", "one socket alone")

    def test_two_epochs_of_one_socket_are_not_two_sockets(self):
        epoch = next(f for f in self.facts("epoch") if f.value["epoch"] == E2)
        epoch.value["rides"] = E1
        self.assert_named(self.said(100), "level", "one socket alone")

    def test_live_while_one_topic_of_the_class_is_in_no_set(self):
        other = "v2.routing.queues.00000000-0000-0000-0000-000000000000.conversations"
        wanted = self.facts("wanted")[0]
        wanted.value["topics"][other] = {"from": at(103, 30), "to": None}
        self.assert_named(self.said(103), "epochs", str(at(103, 30)))

    def test_reconciled_with_a_watermark_before_its_end_and_the_margin(self):
        self.said(102, 2).value["history_watermark"] = GAP1_SPAN[1] + 5 * MINUTE - 1
        self.assert_named(self.said(102, 2), "history_watermark", str(GAP1_SPAN[1] + 5 * MINUTE))

    def test_reconciled_over_a_gap_that_is_open(self):
        said = self.said(104)
        said.value.update(level="RECONCILED", history_watermark=at(106), closed_at=at(106))
        self.assert_named(said, "level", "is open")

    def test_an_open_interval_whose_gap_is_not_named(self):
        self.said(104).value["gap_ids"] = []
        self.assert_named(self.said(104), "gap_ids", "neither claimed nor")

    def test_an_open_interval_whose_gap_is_too_short(self):
        for record in self.world.topics["gaps"] + self.facts("gap"):
            for name in ("to", "to_time"):
                if record.value.get(name) == at(104, 20):
                    record.value[name] -= MINUTE
        self.assert_named(self.said(104), "gap_ids", str(at(104, 19)))

    def test_an_interval_that_stays_open_after_everything_was_closed(self):
        self.world.topics["certificates"].remove(self.said(102, 2))
        self.said(102).value["count_backfill"] = 1
        self.assert_named(self.said(102), "level", "no later revision")

    def test_provisional_without_two_queries_that_agree(self):
        self.said(104).value["level"] = "REPAIRED_PROVISIONAL"
        self.assert_named(self.said(104), "level", "no two queries")

    def test_an_epoch_or_a_gap_that_nobody_knows(self):
        for name in ("epochs", "gap_ids"):
            with self.subTest(name):
                self.setUp()
                self.said(104).value[name] = sorted(self.said(104).value[name] + ["ab" * 16])
                self.assert_named(self.said(104), name, "no ")

    def test_a_set_of_topics_that_its_epochs_did_not_cover(self):
        self.said(103).value["subscription_digests"] = ["ab" * 16]
        self.assert_named(self.said(103), "subscription_digests")


class Facts(WorldCase):
    def test_an_epoch_id_used_twice(self):
        again = copy.deepcopy(self.facts("epoch")[0])
        again.value["from"] += HOUR
        self.world.topics["state"].append(again)
        self.assert_named(again, "from", "used before", about=E1)

    def test_a_claim_that_shrinks(self):
        again = copy.deepcopy(self.facts("claim")[0])
        again.value["interval"]["to"] -= MINUTE
        self.world.topics["state"].append(again)
        self.assert_named(again, "interval", "never shrink")

    def test_a_claim_by_another_process(self):
        claim = self.facts("claim")[0]
        claim.value["writer"] = "bb" * 16
        self.assert_named(claim, "writer")

    def test_a_claim_that_begins_before_its_epoch(self):
        for fact in self.facts("claim")[:2]:
            fact.value["interval"]["from"] -= 1
        self.assert_named(self.facts("claim")[0], "from", "the epoch begins")


class Gaps(WorldCase):
    def close(self, reads):
        """Gap 1 closed as reconciled on these readings."""
        record, fact = self.world.topics["gaps"][-1], self.facts("gap")[-1]
        fact.value["repair"]["reads"] = reads
        record.value["reads"] = len(reads)
        return record

    def test_a_gap_closed_on_two_different_readings(self):
        self.assert_named(self.close(readings(second="other")), "outcome", "no two equal readings", about=GAP1)

    def test_a_gap_closed_on_two_readings_that_lie_too_close(self):
        self.assert_named(self.close(readings(apart=HOUR - 1)), "outcome", "no two equal readings")

    def test_a_gap_closed_on_readings_of_history_that_was_not_complete(self):
        record = self.close(readings(complete_to=GAP1_SPAN[1]))
        self.assert_named(record, "outcome", "no two equal readings")

    def test_a_gap_closed_on_two_queries(self):
        queries = [reading("query", at(129), "same"), reading("query", at(130), "same")]
        self.assert_named(self.close(queries), "outcome", "no two equal readings")

    def test_a_gap_closed_though_history_did_not_show_what_is_known(self):
        reads = readings()
        reads[-1]["missing"] = 1
        self.assert_named(self.close(reads), "outcome", "no two equal readings")

    def test_a_gap_closed_before_history_called_itself_complete(self):
        record = self.world.topics["gaps"][-1]
        record.value["history_watermark"] -= 1
        self.assert_named(record, "history_watermark")

    def test_an_outcome_without_its_time_and_the_other_way_round(self):
        for index, name, value in ((-1, "closed_at", None), (0, "closed_at", at(103))):
            with self.subTest(index):
                self.setUp()
                record = self.world.topics["gaps"][index]
                record.value[name] = value
                self.assert_named(record, "closed_at")

    def test_a_closed_gap_that_is_opened_again(self):
        gaps = self.world.topics["gaps"]
        gaps.append(copy.deepcopy(gaps[0]))
        self.assert_named(gaps[-1], "outcome", "closures only grow")

    def by_another(self, record, **changes):
        """A record as another writer would have written it."""
        other = copy.deepcopy(record)
        other.value.update(writer_id="0" * 31 + "7", **changes)
        return other

    def test_a_replica_that_takes_over_may_say_less_for_a_moment(self):
        gaps = self.world.topics["gaps"]
        gaps += [self.by_another(gaps[0]), self.by_another(gaps[-1])]
        self.assert_agrees()

    def test_a_replica_that_takes_over_and_leaves_it_at_that(self):
        gaps = self.world.topics["gaps"]
        gaps.append(self.by_another(gaps[0]))
        self.assert_named(gaps[-1], "outcome", "in the state topic")

    def test_a_replica_that_takes_over_and_says_something_else(self):
        gaps = self.world.topics["gaps"]
        gaps += [self.by_another(gaps[0]), self.by_another(gaps[-1], outcome="partial"), copy.deepcopy(gaps[-1])]
        self.assert_named(gaps[-2], "outcome", "closures only grow")

    def test_another_end_in_the_record_than_in_the_facts(self):
        record = self.world.topics["gaps"][1]
        record.value["to_time"] += SECOND
        self.assert_named(record, "to_time", "in the state topic")

    def test_a_gap_without_a_record(self):
        del self.world.topics["gaps"][1]
        self.assert_named(self.facts("gap")[1], "gap", "no gap record")


if __name__ == "__main__":
    unittest.main()
