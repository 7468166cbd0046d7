"""Apache Kafka in KRaft mode, each node broker and controller."""

import base64
import signal
import subprocess
import uuid

from . import fetch
from .group import Group, free_ports, listens

SMALL = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def directory_id() -> str:
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # as Kafka draws them: a dash would look like a flag
            return text


def java(*arguments: str, heap: str = "192m", flags=()) -> list[str]:
    return ["java", f"-Xmx{heap}", "-XX:MaxDirectMemorySize=64m", *SMALL, *flags, "-cp", f"{fetch.jars('kafka')}/*", *arguments]


class Brokers:
    """`count` nodes; clients come by the listener `listener` at `host`. `settings` change what the nodes are told."""

    def __init__(self, group: Group, count: int, listener: str = "PLAINTEXT", settings: dict | None = None, host: str = "127.0.0.1"):
        self.group, self.count, self.listener, self.settings, self.host = group, count, listener, settings or {}, host

    @property
    def bootstrap(self) -> str:
        return ",".join(f"{self.host}:{port}" for port in self.ports)

    def properties(self, n: int, port: int, controllers: list[int]) -> dict:
        replicas = min(3, self.count)
        listeners = f"{self.listener}://{self.host}:{port},CONTROLLER://127.0.0.1:{controllers[n - 1]}"
        return {
            "process.roles": "broker,controller",
            "node.id": n,
            "controller.quorum.bootstrap.servers": ",".join(f"127.0.0.1:{p}" for p in controllers),
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.group.folder / f"data{n}",
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "default.replication.factor": replicas,
            "min.insync.replicas": max(1, replicas - 1),
            "auto.create.topics.enable": "false",
            "broker.session.timeout.ms": 6000,
            "broker.heartbeat.interval.ms": 1000,
            "replica.lag.time.max.ms": 6000,
            "log.cleaner.dedupe.buffer.size": 4194304,
            "num.network.threads": 2,
            "num.io.threads": 2,
            "background.threads": 2,
            **self.settings,
        }

    def start_all(self):
        ports = free_ports(2 * self.count)
        self.ports, controllers = ports[: self.count], ports[self.count :]
        cluster = directory_id()
        voters = ",".join(f"{n}@127.0.0.1:{port}:{directory_id()}" for n, port in enumerate(controllers, 1))
        fetch.say(f"starting {self.count} broker{'s' if self.count > 1 else ''}")
        formats = []
        for n, port in enumerate(self.ports, 1):
            path = self.group.folder / f"{n}.properties"
            path.write_text("".join(f"{key}={value}\n" for key, value in self.properties(n, port, controllers).items()))
            command = java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(path), "--initial-controllers", voters, heap="64m")
            formats.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
        for child in formats:
            _, error = child.communicate()
            if child.returncode:
                raise RuntimeError(f"formatting failed: {error}")
        for n in range(1, self.count + 1):
            self.start(n)
        for n in range(1, self.count + 1):
            self.await_broker(n)

    def start(self, n: int):
        self.group.spawn(f"broker{n}", java("kafka.Kafka", str(self.group.folder / f"{n}.properties")), f"{self.host}:{self.ports[n - 1]}")

    def await_broker(self, n: int):
        # without a logging configuration only errors are written: the port says that it runs
        self.group.await_part(f"broker{n}", lambda: listens(self.ports[n - 1], self.host))

    def signal(self, n: int, how: signal.Signals):
        self.group.send(f"broker{n}", how)
