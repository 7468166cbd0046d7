"""What the platform does to us. A run calls `until` with the alerts that `runs.py` says it gives."""

import json
import time

from run import HISTORY, Run, get, proven, wait_for

MINUTES = 330_000


def platform_away(run: Run):
    run.world()
    app = run.start()
    # a shard of which nothing was ever proven cannot stall
    if not wait_for(lambda: proven(app), 60, 1):
        raise AssertionError("nothing is proven before the fault")
    run.fault("outage", for_ms=MINUTES)
    run.until(platform_away.gives, 360)


def one_channel(run: Run):
    run.world()
    run.start()
    run.fault("http_status", for_ms=60_000, args={"status": 503, "path": "/channels/"})
    run.fault("reset")
    run.until(one_channel.gives, 40)


def history_fails(run: Run):
    """Product and rules take a second for an hour."""
    run.world()
    run.start(scale=3600)
    run.fault("http_status", for_ms=MINUTES, args={"status": 503, "path": "/api/v2/analytics"})
    run.fault("reset", whom="all")
    run.until(history_fails.gives, 90)


def audits_fail(run: Run):
    run.world("--rate", "20", **HISTORY)
    app = run.start(scale=3600)
    if not wait_for(lambda: app.metrics()["trunkline_audited_timestamp_seconds"] > 0, 120, 1):
        raise AssertionError("no hour was audited")
    run.fault("http_status", for_ms=MINUTES, args={"status": 503, "path": "/api/v2/analytics"})
    run.until(audits_fail.gives, 180)


def sockets_deaf(run: Run):
    """All channels answer pings and hear nothing; an hour is a second, so the audit of that hour comes within the minute."""
    run.world("--rate", "60", channel_life_ms=20 * 86_400_000, **HISTORY)
    run.start(scale=3600)
    time.sleep(8)
    run.fault("silence", whom="all", for_ms=18_000, args={"of": "events"})
    run.until(sockets_deaf.gives, 120)


def presence_gap(run: Run):
    """Presence has no history, so its gap is lost at once."""
    run.world()
    user = json.loads(get(run.sim.url + "/sim/org"))["users"][0]
    user = user["id"] if isinstance(user, dict) else user
    run.start(subscriptions__topics=[f"v2.users.{user}.presence"])
    run.fault("reset", whom="all")
    run.until(presence_gap.gives, 120)


def storm(run: Run):
    run.world()
    run.start(scale=60)
    run.until(storm.gives, 90, again=lambda: [run.fault("reset", whom="all"), time.sleep(0.2)])


def requests_refused(run: Run):
    run.world()
    run.start(scale=60)
    run.fault("http_status", for_ms=120_000, args={"status": 429, "retry_after": "1", "path": "/api/v2/"})
    run.until(requests_refused.gives, 100)


def no_token(run: Run):
    run.world(token_life_ms=640_000)
    run.start()
    run.fault("http_status", for_ms=MINUTES, args={"status": 503, "path": "/oauth/token"})
    run.fault("revoke")
    run.until(no_token.gives, 120)


def permission_missing(run: Run):
    run.world(missing_permissions=["conversation:communication:view"])
    run.start()
    run.fault_at = time.time()
    run.until(permission_missing.gives, 60)
