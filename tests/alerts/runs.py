"""What goes wrong, and which alerts it gives: exactly these, and those that are true of every run."""

import json
import resource
import signal
import threading
import time

from harness import Stand, get
from intruder import take_channel
from run import HISTORY, Run, shifted, wait_for

MINUTES = 330_000


def away(run: Run, seconds: float):
    """The broker is away from now on."""
    run.fault_at = time.time()
    thread = threading.Thread(target=run.stand.obey, args=(f"away {int(seconds * 1000)}",))
    thread.start()
    run.callback(thread.join)


def quiet(run: Run):
    run.world()
    run.start()
    run.until(set(), 20, still=25)


def platform_away(run: Run):
    run.world()
    run.start()
    run.fault("outage", for_ms=MINUTES)
    run.until(platform_away.gives, 360)


def kafka_away(run: Run):
    run.world("--rate", "5")
    run.start()
    away(run, 200)
    run.until(kafka_away.gives, 180)


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


def channels_taken(run: Run):
    """Who has a copy of the volume opens sockets on its channels; the platform says so to the socket that was there."""
    spool = run.folder() / "spool"
    run.world(announce_kick=True)
    run.start(scale=60, spool__dir=str(spool))
    run.fault_at = time.time()
    run.until(channels_taken.gives, 90, again=lambda: [take_channel(spool), time.sleep(3)])


def one_client_twice(run: Run):
    run.world()
    run.start(scale=60)
    elsewhere = run.enter_context(Stand())
    run.fault_at = time.time()
    run.start(scale=60, watch=False, stand=elsewhere)
    run.until(one_client_twice.gives, 60)


def requests_refused(run: Run):
    run.world()
    run.start(scale=60)
    run.fault("http_status", for_ms=120_000, args={"status": 429, "retry_after": "1", "path": "/api/v2/"})
    run.until(requests_refused.gives, 100)


def no_token(run: Run):
    run.world(token_life_ms=640_000)
    run.start()
    run.fault("revoke")
    run.fault("http_status", for_ms=MINUTES, args={"status": 503, "path": "/oauth/token"})
    run.until(no_token.gives, 120)


def permission_missing(run: Run):
    run.world(missing_permissions=["conversation:communication:view"])
    run.start()
    run.fault_at = time.time()
    run.until(permission_missing.gives, 60)


def unreadable(run: Run):
    """Bodies that are no object cannot pass a privacy policy, so they are quarantined; one a second."""
    path = run.folder() / "recording.jsonl"
    lines = [json.dumps({"topicName": "v2.routing.queues.q-1.conversations", "eventBody": f"only text {n}"}) for n in range(300)]
    path.write_text("\n".join(lines) + "\n")
    run.world("--replay", path, "--replay-loop", "1", "--rewrite-ids")
    run.fault_at = time.time()
    run.start(privacy__preset="strict")
    run.until(unreadable.gives, 60)


def clock_ahead(run: Run):
    run.world()
    run.fault_at = time.time()
    run.start(env=shifted(str(run.folder()), 60))
    run.until(clock_ahead.gives, 60)


def sockets_deaf(run: Run):
    """All channels answer pings and hear nothing; an hour is a second, so the audit of that hour comes within the minute."""
    run.world("--rate", "60", channel_life_ms=20 * 86_400_000, **HISTORY)
    run.start(scale=3600)
    time.sleep(8)
    run.fault("silence", whom="all", for_ms=18_000, args={"of": "events"})
    run.until(sockets_deaf.gives, 120)


def audits_fail(run: Run):
    run.world("--rate", "20", **HISTORY)
    app = run.start(scale=3600)
    if not wait_for(lambda: app.metrics()["trunkline_audited_timestamp_seconds"] > 0, 120, 1):
        raise AssertionError("no hour was audited")
    run.fault("http_status", for_ms=MINUTES, args={"status": 503, "path": "/api/v2/analytics"})
    run.until(audits_fail.gives, 180)


def spool_fills(run: Run):
    run.world("--rate", "200")
    run.start(spool__segment_bytes=1 << 20, spool__max_bytes=64 << 20)
    away(run, 60)
    run.until(spool_fills.gives, 50)


def spool_full(run: Run):
    run.world("--rate", "1000")
    run.start(spool__segment_bytes=1 << 20, spool__max_bytes=4 << 20)
    away(run, 40)
    run.until(spool_full.gives, 35)


def disk_refuses(run: Run):
    run.world("--rate", "100")
    app = run.start()
    run.fault_at = time.time()
    resource.prlimit(app.child.pid, resource.RLIMIT_FSIZE, (50_000, 50_000))
    run.until(disk_refuses.gives, 60)


def disk_damaged(run: Run):
    spool = run.folder() / "spool"
    run.world("--rate", "100")
    app = run.start(watch=False, spool__dir=str(spool))
    away(run, 12)
    time.sleep(8)
    app.stop(signal.SIGKILL)
    newest = sorted(spool.glob("*.spool"))[-1]
    bytes_ = bytearray(newest.read_bytes())
    bytes_[len(bytes_) // 2] ^= 0xFF
    newest.write_bytes(bytes_)
    time.sleep(5)
    run.fault_at = time.time()
    run.start(spool__dir=str(spool))
    run.until(disk_damaged.gives, 60)


def configuration_wrong(run: Run):
    run.world()
    app = run.start()
    run.fault_at = time.time()
    (path := app.path).write_text(path.read_text().replace('"kafka"', '"kafak"'))
    run.until(configuration_wrong.gives, 60)


def process_gone(run: Run):
    run.world()
    app = run.start()
    time.sleep(8)
    run.fault_at = time.time()
    app.stop(signal.SIGKILL)
    run.until(process_gone.gives, 60)


# what goes wrong: alerts without their prefix, and whether an hour is a second there; the longest first
RUNS = [
    (platform_away, "ShardExposed CoverageStalled", False),
    (kafka_away, "KafkaStalled", False),
    (no_token, "AuthFailing TokenExpiring ShardSingle", False),
    (history_fails, "GapUnrecovered", True),
    (audits_fail, "AuditBehind", True),
    (sockets_deaf, "AuditMissed", True),
    (clock_ahead, "ClockWrong", False),
    (presence_gap, "GapLost", False),
    (storm, "ReconnectStorm", False),
    (channels_taken, "ChannelContended", False),
    (one_client_twice, "Conflict", False),
    (requests_refused, "RateLimited", False),
    (one_channel, "ShardSingle", False),
    (permission_missing, "SubscriptionRefused", False),
    (unreadable, "EventsQuarantined", False),
    (spool_fills, "SpoolFilling", False),
    (spool_full, "SpoolFull", False),
    (disk_refuses, "SpoolFailed", False),
    (disk_damaged, "SpoolDamaged", False),
    (configuration_wrong, "ConfigStale", False),
    (process_gone, "Absent", False),
    (quiet, "", False),
]
for function, names, _ in RUNS:
    function.gives = {f"Trunkline{name}" for name in names.split()}
