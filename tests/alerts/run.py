"""One run of the end-to-end test: a broker, a registry and a simulator of its own, and the shipped binary, scraped as job NAME."""

import contextlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "journey"))

# what the runs need of the harness comes from here as well
from harness import BINARY, Sim, Stand, Trunkline, config, get, proven, wait_for  # noqa: E402
from test_clock import shifted  # noqa: E402, F401: for the runs
from pages import block, pages  # noqa: E402

# history is two seconds behind, and quick
HISTORY = {"query_lag_ms": 100, "availability_lag_ms": 2_000, "availability_step_ms": 500, "job_takes_ms": 200, "total_hits_off": 0, "rewrite_share": 0}
# the stand has one broker, which no topic can have three replicas on: true of every run
EVERYWHERE = {"TrunklineDurabilityDegraded"}


class Run(contextlib.ExitStack):
    """`prometheus` and `receiver` are shared; everything else ends with the run."""

    def __init__(self, job: str, prometheus, receiver):
        super().__init__()
        self.job, self.prometheus, self.receiver, self.fault_at = job, prometheus, receiver, None
        self.came, self.pasted, self.watched = {}, {}, None
        # exit codes of our commands: 1 is a verdict that is not good, 69 a service that does not answer; both may be what a page is about
        self.verdicts = {0, 1, 69}

    def folder(self) -> pathlib.Path:
        return pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))

    def world(self, *flags, **settings):
        """A broker and a simulator with these settings."""
        if settings:
            path = self.folder() / "settings.json"
            path.write_text(json.dumps(settings))
            flags += ("--settings", path)
        self.stand = self.enter_context(Stand())
        self.sim = self.enter_context(Sim(*(flags or ("--rate", "20"))))

    def start(self, scale: int = 0, watch: bool = True, stand=None, env=None, **changes) -> Trunkline:
        """The service, ready and with all its channels; scraped from then on."""
        env = {**os.environ, **(env or {}), **({"TRUNKLINE_TEST_SCALE": str(scale)} if scale else {})}
        self.tree = config(stand or self.stand, self.sim.url, **changes)
        app = self.enter_context(Trunkline(self.tree, env=env)).wait_ready(60)
        whole = self.tree["genesys"].get("channels_per_shard", 2)
        live = lambda: app.metrics().get('trunkline_shard_live_channels{shard="0"}', 0) >= whole
        if not wait_for(live, 60, 0.5):
            raise AssertionError(f"{self.job}: not all channels are live: " + "".join(app.log[-5:]))
        if watch:
            self.watch(app)
        return app

    def watch(self, app: Trunkline):
        """Scraped from now on; the first scrapes are made before anything goes wrong."""
        self.watched = app
        self.prometheus.scrape(app.admin, self.job)
        up = lambda: any(series["value"][1] == "1" for series in self.prometheus.ask(f'up{{job="{self.job}"}}'))
        if not wait_for(up, 60, 0.5):
            raise AssertionError(f"{self.job}: is not scraped")
        time.sleep(3)

    def fault(self, what: str, **rest):
        self.fault_at = self.fault_at or time.time()
        self.sim.fault(what, **rest)

    def until(self, expected: set[str], seconds: float, still: float = 8, again=lambda: None) -> None:
        """Waits for these alerts, calling `again` every second, and so long after them that another one would come."""
        end = time.monotonic() + seconds
        while not expected | EVERYWHERE <= set(self.receiver.of(self.job)) and time.monotonic() < end:
            again()
            time.sleep(1)
        time.sleep(still)
        for alert in sorted(expected & set(self.receiver.of(self.job))):
            self.pasted[alert] = self.paste(pages()[alert])

    def paste(self, text: str) -> int:
        """Carries out the checks of a page while the fault is there; returns how many."""
        lines, app = block(text, "sh"), self.watched
        here = [line for line in lines if line.split()[0] in ("curl", "trunkline") and app.child.poll() is None]
        for line in here:
            words, _, key = line.partition(" | jq .")
            command = shlex.split(words.replace("localhost:9464", app.admin.removeprefix("http://")).replace("trunkline.yaml", str(app.path)))
            done = subprocess.run([BINARY if command[0] == "trunkline" else "curl", *command[1:]], capture_output=True, text=True, timeout=90)
            if done.returncode not in (self.verdicts if command[0] == "trunkline" else {0}):
                raise AssertionError(f"{line}: exit code {done.returncode}: {done.stderr or done.stdout}")
            if key and key not in json.loads(done.stdout):
                raise AssertionError(f"{line}: no such key")
        queries = block(text, "promql")
        for query in queries:
            self.prometheus.ask(query)
        return len(here) + len(queries)

    def __exit__(self, *broken):
        """Nothing is scraped any more before anything stops, and what came is kept."""
        self.came = self.receiver.of(self.job)
        self.prometheus.forget(self.job)
        return super().__exit__(*broken)
