"""The arithmetic of the silence table: what was missed, how long nothing came, how late the latest were."""

import math
import typing

BEFORE = 0.5  # seconds before a fault that belong to it: what was under way when it struck
TAIL = 0.5  # the last seconds of a run are not judged: what is under way then is neither heard nor missed

Key = tuple[str, str]  # topic and body


class Figures(typing.NamedTuple):
    missed: int
    silence: float
    ended_silent: bool
    late: float | None

    def cell(self) -> str:
        silence = f"> {self.silence:.0f} s" if self.ended_silent else f"{self.silence:.2f} s"
        late = "–" if self.late is None else f"{self.late * 1000:.0f} ms"
        return f"{self.missed:,} / {silence} / {late}"


def longest(times: typing.Iterable[float], since: float, until: float) -> tuple[float, bool]:
    """The longest time without an arrival, and whether it lasted to the end."""
    points = [since, *sorted(t for t in times if since <= t <= until), until]
    gaps = [b - a for a, b in zip(points, points[1:])]
    silence = max(gaps)
    return silence, silence == gaps[-1] and silence > TAIL


def percentile(values: typing.Iterable[float], share: float) -> float | None:
    """The smallest value that at least this share of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else None


def judge(sent: dict[Key, float], arrived: dict[Key, float], fault: float, until: float) -> Figures:
    """`sent` is the simulator's ledger and `arrived` what the handler had, both by time of one clock."""
    since = fault - BEFORE
    judged = {key: at for key, at in sent.items() if since <= at <= until - TAIL}
    late = [arrived[key] - at for key, at in judged.items() if key in arrived]
    silence, to_the_end = longest(arrived.values(), since, until)
    return Figures(len(judged) - len(late), silence, to_the_end, percentile(late, 0.999))
