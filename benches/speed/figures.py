"""What is computed from stamps, counts and clocks: pure functions."""

import math
import statistics
from collections import defaultdict, deque

OTHERS_BOUND = 0.15  # cores that others may use during a run
SHARES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values: a percentile needs at least one")
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; allowed: above 0, up to 1")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def spread(values: list[float]) -> dict:
    """Median (of an even number, the mean of the middle two), least and most of the runs that count."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "runs": len(values)}


def latencies(sent: list[tuple[bytes, float]], arrived: list[tuple[bytes, float]], skip: float) -> list[float]:
    """Milliseconds from the stamp of sending to that of arrival, event by event, in the order of arrival. Equal events are paired in
    their order. What was sent in the first `skip` milliseconds is warm-up."""
    waiting = defaultdict(deque)
    for name, at in sent:
        waiting[name].append(at)
    begin = min((at for _, at in sent), default=0) + skip
    found = []
    for name, at in arrived:
        if waiting[name]:
            began = waiting[name].popleft()
            if began >= begin:
                found.append(at - began)
    return found


def pace(stamps: list[float]) -> float:
    """Records per second between the first and the last stamp (seconds)."""
    if len(stamps) < 2 or max(stamps) == min(stamps):
        raise ValueError("a pace needs records at two times at least")
    return (len(stamps) - 1) / (max(stamps) - min(stamps))


def others(busy: float, own: float, seconds: float) -> float:
    """Cores that processes other than the run's own used: machine's and own processor seconds over wall seconds."""
    return max(0.0, busy - own) / seconds


def void(run: dict) -> str | None:
    """Why a run does not count, or `None`."""
    if "not_run" in run:
        return run["not_run"]
    reasons = []
    if run["others"] > OTHERS_BOUND:
        reasons.append(f"others used {run['others']:.2f} cores; allowed: {OTHERS_BOUND}")
    if run["build"] != "release":
        reasons.append(f"simulator and trunkline were a {run['build']} build")
    if run.get("lost"):
        reasons.append(f"{run['lost']:,} of {run['events']:,} events did not arrive")
    return "; ".join(reasons) or None


def collected(runs: list[dict], system: str, cell: str, what: str) -> list[float]:
    """A figure of every run that counts."""
    return [r[what] for r in runs if r["system"] == system and r["cell"] == cell and not void(r) and r.get(what) is not None]


def best(runs: list[dict], names: list[str], count: int) -> list[str]:
    """The `count` systems that were fastest at full speed, by the median of runs that lost nothing; without one, last."""
    def speed(name: str) -> float:
        found = [r["pace"] for r in runs if r["system"] == name and r["cell"] == "full" and r.get("pace") and not r.get("lost")]
        return statistics.median(found) if found else 0.0

    return sorted(names, key=speed, reverse=True)[:count]
