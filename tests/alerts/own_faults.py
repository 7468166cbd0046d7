"""What happens to us on this side: Kafka, the disk, the host, our own configuration, another process."""

import json
import resource
import signal
import threading
import time

from intruder import take_channel
from run import Run, Stand, shifted


def away(run: Run, seconds: float):
    """The broker is away from now on."""
    run.fault_at = time.time()
    thread = threading.Thread(target=run.stand.obey, args=(f"away {int(seconds * 1000)}",))
    thread.start()
    run.callback(thread.join)


def kafka_away(run: Run):
    run.world("--rate", "5")
    run.start()
    away(run, 200)
    run.until(kafka_away.gives, 180)


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
    app.path.write_text(app.path.read_text().replace('"kafka"', '"kafak"'))
    run.verdicts |= {65}  # what `trunkline check` says of it
    run.until(configuration_wrong.gives, 60)


def process_gone(run: Run):
    run.world()
    app = run.start()
    time.sleep(8)
    run.fault_at = time.time()
    app.stop(signal.SIGKILL)
    run.until(process_gone.gives, 60)


def quiet(run: Run):
    run.world()
    run.start()
    run.until(set(), 20, still=25)


def epoch_reused(run: Run):
    """A mistake planted in the binary: every coverage of a channel has the same id."""
    run.world()
    run.start(env={"TRUNKLINE_SEEDED_BUG": "14"})
    run.fault("reset")
    run.until(epoch_reused.gives, 60)
