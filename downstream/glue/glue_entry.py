"""AWS Glue 5 (Spark 3.5): the only file that knows Glue. Loads what is new or changed, then remembers it.

Job parameters
  --source   folder of the staged topic, e.g. s3://bucket/topics/genesys.conversation.events
  --schema   conversation_event.avsc of the newest release, e.g. s3://bucket/schemas/conversation_event.avsc
  --format   parquet or iceberg
  --target   parquet: a folder; iceberg: a table, e.g. glue_catalog.calls.conversation_events
  --notes    a folder for what was loaded, e.g. s3://bucket/notes/conversation_events
Give `transform.py` as --extra-py-files; for iceberg also --datalake-formats iceberg and the catalogue's settings.
"""

import sys

from awsglue.context import GlueContext
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext

import transform


def main(argv: list) -> list:
    """Runs it; returns the hours that were loaded. Raises `ValueError` for a format that is none."""
    options = getResolvedOptions(argv, ["JOB_NAME", "source", "schema", "format", "target", "notes"])
    if options["format"] not in ("parquet", "iceberg"):
        raise ValueError(f"format is {options['format']}: allowed are parquet, iceberg")
    glue = GlueContext(SparkContext.getOrCreate())
    spark = glue.spark_session
    job = Job(glue)
    job.init(options["JOB_NAME"], options)
    avsc = "\n".join(row.value for row in spark.read.text(options["schema"]).collect())
    loaded = transform.hours_to_load(spark, options["source"], options["notes"])
    if loaded:
        load = transform.load_parquet if options["format"] == "parquet" else transform.load_iceberg
        load(spark, options["source"], options["target"], sorted(loaded), avsc)
        transform.note(spark, options["notes"], loaded)
    job.commit()
    return sorted(loaded)


if __name__ == "__main__":
    main(sys.argv)
