"""The direct row of the reconnect table, held against the real binary: ten real minutes of a URL that is closed about
once a minute.

usage: direct_minutes.py [MINUTES]

exit 1 when the binary dials more than a tenth more or less often than the rules do in simulated time, is told 429,
or dials with a token that has ended
"""

import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "journey"))
from harness import Sim, Stand, Trunkline, config  # noqa: E402

EXAMPLE = ["cargo", "run", "--quiet", "--package", "trunkline-protocol", "--example", "reconnect_table", "--"]
KINDS = ("dials", "rate_limited", "expired_dials")
APART = 0.1  # of the dials; and one, for what begins before or ends after the minutes


def simulated(minutes: int) -> dict[str, int]:
    text = subprocess.run([*EXAMPLE, "direct-minutes", str(minutes)], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(text)


def real(minutes: int) -> dict[str, int]:
    with Stand() as stand, Sim("--rate", "20") as sim:
        direct = {"url": sim.direct_url, "connections": 1}
        with Trunkline(config(stand, sim.url, genesys__mode="direct", genesys__direct=direct)).wait_ready() as app:
            first = sim.ledger()[-1]["seq"]
            began = time.monotonic()
            while (left := began + minutes * 60 - time.monotonic()) > 0:
                if sys.stderr.isatty():
                    print(f"\r\033[K{left:.0f} s left, {sim.counters()['dials']} dials", end="", file=sys.stderr, flush=True)
                time.sleep(min(left, 5))
            counters, last = sim.counters(), sim.ledger()[-1]["seq"]
            app.stop()
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        ledger = [entry for entry in sim.ledger() if first < entry["seq"] <= last]
    carried = {entry["topic"].split(".")[1] for entry in ledger if entry["delivered"]}
    heard = [entry for entry in ledger if entry["topic"].split(".")[1] in carried]
    missed = sum(not entry["delivered"] for entry in heard)
    return {**{kind: counters[kind] for kind in KINDS}, "events": len(heard), "missed": missed}


def broken(expected: dict[str, int], seen: dict[str, int]) -> list[str]:
    far = abs(seen["dials"] - expected["dials"]) > max(1, APART * expected["dials"])
    return [
        *([f"{seen['dials']} dials, {expected['dials']} expected"] if far else []),
        *(f"{seen[kind]} {kind}" for kind in KINDS[1:] if seen[kind]),
    ]


def main(words: list[str]) -> int:
    minutes = int(words[0]) if words else 10
    expected, seen = simulated(minutes), real(minutes)
    print(f"\n{minutes} minutes of one direct URL, closed after 55 to 65 s each time\n")
    print("| | " + " | ".join(["dials", "429s", "expired tokens", "events", "missed"]) + " |")
    print("|---" * 6 + "|")
    print("| the rules, simulated time | " + " | ".join(str(expected[kind]) for kind in KINDS) + " | | |")
    print("| `trunkline run`, real time | " + " | ".join(str(value) for value in seen.values()) + " |")
    wrong = broken(expected, seen)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
