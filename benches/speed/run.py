"""How fast trunkline and its peers are, one at a time on a core of its own.

usage: run.py [--quick] [--systems NAME,...] [--cells full,100,1000,5000,restart] [--rounds N] [--binary FILE] [--out NAME]

Writes target/speed/results.json (or quick.json) after every run; page.py makes docs/speed.md of it. Exit 1 when trunkline lost an event,
70 when a run broke. `--binary target/debug/trunkline` tries the driver: all its runs are void.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import time

import lay
import machine
from about import about
from asked import chosen, words
from cells import CANDIDATE, OWN, SECONDS, Run
from figures import OTHERS_BOUND, best, others, void
from kafka_side import cluster
from registry import Registry
from systems import PEERS, Peer

CELLS = ("full", *map(str, SECONDS), "restart")
QUICK_SYSTEMS = ("trunkline", "node-kafkajs", "python")
MINUTES = 80
ROUNDS, ROUNDS_OF_OTHERS, FASTEST = 5, 2, 2
CALM, LOOK = 20, 3  # seconds that a run waits for a calm machine; seconds that one looks


def say(text: str):
    print(f"speed: {text}", file=sys.stderr, flush=True)


def wait_for_calm(seconds: float):
    """Until others leave the machine alone, but no longer than `seconds`. The broker's idling counts as others here."""
    end = time.monotonic() + seconds
    while True:
        before = machine.busy()
        time.sleep(LOOK)
        if others(machine.busy() - before, 0, LOOK) <= OTHERS_BOUND or time.monotonic() > end:
            return


def told(run: dict) -> str:
    shown = {key: run[key] for key in ("pace", "p50", "p99", "p999", "cpu", "restart", "lost", "repeats", "others", "load") if key in run}
    text = ", ".join(f"{key} {value:,.2f}" for key, value in shown.items())
    return text + (f"; void: {why}" if (why := void(run)) else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK_SYSTEMS)}, short, once")
    parser.add_argument("--systems", type=words, default=[])
    parser.add_argument("--cells", type=words, default=[])
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"no run begins later than this ({MINUTES})")
    parser.add_argument("--binary", type=pathlib.Path, default=lay.ROOT / "target" / "release" / "trunkline")
    parser.add_argument("--out", help="name in target/speed (quick.json with --quick, else results.json)")
    options = parser.parse_args()
    if not options.binary.exists():
        parser.error(f"--binary {options.binary}: not there; `cargo build --release --bin trunkline` builds it")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two cores are needed: one for simulator and broker, one for the system")
    lay.use(options.binary)
    names = chosen(parser, "--systems", options.systems, ("trunkline", *PEERS)) or (QUICK_SYSTEMS if options.quick else ["trunkline", *PEERS])
    cells = chosen(parser, "--cells", options.cells, CELLS) or CELLS
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    not_run = {name: why for name in names if name in PEERS and (why := Peer(name).why_not())}
    for name, why in not_run.items():
        say(f"not run: {PEERS[name]['title']}: {why}")
    names = [name for name in names if name not in not_run]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(70))  # so that children are ended
    meta = {**about(), "quick": options.quick, "rounds": rounds, "cells": list(cells), "bound": OTHERS_BOUND,
            "build": "release" if "release" in options.binary.parts else "debug"}
    out = lay.OUT / (options.out or ("quick.json" if options.quick else "results.json"))
    lay.OUT.mkdir(parents=True, exist_ok=True)
    runs, left, began, broken = [], [], time.monotonic(), 0
    with machine.on_core(OWN):
        kafka = cluster().__enter__()
    try:
        registry = Registry()
        for number in range(1, rounds + 1):
            peers = [name for name in names if name in PEERS]
            if number > ROUNDS_OF_OTHERS:
                peers = best(runs, peers, FASTEST)
            for cell in cells:
                for name in [n for n in names if n in (*peers, "trunkline")]:
                    if time.monotonic() - began > options.minutes * 60:
                        left.append(f"{name}, {cell}, round {number}")
                        continue
                    wait_for_calm(0 if options.quick else CALM)
                    try:
                        run = Run(kafka, registry, name, cell, f"{name}.{cell}.{number}", options.quick).measure()
                    except Exception as problem:  # one run that breaks is told, and does not end the others
                        run, broken = {"system": name, "cell": cell, "not_run": f"{type(problem).__name__}: {problem}"}, broken + 1
                    run |= {"round": number, "build": meta["build"]}
                    runs.append(run)
                    say(f"round {number} of {rounds}, {time.monotonic() - began:.0f} s: {name}, {cell}: {told(run)}")
                    out.write_text(json.dumps({"about": meta, "not_run": not_run, "left": left, "runs": runs}, indent=1))
    finally:
        kafka.__exit__()
    if runs:
        out.write_text(json.dumps({"about": meta, "not_run": not_run, "left": left, "runs": runs}, indent=1))
    lost = sum(run.get("lost", 0) for run in runs if run["system"] == "trunkline")
    say(f"{len(runs)} runs in {time.monotonic() - began:.0f} s, {sum(bool(void(r)) for r in runs)} of them void; trunkline lost {lost} events; "
        f"core {OWN} simulator and broker, core {CANDIDATE} the system")
    return 70 if broken else 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
