"""Apache Iceberg's own sink beside the other: the events as a table, exactly once, read back from its metadata and files."""

import io
import json
import time

import fastavro
from connectors import APICURIO, CONVERTER
from ground import BUCKET, EVENTS, FOLDER, Ground, say
from testbed import s3

TABLE, CONTROL, WAREHOUSE = "raw.conversation_events", "control-iceberg", "iceberg"


def connector(ground: Ground) -> dict:
    """Plain Avro data files in folders by the hour of `received_at`; the catalogue is a file."""
    return {f"value.converter.apicurio.{key}": value for key, value in APICURIO.items()} | {
        "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector", "tasks.max": "1", "topics": EVENTS,
        "key.converter": "org.apache.kafka.connect.storage.StringConverter", "value.converter": CONVERTER,
        "value.converter.apicurio.registry.url": ground.registry + "/apis/registry/v2",
        "transforms": "place", "transforms.place.type": "org.apache.kafka.connect.transforms.InsertField$Value",
        "transforms.place.partition.field": "kafka_partition", "transforms.place.offset.field": "kafka_offset",
        "iceberg.tables": TABLE, "iceberg.tables.auto-create-enabled": "true", "iceberg.tables.evolve-schema-enabled": "true",
        "iceberg.tables.default-partition-by": "hour(received_at)", "iceberg.tables.auto-create-props.write.format.default": "avro",
        "iceberg.control.topic": CONTROL, "iceberg.control.commit.interval-ms": "10000", "iceberg.control.commit.timeout-ms": "10000",
        "iceberg.catalog.type": "jdbc", "iceberg.catalog.uri": f"jdbc:sqlite:{FOLDER}/catalogue.db", "iceberg.catalog.jdbc.schema-version": "V1",
        "iceberg.catalog.warehouse": f"s3://{BUCKET}/{WAREHOUSE}", "iceberg.catalog.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "iceberg.catalog.s3.endpoint": ground.s3.url, "iceberg.catalog.s3.path-style-access": "true", "iceberg.catalog.s3.access-key-id": s3.KEY,
        "iceberg.catalog.s3.secret-access-key": s3.SECRET, "iceberg.catalog.client.region": s3.REGION, "iceberg.catalog.http-client.type": "urlconnection",
        "errors.tolerance": "all", "errors.deadletterqueue.topic.name": f"{EVENTS}.iceberg-dlq", "errors.deadletterqueue.context.headers.enable": "true",
        "errors.deadletterqueue.topic.replication.factor": str(ground.replicas),
    }


def start(ground: Ground):
    ground.create_topic(CONTROL, 1)
    ground.connect.put("trunkline-iceberg", connector(ground))


def rows(ground: Ground) -> list[tuple]:
    """`(partition, offset, event_id)` of every row of the newest snapshot; files it does not name do not count."""
    client = ground.s3.client()
    read = lambda url: client.get_object(Bucket=BUCKET, Key=url.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{WAREHOUSE}/")
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ()) if entry["Key"].endswith(".metadata.json")]
    if not keys:
        return []
    table = json.loads(read(max(keys, key=lambda key: key.rpartition("/")[2])))
    snapshot = next((one for one in table["snapshots"] if one["snapshot-id"] == table.get("current-snapshot-id")), None)
    found = []
    for manifest in fastavro.reader(io.BytesIO(read(snapshot["manifest-list"]))) if snapshot else ():
        for entry in fastavro.reader(io.BytesIO(read(manifest["manifest_path"]))):
            if entry["status"] != 2:  # deleted
                for record in fastavro.reader(io.BytesIO(read(entry["data_file"]["file_path"]))):
                    found.append((record["kafka_partition"], record["kafka_offset"], record["event_id"]))
    return found


def check(ground: Ground, events: list, seconds: float = 240) -> list[str]:
    """Every record of the topic is one row; `events` as `account.Truth` has them."""
    end = time.monotonic() + seconds
    while len(found := rows(ground)) < len(events) and time.monotonic() < end:
        state = ground.connect.states()["trunkline-iceberg"]
        say(f"waiting for the Iceberg table: {len(found)} of {len(events)} rows, task {state[:200]}")
        if state.startswith("FAILED"):
            break
        time.sleep(5)
    say(f"Iceberg table: {len(found)} rows, {len(set(found))} distinct, {len(events)} records in Kafka")
    if sorted(found) != sorted(events):
        return [f"Iceberg: {len(set(events) - set(found))} records have no row, {len(found) - len(set(found))} rows stand twice"]
    return []
