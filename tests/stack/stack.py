"""The whole way: simulator, two replicas, Kafka, Kafka Connect, S3, the warehouse's SQL; and whether it is complete.

usage: stack.py [--brokers 1|3] [--seconds N] [--rate N] [--faults none|default] [--iceberg] [--seed N]

exit 0 when nothing is missing and certificates agree, 1 when something is; 2 wrong usage.
"""

import argparse
import json
import sys
import time
from contextlib import contextmanager

import account
import endings
import faults
import iceberg
import loader
import warehouse
import watch
from botocore.exceptions import BotoCoreError
from bucket import Bucket
from ground import SCALE, Ground, say
from harness import get, wait_for
from warehouse import Warehouse

PARTS = []


@contextmanager
def part(name: str):
    say(name)
    began = time.monotonic()
    try:
        yield
    finally:
        PARTS.append((name, round(time.monotonic() - began)))
        say(f"{name}: {PARTS[-1][1]} s")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=3)
    parser.add_argument("--seconds", type=int, default=180, help="of traffic")
    parser.add_argument("--rate", type=int, default=40, help="events a second")
    parser.add_argument("--faults", choices=("none", "default"), default="none")
    parser.add_argument("--iceberg", action="store_true", help="Apache Iceberg's sink beside the other; 160 MB of jars")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.faults == "default" and given.seconds < faults.SECONDS:
        parser.error(f"--seconds is {given.seconds}: with --faults default at least {faults.SECONDS}")
    return given


def at_rest(ground: Ground) -> bool:
    """Nothing waits, no gap is open."""
    for app in ground.apps.values():
        status = json.loads(get(app.admin + "/api/v1/status"))
        if status["spool"]["waiting"] or any(shard["gaps"] for shard in status["coverage"].values()):
            return False
        if not status["channels"] or any(line["state"] != "live" for line in status["channels"]):
            return False
    return True


def travel(ground: Ground, given, made: Warehouse) -> list[str]:
    """From the first event until everything is in the bucket."""
    trouble = []
    with part("traffic"):
        broken = faults.run(ground, given.faults == "default")
        began, middle = time.monotonic(), given.seconds / 2
        loaded = False
        while not (sent := ground.sim.counters())["done"]:
            if time.monotonic() > began + given.seconds * 4 + 120:
                raise TimeoutError(f"{sent['covered']} of {given.events} events were generated")
            if not loaded and time.monotonic() > began + middle:
                try:
                    say(f"first load, while events come: {load(made)}")
                    loaded = True
                except BotoCoreError as error:
                    say(f"first load, while events come: to be made again: {error}")
            say(f"{sent['covered']} of {given.events} events generated, lag {broken.lag()}")
            time.sleep(5)
        trouble += broken.join()
    with part("the last certificates"):
        time.sleep(3 * 3_600 / SCALE)
        if not wait_for(lambda: at_rest(ground), 240, 1):
            trouble.append("replicas do not come to rest: " + " ".join(get(app.admin + "/api/v1/status")[:600] for app in ground.apps.values()))
        time.sleep(2 * 3_600 / SCALE)
        say(f"memory: {ground.memory()}")
        trouble += ground.stop_apps()
    with part("the last objects"):
        watch.await_staged(ground)
    return trouble


def load(made: Warehouse) -> str:
    """Lists the bucket and loads what is to be loaded; says how much."""
    hours = made.list_objects()
    due = made.rows("SELECT staging_hour::text, reason, how_many FROM hours_to_reload ORDER BY 1, 2")
    made.load(sorted({hour for hour, *_ in due} & set(hours)) or hours)
    new = made.rows("SELECT COALESCE(SUM(rows_new), 0), COUNT(*) FROM hour_loads")[0]
    return f"{new[0]} rows after {new[1]} hours loaded; it was due for: {', '.join(f'{reason} ({many})' for _, reason, many in due) or 'nothing'}"


def main() -> int:
    given = arguments()
    given.events = given.seconds * given.rate
    ground = Ground(given.brokers, given.rate, given.events, given.seed, given.iceberg)
    trouble = []
    try:
        with part("parts start"):
            ground.start()
            if given.iceberg:
                iceberg.start(ground)
        with part("replicas start"):
            ground.start_traffic()
        made = Warehouse(Bucket(ground.s3.client(), warehouse.server().folder_for("bucket")))
        trouble += travel(ground, given, made)
        with part("loading"):
            made.list_objects()
            due = made.rows("SELECT reason, SUM(how_many) FROM hours_to_reload GROUP BY reason ORDER BY reason")
            say(f"hours_to_reload says: {', '.join(f'{reason} ({many})' for reason, many in due) or 'nothing'}")
            say(f"load.sh: {loader.load(made, ground) or 'no hour is incomplete'}")
        with part("reckoning"):
            found = account.truth(ground)
            counts = account.figures(found, made, made.lake)
            trouble += found.trouble + account.wrong(counts)
            if letters := watch.dead_letters(ground):
                trouble.append(f"{letters} dead letters")
        if given.iceberg:
            with part("Iceberg"):
                trouble += iceberg.check(ground, found.events)
        with part("deletions"):
            trouble += endings.deletions(made, ground, found)
        endings.show(made, counts, found, given)
    finally:
        ground.close()
    print("seconds: " + ", ".join(f"{name} {seconds}" for name, seconds in PARTS))
    for what in trouble:
        print(f"stack: {what}", file=sys.stderr)
    print(f"stack: {'fail' if trouble else 'pass'}, {counts['generated']} events generated, {counts['missing']} missing")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
