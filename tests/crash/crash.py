"""Kills the shipped binary again and again, half of the time at named failpoints, and lets the independent verifier judge.

usage: crash.py [--kills N] [--worlds N] [--seed N] [--only PREFIX]
"""

import argparse
import concurrent.futures
import itertools
import json
import pathlib
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter

from world import FAULTS, HERE, World

ROOT = HERE.parents[1]
LIVES = 28  # in one world; the broker keeps 5 MiB a partition
# what has to happen first
PREPARE = {
    "ch.call.failed": ("http_status", {"for_ms": 1500, "args": {"status": 500}}),
    "ch.ended": ("reset", {}),
    "ch.drain": ("socket_closing", {}),
    "state.end": ("reset", {}),
    "state.doubt": ("silence", {"for_ms": 8000, "whom": "newest"}),
    "gap.": ("outage", {"for_ms": 800}),
    "bf.": ("outage", {"for_ms": 800}),
}
FIRST = ("state.set.before", "state.wanted.before")  # only ever in the first life of a world
UNREACHABLE = (
    "spool.unlinked",  # nobody lives long enough to fill a segment
    "state.late.before",  # nor to leave a socket unread for half an hour
)
LATE = ("gap.closed.before",)  # what was handed over before it arrives
SLOW = ("bf.", "gap.", "cert.", "state.doubt", "state.claim")
VERY_SLOW = ("ch.drain",)  # the old channel stays for a while


class Again(dict):
    """A life that is tried once more."""


def failpoints() -> dict[str, bool]:
    """Every failpoint of the page, and whether something can fail there."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| (yes|) ?\|", (ROOT / "docs" / "failpoints.md").read_text(), re.MULTILINE)
    return {name: can == "yes" for name, can in rows if name not in UNREACHABLE}


def plan(kills: int, dice: random.Random, only: str) -> list[list[dict]]:
    """Lives of processes, by world: every failpoint with every action, and kills at any time."""
    points = {name: can for name, can in failpoints().items() if name.startswith(only)}
    lives = [{"point": name, "action": action} for name, can in points.items()
             for action in ("kill", "panic", *(["error"] if can else []))]
    lives += [{"point": None, "action": "kill"} for _ in range(0 if only else max(kills - len(lives), kills // 3))]
    standby = [life for life in lives if (life["point"] or "").startswith("sb.")]
    first = [life for life in lives if life["point"] in FIRST]
    rest = [life for life in lives if life not in standby and life not in first]
    dice.shuffle(rest)
    count = max(len(first), -(-len(rest) // LIVES), 1)
    worlds = [[*first[n:n + 1], *rest[n::count]] for n in range(count)]
    if standby:
        others = [{"point": None, "action": "kill"} for _ in range(6)]
        worlds.insert(0, [{"replicas": 2}, *itertools.chain(*itertools.zip_longest(standby, others))])
    return [alive for world in worlds if (alive := [life for life in world if life])]


def spec(life: dict, dice: random.Random) -> str:
    name = life["point"]
    often = name.startswith(("rx.", "prod.", "spool.", "state.acked", "sb.", "state.barrier.reading"))
    skipped = dice.randrange(1, 25) if often and name not in ("spool.recover.scan", "spool.segment.created", "spool.directory.synced", "spool.replay.mid") else 0
    kill = "return(late)" if name in LATE else "return(kill)"
    what = {"kill": kill, "panic": "panic", "error": "1*return(error)"}[life["action"]]
    return f"{name}={skipped}*off->{what}" if skipped else f"{name}={what}"


def leave_something(world: World, name: str) -> None:
    """A process is killed while the broker is away, so that its spool holds events."""
    before = world.start(name)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (before.admin and before.status()["spool"]["bytes"] > 2_000):
        time.sleep(0.1)
    away = world.away(2.5)
    time.sleep(1.5)
    before.end(signal.SIGKILL)
    away.join()


def live(world: World, life: dict, seen: Counter, trouble: list[str]) -> None:
    """One life of a process; in the end it is dead."""
    dice, point = world.dice, life["point"]
    standby = (point or "").startswith("sb.")
    if len(world.names) > 1:
        for name in world.names:
            if name not in world.running or not world.running[name].is_running():
                world.start(name)
        name = dice.choice(world.names)
        world.running[name].end(signal.SIGKILL)
    else:
        name = world.names[0]
    if dice.random() < 0.3:
        time.sleep(dice.uniform(0, 1))
    if point == "spool.replay.mid":
        leave_something(world, name)
    app = world.start(name, spec(life, dice) if point else "")
    began = time.monotonic()
    slow = (point or "").startswith(SLOW)
    calm = 0.01 if slow else 0.05  # a claim needs some seconds without trouble
    patience = 45 if (point or "").startswith(VERY_SLOW) else 25 if standby or slow else 7
    lasts = patience if point else dice.choice((1, 1, 3)) * dice.uniform(0.1, 4)  # claims begin after six seconds
    prepared = [what for prefix, what in PREPARE.items() if (point or "").startswith(prefix)]
    terminated, away = False, None
    while time.monotonic() - began < lasts and app.is_running():
        ready = app.admin is not None
        if ready and time.monotonic() - began > 1:
            if away is None and (point or "").startswith("spool."):
                away = world.away(2)  # what Kafka takes at once is not written
            if prepared:
                what, rest = prepared.pop()
                world.fault(what, **rest)
            elif dice.random() < calm:
                world.fault(dice.choice(FAULTS))
            if point and point.startswith("term.") and not terminated:
                app.child.send_signal(signal.SIGTERM)
                terminated = True
            if life["action"] == "error" and "spool_failed" in "".join(app.log):
                break
            if point == "sb.defer_expired" and len(world.names) > 1 and time.monotonic() - began > 3:
                other = next(n for n in world.names if n != name)
                if world.running[other].is_running():
                    world.running[other].end(signal.SIGKILL)
        if not ready and time.monotonic() - began > 20:
            trouble.append(f"{life}: not started after 20 s: {''.join(app.log[-3:])}")
            break
        time.sleep(0.05)
    if away is not None:
        away.join()
    log = "".join(app.log)
    if point and (not app.is_running() and not (terminated and app.child.returncode == 0) or life["action"] == "error" and "spool_failed" in log):
        seen[point, life["action"]] += 1
    if app.is_running():
        app.end(signal.SIGKILL)
    elif app.child.returncode in (64, 65, 69):
        trouble.append(f"{life}: ended with {app.child.returncode}: {log[-400:]}")


def run(number: int, lives: list[dict], seed: int, keep: pathlib.Path) -> tuple[Counter, Counter, list[str]]:
    """A world from its first life to the verdict."""
    replicas = lives.pop(0)["replicas"] if "replicas" in lives[0] else 1
    world, seen, trouble = World(seed, replicas), Counter(), []
    try:
        for life in [*lives, *(Again(life) for life in lives)]:
            if isinstance(life, Again) and (not life["point"] or seen[life["point"], life["action"]]):
                continue  # only what luck did not reach is tried once more
            live(world, life, seen, trouble)
            seen["lives"] += 1
        trouble += world.settle()
        folder = keep / f"world{number}"
        report = world.judge(folder)
        figures = Counter(report.figures)
        trouble += [f"world {number}: {found}" for found in report.contradictions[:5]]
        if trouble:
            (folder / "trouble.json").write_text(json.dumps([seed, trouble, [life for life in lives]], default=str))
        else:
            shutil.rmtree(folder)
        return seen, figures, trouble
    finally:
        world.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--worlds", type=int, default=3, help="at the same time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="failpoints whose names begin like this")
    options = parser.parse_args()
    keep = ROOT / "target" / "crash"
    shutil.rmtree(keep, ignore_errors=True)
    dice = random.Random(options.seed)
    worlds = plan(options.kills, dice, options.only)
    lives = sum(len(world) for world in worlds)
    print(f"crash: {lives} lives in {len(worlds)} worlds, seed {options.seed}", file=sys.stderr, flush=True)
    seen, figures, trouble = Counter(), Counter(), []
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(options.worlds) as pool:
        jobs = [pool.submit(run, n, world, options.seed * 1_000 + n, keep) for n, world in enumerate(worlds)]
        for job in concurrent.futures.as_completed(jobs):
            some_seen, some_figures, some_trouble = job.result()
            seen, figures = seen + some_seen, figures + some_figures
            trouble += some_trouble
            print(f"crash: {seen['lives']} of {lives} lives, {time.monotonic() - began:.0f} s, {len(trouble)} in trouble", file=sys.stderr, flush=True)
    wanted = {(name, action) for name, can in failpoints().items() if name.startswith(options.only)
              for action in ("kill", "panic", *(["error"] if can else []))}
    missed = sorted(" ".join(pair) for pair in wanted if not seen[pair])
    for line in trouble[:20]:
        print(f"crash: {line}")
    print(f"crash: not reached: {', '.join(missed) or 'none'}")
    reached = len({pair for pair in wanted if seen[pair]})
    counts = ", ".join(f"{figures[name]} {name}" for name in ("durable", "restored", "declared", "silent", "false_certificates", "repeats"))
    print(f"crash: {seen['lives']} kills, {reached} of {len(wanted)} failpoints and actions, {figures['events']} events: {counts}; {len(trouble)} in trouble")
    return 1 if trouble or figures["silent"] or figures["false_certificates"] or len(missed) > len(wanted) // 10 else 0


if __name__ == "__main__":
    sys.exit(main())
