"""The complaint itself, measured in real time: what each handler misses through one fault, and how long
it hears nothing. trunkline with two channels and with one, and the Node handler of docs/examples, each
against the simulator at 200 events a second.

usage: silence_table.py [reset close half_open …]
"""

import json
import pathlib
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "journey"))
from harness import Sim, Stand, Trunkline, config, get, wait_for  # noqa: E402

RATE = 200
WATCH = {"half_open": 32}  # seconds to watch after the fault; 6 for all others


def longest(times: list[float], since: float) -> float:
    times = sorted(t for t in times if t >= since - 0.5)
    return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))


def through(sim: Sim, fault: str) -> float:
    """Injects the fault once things went well for a while, watches on, and says when it was."""
    time.sleep(1.5)
    began = time.time()
    sim.fault(fault)
    time.sleep(WATCH.get(fault, 6))
    return began


def trunkline(fault: str, channels: int) -> tuple[int, float]:
    flags = ("--rate", str(RATE), "--wait-for-channels", str(channels))
    with Stand() as stand, Sim(*flags) as sim:
        with Trunkline(config(stand, sim.url, genesys__channels_per_shard=channels)).wait_ready() as app:
            offset = time.time() * 1000 - sim.counters()["now_ms"]
            began = through(sim, fault)
            entries = sim.ledger()
            app.stop()
        records = list(stand.records())
    bodies = {r["record"]["payload"] for r in records}
    recent = [e for e in entries if e["covered"] and e["at_ms"] + offset >= began * 1000 - 500]
    lost = sum(e["body"] not in bodies for e in recent[: -RATE // 2])
    return lost, longest([r["timestamp"] / 1000 for r in records], began)


def node(fault: str) -> tuple[int, float]:
    folder = ROOT / "docs" / "examples" / "node-reconnect"
    if not (folder / "node_modules").exists():
        subprocess.run(["npm", "install", "--silent", "--no-package-lock"], cwd=folder, check=True)
    with Sim("--rate", str(RATE), "--wait-for-channels", "1") as sim:
        org = json.loads(get(sim.url + "/sim/org"))
        topics = [f"v2.routing.queues.{q}.conversations" for q in org["queues"]]
        topics += [f"v2.users.{u}.conversations" for u in org["users"]]
        command = ["node", "handler.mjs", sim.url, sim.url, "sim-client", "sim-secret", *topics]
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        heard = []
        reader = threading.Thread(target=lambda: heard.extend((time.time(), line) for line in child.stdout), daemon=True)
        reader.start()
        wait_for(lambda: len(heard) > 50)
        offset = time.time() * 1000 - sim.counters()["now_ms"]
        began = through(sim, fault)
        entries = sim.ledger()
        child.kill()
        child.wait()
        reader.join(5)
    bodies = {json.dumps(json.loads(line)["eventBody"], sort_keys=True) for _, line in heard}
    recent = [e for e in entries if e["covered"] and e["at_ms"] + offset >= began * 1000 - 500]
    lost = sum(json.dumps(json.loads(e["body"]), sort_keys=True) not in bodies for e in recent[: -RATE // 2])
    return lost, longest([at for at, _ in heard], began)


def main() -> int:
    faults = sys.argv[1:] or ["reset", "close", "idle_close", "half_open"]
    rows = [
        ("trunkline, two channels", lambda fault: trunkline(fault, 2)),
        ("trunkline, one channel", lambda fault: trunkline(fault, 1)),
        ("Node handler of docs/examples", node),
    ]
    print(f"\none fault in real time, {RATE} events a second: events missed, longest silence\n")
    print("| handler | " + " | ".join(faults) + " |")
    print("|---" * (len(faults) + 1) + "|")
    for name, run in rows:
        cells = []
        for fault in faults:
            lost, silence = run(fault)
            cells.append(f"{lost}, {silence:.2f} s")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
