"""What a process says of itself while brokers fail, several times a second."""

import json
import threading
import time
import urllib.error
from dataclasses import dataclass

from harness import get

EVERY = 0.2
PUBLISHED, RECEIVED = "trunkline_events_published_total", "trunkline_events_received_total"
OLDEST, REBUILDS = "trunkline_kafka_oldest_unacked_timestamp_seconds", "trunkline_kafka_producer_rebuilds_total"
# a look may be late by so much on a busy machine
SLACK = 4


@dataclass(frozen=True)
class Look:
    at: float
    """Monotonic seconds, when the answer was there."""
    published: float
    received: float
    waits: float
    """Seconds the oldest un-acked event has waited."""
    ready: bool
    rss: int
    """Bytes."""
    rebuilds: float


class Watch(threading.Thread):
    """Looks until it is stopped; an error is kept for whoever judges."""

    def __init__(self, app):
        super().__init__(daemon=True)
        self.app, self.looks, self.problem, self.stopped = app, [], None, threading.Event()
        self.start()

    def run(self):
        while not self.stopped.wait(EVERY):
            try:
                self.looks.append(self.look())
            except Exception as problem:
                if not self.stopped.is_set():
                    self.problem = f"the admin server does not answer: {problem!r}"
                return

    def look(self) -> Look:
        try:
            ready = json.loads(get(self.app.admin + "/readyz"))["ready"]
        except urllib.error.HTTPError:
            ready = False
        said = self.app.metrics()
        total = lambda name: sum(value for key, value in said.items() if key.split("{")[0] == name)
        oldest = total(OLDEST)
        with open(f"/proc/{self.app.child.pid}/status") as lines:
            rss = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
        return Look(time.monotonic(), total(PUBLISHED), total(RECEIVED), time.time() - oldest if oldest else 0, ready, rss, total(REBUILDS))

    def stop(self):
        self.stopped.set()
        self.join(30)

    def last(self) -> Look:
        return self.looks[-1]


@dataclass
class Told:
    """Of one fault."""

    longest: float
    """Seconds without an acknowledgement."""
    first_ack: float
    """Seconds from the end of the fault to the next acknowledgement."""
    most_waited: float
    not_ready: int
    """Looks at which it was not ready."""
    rss: int
    untrue: list


def tell(looks: list[Look], began: float, ended: float) -> Told:
    """What the looks of a fault say, and whether they agree with each other."""
    during = [look for look in looks if look.at >= began]
    stalls, since, untrue = [], during[0], []
    for before, look in zip(during, during[1:]):
        if look.published > before.published:
            stalls.append(look.at - since.at)
            since = look
        elif look.received > since.received and look.at - since.at > 2 * SLACK and look.waits < look.at - since.at - SLACK:
            untrue.append(f"nothing was acknowledged for {look.at - since.at:.1f} s, and the oldest event waits for {look.waits:.1f} s by the metrics")
        if look.received < before.received or look.published < before.published:
            untrue.append("a counter went back")
    # ten seconds in which nothing is heard: the stream has to be read whatever brokers do
    for before, look in zip(during, during[int(10 / EVERY) :]):
        if look.received <= before.received:
            untrue.append(f"nothing was heard for {look.at - before.at:.1f} s")
            break
    if any(look.rebuilds > during[0].rebuilds for look in during):
        untrue.append("a producer was replaced, for brokers that fail")
    at_end = next((look for look in during if look.at >= ended), during[-1])
    acked = next((look.at for look in during if look.at > at_end.at and look.published > at_end.published), float("inf"))
    return Told(max(stalls, default=float("inf")), acked - ended, max(look.waits for look in during), sum(not look.ready for look in during),
                max(look.rss for look in during), untrue[:3])
