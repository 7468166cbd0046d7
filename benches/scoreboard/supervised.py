"""A process beneath a supervisor, which starts what has ended a second later."""

import os
import pathlib
import signal
import subprocess
import threading
import time

from platform_side import ROOT

AGAIN = 1.0  # seconds until what has ended is started again


class Supervised:
    """A command that runs until it is told to stop. Its output goes to a file."""

    def __init__(self, command: list, env: dict, log: pathlib.Path):
        self.command, self.env, self.log = [str(word) for word in command], env, log
        self.stopping, self.starts = False, 0
        self.spawn()
        threading.Thread(target=self.watch, daemon=True).start()

    def spawn(self):
        with self.log.open("a") as out:
            self.child = subprocess.Popen(self.command, env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=ROOT)
        self.starts += 1

    def watch(self):
        while not self.stopping:
            if self.child.poll() is not None:
                time.sleep(AGAIN)
                if not self.stopping:
                    self.spawn()
            time.sleep(0.05)

    def signal(self, how):
        self.child.send_signal(how)

    def stop(self, seconds: float = 30):
        self.stopping = True
        self.signal(signal.SIGTERM)
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
