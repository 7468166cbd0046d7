"""A worker of Kafka Connect, told what `deploy/connect/worker.properties` says, but for addresses."""

import json
import pathlib
import time
import urllib.error
import urllib.request

from . import fetch, s3
from .brokers import java
from .group import Group, free_ports

SHIPPED = fetch.HERE.parents[1] / "deploy" / "connect" / "worker.properties"
LOGGING = """<Configuration><Appenders><Console name="out"><PatternLayout pattern="%d{ISO8601} %p %c{1}: %m%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="out"/></Root><Logger name="io.trunkline" level="INFO"/>
<Logger name="org.apache.kafka.connect.runtime.distributed.DistributedHerder" level="INFO"/></Loggers></Configuration>
"""


def shipped() -> dict:
    lines = [line for line in SHIPPED.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


class Worker:
    """One process; `environment` is what connectors may take from it."""

    def __init__(self, group: Group, bootstrap: str, replicas: int, plugins: pathlib.Path, environment: dict):
        self.group, self.environment = group, environment
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        said = shipped()
        changed = {key: replicas for key in said if key.endswith(".storage.replication.factor")}
        # one plugin folder whose classes are in manifests: a scan of every class would take half a minute a start
        changed |= {"bootstrap.servers": bootstrap, "plugin.path": plugins, "plugin.discovery": "service_load", "listeners": self.url,
                    "offset.storage.partitions": 1, "status.storage.partitions": 1, "offset.flush.interval.ms": 5000}
        self.file = group.folder / "worker.properties"
        self.file.write_text("".join(f"{key}={value}\n" for key, value in {**said, **changed}.items()))
        (group.folder / "log4j2.xml").write_text(LOGGING)

    def start(self):
        fetch.say("starting Kafka Connect")
        # SeaweedFS refuses some of the checksums that the AWS SDK adds by itself: "The Content-Md5 you specified is not valid"
        flags = ["-Daws.requestChecksumCalculation=when_required", "-Daws.responseChecksumValidation=when_required"]
        flags += [f"-Dlog4j2.configurationFile={self.group.folder / 'log4j2.xml'}"]
        command = java("org.apache.kafka.connect.cli.ConnectDistributed", str(self.file), heap="512m", flags=flags)
        self.group.spawn("connect", command, self.url, env={**s3.ENVIRONMENT, **self.environment})
        self.group.await_part("connect", self.answers)

    def answers(self) -> bool:
        try:
            self.ask("GET", "/connectors")
            return True
        except (OSError, urllib.error.HTTPError):
            return False

    def ask(self, method: str, path: str, body: dict | None = None, timeout: float = 30):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"null")

    def put(self, name: str, config: dict, seconds: float = 120):
        """Makes a connector; again while the worker is busy with itself."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.ask("PUT", f"/connectors/{name}/config", config, timeout=90)
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                if error.code == 400 or time.monotonic() > end:
                    raise RuntimeError(f"connector {name} is refused: HTTP {error.code} {text[:1500]}") from error
            except OSError as error:
                if time.monotonic() > end:
                    raise RuntimeError(f"connector {name} cannot be made: {error}") from error
            time.sleep(1)

    def states(self) -> dict:
        """State of every task by connector, with the trace of one that failed."""
        found = {}
        for name, facts in self.ask("GET", "/connectors?expand=status").items():
            tasks = facts["status"]["tasks"]
            found[name] = ", ".join(t["state"] + (f" {t['trace'][:400]}" if "trace" in t else "") for t in tasks) or "no task"
        return found
