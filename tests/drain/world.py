"""A platform, a broker whose records are read all the time, processes of trunkline, and every log of them."""

import base64
import contextlib
import json
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "journey"), str(HERE.parents[1] / "scripts")]
from generated import Generated  # noqa: E402
from harness import EVENTS, GAPS, ROOT, STATE, Sim, Stand, Trunkline, config, get, proven, total, wait_for  # noqa: E402, F401

LOGS = ROOT / "target" / "drain"
STOP_SECONDS = 30  # after the sockets stopped being read


def say(text: str):
    print(f"drain: {text}", file=sys.stderr, flush=True)


class Records(threading.Thread):
    """Ids of the events in their topic, in its order, read while they are written: of a partition the broker keeps 5 MiB."""

    def __init__(self, stand: Stand, folder: pathlib.Path):
        super().__init__(daemon=True)
        self.partitions, self.problem = defaultdict(list), None
        self.pipe = folder / "records"
        os.mkfifo(self.pipe)
        self.start()
        stand.obey(f"follow {EVENTS} {self.pipe}")

    def run(self):
        try:
            with self.pipe.open() as lines:
                for line in lines:
                    partition, offset, name = line.split()
                    ids = self.partitions[partition]
                    if int(offset) != len(ids):
                        raise ValueError(f"partition {partition}: offset {offset} follows {len(ids) - 1}; read too late, or gone")
                    ids.append(bytes.fromhex(name))
        except Exception as problem:  # told by whoever counts
            self.problem = repr(problem)

    def count(self) -> int:
        return sum(map(len, self.partitions.values()))


class World(Generated, contextlib.AbstractContextManager):
    def __init__(self, name: str, *flags: str):
        self.name, self.apps = name, []
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.stand = Stand()
        self.sim = Sim(*flags)
        self.records = Records(self.stand, self.root)
        org = json.loads(get(self.sim.url + "/sim/org"))
        self.org, self.origin_ms = org["id"], org["origin_ms"]

    def start(self, replica="0", **changes) -> Trunkline:
        """A process; it takes the place of the one before it under the same name."""
        spool = str(self.root / replica)
        app = Trunkline(config(self.stand, self.sim.url, replica=replica, spool__dir=spool, **changes))
        self.apps.append(app)
        return app

    def away(self, seconds: float) -> threading.Thread:
        """The broker is away; joining the thread waits until it is back."""
        away = threading.Thread(target=self.stand.obey, args=(f"away {int(seconds * 1000)}",))
        away.start()
        return away

    def end(self, app: Trunkline) -> float:
        """A stop that leaves nothing behind; the seconds it took."""
        code, seconds = app.stop(signal.SIGTERM, STOP_SECONDS + 5)
        assert code == 0, f"ended with {code}"
        assert '"in_flight":0' in app.log[-1] and "spool_kept" not in app.codes(), "un-acked at the end: " + app.log[-1]
        assert seconds <= STOP_SECONDS, f"{seconds:.1f} s to stop"
        return seconds

    def facts(self, kind: str) -> list[dict]:
        facts = (json.loads(base64.b64decode(raw["value_b64"]) or "{}") for raw in self.stand.obey(f"read {STATE}"))
        return [fact for fact in facts if fact.get("kind") == kind]

    def gaps(self) -> dict:
        """The newest word on each."""
        return {raw["record"]["gap_id"]: raw["record"] for raw in self.stand.records(GAPS)}

    def __exit__(self, kind, error, _):
        if kind:
            self.keep_logs(error)
        for app in self.apps:
            app.__exit__()
        self.sim.__exit__()
        self.stand.__exit__()
        self.folder.cleanup()

    def keep_logs(self, error):
        LOGS.mkdir(parents=True, exist_ok=True)
        say(f"{self.name} failed: {error}")
        for number, app in enumerate(self.apps):
            path = LOGS / f"{self.name}-{number}.log"
            with contextlib.suppress(OSError):
                app.log.append(f"status: {get(app.admin + '/api/v1/status')}\nmetrics: {app.metrics()}\n")
            path.write_text("".join(app.log))
            say(f"{path}:\n{path.read_text()}")
