"""manifests.py: from a listing of S3 to manifests and objects.csv."""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import translate

KEY = "topics/genesys.conversation.events/dt=2026-11-28/hr=02/genesys.conversation.events-7-0000000400.avro"


def entry(key=KEY, size=9, modified="2026-11-28T03:00:01+00:00"):
    return {"Key": key, "Size": size, "LastModified": modified}


class Manifests(unittest.TestCase):
    def run_it(self, text, *arguments):
        self.out = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "out"
        return subprocess.run(
            [sys.executable, translate.SQL / "manifests.py", self.out, "--bucket", "b", *arguments],
            input=text, capture_output=True, text=True)

    def refused(self, text, *words):
        done = self.run_it(text)
        self.assertEqual(done.returncode, 2, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_every_object_of_an_hour_is_mandatory_in_its_manifest(self):
        other = KEY.replace("-7-0000000400", "-8-0000000000")
        next_hour = KEY.replace("hr=02", "hr=03").replace("0400", "0500")
        done = self.run_it(json.dumps({"Contents": [entry(), entry(other), entry(next_hour)]}))
        self.assertEqual(done.stdout.splitlines(), ["2026-11-28 02:00:00", "2026-11-28 03:00:00"])
        manifest = json.loads((self.out / "events/dt=2026-11-28/hr=02/manifest.json").read_text())
        self.assertEqual(manifest, {"entries": [
            {"url": f"s3://b/{key}", "mandatory": True, "meta": {"content_length": 9}} for key in (KEY, other)]})
        row = next(csv.DictReader((self.out / "objects.csv").read_text().splitlines()))
        self.assertEqual(
            (row["role"], row["kafka_partition"], row["first_offset"], row["modified_at"]),
            ("events", "7", "400", "2026-11-28 03:00:01.000000"))

    def test_several_pages_and_an_empty_answer_are_one_listing(self):
        text = json.dumps({"Contents": [entry()]}) + "\n{}\n" + json.dumps({"Contents": [entry(KEY.replace("-7-", "-9-"))]})
        self.assertEqual(self.run_it(text).returncode, 0)
        self.assertEqual(len((self.out / "objects.csv").read_text().splitlines()), 3)

    def test_an_empty_listing_makes_no_hour(self):
        self.assertEqual(self.run_it("").stdout, "")

    def test_topics_of_other_names_are_told_by_role(self):
        key = KEY.replace("genesys.conversation.events", "acme-calls")
        self.run_it(json.dumps({"Contents": [entry(key)]}), "--topic", "events=acme-calls")
        self.assertIn("acme-calls-7-0000000400.avro", (self.out / "objects.csv").read_text())

    def test_the_sinks_own_separator_is_read_too(self):
        done = self.run_it(json.dumps({"Contents": [entry(KEY.replace("-7-", "+7+"))]}))
        self.assertEqual(done.stdout, "2026-11-28 02:00:00\n")

    def test_a_key_of_another_layout_is_refused_by_name(self):
        self.refused(json.dumps({"Contents": [entry("topics/x/2026/11/28/x-0-1.avro")]}), "x-0-1.avro", "allowed is <prefix>")

    def test_an_empty_object_is_refused_by_name(self):
        self.refused(json.dumps({"Contents": [entry(size=0)]}), KEY, "Size is 0")

    def test_a_time_that_is_none_is_refused_by_name(self):
        self.refused(json.dumps({"Contents": [entry(modified="yesterday")]}), "LastModified is yesterday", "ISO 8601")

    def test_what_is_no_listing_is_refused(self):
        self.refused('{"Contents": [', "no JSON at character")
        self.refused("[]", "list", "list-objects-v2")

    def test_an_unknown_role_is_refused(self):
        done = self.run_it("", "--topic", "calls=x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("events, certificates, gaps, quarantine", done.stderr)


if __name__ == "__main__":
    unittest.main()
