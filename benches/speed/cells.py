"""One run of one system: at full speed, at a pace, or through a restart."""

import os
import shutil
import time

import lay
import machine
from confluent_kafka import Consumer, TopicPartition
from feed import Feed
from figures import SHARES, latencies, others, pace, percentile
from judge import meaning
from kafka_side import PARTITIONS, create, delete, read
from systems import Peer, Trunkline, wait_for

OWN, CANDIDATE = 0, 1  # cores: simulator, broker and this driver; the system
FULL_RATE = 20_000  # the most that the simulator makes
START, STILL, WARM = 60, 10, 2_000  # seconds to get going; without a new record; milliseconds of warm-up
SECONDS = {100: 30, 1_000: 20, 5_000: 10}
EVENTS, RESTART = 100_000, 8


def system(name: str):
    return Trunkline("static") if name == "trunkline" else Peer(name)


class Run:
    """`cell` is `full`, `restart`, or events per second."""

    def __init__(self, kafka, registry, name: str, cell: str, label: str, quick: bool):
        self.kafka, self.registry, self.name, self.cell, self.quick = kafka, registry, name, cell, quick
        self.folder = lay.OUT / "logs" / label
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.system = system(name)
        self.system.topic, self.system.folder, self.system.scale = f"{label}.events", self.folder, 1

    def plan(self) -> tuple[int, int]:
        """Events per second, and how many; 0 is without an end."""
        if self.cell == "full":
            return FULL_RATE, EVENTS // 5 if self.quick else EVENTS
        if self.cell == "restart":
            return 100, 0
        rate = int(self.cell)
        return rate, rate * (SECONDS[rate] // 3 if self.quick else SECONDS[rate])

    def measure(self) -> dict:
        rate, events = self.plan()
        found = {"system": self.name, "cell": self.cell, "rate": rate, "load": os.getloadavg()[0]}
        with machine.on_core(OWN):
            feed = self.system.platform = Feed(rate, events, self.system.clients, ledger=self.cell not in ("full", "restart"))
        try:
            create(self.kafka.bootstrap, self.system.topics())
            with machine.on_core(CANDIDATE):
                self.system.start(self.kafka.bootstrap, self.registry)
            if not wait_for(lambda: feed.now()["connected"] >= 1, START, 0.2):
                last = self.system.running[0].log.read_text().strip().splitlines()[-1:]
                return {**found, "not_run": f"not connected within {START} s: {''.join(last)}"}
            time.sleep(1)
            self.own = {"feed": feed.child.pid, "kafka": self.kafka_pid(), "driver": os.getpid()}
            at, busy, own, cpu = time.monotonic(), machine.busy(), self.used(), self.candidate()
            feed.begin()
            found |= self.restart() if self.cell == "restart" else self.all()
            seconds = time.monotonic() - at
            spent = self.candidate() - cpu  # what ended in a restart, this driver has waited for: it stands in its own
            found["load"] = max(found["load"], os.getloadavg()[0])
            found["others"] = round(others(machine.busy() - busy, self.used() - own + spent, seconds), 3)
            if self.cell != "restart":
                events = found["events"]
                found |= {"cpu": spent * 1e6 / events, "rss": machine.peak(self.system.running[0].child.pid)}
                found |= self.sizes(events)
                found |= self.read_back(events)
            return found
        finally:
            self.end()

    def kafka_pid(self) -> int:
        return self.kafka.group.children["broker1"].pid

    def used(self) -> float:
        return sum(machine.used(pid) for pid in self.own.values())

    def candidate(self) -> float:
        return machine.used(self.system.running[0].child.pid)

    def written(self) -> int:
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "speed"})
        try:
            return sum(consumer.get_watermark_offsets(TopicPartition(self.system.topic, p), timeout=30)[1] for p in range(PARTITIONS))
        finally:
            consumer.close()

    def all(self) -> dict:
        """Until every event lies in the topic, or nothing has come for a while. The simulator says how many there are: it ends
        with a conversation's change, which goes to more than one topic."""
        last, since = -1, time.monotonic()
        while True:
            time.sleep(0.5)
            counters, there = self.system.platform.counters(), self.written()
            if there != last:
                last, since = there, time.monotonic()
            if (counters["done"] and there >= counters["covered"]) or time.monotonic() - since > STILL:
                return {"events": counters["covered"], "records": there}

    def restart(self) -> dict:
        time.sleep(3)
        process = self.system.running[0]
        before = process.starts
        self.system.restart()
        if not wait_for(lambda: process.starts > before, 40, 0.005):
            return {"not_run": "did not end within 40 s of SIGTERM"}
        spawned = time.time()
        time.sleep(RESTART)
        stamps = [r["stamp"] for r in read(self.kafka.bootstrap, self.system.topic, self.registry.schemas, {})]
        later = [stamp for stamp in stamps if stamp >= spawned]
        return {"restart": min(later) - spawned} if later else {"not_run": f"no record within {RESTART} s of the restart"}

    def sizes(self, events: int) -> dict:
        """Bytes per event on disks: of the topic as the broker keeps it, and of the spool."""
        logs = [path for path in (self.kafka.group.folder / "data1").glob(f"{self.system.topic}-*")]
        spool = self.folder / f"{self.system.name}-a"
        return {"stored": sum(f.stat().st_size for path in logs for f in path.glob("*.log")) / events, "spool": machine.size(spool)}

    def read_back(self, events: int) -> dict:
        records = read(self.kafka.bootstrap, self.system.topic, self.registry.schemas, {})
        arrived = {(r["topic"], r["event_id"]) for r in records}
        found = {"lost": max(0, events - len(arrived)), "repeats": len(records) - len(arrived)}
        if self.cell == "full":
            return {**found, "pace": pace([r["stamp"] for r in records])} if len(records) > 1 else found
        feed = self.system.platform
        ledger = [e for e in feed.ledger() if e["body"] is not None and e["covered"]]
        sent = [(meaning(e["topic"], e["body"]), feed.origin_ms + e["at_ms"]) for e in ledger]
        records.sort(key=lambda r: r["stamp"])
        took = latencies(sent, [(meaning(r["topic"], r["payload"]), r["stamp"] * 1000) for r in records], WARM)
        body = sum(len(e["body"].encode()) for e in ledger) / max(1, len(ledger))
        return {**found, "body": body, "matched": len(took), **({key: percentile(took, share) for key, share in SHARES.items()} if took else {})}

    def end(self):
        for process in self.system.running:
            process.stopping = True
            process.child.kill()
            process.child.wait()
        self.system.platform.__exit__()
        delete(self.kafka.bootstrap, self.system.topics())
