"""The compose file on a real engine: `up`, events within a minute, objects in S3, kills and cuts, `stop`. What of it holds.

usage: make compose-live, or: compose_live.py [--without-connect] [--without-chaos]

Images that cannot be pulled are replaced by stand-ins of the same names (tests/stack/stand_ins.py); the table says which.
exit 0 when all of it holds, 1 otherwise, 64 wrong usage.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import yaml
from stand_ins import PLUGINS, ROOT, StandIns

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from connectors import connector, shipped  # noqa: E402
from engine import Engine  # noqa: E402
from image.proof import Proof  # noqa: E402

PROJECT = "trunkline-live"
COMPOSE = ["docker-compose", "--project-name", PROJECT, "--file", str(ROOT / "docker-compose.yml")]
REPLICAS = ("trunkline-0", "trunkline-1")


class Stack:
    def __init__(self, engine: Engine, environment: dict, profiles: list):
        # Compose builds by the client that it finds first
        path = f"{pathlib.Path(engine.client).parent}:{os.environ['PATH']}"
        self.engine, self.environment = engine, {**engine.environment, **environment, "PATH": path}
        self.profiles = [word for profile in profiles for word in ("--profile", profile)]

    def compose(self, *words, check: bool = True) -> subprocess.CompletedProcess:
        done = subprocess.run([*COMPOSE, *self.profiles, *words], capture_output=True, text=True, env=self.environment, cwd=ROOT)
        if check and done.returncode:
            raise RuntimeError(f"docker-compose {' '.join(words)}: {done.stderr[-1500:]}")
        return done

    def id(self, service: str) -> str:
        return self.compose("ps", "--quiet", service).stdout.split()[0]

    def state(self, service: str) -> dict:
        return json.loads(self.engine.docker("inspect", self.id(service)).stdout)[0]["State"]

    def ends(self, service: str, seconds: float) -> dict:
        """State of a job once it has ended."""
        end = time.monotonic() + seconds
        while (state := self.state(service))["Running"] and time.monotonic() < end:
            time.sleep(0.5)
        return state

    def logs(self, service: str) -> str:
        return self.engine.docker("logs", self.id(service)).stdout

    def get(self, url: str) -> str:
        return subprocess.run(self.engine.inside("curl", "--silent", "--fail", "--max-time", "5", url), capture_output=True, text=True).stdout

    def trunkline(self, *words) -> subprocess.CompletedProcess:
        command = ("exec", self.id("trunkline-1"), "/usr/local/bin/trunkline", *words, "--config", "/etc/trunkline/trunkline.yaml")
        return self.engine.docker(*command, check=False)


def images(engine: Engine, with_connect: bool, proof: Proof):
    """Each there, or its stand-in."""
    stand_ins = StandIns(engine)
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ways = {"kafka": stand_ins.kafka, "registry": stand_ins.registry} | ({"s3": stand_ins.seaweedfs, "connectors": stand_ins.curl} if with_connect else {})
    replaced = []
    for service, way in ways.items():
        image = re.fullmatch(r"\$\{\w+:-(.+)}", services[service]["image"])[1]
        replaced += [image] if engine.pull_or(image, way) else []
    if with_connect:
        stand_ins.plugins()
        replaced.append("Confluent's sink and converter")
    proof.note("stand-ins for", ", ".join(replaced) or "nothing")


def events(stack: Stack) -> int:
    """Records of the events topic."""
    command = ("/opt/kafka/bin/kafka-get-offsets.sh", "--bootstrap-server", "kafka:9092", "--topic", "genesys.conversation.events")
    lines = stack.engine.docker("exec", stack.id("kafka"), *command).stdout.splitlines()
    return sum(int(line.split(":")[2]) for line in lines if line.count(":") == 2)


def default(stack: Stack, proof: Proof):
    began = time.monotonic()
    stack.compose("up", "--detach")
    state = stack.ends("hello", 90)
    proof.note("hello says where to look, after", f"{time.monotonic() - began:.0f} s: {stack.logs('hello').splitlines()[:1]}", state["ExitCode"] == 0)
    healthy = {name: stack.state(name)["Health"]["Status"] for name in ("kafka", "registry", "simulator", *REPLICAS)}
    proof.note("healthy", ", ".join(f"{name} {how}" for name, how in healthy.items()), set(healthy.values()) == {"healthy"})
    count = events(stack)
    proof.note("events in the topic", count, count > 0)
    listed = stack.engine.docker("exec", stack.id("kafka"), "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "kafka:9092", "--list").stdout.split()
    proof.note("topics", ", ".join(name for name in listed if not name.startswith("_")), "genesys.conversation.events" in listed)


def connect(stack: Stack, proof: Proof):
    state = stack.ends("connectors", 180)
    proof.note("connectors set", stack.logs("connectors").splitlines()[:3], state["ExitCode"] == 0)
    listing, end = "", time.monotonic() + 150
    while ".avro" not in listing and time.monotonic() < end:
        time.sleep(3)
        command = "echo 'fs.tree /buckets/staging' | /usr/bin/weed shell -master=s3:9333 -filer=s3:8888"
        listing = stack.engine.docker("exec", stack.id("s3"), "/bin/sh", "-c", command, check=False).stdout
    objects = re.findall(r"genesys\.conversation\.events-\d+-\d{10}\.avro", listing)
    proof.note("objects of events in S3", f"{len(objects)}, such as {objects[:1]}", bool(objects))


def chaos(stack: Stack, proof: Proof):
    began, before = time.monotonic(), events(stack)
    environment = {**stack.environment, "COMPOSE_PROJECT_NAME": PROJECT, "CHAOS_SECONDS": "10"}
    done = subprocess.run(["sh", ROOT / "deploy/compose/chaos.sh"], capture_output=True, text=True, env=environment)
    print(done.stdout, done.stderr, file=sys.stderr)
    deeds = re.findall(r"round 1: (.*)", done.stdout)
    proof.note("chaos", f"exit {done.returncode} after {time.monotonic() - began:.0f} s: {', '.join(deeds)}", done.returncode == 0 and len(deeds) == 5)
    more = events(stack) - before
    proof.note("events in the topic, more", more, more > 0)
    found = stack.trunkline("gaps", "list", "--from", "1h", "--output", "json")
    gaps = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    lost = [gap for gap in gaps if "lost" in json.dumps(gap).lower()]
    proof.note("gaps, and declared lost", f"{len(gaps)}, {len(lost)}", found.returncode in (0, 1) and not lost)


def stop(stack: Stack, proof: Proof):
    began = time.monotonic()
    stack.compose("stop", *REPLICAS)
    codes = {name: stack.state(name)["ExitCode"] for name in REPLICAS}
    for name in (name for name, code in codes.items() if code):
        print(name, *stack.engine.docker("logs", "--tail", "8", stack.id(name)).stderr.splitlines(), sep="\n  ", file=sys.stderr)
    proof.note("stopped", f"after {time.monotonic() - began:.0f} s: {codes}", set(codes.values()) == {0})


def replaced_connectors(folder: pathlib.Path):
    """The shipped connectors for the sink that stands in, in a folder; what the stack changes in all of them is left to it."""
    for path in (ROOT / "deploy/connect/s3").glob("*.json"):
        made = connector(path.stem, "", "http://registry:8080", 1)
        del made["store.url"]
        made |= {key: shipped(path.stem)[key] for key in ("rotate.interval.ms", "rotate.schedule.interval.ms")}
        (folder / path.name).write_text(json.dumps(made, indent=1))


def main(words: list[str]) -> int:
    if set(words) - {"--without-connect", "--without-chaos"}:
        print(__doc__, file=sys.stderr)
        return 64
    proof, engine = Proof("compose"), Engine()
    with_connect = "--without-connect" not in words
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        replaced_connectors(folder)
        stack = Stack(engine, {"CONNECT_PLUGINS": PLUGINS, "CONNECTORS": name} if with_connect else {}, ["connect"] if with_connect else [])
        try:
            images(engine, with_connect, proof)
            if not engine.has("trunkline:local"):
                raise RuntimeError("there is no image trunkline:local: make image")
            if with_connect:
                stack.compose("build", "connect")
            default(stack, proof)
            if with_connect:
                connect(stack, proof)
            if "--without-chaos" not in words:
                chaos(stack, proof)
            stop(stack, proof)
        finally:
            stack.compose("down", "--volumes", "--timeout", "5", check=False)
            engine.close()
    print(proof.table())
    return 0 if proof.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
