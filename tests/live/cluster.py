"""A real Apache Kafka and a real schema registry, fetched by name and version and run as child processes."""

import base64
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import urllib.request
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "journey"))
from harness import wait_for  # noqa: E402

CACHE = HERE.parents[1] / "target" / "live"
REGISTRY = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all"
SMALL = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def say(text: str):
    print(f"live: {text}", file=sys.stderr, flush=True)


def fetch(registry: bool):
    """Downloads what is not there; everything comes from Maven Central."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if not (CACHE / "libs.done").exists():
        say("downloading Apache Kafka")
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={CACHE / 'libs'}"]
        subprocess.run(command, cwd=HERE / "pom", check=True)
        (CACHE / "libs.done").touch()
    if registry and not (CACHE / "registry.done").exists():
        say("downloading the registry")
        subprocess.run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={REGISTRY}", f"-DoutputDirectory={CACHE}"], cwd=CACHE, check=True)
        shutil.rmtree(CACHE / "registry", ignore_errors=True)
        with tarfile.open(next(CACHE.glob("apicurio-*.tar.gz"))) as archive:
            archive.extractall(CACHE / "registry", filter="data")
        (CACHE / "registry.done").touch()


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def directory_id() -> str:
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # as Kafka draws them: a dash would look like a flag
            return text


def await_part(what, name: str):
    if not wait_for(what, 60, 0.2):
        raise TimeoutError(f"{name} is not there after a minute; see {CACHE / 'run'}")


class Cluster:
    """`brokers` Kafka nodes in KRaft mode, each broker and controller, and one registry unless there is another.
    `settings` change those of the nodes; clients come by the listener `listener`, to which they say who they are."""

    def __init__(self, brokers: int = 3, registry: bool = True, listener: str = "PLAINTEXT", settings: dict | None = None):
        self.count, self.with_registry, self.listener, self.settings = brokers, registry, listener, settings or {}
        self.children = {}

    def __enter__(self):
        fetch(self.with_registry)
        self.folder = CACHE / "run"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        try:
            self.start_brokers()
            if self.with_registry:
                self.start_registry()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for child in self.children.values():
            child.send_signal(signal.SIGCONT)
            child.kill()
        for child in self.children.values():
            child.wait()

    def java(self, *arguments: str, heap: str = "192m") -> list[str]:
        return ["java", f"-Xmx{heap}", "-XX:MaxDirectMemorySize=64m", *SMALL, "-cp", f"{CACHE / 'libs'}/*", *arguments]

    def spawn(self, name: str, command: list[str]):
        log = (self.folder / f"{name}.log").open("a")
        self.children[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)

    def start_brokers(self):
        ports = free_ports(2 * self.count)
        self.ports, controllers = ports[: self.count], ports[self.count :]
        cluster = directory_id()
        voters = ",".join(f"{n}@127.0.0.1:{port}:{directory_id()}" for n, port in enumerate(controllers, 1))
        say(f"starting {self.count} brokers")
        formats = []
        for n, (port, controller) in enumerate(zip(self.ports, controllers), 1):
            replicas = min(3, self.count)
            lines = {
                "process.roles": "broker,controller",
                "node.id": n,
                "controller.quorum.bootstrap.servers": ",".join(f"127.0.0.1:{p}" for p in controllers),
                "listeners": f"{self.listener}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"{self.listener}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
                "controller.listener.names": "CONTROLLER",
                "log.dirs": self.folder / f"data{n}",
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
            path = self.folder / f"{n}.properties"
            path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
            command = self.java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(path), "--initial-controllers", voters, heap="64m")
            formats.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
        for child in formats:
            _, error = child.communicate()
            if child.returncode:
                raise RuntimeError(f"formatting failed: {error}")
        for n in range(1, self.count + 1):
            self.start(n)
        for n in range(1, self.count + 1):
            # without a logging configuration only errors are written: the port says that it runs
            await_part(lambda: self.answers(n), f"broker {n}")

    def answers(self, n: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[n - 1])) == 0

    def start(self, n: int):
        self.spawn(f"broker{n}", self.java("kafka.Kafka", str(self.folder / f"{n}.properties")))

    def signal(self, n: int, how: signal.Signals):
        child = self.children[f"broker{n}"]
        child.send_signal(how)
        if how == signal.SIGKILL:
            child.wait()

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def start_registry(self):
        say("starting the registry")
        port, management = free_ports(2)
        jar = next((CACHE / "registry").rglob("*-runner.jar"))
        flags = ["-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}", "-Dquarkus.management.host=127.0.0.1", f"-Dquarkus.management.port={management}"]
        self.spawn("registry", ["java", "-Xmx384m", *SMALL, *flags, "-jar", str(jar)])
        self.registry = f"http://127.0.0.1:{port}/apis/ccompat/v7"

        def answers():
            try:
                return urllib.request.urlopen(self.registry + "/subjects", timeout=2).status == 200
            except OSError:
                return False

        await_part(answers, "the registry")
