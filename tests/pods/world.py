"""What pods talk to: a platform, a broker and a registry at the node's address; and what came of it, read back."""

import base64
import contextlib
import io
import json
import pathlib
import shutil
import sys
from collections import defaultdict

import fastavro
from confluent_kafka import Consumer, KafkaException, TopicPartition

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "scripts"), *(str(ROOT / "tests" / name) for name in ("journey", "live", "helm"))]
# its account of events imports `world`, which is this file
sys.path.append(str(ROOT / "tests/drain"))
from containers.node import ADDRESS  # noqa: E402
from generated import Generated  # noqa: E402
from harness import EVENTS, GAPS, STATE, Sim, get, wait_for  # noqa: E402, F401
from readback import records, schemas  # noqa: E402
from relay import Relay  # noqa: E402
from testbed import fetch, registry  # noqa: E402
from testbed.brokers import Brokers  # noqa: E402
from testbed.group import Group  # noqa: E402

FOLDER = fetch.CACHE / "pods"
RATE = 50
CLIENTS = ("one", "two")


class Records:
    """Ids of the events in their topic, by partition, in its order."""

    problem = None

    def __init__(self, bootstrap: str):
        self.bootstrap = bootstrap
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "pods", "enable.auto.commit": False})

    def count(self) -> int:
        try:
            topic = self.consumer.list_topics(EVENTS, timeout=30).topics[EVENTS]
            ends = [self.consumer.get_watermark_offsets(TopicPartition(EVENTS, p), timeout=30) for p in topic.partitions]
        except KafkaException:  # not created yet
            return 0
        return sum(high for _, high in ends)

    @property
    def partitions(self) -> dict[int, list[bytes]]:
        found = defaultdict(list)
        for raw in records(self.bootstrap, EVENTS)[0]:
            found[raw["partition"]].append(bytes.fromhex(raw["headers"]["event_id"]))
        return found


class World(Generated, contextlib.AbstractContextManager):
    """As `tests/drain` has it, of what is real here."""

    def __init__(self):
        shutil.rmtree(FOLDER, ignore_errors=True)
        self.group = Group(FOLDER)
        self.brokers = Brokers(self.group, 1, host=ADDRESS)
        self.sim = self.relay = None

    def __enter__(self):
        try:
            self.brokers.start_all()
            self.registry = registry.start(self.group, canonical=True, host=ADDRESS) + "/apis/ccompat/v7"
            clients = [word for name in CLIENTS for word in ("--client", f"{name}:{name}-secret")]
            self.sim = Sim("--rate", str(RATE), "--wait-for-channels", "2", *clients)
        except BaseException:
            self.__exit__()
            raise
        local = self.sim.url
        self.relay = Relay(ADDRESS, int(local.rsplit(":", 1)[1]))
        self.platform = local.replace("127.0.0.1", ADDRESS)
        org = json.loads(get(self.sim.url + "/sim/org"))
        self.org, self.origin_ms = org["id"], org["origin_ms"]
        self.records = Records(self.brokers.bootstrap)
        return self

    def __exit__(self, *_):
        if self.relay:
            self.relay.close()
        if self.sim:
            self.sim.__exit__()
        self.group.end_all()

    def values(self) -> dict:
        """What has to be said to the chart, and what one broker alone makes necessary."""
        return {
            "config": {
                "genesys": {"login_url": self.platform, "api_url": self.platform},
                "kafka": {"bootstrap_servers": self.brokers.bootstrap, "create_topics": True, "durability": "degraded_allowed"},
                "schema_registry": {"url": self.registry},
                "privacy": {"preset": "none"},
            },
            "credentials": {"genesys": {"existingSecret": "genesys-clients"}},
        }

    def facts(self, kind: str) -> list[dict]:
        facts = (json.loads(base64.b64decode(raw["value_b64"]) or "{}") for raw in records(self.brokers.bootstrap, STATE)[0])
        return [fact for fact in facts if fact.get("kind") == kind]

    def gaps(self) -> dict:
        """The newest word on each."""
        values = [base64.b64decode(raw["value_b64"]) for raw in records(self.brokers.bootstrap, GAPS)[0]]
        known = {n: fastavro.parse_schema(json.loads(text)) for n, text in schemas(self.registry, values).items()}
        decoded = (fastavro.schemaless_reader(io.BytesIO(value[5:]), known[int.from_bytes(value[1:5], "big")]) for value in values)
        return {gap["gap_id"]: gap for gap in decoded}
