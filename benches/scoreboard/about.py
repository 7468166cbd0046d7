"""What a run was: versions, commit, machine."""

import os
import platform
import re
import subprocess
import time

from systems import PEERS, RATE, ROOT


def output(*command: str) -> str:
    try:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return "none"
    return (run.stdout or run.stderr).strip().splitlines()[0] if run.stdout or run.stderr else ""


def kafka() -> str:
    return re.search(r"<kafka>([^<]+)<", (ROOT / "scripts" / "testbed" / "poms" / "kafka" / "pom.xml").read_text())[1]


def about() -> dict:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": output("git", "rev-parse", "--short", "HEAD"),
        "trunkline": re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1],
        "kafka": kafka(), "java": output("java", "-version"), "node": output("node", "--version"),
        "python": platform.python_version(), "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}",
        "rate": RATE, "peers": PEERS,
    }


def load() -> float:
    """Of the machine, over the last minute."""
    return round(os.getloadavg()[0], 1)
