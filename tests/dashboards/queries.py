#!/usr/bin/env python3
"""Every query of every panel against a real Prometheus that scraped the shipped binary: which run gives it data.

Runs: normal, reconnects, a gap and its repair, Kafka away, the spool filling. A panel that no run gives data to is a finding unless it
stands in EMPTY, with the reason. A 0 is data; what is 0 in every run is listed.
"""

import concurrent.futures
import json
import math
import pathlib
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/alerts"))

from run import HISTORY, Run, wait_for  # noqa: E402
from own_faults import away  # noqa: E402
from watch import Prometheus, Receiver, free_port  # noqa: E402

EMPTY = {("proof", "Rules broken"): "shows only what is above 0, and must be empty"}


def normal(run: Run):
    run.world()
    run.start()
    time.sleep(40)


def reconnects(run: Run):
    """Sockets end, dials and requests are refused for a while, and the token is taken away."""
    run.world()
    run.start(scale=60)
    for turn in range(20):
        run.fault("reset", whom="all")
        if turn == 5:
            run.fault("http_status", for_ms=4_000, args={"status": 503, "path": "/channels/"})
        if turn == 10:
            run.fault("http_status", for_ms=4_000, args={"status": 429, "retry_after": "1", "path": "/api/v2/"})
        if turn == 15:
            run.fault("revoke")
        time.sleep(1.5)
    time.sleep(10)


def gap_and_repair(run: Run):
    """An hour takes a second: the gap is read three times by query and twice by job, and closed hours are audited."""
    run.world("--rate", "20", **HISTORY)
    app = run.start(scale=3600)
    run.fault("reset", whom="all")
    closed = lambda: app.metrics().get("trunkline_audited_timestamp_seconds", 0) > 0 and app.metrics().get('trunkline_gaps_open{shard="0"}') == 0
    wait_for(closed, 120, 1)
    time.sleep(10)


def kafka_away(run: Run):
    run.world()
    run.start()
    away(run, 25)
    time.sleep(35)


def spool_fills(run: Run):
    """And the process is killed with what waits there; the next one sends it."""
    run.world("--rate", "500")
    # on one port, as a container that is started again has: the next process goes on with the series
    settings = {"admin__listen": f"127.0.0.1:{free_port()}", "spool__segment_bytes": 1 << 20, "spool__max_bytes": 8 << 20,
                "spool__dir": str(run.folder() / "spool"), "kafka__in_flight_records": 500}
    app = run.start(**settings)
    away(run, 25)
    time.sleep(20)
    app.stop(signal.SIGKILL)
    time.sleep(8)
    run.start(**settings)
    time.sleep(25)


RUNS = [gap_and_repair, spool_fills, kafka_away, reconnects, normal]


def concrete(expr: str, job: str, seconds: int) -> str:
    """The query as Grafana sends it with every variable on All, and the run as its job."""
    chosen = {"$__rate_interval": "20s", "$__range": f"{seconds}s", "$cluster": ".*", "$namespace": ".*", "$job": job, "$instance": ".+", "$shard": ".+"}
    for variable, value in chosen.items():
        expr = expr.replace(variable, value)
    return expr


def seen(series: list[dict]) -> tuple[int, int]:
    """Series with a value, and those of them with one other than 0."""
    values = [[float(value) for _, value in one["values"] if not math.isnan(float(value))] for one in series]
    return sum(map(bool, values)), sum(map(any, values))


def look(function, prometheus, receiver, boards: dict) -> dict[tuple, tuple[int, int]]:
    """By dashboard, panel and query: what the run gave."""
    print(f"dashboards: {function.__name__} begins", file=sys.stderr, flush=True)
    began, found = time.time(), {}
    with Run(function.__name__, prometheus, receiver) as run:
        function(run)
        ended = time.time()
        for name, board in boards.items():
            for panel in board["panels"]:
                for target in panel["targets"]:
                    query = concrete(target["expr"], run.job, math.ceil(ended - began))
                    series = prometheus.ask(query, start=began, end=ended, step="1")
                    found[name, panel["title"], target["refId"]] = seen(series)
    print(f"dashboards: {function.__name__}: {sum(some > 0 for some, _ in found.values())} of {len(found)} queries have data", file=sys.stderr, flush=True)
    return found


def table(found: dict[str, dict]) -> list[tuple]:
    """Prints panel, query, and series by run, those that left 0 first; returns the panels that have none."""
    empty, still = [], []
    print("| dashboard | panel | run: series other than 0 / with a value |\n|---|---|---|")
    for key in next(iter(found.values())):
        runs = [f"{run} {moved}/{some}" for run, series in found.items() for some, moved in [series[key]] if some]
        if runs and not any(series[key][1] for series in found.values()):
            still.append(f"{key[1]} {key[2]}")
        if not runs:
            empty.append(key[:2])
        print(f"| {key[0]} | {key[1]} {key[2]} | {', '.join(runs) or 'NONE: ' + EMPTY.get(key[:2], 'nobody knows why')} |")
    print(f"\n0 in every run, which is a value too: {', '.join(still)}")
    return empty


def main() -> int:
    boards = {file.stem: json.loads(file.read_text()) for file in sorted((ROOT / "helm/trunkline/dashboards").glob("*.json"))}
    with tempfile.TemporaryDirectory() as folder:
        receiver = Receiver()
        prometheus = Prometheus("dashboards", pathlib.Path(folder), {"groups": []}, None)
        try:
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                jobs = {function.__name__: pool.submit(look, function, prometheus, receiver, boards) for function in RUNS}
                found = {name: job.result() for name, job in jobs.items()}
        finally:
            prometheus.stop()
    empty = table(found)
    wrong = [panel for panel in empty if panel not in EMPTY] + [panel for panel in EMPTY if panel not in empty]
    for name, title in wrong:
        print(f"dashboards: {name}, {title}: " + ("has data, and EMPTY says it never has" if (name, title) in EMPTY else "no run gives it data"), file=sys.stderr)
    panels = sum(len(board["panels"]) for board in boards.values())
    print(f"dashboards: {panels} panels, {len(next(iter(found.values())))} queries, {len(empty)} without data, {len(wrong)} findings", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
