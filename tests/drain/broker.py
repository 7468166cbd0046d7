"""The broker is away for longer than a producer may stall; what metrics and readiness say meanwhile."""

import json
import time
import urllib.error

from account import account
from scenarios import is_live, status
from world import World, get, proven, say, total, wait_for

IN_FLIGHT = 2_000  # records; what is beyond lies on the disk
# what lies in memory while Kafka takes nothing: 8 MiB of messages, the window in flight, segments' buffers
RSS_GROWTH = 48 << 20
RSS_PER_EVENT = 41  # an id in the window of duplicates, and whether it is settled


def rss(app) -> int:
    with open(f"/proc/{app.child.pid}/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def is_ready(app) -> bool:
    try:
        return json.loads(get(app.admin + "/readyz"))["ready"]
    except urllib.error.HTTPError:
        return False


def oldest(app) -> float:
    return total(app, "trunkline_kafka_oldest_unacked_timestamp_seconds")


class Watch:
    """Looks at a process during the outage, once a second; what it says has to be true."""

    def __init__(self, app, rate: int):
        self.app, self.rate, self.most, self.heard, self.base = app, rate, 0, [], None

    def count(self) -> float:
        return total(self.app, "trunkline_events_received_total")

    def look(self, elapsed: float):
        app, used = self.app, rss(self.app)
        assert is_ready(app), f"not ready after {elapsed:.0f} s: the spool takes over"
        assert is_live(app), status(app)["channels"]
        self.heard.append(self.count())
        if len(self.heard) > 10:
            # ten seconds and more, on two channels
            heard = self.heard[-1] - self.heard[-11]
            assert heard > 10 * self.rate, f"{heard:.0f} heard in 10 s, after {elapsed:.0f} s"
        if elapsed > 5:
            waits = time.time() - oldest(app)
            assert abs(waits - elapsed) < 4, f"after {elapsed:.0f} s the oldest event waits for {waits:.1f} s"
        if elapsed > 20:
            # by then memory holds what it may hold
            self.base = self.base or (used, self.count())
            allowed = self.base[0] + RSS_GROWTH + RSS_PER_EVENT * (self.count() - self.base[1])
            assert used <= allowed, f"{used >> 20} MiB in use after {elapsed:.0f} s, {self.base[0] >> 20} at 20 s"
            self.most = max(self.most, used)


def broker_away(seconds: float, rate: int) -> str:
    with World("broker", "--rate", str(rate), "--wait-for-channels", "2") as world:
        app = world.start(kafka__in_flight_records=IN_FLIGHT).wait_ready(40)
        assert wait_for(lambda: proven(app) > 0, 40), "coverage is not proven"
        away, began = world.away(seconds), time.monotonic()
        watch = Watch(app, rate)
        while (elapsed := time.monotonic() - began) < seconds - 1:
            watch.look(elapsed)
            if len(watch.heard) % 30 == 0:
                say(f"broker: away for {elapsed:.0f} of {seconds:.0f} s, {status(app)['spool']['waiting']} wait, {rss(app) >> 20} MiB")
            time.sleep(1)
        waiting, held = status(app)["spool"]["waiting"], total(app, "trunkline_spool_bytes")
        assert waiting > IN_FLIGHT and status(app)["spool"]["state"] == "behind", status(app)["spool"]
        away.join()
        back = time.monotonic()
        # what is heard meanwhile is among them
        caught_up = lambda: status(app)["spool"]["state"] == "beside" and status(app)["spool"]["waiting"] <= rate
        assert wait_for(caught_up, 60 + 2 * seconds, 0.2), status(app)["spool"]
        drained = time.monotonic() - back
        assert wait_for(lambda: oldest(app) == 0 or time.time() - oldest(app) < 5, 5), "the oldest event still waits"
        rebuilt = total(app, "trunkline_kafka_producer_rebuilds_total")
        assert rebuilt == 0, "an outage is no reason to replace a producer"
        time.sleep(25)  # a gap would be recorded
        until = world.now_ms() - 1_000
        world.end(app)
        found = account(world, until)
        assert world.gaps() == {} and found.in_gaps == 0, world.gaps()
        assert found.repeats <= IN_FLIGHT, found
        return (
            f"broker away {seconds:.0f} s at {rate}/s: {waiting} waited ({held / 1e6:.0f} MB), drained in {drained:.1f} s, "
            f"ready and live throughout, {watch.base[0] >> 20} MiB at 20 s and {watch.most >> 20} at most; "
            f"{found.generated} events, 0 lost, 0 silent, 0 gaps, {found.inversions} out of order, {found.repeats} repeats"
        )
