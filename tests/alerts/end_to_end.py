#!/usr/bin/env python3
"""A fault of the simulator, the shipped binary, a real Prometheus, a real Alertmanager: exactly the alerts that are due arrive.

    end_to_end.py [NAME…]    all runs, or these; four at a time (`AT_ONCE`)
"""

import concurrent.futures
import os
import pathlib
import sys
import tempfile
import time
import traceback

from run import EVERYWHERE, Run
from runs import RUNS
from scale import rules, scaled
from test_firing import CASES
from watch import Alertmanager, Prometheus, Receiver

BY, AN_HOUR = 60, 3_600
PAGES = pathlib.Path(__file__).resolve().parents[2] / "docs/runbooks"


def say(text: str):
    print(f"alerts: {text}", file=sys.stderr, flush=True)


def one(function, prometheus, receiver) -> tuple[dict, list[str]]:
    """Seconds from the fault to each alert that came, and what is wrong."""
    run, wrong = Run(function.__name__, prometheus, receiver), []
    say(f"{function.__name__} begins")
    try:
        with run:
            function(run)
    except Exception:  # a run that breaks must not hide the others
        wrong.append(f"{function.__name__} broke:\n{traceback.format_exc()}")
    due = function.gives | EVERYWHERE
    wrong += [f"{function.__name__}: {name} did not come" for name in sorted(due - set(run.came))]
    wrong += [f"{function.__name__}: {name} came and was not due" for name in sorted(set(run.came) - due)]
    seconds = {name: at - (run.fault_at or at) for name, (at, _) in run.came.items()}
    say(f"{function.__name__}: " + (", ".join(f"{name} after {s:.0f} s" for name, s in seconds.items() if name not in EVERYWHERE) or "nothing") + f"; {sum(run.pasted.values())} checks of pages, {len(wrong)} wrong")
    for line in wrong:
        say(line)
    return seconds, wrong


def table(came: dict[str, dict[str, float]]):
    print("| alert | severity | page | unit tests | end to end |\n|---|---|---|---|---|")
    for rule in rules():
        name, severity = rule["alert"], rule["labels"]["severity"]
        page = "yes" if (PAGES / f"{name}.md").exists() else "NO"
        runs = [f"{run}, {seconds[name]:.0f} s" for run, seconds in came.items() if name in seconds and (name not in EVERYWHERE or run == "quiet")]
        print(f"| {name} | {severity} | {page} | {2 if name in CASES else 0} | {'; '.join(runs) or '-'} |")


def main(names: list[str]) -> int:
    known = [function.__name__ for function, _, _ in RUNS]
    if unknown := [name for name in names if name not in known]:
        say(f"no run is called {', '.join(unknown)}; there are {', '.join(known)}")
        return 64
    chosen = [entry for entry in RUNS if not names or entry[0].__name__ in names]
    began, came, wrong = time.monotonic(), {}, []
    with tempfile.TemporaryDirectory() as folder:
        folder, receiver, servers = pathlib.Path(folder), Receiver(), []
        try:
            servers.append(Alertmanager(folder, receiver))
            for name, ages in (("minutes", 1), ("hours", AN_HOUR)):
                servers.append(Prometheus(name, folder, scaled(BY, ages), servers[0].url))
            with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("AT_ONCE", "4"))) as pool:
                jobs = {function: pool.submit(one, function, servers[2 if hours else 1], receiver) for function, _, hours in chosen}
                for function, job in jobs.items():
                    came[function.__name__], found = job.result()
                    wrong += found
        finally:
            for server in reversed(servers):
                server.stop()
    table(came)
    say(f"{len(chosen)} runs in {time.monotonic() - began:.0f} s, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
