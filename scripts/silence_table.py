"""The complaint itself, measured in real time: what each handler misses through one fault, how long it hears
nothing, and how late the latest events were. trunkline, the Node handler of docs/examples and the two classic
ones, each as a real client of the simulator, one after the other.

usage: silence_table.py [ROW or FAULT …]     all of them unless some are named

exit 1 when trunkline is silent for longer than promised, or misses anything with two channels
"""

import functools
import sys
import time

from silence.handlers import RATE, node, trunkline

FAULTS = ["reset", "close", "idle_close", "half_open", "socket_closing"]
ROWS = {
    "two": ("trunkline, two channels", functools.partial(trunkline, 2)),
    "one": ("trunkline, one channel", functools.partial(trunkline, 1)),
    "node": ("Node handler, corrected", functools.partial(node, ("handler.mjs",))),
    "jitter": ("1 s + U(0, 30 s), 10 attempts", functools.partial(node, ("classic.mjs", "jitter"))),
    "plain": ("1 s, for ever", functools.partial(node, ("classic.mjs", "plain"))),
}

PROMISED = {"two": 1.0, "one": 25.0}  # seconds of silence at most, through any of the faults


def progress(text: str):
    """One line that is written over, where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main(words: list[str]) -> int:
    unknown = [word for word in words if word not in ROWS and word not in FAULTS]
    if unknown:
        print(f"{__doc__}\nrows: {' '.join(ROWS)}\nfaults: {' '.join(FAULTS)}", file=sys.stderr)
        return 64
    rows = [row for row in ROWS if row in words] or list(ROWS)
    faults = [fault for fault in FAULTS if fault in words] or FAULTS
    began, done, total = time.monotonic(), 0, len(rows) * len(faults)
    print(f"\none fault in real time, {RATE} events a second: missed / longest silence / p99.9 event → ack or heard\n")
    print("| handler | " + " | ".join(faults) + " |")
    print("|---" * (len(faults) + 1) + "|", flush=True)
    broken = []
    for row in rows:
        (name, run), cells = ROWS[row], []
        for fault in faults:
            seconds = time.monotonic() - began
            progress(f"{done} of {total} cells, {seconds:.0f} s: {name} through {fault}")
            found = run(fault)
            cells.append(found.cell())
            done += 1
            if found.silence > PROMISED.get(row, float("inf")) or row == "two" and found.missed:
                broken.append(f"{name} through {fault}: {found.cell()}, promised {PROMISED[row]:.0f} s")
        progress("")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
