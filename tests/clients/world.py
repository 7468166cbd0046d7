"""One simulator per SDK, one run of its script, and what the simulator's ledger says of it."""

import json
import os
import pathlib
import ssl
import subprocess
import sys
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journey"))

import harness  # noqa: E402

HERE, CACHE = ROOT / "tests" / "clients", ROOT / "target" / "clients"
PYTHON = CACHE / "venv" / "bin" / "python"
MODULES = CACHE / "npm" / "node_modules"
RATE, ANNOUNCED_MS, NOTICE_MS, HEARTBEAT_MS = 50, 18_000, 9_000, 5_000
# the socket is announced to end, as it would be in maintenance; history is quick, so that a job is seen to its end
FAULTS = [{"at_ms": ANNOUNCED_MS, "what": "socket_closing", "whom": "oldest", "for_ms": NOTICE_MS}]
SETTINGS = {"heartbeat_ms": HEARTBEAT_MS, "job_takes_ms": 300, "availability_lag_ms": 1_000, "availability_step_ms": 500}


class Sim(harness.Sim):
    """The simulator under TLS, with an authority of its own."""

    def __init__(self, folder: pathlib.Path):
        self.ca = folder / "ca.pem"
        for name, content in (("faults.json", FAULTS), ("settings.json", SETTINGS)):
            (folder / name).write_text(json.dumps(content))
        flags = ["--rate", RATE, "--queues", 4, "--users", 6, "--wait-for-channels", 1, "--tls-ca-out", self.ca]
        super().__init__(*flags, "--faults", folder / "faults.json", "--settings", folder / "settings.json")
        self.port = self.url.rsplit(":", 1)[1]

    def lines(self, path: str) -> list[str]:
        trusted = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(self.url + path, timeout=60, context=trusted) as answer:
            return answer.read().decode().splitlines()

    def ledger(self) -> list[dict]:
        entries: list[dict] = []
        while page := self.lines(f"/sim/ledger?after={entries[-1]['seq'] if entries else 0}&limit=5000"):
            entries += map(json.loads, page)
        return entries


def environment(sim: Sim) -> dict[str, str]:
    """Nothing of the machine's own settings: no proxy, no configuration file of an SDK."""
    return {
        "PATH": os.environ["PATH"], "HOME": str(CACHE / "home"), "LANG": "C.UTF-8",
        "NODE_PATH": str(MODULES), "NODE_EXTRA_CA_CERTS": str(sim.ca),
    }


def run(command: list, name: str) -> dict:
    """What the script of an SDK reports, the frames it heard, and the ledger of its simulator."""
    folder = CACHE / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    with Sim(folder) as sim:
        words = [*command, sim.port, sim.ca, folder / "frames.jsonl"]
        done = subprocess.run(words, env=environment(sim), capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"{name}: {done.stdout}{done.stderr}")
        report = json.loads(done.stdout.splitlines()[-1])
        report["ledger"] = sim.ledger()
        report["counters"] = json.loads(sim.lines("/sim/counters")[0])
    with open(folder / "frames.jsonl") as lines:
        report["frames"] = [json.loads(line) for line in lines]
    return report


def delivered(report: dict, channel: int) -> list[dict]:
    """What the simulator put on the socket of a channel, in order."""
    return [entry for entry in report["ledger"] if channel in entry["delivered"]]


def heard(report: dict, channel: int) -> list[str]:
    """Frames of a channel that are no word of the platform about itself."""
    texts = [frame["text"] for frame in report["frames"] if frame["channel"] == channel]
    return [text for text in texts if not text.startswith(('{"topicName":"channel.metadata"', '{"eventBody":'))]


def difference(texts: list[str], entries: list[dict]) -> str | None:
    """Where frames and ledger part, byte for byte and in order; `None` when they do not."""
    for at, (text, entry) in enumerate(zip(texts, entries)):
        expected = '{"topicName":"%s","version":"2","eventBody":%s,"metadata":{' % (entry["topic"], entry["body"])
        if not text.startswith(expected):
            return f"frame {at} is {text[:200]}, the ledger has {expected[:200]}"
    if len(texts) != len(entries):
        return f"{len(texts)} frames heard, {len(entries)} delivered"
    return None
