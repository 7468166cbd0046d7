"""Starts, stops and shows the parts.

usage: testbed.sh up|down|status [broker|cluster|registry|s3|connect|all]

`broker` is one Kafka node, `cluster` three with replication factor 3. `connect` needs one of them and takes the
registry and the S3 server that run. Without a part: all, with a cluster. What runs lies in target/testbed/run.
"""

import pathlib
import shutil
import sys

from . import connect, fetch, registry, s3
from .brokers import Brokers
from .group import Group, rss

RUN = fetch.CACHE / "run"
NAMES = {"broker": ["broker1"], "cluster": ["broker1", "broker2", "broker3"], "registry": ["registry"], "s3": ["s3"], "connect": ["connect"]}
ORDER = ["cluster", "registry", "s3", "connect"]


def status(group: Group) -> int:
    parts = group.parts()
    for name, part in parts.items():
        state = "runs" if part["runs"] else "has ended"
        memory = f"{rss(part['pid'])} MB" if part["runs"] else "-"
        print(f"{name:10} {state:10} pid {part['pid']:<8} {memory:>8}  {part['address']}")
    if not parts:
        print("nothing runs")
    return 0 if parts and all(part["runs"] for part in parts.values()) else 1


def up(group: Group, part: str):
    parts = group.parts()
    running = [name for name in NAMES[part] if parts.get(name, {}).get("runs")]
    if running:
        raise RuntimeError(f"{', '.join(running)} runs already: see status")
    if part in ("broker", "cluster"):
        for folder in RUN.glob("data*"):
            shutil.rmtree(folder)
        Brokers(group, len(NAMES[part])).start_all()
    elif part == "registry":
        registry.start(group, canonical=True)
    elif part == "s3":
        s3.S3(group).start()
    else:
        brokers = [parts[name]["address"] for name in NAMES["cluster"] if parts.get(name, {}).get("runs")]
        if not brokers:
            raise RuntimeError("connect needs a broker: up broker, or up cluster")
        plugins = fetch.CACHE / "plugins"
        fetch.plugin(plugins / "staging", [])
        known = {"STAGING_BUCKET": "testbed", "STAGING_REGION": s3.REGION, "SCHEMA_REGISTRY_URL": parts.get("registry", {}).get("address", "")}
        connect.Worker(group, ",".join(brokers), len(brokers), plugins, known).start()


def main(words: list) -> int:
    allowed = [*NAMES, "all"]
    if not 1 <= len(words) <= 2 or words[0] not in ("up", "down", "status") or words[1:2] and words[1] not in allowed:
        print(__doc__, file=sys.stderr)
        return 64
    verb, part = words[0], words[1] if len(words) == 2 else "all"
    group = Group(pathlib.Path(RUN))
    wanted = ORDER if part == "all" else [part]
    try:
        if verb == "down":
            for name in [n for one in reversed(wanted) for n in NAMES[one]]:
                group.end(name)
            return 0
        if verb == "up":
            for one in wanted:
                up(group, one)
        return status(group)
    except (RuntimeError, TimeoutError) as error:
        fetch.say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
