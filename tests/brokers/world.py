"""A simulator, trunkline, and a Kafka of three brokers that lasts for all faults; the log of the third lies on a small file system."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests" / "journey"), str(ROOT / "scripts")]
from harness import CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Trunkline, config, get, wait_for  # noqa: E402
from testbed import fetch, registry  # noqa: E402
from testbed.brokers import Brokers  # noqa: E402
from testbed.group import Group  # noqa: E402

FOLDER = fetch.CACHE / "brokers"
TOPICS = {"events": EVENTS, "quarantine": QUARANTINE, "gaps": GAPS, "certificates": CERTIFICATES, "state": STATE}
CLEANUP = {"gaps": "compact,delete", "certificates": "compact", "state": "compact"}
PARTITIONS, MIN_ISR, SMALL_DISK = 12, 2, 3
# hours are so many times as short, or no certificate would be written while this runs
SCALE, REQUESTS = 240, 3_000


def say(text: str):
    print(f"brokers: {text}", file=sys.stderr, flush=True)


class Cluster(Brokers):
    """Three nodes, replication factor 3, at least 2 in sync."""

    def __init__(self, disk_mb: int):
        shutil.rmtree(FOLDER, ignore_errors=True)
        super().__init__(Group(FOLDER / "run"), 3)
        self.disk = self.group.folder / f"data{SMALL_DISK}"
        self.disk_mb = disk_mb

    def __enter__(self):
        self.disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.disk_mb}m", "trunkline-brokers", self.disk], capture_output=True, text=True)
        self.has_small_disk = mounted.returncode == 0
        self.why_not = mounted.stderr.strip()
        try:
            self.start_all()
            self.registry = registry.start(self.group) + "/apis/ccompat/v7"
            self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2, "topic.metadata.refresh.interval.ms": 1000})
            if not wait_for(lambda: len(self.admin.list_topics(timeout=30).brokers) == 3, 120, 0.5):
                raise TimeoutError("the brokers do not find each other")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.group.end_all()
        if self.has_small_disk:
            subprocess.run(["umount", "--lazy", self.disk], check=False)

    def create(self, name: str) -> dict:
        """Topics of one world, by role."""
        named = {role: f"{name}.{topic}" for role, topic in TOPICS.items()}
        new = []
        for role, topic in named.items():
            keep = {"min.insync.replicas": str(MIN_ISR), "cleanup.policy": CLEANUP.get(role, "delete")}
            new.append(NewTopic(topic, PARTITIONS if role == "events" else 3, 3, config=keep))
        for future in self.admin.create_topics(new, request_timeout=60).values():
            future.result()
        return named

    def partitions(self, topic: str) -> dict | None:
        """Metadata by partition; `None` while no broker answers."""
        try:
            return self.admin.list_topics(topic, timeout=5).topics[topic].partitions
        except KafkaException:
            return None

    def in_sync(self, topic: str) -> int:
        """The fewest replicas in sync of any partition; 0 while no broker answers."""
        return min((len(p.isrs) for p in (self.partitions(topic) or {}).values()), default=0)

    def await_whole(self, topic: str, seconds: float = 180):
        if not wait_for(lambda: self.in_sync(topic) == 3, seconds, 0.5):
            raise TimeoutError(f"{self.in_sync(topic)} replicas of {topic} in sync after {seconds:.0f} s")


class World:
    """One stream: a platform, one process, topics and a spool of their own."""

    def __init__(self, cluster: Cluster, name: str, rate: int):
        self.cluster, self.name, self.rate = cluster, name, rate
        self.folder = FOLDER / name
        (self.folder / "spool").mkdir(parents=True)
        self.topics = cluster.create(name)
        (self.folder / "settings.json").write_text(json.dumps({"requests_per_minute": REQUESTS}))
        self.sim = Sim("--rate", str(rate), "--wait-for-channels", "2", "--time-scale", str(SCALE), "--settings", self.folder / "settings.json")
        org = json.loads(get(self.sim.url + "/sim/org"))
        self.org, self.origin_ms = org["id"], org["origin_ms"]
        own = {f"kafka__{role}_topic": topic for role, topic in self.topics.items()}
        tree = config(cluster, self.sim.url, kafka__durability="required", kafka__start_timeout_secs=30, schema_registry__start_timeout_secs=30,
                      genesys__requests_per_minute=REQUESTS, spool__dir=str(self.folder / "spool"), **own)
        self.app = Trunkline(tree, env={**os.environ, "TRUNKLINE_TEST_SCALE": str(SCALE)})

    @property
    def events(self) -> str:
        return self.topics["events"]

    def now_ms(self) -> int:
        """The simulator's clock, which the ledger speaks."""
        return json.loads(get(f"{self.sim.url}/sim/counters"))["now_ms"]

    def stop(self):
        """Stops the process, which has to leave nothing behind."""
        code, seconds = self.app.stop(seconds=60)
        last = self.app.log[-1]
        if code or '"in_flight":0' not in last or "spool_kept" in self.app.codes():
            raise AssertionError(f"stopped with {code} after {seconds:.1f} s: {last}")

    def close(self):
        (self.folder / "trunkline.log").write_text("".join(self.app.log))
        self.app.__exit__()
        self.sim.__exit__()


def pause(seconds: float):
    """Lets a fault last."""
    time.sleep(seconds)
