"""Processes that belong together: started in a folder, noted there by pid, stopped by it."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def started_at(pid: int) -> int | None:
    """Ticks since boot; None when there is no such process. A pid that was given away again has another."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if text[0] == "Z" else int(text[19])


def rss(pid: int) -> int:
    """Resident memory in MB."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)


class Group:
    """What runs in `folder`, whoever started it."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.children = {}
        folder.mkdir(parents=True, exist_ok=True)

    def spawn(self, name: str, command: list, address: str = "", env: dict | None = None, cwd: pathlib.Path | None = None):
        with (self.folder / f"{name}.log").open("a") as log:
            child = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=cwd or self.folder,
                                     env={**os.environ, **(env or {})}, start_new_session=True)
        self.children[name] = child
        self.note(name, pid=child.pid, started=started_at(child.pid), address=address)

    def note(self, name: str, **facts):
        path = self.folder / f"{name}.part.json"
        old = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**old, **facts}))

    def parts(self) -> dict:
        """What was started and not stopped, by name, with `runs`."""
        found = {}
        for path in sorted(self.folder.glob("*.part.json")):
            part = json.loads(path.read_text())
            part["runs"] = part["started"] is not None and started_at(part["pid"]) == part["started"]
            found[path.name.removesuffix(".part.json")] = part
        return found

    def runs(self, name: str) -> bool:
        return self.parts().get(name, {}).get("runs", False)

    def send(self, name: str, how: signal.Signals, seconds: float = 20):
        """To the part of that name, and to no other process; with SIGKILL and SIGTERM until it is gone."""
        part = self.parts()[name]
        if not part["runs"]:
            return
        os.kill(part["pid"], how)
        if how not in (signal.SIGKILL, signal.SIGTERM):
            return
        end = time.monotonic() + seconds
        while started_at(part["pid"]) == part["started"]:
            if time.monotonic() > end:
                if how == signal.SIGKILL:
                    raise TimeoutError(f"{name}, pid {part['pid']}, does not end")
                os.kill(part["pid"], how := signal.SIGKILL)
                end = time.monotonic() + seconds
            time.sleep(0.05)
        if name in self.children:
            self.children[name].wait()

    def end(self, name: str, how: signal.Signals = signal.SIGKILL):
        if self.runs(name):
            self.send(name, signal.SIGCONT)
            self.send(name, how)
        (self.folder / f"{name}.part.json").unlink(missing_ok=True)

    def end_all(self):
        for name in list(self.parts()):
            self.end(name)

    def tail(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return "".join(path.read_text(errors="replace").splitlines(keepends=True)[-12:]) if path.exists() else ""

    def await_part(self, name: str, answers, seconds: float = 180):
        """Until it answers; an error with the end of its log when it does not, or ends."""
        end = time.monotonic() + seconds
        while not answers():
            if not self.runs(name):
                raise RuntimeError(f"{name} has ended:\n{self.tail(name)}")
            if time.monotonic() > end:
                raise TimeoutError(f"{name} does not answer after {seconds:.0f} s, see {self.folder / name}.log:\n{self.tail(name)}")
            time.sleep(0.2)
