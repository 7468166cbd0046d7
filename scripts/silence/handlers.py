"""Each handler as a real client in real time, through one fault."""

import json
import pathlib
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journey"))
from harness import EVENTS, Sim, Stand, Trunkline, config, get, wait_for  # noqa: E402

from .figures import Figures, Key, judge  # noqa: E402
from .watermarks import Watermarks  # noqa: E402

RATE = 200
NODE = ROOT / "docs" / "examples" / "node-reconnect"
NOTICE = 10  # seconds between socket_closing and the close; the platform gives a minute
# seconds to watch after a fault, 6 for all others; long enough to find a half-open socket and replace it
WATCH = {"half_open": 32, "socket_closing": NOTICE + 6}
PATIENCE = 40  # who is silent then is watched on for so long: the longest wait of a classic handler is 31 s
BACK = 3  # seconds of hearing again that end the watching on


def through(sim: Sim, fault: str, newest) -> tuple[float, float]:
    """Lets things go well for a while, injects the fault and watches; says when it was and when that ended."""
    time.sleep(1.5)
    began = time.time()
    sim.fault(fault, for_ms=NOTICE * 1000 if fault == "socket_closing" else 0)
    enough = began + WATCH.get(fault, 6)
    time.sleep(enough - time.time())
    silent = time.time() - newest() > 0.5
    if silent and wait_for(lambda: newest() > enough, PATIENCE):
        time.sleep(BACK)
    return began, time.time()


def sent(sim: Sim) -> dict[Key, float]:
    """When each event was fanned out, by our clock."""
    before = time.time()
    now_ms = sim.counters()["now_ms"]
    start = (before + time.time()) / 2 - now_ms / 1000
    return {(e["topic"], e["body"]): start + e["at_ms"] / 1000 for e in sim.ledger() if e["covered"]}


def trunkline(channels: int, fault: str) -> Figures:
    flags = ("--rate", str(RATE), "--wait-for-channels", str(channels))
    with Stand() as stand, Sim(*flags) as sim:
        marks = Watermarks(stand.bootstrap, EVENTS)
        with Trunkline(config(stand, sim.url, genesys__channels_per_shard=channels)).wait_ready() as app:
            marks.start()
            began, ended = through(sim, fault, lambda: marks.newest)
            events = sent(sim)
            app.stop()
        marks.stop()
        arrived: dict[Key, float] = {}
        for raw in stand.records():
            key = (raw["record"]["topic"], raw["record"]["payload"])
            at = marks.since(raw["partition"], raw["offset"])
            arrived[key] = min(at, arrived.get(key, at))
    return judge(events, arrived, began, ended)


def node(script: tuple[str, ...], fault: str) -> Figures:
    """A Node script of docs/examples; an event has arrived when the script has printed it."""
    with Sim("--rate", str(RATE), "--wait-for-channels", "1") as sim:
        org = json.loads(get(sim.url + "/sim/org"))
        topics = [f"v2.routing.queues.{q}.conversations" for q in org["queues"]]
        topics += [f"v2.users.{u}.conversations" for u in org["users"]]
        command = ["node", *script, sim.url, sim.url, "sim-client", "sim-secret", *topics]
        child = subprocess.Popen(command, cwd=NODE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        lines: list[tuple[float, str]] = []
        reader = threading.Thread(target=lambda: lines.extend((time.time(), line) for line in child.stdout), daemon=True)
        reader.start()
        try:
            if not wait_for(lambda: len(lines) > 50):
                raise RuntimeError(f"{' '.join(script)} hears nothing")
            began, ended = through(sim, fault, lambda: lines[-1][0])
            events = sent(sim)
        finally:
            child.kill()
            child.wait()
            reader.join(5)
    # the script may print a body in its own way: both sides are compared as what they mean
    arrived: dict[Key, float] = {}
    for at, line in lines:
        event = json.loads(line)
        if not event["topicName"].startswith(("v2.system.", "channel.")):
            arrived.setdefault((event["topicName"], meaning(event["eventBody"])), at)
    events = {(topic, meaning(json.loads(body))): at for (topic, body), at in events.items()}
    return judge(events, arrived, began, ended)


def meaning(body) -> str:
    return json.dumps(body, sort_keys=True)
