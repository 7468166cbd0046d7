"""Everything between the platform and the bucket: simulator, two replicas, Kafka, a registry, Kafka Connect, S3."""

import json
import os
import pathlib
import shutil
import signal
import sys

from confluent_kafka.admin import AdminClient, NewTopic

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("journey", "downstream", "live")] + [str(ROOT / "scripts")]
from connectors import connector  # noqa: E402
from harness import CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Trunkline, config, wait_for  # noqa: E402
from testbed import fetch, registry, s3  # noqa: E402
from testbed.brokers import Brokers  # noqa: E402
from testbed.connect import Worker  # noqa: E402
from testbed.group import Group, rss  # noqa: E402

FOLDER = fetch.CACHE / "stack"
BUCKET = "staging"
TOPICS = {"events": EVENTS, "certificates": CERTIFICATES, "gaps": GAPS}
CLEANUP = {GAPS: "compact,delete", CERTIFICATES: "compact", STATE: "compact"}
PARTITIONS = 6
NAMES = ("a", "b")
# lives of channels, history and certificates run so many times as fast: an hour is six seconds
SCALE, REQUESTS = 600, 3_000


def say(text: str):
    print(f"stack: {text}", file=sys.stderr, flush=True)


class Ground:
    """`start` starts the parts, `start_traffic` the simulator and the replicas; whoever breaks a part starts it again."""

    def __init__(self, brokers: int, rate: int, events: int, seed: int, iceberg: bool = False):
        shutil.rmtree(FOLDER, ignore_errors=True)
        self.group = Group(FOLDER)
        self.brokers = Brokers(self.group, brokers)
        self.replicas, self.iceberg = brokers, iceberg
        self.rate, self.events, self.seed = rate, events, seed
        self.apps, self.sim, self.options = {}, None, {}

    def start(self):
        self.s3 = s3.S3(self.group)
        self.s3.start()
        self.s3.client().create_bucket(Bucket=BUCKET)
        self.brokers.start_all()
        self.registry = registry.start(self.group, canonical=True)
        self.admin = AdminClient({"bootstrap.servers": self.brokers.bootstrap, "log_level": 2})
        self.create_topics()
        plugins = fetch.CACHE / "plugins-stack"
        fetch.plugin(plugins / "staging", sorted((HERE / "sink").rglob("*.java")))
        given = {"STAGING_BUCKET": BUCKET, "STAGING_REGION": s3.REGION, "SCHEMA_REGISTRY_URL": self.registry + "/apis/ccompat/v7"}
        if self.iceberg:
            more = fetch.CACHE / "plugins-iceberg"
            fetch.plain_plugin(more / "iceberg", "iceberg")
            plugins = f"{plugins},{more}"
        self.connect = Worker(self.group, self.brokers.bootstrap, self.replicas, plugins, given)
        self.connect.start()
        self.put_connectors()

    def put_connectors(self):
        for role in TOPICS:
            self.connect.put(f"trunkline-{role}", connector(role, self.s3.url, self.registry, self.replicas))

    def create_topics(self):
        if not wait_for(lambda: len(self.admin.list_topics(timeout=30).brokers) == self.replicas, 120, 0.5):
            raise TimeoutError("brokers do not find each other")
        for name in (EVENTS, QUARANTINE, GAPS, CERTIFICATES, STATE):
            self.create_topic(name, PARTITIONS if name == EVENTS else 1)

    def create_topic(self, name: str, partitions: int):
        keep = {"min.insync.replicas": str(max(1, self.replicas - 1)), "cleanup.policy": CLEANUP.get(name, "delete")}
        self.admin.create_topics([NewTopic(name, partitions, self.replicas, config=keep)], request_timeout=60)[name].result()

    def start_traffic(self):
        settings = FOLDER / "settings.json"
        settings.write_text(json.dumps({"requests_per_minute": REQUESTS}))
        clients = [word for name in NAMES for word in ("--client", f"{name}:{name}")]
        # both replicas listen before the first event, or the first seconds are nobody's
        self.sim = Sim("--rate", str(self.rate), "--events", str(self.events), "--queues", "3", "--users", "4", "--time-scale", str(SCALE), "--settings",
                       settings, "--seed", str(self.seed), "--wait-for-channels", "4", *clients)
        for name in NAMES:
            self.start_app(name)
        for name in NAMES:
            self.apps[name].wait_ready(120)

    def start_app(self, name: str):
        own = {"replica": name, "genesys__clients": [{"id": name, "secret": name}], "spool__dir": str(FOLDER / f"spool-{name}"), "replicas": list(NAMES),
               "genesys__requests_per_minute": REQUESTS, "kafka__bootstrap_servers": self.brokers.bootstrap, "kafka__start_timeout_secs": 60,
               "kafka__durability": "required" if self.replicas > 1 else "degraded_allowed", "schema_registry__url": self.registry + "/apis/ccompat/v7",
               "schema_registry__start_timeout_secs": 30, **self.options}
        (FOLDER / f"spool-{name}").mkdir(exist_ok=True)
        self.apps[name] = Trunkline(config(self, self.sim.url, **own), env={**os.environ, "TRUNKLINE_TEST_SCALE": str(SCALE)})

    @property
    def bootstrap(self) -> str:
        return self.brokers.bootstrap

    def stop_apps(self) -> list[str]:
        """What is wrong with how they end."""
        trouble = []
        for name, app in self.apps.items():
            code, _ = app.stop(signal.SIGTERM, 90)
            if code:
                trouble.append(f"trunkline {name} ended with {code}: {''.join(app.log[-5:])}")
        return trouble

    def memory(self) -> str:
        parts = self.group.parts()
        own = {f"trunkline {name}": app.child.pid for name, app in self.apps.items()} | ({"simulator": self.sim.child.pid} if self.sim else {})
        return ", ".join(f"{name} {rss(pid)} MB" for name, pid in {**{n: p["pid"] for n, p in parts.items() if p["runs"]}, **own}.items())

    def close(self):
        for app in self.apps.values():
            app.__exit__()
        if self.sim:
            self.sim.__exit__()
        self.group.end_all()
