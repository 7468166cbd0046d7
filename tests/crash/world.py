"""A broker, a registry and a simulator that live on while processes of trunkline are killed."""

import base64
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "journey"), str(HERE.parents[1] / "scripts")]
from harness import BINARY, CERTIFICATES, EVENTS, GAPS, QUARANTINE, STATE, Sim, Stand, config, get, wait_for  # noqa: E402
from verifier.dump import Dump  # noqa: E402
from verify_certificates import verify  # noqa: E402

# lives of channels, tokens, history and certificates run so many times as fast
SCALE, RATE, REQUESTS = 6_000, 60, 3_000
FAULTS = ["reset", "close", "idle_close", "socket_closing", "half_open"]


class Process:
    """`trunkline run` with failpoints."""

    def __init__(self, tree: dict, folder: pathlib.Path, failpoints: str, scale: int):
        path = folder / "trunkline.yaml"
        path.write_text(json.dumps(tree))
        env = {**os.environ, "FAILPOINTS": failpoints, "TRUNKLINE_TEST_SCALE": str(scale), "RUST_BACKTRACE": "0"}
        self.child = subprocess.Popen([BINARY, "run", "--config", path], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.log, self.admin = [], None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stderr:
            self.log.append(line)
            if '"started"' in line:
                self.admin = "http://" + json.loads(line)["admin"]

    def is_running(self) -> bool:
        return self.child.poll() is None

    def end(self, how: signal.Signals, seconds: float = 20) -> int:
        self.child.send_signal(how)
        code = self.child.wait(seconds)
        self.reader.join(5)
        return code

    def status(self) -> dict:
        return json.loads(get(self.admin + "/api/v1/status"))


class World:
    def __init__(self, seed: int, replicas: int):
        self.dice = random.Random(seed)
        # two replicas share what a channel's short life leaves uncovered only when it is long enough
        self.scale = SCALE if replicas == 1 else SCALE // 3
        self.names = ["a", "b"][:replicas]
        self.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(self.folder.name)
        self.folders = {name: root / name for name in self.names}
        for folder in self.folders.values():
            folder.mkdir()
        settings = root / "settings.json"
        settings.write_text(json.dumps({"requests_per_minute": REQUESTS}))
        clients = [word for name in self.names for word in ("--client", f"{name}:{name}")]
        self.stand = Stand()
        self.sim = Sim("--rate", str(RATE), "--queues", "3", "--users", "4", "--time-scale", str(self.scale), "--settings", settings, "--seed", str(seed), *clients)
        self.running: dict[str, Process] = {}

    def start(self, name: str, failpoints: str = "") -> Process:
        own = {"replica": name, "genesys__clients": [{"id": name, "secret": name}], "spool__dir": str(self.folders[name] / "spool")}
        if len(self.names) > 1:
            own.update(replicas=self.names)
        tree = config(self.stand, self.sim.url, genesys__requests_per_minute=REQUESTS, **own)
        self.running[name] = Process(tree, self.folders[name], failpoints, self.scale)
        return self.running[name]

    def fault(self, what: str, **rest):
        self.sim.fault(what, **rest)

    def settle(self, seconds: float = 240) -> list[str]:
        """Everybody runs until nothing is left to do; what is wrong otherwise."""
        for name in self.names:
            if name not in self.running or not self.running[name].is_running():
                self.start(name)

        def quiet():
            for app in self.running.values():
                if not app.is_running():
                    return False
                if not app.admin:
                    return False
                status = app.status()
                live = status["channels"] and all(line["state"] == "live" for line in status["channels"])
                if not live or status["spool"]["waiting"] > 600 or any(shard["gaps"] for shard in status["coverage"].values()):
                    return False
            return True

        problems = []
        if not wait_for(quiet, seconds, 0.3):
            for name, app in self.running.items():
                state = app.status() if app.admin and app.is_running() else "".join(app.log[-5:])
                problems.append(f"{name} did not come to rest: {str(state)[:1500]}")
        time.sleep(3)  # the last certificates
        for name, app in self.running.items():
            code = app.end(signal.SIGTERM)
            if code != 0:
                problems.append(f"{name} ended with {code}: {''.join(app.log[-3:])}")
        return problems

    def wanted_since(self):
        """Since when topics have to be covered, as the facts say."""
        for raw in self.stand.obey(f"read {STATE}"):
            fact = json.loads(base64.b64decode(raw["value_b64"]) or "{}")
            if fact.get("kind") == "wanted":
                yield from (want["from"] for want in fact["topics"].values())

    def away(self, seconds: float) -> threading.Thread:
        """The broker is away; joining the thread waits until it is back."""
        away = threading.Thread(target=self.stand.obey, args=(f"away {int(seconds * 1000)}",))
        away.start()
        return away

    def judge(self, folder: pathlib.Path):
        """What the independent verifier says of everything in the topics, against what really happened."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "records.jsonl").open("w") as out:
            for topic in (EVENTS, QUARANTINE, GAPS, CERTIFICATES, STATE):
                for raw in self.stand.obey(f"read {topic}"):
                    out.write(json.dumps({"topic": topic, **raw}) + "\n")
        (folder / "schemas.json").write_text(json.dumps(self.stand.obey("schemas")[0]))
        org = json.loads(get(self.sim.url + "/sim/org"))
        # nothing is promised of the time before topics were covered for the first time
        since = min(self.wanted_since(), default=0) - org["origin_ms"]
        ledger = [entry for entry in self.sim.ledger() if entry["at_ms"] >= since]
        # what was sent while the last sockets closed may not have been read, and later nobody heard
        end = max((n for n, entry in enumerate(ledger) if entry["delivered"]), default=0) - RATE
        (folder / "ledger.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in ledger[: max(end, 0)]))
        meta = {"org_id": org["id"], "events_topic": EVENTS, "quarantine_topic": QUARANTINE, "origin_ms": org["origin_ms"], "read_spacing_ms": 3_600_000 // self.scale}
        (folder / "meta.json").write_text(json.dumps(meta))
        return verify(Dump(folder))

    def close(self):
        for app in self.running.values():
            app.child.kill()
            app.child.wait()
        self.sim.__exit__()
        self.stand.__exit__()
        self.folder.cleanup()
