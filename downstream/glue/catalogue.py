#!/usr/bin/env python3
"""Table definitions of the Glue Data Catalog, made from a schema. Standard library only.

usage: catalogue.py schemas/conversation_event.avsc --name conversation_events --location s3://bucket/curated/events \\
         | aws glue create-table --database-name calls --cli-input-json file:///dev/stdin

`--staged` describes the Avro objects of the sink instead of the Parquet that the job writes.
"""

import argparse
import json
import pathlib
import sys

PRIMITIVES = {"string": "string", "int": "int", "long": "bigint", "boolean": "boolean", "bytes": "binary",
              "float": "float", "double": "double"}
FORMATS = {
    "parquet": ("org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"),
    "avro": ("org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat",
             "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat",
             "org.apache.hadoop.hive.serde2.avro.AvroSerDe"),
}
SINK_FIELDS = [{"name": "kafka_partition", "type": "int"}, {"name": "kafka_offset", "type": "long"}]


def hive_type(avro) -> str:
    """A type of Avro as Hive writes it. Raises `ValueError` for one that the schemas do not use."""
    if isinstance(avro, list):
        branches = [branch for branch in avro if branch != "null"]
        if len(branches) == 1:
            return hive_type(branches[0])
    elif isinstance(avro, str) and avro in PRIMITIVES:
        return PRIMITIVES[avro]
    elif isinstance(avro, dict):
        if avro.get("logicalType") == "timestamp-millis":
            return "timestamp"
        if avro["type"] == "array":
            return f"array<{hive_type(avro['items'])}>"
        if avro["type"] == "map":
            return f"map<string,{hive_type(avro['values'])}>"
        if avro["type"] == "record":
            return "struct<" + ",".join(f"{f['name']}:{hive_type(f['type'])}" for f in avro["fields"]) + ">"
        return hive_type(avro["type"])
    raise ValueError(f"type {json.dumps(avro)}: allowed are {', '.join(PRIMITIVES)}, timestamp-millis, arrays, maps, "
                     "records, and unions of null with one of them")


def table(schema: dict, name: str, location: str, staged: bool) -> dict:
    """The input of `aws glue create-table`."""
    fields = schema["fields"] + SINK_FIELDS
    inputs, outputs, serde = FORMATS["avro" if staged else "parquet"]
    parameters = {"avro.schema.literal": json.dumps(schema | {"fields": fields})} if staged else {}
    return {"TableInput": {
        "Name": name, "TableType": "EXTERNAL_TABLE", "Description": schema.get("doc", ""),
        "Parameters": {"classification": "avro" if staged else "parquet", "EXTERNAL": "TRUE",
                       "projection.enabled": "true", "projection.dt.type": "date", "projection.dt.format": "yyyy-MM-dd",
                       "projection.dt.range": "NOW-400DAYS,NOW", "projection.hr.type": "integer",
                       "projection.hr.range": "0,23", "projection.hr.digits": "2"},
        "PartitionKeys": [{"Name": "dt", "Type": "string"}, {"Name": "hr", "Type": "string"}],
        "StorageDescriptor": {
            "Columns": [{"Name": f["name"], "Type": hive_type(f["type"]), "Comment": f.get("doc", "")[:255]} for f in fields],
            "Location": location, "InputFormat": inputs, "OutputFormat": outputs,
            "SerdeInfo": {"SerializationLibrary": serde, "Parameters": parameters}},
    }}


def main(argv: list) -> int:
    """Runs it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schema", type=pathlib.Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--location", required=True)
    parser.add_argument("--staged", action="store_true")
    options = parser.parse_args(argv)
    try:
        made = table(json.loads(options.schema.read_text()), options.name, options.location, options.staged)
    except (OSError, ValueError, KeyError) as error:
        print(f"catalogue: {options.schema}: {error}", file=sys.stderr)
        return 2
    print(json.dumps(made, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
