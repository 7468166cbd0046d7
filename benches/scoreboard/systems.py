"""The systems: each a process, or two, beneath the same supervisor, which starts what has ended a second later."""

import json
import pathlib
import signal
import sys
import time

from platform_side import ROOT, Platform
from supervised import Supervised

sys.path.insert(0, str(ROOT / "tests" / "journey"))
from harness import BINARY, config, get, wait_for  # noqa: E402, F401

PEERS = json.loads((ROOT / "benches" / "peers" / "peers.json").read_text())
BUILT = ROOT / "target" / "peers"
RATE, LEAST = 100, 12
PARTS = ("events", "quarantine", "gaps", "certificates", "state")  # topics of trunkline


class System:
    """What all have in common. A subclass knows how to start."""

    sockets, clients = 1, ["sim-client"]

    def __init__(self, name: str, title: str):
        self.name, self.title, self.running = name, title, []

    def prepare(self, prefix: str, folder: pathlib.Path, registry, scale: int):
        self.topic, self.folder, self.scale = f"{prefix}.{self.name}.events", folder, scale
        self.platform = Platform(RATE, self.sockets, self.clients, scale)

    def topics(self) -> list[str]:
        return [self.topic]

    def kill(self):
        self.running[0].signal(signal.SIGKILL)

    def restart(self):
        self.running[0].signal(signal.SIGTERM)

    def stop(self):
        for process in self.running:
            process.stop()

    def settle(self, seconds: float):
        """What has to be done after the fact; peers have nothing to do."""

    def ready(self) -> bool:
        return self.platform.now()["connected"] >= self.sockets


class Peer(System):
    def __init__(self, name: str):
        super().__init__(name, PEERS[name]["title"])

    def why_not(self) -> str | None:
        """Why it cannot run."""
        if any((BUILT / self.name).glob("done.*")):
            return None
        error = BUILT / self.name / "error.txt"
        return error.read_text().strip() if error.exists() else "not built: scripts/peers.sh " + self.name

    def start(self, bootstrap: str, registry):
        registry.register(f"{self.topic}-value", (ROOT / "benches" / "peers" / "schema.avsc").read_text())
        uri = self.platform.channel(self.clients[0])["connectUri"]
        env = {"WS_URL": uri, "BROKER": bootstrap, "REGISTRY": registry.url, "TOPIC": self.topic, "PEER_HOME": str(BUILT / self.name)}
        words = {"source": ROOT / "benches" / "peers" / self.name, "built": BUILT / self.name}
        command = [word.format(**words) for word in PEERS[self.name]["command"]]
        self.running = [Supervised(command, env, self.folder / f"{self.name}.log")]


class Trunkline(System):
    """`how` is `static`, `one` or `two`."""

    def __init__(self, how: str):
        title = {"static": "one static socket", "one": "one replica", "two": "two replicas"}[how]
        super().__init__(f"trunkline-{how}", f"trunkline, {title}")
        self.how = how
        self.names = ["a", "b"] if how == "two" else ["a"]
        self.clients = self.names
        self.sockets = 1 if how == "static" else 2

    def topics(self) -> list[str]:
        return [self.part(part) for part in PARTS]

    def part(self, name: str) -> str:
        return self.topic.removesuffix("events") + name

    def start(self, bootstrap: str, registry):
        self.bootstrap, self.registry = bootstrap, registry
        if self.how == "static":
            self.uri = self.platform.channel("a")["connectUri"]
        self.run({"TRUNKLINE_TEST_SCALE": str(self.scale)} if self.scale > 1 else {})

    def tree(self, name: str) -> dict:
        stand = type("Stand", (), {"bootstrap": self.bootstrap, "registry": self.registry.url})
        changes = {f"kafka__{part}_topic": self.part(part) for part in PARTS}
        changes |= {"kafka__start_timeout_secs": 30, "schema_registry__start_timeout_secs": 60, "instance": self.topic}
        changes |= {"genesys__clients": [{"id": name, "secret": "secret"}], "replica": name, "spool__dir": str(self.folder / f"{self.name}-{name}")}
        if self.how == "two":
            changes |= {"replicas": self.names, "genesys__channels_per_shard": 1}
        if self.how == "static":
            # the lives of its URL and its token are what the platform says
            life = 20 if self.scale > 1 else 3600
            changes |= {"genesys__mode": "direct", "genesys__direct": {"url": self.uri, "expected_lifetime_secs": life}}
        return config(stand, self.platform.url, **changes)

    def run(self, env: dict):
        self.running, self.logs = [], []
        for name in self.names:
            path = self.folder / f"{self.name}-{name}.yaml"
            path.write_text(json.dumps(self.tree(name)))
            self.running.append(Supervised([BINARY, "run", "--config", path], env, self.folder / f"{self.name}-{name}.log"))

    def statuses(self) -> list[dict]:
        """What each running process says of itself."""
        found = []
        for name in self.names:
            lines = [line for line in (self.folder / f"{self.name}-{name}.log").read_text().splitlines() if '"started"' in line]
            if lines:
                try:
                    found.append(json.loads(get("http://" + json.loads(lines[-1])["admin"] + "/api/v1/status")))
                except OSError:
                    continue
        return found

    def ready(self) -> bool:
        """Something is covered: from then on its promises count."""
        covered = [s["coverage"].get("0", {}) for s in self.statuses()]
        known = [shard.get("proven_to_ms") or shard.get("connected_to_ms") for shard in covered]
        return super().ready() and len(known) == len(self.names) and all(known)

    def settle(self, seconds: float):
        """History is read minutes and hours after a gap. For that, and only for that, the process is started once more
        with a clock on which those hours are seconds."""
        self.stop()
        for name in self.names:
            (self.folder / f"{self.name}-{name}.log").rename(self.folder / f"{self.name}-{name}.measured.log")
        self.run({"TRUNKLINE_TEST_SCALE": "3600"})
        began, quiet = time.monotonic(), 0
        # a gap that the start finds is known only after a while
        while time.monotonic() < began + seconds and (quiet < 4 or time.monotonic() < began + LEAST):
            time.sleep(1)
            states = self.statuses()
            still = len(states) == len(self.names) and not any(shard["gaps"] for s in states for shard in s["coverage"].values())
            quiet = quiet + 1 if still else 0
        self.stop()


def trunklines() -> list[System]:
    return [Trunkline("static"), Trunkline("one"), Trunkline("two")]
