"""load.sh with the real psql, and a stand-in for aws that reads a folder."""

import os
import subprocess
import unittest

import translate
from case import WarehouseCase, warehouse_of
from lake import heard, records
from warehouse import server

AWS = """#!/usr/bin/env python3
import json, os, pathlib, shutil, sys
lake, words = pathlib.Path(os.environ["LAKE"]), sys.argv[1:]
value = lambda flag: words[words.index(flag) + 1]
with open(os.environ["REQUESTS"], "a") as log:
    print(*words[:2], file=log)
if words[:2] == ["s3api", "list-objects-v2"]:
    found = sorted(lake.glob(value("--prefix") + "*.avro"))
    if found:
        print(json.dumps({"Contents": [{"Key": str(f.relative_to(lake)), "Size": f.stat().st_size,
                                        "LastModified": "2026-11-28T00:00:00+00:00"} for f in found]}))
elif words[:2] == ["s3", "cp"]:
    target = lake / words[-1].removeprefix("s3://staging/")
    shutil.copytree(words[-2], target, dirs_exist_ok=True)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755)
else:
    sys.exit(f"aws: {words}")
"""


class Schedule(WarehouseCase):
    def run_it(self, made, *hours, **environment):
        tools = server().folder_for("tools")
        self.requests = tools / "requests"
        (tools / "aws").write_text(AWS)
        (tools / "aws").chmod(0o755)
        environment = os.environ | {
            "PATH": f"{tools}:{os.environ['PATH']}", "LAKE": str(made.lake.folder), "REQUESTS": str(self.requests), "BUCKET": "staging", "PGHOST": "127.0.0.1",
            "PGPORT": str(server().port), "PGUSER": "loader", "PGDATABASE": made.name} | environment
        return subprocess.run([translate.SQL / "load.sh", *hours], env=environment, capture_output=True, text=True)

    def test_hours_that_are_named_are_listed_loaded_and_judged(self):
        made = self.empty()
        hours = warehouse_of(self.source)[1][:4]
        done = self.run_it(made, *hours)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(made.rows("SELECT staging_hour::text FROM hour_loads ORDER BY 1"), [(hour,) for hour in hours])
        self.assertEqual(self.requests.read_text().count("list-objects-v2"), 16)
        self.assertEqual(done.stdout.strip(), "")

    def test_without_hours_it_takes_the_last_three_and_what_is_to_be_loaded_again(self):
        made = self.loaded()
        victim = records()["events"][77][3]
        made.connection.execute("DELETE FROM conversation_events WHERE event_id = %s", (victim["event_id"],))
        done = self.run_it(made)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(made.rows("SELECT count(*) FROM conversation_events WHERE event_id = %s", victim["event_id"]), [(1,)])
        self.assertEqual(self.requests.read_text().count("list-objects-v2"), 16)

    def test_an_hour_that_lacks_rows_is_said(self):
        made = self.loaded(self.lake())
        victim = heard()[900]
        made.lake.without({victim[:2]})
        made.connection.execute("DELETE FROM conversation_events WHERE event_id = %s", (victim[3]["event_id"],))
        made.connection.execute("DELETE FROM event_offsets WHERE event_id = %s", (victim[3]["event_id"],))
        done = self.run_it(made)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(", 1 rows missing, 0 intervals unproven", done.stdout)

    def test_a_failing_load_ends_it_with_an_error_and_the_next_run_makes_it_good(self):
        made = self.empty(self.lake())
        hour = warehouse_of(self.source)[1][3]
        folder = f"dt={hour[:10]}/hr={hour[11:13]}"
        gone = next(made.lake.folder.glob(f"topics/genesys.conversation.events/{folder}/*.rows"))
        away = gone.with_suffix(".away")
        gone.rename(away)
        done = self.run_it(made, hour)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(gone.name, done.stderr)
        away.rename(gone)
        self.assertEqual(self.run_it(made, hour).returncode, 0)
        self.assertEqual(made.rows("SELECT count(*) FROM hour_loads"), [(1,)])

    def test_wrong_usage_is_refused_by_name(self):
        made = self.loaded()
        done = self.run_it(made, "2026-11-28T02")
        self.assertEqual((done.returncode, done.stderr.strip()),
                         (64, "load: hour is 2026-11-28T02: allowed is 'YYYY-MM-DD HH:00:00', UTC"))
        done = self.run_it(made, BUCKET="")
        self.assertEqual(done.returncode, 64)
        self.assertIn("BUCKET is not set", done.stderr)


if __name__ == "__main__":
    unittest.main()
