"""The shipped connectors, with what is replaced where they run here: every other key is as it is shipped."""

import json
import pathlib

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "connect" / "s3"
ROLES = ("events", "certificates", "gaps")
CONVERTER = "io.apicurio.registry.utils.converter.AvroConverter"
# a rotation that fits a run of minutes
FASTER = {"flush.size": "400", "rotate.interval.ms": "10000", "rotate.schedule.interval.ms": "10000"}
APICURIO = {"registry.as-confluent": "true", "registry.use-id": "contentId", "registry.headers.enabled": "false"}


def shipped(role: str) -> dict:
    return json.loads((SHIPPED / f"{role}.json").read_text())


def connector(role: str, store: str, registry: str, replicas: int) -> dict:
    """For a bucket at `store`, Apicurio at `registry` and `replicas` brokers."""
    return shipped(role) | FASTER | {f"value.converter.apicurio.{key}": value for key, value in APICURIO.items()} | {
        "connector.class": "io.trunkline.stack.AvroObjects",
        "store.url": store,
        "value.converter": CONVERTER,
        "value.converter.apicurio.registry.url": registry + "/apis/registry/v2",
        "errors.deadletterqueue.topic.replication.factor": str(replicas),
    }
