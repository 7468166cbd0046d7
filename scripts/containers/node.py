"""Holds the namespaces in which everything else runs. Started under `unshare --net --mount --propagation private`.

usage: python -m containers.node FILE     FILE is made when the network is there
"""

import pathlib
import signal
import subprocess
import sys

ADDRESS = "10.99.0.1"
PODS = "10.65.0.0/24"
CGROUP = "trunkline-pods"
CONTROLLERS = pathlib.Path("/sys/fs/cgroup")


def run(*words):
    subprocess.run([str(word) for word in words], check=True)


def network():
    """A node's address, the way to it, and packets from pods to it and back."""
    run("ip", "link", "set", "lo", "up")
    # a bridge: a device of type dummy is not in every kernel
    run("ip", "link", "add", "nb0", "type", "bridge")
    run("ip", "addr", "add", f"{ADDRESS}/24", "dev", "nb0")
    run("ip", "link", "set", "nb0", "up")
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def hide():
    """What containerd and networks of pods leave in the machine's /run is seen in here alone."""
    for place in ("/run/containerd", "/run/netns"):
        pathlib.Path(place).mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", place)


def remove_cgroups():
    """Folders that containers leave, in every controller of version 1, or in the one tree of version 2."""
    for folder in [CONTROLLERS / CGROUP, *CONTROLLERS.glob(f"*/{CGROUP}")]:
        inside = [path for path in folder.rglob("*") if path.is_dir()]
        for path in [*sorted(inside, key=lambda p: len(p.parts), reverse=True), folder]:
            if path.is_dir():
                path.rmdir()


if __name__ == "__main__":
    network()
    hide()
    pathlib.Path(sys.argv[1]).touch()
    signal.pause()
