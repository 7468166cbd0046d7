"""conversation_current, participants and segments, against the same rules written in Python."""

import unittest
from collections import defaultdict
from datetime import datetime, timezone

import fastavro

import translate
from case import EARLY, WarehouseCase, early_lake
from lake import Lake, first_hours, plain, records, staged_schema
from warehouse import server

HEARD = ("live", "standby", "replay")


def by_conversation() -> dict:
    found = defaultdict(list)
    for partition, offset, _, record in records()["events"]:
        found[record["conversation_id"]].append((partition, offset, record))
    return found


def current(rows: list) -> dict:
    """The written rule."""
    return max(rows, key=lambda row: (
        row[2]["version"] or 0, row[2]["origin"] in HEARD, row[2]["received_at"], row[0], row[1]))[2]


def moment(ms):
    return None if ms is None else datetime.fromtimestamp(ms / 1000, timezone.utc).replace(tzinfo=None)


def wrapped(value, kind):
    return None if value is None else {kind: value}


def spelled_out(record: dict) -> dict:
    """An event as COPY reads it if it writes unions inside SUPER the way Avro's JSON does."""
    if "participants" not in record:
        return record
    kinds = {"connected_time": "long", "end_time": "long", "acw_start_time": "long", "acw_end_time": "long",
             "disconnected_time": "long", "hold_start_time": "long", "held": "boolean", "attributes": "map"}
    plain = {"legs", "media_type"}

    def fields(of):
        return {k: v if k in plain else wrapped(v, kinds.get(k, "string")) for k, v in of.items()}

    people = [fields(p) | {"legs": [fields(leg) for leg in p["legs"]]} for p in record["participants"]]
    return record | {"participants": people}


class Conversations(WarehouseCase):
    def test_the_current_state_is_the_greatest_version_live_before_history_then_the_later_received(self):
        made = self.loaded()
        rows = made.rows("SELECT conversation_id, TRIM(event_id), conversation_state FROM conversation_current")
        expected = {ident: current(of) for ident, of in by_conversation().items()}
        self.assertGreater(len(expected), 300)
        self.assertEqual({i: (e, s) for i, e, s in rows},
                         {i: (r["event_id"], r["conversation_state"]) for i, r in expected.items()})
        origins = {record["origin"] for record in expected.values()}
        self.assertEqual(origins, {"live", "backfill"})

    def test_a_row_of_history_of_the_same_version_never_hides_what_was_heard(self):
        origin_of = dict(self.loaded().rows("SELECT conversation_id, origin FROM conversation_current"))
        ties = 0
        for ident, of in by_conversation().items():
            newest = max(row[2]["version"] or 0 for row in of)
            origins = {row[2]["origin"] for row in of if row[2]["version"] == newest}
            if origins == {"live", "backfill"}:
                ties += 1
                self.assertEqual(origin_of[ident], "live")
        self.assertGreater(ties, 5)

    def participants(self, made):
        rows = made.dicts("SELECT * FROM participants ORDER BY conversation_id, participant_id")
        expected = []
        for ident, of in by_conversation().items():
            for person in current(of)["participants"]:
                expected.append({"conversation_id": ident, "attributes": person["attributes"]}
                                | {k: v for k, v in person.items() if k not in ("legs", "attributes")})
        for row in expected:
            for name in ("connected_time", "end_time", "acw_start_time", "acw_end_time"):
                row[name] = moment(row[name])
        expected.sort(key=lambda row: (row["conversation_id"], row["participant_id"]))
        self.assertGreater(len(expected), 1000)
        self.assertEqual([{k: row[k] for k in expected[0]} for row in rows], expected)
        self.assertTrue(any(row["attributes"] for row in expected))

    def test_participants_are_those_of_the_current_state_with_times_and_attributes(self):
        self.participants(self.loaded())

    def test_both_spellings_of_a_nullable_field_inside_super_give_the_same_rows(self):
        lake = Lake(server().folder_for("lake"), spelled_out)
        lake.fill()
        other, made = self.empty(lake), self.loaded()
        other.load_everything()
        first, = other.rows("SELECT participants -> 0 -> 'participant_id' FROM conversation_events LIMIT 1")
        self.assertIsInstance(first[0], dict)
        self.participants(other)
        for view in ("leg_states", "segments"):
            query = f"SELECT to_jsonb(v)::text FROM {view} AS v ORDER BY 1"
            self.assertEqual(other.rows(query), made.rows(query), view)

    def test_a_segment_is_a_stretch_in_which_a_leg_keeps_its_state_and_its_hold(self):
        made = self.loaded()
        rows = made.dicts("SELECT * FROM segments WHERE known_from = 'snapshot' ORDER BY conversation_id, leg_id, started_at")
        seen = defaultdict(dict)
        for ident, of in by_conversation().items():
            for _, offset, record in sorted(of, key=lambda row: (row[2]["received_at"], row[1])):
                if record["event_type"] == "conversation.snapshot":
                    for leg in (leg for person in record["participants"] for leg in person["legs"]):
                        seen[ident, leg["leg_id"]][record["version"]] = (leg["state"], bool(leg["held"]))
        expected = []
        for (ident, leg_id), states in seen.items():
            stretches = []
            for version, state in sorted(states.items()):
                if not stretches or stretches[-1][1] != state:
                    stretches.append((version, state))
            ends = [start for start, _ in stretches[1:]] + [None]
            expected += [(ident, leg_id, *state, moment(start), moment(end)) for (start, state), end in zip(stretches, ends)]
        found = [(r["conversation_id"], r["leg_id"], r["state"], r["held"], r["started_at"], r["ended_at"]) for r in rows]
        self.assertEqual(found, sorted(expected, key=lambda r: (r[0], r[1], r[4])))
        self.assertTrue(any(held for *_, held, _, _ in found))

    def test_history_gives_a_segment_only_to_legs_that_no_snapshot_shows(self):
        made = self.loaded()
        legs = defaultdict(set)
        for of in by_conversation().values():
            for _, _, record in of:
                for leg in (leg for person in record["participants"] for leg in person["legs"]):
                    legs[record["event_type"]].add(leg["leg_id"])
        expected = legs["conversation.history"] - legs["conversation.snapshot"]
        self.assertGreater(len(expected), 3)
        rows = made.rows("SELECT leg_id FROM segments WHERE known_from = 'history'")
        self.assertEqual(sorted(leg for leg, in rows), sorted(expected))


class Evolution(WarehouseCase):
    source = staticmethod(early_lake)

    def newer(self):
        """A schema with one field more, and two records of it in an hour that has old ones too."""
        schema = staged_schema("events")
        schema["fields"].append({"name": "language", "type": ["null", "string"], "default": None})
        parsed = fastavro.parse_schema(plain(schema))
        last = max(first_hours("events", EARLY), key=lambda row: row[2])
        rows = [(last[0], 50_000 + n, last[2], last[3] | {"event_id": f"{n:032x}", "schema_version": 2, "language": "de-DE"}) for n in range(2)]
        return rows, parsed

    def test_a_field_without_a_column_is_passed_over_and_old_and_new_rows_load_side_by_side(self):
        lake = self.lake()
        rows, schema = self.newer()
        lake.put("events", rows, schema)
        made = self.empty(lake)
        made.load_everything()
        self.assertEqual(made.rows("SELECT count(*) FROM conversation_events WHERE schema_version = 2"), [(2,)])

    def test_with_its_column_the_field_is_null_in_old_rows_and_has_its_value_in_new_ones(self):
        lake = self.lake()
        rows, schema = self.newer()
        lake.put("events", rows, schema)
        made = self.empty(lake)
        for table in ("staged_events", "first_events", "conversation_events"):
            made.connection.execute(f"ALTER TABLE {table} ADD COLUMN language VARCHAR(64)")
        text = (translate.SQL / "load_hour.sql").read_text()
        for before, after in (("f.kafka_partition, f.kafka_offset\n", "f.kafka_partition, f.kafka_offset, f.language\n"),
                              ("kafka_offset = first_events.kafka_offset, loaded_at", "kafka_offset = first_events.kafka_offset, language = first_events.language, loaded_at"),
                              ("kafka_offset, loaded_at\n    ) VALUES", "kafka_offset, language, loaded_at\n    ) VALUES"),
                              ("first_events.kafka_offset, v_now", "first_events.kafka_offset, first_events.language, v_now")):
            self.assertEqual(text.count(before), 1, before)
            text = text.replace(before, after)
        for statement in translate.statements(text):
            made.connection.execute(statement)
        made.load_everything()
        kinds = dict(made.rows("SELECT COALESCE(language, 'none'), count(*) FROM conversation_events GROUP BY 1"))
        self.assertEqual(kinds["de-DE"], 2)
        self.assertEqual(kinds["none"], len({row[3]["event_id"] for row in first_hours("events", EARLY)}))


if __name__ == "__main__":
    unittest.main()
