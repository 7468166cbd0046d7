"""Writes docs/speed.md from what a run found: target/speed/results.json, or another file.

usage: page.py [RESULTS]
"""

import json
import pathlib
import sys

import lay
from cells import FULL_RATE
from figures import collected, spread, void
from goals import goals
from systems import PEERS

PACED = ("100", "1000", "5000")
# cell, figure, what it is called, in which unit, whether more is better
COLUMNS = [
    ("full", "pace", "full speed", "events/s", True), ("full", "cpu", "CPU at full speed", "s per million", False),
    ("1000", "cpu", "CPU at 1,000/s", "s per million", False), ("full", "rss", "memory at full speed", "MiB", False),
    ("1000", "rss", "memory at 1,000/s", "MiB", False), ("restart", "restart", "restart", "s", False),
]
LATENCY = [(cell, key, f"{name} at {int(cell):,}/s", "ms", False) for cell in PACED for key, name in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))]


def title(name: str) -> str:
    return PEERS[name]["title"] if name in PEERS else name


def text(value: float, what: str) -> str:
    value = value / 2**20 if what == "rss" else value
    return f"{value:.2f}" if what == "restart" else f"{value:,.0f}"


def cell(values: list[float], what: str) -> str:
    if not values:
        return "–"
    of = {key: text(value, what) for key, value in spread(values).items() if key != "runs"}
    return of["median"] if of["least"] == of["most"] else f"{of['median']} ({of['least']}–{of['most']})"


def better(runs: list[dict], name: str, column: tuple) -> bool:
    """Whether a peer's median is better than trunkline's; never, where either has none."""
    at, what, _, _, more = column
    own, ours = collected(runs, name, at, what), collected(runs, "trunkline", at, what)
    if name == "trunkline" or not own or not ours:
        return False
    own, ours = spread(own)["median"], spread(ours)["median"]
    return own > ours if more else own < ours


def table(runs: list[dict], names: list[str], columns: list[tuple]) -> list[str]:
    lines = ["| system | " + " | ".join(f"{said}, {unit}" for _, _, said, unit, _ in columns) + " |", "|---|" + "--:|" * len(columns)]
    for name in names:
        cells = []
        for column in columns:
            said = cell(collected(runs, name, column[0], column[1]), column[1])
            cells.append(f"**{said}**" if better(runs, name, column) else said)
        lines.append(f"| {title(name)} | " + " | ".join(cells) + " |")
    return lines


def voided(runs: list[dict]) -> list[str]:
    """What was seen in runs that do not count: to be read with their reason, and not to be compared."""
    lines = ["| system | run | seen | load | void because |", "|---|---|---|--:|---|"]
    for run in (r for r in runs if void(r)):
        shown = [f"{text(run[what], what)} {unit} ({said})" for at, what, said, unit, _ in (*COLUMNS, *LATENCY) if at == run["cell"] and what in run]
        name = run["cell"] if run["cell"] in ("full", "restart") else f"{int(run['cell']):,}/s"
        lines.append(f"| {title(run['system'])} | {name}, round {run['round']} | {'; '.join(shown) or '–'} | {run.get('load', 0):.1f} | {void(run)} |")
    return lines


def page(run: dict) -> str:
    about, runs = run["about"], run["runs"]
    names = [name for name in ("trunkline", *PEERS) if any(r["system"] == name for r in runs)]
    bad, loads = [r for r in runs if void(r)], [r["load"] for r in runs if "load" in r]
    lines = (lay.ROOT / "benches" / "speed" / "page_head.txt").read_text().format(full_rate=FULL_RATE, **about).rstrip().splitlines()
    lines += ["", "## This run", "", f"- {about['date']}, commit `{about['commit']}`, trunkline {about['trunkline']} ({about['build']} build), "
              f"{about['machine']}; {'short runs (`QUICK=1`); ' if about['quick'] else ''}{about['rounds']} round{'s' * (about['rounds'] > 1)}."]
    lines += [f"- Load average during the runs: {min(loads):.1f} to {max(loads):.1f}. {len(bad)} of {len(runs)} runs are void."] * bool(loads)
    lines += [f"- Apache Kafka {about['kafka']} (one broker), {about['java']}; Node {about['node']}; Python {about['python']}."]
    lines += [f"- {title(n)}: {PEERS[n]['label']}: {PEERS[n]['versions']}." for n in names if n in PEERS]
    lines += [f"- Not run: {title(n)}: `{why.splitlines()[-1]}`." for n, why in run["not_run"].items()]
    lines += [f"- Not run: {title(n)}: not chosen." for n in PEERS if n not in names and n not in run["not_run"]]
    if left := run.get("left"):
        lines += [f"- {len(left)} runs were left out, for time was over: " + "; ".join(left) + "."]
    if len(bad) == len(runs):
        lines += ["", "**No run of these counts: there are no figures to compare yet.**"]
    lines += ["", "## Speed, cost, restart", "", *table(runs, names, COLUMNS), "", "## Frame-in → ack", "", *table(runs, names, LATENCY)]
    lines += ["", "## Goals", "", *goals(runs)]
    if bad:
        lines += ["", "## Void runs", "", "What was seen all the same; the load that others made is in it.", "", *voided(runs)]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    path = pathlib.Path(argv[0]) if argv else lay.OUT / "results.json"
    if not path.exists():
        print(f"page.py: {path} is not there; run `make bench-peers` first", file=sys.stderr)
        return 1
    (lay.ROOT / "docs" / "speed.md").write_text(page(json.loads(path.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
