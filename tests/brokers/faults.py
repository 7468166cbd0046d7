"""What happens to the brokers. Each does it, undoes it, and returns when it ended; each makes sure that it took place."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import Callable

from world import MIN_ISR, SMALL_DISK, World, pause, say, wait_for


def leader_killed(world: World, seconds: float) -> float:
    """kill -9 of the leader of partition 0; another one leads, and the killed one comes back later."""
    cluster = world.cluster
    victim = cluster.partitions(world.events)[0].leader
    say(f"kill -9 of broker {victim}, leader of partition 0")
    cluster.signal(victim, signal.SIGKILL)
    began = time.monotonic()

    def moved():
        now = cluster.partitions(world.events)
        return now and all(p.leader not in (victim, -1) for p in now.values())

    if not wait_for(moved, 60, 0.2):
        raise AssertionError(f"broker {victim} was killed, and its partitions have no new leader after 60 s")
    ended = time.monotonic()
    pause(max(0, seconds - (ended - began)))
    cluster.start(victim)
    cluster.await_broker(victim)
    # the fault is over for the stream when partitions have a leader again
    return ended


def rolling_restart(world: World, seconds: float) -> float:
    """SIGTERM and a new start, one after the other, each when all replicas are in sync."""
    cluster = world.cluster
    for number in (1, 2, 3):
        say(f"broker {number} is restarted")
        cluster.signal(number, signal.SIGTERM)
        cluster.start(number)
        cluster.await_broker(number)
        cluster.await_whole(world.events)
        pause(seconds / 6)
    return time.monotonic()


def broker_frozen(world: World, seconds: float) -> float:
    """SIGSTOP of a leader: its connections stay open and nobody answers on them."""
    cluster = world.cluster
    victim = cluster.partitions(world.events)[0].leader
    say(f"SIGSTOP of broker {victim} for {seconds:.0f} s")
    cluster.signal(victim, signal.SIGSTOP)
    try:
        pause(seconds)
    finally:
        cluster.signal(victim, signal.SIGCONT)
    return time.monotonic()


def below_min_isr(world: World, seconds: float) -> float:
    """Two brokers are stopped: the one that is left may take nothing."""
    cluster = world.cluster
    say(f"brokers 1 and 2 are stopped for {seconds:.0f} s")
    fewest = 3
    for number in (1, 2):
        cluster.signal(number, signal.SIGTERM)
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        fewest = min(fewest, cluster.in_sync(world.events))
        pause(1)
    if fewest >= MIN_ISR:
        raise AssertionError(f"two brokers were stopped, and {fewest} replicas stayed in sync")
    for number in (1, 2):
        cluster.start(number)
    for number in (1, 2):
        cluster.await_broker(number)
    return time.monotonic()


def disk_full(world: World, seconds: float) -> float:
    """The file system of a broker's log is full, so the broker ends; room is made and it is started again."""
    cluster = world.cluster
    if not cluster.has_small_disk:
        raise PermissionError(f"no small file system for a broker, which takes root: {cluster.why_not}")
    say(f"the disk of broker {SMALL_DISK} is filled")
    ballast = cluster.disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # until there is no space left
        while True:
            file.write(bytes(1 << 20))
    free = os.statvfs(cluster.disk)
    if free.f_bavail * free.f_frsize >= 1 << 20:
        raise AssertionError(f"{free.f_bavail * free.f_frsize} bytes are still free on {cluster.disk}")
    began = time.monotonic()
    if not wait_for(lambda: not cluster.group.runs(f"broker{SMALL_DISK}"), 120, 0.2):
        raise AssertionError(f"broker {SMALL_DISK} goes on with a full disk")
    say(f"broker {SMALL_DISK} ended {time.monotonic() - began:.1f} s after its disk was full")
    pause(max(0, seconds - (time.monotonic() - began)))
    ballast.unlink()
    cluster.start(SMALL_DISK)
    cluster.await_broker(SMALL_DISK)
    return time.monotonic()


@dataclass(frozen=True)
class Fault:
    """`full` and `quick` are the seconds it lasts; `stalls`: the whole topic takes nothing meanwhile."""

    name: str
    act: Callable[[World, float], float]
    full: float
    quick: float
    stalls: bool = False


FAULTS = [
    Fault("leader killed", leader_killed, 30, 10),
    Fault("rolling restart", rolling_restart, 60, 6),
    Fault("frozen", broker_frozen, 60, 15),
    Fault("below min ISR", below_min_isr, 60, 12, stalls=True),
    Fault("disk full", disk_full, 30, 5),
]
