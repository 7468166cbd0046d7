"""Starts and stops the node and containerd, and runs commands beside them."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from testbed.group import Group

from . import image, node

HERE = pathlib.Path(__file__).resolve().parent
RUN = HERE.parents[1] / "target" / "testbed" / "containers"
SOCKET = RUN / "containerd.sock"
PLUGINS = "/usr/lib/cni"
NEEDED = ("containerd", "ctr", "runc", "ip", "unshare", "nsenter", "strip", f"{PLUGINS}/bridge")


def containerd() -> str:
    return f"""
version = 2
root = "{RUN}/containerd/root"
state = "{RUN}/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{SOCKET}"
"""


def network() -> dict:
    """For the plugin that joins a pod to the node's bridge."""
    addresses = {"type": "host-local", "dataDir": f"{RUN}/addresses", "ranges": [[{"subnet": node.PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {"cniVersion": "0.4.0", "name": "pods", "type": "bridge", "bridge": "tb0", "isGateway": True, "ipMasq": False, "ipam": addresses}


class Node:
    """Everything but the holder of its namespaces is started inside of them."""

    def __init__(self):
        self.group = Group(RUN)

    def inside(self, *words) -> list[str]:
        """The command, in the node's network and mounts."""
        holder = str(self.group.parts()["node"]["pid"])
        return ["nsenter", "-t", holder, "--net", "--mount", f"--wd={os.getcwd()}", *map(str, words)]

    def ctr(self, *words, check: bool = True) -> str:
        run = subprocess.run(self.inside("ctr", "-a", SOCKET, *words), capture_output=True, text=True)
        if check and run.returncode:
            raise RuntimeError(f"ctr {' '.join(map(str, words))}: {run.stderr[-2000:]}")
        return run.stdout

    def up(self):
        lacking = [what for what in NEEDED if not (pathlib.Path(what).exists() if what.startswith("/") else shutil.which(what))]
        if lacking or os.geteuid():
            raise RuntimeError(f"needs root, and {', '.join(lacking) or 'no more than is there'}: scripts/setup.sh --for chart-pods")
        self.down()
        shutil.rmtree(RUN, ignore_errors=True)
        RUN.mkdir(parents=True)
        (RUN / "containerd.toml").write_text(containerd())
        ready = RUN / "node.ready"
        words = ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, "-m", "containers.node", ready]
        self.group.spawn("node", words, node.ADDRESS, {"PYTHONPATH": str(HERE.parent)})
        self.group.await_part("node", ready.exists, 60)
        self.group.spawn("containerd", self.inside("containerd", "--config", RUN / "containerd.toml"))
        self.group.await_part("containerd", lambda: self.ctr("version", check=False), 60)

    def load(self, binary: pathlib.Path, *names: str):
        """The product's image, under each name."""
        image.product(RUN, list(names), binary)
        for number in range(len(names)):
            self.ctr("images", "import", RUN / f"product-{number}.tar")

    def down(self):
        """Containers first; what is mounted ends with the namespace."""
        if self.group.runs("containerd"):
            for name in self.ctr("tasks", "ls", "-q", check=False).split():
                self.ctr("tasks", "kill", "-s", "SIGKILL", name, check=False)
            end = time.monotonic() + 20
            while "RUNNING" in self.ctr("tasks", "ls", check=False) and time.monotonic() < end:
                time.sleep(0.5)
            for name in self.ctr("tasks", "ls", "-q", check=False).split():
                self.ctr("tasks", "rm", name, check=False)
        for name in ("containerd", "node"):
            self.group.end(name, signal.SIGTERM)
        node.remove_cgroups()
