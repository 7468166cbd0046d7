"""What Linux says of processes and of the whole machine."""

import contextlib
import os
import pathlib

TICKS = os.sysconf("SC_CLK_TCK")


def busy() -> float:
    """Processor seconds that the machine has used since it started, idle and waiting excluded (`/proc/stat`)."""
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def used(pid: int) -> float:
    """User and system seconds of a process, its threads, and children it has waited for (`/proc/PID/stat`)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return sum(int(word) for word in fields[11:15]) / TICKS


def peak(pid: int) -> int:
    """Most bytes that a process had resident (`VmHWM`)."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def size(folder: pathlib.Path) -> int:
    """Bytes on the disk of all files below a folder; those that go away meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_blocks * 512 if path.is_file() else 0
    return total


@contextlib.contextmanager
def on_core(core: int):
    """Processes and threads that are started inside run on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
