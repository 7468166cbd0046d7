"""load_hour: idempotent, in any order, in parts, as a whole or not at all."""

import threading
import unittest

import psycopg

from case import EARLY, WarehouseCase, early_lake, warehouse_of
from lake import HOUR, first_hours, records, runs
from warehouse import Warehouse, server


class Loading(WarehouseCase):
    source = staticmethod(early_lake)

    @classmethod
    def setUpClass(cls):
        name, cls.hours = warehouse_of(cls.source)
        made = Warehouse(cls.source(), template=name)
        cls.content = made.content()
        made.close()

    def same(self, made):
        for table, rows in made.content().items():
            self.assertEqual(len(rows), len(self.content[table]), table)
            self.assertEqual(rows, self.content[table], table)

    def test_every_record_of_the_dump_is_loaded_and_every_id_is_one_row(self):
        events = first_hours("events", EARLY)
        self.assertGreater(len(events), 800)
        self.assertEqual(len(self.content["event_offsets"]), len(events))
        self.assertEqual(
            [row["event_id"].strip() for (row,) in self.content["conversation_events"]],
            sorted({record["event_id"] for *_, record in events}))

    def test_loading_everything_again_changes_nothing(self):
        made = self.loaded()
        made.load(self.hours)
        self.same(made)
        self.assertEqual(made.rows("SELECT SUM(rows_new) FROM hour_loads"), [(len(self.content["conversation_events"]),)])

    def test_hours_in_reversed_order_give_the_same_rows(self):
        made = self.empty()
        made.load(reversed(made.list_objects()))
        self.same(made)

    def test_half_of_the_objects_first_and_all_of_them_later_give_the_same_rows(self):
        lake = self.lake()
        objects = sorted(lake.folder.glob("topics/**/*.avro"))
        away = {path: path.read_bytes() for path in objects[::2]}
        spelled = {path: path.with_name(path.name + ".rows").read_bytes() for path in away}
        for path in away:
            lake.remove(path)
        made = self.empty(lake)
        made.load_everything()
        self.assertLess(len(made.content()["event_offsets"]), len(self.content["event_offsets"]))
        for path, data in away.items():
            path.write_bytes(data)
            path.with_name(path.name + ".rows").write_bytes(spelled[path])
        made.list_objects()
        late = {str(hour) for hour, in made.rows("SELECT staging_hour FROM hours_to_reload WHERE reason = 'objects not loaded'")}
        self.assertGreater(len(late), 10)
        made.load(sorted(late))
        self.same(made)
        self.assertEqual(made.rows("SELECT * FROM hours_to_reload"), [])

    def test_a_load_that_fails_midway_leaves_nothing_and_is_made_good_by_calling_it_again(self):
        lake = self.lake()
        made = self.empty(lake)
        hours = made.list_objects()
        gone = next(lake.folder.glob("topics/genesys.conversation.certificates/**/*.avro.rows"))
        data = gone.read_bytes()
        gone.unlink()  # events of the hour are staged and merged before certificates are asked for
        hour = f"{gone.parts[-3].removeprefix('dt=')} {gone.parts[-2].removeprefix('hr=')}:00:00"
        made.load(hours[:hours.index(hour)])
        before = made.content()
        with self.assertRaisesRegex(psycopg.Error, gone.name.removesuffix(".rows")):
            made.load([hour])
        self.assertEqual(made.content(), before)
        self.assertEqual(made.rows("SELECT count(*) FROM hour_loads WHERE staging_hour = %s", hour), [(0,)])
        gone.write_bytes(data)
        made.load(hours[hours.index(hour):])
        self.same(made)

    def test_a_repeat_never_wins_over_the_first_record_whichever_hour_is_loaded_first(self):
        partition, offset, moment, record = first_hours("events", EARLY)[40]
        end = max(row[1] for row in records()["events"] if row[0] == partition) + 1
        repeat = dict(record, origin="replay", received_at=record["received_at"] + HOUR)
        for order in (1, -1):
            lake = self.lake()
            lake.put("events", [(partition, end, moment + 90 * HOUR, repeat)])
            made = self.empty(lake)
            made.load(made.list_objects()[::order])
            rows = made.rows("SELECT kafka_offset, origin FROM conversation_events WHERE event_id = %s", record["event_id"])
            self.assertEqual(rows, [(offset, record["origin"])])
            self.assertEqual(made.rows("SELECT count(*) FROM event_offsets WHERE event_id = %s", record["event_id"]), [(2,)])
            self.assertEqual(made.content()["conversation_events"], self.content["conversation_events"])

    def test_two_records_of_one_id_in_one_object_are_one_row(self):
        partition, offset, moment, record = first_hours("events", EARLY)[40]
        made = self.empty(self.lake())
        made.lake.put("events", [(63, 9_000, moment, dict(record, event_id="f" * 32)), (63, 9_001, moment, dict(record, event_id="f" * 32))])
        made.load_everything()
        self.assertEqual(made.rows(f"SELECT kafka_offset FROM conversation_events WHERE event_id = '{'f' * 32}'"), [(9_000,)])

    def test_objects_that_overlap_are_counted_once(self):
        lake = self.lake()
        rows = max(runs(first_hours("events", EARLY)), key=len)
        self.assertGreater(len(rows), 3)
        lake.put("events", rows[1:])  # a replay that cut at another offset
        made = self.empty(lake)
        made.load_everything()
        self.same(made)

    def test_two_loads_at_once_wait_for_each_other(self):
        made = self.empty()
        hours = made.list_objects()
        errors = []

        def load(part):
            try:
                with server().connect(made.name) as connection:
                    for hour in part:
                        connection.execute("CALL load_hour(%s, 's3://staging/manifests')", (hour,))
            except psycopg.Error as error:
                errors.append(error)

        threads = [threading.Thread(target=load, args=(part,)) for part in (hours, hours[::-1])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.same(made)

    def test_quarantined_messages_are_loaded_by_partition_and_offset(self):
        made = self.empty(self.lake())
        moment = first_hours("events", EARLY)[0][2]
        message = {"event_id": "a" * 32, "reason": "not_json", "topic": None, "epoch_id": "b" * 32, "received_at": moment}
        made.lake.put("quarantine", [(0, 5, moment, message)])
        made.load(made.load_everything()[:2])
        self.assertEqual(made.rows("SELECT reason, kafka_offset FROM quarantined_messages"), [("not_json", 5)])

    def test_an_hour_that_is_none_is_refused_by_name(self):
        made = self.loaded()
        with self.assertRaisesRegex(psycopg.Error, "p_hour is 2026-11-28 02:30:00: allowed is a full hour, UTC"):
            made.load(["2026-11-28 02:30:00"])

    def test_an_hour_that_was_never_listed_is_refused_by_name(self):
        made = self.loaded()
        with self.assertRaisesRegex(psycopg.Error, "no object of that hour is listed; run manifests.py"):
            made.load(["2020-01-01 00:00:00"])


if __name__ == "__main__":
    unittest.main()
