"""Breaks the brokers of a real Kafka while events flow, and accounts for every event.

usage: brokers.py [--quick] [--only WORD] [--rate N] [--events N] PATH-OF-TRUNKLINE

Full: a stream of its own for each of five faults, a million events and more in all. `--quick`: one stream through all five,
100,000 events and more. Exit code 1 when anything is wrong.
"""

import argparse
import pathlib
import signal
import sys
import time

import faults
from judge import judge
from watch import SLACK, Watch, tell
from world import Cluster, World, get, say, wait_for

import harness

# events for each fault, and a second, and in all at least: the simulator keeps its rate to a tenth
FULL, QUICK = (230_000, 1_000, 1_000_000), (23_000, 900, 100_000)
READY, CAUGHT_UP, QUIET = 90, 300, 5
# in flight when a leader goes, at most: what `kafka.in_flight_records` allows
REPEATS = 20_000


def caught_up(watch: Watch) -> bool:
    return watch.last().waits < 2


def one(world: World, watch: Watch, fault: faults.Fault, seconds: float, events: int):
    """Does it amid `events` events: its span by the simulator's clock, and what the process said."""
    start_ms, started = world.now_ms(), time.monotonic()
    time.sleep(2)
    began = time.monotonic()
    ended = fault.act(world, seconds)
    world.cluster.await_whole(world.events)
    if not wait_for(lambda: watch.problem or watch.last().at > ended + 1 and caught_up(watch), CAUGHT_UP, 0.2):
        raise AssertionError(f"{fault.name}: {CAUGHT_UP} s later the oldest event still waits for {watch.last().waits:.0f} s")
    if watch.problem:
        raise AssertionError(f"{fault.name}: {watch.problem}")
    time.sleep(max(QUIET, events / world.rate - (time.monotonic() - started)))
    return (start_ms, world.now_ms()), tell(watch.looks, began, ended)


def stream(cluster: Cluster, name: str, chosen: list, quick: bool, rate: int, events: int):
    """One stream through the faults: rows of the table, and what is wrong."""
    began = time.monotonic()
    world, watch = World(cluster, name, rate), None
    rows, trouble, spans, told = [], [], [], []
    try:
        world.app.wait_ready(READY)
        if not wait_for(lambda: harness.proven(world.app) > 0, READY):
            raise AssertionError("coverage is not proven")
        watch = Watch(world.app)
        if not wait_for(lambda: watch.looks and watch.last().published > rate, READY):
            raise AssertionError("nothing flows")
        for fault in chosen:
            say(f"{fault.name}: begins, {time.monotonic() - began:.0f} s")
            span, said = one(world, watch, fault, fault.quick if quick else fault.full, events)
            spans.append(span)
            told.append(said)
        watch.stop()
        world.stop()
        say(f"{name}: judging what is in the topics")
        accounts, trouble, report, gaps = judge(world, get, spans)
    finally:
        if watch:
            watch.stop()
        world.close()
    for fault, account, said in zip(chosen, accounts, told):
        rows.append((fault.name, account.generated, account.lost, account.repeats, account.inversions, f"{said.longest:.1f}", f"{said.first_ack:.1f}",
                     f"{said.most_waited:.1f}", said.not_ready, said.rss >> 20))
        wrong = [f"{what} {value} instead of 0" for what, value in (("lost", account.lost), ("out of order", account.inversions)) if value]
        wrong += said.untrue
        if not account.generated:
            wrong.append("nothing was generated")
        if account.repeats > REPEATS:
            wrong.append(f"{account.repeats} repeats, allowed are {REPEATS}")
        if fault.stalls and said.longest < SLACK:
            wrong.append(f"the topic was to take nothing, and the longest stall was {said.longest:.1f} s")
        if said.not_ready:
            wrong.append(f"not ready at {said.not_ready} looks: the spool takes over")
        trouble += [f"{fault.name}: {text}" for text in wrong]
    levels = ", ".join(f"{level} {n}" for level, n in sorted(report.levels.items()))
    say(f"{name}: {report.figures['revisions_recomputed']} revisions of certificates recomputed ({levels}), {gaps} records of gaps, "
        f"{'agree' if not report.total else 'DISAGREE'}; {time.monotonic() - began:.0f} s")
    return rows, trouble


HEAD = ("fault", "events", "lost", "repeats", "out of order", "longest s without ack", "s to first ack after", "oldest waited s", "not ready", "MiB")


def table(rows: list) -> str:
    texts = [HEAD, *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[n]) for row in texts) for n in range(len(HEAD))]
    return "\n".join("  ".join(text.rjust(width) if n else text.ljust(width) for n, (text, width) in enumerate(zip(row, widths))) for row in texts)


def main(words: list) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="faults whose name has this word")
    parser.add_argument("--rate", type=int, help="events a second")
    parser.add_argument("--events", type=int, help="for each fault, about")
    asked = parser.parse_args(words)
    chosen = [fault for fault in faults.FAULTS if asked.only in fault.name]
    if not chosen or not asked.binary.exists():
        names = ", ".join(fault.name for fault in faults.FAULTS)
        parser.error(f"--only {asked.only!r} is none of {names}" if not chosen else f"{asked.binary} does not exist: make brokers builds it")
    harness.BINARY = asked.binary.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # brokers and the small file system go with it
    events, rate, least = QUICK if asked.quick else FULL
    least = 0 if asked.only or asked.events else least
    events, rate = asked.events or events, asked.rate or rate
    began, rows, trouble = time.monotonic(), [], []
    with Cluster(disk_mb=600 if asked.quick else 2_000) as cluster:
        for number, group in enumerate([chosen] if asked.quick else [[fault] for fault in chosen]):
            try:
                found, wrong = stream(cluster, f"w{number}", group, asked.quick, rate, events)
                rows += found
                trouble += wrong
            except (AssertionError, OSError, RuntimeError, TimeoutError) as error:
                trouble.append(f"{group[0].name}: {error!r}")
    print(table(rows))
    if (made := sum(row[1] for row in rows)) < least:
        trouble.append(f"{made} events, {least} were to be at least")
    print(f"{made} events at {rate}/s, {sum(row[2] for row in rows)} lost, {time.monotonic() - began:.0f} s")
    for wrong in trouble:
        print(f"wrong: {wrong}")
    return 1 if trouble or len(rows) < len(chosen) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
