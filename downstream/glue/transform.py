"""Staged hours into a table, in plain PySpark: nothing of Glue in here.

A staged hour is a folder `<source>/dt=YYYY-MM-DD/hr=HH` of Avro objects, as the S3 sink writes them with
`kafka_partition` and `kafka_offset` added. Of the records of one `event_id` the first in its partition is kept,
whichever hour is loaded first, so loading again, in another order or in parts gives the same rows.
Paths carry their scheme (`s3://` in Glue, `file://` elsewhere). An hour is the text `dt=YYYY-MM-DD/hr=HH`.
"""

import hashlib
import json
import re
from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

HOUR = re.compile(r"dt=\d{4}-\d\d-\d\d/hr=\d\d")
SINK_FIELDS = [
    {"name": "kafka_partition", "type": "int", "doc": "Partition of the record. Added by the sink. PII: none."},
    {"name": "kafka_offset", "type": "long", "doc": "Offset of the record. Added by the sink. PII: none."},
]


def reader_schema(avsc: str) -> str:
    """The schema that staged objects are read with: the given one, older and newer objects resolve to it."""
    schema = json.loads(avsc)
    have = {field["name"] for field in schema["fields"]}
    schema["fields"] += [field for field in SINK_FIELDS if field["name"] not in have]
    return json.dumps(schema)


def staged(spark: SparkSession, source: str, hours: list, avsc: str) -> DataFrame:
    """Every record of these hours, with the columns `dt` and `hr` of its folder."""
    frame = (
        spark.read.format("avro").option("avroSchema", reader_schema(avsc)).option("basePath", source)
        .option("pathGlobFilter", "*.avro").load([f"{source}/{checked(hour)}" for hour in hours])
    )
    # `hr=02` is read as the number 2
    return frame.withColumn("dt", F.date_format("dt", "yyyy-MM-dd")).withColumn("hr", F.format_string("%02d", F.col("hr").cast("int")))


def checked(hour: str) -> str:
    """The hour, or a `ValueError` that names it."""
    if not HOUR.fullmatch(hour):
        raise ValueError(f"hour is {hour}: allowed is dt=YYYY-MM-DD/hr=HH")
    return hour


def first_records(frame: DataFrame) -> DataFrame:
    """One row for each `event_id`: the first in its partition."""
    first = Window.partitionBy("event_id").orderBy("kafka_partition", "kafka_offset", "dt", "hr")
    return frame.withColumn("_place", F.row_number().over(first)).where("_place = 1").drop("_place")


def around(hours: list, lookback_hours: int) -> tuple:
    """First and last hour, both inclusive, in which a repeat of these hours' records may lie."""
    moments = [datetime.strptime(checked(hour), "dt=%Y-%m-%d/hr=%H") for hour in hours]
    reach = timedelta(hours=lookback_hours)
    return tuple(moment.strftime("dt=%Y-%m-%d/hr=%H") for moment in (min(moments) - reach, max(moments) + reach))


def load_parquet(spark: SparkSession, source: str, target: str, hours: list, avsc: str, lookback_hours: int = 48) -> list:
    """Writes these hours as `<target>/dt=…/hr=…/*.parquet`; returns the hours that were written.

    An hour that was loaded out of order and holds a later record of the same id is written anew without it.
    A repeat that is further away than `lookback_hours` stays: raise it to at least the retention of the spool.
    """
    new = staged(spark, source, hours, avsc)
    low, high = around(hours, lookback_hours)
    there = [hour for hour in folders(spark, target) if low <= hour <= high and hour not in hours]
    if not there:
        write(spark, first_records(new), target)
        return sorted(hours)
    old = spark.read.schema(new.schema).option("basePath", target).parquet(*[f"{target}/{hour}" for hour in there])
    old = old.withColumn("hr", F.format_string("%02d", F.col("hr").cast("int")))
    kept = first_records(new.unionByName(old.select(new.columns))).cache()
    place = F.concat(F.lit("dt="), "dt", F.lit("/hr="), "hr")
    before, after = (dict(f.groupBy(place).count().collect()) for f in (old, kept))
    lost = [hour for hour, count in before.items() if after.get(hour, 0) < count]
    written = sorted({*hours, *lost})
    write(spark, kept.where(place.isin(written)), target)
    for hour in (hour for hour in written if hour not in after):  # overwriting leaves an hour without rows as it was
        path(spark, f"{target}/{hour}", lambda fs, at: fs.delete(at, True))
    kept.unpersist()
    return written


def write(spark: SparkSession, frame: DataFrame, target: str) -> None:
    """Replaces the hours that the frame has rows of, one file each."""
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    frame.repartition("dt", "hr").write.mode("overwrite").partitionBy("dt", "hr").parquet(target)


def load_iceberg(spark: SparkSession, source: str, table: str, hours: list, avsc: str) -> None:
    """Merges these hours into an Iceberg table, made if it is not there; one commit."""
    new = first_records(staged(spark, source, hours, avsc))
    if not spark.catalog.tableExists(table):
        new.limit(0).writeTo(table).using("iceberg").partitionedBy("dt", "hr").create()
    new.createOrReplaceTempView("staged_hours")
    spark.sql(f"""
        MERGE INTO {table} AS t USING staged_hours AS s ON t.event_id = s.event_id
        WHEN MATCHED AND (s.kafka_partition < t.kafka_partition
            OR (s.kafka_partition = t.kafka_partition AND s.kafka_offset < t.kafka_offset)) THEN UPDATE SET *
        WHEN NOT MATCHED THEN INSERT *""")


def path(spark: SparkSession, location: str, use):
    """`use(file system, path)` of Hadoop's, for whatever scheme the location has."""
    at = spark._jvm.org.apache.hadoop.fs.Path(location)
    return use(at.getFileSystem(spark._jsc.hadoopConfiguration()), at)


def folders(spark: SparkSession, root: str) -> list:
    """The hours below a folder, sorted."""
    def found(fs, at):
        statuses = fs.globStatus(at) or []
        return sorted("/".join(status.getPath().toString().split("/")[-2:]) for status in statuses)

    return [hour for hour in path(spark, f"{root}/dt=*/hr=*", found) if HOUR.fullmatch(hour)]


def fingerprint(spark: SparkSession, source: str, hour: str) -> str:
    """Changes when an object of the hour comes, goes or is overwritten."""
    def found(fs, at):
        return sorted((s.getPath().getName(), s.getLen(), s.getModificationTime()) for s in fs.globStatus(at) or [])

    return hashlib.sha256(json.dumps(path(spark, f"{source}/{hour}/*.avro", found)).encode()).hexdigest()


def hours_to_load(spark: SparkSession, source: str, notes: str) -> dict:
    """`{hour: fingerprint}` of staged hours that are new, or have other objects than when they were loaded."""
    def read(fs, at):
        return fs.exists(at) and spark._jvm.org.apache.commons.io.IOUtils.toString(fs.open(at), "UTF-8")

    hours = {hour: fingerprint(spark, source, hour) for hour in folders(spark, source)}
    return {hour: mark for hour, mark in hours.items() if path(spark, f"{notes}/{hour}", read) != mark}


def note(spark: SparkSession, notes: str, loaded: dict) -> None:
    """Remembers what was loaded; called after the write, so a job that was cut off loads again."""
    for hour, mark in loaded.items():
        def put(fs, at, mark=mark):
            out = fs.create(at, True)
            out.write(bytearray(mark.encode()))
            out.close()

        path(spark, f"{notes}/{hour}", put)
