"""Helpers of the tests of commands that read history: what the simulator's history shows, read on its own."""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request
from datetime import datetime, timezone

from harness import BINARY, Sim, Stand, Trunkline, config, wait_for

# margins and waits of an hour in a second, see docs/failpoints.md
FAST = {**os.environ, "TRUNKLINE_TEST_SCALE": "3600"}
# jobs are two seconds behind and quick; rows are complete and stay as they are
SETTINGS = {"query_lag_ms": 100, "availability_lag_ms": 2_000, "availability_step_ms": 500, "job_takes_ms": 200, "total_hits_off": 0,
            "rewrite_share": 0}


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def millis(text):
    return text and round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def call(url: str, token: str, body: dict) -> dict:
    head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head), timeout=10) as answer:
        return json.loads(answer.read())


def rows(sim: Sim) -> list[dict]:
    """Every conversation of the days around now, as the details query shows it."""
    basic = base64.b64encode(b"sim-client:sim-secret").decode()
    head = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    request = urllib.request.Request(f"{sim.url}/oauth/token", b"grant_type=client_credentials", head)
    with urllib.request.urlopen(request, timeout=5) as answer:
        token = json.loads(answer.read())["access_token"]
    found, page = [], 1
    while True:
        body = {"interval": f"{iso(time.time() - 86_400)}/{iso(time.time())}", "paging": {"pageSize": 100, "pageNumber": page}}
        some = call(f"{sim.url}/api/v2/analytics/conversations/details/query", token, body).get("conversations", [])
        found += some
        if len(some) < 100:
            return list({row["conversationId"]: row for row in found}.values())
        page += 1


def active(row: dict, start: float, end: float) -> bool:
    began, ended = millis(row["conversationStart"]), millis(row.get("conversationEnd"))
    return began <= end * 1000 and (ended is None or ended >= start * 1000)


def command(tree: dict, *words, env=None, stdin=None, timeout=120) -> tuple[int, list[dict], str]:
    """A command on the fast clock with `--output json`."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "trunkline.yaml"
        path.write_text(json.dumps(tree))
        run = subprocess.run([BINARY, *words, "--config", path, "--output", "json"], capture_output=True, text=True,
                             timeout=timeout, env={**FAST, **(env or {})}, input=stdin)
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")], run.stderr


def simulator(folder: str, *flags, **changes) -> Sim:
    path = pathlib.Path(folder) / "settings.json"
    path.write_text(json.dumps({**SETTINGS, **changes}))
    return Sim("--settings", path, *flags)


def heard(stand: Stand, sim: Sim, events: int) -> dict:
    """Lets a connector hear traffic until there is no more, and stops it."""
    tree = config(stand, sim.url)
    with Trunkline(tree).wait_ready() as app:
        written = lambda: sum(v for n, v in app.metrics().items() if n.startswith("trunkline_events_published_total"))
        if not wait_for(lambda: written() >= events, 60):
            raise AssertionError(app.metrics())
        app.stop()
    return tree
