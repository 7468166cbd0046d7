"""completeness: what is missing is named, and the verifier of certificates says the same."""

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest
from collections import Counter

from case import WarehouseCase, whole_lake
from lake import HERE, HOUR, heard, records, stretch, write_dump

VERIFIER = HERE.parents[1] / "scripts" / "verify_certificates.py"


def verifier(keep=lambda raw: True) -> dict:
    """What scripts/verify_certificates.py says of the dump."""
    with tempfile.TemporaryDirectory() as folder:
        write_dump(pathlib.Path(folder), keep)
        done = subprocess.run([sys.executable, VERIFIER, folder, "--json"], capture_output=True, text=True)
        return json.loads(done.stdout)


def uncertified() -> int:
    """How many sockets heard in hours that have no certificate."""
    hours = {(said["topic_class"], said["from_time"] // HOUR) for *_, said in records()["certificates"]}
    rows = [row[3] for row in records()["events"] if row[3]["origin"] != "backfill"]
    return sum((row["topic_class"], row["received_at"] // HOUR) not in hours for row in rows)


class Completeness(WarehouseCase):
    def test_all_that_was_certified_is_here_and_the_verifier_says_the_same(self):
        made, said = self.loaded(), verifier()
        self.assertEqual(said["verdict"], "pass")
        self.assertEqual(self.incomplete(made), [])
        levels = dict(made.rows("SELECT level, count(*) FROM completeness WHERE level <> 'NONE' GROUP BY level"))
        self.assertEqual(levels, said["levels"])
        self.assertGreater(len(levels), 2)
        self.assertEqual(made.rows("SELECT count(*) FROM certificates"), [(said["figures"]["certificates"],)])
        self.assertEqual(made.rows("SELECT count(*) FROM gaps WHERE state = 'closed'"), [(said["figures"]["gaps_closed"],)])
        self.assertEqual(made.rows("SELECT bool_and(digest_agrees) FROM completeness"), [(True,)])
        loaded, = made.rows("SELECT SUM(expected_live), SUM(loaded_live) FROM completeness WHERE level <> 'NONE'")
        self.assertEqual(loaded, (len(heard()),) * 2)
        self.assertEqual(made.rows("SELECT SUM(loaded_live) FROM completeness WHERE complete = 'not yet'"), [(uncertified(),)])
        self.assertEqual(made.rows("SELECT * FROM missing_rows"), [])
        self.assertEqual(made.rows("SELECT * FROM hours_to_reload"), [])

    def test_what_is_missing_contradicts_the_same_certificates_here_and_in_the_verifier(self):
        # to the verifier a partition that begins behind 0 is one that is no longer kept from its beginning
        lost = {row[:2] for row in heard() if row[1] > 0 and row[1] % 40 == 7}
        victim = next(row[3] for row in heard() if row[:2] in lost)
        made = self.lossy(lost)
        said = verifier(lambda raw: not (raw["topic"].endswith(".events") and (raw["partition"], raw["offset"]) in lost))
        self.assertEqual(said["verdict"], "fail")
        theirs = set()
        for wrong in said["contradictions"]:
            if wrong["about"].startswith("certificate"):
                shard, rest = wrong["about"].removeprefix("certificate ").split("/", 1)
                topic_class, rest = rest.rsplit("/", 1)
                theirs.add((topic_class, stretch(int(rest.split()[0]))))
        ours = {(topic_class, int(start.timestamp() * 1000)) for topic_class, start, _ in made.rows(
            "SELECT topic_class, from_time AT TIME ZONE 'UTC', 0 FROM completeness WHERE complete = 'no'")}
        self.assertEqual(ours, theirs)
        self.assertIn((victim["topic_class"], victim["received_at"] // HOUR * HOUR), ours)

    def deleted(self, count):
        made = self.loaded()
        victims = random.Random(count).sample(heard(), count)
        made.connection.execute("DELETE FROM conversation_events WHERE event_id = ANY(%s)", ([v[3]["event_id"] for v in victims],))
        rows = made.rows("SELECT kafka_partition, kafka_offset, reason, event_id, object_url, object_state FROM missing_rows")
        self.assertEqual({row[:4] for row in rows}, {(p, o, "deleted", r["event_id"]) for p, o, _, r in victims})
        for partition, offset, *_, url, state in rows:
            self.assertEqual(state, "listed")
            self.assertIn((partition, offset), self.offsets_of(made.lake, url))
        by_interval = Counter((r["topic_class"], r["received_at"] // HOUR) for *_, r in victims)
        view = made.rows("SELECT topic_class, from_time AT TIME ZONE 'UTC', missing_live FROM completeness WHERE complete = 'no'")
        self.assertEqual({(c, int(t.timestamp() * 1000) // HOUR): n for c, t, n in view}, by_interval)
        named = made.rows("SELECT topic_class, from_time AT TIME ZONE 'UTC', kafka_partition, kafka_offset FROM missing_rows_by_interval")
        self.assertEqual(
            {(c, int(t.timestamp() * 1000) // HOUR, p, o) for c, t, p, o in named},
            {(r["topic_class"], r["received_at"] // HOUR, p, o) for p, o, _, r in victims})
        reload = made.rows("SELECT staging_hour::text FROM hours_to_reload WHERE reason = 'rows missing'")
        made.load(sorted(hour for hour, in reload))
        self.assertEqual(self.incomplete(made), [])
        self.assertEqual(made.rows("SELECT * FROM hours_to_reload"), [])

    def offsets_of(self, lake, url):
        rows = lake.path(url).with_name(lake.path(url).name + ".rows").read_text().splitlines()
        return {(row["kafka_partition"], row["kafka_offset"]) for row in map(json.loads, rows)}

    def test_one_deleted_row_is_named_and_reloading_its_hour_brings_it_back(self):
        self.deleted(1)

    def test_two_deleted_rows_are_named_and_reloading_their_hours_brings_them_back(self):
        self.deleted(2)

    def test_a_thousand_deleted_rows_are_named_and_reloading_their_hours_brings_them_back(self):
        self.deleted(1000)

    def lossy(self, drop):
        """Everything loaded but `drop`, which no object holds."""
        made = self.empty(self.lake())
        made.lake.without(drop)
        made.load_everything()
        return made

    def never_loaded(self, count):
        victims = random.Random(count).sample(heard(), count)
        made = self.lossy({victim[:2] for victim in victims})
        rows = made.rows("SELECT kafka_partition, kafka_offset, reason, object_url FROM missing_rows")
        self.assertEqual({row[:2] for row in rows}, {victim[:2] for victim in victims})
        self.assertEqual({row[2] for row in rows}, {"never loaded"})
        held = {(p, o): whole for whole, offsets in self.objects().items() for p, o in offsets}
        for partition, offset, _, url in rows:
            # where a whole object is gone, or the end of one, the name can only be that of one that would begin there
            held_by = held[partition, offset]
            self.assertTrue(url.endswith(held_by) or url.endswith(f"-{partition}-{offset:010}.avro")
                            or url.endswith(self.start_of_hole(rows, partition, offset)), (url, held_by))
        by_interval = Counter((r["topic_class"], r["received_at"] // HOUR) for *_, r in victims)
        view = made.rows("SELECT topic_class, from_time AT TIME ZONE 'UTC', missing_live FROM completeness WHERE complete = 'no'")
        self.assertEqual({(c, int(t.timestamp() * 1000) // HOUR): n for c, t, n in view}, by_interval)
        named = {row for row in made.rows("SELECT topic_class, from_time AT TIME ZONE 'UTC', kafka_partition, kafka_offset FROM missing_rows_by_interval")}
        found = {(c, int(t.timestamp() * 1000) // HOUR, p, o) for c, t, p, o in named}
        self.assertLessEqual({(r["topic_class"], r["received_at"] // HOUR, p, o) for p, o, _, r in victims}, found)

    def start_of_hole(self, rows, partition, offset):
        offsets = {o for p, o, *_ in rows if p == partition}
        while offset - 1 in offsets:
            offset -= 1
        return f"-{partition}-{offset:010}.avro"

    def objects(self):
        """Name of every object of events and the places it holds."""
        lake = whole_lake()
        return {path.name: self.offsets_of(lake, f"s3://staging/{path.relative_to(lake.folder)}")
                for path in lake.folder.glob("topics/genesys.conversation.events/**/*.avro")}

    def test_one_row_that_no_object_holds_is_named(self):
        self.never_loaded(1)

    def test_two_rows_that_no_object_holds_are_named(self):
        self.never_loaded(2)

    def test_a_thousand_rows_that_no_object_holds_are_named(self):
        self.never_loaded(1000)

    def test_an_object_that_was_listed_and_is_gone_is_named(self):
        lake = self.lake()
        made = self.empty(lake)
        hours = made.list_objects()
        victim = sorted(lake.folder.glob("topics/genesys.conversation.events/**/*.avro"))[300]
        places = self.offsets_of(lake, f"s3://staging/{victim.relative_to(lake.folder)}")
        lake.remove(victim)
        made.list_objects()
        made.load(hours)
        rows = made.rows("SELECT kafka_partition, kafka_offset, object_url, object_state FROM missing_rows")
        self.assertEqual({row[:2] for row in rows}, places)
        self.assertEqual({row[2:] for row in rows}, {(f"s3://staging/{victim.relative_to(lake.folder)}", "gone")})
        self.assertEqual(made.rows("SELECT * FROM hours_to_reload WHERE reason <> 'certificate revised'"), [])

    def test_an_object_that_was_never_listed_is_named_by_where_it_would_begin(self):
        lake = self.lake()
        every = sorted(lake.folder.glob("topics/genesys.conversation.events/**/*-5-*.avro"))
        victim = every[len(every) // 2]
        places = self.offsets_of(lake, f"s3://staging/{victim.relative_to(lake.folder)}")
        lake.remove(victim)
        made = self.empty(lake)
        made.load_everything()
        rows = made.rows("SELECT kafka_partition, kafka_offset, object_url, object_state FROM missing_rows")
        self.assertEqual({row[:2] for row in rows}, places)
        self.assertEqual({(url.rsplit("/", 1)[1], state) for *_, url, state in rows}, {(victim.name, "never listed")})

    def test_a_row_that_was_exchanged_is_seen_by_the_digest(self):
        made = self.loaded()
        made.connection.execute(
            "UPDATE conversation_events SET event_id = %s WHERE event_id = %s", ("0" * 32, heard()[7][3]["event_id"]))
        (row,) = made.rows("SELECT missing_live, digest_agrees, complete, why FROM completeness WHERE complete NOT IN ('yes', 'not yet')")
        self.assertEqual(row, (0, False, "no", "counts agree, ids do not: see missing_rows_by_interval"))
        self.assertEqual(len(made.rows("SELECT * FROM missing_rows_by_interval")), 1)

    def test_a_row_of_history_that_is_gone_takes_the_hour_back(self):
        made = self.loaded()
        victim = next(row for row in records()["events"] if row[3]["origin"] == "backfill")
        made.connection.execute("DELETE FROM conversation_events WHERE event_id = %s", (victim[3]["event_id"],))
        reasons = {row for row in made.rows("SELECT complete, why FROM completeness WHERE complete NOT IN ('yes', 'not yet')")}
        self.assertEqual(reasons, {("no", "rows of history are missing: see missing_rows")})
        self.assertEqual(made.rows("SELECT kafka_partition, kafka_offset FROM missing_rows"), [victim[:2]])

    def test_a_certificate_without_its_rows_is_not_complete(self):
        made = self.loaded()
        made.connection.execute("DELETE FROM conversation_events")
        self.assertEqual(
            made.rows("SELECT count(*) FROM completeness WHERE complete = 'yes' AND expected_live > 0"), [(0,)])

    def test_levels_that_prove_nothing_are_not_complete_even_when_all_rows_are_here(self):
        made = self.loaded()
        for level, complete in (("OPEN", "no"), ("PARTIAL", "no"), ("LOST_DECLARED", "no"), ("REPAIRED_PROVISIONAL", "probably")):
            made.connection.execute("UPDATE coverage_certificates SET level = %s", (level,))
            self.assertEqual(made.rows("SELECT DISTINCT level, complete FROM completeness WHERE level <> 'NONE'"), [(level, complete)])

    def test_only_the_newest_revision_counts(self):
        made = self.loaded()
        newest = {}
        for *_, said in records()["certificates"]:
            key = said["topic_class"], said["from_time"]
            newest[key] = max(newest.get(key, (0, "")), (said["revision"], said["level"]))
        rows = made.rows("SELECT topic_class, from_time AT TIME ZONE 'UTC', revision, level FROM certificates")
        self.assertEqual({(c, int(t.timestamp() * 1000)): (r, l) for c, t, r, l in rows}, newest)
        self.assertGreater(max(r for r, _ in newest.values()), 2)

    def test_an_hour_is_complete_when_all_its_intervals_are(self):
        made = self.loaded()
        hours = dict(made.rows("SELECT hour, complete FROM completeness_by_hour WHERE complete <> 'not yet'"))
        self.assertEqual(set(hours.values()), {"yes"})
        self.assertEqual(len(hours), len({said["from_time"] // HOUR for *_, said in records()["certificates"]}))
        victim = heard()[3]
        made.connection.execute("DELETE FROM conversation_events WHERE event_id = %s", (victim[3]["event_id"],))
        lost = made.rows("SELECT hour AT TIME ZONE 'UTC' FROM completeness_by_hour WHERE complete = 'no'")
        self.assertEqual([int(hour.timestamp() * 1000) // HOUR for hour, in lost], [victim[3]["received_at"] // HOUR])

    def test_a_certificate_that_came_after_the_listing_sends_for_the_hour_once_more(self):
        lake = self.lake()
        every = sorted(lake.folder.glob("topics/genesys.conversation.events/**/*-5-*.avro"))
        victim = every[-1]
        data, spelled = victim.read_bytes(), victim.with_name(victim.name + ".rows").read_bytes()
        lake.remove(victim)
        made = self.empty(lake)
        made.load_everything()
        hours = {str(h) for h, in made.rows("SELECT staging_hour FROM hours_to_reload WHERE reason = 'certificate revised'")}
        self.assertGreater(len(hours), 0)
        victim.write_bytes(data)
        victim.with_name(victim.name + ".rows").write_bytes(spelled)
        made.list_objects()
        made.load(sorted(hours & {str(h) for h, in made.rows("SELECT staging_hour FROM staged_objects")}
                         | {str(h) for h, in made.rows("SELECT staging_hour FROM hours_to_reload WHERE reason = 'objects not loaded'")}))
        self.assertEqual(made.rows("SELECT * FROM missing_rows"), [])
        self.assertEqual(made.rows("SELECT * FROM hours_to_reload"), [])


if __name__ == "__main__":
    unittest.main()
