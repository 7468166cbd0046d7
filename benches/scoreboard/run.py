"""What each way of getting events into Kafka loses, side by side.

usage: run.py [--quick] [--faults NAME,...] [--systems NAME,...] [--passes N] [--out NAME]

Exit 1 when trunkline lost an event silently, wrote one under two ids, or turned the order within a conversation round.
What peers do is shown, never asserted.
"""

import argparse
import json
import signal
import sys
import time

from about import about, load
from asked import chosen, words
from kafka_side import cluster
from registry import Registry
from scenarios import BY_NAME, QUICK
from systems import PEERS, Peer, trunklines
from world import OUT, World, say

QUICK_SYSTEMS = ("trunkline-static", "trunkline-one", "node-kafkajs", "python")
TOLD = ("not_run", "events", "wire", "repaired", "declared", "silent", "repeats", "duplicates", "reordered", "recovery", "dials", "calls")
MUST_BE_ZERO = ("silent", "duplicates", "inversions")


def broken(results: list[dict]) -> list[str]:
    """Promises of trunkline that a run did not find kept."""
    found = []
    for result in results:
        for name, figures in result["systems"].items():
            if not name.startswith("trunkline"):
                continue
            if "not_run" in figures:
                found.append(f"{result['fault']}: {name} {figures['not_run']}")
            found += [f"{result['fault']}, pass {result['pass']}: {name}: {what} is {figures[what]}" for what in MUST_BE_ZERO if figures.get(what)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}, and only {', '.join(QUICK_SYSTEMS)}, once")
    parser.add_argument("--faults", type=words, default=[])
    parser.add_argument("--systems", type=words, default=[])
    parser.add_argument("--passes", type=int, default=0)
    parser.add_argument("--out", help="name in target/scoreboard (quick.json with --quick, else results.json)")
    options = parser.parse_args()
    out = OUT / (options.out or ("quick.json" if options.quick else "results.json"))
    every = {system.name: system for system in (*trunklines(), *(Peer(name) for name in PEERS))}
    faults = chosen(parser, "--faults", options.faults, BY_NAME) or (QUICK if options.quick else list(BY_NAME))
    names = chosen(parser, "--systems", options.systems, every) or (QUICK_SYSTEMS if options.quick else list(every))
    passes = options.passes or (1 if options.quick else 3)
    not_run = {name: every[name].why_not() for name in names if isinstance(every[name], Peer) and every[name].why_not()}
    for name, why in not_run.items():
        say(f"not run: {every[name].title}: {why}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(70))  # so that children are ended
    meta = {**about(), "faults": list(faults), "systems": list(names), "passes": passes}
    OUT.mkdir(parents=True, exist_ok=True)
    results, began = [], time.monotonic()
    with cluster() as kafka:
        registry = Registry()
        for number in range(1, passes + 1):
            for at, fault in enumerate(faults, 1):
                scenario = BY_NAME[fault]
                say(f"pass {number} of {passes}, fault {at} of {len(faults)}: {scenario.title}; {time.monotonic() - began:.0f} s so far")
                fresh = {system.name: system for system in (*trunklines(), *(Peer(name) for name in PEERS))}
                systems = [fresh[name] for name in names if name not in not_run]
                figures = World(kafka, registry, systems, scenario, f"{fault}.{number}").run()
                results.append({"fault": fault, "pass": number, "load": load(), "systems": figures})
                for name, found in figures.items():
                    say(f"  {name}: " + ", ".join(f"{key} {found[key]}" for key in TOLD if key in found))
                out.write_text(json.dumps({"about": meta, "not_run": not_run, "results": results}, indent=1))
    problems = broken(results)
    for problem in problems:
        say(f"NOT KEPT: {problem}")
    verdict = f"{len(problems)} promises not kept" if problems else "trunkline kept its promises"
    say(f"{len(results)} faults in {time.monotonic() - began:.0f} s: {verdict}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
