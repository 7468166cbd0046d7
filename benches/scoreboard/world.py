"""One fault, all systems at once: each with a platform of its own and topics of its own, on one broker and one registry."""

import json
import shutil
import signal
import sys
import threading
import time

from kafka_side import create, delete, read
from judge import judge, recovery
from scenarios import Scenario
from systems import ROOT, System, Trunkline, wait_for

OUT = ROOT / "target" / "scoreboard"
BEFORE, SETTLE, START = 3, 60, 60  # seconds: calm before the fault, for history, to get going


def say(text: str):
    print(f"scoreboard: {text}", file=sys.stderr, flush=True)


def together(work, items):
    """Does it for all at once; the first problem is everybody's."""
    problems = []

    def one(item):
        try:
            work(item)
        except Exception as problem:  # told below, by whoever waits
            problems.append(problem)

    threads = [threading.Thread(target=one, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


class World:
    def __init__(self, cluster, registry, systems: list[System], scenario: Scenario, label: str):
        self.cluster, self.registry, self.systems, self.scenario = cluster, registry, systems, scenario
        self.label, self.folder = label, OUT / "logs" / label
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def fault(self, what: str, **rest):
        self.each(lambda system: system.platform.fault(what, **rest))

    def each(self, work):
        for system in self.systems:
            work(system)

    def broker_down(self):
        self.cluster.signal(1, signal.SIGKILL)

    def broker_up(self):
        self.cluster.start(1)

    def wait(self, seconds: float, end: float | None = None):
        """Time passes; the witnesses' channels are kept alive where the clock is fast."""
        end = end or time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 15))
            if self.scenario.scale > 1:
                self.each(lambda system: system.platform.renew())

    def run(self) -> dict[str, dict]:
        """Figures by system. What did not get going is said, with the end of its log."""
        running = list(self.systems)
        try:
            return self.measure()
        finally:
            for system in running:
                for process in system.running:
                    process.stopping = True
                    process.child.kill()
                if getattr(system, "platform", None):
                    system.platform.__exit__()
            names = [name for system in running for name in system.topics()]
            try:
                delete(self.cluster.bootstrap, names)
            except Exception as problem:
                say(f"topics stay: {problem}")

    def measure(self) -> dict[str, dict]:
        found = {}
        self.each(lambda system: system.prepare(self.label, self.folder, self.registry, self.scenario.scale))
        create(self.cluster.bootstrap, [name for system in self.systems for name in system.topics()])
        self.each(lambda system: system.start(self.cluster.bootstrap, self.registry))
        deadline = time.monotonic() + START
        for system in list(self.systems):
            if not wait_for(system.ready, max(1, deadline - time.monotonic()), 0.3):
                text = system.running[0].log.read_text().strip().splitlines()[-1:]
                found[system.name] = {"not_run": f"did not get going within {START} s: {''.join(text)}"}
                say(f"{system.title}: {found[system.name]['not_run']}")
                self.systems.remove(system)
        time.sleep(2)
        begun = {system.name: system.platform.now() for system in self.systems}
        time.sleep(BEFORE)
        struck = {system.name: system.platform.now() for system in self.systems}
        fault, watched_to = time.time(), time.monotonic() + self.scenario.watch
        self.scenario.strike(self)
        self.wait(0, watched_to)
        end = time.time()
        ended = {system.name: system.platform.now() for system in self.systems}
        self.wait(self.scenario.tail)
        spans = {}
        for system in self.systems:
            name, platform = system.name, system.platform
            spans[name] = platform.events(begun[name]["ms"], ended[name]["ms"])
            found[name] = {
                "dials": platform.dials(struck[name]["ms"], ended[name]["ms"]),
                "calls": ended[name]["calls"] - struck[name]["calls"],
                "restarts": sum(process.starts - 1 for process in system.running),
            }
        together(lambda system: system.settle(SETTLE) if isinstance(system, Trunkline) else system.stop(), self.systems)
        for system in self.systems:
            found[system.name] |= self.account(system, spans[system.name], fault, end)
        return found

    def account(self, system: System, ledger: list[dict], fault: float, end: float) -> dict:
        known: dict = {}
        records = read(self.cluster.bootstrap, system.topic, self.registry.schemas, known)
        gaps = {}
        if isinstance(system, Trunkline):
            for gap in read(self.cluster.bootstrap, system.part("gaps"), self.registry.schemas, known):
                gaps[gap["gap_id"]] = gap
        figures = dict(judge(ledger, records, list(gaps.values()), system.platform.origin_ms))
        live = [r["stamp"] for r in records if r.get("origin") not in ("backfill", "reconcile")]
        figures |= {"recovery": recovery(live, fault, end), "watched": round(end - fault), "gaps": len(gaps)}
        (self.folder / f"{system.name}.json").write_text(json.dumps(figures))
        return figures
