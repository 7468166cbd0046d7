"""The Glue job on a real Spark: what the product wrote, staged, loaded into Parquet and Iceberg."""

import glob
import json
import pathlib
import shutil
import sys
import tempfile
import unittest

import fastavro
from pyspark.sql import SparkSession

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE.parent), str(HERE / "stub"), str(ROOT / "downstream" / "glue")]

import catalogue  # noqa: E402
import glue_entry  # noqa: E402
import transform  # noqa: E402
from awsglue.job import Job  # noqa: E402
from lake import HOUR, Lake, plain, records, runs, staged_schema  # noqa: E402

AVSC = ROOT / "schemas" / "conversation_event.avsc"
JARS = ",".join(glob.glob(str(ROOT / "target" / "spark-jars" / "*.jar")))
HOURS_KEPT = 8


def kept_rows() -> list:
    """Events of the first staged hours: enough, and quick."""
    rows = records()["events"]
    first = min(row[2] for row in rows) // HOUR
    return [row for row in rows if row[2] // HOUR < first + HOURS_KEPT]


class GlueJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.base)
        settings = {
            "spark.jars": JARS, "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.driver.memory": "1g",
            "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1", "spark.sql.session.timeZone": "UTC",
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog", "spark.sql.catalog.lake.type": "hadoop",
            "spark.sql.catalog.lake.warehouse": f"file://{cls.base}/iceberg",
        }
        builder = SparkSession.builder.master("local[2]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        cls.spark = builder.getOrCreate()
        cls.spark.sparkContext.setLogLevel("ERROR")
        cls.addClassCleanup(cls.spark.stop)
        cls.avsc = AVSC.read_text()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.base))
        self.lake = Lake(self.folder / "lake")
        for group in runs(kept_rows()):
            self.lake.put("events", group)
        self.source = f"file://{self.lake.folder}/topics/genesys.conversation.events"
        self.target = f"file://{self.folder}/curated"

    def hours(self):
        return transform.folders(self.spark, self.source)

    def load(self, hours):
        return transform.load_parquet(self.spark, self.source, self.target, hours, self.avsc)

    def rows(self, frame=None):
        frame = self.spark.read.parquet(self.target) if frame is None else frame
        return sorted((r.event_id, r.kafka_partition, r.kafka_offset, r.version) for r in frame.select(
            "event_id", "kafka_partition", "kafka_offset", "version").collect())

    def expected(self):
        first = {}
        for partition, offset, _, record in kept_rows():
            first.setdefault(record["event_id"], (partition, offset))
        return sorted((ident, *place) for ident, place in first.items())

    def test_every_id_is_one_row_with_its_nested_values(self):
        self.load(self.hours())
        frame = self.spark.read.parquet(self.target)
        self.assertGreater(len(self.expected()), 300)
        self.assertEqual([row[:3] for row in self.rows(frame)], self.expected())
        wanted = next(row[3] for row in kept_rows() if any(p["attributes"] for p in row[3]["participants"]))
        got = frame.where(frame.event_id == wanted["event_id"]).collect()[0].asDict(recursive=True)
        self.assertEqual([p["attributes"] for p in got["participants"]], [p["attributes"] for p in wanted["participants"]])
        self.assertEqual(int(got["received_at"].timestamp() * 1000), wanted["received_at"])
        self.assertEqual(len(glob.glob(f"{self.folder}/curated/dt=*/hr=*/*.parquet")), HOURS_KEPT)

    def test_again_reversed_and_in_parts_gives_the_same_rows(self):
        self.load(self.hours())
        once = self.rows()
        self.load(self.hours())
        self.assertEqual(self.rows(), once)
        self.target += "-reversed"
        for hours in (self.hours()[4:], self.hours()[:4][::-1]):
            self.load(hours)
        self.assertEqual(self.rows(), once)

    def test_a_repeat_that_was_loaded_first_gives_way_to_the_first_record(self):
        partition, offset, moment, record = kept_rows()[0]
        self.lake.put("events", [(partition, 90_000, moment + 10 * HOUR, dict(record, origin="replay"))])
        late = self.hours()[-1]
        self.load([late])
        self.assertEqual(self.rows()[0][:3], (record["event_id"], partition, 90_000))
        written = self.load(self.hours()[:-1])
        self.assertIn(late, written)
        self.assertEqual([row[:3] for row in self.rows()], self.expected())

    def test_only_new_and_changed_hours_are_loaded_and_what_was_cut_off_is_loaded_again(self):
        notes = f"file://{self.folder}/notes"
        loaded = transform.hours_to_load(self.spark, self.source, notes)
        self.assertEqual(sorted(loaded), self.hours())
        self.assertEqual(transform.hours_to_load(self.spark, self.source, notes), loaded)
        transform.note(self.spark, notes, loaded)
        self.assertEqual(transform.hours_to_load(self.spark, self.source, notes), {})
        partition, _, moment, record = kept_rows()[0]
        late = self.lake.put("events", [(partition, 90_000, moment, dict(record, event_id="e" * 32))])
        self.assertEqual(list(transform.hours_to_load(self.spark, self.source, notes)), ["/".join(late.parts[-3:-1])])

    def test_old_and_new_objects_are_read_side_by_side_when_a_field_is_added(self):
        schema = staged_schema("events")
        schema["fields"].append({"name": "language", "type": ["null", "string"], "default": None})
        partition, _, moment, record = kept_rows()[0]
        new = dict(record, event_id="e" * 32, language="de-DE")
        self.lake.put("events", [(partition, 90_000, moment, new)], fastavro.parse_schema(plain(schema)))
        newer = json.loads(self.avsc)
        newer["fields"].append({"name": "language", "type": ["null", "string"], "default": None})
        self.load(self.hours())  # the job still has the old schema
        self.assertNotIn("language", self.spark.read.parquet(self.target).columns)
        transform.load_parquet(self.spark, self.source, self.target, self.hours(), json.dumps(newer))
        counts = {r.language: r["count"] for r in self.spark.read.parquet(self.target).groupBy("language").count().collect()}
        self.assertEqual(counts, {None: len(self.expected()), "de-DE": 1})

    def test_an_hour_loaded_with_the_new_schema_keeps_the_hours_before_it(self):
        newer = json.loads(self.avsc)
        newer["fields"].append({"name": "language", "type": ["null", "string"], "default": None})
        self.load(self.hours()[:4])
        transform.load_parquet(self.spark, self.source, self.target, self.hours()[4:], json.dumps(newer))
        frame = self.spark.read.option("mergeSchema", "true").parquet(self.target)
        self.assertEqual([row[:3] for row in self.rows(frame)], self.expected())

    def test_iceberg_has_the_same_rows_in_any_order(self):
        for name, order in (("a", 1), ("b", -1)):
            for hours in [self.hours()[:5], self.hours()[5:], self.hours()[:5]][::order]:
                transform.load_iceberg(self.spark, self.source, f"lake.calls.{name}", hours, self.avsc)
            self.assertEqual([row[:3] for row in self.rows(self.spark.table(f"lake.calls.{name}"))], self.expected())

    def test_the_entry_loads_what_is_new_commits_and_finds_nothing_the_second_time(self):
        argv = ["job", "--JOB_NAME", "load", "--source", self.source, "--schema", f"file://{AVSC}", "--format", "parquet",
                "--target", self.target, "--notes", f"file://{self.folder}/notes"]
        Job.committed.clear()
        self.assertEqual(glue_entry.main(argv), self.hours())
        self.assertEqual(glue_entry.main(argv), [])
        self.assertEqual(Job.committed, ["load", "load"])
        self.assertEqual([row[:3] for row in self.rows()], self.expected())

    def test_bad_input_is_refused_by_name(self):
        with self.assertRaisesRegex(ValueError, "hour is 2026-11-28: allowed is dt=YYYY-MM-DD/hr=HH"):
            self.load(["2026-11-28"])
        argv = ["job", "--JOB_NAME", "x", "--source", "s", "--schema", "s", "--format", "csv", "--target", "t", "--notes", "n"]
        with self.assertRaisesRegex(ValueError, "format is csv: allowed are parquet, iceberg"):
            glue_entry.main(argv)

    def test_the_catalogue_describes_the_parquet_that_is_written(self):
        self.load(self.hours()[:1])
        made = catalogue.table(json.loads(self.avsc), "events", "s3://b/curated", staged=False)["TableInput"]
        described = {c["Name"]: c["Type"] for c in made["StorageDescriptor"]["Columns"]}
        written = {f.name: f.dataType.simpleString() for f in self.spark.read.parquet(self.target).schema}
        partitions = {key["Name"] for key in made["PartitionKeys"]}
        self.assertEqual(described, {name: kind for name, kind in written.items() if name not in partitions})

    def test_the_catalogue_describes_every_schema_and_refuses_what_hive_has_not(self):
        for path in (ROOT / "schemas").glob("*.avsc"):
            made = catalogue.table(json.loads(path.read_text()), "t", "s3://b/t", staged=True)["TableInput"]
            literal = json.loads(made["StorageDescriptor"]["SerdeInfo"]["Parameters"]["avro.schema.literal"])
            names = [column["Name"] for column in made["StorageDescriptor"]["Columns"]]
            self.assertEqual([field["name"] for field in literal["fields"]], names)
        with self.assertRaisesRegex(ValueError, 'type \\["int", "string"\\]: allowed are'):
            catalogue.hive_type(["int", "string"])


if __name__ == "__main__":
    unittest.main()
