"""Writes docs/scoreboard.md and its picture from what a run found: target/scoreboard/results.json, or other files.

usage: page.py [RESULTS...]      of a fault that several files hold, the last one counts
"""

import json
import pathlib
import statistics
import sys

from picture import picture
from scenarios import ALL, BY_NAME
from systems import PEERS, ROOT, Peer, trunklines
from world import OUT

TITLES = {system.name: system.title for system in (*trunklines(), *(Peer(name) for name in PEERS))}
COLUMNS = {
    "wire": "lost on the wire", "repaired": "repaired from history", "declared": "declared", "silent": "silent", "repeats": "repeats",
    "duplicates": "duplicates", "reordered": "reordered", "recovery": "seconds to recover", "dials": "dials", "calls": "API calls",
}
NO_CONTEST = ("repaired", "declared")  # more is neither better nor worse
NEVER = float("inf")


def values(results: list[dict], fault: str, system: str, column: str) -> list[float]:
    """Of every pass; a system that did not recover took for ever."""
    found = [r["systems"][system] for r in results if r["fault"] == fault and system in r["systems"]]
    figures = [f for f in found if "not_run" not in f]
    return [NEVER if f[column] is None else f[column] for f in figures]


def text(value: float, column: str) -> str:
    if value == NEVER:
        return "never"
    return f"{value:.1f}" if column == "recovery" and value else f"{value:,.0f}"


def cell(found: list[float], column: str) -> str:
    """The median, and from least to most where passes differ."""
    if not found:
        return "–"
    middle, low, high = (text(v, column) for v in (statistics.median_low(found), min(found), max(found)))
    return middle if low == high else f"{middle} ({low}–{high})"


def better(results, fault: str, system: str, column: str) -> bool:
    """Whether a peer's median is below that of any of trunkline's rows."""
    if column in NO_CONTEST or system.startswith("trunkline"):
        return False
    own = values(results, fault, system, column)
    ours = [values(results, fault, name, column) for name in TITLES if name.startswith("trunkline")]
    return bool(own) and any(of and statistics.median_low(own) < statistics.median_low(of) for of in ours)


def table(results: list[dict], fault: str, names: list[str]) -> list[str]:
    lines = ["| system | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "--:|" * len(COLUMNS)]
    for name in names:
        cells = []
        for column in COLUMNS:
            said = cell(values(results, fault, name, column), column)
            cells.append(f"**{said}**" if better(results, fault, name, column) else said)
        lines.append(f"| {TITLES[name]} | " + " | ".join(cells) + " |")
    return lines


def of_all(results: list[dict], fault: str, column: str) -> str:
    found = [f[column] for r in results if r["fault"] == fault for f in r["systems"].values() if column in f]
    return f"{min(found):,}–{max(found):,}"


def total(results: list[dict], name: str) -> str:
    """Of all faults and passes."""
    of = [figures for r in results if (figures := r["systems"].get(name)) and "not_run" not in figures]
    return f"- {TITLES[name]}: {sum(f['silent'] for f in of):,} of {sum(f['events'] for f in of):,}"


def page(run: dict) -> str:
    about, results = run["about"], run["results"]
    ran = [scenario.name for scenario in ALL if any(r["fault"] == scenario.name for r in results)]
    names = [name for name in TITLES if any(name in r["systems"] for r in results)]
    passes = {fault: sum(r["fault"] == fault for r in results) for fault in ran}
    loads = [r["load"] for r in results]
    lines = (ROOT / "benches" / "scoreboard" / "page_head.txt").read_text().format(**about).rstrip().splitlines()
    lines += ["", "## This run", ""]
    lines += [f"- {about['date']}, commit `{about['commit']}`, trunkline {about['trunkline']} (debug build), {about['machine']}; "
              f"load of the machine, which others used too, {min(loads)} to {max(loads)}."]
    lines += [f"- Apache Kafka {about['kafka']} (one broker), {about['java']}; Node {about['node']}; Python {about['python']}."]
    counted = "; ".join(f"{BY_NAME[fault].title}: {passes[fault]}" for fault in ran)
    once = set(passes.values()) == {1}
    lines += [f"- {len(ran)} of {len(ALL)} faults" + (", one pass: no spread." if once else f"; passes: {counted}.")]
    left = [s.title for s in ALL if s.name not in ran]
    lines += ["- Not run: " + "; ".join(left) + "."] * bool(left)
    lines += [f"- {TITLES[n]}: {PEERS[n]['label']}: {PEERS[n]['versions']}. {PEERS[n].get('note', '')}".rstrip() for n in names if n in PEERS]
    lines += [f"- Not run: {TITLES[n]}: `{why.splitlines()[-1]}`." for n, why in run["not_run"].items()]
    lines += [f"- Not run: {TITLES[n]}: not chosen." for n in TITLES if n not in names and n not in run["not_run"]]
    lines += ["", "## Silently lost, of all events", "",
              "Of the events fanned out from three seconds before the fault to the end of the watch: who never comes back loses more,",
              "the longer one looks.", "",
              "![Share of events that were silently lost, by fault and system](img/scoreboard.svg)", ""]
    lines += [total(results, name) for name in names]
    for fault in ran:
        scenario = BY_NAME[fault]
        lines += ["", f"## {scenario.title[0].upper()}{scenario.title[1:]}", ""]
        lines += [f"{scenario.what[0].upper()}{scenario.what[1:]}. Watched for {scenario.watch} s, and {scenario.tail} s more for what was held "
                  f"back; {of_all(results, fault, 'events')} events.", ""]
        lines += table(results, fault, names)
        stuck = {n: f["not_run"] for r in results if r["fault"] == fault for n, f in r["systems"].items() if "not_run" in f}
        lines += [""] * bool(stuck) + [f"{TITLES[n]} did not take part: {why}" for n, why in stuck.items()]
    return "\n".join(lines) + "\n"


def shares(run: dict) -> tuple[list[str], list[str], dict]:
    """For the picture: faults, systems, and of each pair the median share of events silently lost."""
    results, found = run["results"], {}
    for fault in BY_NAME:
        for name in TITLES:
            lost, of = (values(results, fault, name, column) for column in ("silent", "events"))
            if lost:
                found[fault, name] = statistics.median_low(100 * a / b for a, b in zip(lost, of))
    faults = [f for f in BY_NAME if any(pair[0] == f for pair in found)]
    return faults, [n for n in TITLES if any(pair[1] == n for pair in found)], found


def merged(runs: list[dict]) -> dict:
    """One run out of several: a later one replaces the faults that it holds, and all are named."""
    results = []
    for run in runs:
        again = {result["fault"] for result in run["results"]}
        results = [result for result in results if result["fault"] not in again] + run["results"]
    commits = dict.fromkeys(run["about"]["commit"] for run in runs)
    return {**runs[-1], "about": {**runs[-1]["about"], "commit": "`, `".join(commits)}, "results": results}


def main(argv: list[str]) -> int:
    paths = [pathlib.Path(word) for word in argv] or [OUT / "results.json"]
    for path in paths:
        if not path.exists():
            print(f"page.py: {path} is not there; run `make scoreboard` or `make scoreboard-quick` first", file=sys.stderr)
            return 1
    run = merged([json.loads(path.read_text()) for path in paths])
    docs = ROOT / "docs"
    (docs / "img").mkdir(exist_ok=True)
    (docs / "scoreboard.md").write_text(page(run))
    faults, names, found = shares(run)
    (docs / "img" / "scoreboard.svg").write_text(picture([BY_NAME[f].title for f in faults], [TITLES[n] for n in names],
                                                         [[found.get((f, n)) for n in names] for f in faults]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
