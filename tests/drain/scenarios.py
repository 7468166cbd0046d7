"""What is stopped, taken away and given back; each returns its line of the table."""

import json
import random
import time

from account import account, uncovered
from world import STOP_SECONDS, World, get, proven, say, total, wait_for

RATE = 200
MIN_READY = 20  # coverage begins 5 s after a socket is subscribed, and its last 10 s may not be claimed; the chart waits 60
KNOWN_AFTER = 25  # a gap is recorded 20 s after it is known
NAMES = ["a", "b"]
# held by a standby for two seconds when its primary stops, and when it is back; no order is promised across a take-over
REPEATS_PER_STOP = 2 * 2 * RATE
UNREAD_PER_STOP = RATE // 10  # on their way to a socket that closes
REQUESTS = 200  # of an outage, as promised


def status(app) -> dict:
    return json.loads(get(app.admin + "/api/v1/status"))


def is_live(app) -> bool:
    channels = status(app)["channels"]
    return bool(channels) and all(line["state"] == "live" for line in channels)


def terminations(rounds: int) -> str:
    """SIGTERM under load, at any moment of it."""
    dice, stops = random.Random(13), []
    with World("sigterm", "--rate", str(RATE)) as world:
        for number in range(rounds):
            app = world.start().wait_ready(40)
            left = total(app, "trunkline_spool_replayed_events_total")
            assert left == 0, f"{left} events of the process before had no acknowledgement"
            assert wait_for(lambda: total(app, "trunkline_events_published_total") >= RATE / 2, 20), "nothing flows"
            time.sleep(dice.uniform(0, 1))
            stops.append(world.end(app))
            say(f"sigterm: {number + 1} of {rounds}, longest stop {max(stops):.1f} s")
        app = world.start().wait_ready(40)
        time.sleep(KNOWN_AFTER)
        until = world.now_ms() - 1_000
        stops.append(world.end(app))
        found = account(world, until)
        # lives that short prove little, so gaps alone would excuse it
        assert found.unread <= UNREAD_PER_STOP * len(stops), f"put on a socket and in no topic: {found}"
        return (
            f"{len(stops)} SIGTERMs under {RATE}/s: 0 un-acked, longest stop {max(stops):.1f} s of {STOP_SECONDS}; "
            f"{found.generated} events, 0 lost, 0 silent, {found.in_gaps} in {len(world.gaps())} gaps ({found.unread} were put on a socket), {found.repeats} repeats"
        )


def rolling() -> str:
    """Two replicas, stopped and started one after the other."""
    clients = [word for name in NAMES for word in ("--client", f"{name}:{name}")]
    with World("rolling", "--rate", str(RATE), "--wait-for-channels", "4", *clients) as world:
        start = lambda name: world.start(name, replicas=NAMES, genesys__clients=[{"id": name, "secret": name}])
        apps = {name: start(name).wait_ready(40) for name in NAMES}
        time.sleep(MIN_READY)
        both_ms, stops = world.now_ms(), []
        for name in NAMES:
            stops.append(world.end(apps[name]))
            apps[name] = start(name).wait_ready(40)
            time.sleep(MIN_READY)
            say(f"rolling: {name} replaced, stopped in {stops[-1]:.1f} s")
        time.sleep(KNOWN_AFTER)
        until = world.now_ms() - 15_000  # the last claims come with the end of sockets
        for app in apps.values():
            world.end(app)
        exposed = uncovered(world.facts("claim"), world.origin_ms + both_ms, world.origin_ms + until)
        assert sum(high - low for low, high in exposed) == 0, f"no replica covers {exposed}, from {both_ms} to {until}"
        assert world.gaps() == {}, world.gaps()
        found = account(world, until, inverted=REPEATS_PER_STOP * len(NAMES))
        assert found.repeats <= REPEATS_PER_STOP * len(NAMES), found
        return (
            f"2 replicas replaced in turn under {RATE}/s: exposed 0.0 s, 0 gaps, longest stop {max(stops):.1f} s; "
            f"{found.generated} events, 0 lost, 0 silent, {found.repeats} repeats and {found.inversions} out of order at the take-overs"
        )


def platform_away(seconds: float) -> str:
    """Every socket is cut and nothing answers for a while."""
    with World("platform", "--rate", str(RATE), "--wait-for-channels", "2") as world:
        app = world.start().wait_ready(40)
        assert wait_for(lambda: proven(app) > 0, 40), "coverage is not proven"
        before = total(app, "trunkline_api_requests_total")
        world.sim.fault("outage", for_ms=int(seconds * 1000))
        assert wait_for(lambda: not is_live(app), 10), "an outage that nobody notices"
        ended = time.monotonic() + seconds
        say(f"platform: away for {seconds:.0f} s")
        time.sleep(seconds - 10)
        during = total(app, "trunkline_api_requests_total") - before
        assert wait_for(lambda: time.monotonic() > ended - 5 and is_live(app), 40), status(app)["channels"]
        back = time.monotonic() - ended
        assert back <= 15, f"channels are back {back:.1f} s after the platform"
        requests = total(app, "trunkline_api_requests_total") - before
        assert requests <= REQUESTS, f"{requests} requests"
        limited = total(app, "trunkline_api_rate_limited_total") + world.sim.counters()["rate_limited"]
        assert limited == 0, f"{limited} answers 429"
        time.sleep(KNOWN_AFTER)
        until = world.now_ms() - 1_000
        world.end(app)
        found = account(world, until)
        assert len(world.gaps()) > 0 and found.in_gaps > 0, "an outage without a gap"
        return (
            f"platform away {seconds:.0f} s: live {max(back, 0):.1f} s after it, {requests:.0f} requests of {REQUESTS} "
            f"({during:.0f} before its end), 0 answers 429; {found.generated} events, 0 lost, 0 silent, {found.in_gaps} in gaps"
        )
